// from_json(): see json.hpp for the shapes. Everything that comes from the database is checked here once.
#include <algorithm>
#include <boost/json.hpp>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/config_reader.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/rules.hpp"

namespace durabled::dsl {
namespace {

namespace json = boost::json;

// "IF" is kIf until its query says otherwise.
std::optional<NodeKind> find_kind(std::string_view type) {
  for (const KindInfo& each : all_kinds()) {
    if (each.type == type) return each.kind;
  }
  return std::nullopt;
}

const json::value* find(const json::object& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->value().is_null() ? nullptr : &found->value();
}

class Reader {
 public:
  explicit Reader(const GraphLimits& limits) : limits_(limits) {}

  Expected<Graph, GraphError> run(const json::value& root) {
    if (!root.is_object()) {
      fail("expected a JSON object with node_type, found " + std::string(json_kind_name(root)));
    } else {
      read_node(root.get_object(), 1);
    }
    if (error_) return Unexpected{std::move(*error_)};
    return std::move(graph_);
  }

  // Returns the new node; kNoNode after fail().
  NodeIndex read_node(const json::object& object, int depth) {
    if (depth > std::min(limits_.depth, kHardDepth)) {
      return fail_whole("maximum nesting depth of " + std::to_string(limits_.depth) + " exceeded");
    }
    if (graph_.nodes.size() >= static_cast<std::size_t>(limits_.nodes)) {
      return fail_whole("the workflow has more than " + std::to_string(limits_.nodes) + " nodes");
    }
    const auto kind = read_kind(object);
    if (!kind || !check_keys(object)) return kNoNode;
    Node node;
    node.kind = *kind;
    if (!read_fields(object, node)) return kNoNode;
    const auto index = static_cast<NodeIndex>(graph_.nodes.size());
    graph_.nodes.push_back(std::move(node));
    return read_children(object, index, depth) ? index : kNoNode;
  }

 private:
  std::optional<NodeKind> read_kind(const json::object& object) {
    const json::value* type = find(object, "node_type");
    if (type == nullptr || !type->is_string()) {
      fail(type == nullptr ? "node_type is missing" : "node_type must be a string");
      return std::nullopt;
    }
    const auto kind = find_kind(std::string_view(type->get_string()));
    if (!kind) fail("Unknown node_type '" + shorten(std::string_view(type->get_string())) + "'");
    return kind;
  }

  bool check_keys(const json::object& object) {
    static constexpr std::string_view kKeys[] = {"node_type", "query",      "result_name", "condition_node",
                                                 "left_node", "right_node", "extra_nodes"};
    for (const auto& member : object) {
      if (std::find(std::begin(kKeys), std::end(kKeys), std::string_view(member.key())) == std::end(kKeys)) {
        fail("unknown key '" + shorten(std::string_view(member.key())) + "'");
        return false;
      }
    }
    return true;
  }

  bool read_fields(const json::object& object, Node& node) {
    const json::value* name = find(object, "result_name");
    if (name != nullptr) {
      if (!name->is_string()) return failed("result_name must be a string");
      node.result_name = std::string(name->get_string());
      if (auto problem = check_name(node.result_name)) return failed(std::move(*problem));
    }
    const json::value* query = find(object, "query");
    if (query != nullptr && !query->is_string()) {
      return failed("query in " + std::string(node_type(node.kind)) + " must be a JSON string, found " +
                    std::string(json_kind_name(*query)));
    }
    std::optional<std::string_view> text;
    if (query != nullptr) text = std::string_view(query->get_string());
    auto problem = read_query(node, text);
    if (!problem) problem = apply_rules(node);
    return !problem || failed(std::move(*problem));
  }

  // Children in the order of the kind's slots.
  bool read_children(const json::object& object, NodeIndex index, int depth) {
    const KindInfo& kind = info(graph_[index].kind);
    for (const std::string_view field : {"condition_node", "left_node", "right_node"}) {
      if (!kind.takes(field) && find(object, field) != nullptr)
        return failed(std::string(kind.type).append(" takes no ").append(field));
    }
    for (std::size_t i = 0; i < std::min(kind.max_children, kind.slots.size()); ++i) {
      const std::string_view field = kind.slots[i].field;
      const bool is_one = field != "extra_nodes";
      if (is_one && !read_child(object, index, field, i < kind.min_children, depth)) return false;
    }
    return read_extra_nodes(object, index, kind.takes("extra_nodes"), depth);
  }

  bool read_child(const json::object& object, NodeIndex parent, std::string_view key, bool required,
                  int depth) {
    const std::string type(node_type(graph_[parent].kind));
    const json::value* value = find(object, key);
    if (value == nullptr) return !required || failed(type + " needs a " + std::string(key));
    if (!value->is_object()) {
      const std::string what = key == "condition_node"
                                   ? "condition_node in " + type + " must be a first-class Durofut field"
                                   : std::string(key) + " in " + type + " must be a Durofut JSON object";
      return failed(what + ", found " + std::string(json_kind_name(*value)));
    }
    path_.push_back({key, kNoEntry});
    const NodeIndex child = read_node(value->get_object(), depth + 1);
    path_.pop_back();
    if (child == kNoNode) return false;
    graph_.nodes[parent].children.push_back(child);
    return true;
  }

  bool read_extra_nodes(const json::object& object, NodeIndex parent, bool allowed, int depth) {
    const json::value* value = find(object, "extra_nodes");
    if (value == nullptr) return true;
    if (!value->is_array())
      return failed("extra_nodes must be an array, found " + std::string(json_kind_name(*value)));
    const json::array& entries = value->get_array();
    if (!allowed && !entries.empty())
      return failed(std::string(node_type(graph_[parent].kind)) + " takes no extra_nodes");
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!entries[i].is_object()) return failed("extra_nodes entries must be Durofut JSON objects");
      path_.push_back({"extra_nodes", i});
      const NodeIndex child = read_node(entries[i].get_object(), depth + 1);
      path_.pop_back();
      if (child == kNoNode) return false;
      graph_.nodes[parent].children.push_back(child);
    }
    return true;
  }

  NodeIndex fail(std::string message) {
    std::string path = "root";
    for (const auto& [key, entry] : path_) {
      path.append(".").append(key);
      if (entry != kNoEntry) path += "[" + std::to_string(entry) + "]";
    }
    error_ = GraphError{std::move(path), std::move(message)};
    return kNoNode;
  }

  // For what no single node is to blame for; the path to where it showed may be long.
  NodeIndex fail_whole(std::string message) {
    error_ = GraphError{"root", std::move(message)};
    return kNoNode;
  }

  bool failed(std::string message) { return fail(std::move(message)) != kNoNode; }

  static constexpr std::size_t kNoEntry = SIZE_MAX;
  struct PathPart {
    std::string_view key;
    std::size_t entry;  // of extra_nodes
  };

  const GraphLimits& limits_;
  Graph graph_;
  std::vector<PathPart> path_;
  std::optional<GraphError> error_;
};

}  // namespace

std::string GraphError::to_string() const {
  return "Invalid durable function graph: " + path + ": " + message;
}

Expected<Graph, GraphError> from_json(std::string_view text, const GraphLimits& limits) {
  const auto parsed = parse_json(text, graph_json_depth(limits.depth));
  if (!parsed) {
    std::string message = parsed.error().message;
    if (parsed.error().too_deep)
      message = "maximum nesting depth of " + std::to_string(limits.depth) + " exceeded";
    return Unexpected{GraphError{"root", std::move(message)}};
  }
  return Reader(limits).run(*parsed);
}

}  // namespace durabled::dsl
