#include "dsl/value/render.hpp"

#include <algorithm>
#include <cctype>

#include "dsl/value/array_text.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/lookup.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/sql_literal.hpp"

namespace durabled::dsl {
namespace {

using Form = Reference::Form;

constexpr std::size_t kMaxListedNames = 50;

std::string joined_json(const std::vector<std::string_view>& values) {
  std::string out = "[";
  for (const std::string_view value : values) out.append(out.size() > 1 ? "," : "").append(value);
  return out + "]";
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

Rendered render_array(const ReferenceSite& site, const Result& result, Place place) {
  auto column = find_column(site.reference, result);
  if (!column) return Unexpected{column.error()};
  if (site.is_array_argument || site.is_list) flatten(*column);
  return site.is_list ? list_literal(column->values, column->type, place)
                      : array_literal(column->values, column->type, place);
}

// Whether a name for the relation follows: AS, or a word that is not a keyword there.
bool has_own_alias(std::string_view rest) {
  std::size_t position = skip_sql_space(rest, 0);
  if (position < rest.size() && rest[position] == '"') return true;
  if (position >= rest.size() || !is_identifier_start(rest[position])) return false;
  std::string word;
  for (; position < rest.size() && is_identifier_part(rest[position]); ++position)
    word += static_cast<char>(std::tolower(static_cast<unsigned char>(rest[position])));
  return word == "as" || !is_reserved_word(word);
}

bool is_json_number(std::string_view text) {
  std::size_t i = !text.empty() && text.front() == '-' ? 1 : 0;
  const auto digits = [&] {
    const std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - begin;
  };
  const bool starts_with_zero = i < text.size() && text[i] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (starts_with_zero && whole > 1)) return false;
  if (i < text.size() && text[i] == '.' && (++i, digits() == 0)) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

// numeric is a string in a result, because not every reader of JSON keeps its digits.
std::string json_literal(std::string_view json, const std::string& type) {
  if (!type.empty() && json_kind(json) == JsonKind::kString &&
      sql_type(type).kind == SqlType::Kind::kNumeric) {
    std::string text = json_text(json);
    if (is_json_number(text)) return text;
  }
  return std::string(trim_json(json));
}

}  // namespace

Rendered render_text(const Reference& reference, const Result& result) {
  switch (reference.form) {
    case Form::kRelation: {
      const auto set = find_relation(reference, result);
      if (!set) return Unexpected{set.error()};
      return (*set)->rows_json();
    }
    case Form::kArray: {
      const auto column = find_column(reference, result);
      if (!column) return Unexpected{column.error()};
      return joined_json(column->values);
    }
    case Form::kValue: {
      const auto value = find_value(reference, result);
      if (!value) return Unexpected{value.error()};
      if (value->is_null) return std::string();
      const bool is_whole = reference.path.empty() && !result.is_row_set();
      return is_whole ? std::string(value->json) : json_text(value->json);
    }
    case Form::kDollar:
      return std::string("$");
  }
  return std::string();
}

Rendered render_json(const Reference& reference, const Result& result) {
  if (reference.form == Form::kArray) {
    const auto column = find_column(reference, result);
    if (!column) return Unexpected{column.error()};
    std::string out = "[";
    for (const std::string_view value : column->values)
      out.append(out.size() > 1 ? "," : "").append(json_literal(value, column->type));
    return out + "]";
  }
  if (reference.form != Form::kValue) return render_text(reference, result);
  const auto value = find_value(reference, result);
  if (!value) return Unexpected{value.error()};
  return value->is_null ? std::string("null") : json_literal(value->json, value->type);
}

Rendered render_code(const ReferenceSite& site, const Result& result, std::string_view rest) {
  const Place place = site.in_body ? Place::kDollarBody : Place::kStatement;
  const Reference& reference = site.reference;
  if (reference.form == Form::kRelation) {
    const auto set = find_relation(reference, result);
    if (!set) return Unexpected{set.error()};
    return relation_literal(**set, reference.name, !has_own_alias(rest), place);
  }
  // IN with a single value that is not a row set's stays as it is: IN ($response.status).
  const bool is_list = site.is_list && result.all_rows().set != nullptr;
  if (reference.form == Form::kArray || site.is_array_argument || is_list)
    return render_array(site, result, place);
  const auto value = find_value(reference, result);
  if (!value) return Unexpected{value.error()};
  if (value->is_null) return std::string("NULL");
  return value_literal(value->json, value->type, place);
}

bool leaves_rows_out(const Reference& reference, const Result& result) {
  if (reference.form != Form::kValue || !reference.path.empty()) return false;
  const RowSet* set = result.row_set();
  return set != nullptr && set->has_several_rows();
}

SubstitutionError not_bound(const Reference& reference, const Names& names) {
  std::string message = "$" + reference.name + " is not bound; ";
  if (names.empty()) return {message + "no names are bound here"};
  message += "bound names: ";
  std::size_t listed = 0;
  names.visit_changes({}, [&](const std::string& name, const ResultPtr&) {
    if (++listed <= kMaxListedNames) message += (listed == 1 ? "" : ", ") + name;
  });
  return {std::move(message) + (listed > kMaxListedNames ? ", …" : "")};
}

SubstitutionError has_nul(const Reference& reference) {
  return {reference.spelling() + " holds a NUL character (\\u0000), which no text in PostgreSQL can hold"};
}

SubstitutionError too_long(std::size_t max_bytes) {
  const bool in_mib = max_bytes >= 1 << 20;
  const std::string most = std::to_string(max_bytes >> (in_mib ? 20 : 10)) + (in_mib ? " MiB" : " KiB");
  return {"the text has more than " + most +
          " once its references are replaced; insert less, or let the statement read the rows from a table"};
}

}  // namespace durabled::dsl
