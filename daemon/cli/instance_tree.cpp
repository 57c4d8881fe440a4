#include "daemon/cli/instance_tree.hpp"

#include <limits>
#include <sstream>

#include "daemon/cli/terminal.hpp"
#include "daemon/cli/workflow_text.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"

namespace durabled::daemon::cli {

std::optional<dsl::Graph> graph_of(const store::InstanceDetail& instance) {
  if (!instance.graph) {
    auto parsed = check_workflow(instance.dsl);
    return parsed ? std::optional(std::move(parsed->graph)) : std::nullopt;
  }
  dsl::GraphLimits limits;  // its daemon has accepted it, with limits of its own
  limits.nodes = std::numeric_limits<int>::max();
  limits.text_bytes = std::numeric_limits<std::size_t>::max();
  auto graph = dsl::from_json(*instance.graph, limits);
  return graph ? std::optional(std::move(*graph)) : std::nullopt;
}

std::string marked_tree(const dsl::Graph& graph, const std::vector<store::NodeState>& states, bool with_ids) {
  std::map<std::string, std::string> status;
  for (const store::NodeState& state : states) status[state.node_id] = state.status;
  std::string tree = dsl::print_tree(graph, [&](dsl::NodeIndex index) {
    const auto found = status.find(dsl::node_id(index));
    const std::string is = found == status.end() ? "pending" : found->second;
    const std::string mark = paint(status_colour(is), status_mark(is)) + ' ';
    return with_ids ? mark + paint(Colour::kDim, dsl::node_id(index)) + ' ' : mark;
  });
  // A tree that is wider than the terminal loses its shape; the codes of colours take no room.
  const std::size_t width = terminal_width();
  if (width == 0) return tree;
  constexpr std::size_t kCodes = 24;
  std::istringstream lines(tree);
  std::string cut;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = line.find_first_not_of(' ');
    const std::size_t left = width + (coloured() ? kCodes : 0) - std::min(width / 2, indent);
    cut += line.substr(0, indent) + one_line(line.substr(indent), left) + '\n';
  }
  return cut;
}

std::map<std::string, std::string> node_lines(const dsl::Graph& graph) {
  // The annotation stands right before a node's line, so that it tells whose line it is.
  constexpr char kBegin = '\x01';
  const std::string tree =
      dsl::print_tree(graph, [](dsl::NodeIndex index) { return kBegin + dsl::node_id(index) + ' '; });
  std::map<std::string, std::string> all;
  std::istringstream lines(tree);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find(kBegin);
    constexpr std::size_t kIdLength = 8;
    if (begin == std::string::npos || line.size() < begin + kIdLength + 2) continue;
    all[line.substr(begin + 1, kIdLength)] = line.substr(begin + kIdLength + 2);
  }
  return all;
}

}  // namespace durabled::daemon::cli
