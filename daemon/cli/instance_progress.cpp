#include "daemon/cli/instance_progress.hpp"
#include "dsl/graph/kinds.hpp"

#include <functional>

namespace durabled::daemon::cli {
namespace {

using dsl::Graph;
using dsl::NodeIndex;
using dsl::NodeKind;

NodeIndex last_descendant(const Graph& graph, NodeIndex node) {
  while (!graph[node].children.empty()) node = graph[node].children.back();
  return node;
}

// The step whose end is the end of `node`; kNoNode where that depends on what happens.
NodeIndex last_step(const Graph& graph, NodeIndex node) {
  const dsl::Flow flow = dsl::info(graph[node].kind).flow;
  if (flow == dsl::Flow::kInOrder) return last_step(graph, graph[node].children.back());
  return flow == dsl::Flow::kStep ? node : dsl::kNoNode;
}

// The for_eachs whose rows are counted: those outside of any loop and of any other for_each.
std::vector<NodeIndex> outermost_for_eachs(const Graph& graph) {
  std::vector<NodeIndex> found;
  const std::function<void(NodeIndex)> visit = [&](NodeIndex node) {
    if (graph[node].kind == NodeKind::kLoop) return;
    if (graph[node].kind == NodeKind::kForEach) {
      found.push_back(node);
      return;
    }
    for (const NodeIndex child : graph[node].children) visit(child);
  };
  visit(0);
  return found;
}

std::string counted(const store::RowCounts& rows, bool knows_done, bool completed) {
  if (!rows.total && rows.done == 0) return "";
  const std::string total = rows.total ? std::to_string(*rows.total) : "?";
  std::string text = knows_done ? std::to_string(rows.done) + '/' + total : total + " rows";
  if (rows.failed.empty()) return text;
  text += ", " + std::to_string(rows.failed.size()) + (completed ? " with caught failures [" : " failed [");
  for (std::size_t i = 0; i < rows.failed.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(rows.failed[i]);
  return text + ']';
}

std::string for_each_progress(store::ClientStore& store, const std::string& id, const Graph& graph,
                              NodeIndex node, bool completed) {
  const NodeIndex source = graph[node].children.at(0), body = graph[node].children.at(1);
  const NodeIndex last = last_step(graph, body);
  const bool knows_done = last != dsl::kNoNode;
  return counted(
      store.rows_of(id, {dsl::node_id(source), dsl::node_id(body), dsl::node_id(last_descendant(graph, body)),
                         dsl::node_id(knows_done ? last : body)}),
      knows_done, completed);
}

bool has_loop(const Graph& graph) {
  for (const dsl::Node& node : graph.nodes)
    if (node.kind == NodeKind::kLoop) return true;
  return false;
}

}  // namespace

std::map<std::string, std::string> progress_of(store::ClientStore& store, const std::string& id,
                                               const Graph& graph, bool completed) {
  std::map<std::string, std::string> notes;
  for (const NodeIndex node : outermost_for_eachs(graph)) {
    const std::string text = for_each_progress(store, id, graph, node, completed);
    if (!text.empty()) notes[dsl::node_id(node)] = text;
  }
  if (has_loop(graph)) {
    for (const store::NodeIterations& loop : store.iterations(id))
      notes[loop.node_id] = "iteration " + std::to_string(loop.completed + 1);
  }
  return notes;
}

std::string progress_line(store::ClientStore& store, const std::string& id, const Graph& graph) {
  std::string line;
  for (const auto& [node, text] : progress_of(store, id, graph)) {
    const dsl::NodeIndex index = dsl::node_index(graph, node);
    if (index == dsl::kNoNode) continue;
    const std::string kind = graph[index].kind == NodeKind::kForEach ? "for_each " : "";
    line += (line.empty() ? "" : ", ") + kind + text;
  }
  return line;
}

std::optional<long long> most_attempts(const std::optional<Graph>& graph, const std::string& node_id) {
  const NodeIndex wanted = graph ? dsl::node_index(*graph, node_id) : dsl::kNoNode;
  if (wanted == dsl::kNoNode) return std::nullopt;
  std::optional<long long> most;
  // In preorder a node's ancestors come before it, the innermost last.
  for (NodeIndex node = 0; node < wanted; ++node) {
    const auto* options = std::get_if<dsl::RetryOptions>(&(*graph)[node].options);
    if (options != nullptr && last_descendant(*graph, node) >= wanted) most = options->max_attempts;
  }
  return most;
}

}  // namespace durabled::daemon::cli
