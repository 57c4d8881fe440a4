// Which warnings the parser alone gives, and df.explain does not: docs/compatibility.md.
#pragma once

#include "dsl/graph/diagnostic.hpp"

namespace durabled::test {

inline bool is_of_the_parser(const dsl::Diagnostic& warning) {
  return warning.code == "unencoded_value" || warning.code == "missing_column" ||
         warning.code == "first_column";
}

}  // namespace durabled::test
