// to_json(): see json.hpp for the shapes.
#include <algorithm>

#include "dsl/assert.hpp"
#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/json_writer.hpp"

namespace durabled::dsl {
namespace {

std::string signal_config(const Node& node) {
  JsonWriter config;
  config.object().member("signal_name", node.text);
  const auto& timeout = std::get<SignalOptions>(node.options).timeout_seconds;
  if (timeout) config.raw("timeout_seconds", format_seconds(*timeout));
  return config.close().take();
}

std::string http_config(const Node& node) {
  const auto& options = std::get<HttpOptions>(node.options);
  JsonWriter config;
  config.object().member("url", node.text).member("method", options.method);
  if (options.body) config.member("body", *options.body);
  if (options.parts) config.raw("parts", *options.parts);
  if (options.headers) config.raw("headers", *options.headers);
  config.raw("timeout_seconds", format_seconds(options.timeout_seconds));
  if (!options.expect.empty()) config.member("expect", joined_words(options.expect));
  if (options.request) config.member("request", *options.request);
  if (options.into) config.member("into", *options.into);
  if (options.rows) config.member("rows", *options.rows);
  if (options.columns) config.member("columns", *options.columns);
  return config.close().take();
}

std::string fail_config(const Node& node) {
  JsonWriter config;
  config.object().member("message", node.text);
  const std::string& code = std::get<FailOptions>(node.options).code;
  if (code != FailOptions().code) config.member("code", code);
  return config.close().take();
}

std::string retry_config(const RetryOptions& options) {
  JsonWriter config;
  config.object().number("max_attempts", options.max_attempts).raw("delay", format_seconds(options.delay));
  config.raw("backoff", format_seconds(options.backoff)).raw("max_delay", format_seconds(options.max_delay));
  std::string codes;
  for (const std::string& code : options.on) codes += (codes.empty() ? "" : " ") + code;
  if (!codes.empty()) config.member("on", codes);
  return config.close().take();
}

std::string schedule_query(const Node& node) {
  const std::string& timezone = std::get<ScheduleOptions>(node.options).timezone;
  // A cron text that would itself be read as the object form is wrapped in it.
  const bool looks_like_object = !node.text.empty() && parse_json(node.text);
  if (timezone == "UTC" && !looks_like_object) return node.text;
  return JsonWriter().object().member("cron", node.text).member("timezone", timezone).close().take();
}

// The text of a node's "query"; nullopt for kinds without a text.
std::optional<std::string> query_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::kSql:
    case NodeKind::kSleep:
      return node.text;
    case NodeKind::kBreak:
      return node.has_text ? std::optional(node.text) : std::nullopt;
    case NodeKind::kIfRows:
      return JsonWriter().object().member("if_rows", node.text).close().take();
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
      return JsonWriter()
          .object()
          .number("max_parallel", options.max_parallel)
          .member("name", options.item)
          .close()
          .take();
    }
    case NodeKind::kTimeout:
      return JsonWriter()
          .object()
          .raw("seconds", format_seconds(std::get<TimeoutOptions>(node.options).seconds))
          .close()
          .take();
    case NodeKind::kFail:
      return fail_config(node);
    case NodeKind::kLimit: {
      const auto& options = std::get<LimitOptions>(node.options);
      return JsonWriter().object().member("name", options.name).member("units", options.units).close().take();
    }
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
    return json_.take();
  }

 private:
  void write_node(NodeIndex index) {
    const Node& node = graph_[index];
    json_.object().member("node_type", node_type(node.kind));
    if (const auto query = query_of(node)) json_.member("query", *query);
    if (!node.result_name.empty()) json_.member("result_name", node.result_name);
    const KindInfo& kind = info(node.kind);
    for (const std::string_view field : {"condition_node", "left_node", "right_node"}) {
      for (std::size_t i = 0; i < std::min(node.children.size(), kind.slots.size()); ++i) {
        if (kind.slots[i].field == field) write_child(field, node.children[i]);
      }
    }
    if (kind.takes("extra_nodes") && node.children.size() > 2) write_extra_nodes(node.children);
    json_.close();
  }

  void write_child(std::string_view key, NodeIndex child) {
    json_.key(key);
    write_node(child);
  }

  void write_extra_nodes(const std::vector<NodeIndex>& children) {
    json_.key("extra_nodes").list();
    for (std::size_t i = 2; i < children.size(); ++i) write_node(children[i]);
    json_.close();
  }

  const Graph& graph_;
  JsonWriter json_;
};

}  // namespace

std::string to_json(const Graph& graph) {
  return Writer(graph).run();
}

}  // namespace durabled::dsl
