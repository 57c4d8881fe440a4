// The value that a reference takes from a result.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/value/reference.hpp"
#include "dsl/value/result.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {

// Slices of the result's JSON; they live as long as the result.
struct FoundValue {
  std::string_view json;
  std::string type;      // its column's type; empty when only JSON says what it is
  bool is_null = false;  // the result has no such value, and '?' allows that
};
struct FoundColumn {
  std::vector<std::string_view> values;
  std::string type;
};

Expected<FoundValue, SubstitutionError> find_value(const Reference& reference, const Result& result);
// For $n[] and $n.col[].
Expected<FoundColumn, SubstitutionError> find_column(const Reference& reference, const Result& result);
// For $n.*; never null.
Expected<const RowSet*, SubstitutionError> find_relation(const Reference& reference, const Result& result);

}  // namespace durabled::dsl
