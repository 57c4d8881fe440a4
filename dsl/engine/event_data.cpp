#include "dsl/engine/event_data.hpp"

#include "dsl/graph/duration.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/result.hpp"

namespace durabled::dsl::event_data {

std::string instance_started(const Graph& graph, const std::vector<std::string>& warnings) {
  JsonWriter json;
  json.object().raw("graph", to_json(graph));
  if (!warnings.empty()) {
    json.key("warnings").list();
    for (const std::string& warning : warnings) json.text(warning);
    json.close();
  }
  return json.close().take();
}

std::string step_started_at_least_once() {
  return JsonWriter().object().member("guarantee", "at-least-once").close().take();
}

std::string step_failed(const Failure& failure, std::optional<Time> retry_at) {
  JsonWriter json;
  json.object().raw("error", failure.json());
  if (retry_at) json.member("retry_at", format_time(*retry_at));
  return json.close().take();
}

std::string timer_started(std::string_view kind, Time fire_at) {
  return JsonWriter().object().member("kind", kind).member("fire_at", format_time(fire_at)).close().take();
}

std::string sleep_started(double seconds, Time fire_at) {
  JsonWriter json;
  json.object().member("kind", "timer").raw("seconds", format_seconds(seconds));
  return json.member("fire_at", format_time(fire_at)).close().take();
}

std::string schedule_started(std::string_view cron, Time fire_at) {
  JsonWriter json;
  json.object().member("kind", "schedule").member("cron", cron);
  return json.member("fire_at", format_time(fire_at)).close().take();
}

std::string limit_started(std::string_view name, Time fire_at) {
  JsonWriter json;
  json.object().member("kind", "limit").member("name", name);
  return json.member("fire_at", format_time(fire_at)).close().take();
}

std::string signal_awaited(std::string_view name, std::optional<Time> until) {
  JsonWriter json;
  json.object().member("name", name);
  if (until) json.member("until", format_time(*until));
  return json.close().take();
}

std::string signal_received(std::string_view name, std::optional<std::string_view> data) {
  JsonWriter json;
  json.object().member("signal_name", name).raw("timed_out", data ? "false" : "true");
  return json.raw("data", data.value_or("null")).close().take();
}

std::string iteration_completed(std::int64_t iteration, const Names* names, const Names& entered) {
  JsonWriter json;
  json.object().number("iteration", iteration).key("names").object();
  if (names != nullptr) {
    names->visit_changes(
        entered, [&](const std::string& name, const ResultPtr& result) { json.raw(name, result->json()); });
  }
  return json.close().close().take();
}

std::string completed_by_event(std::int64_t result_seq) {
  return JsonWriter().object().number("result_seq", result_seq).close().take();
}

std::string completed_with(std::string_view result) {
  return JsonWriter().object().raw("result", result).close().take();
}

std::string instance_failed(const Failure& failure) {
  return JsonWriter().object().raw("error", failure.json()).close().take();
}

}  // namespace durabled::dsl::event_data
