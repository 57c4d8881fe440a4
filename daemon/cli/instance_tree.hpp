// An instance's graph as lines for people.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

// The graph that the instance runs; the text's own while no daemon has taken it; nothing for a text that cannot
// be parsed.
std::optional<dsl::Graph> graph_of(const store::InstanceDetail& instance);

// The tree with each node's status mark, its note in parentheses if there is one (by its id), and its id when wanted.
// Nodes without a state are pending. On a terminal long texts are cut at its width.
std::string marked_tree(const dsl::Graph& graph, const std::vector<store::NodeState>& states,
                        const std::map<std::string, std::string>& notes, bool with_ids);

// Each node's own line, by its id: "SQL: SELECT 1". Nodes without a line (unnamed sequences) are not there.
std::map<std::string, std::string> node_lines(const dsl::Graph& graph);

}  // namespace durabled::daemon::cli
