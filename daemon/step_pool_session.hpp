// What a connection of the step pool does. Private to the pool.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daemon/step_pool.hpp"

namespace durabled::daemon {

// Of a group.
struct StepPool::Member {
  StepId id = 0;
  ShortStatements::Shape shape = ShortStatements::kNone;
  bool is_told = false;
  std::optional<store::StepCommit> commit = {};
  StepId next = 0;  // to be started once it is committed
};

// What a connection does, what begins it, and what comes next:
//
//   phase         begins with                      next
//   idle          opened, released                 running; closed when the server ends it
//   running       serve(); kCommitted              executed; closed and its step queued again if the session was
//                                                  dead before it took anything
//   executed      kOver; a commit that is refused  committing; chaining; finish(): rolling back, or idle if it ran
//                                                  alone
//   committing    commit(), commit_foreign(),      committed, executed
//                 commit_and_start() while others
//                 wait for the connection
//   chaining      commit_and_start()               running (the next step), executed (of this one)
//   committed     kOver                            finish(): idle
//   rolling back  finish(), a late cancel,         idle; closed when the connection is lost
//                 a group that falls apart
//
// Of a group of steps (step_groups.cpp):
//
//   group runs    serve_group()                    group told; rolling back, and its steps queued again, if one of
//                                                  them fails, is slow or is not wanted any more
//   group told    kOver                            group commits; rolling back if a member's instance cannot say at
//                                                  once what to commit
//   group commits every member was committed       idle; rolling back if the commit is refused
//
// While a cancel is on its way a connection is not released, so that the cancel cannot hit the next step. One that
// was meant for a commit may hit the step that is chained to it: that step runs again.
struct StepPool::Session {
  enum class Phase {
    kIdle,
    kRunning,
    kExecuted,
    kCommitting,
    kChaining,
    kCommitted,
    kRollingBack,
    kGroupRunning,
    kGroupTold,
    kGroupCommitting
  };

  ConnectionId id = 0;
  store::StepTarget target;
  std::unique_ptr<StepLink> link;
  Phase phase = Phase::kIdle;
  StepId job = 0, next = 0;  // next: to be started once job is committed
  int chained = 0;           // steps that were started so since it was served
  bool alone = false;
  bool used = false;  // it has run something
  bool cancelling = false;
  bool release_when_cancelled = false;
  bool stray_cancel = false;  // that was meant for the step before
  bool overdue = false;       // it was cancelled because it ran too long
  std::vector<Member> group;
  Time served_at{}, running_since{};
};

}  // namespace durabled::daemon
