#include "dsl/engine/node_states.hpp"

#include "dsl/value/json_writer.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxResultBytes = 64 << 10;
constexpr std::size_t kFailedRowsKept = 5;

void write_list(JsonWriter& json, std::string_view name, const auto& numbers) {
  json.key(name).list();
  for (const auto number : numbers) json.number(static_cast<std::int64_t>(number));
  json.close();
}

}  // namespace

NodeStates::NodeStates(const Graph& graph)
    : graph_(graph), end_(graph.nodes.size()), counts_(graph.nodes.size()) {
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {  // preorder: children come after their parents
    const auto node = static_cast<NodeIndex>(i);
    end_[node] = graph[node].children.empty() ? node + 1 : end_[graph[node].children.back()];
  }
}

void NodeStates::begun(NodeIndex node) {
  ++counts_[node].running;
  changed_ = true;
}

void NodeStates::completed(NodeIndex node) {
  --counts_[node].running;
  ++counts_[node].completed;
  changed_ = true;
}

void NodeStates::failed(NodeIndex node) {
  --counts_[node].running;
  ++counts_[node].failed;
  changed_ = true;
}

void NodeStates::stopped(NodeIndex node, StopReason reason) {
  Counts& counts = counts_[node];
  --counts.running;
  changed_ = true;
  if (reason == StopReason::kReplaced) return;
  ++counts.stopped;
  counts.reason = reason;
}

// What runs below may belong to another row of a df.for_each around `node`, so it goes on counting.
void NodeStates::begin_again_below(NodeIndex node) {
  for (NodeIndex below = node + 1; below < end_[node]; ++below) {
    const std::uint32_t running = counts_[below].running;
    counts_[below] = {};
    counts_[below].running = running;
  }
  rows_.erase(rows_.upper_bound(node), rows_.lower_bound(end_[node]));
  results_.erase(results_.upper_bound(node), results_.lower_bound(end_[node]));
  changed_ = true;
}

void NodeStates::rows_begun(NodeIndex node, std::size_t total) {
  rows_[node] = {total, 0, 0, {}};
  changed_ = true;
}

void NodeStates::row_ended(NodeIndex node, std::size_t row, bool ok) {
  Rows& rows = rows_[node];
  ++rows.done;
  changed_ = true;
  if (ok) return;
  if (++rows.failed <= kFailedRowsKept) rows.first_failed.push_back(row);
}

void NodeStates::loop_result(NodeIndex node, const std::string& value) {
  if (value.size() <= kMaxResultBytes) results_[node] = value;
  changed_ = true;
}

char NodeStates::letter(NodeIndex node) const {
  const Counts& counts = counts_[node];
  if (counts.running > 0) return 'r';
  if (counts.failed > 0) return 'f';
  if (counts.stopped > 0) {
    switch (counts.reason) {
      case StopReason::kLostRace:
        return 'l';
      case StopReason::kTimedOut:
        return 't';
      case StopReason::kInstanceEnded:
      case StopReason::kReplaced:
        return 'x';
    }
  }
  return counts.completed > 0 ? 'c' : 'p';
}

// A node that has not begun is skipped once its parent has ended, and so is the branch that an if did not take.
std::string NodeStates::letters() const {
  std::string letters(counts_.size(), 'p');
  for (std::size_t i = 0; i < counts_.size(); ++i) letters[i] = letter(static_cast<NodeIndex>(i));
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const Node& node = graph_[static_cast<NodeIndex>(i)];
    const bool ended = letters[i] != 'r' && letters[i] != 'p';
    const std::size_t first_branch = node.kind == NodeKind::kIf       ? 1
                                     : node.kind == NodeKind::kIfRows ? 0
                                                                      : node.children.size();
    bool taken = false;
    for (std::size_t slot = first_branch; slot < node.children.size(); ++slot)
      taken = taken || letters[node.children[slot]] != 'p';
    for (std::size_t slot = 0; slot < node.children.size(); ++slot) {
      char& child = letters[node.children[slot]];
      if (child == 'p' && (ended || (taken && slot >= first_branch))) child = 's';
    }
  }
  return letters;
}

std::string NodeStates::json(std::int64_t seq, const std::vector<std::int64_t>* waits) {
  changed_ = false;
  JsonWriter json;
  json.object().number("seq", seq).member("nodes", letters());
  if (!rows_.empty()) {
    json.key("rows").object();
    for (const auto& [node, rows] : rows_) {
      json.key(node_id(node)).object().number("total", static_cast<std::int64_t>(rows.total));
      json.number("done", static_cast<std::int64_t>(rows.done));
      json.number("failed", static_cast<std::int64_t>(rows.failed));
      write_list(json, "first_failed", rows.first_failed);
      json.close();
    }
    json.close();
  }
  if (!results_.empty()) {
    json.key("results").object();
    for (const auto& [node, value] : results_) json.raw(node_id(node), value);
    json.close();
  }
  if (waits != nullptr) write_list(json, "waits", *waits);
  return json.close().take();
}

}  // namespace durabled::dsl
