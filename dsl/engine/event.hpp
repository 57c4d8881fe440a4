// What happened, in the past tense: the facts that an instance's history holds and its state is folded from.
// docs/events.md lists each kind with the fields of its data.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

using Time = std::chrono::sys_time<std::chrono::microseconds>;

// kind                 address            data
// InstanceStarted      -                  {"graph"}; warnings of the text door in "warnings"
// StepStarted          the step           {"guarantee"}: of a step that lasts, or that is at-least-once
// StepCompleted        the step           its result
// StepFailed           the step           {"error"[,"retry_at"]}
// TimerStarted         node that waits    {"kind","fire_at"…}
// TimerFired           node that waited   -
// SignalAwaited        the wait           {"name"[,"until"]}
// SignalReceived       the wait           {"signal_name","timed_out","data"}: its result
// IterationCompleted   the loop           {"iteration","names"}: of the one that begins now
// InstanceCompleted    -                  {"result_seq"} or {"result"}
// InstanceFailed       -                  {"error"}
// InstanceCancelled    -                  {"error"}
// InstanceParked       -                  {"error"}: put aside until it is resumed; it changes no state
enum class EventKind : std::uint8_t {
  kInstanceStarted,
  kStepStarted,
  kStepCompleted,
  kStepFailed,
  kTimerStarted,
  kTimerFired,
  kSignalAwaited,
  kSignalReceived,
  kIterationCompleted,
  kInstanceCompleted,
  kInstanceFailed,
  kInstanceCancelled,
  kInstanceParked,
};

std::string_view to_string(EventKind kind);
std::optional<EventKind> event_kind(std::string_view name);

// Where in an instance: a node, and the iteration of each enclosing loop or row of each enclosing for_each,
// outermost first, joined by dots ("" outside any, "3", "3.0.17").
struct Address {
  NodeIndex node = kNoNode;
  std::string scope;
  auto operator<=>(const Address&) const = default;
};

struct Event {
  std::int64_t seq = 0;  // strictly increasing in an instance, from 1
  Time at{};
  EventKind kind = EventKind::kInstanceStarted;
  Address address;   // node kNoNode: the instance itself
  int attempt = 0;   // of a step, from 1; 0 for other events
  std::string data;  // JSON text; empty: none
  // Of a step's end, where it is known: how long the attempt ran. For people; the engine does not look at it.
  std::optional<std::chrono::microseconds> took = {};
};

// RFC 3339 in UTC with microseconds; parse_time accepts what format_time writes.
std::string format_time(Time time);
std::optional<Time> parse_time(std::string_view text);

}  // namespace durabled::dsl
