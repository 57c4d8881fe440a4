// The names that are bound at some place of a workflow, and their results. A value whose copies share what
// they have in common: ten thousand branches that each bind a name after ten thousand others cost ten
// thousand bindings, not the product.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "dsl/value/result.hpp"

namespace durabled::dsl {

class Names {
 public:
  Names() = default;
  Names(std::initializer_list<std::pair<std::string, ResultPtr>> bindings);

  bool empty() const { return root_ == nullptr; }
  // nullptr when nothing is bound to it.
  ResultPtr find(std::string_view name) const;
  // In place of what it was bound to before; nullptr: to nothing any more.
  void bind(const std::string& name, ResultPtr result);
  void erase(std::string_view name);

  // Calls `visit` for what is bound here to something else than in `before`, in the order of the names. Where
  // this began as a copy of `before` it takes time for the differences only.
  using Visitor = std::function<void(const std::string&, const ResultPtr&)>;
  void visit_changes(const Names& before, const Visitor& visit) const;

 private:
  // A treap: a search tree by name, a heap by the hash of the name, so that its shape depends on what it
  // holds alone. Nodes are never changed.
  struct Node;
  using Tree = std::shared_ptr<const Node>;
  static Tree make(const Node& like, Tree left, Tree right);
  static Tree bound(const Tree& tree, const Node& binding);
  static Tree without(const Tree& tree, std::string_view name);
  static Tree joined(const Tree& left, const Tree& right);
  static std::pair<Tree, Tree> split(const Tree& tree, std::string_view name);
  static const Node* find_node(const Node* tree, std::string_view name);
  static void visit_tree(const Node* tree, const Node* before, const Visitor& visit);

  Tree root_;
};

}  // namespace durabled::dsl
