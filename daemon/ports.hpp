// What the coordinator needs of the daemon around it. No port calls back from within one of its functions: answers
// come later, on the coordinator's thread.
#pragma once

#include <string>

#include "daemon/instance/effect.hpp"

namespace durabled::daemon {

// Runs SQL steps. Each start() is answered by executed(); after that exactly one of commit() (answered by
// committed()) and finish() ends the step. stop() makes a running one end soon, with a failure.
class StepPort {
 public:
  virtual ~StepPort() = default;
  virtual void start(StepId id, const store::StepTarget& target, store::StepStatement statement) = 0;
  virtual void commit(StepId id, store::StepCommit commit) = 0;
  // Commits step `id` and, in the same exchange, starts `next`, which the server runs only if that commit
  // succeeds. Same target as `id`. Answered by committed(id); if it committed, later by executed(next); if
  // not, `next` never ran and nothing more is heard of it. finish(id) follows as after any commit; stop() and
  // abandon() may come for either at any time. Requires: can_chain().
  virtual void commit_and_start(StepId id, store::StepCommit commit, StepId next,
                                store::StepStatement statement);
  virtual bool can_chain() const { return false; }
  // Commits a step of another database there; answered by committed().
  virtual void commit_foreign(StepId id, const std::string& result) = 0;
  virtual void finish(StepId id) = 0;  // rolls back what is open
  virtual void stop(StepId id) = 0;
  // Ends a step whatever it is doing: what runs is stopped, what has run is rolled back; a commit that is under
  // way goes on. What may still be answered finds nobody, and is finished then.
  virtual void abandon(StepId id) = 0;
  // Whether it waits for a connection still.
  virtual bool queued(StepId) const { return false; }
};

// Makes HTTP calls; each start() is answered by http_done(), unless stop() came before.
class HttpPort {
 public:
  virtual ~HttpPort() = default;
  // `payload`, unless null, is the body in place of the node's.
  virtual void start(StepId id, const std::string& role, const std::string& instance_id,
                     const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables,
                     const HttpPayload* payload) = 0;
  virtual void stop(StepId id) = 0;
};

// Commits turns that have no step; each is answered by turn_done().
class TurnPort {
 public:
  virtual ~TurnPort() = default;
  virtual void commit(store::Turn turn) = 0;
  virtual void reclaim(const std::string& instance_id) = 0;  // answered by reclaimed()
  virtual void fetch_signal(const std::string& instance_id,
                            std::int64_t signal_id) = 0;  // by signal_fetched()
};

}  // namespace durabled::daemon
