#include "dsl/value/substitute.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <vector>

#include "dsl/value/array_text.hpp"
#include "dsl/value/characters.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/literal.hpp"
#include "dsl/value/lookup.hpp"
#include "dsl/value/reference.hpp"
#include "dsl/value/sql_scanner.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxListedNames = 50;

using Text = Expected<std::string, SubstitutionError>;
using Context = ReferenceSite::Context;

Unexpected<SubstitutionError> failure(std::string message) {
  return {SubstitutionError{std::move(message)}};
}

Expected<const Result*, SubstitutionError> find_bound(const Reference& reference, const Names& names) {
  if (const ResultPtr bound = names.find(reference.name)) return bound.get();  // lives as long as `names`
  std::string message = "$" + reference.name + " is not bound; ";
  if (names.empty()) return failure(message + "no names are bound here");
  message += "bound names: ";
  std::size_t listed = 0;
  names.visit_changes({}, [&](const std::string& name, const ResultPtr&) {
    if (++listed <= kMaxListedNames) message += (listed == 1 ? "" : ", ") + name;
  });
  return failure(std::move(message) + (listed > kMaxListedNames ? ", …" : ""));
}

// The text of a reference, for plain text and for the inside of strings.
Text render_text(const Reference& reference, const Result& result) {
  switch (reference.form) {
    case Reference::Form::kRelation: {
      const auto set = find_relation(reference, result);
      if (!set) return Unexpected{set.error()};
      return std::string((*set)->rows);
    }
    case Reference::Form::kArray: {
      const auto column = find_column(reference, result);
      if (!column) return Unexpected{column.error()};
      std::string out = "[";
      for (const std::string_view value : column->values) out.append(out.size() > 1 ? "," : "").append(value);
      return out + "]";
    }
    case Reference::Form::kValue: {
      const auto value = find_value(reference, result);
      if (!value) return Unexpected{value.error()};
      if (value->is_null) return std::string();
      const bool is_whole = reference.path.empty() && !result.is_row_set();
      return is_whole ? std::string(value->json) : json_text(value->json);
    }
  }
  return std::string();
}

// ANY over an array column means any element of any row: arrays of several rows need not fit into one of two
// dimensions.
void flatten(FoundColumn& column) {
  if (sql_type(column.type).kind != SqlType::Kind::kArray) return;
  std::vector<std::string_view> elements;
  for (const std::string_view value : column.values) {
    const auto inner = elements_of(value);
    elements.insert(elements.end(), inner.begin(), inner.end());
  }
  column.values = std::move(elements);
}

Text render_array(const ReferenceSite& site, const Result& result, Place place) {
  auto column = find_column(site.reference, result);
  if (!column) return Unexpected{column.error()};
  if (site.is_array_argument) flatten(*column);
  return array_literal(column->values, column->type, place);
}

// The word at `position`, in lower case.
std::string word_at(std::string_view text, std::size_t position) {
  std::string word;
  for (; position < text.size() && is_sql_char(text[position]); ++position) {
    word += static_cast<char>(std::tolower(static_cast<unsigned char>(text[position])));
  }
  return word;
}

Text render_code(const ReferenceSite& site, const Result& result, std::string_view rest) {
  const Place place = site.in_body ? Place::kDollarBody : Place::kStatement;
  const Reference& reference = site.reference;
  if (reference.form == Reference::Form::kRelation) {
    const auto set = find_relation(reference, result);
    if (!set) return Unexpected{set.error()};
    const bool has_own_alias = word_at(rest, skip_sql_space(rest, 0, rest.size())) == "as";
    return relation_literal(**set, reference.name, !has_own_alias, place);
  }
  if (reference.form == Reference::Form::kArray || site.is_array_argument)
    return render_array(site, result, place);
  const auto value = find_value(reference, result);
  if (!value) return Unexpected{value.error()};
  if (value->is_null) return std::string("NULL");
  return value_literal(value->json, value->type, place);
}

// Whether what follows would be read as part of the literal's type: '{1,2}'::integer[] and a subscript, or
// '1 day'::interval and a unit.
bool extends_type(std::string_view literal, std::string_view rest) {
  const std::size_t next = skip_sql_space(rest, 0, rest.size());
  if (next < rest.size() && rest[next] == '[') return true;
  constexpr std::string_view kInterval = "::interval";
  const bool is_interval =
      literal.size() > kInterval.size() && literal.substr(literal.size() - kInterval.size()) == kInterval;
  constexpr std::array<std::string_view, 6> kUnits = {"year", "month", "day", "hour", "minute", "second"};
  return is_interval && std::find(kUnits.begin(), kUnits.end(), word_at(rest, next)) != kUnits.end();
}

// Appends a rendered reference as tokens of its own, whatever stands on either side.
void append_code(std::string& out, const std::string& literal, const ReferenceSite& site,
                 std::string_view rest) {
  const bool joins_string = site.touches_string && literal.find('\'') != std::string::npos;
  const bool is_relation = site.reference.form == Reference::Form::kRelation;
  const bool needs_parentheses = !is_relation && (joins_string || extends_type(literal, rest));
  // "U&" or a quote before a quote, and digits or points before a number, would become one token with it.
  constexpr std::string_view kSticky = "'&.$";
  const bool sticks =
      !out.empty() && (kSticky.find(out.back()) != std::string_view::npos || is_sql_char(out.back()));
  if (sticks) out += ' ';
  if (needs_parentheses) out += '(';
  out += literal;
  if (needs_parentheses) out += ')';
  // A '$' would go on in a type's name.
  if (!rest.empty() && (is_sql_char(rest.front()) || rest.front() == '$')) out += ' ';
}

void append_escaped(std::string& out, std::string_view text, const ReferenceSite& site) {
  const bool has_escapes = site.context == Context::kEscapeString;
  for (const char c : text) {
    if (c == '$' && has_escapes && site.in_body) {
      out += "\\044";
      continue;
    }
    if (c == '\'' || (c == '\\' && has_escapes)) out += c;
    out += c;
  }
}

Unexpected<SubstitutionError> too_long() {
  return failure(
      "the text has more than 64 MiB once its references are replaced; insert less, or let the statement "
      "read "
      "the rows from a table");
}

Unexpected<SubstitutionError> has_nul(const Reference& reference) {
  return failure(reference.spelling() +
                 " holds a NUL character (\\u0000), which no text in PostgreSQL can hold");
}

// Assembles the statement and knows where positions of the template have gone.
class SqlSubstitution {
 public:
  SqlSubstitution(const ExpandedTemplate& source, const Names& names) : text_(source.text), names_(names) {}

  Text run(const SqlScan& scan) {
    for (const ReferenceSite& site : scan.sites) {
      if (auto error = add(site); !error.message.empty()) return Unexpected{std::move(error)};
    }
    out_.append(text_.substr(copied_));
    for (const DollarBody& body : scan.bodies) {
      if (auto error = check(body); !error.message.empty()) return Unexpected{std::move(error)};
    }
    return std::move(out_);
  }

 private:
  // An empty message: no error.
  SubstitutionError add(const ReferenceSite& site) {
    const Reference& reference = site.reference;
    out_.append(text_.substr(copied_, reference.begin - copied_));
    const auto result = find_bound(reference, names_);
    if (!result) {
      // In a string it is text that looks like a reference; elsewhere the server could only call it a syntax
      // error.
      if (site.context == Context::kCode) return result.error();
      copied_ = reference.begin;
      return {};
    }
    if (site.context == Context::kUnicodeString) {
      return {reference.spelling() +
              " stands inside a U&'…' string, where it cannot be escaped; use '…' or E'…'"};
    }
    const std::string_view rest = text_.substr(reference.end);
    const bool is_code = site.context == Context::kCode;
    const auto rendered = is_code ? render_code(site, **result, rest) : render_text(reference, **result);
    if (!rendered) return rendered.error();
    if (rendered->find('\0') != std::string::npos) return has_nul(reference).error;
    if (is_code) {
      append_code(out_, *rendered, site, rest);
    } else {
      append_escaped(out_, *rendered, site);
    }
    copied_ = reference.end;
    moved_.push_back({copied_, out_.size()});
    return out_.size() > kMaxSubstituted ? too_long().error : SubstitutionError{};
  }

  // Where a position of the template, outside references, is in the statement.
  std::size_t moved(std::size_t position) const {
    const auto after =
        std::upper_bound(moved_.begin(), moved_.end(), position,
                         [](std::size_t wanted, const Moved& entry) { return wanted < entry.from; });
    if (after == moved_.begin()) return position;
    return std::prev(after)->to + (position - std::prev(after)->from);
  }

  // A value spliced into a string inside the body cannot hide the body's tag, neither whole nor with what is
  // around it.
  SubstitutionError check(const DollarBody& body) const {
    const std::size_t begin = moved(body.begin), end = moved(body.end);
    if (std::string_view(out_).substr(0, end + body.tag.size()).find(body.tag, begin) >= end) return {};
    return {"a value inserted into the " + body.tag + " body holds \"" + body.tag +
            "\" and would end it; give the body another tag, such as $wf_body$, or put the reference outside "
            "the string"};
  }

  struct Moved {
    std::size_t from, to;
  };
  std::string_view text_;
  const Names& names_;
  std::string out_;
  std::size_t copied_ = 0;
  std::vector<Moved> moved_;
};

}  // namespace

Expected<std::string, SubstitutionError> substitute_sql(std::string_view text, const Bindings& bindings) {
  const ExpandedTemplate source = expand_variables(text, bindings.variables);
  if (source.is_too_long) return too_long();
  return SqlSubstitution(source, bindings.names).run(scan_sql(source));
}

Expected<std::string, SubstitutionError> substitute_text(std::string_view text, const Bindings& bindings) {
  const ExpandedTemplate source = expand_variables(text, bindings.variables);
  if (source.is_too_long) return too_long();
  std::string out;
  std::size_t copied = 0;
  for (const Reference& reference : scan_text(source)) {
    out.append(source.text, copied, reference.begin - copied);
    const auto result = find_bound(reference, bindings.names);
    if (!result) {
      copied = reference.begin;
      continue;
    }
    const auto rendered = render_text(reference, **result);
    if (!rendered) return Unexpected{rendered.error()};
    if (rendered->find('\0') != std::string::npos) return has_nul(reference);
    out += *rendered;
    copied = reference.end;
    if (out.size() > kMaxSubstituted) return too_long();
  }
  return out.append(source.text, copied);
}

std::map<std::string, std::size_t> referenced_names(std::string_view text, bool is_sql) {
  const ExpandedTemplate source = expand_variables(text, {});
  std::map<std::string, std::size_t> names;
  const auto add = [&names](const Reference& reference) { names.emplace(reference.name, reference.begin); };
  if (is_sql) {
    for (const ReferenceSite& site : scan_sql(source).sites) add(site.reference);
  } else {
    for (const Reference& reference : scan_text(source)) add(reference);
  }
  return names;
}

}  // namespace durabled::dsl
