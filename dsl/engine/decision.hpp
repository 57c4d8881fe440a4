// What to do next, in the imperative: what the engine asks of the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "dsl/engine/event.hpp"
#include "dsl/engine/failure.hpp"
#include "dsl/value/names.hpp"

namespace durabled::dsl {

// Run one SQL statement; report StepCompleted or StepFailed.
struct RunSql {
  Address address;
  int attempt = 1;
  std::string statement;
  // Replacing the references may take long: the node's text is yet to be substituted with these names, in
  // place of `statement`, and off the event loop. What cannot be is reported as StepFailed.
  bool is_template = false;
  Names names = {};
  std::vector<std::string> warnings = {};  // to go with the step's result
  bool is_ordered = false;                 // which of several ends first decides; it shares no transaction
  bool at_home = false;                    // in the database that is served, whatever the instance's
};
// Make one HTTP call; the daemon substitutes, because only it knows secrets.
struct CallHttp {
  Address address;
  int attempt = 1;
  Names names;
};
// Stop what runs at `address`; nothing of it may be committed.
struct StopStep {
  Address address;
};
// Append this event (seq and at are the daemon's to set) and apply it: a timer to start, a signal to await, a
// step that failed before it ran, an iteration to begin, the instance's end.
struct Record {
  Event event;
  std::vector<std::int64_t> prune;  // kIterationCompleted: events of the history that it makes superfluous
};

using Decision = std::variant<RunSql, CallHttp, StopStep, Record>;

}  // namespace durabled::dsl
