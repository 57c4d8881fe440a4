// An instance in the memory of the daemon that holds it. Private to the coordinator.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/coordinator.hpp"

namespace durabled::daemon {

struct Coordinator::Step {
  enum class State {
    kSubstituting,  // its references are being replaced
    kRunning,
    kExecuted,         // its outcome waits for its turn
    kCommitting,       // folded; its commit carries the turn
    kCommittingAlone,  // raw: to be folded once the slot is free
    kCommittingThere,  // in its own database, another one than the instance's; it holds the slot
    kMarking,          // its start is being recorded before it runs outside a transaction
    kStopped,          // nobody wants it any more; its end is awaited
  };
  StepId id = 0;
  dsl::Address address;
  int attempt = 1;
  bool is_http = false;
  bool open = false;     // the step port knows it and waits for commit() or finish()
  bool alone = false;    // at-least-once
  bool foreign = false;  // runs in another database
  State state = State::kRunning;
  store::StepStatement statement;
  std::vector<std::string> warnings;  // about its references
  std::size_t charged = 0;            // of its statement, in Coordinator::texts_
  store::StepOutcome outcome;
  std::optional<double> retry_after;
  std::optional<dsl::Event> raw_event;
  std::optional<dsl::Time> unmarked_since;
};

struct Coordinator::Instance {
  std::string id, role, database, label;
  store::RoleId role_id = 0;
  std::size_t bytes = 0;  // about what was read of it
  bool may_http = false;  // as of the claim, and renewed by set_http_rights()
  std::int64_t token = 0;
  std::string claim_key;
  std::size_t charged = 0;  // bytes, in Coordinator::bytes_by_role_
  std::shared_ptr<const dsl::Graph> graph;
  std::unique_ptr<dsl::Execution> run;
  std::int64_t next_seq = 1;
  std::deque<store::Signal> inbox;       // untaken, oldest first
  std::int64_t fetching = 0;             // the one whose data is being read; 0: none
  bool awaits_data = false;              // its wait holds on to it: no timer fires until the data is there
  std::set<std::int64_t> known_signals;  // every one that was ever put there; ids do not come in order
  std::map<StepId, Step> steps;
  std::map<dsl::Address, StepId> newest_step;  // a stopped one may still be ending beside it
  std::deque<StepId> executed;                 // in state kExecuted, in order
  std::vector<dsl::Event>
      prologue;  // recorded, not yet sent: InstanceStarted goes along with the first commit
  bool prologue_sent = false, prologue_committed = false;
  std::vector<dsl::Event> unfolded;  // committed beside the turn that holds the slot
  std::vector<dsl::Decision> todo;   // to be carried out once the turn that holds the slot is committed
  bool slot_taken = false;
  bool turn_pending = false;  // the slot is held by a turn without a step
  std::string turn_json;      // that turn, to be sent again when the row was locked
  std::optional<dsl::Time> resend_at;
  int raw_in_flight = 0;
  bool leaving = false;  // the pending turn gives the instance back
  bool paused = false;
  bool unstarted = false;  // a step was taken back before it ran, because the daemon stops
  bool reloading = false;
  std::string request;                  // the last one that was read
  std::optional<dsl::Failure> fatal;    // after a reload: why it has to fail
  std::string new_start;                // what the text says of itself, to be written with the next turn
  bool put_back = false;                // the pending turn returns it to `pending`; it will be claimed again
  std::optional<dsl::Time> timer;       // as in Coordinator::timers_
  std::optional<dsl::Time> states_due;  // as in Coordinator::states_due_
  dsl::Time begun{};                    // of InstanceStarted
  std::optional<InstanceEnd> end;       // what the pending turn makes of it
  // After a reload: the step whose commit was refused, and why.
  dsl::Address refused;
  int refused_attempt = 1;
  std::optional<std::chrono::microseconds> refused_took;
  std::optional<dsl::Failure> refusal;
};

}  // namespace durabled::daemon
