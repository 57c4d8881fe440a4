// to_json(): see json.hpp for the shapes.
#include <boost/json.hpp>

#include "dsl/assert.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/graph/json_text.hpp"
#include "dsl/graph/rules.hpp"

namespace durabled::dsl {
namespace {

std::string quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text));
}

// One JSON object, key by key; values are JSON text.
class ObjectText {
 public:
  ObjectText& add(std::string_view key, std::string_view value) {
    text_ += text_.size() > 1 ? "," : "";
    text_.append("\"").append(key).append("\":").append(value);
    return *this;
  }
  std::string take() { return std::move(text_) + "}"; }

 private:
  std::string text_ = "{";
};

std::string signal_config(const Node& node) {
  ObjectText config;
  config.add("signal_name", quoted(node.text));
  const auto& timeout = std::get<SignalOptions>(node.options).timeout_seconds;
  if (timeout) config.add("timeout_seconds", format_seconds(*timeout));
  return config.take();
}

std::string http_config(const Node& node) {
  const auto& options = std::get<HttpOptions>(node.options);
  ObjectText config;
  config.add("url", quoted(node.text)).add("method", quoted(options.method));
  if (options.body) config.add("body", quoted(*options.body));
  if (options.parts) config.add("parts", *options.parts);
  if (options.headers) config.add("headers", *options.headers);
  config.add("timeout_seconds", format_seconds(options.timeout_seconds));
  if (!options.expect.empty()) config.add("expect", quoted(joined_words(options.expect)));
  return config.take();
}

std::string fail_config(const Node& node) {
  ObjectText config;
  config.add("message", quoted(node.text));
  const std::string& code = std::get<FailOptions>(node.options).code;
  if (code != FailOptions().code) config.add("code", quoted(code));
  return config.take();
}

std::string retry_config(const RetryOptions& options) {
  ObjectText config;
  config.add("max_attempts", std::to_string(options.max_attempts))
      .add("delay", format_seconds(options.delay));
  config.add("backoff", format_seconds(options.backoff)).add("max_delay", format_seconds(options.max_delay));
  std::string codes;
  for (const std::string& code : options.on) codes += (codes.empty() ? "" : " ") + code;
  if (!codes.empty()) config.add("on", quoted(codes));
  return config.take();
}

std::string schedule_query(const Node& node) {
  const std::string& timezone = std::get<ScheduleOptions>(node.options).timezone;
  // A cron text that would itself be read as the object form is wrapped in it.
  const bool looks_like_object = !node.text.empty() && parse_json_text(node.text);
  if (timezone == "UTC" && !looks_like_object) return node.text;
  return ObjectText().add("cron", quoted(node.text)).add("timezone", quoted(timezone)).take();
}

// The text of a node's "query"; nullopt when the kind has none.
std::optional<std::string> query_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::kSql:
    case NodeKind::kSleep:
      return node.text;
    case NodeKind::kBreak:
      return node.has_text ? std::optional(node.text) : std::nullopt;
    case NodeKind::kIfRows:
      return ObjectText().add("if_rows", quoted(node.text)).take();
    case NodeKind::kWaitSchedule:
      return schedule_query(node);
    case NodeKind::kWaitSignal:
      return signal_config(node);
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
      return http_config(node);
    case NodeKind::kRetry:
      return retry_config(std::get<RetryOptions>(node.options));
    case NodeKind::kForEach: {
      const auto& options = std::get<ForEachOptions>(node.options);
      return ObjectText()
          .add("max_parallel", std::to_string(options.max_parallel))
          .add("name", quoted(options.item))
          .take();
    }
    case NodeKind::kTimeout:
      return ObjectText()
          .add("seconds", format_seconds(std::get<TimeoutOptions>(node.options).seconds))
          .take();
    case NodeKind::kFail:
      return fail_config(node);
    case NodeKind::kSequence:
    case NodeKind::kIf:
    case NodeKind::kJoin:
    case NodeKind::kRace:
    case NodeKind::kAny:
    case NodeKind::kLoop:
    case NodeKind::kCatch:
      return std::nullopt;
  }
  DURABLED_ASSERT(!"a node kind that is not in the enum");
}

class Writer {
 public:
  explicit Writer(const Graph& graph) : graph_(graph) {}

  std::string run() {
    write_node(0);
    return std::move(out_);
  }

 private:
  void write_node(NodeIndex index) {
    const Node& node = graph_[index];
    out_.append("{\"node_type\":\"").append(node_type(node.kind)).append("\"");
    if (const auto query = query_of(node)) out_.append(",\"query\":").append(quoted(*query));
    if (!node.result_name.empty()) out_.append(",\"result_name\":").append(quoted(node.result_name));
    const auto& children = node.children;
    if (node.kind == NodeKind::kIf) {
      write_children({children[0], children[1], children.size() > 2 ? children[2] : kNoNode});
    } else if (node.kind == NodeKind::kLoop) {
      write_children({children.size() > 1 ? children[1] : kNoNode, children[0], kNoNode});
    } else {
      write_children(
          {kNoNode, children.empty() ? kNoNode : children[0], children.size() > 1 ? children[1] : kNoNode});
      if (children.size() > 2) write_extra_nodes(children);
    }
    out_ += '}';
  }

  struct Slots {
    NodeIndex condition, left, right;
  };
  void write_children(const Slots& slots) {
    write_child("condition_node", slots.condition);
    write_child("left_node", slots.left);
    write_child("right_node", slots.right);
  }

  void write_child(const char* key, NodeIndex child) {
    if (child == kNoNode) return;
    out_.append(",\"").append(key).append("\":");
    write_node(child);
  }

  void write_extra_nodes(const std::vector<NodeIndex>& children) {
    out_ += ",\"extra_nodes\":[";
    for (std::size_t i = 2; i < children.size(); ++i) {
      if (i > 2) out_ += ',';
      write_node(children[i]);
    }
    out_ += ']';
  }

  const Graph& graph_;
  std::string out_;
};

}  // namespace

std::string to_json(const Graph& graph) {
  return Writer(graph).run();
}

}  // namespace durabled::dsl
