// Collects the nodes of a graph while its text is parsed, in whatever order they come, and lays them out at
// the end.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "dsl/graph/graph.hpp"
#include "dsl/graph/source.hpp"
#include "dsl/text/lexer.hpp"
#include "dsl/text/literal.hpp"

namespace durabled::dsl {

// A parsed operand: a literal (which is a step only where one is expected), or a node of the builder.
struct Operand {
  std::variant<Literal, NodeIndex> value;
  Position at;
  bool is_bare_result = false;  // of an infix operator, without parentheses around it

  bool is_node() const { return std::holds_alternative<NodeIndex>(value); }
  NodeIndex node() const { return std::get<NodeIndex>(value); }
  const Literal& literal() const { return std::get<Literal>(value); }
};

// Node indices are the builder's own until finish(). Throws SyntaxError. Not thread-safe.
class GraphBuilder {
 public:
  explicit GraphBuilder(const GraphLimits& limits) : limits_(limits) {}

  // Adds a node whose children are in already, after checking it by the rules of graph/rules.hpp.
  NodeIndex add(Node node, const Position& at);
  // The same without the check, for a node that has passed it.
  NodeIndex store(Node node, const Position& at);
  // `operand` as a step: a string is a SQL step, or a whole graph when it is the SQL door's JSON.
  NodeIndex step(const Operand& operand);

  // a op b, for kSequence, kJoin and kRace: joins an unnamed `left` of the same kind instead of nesting it.
  NodeIndex append(NodeKind kind, NodeIndex left, NodeIndex right, const Position& at);
  // Before set_name(): a name that the node has already will be lost, unless it is the same.
  void note_lost_name(NodeIndex index, const std::string& name) {
    if (nodes_[index].result_name != name) entries_[index].lost_name = nodes_[index].result_name;
  }
  void set_name(NodeIndex index, const std::string& name, const Position& name_at, bool bare);

  Node& operator[](NodeIndex index) { return nodes_[index]; }

  // The graph under `root`, in preorder, and the places of its nodes. Error: deeper than the limit.
  Graph finish(NodeIndex root, SourceMap& map);

 private:
  NodeIndex import_json(const std::string& text, const Position& at);

  const GraphLimits& limits_;
  std::vector<Node> nodes_;
  std::vector<SourceMap::Entry> entries_;
};

}  // namespace durabled::dsl
