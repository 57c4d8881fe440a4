// The text forms of arrays and rows, as their input functions read them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/value/type_name.hpp"

namespace durabled::dsl {

// {a,"b c",NULL,{…}}. JSON arrays nest, unless the elements are JSON themselves.
std::string array_text(const std::vector<std::string_view>& values, const SqlType& element, int depth = 0);

// (1,"a b",) from the values of a JSON object, in their order.
std::string row_text(std::string_view object);

// Whether a value that is or nests in `values` is an object: a composite, when the elements are not JSON.
bool holds_object(const std::vector<std::string_view>& values, int depth = 0);

std::vector<std::string_view> elements_of(std::string_view json_array);

// More than Postgres allows (6); a value nested deeper is not an array of its.
inline constexpr int kMaxArrayDepth = 16;

}  // namespace durabled::dsl
