// Values that go into an HTTP call without being encoded, so that they could change its structure. Warnings for
// graph/check.hpp.
#pragma once

#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct UnencodedValue {
  std::string message, hint;
};

// One for each such reference in the URL and the body of `node`, in order; none for other kinds of nodes.
std::vector<UnencodedValue> unencoded_values(const Node& node);

}  // namespace durabled::dsl
