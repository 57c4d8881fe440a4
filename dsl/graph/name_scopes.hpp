// Which names may be bound where: LANGUAGE section 5, "Naming".
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct UnboundName {
  NodeIndex node;  // whose template references it
  std::string name;
  std::size_t offset = 0;  // kSql: where in the node's text its first reference begins
};

// Every name that a node references although no path before it binds one, once a node, in preorder.
std::vector<UnboundName> find_unbound_names(const Graph& graph);

}  // namespace durabled::dsl
