#include "dsl/text/literal.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules.hpp"

namespace durabled::dsl {
namespace {

enum class Target { kText, kJson, kInterval, kNumeric, kInteger, kBool };

constexpr std::array<std::pair<std::string_view, Target>, 27> kTypes = {{
    {"text", Target::kText},
    {"varchar", Target::kText},
    {"character varying", Target::kText},
    {"name", Target::kText},
    {"timestamptz", Target::kText},  // for start_at, which the server reads
    {"timestamp with time zone", Target::kText},
    {"timestamp", Target::kText},
    {"timestamp without time zone", Target::kText},
    {"date", Target::kText},
    {"json", Target::kJson},
    {"jsonb", Target::kJson},
    {"interval", Target::kInterval},
    {"numeric", Target::kNumeric},
    {"decimal", Target::kNumeric},
    {"real", Target::kNumeric},
    {"float", Target::kNumeric},
    {"float4", Target::kNumeric},
    {"float8", Target::kNumeric},
    {"double precision", Target::kNumeric},
    {"int", Target::kInteger},
    {"integer", Target::kInteger},
    {"int2", Target::kInteger},
    {"int4", Target::kInteger},
    {"int8", Target::kInteger},
    {"bigint", Target::kInteger},
    {"bool", Target::kBool},
    {"boolean", Target::kBool},
}};

std::optional<Target> find_target(std::string_view name) {
  if (name == "smallint") return Target::kInteger;
  for (const auto& [type, target] : kTypes) {
    if (type == name) return target;
  }
  return std::nullopt;
}

// "1234" and an exponent of ten that moves its point; nullopt when PostgreSQL's numeric could not hold it.
std::optional<std::string> place_point(std::string digits, std::int64_t point) {
  constexpr std::int64_t kMaxBefore = 131'072, kMaxAfter = 16'383;  // of numeric
  const auto size = static_cast<std::int64_t>(digits.size());
  if (point > kMaxBefore || size - point > kMaxAfter) return std::nullopt;
  if (point < 0) digits.insert(0, static_cast<std::size_t>(-point), '0');
  if (point > size) digits.append(static_cast<std::size_t>(point - size), '0');
  const auto before = static_cast<std::size_t>(std::max<std::int64_t>(point, 0));
  std::string whole = digits.substr(0, before);
  whole.erase(0, whole.find_first_not_of('0'));
  const std::string fraction = digits.substr(before);
  return (whole.empty() ? "0" : whole) + (fraction.empty() ? "" : "." + fraction);
}

using Kind = Literal::Kind;
using Cast = Expected<Literal, std::string>;

Cast refuse(const Literal& literal, std::string_view type) {
  return Unexpected{literal.describe() + " cannot be cast to " + std::string(type)};
}

Cast to_json(const Literal& literal, std::string_view type) {
  if (literal.kind != Kind::kString && literal.kind != Kind::kJson) return refuse(literal, type);
  const auto parsed = parse_json(literal.text);
  if (!parsed) return Unexpected{literal.describe() + " is " + parsed.error().message};
  return Literal{Kind::kJson, literal.text, 0};
}

Cast to_interval(const Literal& literal, std::string_view type) {
  if (literal.kind == Kind::kInterval) return literal;
  if (literal.kind != Kind::kString) return refuse(literal, type);
  const auto seconds = parse_interval(literal.text);
  if (!seconds || !std::isfinite(*seconds)) return Unexpected{literal.describe() + " is not an interval"};
  return Literal{Kind::kInterval, literal.text, *seconds};
}

Cast to_number(const Literal& literal, std::string_view type, bool integer) {
  if (literal.kind != Kind::kNumber && literal.kind != Kind::kString) return refuse(literal, type);
  const auto value = parse_number(literal.text);
  if (!value || !std::isfinite(*value)) return Unexpected{literal.describe() + " is not a number"};
  const bool is_whole = literal.text.find_first_of(".eE") == std::string::npos;
  if (!integer || is_whole) return Literal{Kind::kNumber, literal.text, 0};
  if (literal.kind == Kind::kString || std::abs(*value) > 9e15)
    return Unexpected{literal.describe() + " is not an integer"};
  return Literal{Kind::kNumber, std::to_string(static_cast<long long>(std::nearbyint(*value))), 0};
}

Cast to_bool(const Literal& literal, std::string_view type) {
  if (literal.kind == Kind::kBool) return literal;
  if (literal.kind != Kind::kString && literal.kind != Kind::kNumber) return refuse(literal, type);
  std::string word;
  for (const char c : literal.text) word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* yes : {"t", "true", "y", "yes", "on", "1"}) {
    if (word == yes) return Literal{Kind::kBool, "true", 0};
  }
  for (const char* no : {"f", "false", "n", "no", "off", "0"}) {
    if (word == no) return Literal{Kind::kBool, "false", 0};
  }
  return Unexpected{literal.describe() + " is not a boolean"};
}

}  // namespace

std::string Literal::describe() const {
  switch (kind) {
    case Kind::kNull:
      return "NULL";
    case Kind::kBool:
      return text;
    case Kind::kNumber:
      return "the number " + shorten(text, 40);
    case Kind::kString:
      return "the string '" + shorten(text, 40) + "'";
    case Kind::kJson:
      return "the JSON '" + shorten(text, 40) + "'";
    case Kind::kInterval:
      return "the interval '" + shorten(text, 40) + "'";
  }
  return "";
}

std::optional<std::string> sql_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::size_t mark = std::min(text.find_first_of("eE"), text.size());
  std::int64_t exponent = 0;
  if (mark < text.size()) {
    std::string_view digits = text.substr(mark + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc() || end != digits.data() + digits.size() || std::abs(exponent) > 1'000'000)
      return std::nullopt;
  }
  const std::string_view mantissa = text.substr(0, mark);
  const std::size_t whole = std::min(mantissa.find('.'), mantissa.size());
  std::string digits(mantissa.substr(0, whole));
  if (whole < mantissa.size()) digits += mantissa.substr(whole + 1);
  auto number = place_point(std::move(digits), static_cast<std::int64_t>(whole) + exponent);
  if (number && negative && number->find_first_of("123456789") != std::string::npos) number->insert(0, "-");
  return number;
}

bool is_known_type(std::string_view name) {
  return find_target(name).has_value();
}

Expected<Literal, std::string> cast_literal(const Literal& literal, std::string_view type) {
  if (literal.kind == Kind::kNull) return literal;
  switch (*find_target(type)) {
    case Target::kText:
      if (literal.kind == Kind::kNumber) {
        return Literal{Kind::kString, sql_number(literal.text).value_or(literal.text), 0};
      }
      return Literal{Kind::kString, literal.text, 0};
    case Target::kJson:
      return to_json(literal, type);
    case Target::kInterval:
      return to_interval(literal, type);
    case Target::kNumeric:
      return to_number(literal, type, false);
    case Target::kInteger:
      return to_number(literal, type, true);
    case Target::kBool:
      return to_bool(literal, type);
  }
  return refuse(literal, type);
}

}  // namespace durabled::dsl
