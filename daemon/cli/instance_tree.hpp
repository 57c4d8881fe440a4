// An instance's graph as lines for people.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

// The graph that the instance runs; the text's own while no daemon has taken it; nothing for a text that is
// none.
std::optional<dsl::Graph> graph_of(const store::InstanceDetail& instance);

// The tree with each node's status mark, and its id when wanted. Nodes without a state are pending.
std::string marked_tree(const dsl::Graph& graph, const std::vector<store::NodeState>& states, bool with_ids);

// Each node's own line, by its id: "SQL: SELECT 1". Nodes without a line (unnamed sequences) are not there.
std::map<std::string, std::string> node_lines(const dsl::Graph& graph);

}  // namespace durabled::daemon::cli
