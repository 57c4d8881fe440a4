#include "dsl/graph/config_reader.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>

#include "dsl/assert.hpp"
#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/rules.hpp"

namespace durabled::dsl {
namespace {

namespace json = boost::json;
using Problem = std::optional<std::string>;

// The object in a query. Reads of a member leave the target as it is when the key is absent or null, and
// remember the first thing that is wrong.
class Config {
 public:
  Config(NodeKind kind, std::string_view query) : in_("query in " + std::string(node_type(kind))) {
    auto parsed = parse_json(query);
    if (!parsed || !parsed->is_object()) {
      problem_ = in_ + " must be valid JSON config";
      return;
    }
    object_ = std::move(parsed->get_object());
  }

  bool has(std::string_view key) const {
    const auto found = object_.find(key);
    return found != object_.end() && !found->value().is_null();
  }

  Config& text(std::string_view key, std::string& target) {
    const json::value* value = find(key);
    if (value == nullptr) return *this;
    if (value->is_string())
      target = std::string(value->get_string());
    else
      wrong_type(key, "a string", *value);
    return *this;
  }
  Config& text(std::string_view key, std::optional<std::string>& target) {
    if (!has(key)) return *this;
    target.emplace();
    return text(key, *target);
  }
  // A nested object or array, as compact text.
  Config& json_text(std::string_view key, std::optional<std::string>& target) {
    if (const json::value* value = find(key)) target = json::serialize(*value);
    return *this;
  }
  Config& number(std::string_view key, double& target) {
    const json::value* value = find(key);
    if (value == nullptr) return *this;
    if (value->is_number())
      target = value->to_number<double>();
    else
      wrong_type(key, "a number", *value);
    return *this;
  }
  Config& integer(std::string_view key, std::int64_t& target) {
    const json::value* value = find(key);
    if (value == nullptr) return *this;
    if (value->is_int64())
      target = value->get_int64();
    else
      wrong_type(key, "an integer", *value);
    return *this;
  }
  Config& require(std::string_view key) {
    if (!has(key)) note(in_ + " needs '" + std::string(key) + "'");
    return *this;
  }

  // The first problem, or a key that is not one of `known`.
  Problem finish(std::initializer_list<std::string_view> known) {
    for (const auto& member : object_) {
      const std::string_view key = member.key();
      if (std::find(known.begin(), known.end(), key) == known.end())
        note(in_ + " has the unknown key '" + shorten(key) + "'");
    }
    return problem_;
  }
  void note(std::string problem) {
    if (!problem_) problem_ = std::move(problem);
  }

 private:
  const json::value* find(std::string_view key) const { return has(key) ? &object_.at(key) : nullptr; }
  void wrong_type(std::string_view key, const char* expected, const json::value& value) {
    note(in_ + ": " + std::string(key) + " must be " + expected + ", found " +
         std::string(json_kind_name(value)));
  }

  std::string in_;
  json::object object_;
  Problem problem_;
};

Problem read_condition_config(Node& node, std::string_view query) {
  Config config(node.kind, query);
  if (config.has("condition_node")) {
    return "condition_node in " + std::string(node_type(node.kind)) + " must be a first-class Durofut field";
  }
  if (node.kind == NodeKind::kLoop) return config.finish({});
  auto problem = config.text("if_rows", node.text).require("if_rows").finish({"if_rows"});
  node.kind = NodeKind::kIfRows;
  node.has_text = true;
  return problem;
}

Problem read_schedule(Node& node, std::string_view query) {
  auto& options = node.options.emplace<ScheduleOptions>();
  const auto parsed = parse_json(query);
  if (!parsed || !parsed->is_object()) {
    node.text = query;
    return std::nullopt;
  }
  return Config(node.kind, query)
      .text("cron", node.text)
      .require("cron")
      .text("timezone", options.timezone)
      .finish({"cron", "timezone"});
}

Problem read_signal(Node& node, std::string_view query) {
  auto& options = node.options.emplace<SignalOptions>();
  Config config(node.kind, query);
  config.text("signal_name", node.text).require("signal_name");
  if (config.has("timeout_seconds")) config.number("timeout_seconds", options.timeout_seconds.emplace());
  return config.finish({"signal_name", "timeout_seconds"});
}

Problem read_http(Node& node, std::string_view query) {
  auto& options = node.options.emplace<HttpOptions>();
  Config config(node.kind, query);
  config.text("url", node.text).require("url").text("method", options.method);
  std::string expect;
  config.json_text("headers", options.headers).number("timeout_seconds", options.timeout_seconds);
  config.text("expect", expect);
  auto statuses = parse_expected_statuses(expect);
  if (!statuses) return statuses.error();
  options.expect = std::move(*statuses);
  if (node.kind == NodeKind::kHttp) {
    return config.text("body", options.body)
        .text("request", options.request)
        .text("into", options.into)
        .text("rows", options.rows)
        .text("columns", options.columns)
        .finish({"url", "method", "body", "headers", "timeout_seconds", "expect", "request", "into", "rows",
                 "columns"});
  }
  return config.json_text("parts", options.parts)
      .finish({"url", "method", "parts", "headers", "timeout_seconds", "expect"});
}

Problem read_for_each(Node& node, std::string_view query) {
  auto& options = node.options.emplace<ForEachOptions>();
  return Config(node.kind, query)
      .integer("max_parallel", options.max_parallel)
      .text("name", options.item)
      .finish({"max_parallel", "name"});
}

Problem read_retry(Node& node, std::string_view query) {
  auto& options = node.options.emplace<RetryOptions>();
  std::string codes;
  Config config(node.kind, query);
  config.integer("max_attempts", options.max_attempts).require("max_attempts");
  config.number("delay", options.delay)
      .number("backoff", options.backoff)
      .number("max_delay", options.max_delay);
  config.text("on", codes);
  auto parsed = parse_retry_codes(codes);
  if (parsed)
    options.on = std::move(*parsed);
  else
    config.note(parsed.error());
  return config.finish({"max_attempts", "delay", "backoff", "max_delay", "on"});
}

Problem read_timeout(Node& node, std::string_view query) {
  auto& options = node.options.emplace<TimeoutOptions>();
  return Config(node.kind, query).number("seconds", options.seconds).require("seconds").finish({"seconds"});
}

Problem read_limit(Node& node, std::string_view query) {
  auto& options = node.options.emplace<LimitOptions>();
  return Config(node.kind, query)
      .text("name", options.name)
      .require("name")
      .text("units", options.units)
      .finish({"name", "units"});
}

Problem read_fail(Node& node, std::string_view query) {
  auto& options = node.options.emplace<FailOptions>();
  return Config(node.kind, query)
      .text("message", node.text)
      .require("message")
      .text("code", options.code)
      .finish({"message", "code"});
}

Problem read_present_query(Node& node, std::string_view query) {
  switch (node.kind) {
    case NodeKind::kSql:
    case NodeKind::kSleep:
    case NodeKind::kBreak:
      node.text = query;
      return std::nullopt;
    case NodeKind::kIf:
    case NodeKind::kIfRows:
    case NodeKind::kLoop:
      return read_condition_config(node, query);
    case NodeKind::kWaitSchedule:
      return read_schedule(node, query);
    case NodeKind::kWaitSignal:
      return read_signal(node, query);
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
      return read_http(node, query);
    case NodeKind::kForEach:
      return read_for_each(node, query);
    case NodeKind::kRetry:
      return read_retry(node, query);
    case NodeKind::kTimeout:
      return read_timeout(node, query);
    case NodeKind::kFail:
      return read_fail(node, query);
    case NodeKind::kLimit:
      return read_limit(node, query);
    case NodeKind::kSequence:
    case NodeKind::kJoin:
    case NodeKind::kRace:
    case NodeKind::kAny:
    case NodeKind::kCatch:
      return std::string(node_type(node.kind)) + " takes no query";
  }
  DURABLED_ASSERT(!"a node kind that is not in the enum");
}

}  // namespace

std::optional<std::string> read_query(Node& node, std::optional<std::string_view> query) {
  if (!query) {
    if (node.kind == NodeKind::kForEach) node.options = ForEachOptions();
    if (info(node.kind).query == QueryUse::kRequired)
      return std::string(node_type(node.kind)) + " needs a query";
    return std::nullopt;
  }
  node.has_text = info(node.kind).has_text;
  return read_present_query(node, *query);
}

}  // namespace durabled::dsl
