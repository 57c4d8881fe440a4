#include "dsl/text/functions.hpp"

#include <algorithm>
#include <utility>

#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules.hpp"

namespace durabled::dsl {
namespace {

using Kind = Literal::Kind;

Node make(NodeKind kind, std::string text) {
  Node node;
  node.kind = kind;
  node.text = std::move(text);
  node.has_text = true;
  return node;
}

Node make(NodeKind kind, std::vector<NodeIndex> children) {
  Node node;
  node.kind = kind;
  node.children = std::move(children);
  return node;
}

NodeIndex step(GraphBuilder& builder, const BoundCall& call, std::size_t i) {
  return builder.step(*call.find(i));
}

// The steps of parameters `from` and up, as far as they are given.
std::vector<NodeIndex> steps(GraphBuilder& builder, const BoundCall& call, std::size_t from,
                             std::size_t count) {
  std::vector<NodeIndex> children;
  for (std::size_t i = from; i < from + count; ++i) {
    if (call.find(i) != nullptr) children.push_back(step(builder, call, i));
  }
  return children;
}

// Errors of a rule are reported at the argument that they are about.
NodeIndex add(GraphBuilder& builder, const BoundCall& call, Node node) {
  if (const auto problem = apply_rules(node)) {
    throw SyntaxError{"bad_argument", "df." + call.call().name + ": " + *problem, "",
                      call.place_of(*problem)};
  }
  return builder.store(std::move(node), call.call().at);
}

NodeIndex build_sql(GraphBuilder& builder, const BoundCall& call) {
  return builder.add(make(NodeKind::kSql, call.text(0)), call.find(0)->at);
}

NodeIndex build_sleep(GraphBuilder& builder, const BoundCall& call) {
  const Operand& value = *call.find(0);
  const bool is_template =
      !value.is_node() && value.literal().kind == Kind::kString && has_reference(value.literal().text);
  const std::string text = is_template ? value.literal().text : format_seconds(call.seconds(0, 0));
  return add(builder, call, make(NodeKind::kSleep, text));
}

NodeIndex build_wait_for_schedule(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kWaitSchedule, call.text(0));
  node.options = ScheduleOptions{call.text(1, "UTC")};
  return add(builder, call, std::move(node));
}

NodeIndex build_wait_for_signal(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kWaitSignal, call.text(0));
  node.options = SignalOptions{call.optional_seconds(1)};
  return add(builder, call, std::move(node));
}

std::vector<std::string> expected_statuses(const BoundCall& call, std::size_t index) {
  auto statuses = parse_expected_statuses(call.text(index, ""));
  if (!statuses)
    throw SyntaxError{"bad_argument", "df." + call.call().name + ": " + statuses.error(), "",
                      call.find(index)->at};
  return std::move(*statuses);
}

NodeIndex build_http(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kHttp, call.text(0));
  node.options = HttpOptions{call.text(1, "POST"),  call.optional_text(2), call.optional_text(3),
                             std::nullopt,          call.seconds(4, 30),   expected_statuses(call, 5),
                             call.optional_text(6), call.optional_text(7), call.optional_text(8),
                             call.optional_text(9)};
  return add(builder, call, std::move(node));
}

NodeIndex build_http_multipart(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kHttpMultipart, call.text(0));
  node.options = HttpOptions{call.text(1, "POST"),  std::nullopt,        call.optional_text(3),
                             call.optional_text(2), call.seconds(4, 30), expected_statuses(call, 5)};
  return add(builder, call, std::move(node));
}

NodeIndex build_if(GraphBuilder& builder, const BoundCall& call) {
  return builder.add(make(NodeKind::kIf, steps(builder, call, 0, 3)), call.call().at);
}

NodeIndex build_if_rows(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kIfRows, call.text(0));
  node.children = steps(builder, call, 1, 2);
  return add(builder, call, std::move(node));
}

NodeIndex build_loop(GraphBuilder& builder, const BoundCall& call) {
  return builder.add(make(NodeKind::kLoop, steps(builder, call, 0, 2)), call.call().at);
}

NodeIndex build_break(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kBreak, std::string());
  node.has_text = false;
  if (const Operand* value = call.find(0)) {
    if (value->is_node()) call.wrong_type(0, "a value");
    const Literal& literal = value->literal();
    if (literal.kind == Kind::kInterval) {
      throw SyntaxError{"bad_argument", "df.break: value must not be an interval, which JSON has no form for",
                        "write it as a string: df.break('" + shorten(literal.text, 40) + "')", value->at};
    }
    node.text = literal.text;
    if (literal.kind == Kind::kNumber) {
      auto number = sql_number(literal.text);
      if (!number) call.wrong_type(0, "a number that PostgreSQL can hold");
      node.text = std::move(*number);
    }
    node.has_text = true;
  }
  return builder.add(std::move(node), call.call().at);
}

NodeIndex build_as(GraphBuilder& builder, const BoundCall& call) {
  const NodeIndex named = step(builder, call, 0);
  builder.set_name(named, call.text(1), call.find(1)->at, false);
  return named;
}

NodeIndex build_join3(GraphBuilder& builder, const BoundCall& call) {
  return builder.add(make(NodeKind::kJoin, steps(builder, call, 0, 3)), call.call().at);
}

NodeIndex build_for_each(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kForEach, steps(builder, call, 0, 2));
  node.options = ForEachOptions{call.integer(2, 10), call.text(3, "item")};
  return add(builder, call, std::move(node));
}

NodeIndex build_retry(GraphBuilder& builder, const BoundCall& call) {
  RetryOptions options;
  options.max_attempts = call.integer(1, 1);
  options.delay = call.seconds(2, 1);
  options.backoff = call.number(3, 2);
  options.max_delay = call.seconds(4, 300);
  if (const Operand* on = call.find(5)) {
    const bool is_code = !on->is_node() && on->literal().kind == Kind::kNumber;  // on => 503
    auto codes = parse_retry_codes(is_code ? on->literal().text : call.text(5));
    if (!codes) throw SyntaxError{"bad_argument", "df.retry: " + codes.error(), "", on->at};
    options.on = std::move(*codes);
  }
  Node node = make(NodeKind::kRetry, steps(builder, call, 0, 1));
  node.options = std::move(options);
  return add(builder, call, std::move(node));
}

NodeIndex build_timeout(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kTimeout, steps(builder, call, 0, 1));
  node.options = TimeoutOptions{call.seconds(1, 0)};
  return add(builder, call, std::move(node));
}

NodeIndex build_catch(GraphBuilder& builder, const BoundCall& call) {
  return builder.add(make(NodeKind::kCatch, steps(builder, call, 0, 2)), call.call().at);
}

NodeIndex build_fail(GraphBuilder& builder, const BoundCall& call) {
  Node node = make(NodeKind::kFail, call.text(0));
  node.options = FailOptions{call.text(1, "P0001")};
  return add(builder, call, std::move(node));
}

NodeIndex build_limit(GraphBuilder& builder, const BoundCall& call) {
  LimitOptions options{call.text(1)};
  if (const Operand* units = call.find(2)) {
    if (units->is_node()) call.wrong_type(2, "a number, or a reference in a string");
    const Literal& literal = units->literal();
    options.units =
        literal.kind == Kind::kNumber ? sql_number(literal.text).value_or(literal.text) : literal.text;
  }
  Node node = make(NodeKind::kLimit, steps(builder, call, 0, 1));
  node.options = std::move(options);
  return add(builder, call, std::move(node));
}

struct Function {
  std::string name;
  std::vector<Parameter> parameters;
  NodeIndex (*build)(GraphBuilder&, const BoundCall&);
};

const std::vector<Function>& functions() {
  static const std::vector<Function> kFunctions = {
      {"sql", {{"query", true}}, build_sql},
      {"sleep", {{"seconds", true}}, build_sleep},
      {"wait_for_schedule", {{"cron", true}, {"timezone", false}}, build_wait_for_schedule},
      {"wait_for_signal", {{"name", true}, {"timeout_seconds", false}}, build_wait_for_signal},
      {"http",
       {{"url", true},
        {"method", false},
        {"body", false},
        {"headers", false},
        {"timeout_seconds", false},
        {"expect", false},
        {"request", false},
        {"into", false},
        {"rows", false},
        {"columns", false}},
       build_http},
      {"http_multipart",
       {{"url", true},
        {"method", false},
        {"parts", true},
        {"headers", false},
        {"timeout_seconds", false},
        {"expect", false}},
       build_http_multipart},
      {"if", {{"cond", true}, {"then", true}, {"else", false}}, build_if},
      {"if_rows", {{"name", true}, {"then", true}, {"else", false}}, build_if_rows},
      {"loop", {{"body", true}, {"condition", false}}, build_loop},
      {"break", {{"value", false}}, build_break},
      {"as", {{"step", true}, {"name", true}}, build_as},
      {"join3", {{"a", true}, {"b", true}, {"c", true}}, build_join3},
      {"for_each",
       {{"rows", true}, {"body", true}, {"max_parallel", false}, {"name", false}},
       build_for_each},
      {"retry",
       {{"step", true},
        {"max_attempts", true},
        {"delay", false},
        {"backoff", false},
        {"max_delay", false},
        {"on", false}},
       build_retry},
      {"timeout", {{"step", true}, {"seconds", true}}, build_timeout},
      {"catch", {{"step", true}, {"handler", true}}, build_catch},
      {"fail", {{"message", true}, {"code", false}}, build_fail},
      {"limit", {{"step", true}, {"name", true}, {"units", false}}, build_limit},
  };
  return kFunctions;
}

// Those that take two steps or more.
constexpr std::pair<std::string_view, NodeKind> kCombinators[] = {{"seq", NodeKind::kSequence},
                                                                  {"join", NodeKind::kJoin},
                                                                  {"race", NodeKind::kRace},
                                                                  {"any", NodeKind::kAny}};

NodeIndex build_combinator(GraphBuilder& builder, const FunctionCall& call, NodeKind kind) {
  std::vector<NodeIndex> children;
  for (const Argument& argument : call.arguments) {
    if (!argument.name.empty()) {
      throw SyntaxError{"unknown_argument", "df." + call.name + " takes no named arguments", "", argument.at};
    }
    children.push_back(builder.step(argument.value));
  }
  if (children.size() < 2) {
    throw SyntaxError{
        "missing_argument",
        "df." + call.name + " takes two steps or more, found " + std::to_string(children.size()), "",
        call.at};
  }
  return builder.add(make(kind, std::move(children)), call.at);
}

// Functions of the schema that are not constructors.
void refuse_other_function(const FunctionCall& call) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), call.name) != names.end();
  };
  if (is_one_of({"setvar", "unsetvar", "clearvars"})) {
    throw SyntaxError{"not_a_step", "df." + call.name + "() cannot be called inside a workflow",
                      "set variables before the workflow is submitted", call.at};
  }
  if (call.name == "getvar") {
    throw SyntaxError{"not_a_step", "df.getvar() is not a step",
                      "write {name} where the variable's value is wanted", call.at};
  }
  if (call.name == "start") {
    throw SyntaxError{"not_a_step", "df.start() is allowed only around the whole workflow", "leave it out",
                      call.at};
  }
  if (is_one_of({"cancel",         "pause",
                 "resume",         "signal",
                 "status",         "result",
                 "error",          "await_instance",
                 "rerun",          "explain",
                 "list_instances", "instance_info",
                 "instance_nodes", "instance_executions",
                 "waiting",        "history",
                 "metrics",        "grant_usage",
                 "revoke_usage",   "prune",
                 "set_limit",      "version",
                 "target_database"})) {
    throw SyntaxError{"not_a_step", "df." + call.name + "() is not a step",
                      "call it from a SQL step: 'SELECT df." + call.name + "(…)'", call.at};
  }
}

}  // namespace

const std::vector<Parameter>& start_parameters() {
  static const std::vector<Parameter> kParameters = {
      {"fut", true},       {"label", false},    {"database", false},        {"transaction_mode", false},
      {"priority", false}, {"start_at", false}, {"idempotency_key", false}, {"input", false}};
  return kParameters;
}

NodeIndex build_call(GraphBuilder& builder, const FunctionCall& call) {
  for (const auto& [name, kind] : kCombinators) {
    if (name == call.name) return build_combinator(builder, call, kind);
  }
  for (const Function& function : functions()) {
    if (function.name == call.name) return function.build(builder, BoundCall(call, function.parameters));
  }
  refuse_other_function(call);
  fail_unknown_function("df", call.name, call.at);
}

// What people call a thing elsewhere, and how it is written here.
std::string_view find_synonym(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kSynonyms[] = {
      {"try", "df.catch(step, handler)"},
      {"rescue", "df.catch(step, handler)"},
      {"finally", "df.catch(step, handler)"},
      {"compensate", "df.catch(step, handler)"},
      {"on_error", "df.catch(step, handler)"},
      {"wait", "df.sleep(seconds)"},
      {"delay", "df.sleep(seconds)"},
      {"pause_for", "df.sleep(seconds)"},
      {"raise", "df.fail('message')"},
      {"throw", "df.fail('message')"},
      {"abort", "df.fail('message')"},
      {"assert", "df.if('SELECT …', 'SELECT …', df.fail('message'))"},
      {"parallel", "df.join(a, b)"},
      {"all", "df.join(a, b)"},
      {"concurrently", "df.join(a, b)"},
      {"first", "df.race(a, b)"},
      {"map", "df.for_each(rows, body)"},
      {"foreach", "df.for_each(rows, body)"},
      {"each", "df.for_each(rows, body)"},
      {"fan_out", "df.for_each(rows, body)"},
      {"for", "df.for_each(rows, body) or df.loop(body, condition)"},
      {"while", "df.loop(body, condition)"},
      {"until", "df.loop(body, condition)"},
      {"repeat", "df.loop(body, condition)"},
      {"do", "df.loop(body, condition)"},
      {"exit", "df.break(value)"},
      {"leave", "df.break(value)"},
      {"return", "df.break(value)"},
      {"cron", "df.wait_for_schedule('0 9 * * *')"},
      {"schedule", "df.wait_for_schedule('0 9 * * *')"},
      {"every", "df.wait_for_schedule('*/5 * * * *')"},
      {"at", "df.wait_for_schedule('0 9 * * *')"},
      {"await", "df.wait_for_signal('name')"},
      {"wait_signal", "df.wait_for_signal('name')"},
      {"receive", "df.wait_for_signal('name')"},
      {"http_get", "df.http(url, 'GET')"},
      {"http_post", "df.http(url, 'POST', body)"},
      {"get", "df.http(url, 'GET')"},
      {"post", "df.http(url, 'POST', body)"},
      {"fetch", "df.http(url, 'GET')"},
      {"request", "df.http(url, 'GET')"},
      {"upload", "df.http_multipart(url, parts => '[…]')"},
      {"call", "df.sql('CALL …') or df.http(url)"},
      {"query", "df.sql('SELECT …'), or the string alone"},
      {"exec", "df.sql('SELECT …'), or the string alone"},
      {"execute", "df.sql('SELECT …'), or the string alone"},
      {"run", "df.sql('SELECT …'), or the string alone"},
      {"step", "df.sql('SELECT …'), or the string alone"},
      {"log", "a SQL step that writes into a table of yours: 'INSERT INTO …'"},
      {"print", "a SQL step that writes into a table of yours: 'INSERT INTO …'"},
      {"then", "a ~> b"},
      {"sequence", "df.seq(a, b)"},
      {"chain", "df.seq(a, b)"},
      {"case", "df.if(condition, then, else)"},
      {"when", "df.if(condition, then, else)"},
      {"switch", "df.if(condition, then, else)"},
      {"name", "step |=> 'name'"},
      {"alias", "step |=> 'name'"},
      {"let", "step |=> 'name'"},
      {"attempts", "df.retry(step, max_attempts)"},
      {"deadline", "df.timeout(step, seconds)"},
  };
  for (const auto& [word, form] : kSynonyms) {
    if (word == name) return form;
  }
  return {};
}

void fail_unknown_function(const std::string& schema, const std::string& name, const Position& at) {
  std::vector<std::string> names = {"start", "seq", "join", "race", "any"};
  for (const Function& function : functions()) names.push_back(function.name);
  std::vector<std::string> matches = close_matches(name, names);
  for (std::string& match : matches) match = std::string("df.").append(match);
  std::string hint = did_you_mean(matches);
  if (const auto synonym = find_synonym(name); !synonym.empty()) {
    hint = "did you mean " + std::string(synonym) + "?";
  } else if (hint.empty() && (schema == "df" || schema.empty())) {
    std::sort(names.begin(), names.end());
    for (const std::string& each : names) hint += (hint.empty() ? "the functions are df." : ", ") + each;
  }
  const std::string full = (schema.empty() ? "" : schema + ".") + name;
  std::string message = "unknown function " + shorten(full);
  if (schema != "df") message += "; there is no SQL outside of quotes";
  throw SyntaxError{"unknown_function", message, hint, at};
}

}  // namespace durabled::dsl
