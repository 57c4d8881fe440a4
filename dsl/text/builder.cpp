#include "dsl/text/builder.hpp"

#include <boost/json.hpp>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

bool begins_object(std::string_view text) {
  while (!text.empty() && is_sql_space(text.front())) text.remove_prefix(1);
  return text.starts_with('{');
}

// Whether `text` is what the SQL door's constructors return; {name} alone is a template of a SQL step.
bool is_graph_json(std::string_view text, const GraphLimits& limits) {
  if (!begins_object(text) || text.find("\"node_type\"") == std::string_view::npos) return false;
  const auto parsed = parse_json(text, graph_json_depth(limits.depth));
  if (!parsed) return parsed.error().too_deep;
  return parsed->is_object() && parsed->get_object().contains("node_type");
}

}  // namespace

NodeIndex GraphBuilder::store(Node node, const Position& at) {
  if (nodes_.size() >= static_cast<std::size_t>(limits_.nodes)) {
    throw SyntaxError{"too_many_nodes",
                      "the workflow has more than " + std::to_string(limits_.nodes) + " nodes",
                      "df.for_each runs one body for many rows", at};
  }
  nodes_.push_back(std::move(node));
  entries_.push_back({at, at, false, {}});
  return static_cast<NodeIndex>(nodes_.size() - 1);
}

NodeIndex GraphBuilder::add(Node node, const Position& at) {
  if (auto problem = apply_rules(node)) {
    const bool is_sql = node.kind == NodeKind::kSql;
    throw SyntaxError{is_sql ? "bad_sql_step" : "bad_argument",
                      (is_sql ? "" : "df." + std::string(info(node.kind).function) + ": ") + *problem, "",
                      at};
  }
  return store(std::move(node), at);
}

NodeIndex GraphBuilder::step(const Operand& operand) {
  if (operand.is_node()) return operand.node();
  const Literal& literal = operand.literal();
  if (literal.kind != Literal::Kind::kString && literal.kind != Literal::Kind::kJson) {
    throw SyntaxError{"not_a_step", "expected a step, found " + literal.describe(),
                      "a step is SQL in a string ('SELECT 1') or a function such as df.sleep(30)",
                      operand.at};
  }
  if (is_graph_json(literal.text, limits_)) return import_json(literal.text, operand.at);
  Node node;
  node.kind = NodeKind::kSql;
  node.text = literal.text;
  node.has_text = true;
  return add(std::move(node), operand.at);
}

NodeIndex GraphBuilder::import_json(const std::string& text, const Position& at) {
  auto graph = from_json(text, limits_);
  if (!graph) throw SyntaxError{"invalid_graph", graph.error().to_string(), "", at};
  const auto base = static_cast<NodeIndex>(nodes_.size());
  for (Node& node : graph->nodes) {
    for (NodeIndex& child : node.children) child += base;
    store(std::move(node), at);
  }
  return base;
}

NodeIndex GraphBuilder::append(NodeKind kind, NodeIndex left, NodeIndex right, const Position& at) {
  Node& node = nodes_[left];
  if (node.kind == kind && node.result_name.empty()) {
    node.children.push_back(right);
    return left;
  }
  Node compound;
  compound.kind = kind;
  compound.children = {left, right};
  return add(std::move(compound), at);
}

void GraphBuilder::set_name(NodeIndex index, const std::string& name, const Position& name_at, bool bare) {
  if (auto problem = check_name(name)) throw SyntaxError{"invalid_identifier", *problem, "", name_at};
  nodes_[index].result_name = name;
  entries_[index].name_at = name_at;
  entries_[index].bare_name = bare;
}

Graph GraphBuilder::finish(NodeIndex root, SourceMap& map) {
  struct Item {
    NodeIndex old, parent;
    std::size_t slot;
    int depth;
  };
  Graph graph;
  std::vector<Item> stack = {{root, kNoNode, 0, 1}};
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    if (item.depth > std::min(limits_.depth, kHardDepth)) {
      throw SyntaxError{"nesting_depth",
                        "maximum nesting depth of " + std::to_string(limits_.depth) + " exceeded", "",
                        entries_[item.old].at};
    }
    const auto index = static_cast<NodeIndex>(graph.nodes.size());
    if (item.parent != kNoNode) graph.nodes[item.parent].children[item.slot] = index;
    graph.nodes.push_back(std::move(nodes_[item.old]));
    map.entries.push_back(entries_[item.old]);
    const auto& children = graph.nodes.back().children;
    for (std::size_t slot = children.size(); slot-- > 0;)
      stack.push_back({children[slot], index, slot, item.depth + 1});
  }
  return graph;
}

}  // namespace durabled::dsl
