// The reads and the actions of the API (docs/web-api.md).
#include <algorithm>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/cli/json_output.hpp"
#include "daemon/log.hpp"
#include "daemon/web/page.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;

namespace {

constexpr std::int64_t kMostSeq = 999'999'999'999'999'999;

Refused bad(const std::string& message) {
  return {400, "bad_request", message};
}

void require_among(const std::string& name, const std::vector<std::string>& words,
                   const std::vector<std::string>& known) {
  for (const std::string& word : words) {
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw bad(name + " cannot be \"" + word.substr(0, 100) + '"');
  }
}

std::string node_part(const Call& call) {
  const std::string& node = call.parts.at("node");
  if (!is_node_id(node)) throw not_found();
  return node;
}

std::int64_t seq_part(const Call& call) {
  const std::string& text = call.parts.at("seq");
  const bool is_number =
      !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number) throw not_found();
  return std::stoll(text);
}

store::WebHistory history_of(const Parameters& given) {
  static const std::vector<std::string> kinds{
      "InstanceStarted",   "StepStarted",    "StepCompleted",    "StepFailed",     "TimerStarted",
      "TimerFired",        "SignalAwaited",  "SignalReceived",   "InstanceParked", "IterationCompleted",
      "InstanceCompleted", "InstanceFailed", "InstanceCancelled"};
  store::WebHistory which;
  which.before = given.number("before", 0, kMostSeq);
  which.after = given.number("after", 0, kMostSeq);
  which.kinds = given.list("kinds");
  require_among("kinds", which.kinds, kinds);
  which.node = given.text("node");
  which.scope = given.text("scope");
  which.limit = static_cast<int>(given.number("limit", 1, 500).value_or(200));
  return which;
}

std::string error_of(const std::string& id, const Refused& refused) {
  return cli::JsonObject().text("id", id).raw("error", refused.json()).text();
}

}  // namespace

store::WebFilter filter_of(const Parameters& given) {
  static const std::vector<std::string> statuses{"pending", "running",   "completed",
                                                 "failed",  "cancelled", "paused"};
  store::WebFilter filter;
  filter.statuses = given.list("status");
  require_among("status", filter.statuses, statuses);
  filter.label = given.text("label");
  filter.role = given.text("role");
  filter.database = given.text("database");
  filter.code = given.text("code");
  filter.id = given.text("id");
  filter.since = given.text("since");
  filter.until = given.text("until");
  if (filter.id &&
      (filter.id->size() > 8 ||
       filter.id->find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") != std::string::npos))
    throw bad("an id has 8 lower-case letters and digits");
  // These have no index of their own: a rare one would be looked for among all that there ever was.
  const bool is_pattern = filter.label && filter.label->find('%') != std::string::npos;
  const bool walks = is_pattern || filter.database || filter.code;
  filter.last_week = walks && !filter.since && !filter.id;
  if (filter.since == "all") filter.since.reset();
  return filter;
}

Watched Page::watched(const Parameters& given) {
  Watched watched;
  watched.instance = given.text("instance");
  watched.after = given.number("after", 0, kMostSeq).value_or(0);
  watched.ids = given.list("ids");
  watched.newest = given.text("newest");
  watched.filter = filter_of(given);
  watched.overview = given.flag("overview");
  const bool ids_are_right = std::all_of(watched.ids.begin(), watched.ids.end(), is_instance_id);
  if (watched.ids.size() > 200) throw bad("at most 200 ids");
  if (!ids_are_right || (watched.instance && !is_instance_id(*watched.instance)))
    throw bad("an id has 8 lower-case letters and digits");
  if (watched.newest && !is_cursor(*watched.newest)) throw bad("newest is not a cursor");
  if (!watched.instance && !watched.has_more_than_instance()) throw bad("there is nothing to watch");
  return watched;
}

asio::awaitable<Reply> Page::read(const Call& call) {
  const Parameters& given = call.parameters;
  const auto id = call.parts.find("id");
  std::function<std::optional<std::string>(store::WebStore&)> get;
  const std::string instance = id == call.parts.end() ? "" : id->second;
  switch (call.route->endpoint) {
    case Endpoint::kInstances: {
      store::WebPage page;
      page.limit = static_cast<int>(given.number("limit", 1, 200).value_or(50));
      page.cursor = given.text("cursor");
      if (page.cursor && !is_cursor(*page.cursor)) throw bad("cursor is malformed");
      get = [filter = filter_of(given), page](store::WebStore& store) {
        return store.instances(filter, page);
      };
      break;
    }
    case Endpoint::kInstance:
      get = [instance](store::WebStore& store) { return store.instance(instance); };
      break;
    case Endpoint::kGraph:
      get = [instance](store::WebStore& store) { return store.graph(instance); };
      break;
    case Endpoint::kHistory:
      get = [instance, which = history_of(given)](store::WebStore& store) {
        return store.history(instance, which);
      };
      break;
    case Endpoint::kEvent:
      get = [instance, seq = seq_part(call)](store::WebStore& store) { return store.event(instance, seq); };
      break;
    case Endpoint::kNode:
      get = [instance, node = node_part(call), which = history_of(given)](store::WebStore& store) {
        return store.node(instance, node, which);
      };
      break;
    case Endpoint::kText:
      get = [instance](store::WebStore& store) { return store.text(instance); };
      break;
    case Endpoint::kSignals:
      get = [instance](store::WebStore& store) { return store.signals(instance); };
      break;
    case Endpoint::kReruns:
      get = [instance](store::WebStore& store) { return store.reruns(instance); };
      break;
    case Endpoint::kWaiting: {
      const auto kinds = given.list("kind");
      require_among("kind", kinds, {"signal", "timer", "schedule", "retry", "login"});
      const int limit = static_cast<int>(given.number("limit", 1, 500).value_or(200));
      get = [kinds, limit](store::WebStore& store) { return store.waiting(kinds, limit); };
      break;
    }
    case Endpoint::kLabel:
      get = [label = given.required("label")](store::WebStore& store) { return store.label(label); };
      break;
    case Endpoint::kLabels:
      get = [](store::WebStore& store) { return store.labels(); };
      break;
    case Endpoint::kWorkers:
      get = [](store::WebStore& store) { return store.workers(); };
      break;
    default:
      throw not_found();
  }
  std::optional<std::string> body;
  const Database::Work work = [&](store::WebStore& store) { body = get(store); };
  co_await run(*call.session, work);
  co_return json_reply(std::move(body));
}

asio::awaitable<Reply> Page::payload(const Call& call) {
  using store::WebPart;
  static const std::map<std::string, WebPart> parts{
      {"text", WebPart::kText},     {"vars", WebPart::kVars},     {"input", WebPart::kInput},
      {"result", WebPart::kResult}, {"error", WebPart::kError},   {"graph", WebPart::kGraph},
      {"event", WebPart::kEvent},   {"signal", WebPart::kSignal}, {"query", WebPart::kQuery}};
  const Parameters& given = call.parameters;
  const std::string name = given.required("part"), id = call.parts.at("id");
  const auto part = parts.find(name);
  if (part == parts.end()) throw bad("part cannot be \"" + name.substr(0, 100) + '"');
  std::string which;
  if (part->second == WebPart::kEvent || part->second == WebPart::kSignal) {
    const auto number = given.number(part->second == WebPart::kEvent ? "seq" : "signal", 0, kMostSeq);
    if (!number) throw bad("it is missing which one");
    which = std::to_string(*number);
  } else if (part->second == WebPart::kQuery) {
    which = given.required("node");
    if (!is_node_id(which)) throw not_found();
  }
  std::optional<std::string> body;
  const Database::Work work = [&](store::WebStore& store) { body = store.payload(id, part->second, which); };
  co_await run(*call.session, work);
  if (!body) throw not_found();
  const bool is_json = name != "text" && name != "query";
  Reply reply{.body = *std::move(body), .type = "application/octet-stream"};
  reply.headers = {
      {"Content-Disposition", "attachment; filename=\"" + id + '-' + name +
                                  (which.empty() ? "" : '-' + which) + (is_json ? ".json" : ".txt") + '"'},
      {"Content-Security-Policy", "sandbox; default-src 'none'"}};
  co_return reply;
}

void log_write(const Call& call, const std::string& action, const std::string& id, const std::string& reason,
               const std::string& outcome) {
  const auto quoted = [](const std::string& text) { return cli::json_quote(text); };
  log(LogLevel::kInfo,
      "ui: " + call.session->role + " from " + call.address + ": " + action + ' ' + id +
          (reason.empty() ? "" : " (" + reason + ')') + ": " + outcome,
      {{"role", quoted(call.session->role)},
       {"action", quoted(action)},
       {"instance", quoted(id)},
       {"reason", quoted(reason)},
       {"address", quoted(call.address)}});
}

asio::awaitable<Reply> Page::act(const Call& call) {
  const Parameters& given = call.parameters;
  store::WebAction action;
  action.action = call.route->path.back();
  action.id = call.parts.at("id");
  action.reason = given.text("reason");
  action.expect_status = given.text("expect_status");
  action.from_node = given.text("from_node");
  if (action.from_node && !is_node_id(*action.from_node)) throw bad("from_node is not the id of a node");
  if (action.action == "signal") {
    action.name = given.required("name");
    action.data = given.text("data").value_or("{}");
  }
  const std::string reason = action.reason.value_or("");
  store::WebActed acted;
  std::optional<Refused> refused;
  try {
    const Database::Work work = [&](store::WebStore& store) { acted = store.act(action); };
    co_await run(*call.session, work);
  } catch (const store::WebError& error) {
    refused = refusal(error);
  }
  log_write(call, action.action, action.id, reason,
            refused         ? refused->what()
            : acted.changed ? "its status had changed"
                            : acted.message);
  if (refused) throw *refused;
  if (acted.changed)
    throw Refused(409, "changed",
                  "the instance is " + acted.status.value_or("gone") + " by now; nothing was done");
  live_.hurry(call.session->role);
  co_return json_reply(cli::JsonObject()
                           .text("id", action.id)
                           .text("message", acted.message)
                           .text("status_before", acted.status_before)
                           .text("status", acted.status)
                           .text("new_id", acted.new_id)
                           .text());
}

asio::awaitable<Reply> Page::bulk(const Call& call) {
  const Parameters& given = call.parameters;
  const std::string action = given.required("action"), reason = given.text("reason").value_or("");
  require_among("action", {action}, {"cancel", "pause", "resume", "rerun"});
  std::string body;
  if (given.flag("dry_run")) {
    const Parameters filter = given.object("filter");
    filter.require_known(filter_parameters());
    const Database::Work work = [&, wanted = filter_of(filter)](store::WebStore& store) {
      body = store.matching(action, wanted);
    };
    co_await run(*call.session, work);
    co_return json_reply(body);
  }
  const std::vector<std::string> ids = given.list("ids");
  if (ids.empty() || ids.size() > 500) throw bad("ids must be a list of 1 to 500 ids");
  if (!std::all_of(ids.begin(), ids.end(), is_instance_id))
    throw bad("an id has 8 lower-case letters and digits");
  cli::JsonList done, failed;
  std::size_t failures = 0;
  for (const std::string& id : ids) {
    store::WebActed acted;
    try {
      const Database::Work work = [&](store::WebStore& store) {
        store::WebAction one;
        one.action = action;
        one.id = id;
        if (!reason.empty()) one.reason = reason;
        acted = store.act(one);
      };
      co_await run(*call.session, work);
    } catch (const store::WebError& error) {
      const Refused refused = refusal(error);
      if (refused.status() >= 500) throw refused;
      failed.add(error_of(id, refused));
      ++failures;
      continue;
    }
    done.add(
        cli::JsonObject().text("id", id).text("status", acted.status).text("new_id", acted.new_id).text());
  }
  log_write(call, action, std::to_string(ids.size()) + " instances", reason,
            std::to_string(ids.size() - failures) + " done, " + std::to_string(failures) + " not");
  live_.hurry(call.session->role);
  co_return json_reply("{\"done\":" + done.text() + ",\"failed\":" + failed.text() + '}');
}

}  // namespace durabled::daemon::web
