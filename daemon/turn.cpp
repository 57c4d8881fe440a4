#include "daemon/turn.hpp"

#include "dsl/value/json_slice.hpp"
#include "dsl/value/pg_types.hpp"

namespace durabled::daemon {
namespace {

using dsl::append_json_string;

// `at`: the turn's time, which most of its events share to within microseconds.
void append_event(std::string& json, const dsl::Event& event, dsl::Time at) {
  json += "{\"seq\":" + std::to_string(event.seq) + ",\"kind\":\"" + std::string(dsl::to_string(event.kind)) +
          '"';
  if (event.address.node != dsl::kNoNode) {
    json += ",\"node\":\"" + dsl::node_id(event.address.node) + "\",\"scope\":\"" + event.address.scope + '"';
  }
  if (event.at != at) json += ",\"at_us\":" + std::to_string((event.at - at).count());
  if (event.took) json += ",\"took_us\":" + std::to_string(event.took->count());
  if (event.attempt > 0) json += ",\"attempt\":" + std::to_string(event.attempt);
  if (!event.data.empty()) {
    json += ",\"data\":";
    dsl::append_clean_json(json, event.data);
  }
  json += '}';
}

void append_numbers(std::string& json, const char* key, const std::vector<std::int64_t>& numbers) {
  if (numbers.empty()) return;
  json += std::string(",\"") + key + "\":[";
  for (std::size_t i = 0; i < numbers.size(); ++i) json += (i > 0 ? "," : "") + std::to_string(numbers[i]);
  json += ']';
}

void append_signals(std::string& json, const std::vector<TakenSignal>& signals, dsl::Time at) {
  if (signals.empty()) return;
  json += ",\"signals\":";
  for (const TakenSignal& signal : signals) {
    json += std::string(&signal == &signals.front() ? "[" : ",") + "{\"id\":" + std::to_string(signal.id) +
            ",\"at_us\":" + std::to_string((signal.at - at).count()) + '}';
  }
  json += ']';
}

void append_text(std::string& json, const char* key, const std::string& text) {
  if (text.empty()) return;
  json += std::string(",\"") + key + "\":";
  append_json_string(json, text);
}

}  // namespace

std::string TurnDraft::json(dsl::Time at) const {
  if (empty()) return "";
  std::string json = "{\"events\":[";
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (i > 0) json += ',';
    append_event(json, events[i], at);
  }
  json += ']';
  append_signals(json, signals, at);
  append_numbers(json, "prune", prune);
  if (!start.empty()) json += ",\"start\":" + start;
  if (!states.empty()) json += ",\"states\":" + states;
  append_text(json, "status", status);
  if (status == "waiting" || status == "paused") json += ",\"inbox\":" + std::to_string(inbox);
  append_text(json, "request", request);
  if (wake_at) append_text(json, "wake_at", dsl::format_time(*wake_at));
  if (result_seq > 0) json += ",\"result_seq\":" + std::to_string(result_seq);
  if (!error.empty()) json += ",\"error\":" + error;
  return json + '}';
}

std::string TurnDraft::json(const std::string& instance_id, std::int64_t token, dsl::Time at) const {
  std::string text = json(at);
  if (text.empty()) text = "{}";
  return "{\"instance\":\"" + instance_id + "\",\"token\":" + std::to_string(token) + ",\"at\":\"" +
         dsl::format_time(at) + '"' + (text.size() > 2 ? "," : "") + text.substr(1);
}

bool starts_from_row(const dsl::ParsedWorkflow& workflow) {
  return workflow.start_at || workflow.idempotency_key;
}

std::string start_json(const dsl::ParsedWorkflow& workflow) {
  std::string json;
  const auto append = [&json](const char* key, const std::optional<std::string>& text) {
    if (!text) return;
    json += std::string(json.empty() ? "{\"" : ",\"") + key + "\":";
    append_json_string(json, *text);
  };
  append("label", workflow.label);
  append("database", workflow.database);
  if (workflow.priority) append("priority", std::to_string(*workflow.priority));
  if (starts_from_row(workflow)) append("body", workflow.body);
  append("start_at", workflow.start_at);
  append("idempotency_key", workflow.idempotency_key);
  return json.empty() ? json : json + '}';
}

}  // namespace durabled::daemon
