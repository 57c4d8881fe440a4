#include "dsl/value/sql_literal.hpp"

#include <algorithm>
#include <cctype>

#include "dsl/value/array_text.hpp"
#include "dsl/value/characters.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

using Kind = SqlType::Kind;

std::string typed(std::string literal, const SqlType& type) {
  return std::move(literal) + "::" + type.cast;
}

bool is_integer_text(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// What SQL reads as a numeric constant, with a sign before it: digits, a point, an exponent.
bool is_number_text(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  const std::size_t mantissa = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, mantissa);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const auto all_digits = [](std::string_view part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), is_digit);
  };
  if (!all_digits(digits.substr(0, point))) return false;
  if (point < digits.size() && !all_digits(digits.substr(point + 1))) return false;
  if (mantissa == text.size()) return true;
  std::string_view exponent = text.substr(mantissa + 1);
  if (!exponent.empty() && (exponent.front() == '-' || exponent.front() == '+')) exponent.remove_prefix(1);
  return all_digits(exponent);
}

std::string in_parentheses_if_negative(const std::string& number) {
  return number.front() == '-' ? "(" + number + ")" : number;
}

// A composite goes back by way of JSON, because only the server knows its fields' types: in the row's text
// form a nested array and a JSON array, or a string and a JSON string, would look the same.
std::string composite_literal(std::string_view object, const SqlType& type, Place place) {
  return "pg_catalog.json_populate_record(NULL::" + type.cast + ", " +
         quote_literal(trim_json(object), place) + "::json)";
}

// Arrays of composites, element by element, for the same reason.
std::string composite_array(const std::vector<std::string_view>& values, const SqlType& element, Place place,
                            int depth) {
  std::string out = "ARRAY[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    const JsonKind kind = json_kind(values[i]);
    if (kind == JsonKind::kNull) {
      out += "NULL::" + element.cast;
    } else if (kind == JsonKind::kArray && depth < kMaxArrayDepth) {
      out += composite_array(elements_of(values[i]), element, place, depth + 1);
    } else if (kind == JsonKind::kObject) {
      out += composite_literal(values[i], element, place);
    } else {
      out += typed(quote_literal(json_text(values[i]), place), element);
    }
  }
  return out + "]";
}

std::string array_of(const std::vector<std::string_view>& values, const SqlType& element, Place place) {
  const std::string cast = "::" + array_cast(element);
  if (element.kind == Kind::kOther && holds_object(values))
    return composite_array(values, element, place, 0) + cast;
  return quote_literal(array_text(values, element), place) + cast;
}

// A value whose type is not known: path into JSON, field of a result that is not a row set.
std::string untyped_literal(std::string_view json, Place place) {
  const std::string text = json_text(json);
  switch (json_kind(json)) {
    case JsonKind::kString:
      return quote_literal(text, place);
    case JsonKind::kNumber:
      return is_number_text(text) ? in_parentheses_if_negative(text) : quote_literal(text, place);
    case JsonKind::kBool:
      return text == "true" ? "true" : "false";
    case JsonKind::kNull:
    case JsonKind::kArray:
    case JsonKind::kObject:
      return quote_literal(text, place) + "::jsonb";
  }
  return {};
}

std::string text_literal(std::string_view json, Place place) {
  return json_kind(json) == JsonKind::kObject ? quote_literal(row_text(json), place)
                                              : quote_literal(json_text(json), place);
}

// A value that does not have its type's form, in a result that was made up, is quoted: Postgres says what is
// wrong with it.
std::string literal_of(std::string_view json, const SqlType& type, Place place) {
  const JsonKind kind = json_kind(json);
  const std::string text = json_text(json);
  switch (type.kind) {
    case Kind::kText:
      return text_literal(json, place);
    case Kind::kJson:
      return typed(quote_literal(trim_json(json), place), type);
    case Kind::kBool:
      if (kind == JsonKind::kBool) return text == "true" ? "true" : "false";
      break;
    case Kind::kInteger:
      // Alone, 2147483648 is a bigint, and so is its negative.
      if (text == "-2147483648") return "(-2147483648)::integer";
      if (is_integer_text(text) && text.size() <= 11) return in_parentheses_if_negative(text);
      break;
    case Kind::kBigint:
      if (is_integer_text(text)) return typed(in_parentheses_if_negative(text), type);
      break;
    case Kind::kNumeric:
      if (is_number_text(text)) return typed(in_parentheses_if_negative(text), type);
      break;
    case Kind::kArray:
      if (kind == JsonKind::kArray) return array_of(elements_of(json), sql_type(type.element), place);
      break;
    case Kind::kOther:
      if (kind == JsonKind::kObject) return composite_literal(json, type, place);
      if (kind == JsonKind::kArray)
        return typed(quote_literal(array_text(elements_of(json), type), place), type);
      break;
    case Kind::kSmallint:
    case Kind::kFloat:
      break;
  }
  return typed(quote_literal(text, place), type);
}

// Fixes the type of a relation's column, so that literals that need no cast elsewhere get one.
std::string cast_literal(std::string_view json, const SqlType& type, Place place) {
  if (json_kind(json) == JsonKind::kNull) return "NULL::" + type.cast;
  std::string literal = literal_of(json, type, place);
  const bool has_cast = type.kind != Kind::kText && type.kind != Kind::kInteger;
  const bool is_cast = has_cast || literal == "(-2147483648)::integer";
  return is_cast ? literal : literal + "::" + type.cast;
}

void append_row(std::string& out, std::string_view row, const RowSet& set, const std::vector<SqlType>& types,
                bool is_first, Place place) {
  out += is_first ? "(" : ", (";
  // Rows hold their columns in order; a made-up result need not.
  JsonWalker walker(row);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const bool in_order = walker.next() && walker.key() == set.columns[i].name;
    const std::string_view value =
        in_order ? walker.value() : json_member(row, set.columns[i].name).value_or("null");
    if (i > 0) out += ", ";
    if (is_first) {
      out += cast_literal(value, types[i], place);
    } else {
      out += json_kind(value) == JsonKind::kNull ? "NULL" : literal_of(value, types[i], place);
    }
  }
  out += ')';
}

// A row set without columns still has its rows.
std::string relation_without_columns(const RowSet& set) {
  std::size_t count = 0;
  set.visit_rows([&count](std::string_view) { ++count; });
  return "(SELECT FROM pg_catalog.generate_series(1, " + std::to_string(count) + "))";
}

std::string relation_body(const RowSet& set, Place place) {
  if (set.columns.empty()) return relation_without_columns(set);
  std::vector<SqlType> types;
  for (const ResultColumn& column : set.columns) types.push_back(sql_type(column.type));
  if (!set.first_row) {
    std::string out = "(SELECT ";
    for (const SqlType& type : types) out += (out.size() > 8 ? ", NULL::" : "NULL::") + type.cast;
    return out + " WHERE false)";
  }
  std::string out = "(VALUES ";
  bool is_first = true;
  set.visit_rows([&](std::string_view row) {
    append_row(out, row, set, types, is_first, place);
    is_first = false;
  });
  return out + ")";
}

}  // namespace

std::string quote_literal(std::string_view text, Place place) {
  const bool escapes_dollar = place == Place::kDollarBody && text.find('$') != std::string_view::npos;
  const bool needs_escapes = escapes_dollar || text.find('\\') != std::string_view::npos;
  std::string out = needs_escapes ? "E'" : "'";
  out.reserve(text.size() + 8);
  for (const char c : text) {
    if (c == '$' && escapes_dollar) {
      out += "\\044";
      continue;
    }
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + '\'';
}

std::string value_literal(std::string_view json, std::string_view type, Place place) {
  return type.empty() ? untyped_literal(json, place) : literal_of(json, sql_type(type), place);
}

std::string array_literal(const std::vector<std::string_view>& values, std::string_view type, Place place) {
  if (type.empty() && values.empty()) return "'{}'";
  SqlType element = sql_type(type);
  if (element.kind == Kind::kArray) element = sql_type(element.element);
  return array_of(values, element, place);
}

std::string list_literal(const std::vector<std::string_view>& values, std::string_view type, Place place) {
  SqlType element = sql_type(type);
  if (element.kind == Kind::kArray) element = sql_type(element.element);
  if (values.empty()) return "SELECT NULL::" + element.cast + " WHERE false";
  std::string out;
  for (const std::string_view value : values) {
    if (!out.empty()) out += ", ";
    out += json_kind(value) == JsonKind::kNull ? "NULL" : literal_of(value, element, place);
  }
  return out;
}

std::string relation_literal(const RowSet& set, std::string_view name, bool has_alias, Place place) {
  const bool is_plain =
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::isupper(c); });
  std::string alias =
      " AS " + (is_plain && !is_reserved_word(name) ? std::string(name) : quote_identifier(name));
  for (std::size_t i = 0; i < set.columns.size(); ++i) {
    alias += i == 0 ? "(" : ", ";
    alias += quote_identifier(set.columns[i].name);
  }
  if (!set.columns.empty()) alias += ')';
  std::string relation = relation_body(set, place) + alias;
  return has_alias ? relation : "(SELECT * FROM " + std::move(relation) + ")";
}

}  // namespace durabled::dsl
