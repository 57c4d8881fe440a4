// A turn being put together: the events that one fold and its decisions append, and what becomes of the
// instance.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsl/engine/event.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/value/json_writer.hpp"
#include "store/step_session.hpp"

namespace durabled::daemon {

struct TakenSignal {
  std::int64_t id = 0;
  dsl::Time at{};  // of its SignalReceived, by which it is pruned together with that event
};

struct TurnDraft {
  // What becomes of the instance. kGoesOn: its row keeps its status.
  enum class Status { kGoesOn, kWaiting, kPaused, kCompleted, kFailed, kCancelled };

  std::vector<dsl::Event> events;  // beside the first one of a step's commit
  std::vector<TakenSignal> signals;
  std::vector<std::int64_t> prune;
  Status status = Status::kGoesOn;
  std::optional<dsl::Time> wake_at;
  std::size_t inbox = 0;  // waiting, paused: untaken signals that were seen; more of them wake it at once
  std::string request;    // waiting, paused: the last one that was read; another one wakes it at once
  std::int64_t result_seq = 0;
  std::string error;   // JSON
  std::string start;   // JSON, as start_json() makes it
  std::string states;  // JSON, as Execution::node_states() makes it

  bool empty() const {
    return events.empty() && status == Status::kGoesOn && signals.empty() && start.empty() && states.empty();
  }
  // This goes before the events that are there.
  void open_with(const dsl::Event& event) { events.insert(events.begin(), event); }

  // As df._apply_turn has it, `at` being the turn's time; empty when there is nothing to say.
  std::string for_step(dsl::Time at) const;
  // The same without JSON, if there is no more to it than that has.
  std::optional<store::PlainTurn> plain() const;
  // As df._commit_turns has it.
  std::string for_batch(const std::string& instance_id, std::int64_t token, dsl::Time at) const;

 private:
  void write(dsl::JsonWriter& json, dsl::Time at) const;
};

// As df.instances has it; "" for kGoesOn and kWaiting, which are not statuses of a row.
const char* to_string(TurnDraft::Status status);

// Whether what the text says in an enclosing df.start must be in the row before anything runs.
bool starts_from_row(const dsl::ParsedWorkflow& workflow);

// What it says there, as df._apply_start has it; empty for nothing. With the text that df.start encloses if
// the instance is to be put back: it will be claimed again, with what is left for the row to say.
std::string start_json(const dsl::ParsedWorkflow& workflow);

}  // namespace durabled::daemon
