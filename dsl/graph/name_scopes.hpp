// Which names may be bound where: LANGUAGE section 5, "Naming".
#pragma once

#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct UnboundName {
  NodeIndex node;  // whose template references it
  std::string name;
};

// Every name that a node references although no path before it binds one, once a node, in preorder.
std::vector<UnboundName> find_unbound_names(const Graph& graph);

}  // namespace durabled::dsl
