// Boost.JSON with bounds: parsing untrusted text, and how numbers are written.
#pragma once

#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "dsl/expected.hpp"

namespace durabled::dsl {

// Deeper graphs are refused whatever the configuration says: reading, checking and printing recurse.
inline constexpr int kHardDepth = 1000;

// How deep the JSON of a graph of `depth` levels may be: a node is at most an object in an array in an
// object.
inline std::size_t graph_json_depth(int depth) {
  return 2 * static_cast<std::size_t>(std::clamp(depth, 1, kHardDepth)) + 8;
}

struct JsonParseError {
  bool too_deep = false;
  std::string message;  // "not valid JSON: …"
};

// Never throws for bad text. Values nested deeper than `max_depth` are an error.
Expected<boost::json::value, JsonParseError> parse_json(std::string_view text, std::size_t max_depth = 64);

// "a string", "a number", …, for messages.
std::string_view json_kind_name(const boost::json::value& value);

}  // namespace durabled::dsl
