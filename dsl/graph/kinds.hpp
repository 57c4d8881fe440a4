// The kinds of nodes, one row a kind: what a kind is called, which children and which text it has, and how
// control and names pass through it. Code that needs only a property of a kind asks here; a switch is for what
// each kind does in its own way (the rules for its text, its line in a tree, what the engine does).
//
// The SQL door has its own table, df._node_shape; a test compares the two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// How control and names pass through a node.
enum class Flow : std::uint8_t {
  kStep,      // no children; the next step follows
  kEnd,       // no children; what follows is never reached
  kInOrder,   // the children one after the other; each knows the names of those before it
  kBranches,  // the children side by side; they do not know each other's names
  kEither,    // one of the branches; a condition, if there is one, is the first child
  kLoop,      // the body again and again, then its condition
  kRows,      // the first child, then the second one for each row, with the row under a name
  kHandler,   // the first child; if it fails the second one, with the error under the name "error"
};

enum class QueryUse : std::uint8_t { kNone, kOptional, kRequired };

struct ChildSlot {
  std::string_view field;  // in the JSON form: "left_node", …
  std::string_view title;  // in a tree: "then:"; empty: no line of its own
};

inline constexpr std::size_t kManyChildren = std::numeric_limits<std::size_t>::max();

struct KindInfo {
  NodeKind kind;
  std::string_view type;      // in the JSON form and in df.nodes; kIf and kIfRows share "IF"
  std::string_view function;  // df.NAME(…)
  std::string_view symbol;    // the operator, where there is one: "~>"
  Flow flow;
  QueryUse query;  // of the JSON form
  bool has_text;   // the query holds Node::text
  bool may_fail;   // the node itself, apart from its children
  bool waits;      // a timer, a schedule or a signal
  std::size_t min_children, max_children;
  // In the order of Node::children. With kManyChildren all from the third on are in "extra_nodes".
  std::array<ChildSlot, 3> slots;

  bool takes(std::string_view field) const;
};

const KindInfo& info(NodeKind kind);
std::span<const KindInfo> all_kinds();

}  // namespace durabled::dsl
