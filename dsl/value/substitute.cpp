#include "dsl/value/substitute.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <vector>

#include "dsl/value/http_text.hpp"
#include "dsl/value/reference.hpp"
#include "dsl/value/reference_sites.hpp"
#include "dsl/value/render.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/type_name.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxWarnings = 10;

using Context = ReferenceSite::Context;

// The word at `position`, in lower case.
std::string word_at(std::string_view text, std::size_t position) {
  std::string word;
  for (; position < text.size() && is_identifier_part(text[position]); ++position) {
    word += static_cast<char>(std::tolower(static_cast<unsigned char>(text[position])));
  }
  return word;
}

// Whether what follows would be read as part of the literal's type: '{1,2}'::integer[] and a subscript, or
// '1 day'::interval and a unit.
bool extends_type(std::string_view literal, std::string_view rest) {
  const std::size_t next = skip_sql_space(rest, 0);
  if (next < rest.size() && rest[next] == '[') return true;
  constexpr std::string_view kInterval = "::interval";
  const bool is_interval =
      literal.size() > kInterval.size() && literal.substr(literal.size() - kInterval.size()) == kInterval;
  constexpr std::array<std::string_view, 6> kUnits = {"year", "month", "day", "hour", "minute", "second"};
  return is_interval && std::find(kUnits.begin(), kUnits.end(), word_at(rest, next)) != kUnits.end();
}

// Appends a rendered reference as tokens of its own, whatever is on either side.
void append_code(std::string& out, const std::string& literal, const ReferenceSite& site,
                 std::string_view rest) {
  const bool joins_string = site.touches_string && literal.find('\'') != std::string::npos;
  const bool is_relation = site.reference.form == Reference::Form::kRelation;
  const bool needs_parentheses = !is_relation && (joins_string || extends_type(literal, rest));
  // "U&" or a quote before a quote, and digits or points before a number, would become one token with it.
  constexpr std::string_view kSticky = "'&.";
  const bool sticks =
      !out.empty() && (kSticky.find(out.back()) != std::string_view::npos || is_identifier_part(out.back()));
  if (sticks) out += ' ';
  if (needs_parentheses) out += '(';
  out += literal;
  if (needs_parentheses) out += ')';
  // A '$' would go on in a type's name.
  if (!rest.empty() && is_identifier_part(rest.front())) out += ' ';
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

// Assembles the statement and knows where positions of the template have gone.
class SqlSubstitution {
 public:
  SqlSubstitution(const ExpandedTemplate& source, const Names& names, Notes* notes)
      : text_(source.text), names_(names), notes_(notes) {}

  Rendered run(const ReferenceSites& scan) {
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
    copied_ = reference.begin;
    if (reference.form == Reference::Form::kDollar) {
      out_ += '$';
    } else {
      const ResultPtr result = names_.find(reference.name);
      if (result == nullptr) {
        // In a string it is text that looks like a reference; elsewhere the server could only call it a syntax
        // error.
        return site.context == Context::kCode ? not_bound(reference, names_) : SubstitutionError{};
      }
      if (auto error = add_value(site, *result); !error.message.empty()) return error;
    }
    copied_ = reference.end;
    moved_.push_back({copied_, out_.size()});
    return out_.size() > kMaxSubstituted ? too_long() : SubstitutionError{};
  }

  SubstitutionError add_value(const ReferenceSite& site, const Result& result) {
    const Reference& reference = site.reference;
    if (site.context == Context::kUnicodeString) {
      return {reference.spelling() + " stands inside a U&'…' string, where it cannot be escaped",
              "Use '…' or E'…'."};
    }
    const std::string_view rest = text_.substr(reference.end);
    const bool is_code = site.context == Context::kCode;
    const auto rendered = is_code ? render_code(site, result, rest) : render_text(reference, result);
    if (!rendered) return rendered.error();
    if (rendered->find('\0') != std::string::npos) return has_nul(reference);
    const bool takes_all = is_code && (site.is_array_argument || site.is_list);
    if (notes_ != nullptr && !takes_all && leaves_rows_out(reference, result))
      notes_->add_first_row(reference.spelling());
    if (is_code) {
      append_code(out_, *rendered, site, rest);
    } else if (site.context == Context::kIdentifier) {
      const std::string identifier = quote_identifier(*rendered);
      out_.append(identifier, 1, identifier.size() - 2);
    } else {
      append_escaped(out_, *rendered, site);
    }
    return {};
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
  Notes* notes_;
  std::string out_;
  std::size_t copied_ = 0;
  std::vector<Moved> moved_;
};

}  // namespace

void Notes::add_first_row(const std::string& spelling) {
  std::string warning =
      spelling + " has several rows, and only the first was used; " + spelling + "[] is all of them";
  const bool is_known = std::find(warnings.begin(), warnings.end(), warning) != warnings.end();
  if (!is_known && warnings.size() < kMaxWarnings) warnings.push_back(std::move(warning));
}

Expected<std::string, SubstitutionError> substitute_sql(std::string_view text, const Bindings& bindings,
                                                        Notes* notes) {
  const ExpandedTemplate source = expand_variables(text, bindings.variables, bindings.names);
  if (source.is_too_long) return Unexpected{too_long()};
  return SqlSubstitution(source, bindings.names, notes).run(find_reference_sites(source));
}

Expected<std::string, SubstitutionError> substitute_text(std::string_view text, const Bindings& bindings,
                                                         Notes* notes) {
  auto pieces = substitute_http({std::string(text)}, HttpText::kPlain, bindings, notes);
  if (!pieces) return Unexpected{pieces.error()};
  return std::move(pieces->front());
}

std::vector<Reference> references_in(std::string_view text, bool is_sql) {
  const ExpandedTemplate source = expand_variables(text, {}, {});
  std::vector<Reference> references;
  if (is_sql) {
    for (ReferenceSite& site : find_reference_sites(source).sites)
      references.push_back(std::move(site.reference));
  } else {
    references = scan_text(source);
  }
  std::erase_if(references, [](const Reference& each) { return each.form == Reference::Form::kDollar; });
  return references;
}

std::map<std::string, std::size_t> referenced_names(std::string_view text, bool is_sql) {
  std::map<std::string, std::size_t> names;
  for (const Reference& reference : references_in(text, is_sql))
    names.emplace(reference.name, reference.begin);
  return names;
}

std::vector<std::pair<std::size_t, std::size_t>> reference_places(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const Reference& reference : scan_text(expand_variables(text, {}, {})))
    places.emplace_back(reference.begin, reference.end);
  return places;
}

std::set<std::string> names_in_code(std::string_view sql) {
  std::set<std::string> names;
  if (!variable_names(sql).empty()) return names;
  for (const ReferenceSite& site : find_reference_sites(expand_variables(sql, {}, {})).sites) {
    if (site.context == Context::kCode && !site.reference.name.empty()) names.insert(site.reference.name);
  }
  return names;
}

std::set<std::string> variable_names(std::string_view text) {
  std::set<std::string> names;
  for (auto place = next_variable(text, 0); place; place = next_variable(text, place->begin + 1)) {
    if (place->name != "sys_instance_id" && place->name != "sys_label") names.emplace(place->name);
  }
  return names;
}

}  // namespace durabled::dsl
