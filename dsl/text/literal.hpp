// Literals of workflow texts and their casts. docs/language.md, "Text".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dsl/expected.hpp"

namespace durabled::dsl {

struct Literal {
  enum class Kind { kNull, kBool, kNumber, kString, kJson, kInterval };
  Kind kind = Kind::kNull;
  std::string text;    // "true", "-5", the string's value, JSON text, the interval as canonical seconds
  double seconds = 0;  // kInterval

  // "the number 5", "NULL", …, for messages.
  std::string describe() const;
};

// A number as SQL reads and writes it: ".5" is "0.5", "007" is "7", "1e3" is "1000", "+5" is "5". nullopt: too long.
// Requires: digits with a sign, a point and an exponent at most.
std::optional<std::string> sql_number(std::string_view text);

// Whether `name` (folded) is a type that a literal may be cast to; the multi-word ones by their canonical
// name ("double precision").
bool is_known_type(std::string_view name);

// `literal` as `type`; error: why it cannot be. Requires: is_known_type(type).
Expected<Literal, std::string> cast_literal(const Literal& literal, std::string_view type);

}  // namespace durabled::dsl
