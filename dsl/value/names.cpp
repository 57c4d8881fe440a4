#include "dsl/value/names.hpp"

#include <cstdint>

namespace durabled::dsl {
namespace {

// FNV-1a, and a last mixing because the heap compares the highest bits first.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return (hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9U;
}

}  // namespace

struct Names::Node {
  std::string name;
  ResultPtr result;
  std::uint64_t priority;
  Tree left, right;

  bool is_above(const Node& other) const {
    return priority != other.priority ? priority > other.priority : name < other.name;
  }
};

Names::Names(std::initializer_list<std::pair<std::string, ResultPtr>> bindings) {
  for (const auto& [name, result] : bindings) bind(name, result);
}

Names::Tree Names::make(const Node& like, Tree left, Tree right) {
  return std::make_shared<const Node>(
      Node{like.name, like.result, like.priority, std::move(left), std::move(right)});
}

const Names::Node* Names::find_node(const Node* tree, std::string_view name) {
  while (tree != nullptr && tree->name != name) tree = (name < tree->name ? tree->left : tree->right).get();
  return tree;
}

ResultPtr Names::find(std::string_view name) const {
  const Node* node = find_node(root_.get(), name);
  return node == nullptr ? nullptr : node->result;
}

void Names::bind(const std::string& name, ResultPtr result) {
  if (result == nullptr) return erase(name);
  root_ = bound(root_, {name, std::move(result), hash_of(name), nullptr, nullptr});
}

void Names::erase(std::string_view name) {
  if (find_node(root_.get(), name) != nullptr) root_ = without(root_, name);
}

// What is before and what is after `name`, which the tree does not have.
std::pair<Names::Tree, Names::Tree> Names::split(const Tree& tree, std::string_view name) {
  if (tree == nullptr) return {};
  if (name < tree->name) {
    auto [before, after] = split(tree->left, name);
    return {std::move(before), make(*tree, std::move(after), tree->right)};
  }
  auto [before, after] = split(tree->right, name);
  return {make(*tree, tree->left, std::move(before)), std::move(after)};
}

Names::Tree Names::bound(const Tree& tree, const Node& binding) {
  if (tree == nullptr) return make(binding, nullptr, nullptr);
  if (tree->name == binding.name) return make(binding, tree->left, tree->right);
  if (binding.is_above(*tree)) {
    auto [before, after] = split(tree, binding.name);
    return make(binding, std::move(before), std::move(after));
  }
  if (binding.name < tree->name) return make(*tree, bound(tree->left, binding), tree->right);
  return make(*tree, tree->left, bound(tree->right, binding));
}

Names::Tree Names::joined(const Tree& left, const Tree& right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  if (left->is_above(*right)) return make(*left, left->left, joined(left->right, right));
  return make(*right, joined(left, right->left), right->right);
}

Names::Tree Names::without(const Tree& tree, std::string_view name) {
  if (tree->name == name) return joined(tree->left, tree->right);
  if (name < tree->name) return make(*tree, without(tree->left, name), tree->right);
  return make(*tree, tree->left, without(tree->right, name));
}

void Names::visit_tree(const Node* tree, const Node* before, const Visitor& visit) {
  if (tree == nullptr) return;
  const Node* old = find_node(before, tree->name);
  if (old == tree) return;  // with everything below it
  visit_tree(tree->left.get(), before, visit);
  if (old == nullptr || old->result != tree->result) visit(tree->name, tree->result);
  visit_tree(tree->right.get(), before, visit);
}

void Names::visit_changes(const Names& before, const Visitor& visit) const {
  visit_tree(root_.get(), before.root_.get(), visit);
}

}  // namespace durabled::dsl
