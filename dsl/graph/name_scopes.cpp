#include "dsl/graph/name_scopes.hpp"

#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "dsl/graph/kinds.hpp"
#include "dsl/value/http_text.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

// The names without which the step can only fail.
std::set<std::string> names_needed_by(const Node& node) {
  std::set<std::string> names;
  visit_templates(node, [&](std::string_view text, bool is_sql) {
    if (is_sql) names.merge(names_in_code(text));
  });
  const auto* http = std::get_if<HttpOptions>(&node.options);
  if (http != nullptr && http->body) names.merge(names_in_json(*http->body));
  return names;
}

// Walks the graph in the order of execution with the names that may be bound at each place: a count a name,
// and a log of what was bound, so that leaving a branch takes back what it bound without copying the names.
class ScopeWalker {
 public:
  explicit ScopeWalker(const Graph& graph) : graph_(graph) {}

  std::vector<UnboundName> run() {
    walk(0);
    return std::move(unbound_);
  }

 private:
  void walk(NodeIndex index) {
    const Node& node = graph_[index];
    check_templates(index);
    switch (info(node.kind).flow) {
      case Flow::kInOrder:
        for (const NodeIndex child : node.children) walk(child);
        break;
      case Flow::kEither:
        if (node.kind == NodeKind::kIf) walk(node.children[0]);
        walk_branches(node, node.kind == NodeKind::kIf ? 1 : 0);
        break;
      case Flow::kBranches:
        walk_branches(node, 0);
        break;
      case Flow::kLoop:
        walk_loop(index);
        break;
      case Flow::kRows:
        walk(node.children[0]);
        walk_with(std::get<ForEachOptions>(node.options).item, node.children[1]);
        break;
      case Flow::kHandler:
        walk(node.children[0]);
        walk_with("error", node.children[1]);
        break;
      case Flow::kStep:
      case Flow::kEnd:
        break;
    }
    if (!node.result_name.empty()) bind(node.result_name);
  }

  // Siblings do not see each other's names; after them any of the names may be bound.
  void walk_branches(const Node& node, std::size_t first) {
    std::vector<std::string_view> merged;
    for (std::size_t i = first; i < node.children.size(); ++i) {
      const std::size_t mark = log_.size();
      walk(node.children[i]);
      merged.insert(merged.end(), log_.begin() + static_cast<std::ptrdiff_t>(mark), log_.end());
      while (log_.size() > mark) unbind();
    }
    for (const std::string_view name : merged) bind(name);
  }

  // The root loop starts each iteration with no names; a nested one keeps those of the iteration before.
  void walk_loop(NodeIndex index) {
    if (index != 0) {
      const NodeIndex end = subtree_end(index);
      for (NodeIndex inner = index + 1; inner < end; ++inner) {
        if (!graph_[inner].result_name.empty()) bind(graph_[inner].result_name);
      }
    }
    for (const NodeIndex child : graph_[index].children) walk(child);
  }

  void walk_with(std::string_view implicit, NodeIndex child) {
    ++bound_[implicit];
    walk(child);
    --bound_[implicit];
  }

  NodeIndex subtree_end(NodeIndex index) const {
    while (!graph_[index].children.empty()) index = graph_[index].children.back();
    return index + 1;
  }

  void check_templates(NodeIndex index) {
    const Node& node = graph_[index];
    for (const auto& [name, offset] : names_used_by(node)) {
      const auto found = bound_.find(name);
      if (found != bound_.end() && found->second > 0) continue;
      unbound_.push_back({index, name, offset, names_needed_by(node).contains(name)});
    }
  }

  void bind(std::string_view name) {
    ++bound_[name];
    log_.push_back(name);
  }
  void unbind() {
    --bound_[log_.back()];
    log_.pop_back();
  }

  const Graph& graph_;
  std::unordered_map<std::string_view, int> bound_;  // views of the graph's own strings
  std::vector<std::string_view> log_;
  std::vector<UnboundName> unbound_;
};

}  // namespace

void visit_templates(const Node& node, const std::function<void(std::string_view, bool is_sql)>& visit) {
  if (node.has_text && node.kind != NodeKind::kIfRows) visit(node.text, node.kind == NodeKind::kSql);
  if (const auto* http = std::get_if<HttpOptions>(&node.options)) {
    for (const auto* text : {&http->body, &http->headers, &http->parts}) {
      if (*text) visit(**text, false);
    }
    for (const auto* statement : {&http->request, &http->into}) {
      if (*statement) visit(**statement, true);
    }
  }
  if (const auto* schedule = std::get_if<ScheduleOptions>(&node.options)) visit(schedule->timezone, false);
  if (const auto* limit = std::get_if<LimitOptions>(&node.options)) visit(limit->units, false);
}

std::map<std::string, std::size_t> names_used_by(const Node& node) {
  std::map<std::string, std::size_t> names;
  if (node.kind == NodeKind::kIfRows) names.emplace(node.text, 0);
  const auto* http = std::get_if<HttpOptions>(&node.options);
  visit_templates(node, [&](std::string_view text, bool is_sql) {
    auto used = referenced_names(text, is_sql);
    const bool is_into = http != nullptr && http->into && text.data() == http->into->data();
    if (is_into) used.erase(std::string(kResponseName));
    if (is_into && http->rows) used.erase(std::string(kRowsName));
    names.merge(std::move(used));
  });
  return names;
}

std::vector<UnboundName> find_unbound_names(const Graph& graph) {
  return ScopeWalker(graph).run();
}

}  // namespace durabled::dsl
