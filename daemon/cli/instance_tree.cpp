#include "daemon/cli/instance_tree.hpp"

#include <algorithm>
#include <limits>
#include <sstream>

#include "daemon/cli/terminal.hpp"
#include "daemon/cli/workflow_text.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"

namespace durabled::daemon::cli {
namespace {

// The annotation comes right before a node's line, so that it tells whose line it is.
constexpr char kBegin = '\x01';
constexpr std::size_t kIdLength = 8;

std::string annotated_tree(const dsl::Graph& graph) {
  return dsl::print_tree(graph, [](dsl::NodeIndex index) { return kBegin + dsl::node_id(index) + ' '; });
}

struct AnnotatedLine {
  std::string indent, node, text;  // indent: with an arrow before a later step; node: "" for a heading
};

AnnotatedLine take_apart(const std::string& line) {
  const std::size_t begin = line.find(kBegin);
  if (begin == std::string::npos || line.size() < begin + kIdLength + 2) return {"", "", line};
  return {line.substr(0, begin), line.substr(begin + 1, kIdLength), line.substr(begin + kIdLength + 2)};
}

}  // namespace

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

std::string marked_tree(const dsl::Graph& graph, const std::vector<store::NodeState>& states,
                        const std::map<std::string, std::string>& notes, bool with_ids) {
  std::map<std::string, std::string> status;
  for (const store::NodeState& state : states) status[state.node_id] = state.status;
  const std::size_t width = terminal_width();
  std::istringstream lines(annotated_tree(graph));
  std::string tree;
  for (std::string line; std::getline(lines, line);) {
    const AnnotatedLine parts = take_apart(line);
    tree += parts.indent;
    if (parts.node.empty()) {
      tree += parts.text + '\n';
      continue;
    }
    const auto state = status.find(parts.node);
    const std::string is = state == status.end() ? "pending" : state->second;
    const auto note = notes.find(parts.node);
    const std::string after = note == notes.end() ? "" : " (" + note->second + ')';
    // A line that is wider than the terminal would break the tree's shape, so its text is cut.
    constexpr std::size_t kMark = 3, kId = 9, kLeast = 20;
    const std::size_t other = width_of(parts.indent) + kMark + (with_ids ? kId : 0) + width_of(after);
    const std::size_t left = width == 0 ? 0 : std::max(kLeast, width - std::min(width, other));
    tree += paint(status_colour(is), status_mark(is)) + ' ';
    if (with_ids) tree += paint(Colour::kDim, parts.node) + ' ';
    tree += one_line(parts.text, left) + paint(Colour::kDim, after) + '\n';
  }
  return tree;
}

std::map<std::string, std::string> node_lines(const dsl::Graph& graph) {
  std::map<std::string, std::string> all;
  std::istringstream lines(annotated_tree(graph));
  for (std::string line; std::getline(lines, line);) {
    const AnnotatedLine parts = take_apart(line);
    if (!parts.node.empty()) all[parts.node] = parts.text;
  }
  return all;
}

}  // namespace durabled::daemon::cli
