#include "daemon/turn.hpp"

#include <algorithm>

namespace durabled::daemon {
namespace {

using dsl::JsonWriter;

// `at`: the turn's time, which most of its events share to within microseconds.
void write_event(JsonWriter& json, const dsl::Event& event, dsl::Time at) {
  json.object().number("seq", event.seq).member("kind", dsl::to_string(event.kind));
  if (event.address.node != dsl::kNoNode)
    json.member("node", dsl::node_id(event.address.node)).member("scope", event.address.scope);
  if (event.at != at) json.number("at_us", (event.at - at).count());
  if (event.took) json.number("took_us", event.took->count());
  if (event.attempt > 0) json.number("attempt", event.attempt);
  if (!event.data.empty()) json.key("data").cleaned(event.data);
  json.close();
}

void write_signals(JsonWriter& json, const std::vector<TakenSignal>& signals, dsl::Time at) {
  if (signals.empty()) return;
  json.key("signals").list();
  for (const TakenSignal& signal : signals)
    json.object().number("id", signal.id).number("at_us", (signal.at - at).count()).close();
  json.close();
}

void write_prune(JsonWriter& json, const std::vector<std::int64_t>& seqs) {
  if (seqs.empty()) return;
  json.key("prune").list();
  for (const std::int64_t seq : seqs) json.number(seq);
  json.close();
}

}  // namespace

const char* to_string(TurnDraft::Status status) {
  switch (status) {
    case TurnDraft::Status::kGoesOn:
      return "";
    case TurnDraft::Status::kWaiting:
      return "waiting";
    case TurnDraft::Status::kPaused:
      return "paused";
    case TurnDraft::Status::kCompleted:
      return "completed";
    case TurnDraft::Status::kFailed:
      return "failed";
    case TurnDraft::Status::kCancelled:
      return "cancelled";
  }
  return "";
}

void TurnDraft::write(JsonWriter& json, dsl::Time at) const {
  json.key("events").list();
  for (const dsl::Event& event : events) write_event(json, event, at);
  json.close();
  write_signals(json, signals, at);
  write_prune(json, prune);
  if (!start.empty()) json.raw("start", start);
  if (!states.empty()) json.raw("states", states);
  if (status != Status::kGoesOn) json.member("status", to_string(status));
  if (status == Status::kWaiting || status == Status::kPaused)
    json.number("inbox", static_cast<std::int64_t>(inbox));
  if (!request.empty()) json.member("request", request);
  if (wake_at) json.member("wake_at", dsl::format_time(*wake_at));
  if (result_seq > 0) json.number("result_seq", result_seq);
  if (!error.empty()) json.raw("error", error);
}

std::string TurnDraft::for_step(dsl::Time at) const {
  if (empty()) return "";
  JsonWriter json;
  json.object();
  write(json, at);
  return json.close().take();
}

std::optional<store::PlainTurn> TurnDraft::plain() const {
  const bool is_end = status == Status::kCompleted;
  const bool is_plain = signals.empty() && prune.empty() && start.empty() && error.empty() &&
                        (is_end || (status == Status::kGoesOn && states.empty())) &&
                        std::none_of(events.begin(), events.end(),
                                     [](const dsl::Event& event) { return event.took.has_value(); });
  if (!is_plain) return std::nullopt;
  return store::PlainTurn{events, is_end, result_seq, states};
}

std::string TurnDraft::for_batch(const std::string& instance_id, std::int64_t token, dsl::Time at) const {
  JsonWriter json;
  json.object().member("instance", instance_id).number("token", token).member("at", dsl::format_time(at));
  if (!empty()) write(json, at);
  return json.close().take();
}

bool starts_from_row(const dsl::ParsedWorkflow& workflow) {
  return workflow.start_at || workflow.idempotency_key;
}

std::string start_json(const dsl::ParsedWorkflow& workflow) {
  JsonWriter json;
  bool any = false;
  json.object();
  const auto member = [&](const char* name, const std::optional<std::string>& text) {
    if (!text) return;
    json.member(name, *text);
    any = true;
  };
  member("label", workflow.label);
  member("database", workflow.database);
  if (workflow.priority) member("priority", std::to_string(*workflow.priority));
  if (starts_from_row(workflow)) member("body", workflow.body);
  member("start_at", workflow.start_at);
  member("idempotency_key", workflow.idempotency_key);
  if (workflow.input) {
    json.raw("input", *workflow.input);
    any = true;
  }
  return any ? json.close().take() : "";
}

}  // namespace durabled::daemon
