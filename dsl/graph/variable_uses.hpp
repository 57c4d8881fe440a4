// Which {variables} a workflow has. docs/language.md, "Variables".
#pragma once

#include <set>
#include <string>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct VariableUses {
  // Every {name} in a template.
  std::set<std::string> all;
  // Those that are surely meant as variables: in the code of a statement, where braces mean nothing else, and in
  // templates that are not SQL. Not in a string of SQL, which may be an array ('{a}'), and not ${name}, which is
  // a reference when no variable has the name.
  std::set<std::string> certain;
};

VariableUses find_variables(const Graph& graph);

}  // namespace durabled::dsl
