// Which names may be bound where: docs/language.md, "Names".
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct UnboundName {
  NodeIndex node;  // whose template references it
  std::string name;
  std::size_t offset = 0;  // kSql: where in the node's text its first reference begins
  bool is_certain =
      false;  // it is in the code of a statement or outside of strings in a JSON body: the step can only fail
};

// Every name that a node references although no path before it binds one, once a node, in preorder. "input" is among
// them: that is what the instance was given.
std::vector<UnboundName> find_unbound_names(const Graph& graph);

// Calls `visit` with each template of the node, and whether it is a SQL statement.
void visit_templates(const Node& node, const std::function<void(std::string_view, bool is_sql)>& visit);

// The names that the node's templates reference, and where each is first; the name that a df.if_rows asks for.
std::map<std::string, std::size_t> names_used_by(const Node& node);

}  // namespace durabled::dsl
