// One step of an instance that runs, or waits for its turn to be committed. Its states, and the moves between
// them, are the table on top of step.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/instance/effect.hpp"

namespace durabled::daemon {

class Step {
 public:
  enum class State : std::uint8_t {
    kSubstituting,  // its references are being replaced
    kChained,       // sent behind the commit of the step before it, and runs if that succeeds
    kRunning,
    kStopped,     // nobody wants it any more; its end is awaited
    kExecuted,    // its outcome waits for its turn
    kCommitting,  // folded; its commit carries the turn, and it holds the slot
    kBeside,      // its commit carries its event alone, beside the turn that holds the slot
    kForeign,     // it commits in its own database, another one than the instance's; it holds the slot
    kMarking,     // its start is being recorded before it runs outside a transaction
  };
  static bool may_begin_as(State state);
  static bool may_become(State from, State to);

  Step(StepId step_id, dsl::Address where, int number, State state);

  State state() const { return state_; }
  void become(State state);  // asserts that the table has it

  // Whether its commit is its own transaction's, so that it carries its event.
  bool commits_in_session() const {
    return outcome.result && open && !statement.alone && !outcome.already_committed;
  }
  // Which of its parts is under way; kCall for all that have but one.
  Exchange::Part part() const { return exchange ? exchange->part : Exchange::Part::kCall; }
  // What the writer of the statement wants to see beside how it ended: the warnings about its references, and
  // where an error has a position, the text that it counts in. `text`: the node's.
  void annotate(const std::string& text);

  StepId id;
  dsl::Address address;
  int attempt;
  bool is_http = false;
  bool open = false;     // the step port knows it and waits for a commit or its finish
  std::string database;  // where it runs
  bool foreign = false;  // that is another one than the one that is served
  store::StepStatement statement;
  std::vector<std::string> warnings;  // about its references
  store::StepOutcome outcome;
  std::optional<double> retry_after;
  std::optional<Exchange> exchange;  // of a call with a statement before or after it
  std::optional<dsl::Event> event;   // kBeside
  std::optional<dsl::Time> mark_at;  // when its start goes into the history

 private:
  State state_;
};

}  // namespace durabled::daemon
