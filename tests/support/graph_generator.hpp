// Random workflows for property tests: any kind of node, any text that the language allows, always the same
// for a seed.
#pragma once

#include <cstdint>
#include <random>

#include "dsl/graph/graph.hpp"

namespace durabled::test {

struct GraphShape {
  int max_depth = 6;   // levels of nodes, the root included
  int max_width = 4;   // children of a node that may have many
  int max_nodes = 60;  // about; leaves are chosen once that many are there
};

// A valid graph in canonical form: from_json(to_json(g)) == g and parse_workflow(print(g)).graph == g.
dsl::Graph random_graph(std::uint64_t seed, const GraphShape& shape = {});

}  // namespace durabled::test
