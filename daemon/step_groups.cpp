// Steps that share a connection's transaction: who joins, and what becomes of a group. A group is committed only if every
// statement of it has succeeded, every instance has said at once what to commit, and the one checkpoint is accepted. Else
// it falls apart: nothing of it has happened, and each step runs by itself, where its own outcome counts. See
// docs/decisions, "Short steps share a commit".
#include <algorithm>
#include <utility>

#include "daemon/step_pool.hpp"
#include "daemon/step_pool_session.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {

void StepLink::run_group(std::vector<store::StepStatement>) {
  DURABLED_ASSERT(!"this link takes no groups");
}
void StepLink::commit_group(const std::vector<store::StepCommit>&) {
  DURABLED_ASSERT(!"this link takes no groups");
}

bool StepPool::may_join(const Job& job) const {
  if (!job.may_join) return false;
  const auto known = short_.find(job.target);
  return known != short_.end() && known->second.may_join(job.shape);
}

// Of an instance that has recorded nothing yet the first commit carries its start, and no other can be beside that.
bool StepPool::joins(ConnectionId connection, const std::vector<StepId>& chosen, StepId step) {
  const Job& job = jobs_.at(step);
  if (!may_join(job)) return false;
  if (chosen.empty()) return sessions_.at(connection)->link->takes_groups();
  return std::none_of(chosen.begin(), chosen.end(), [&](StepId id) {
    const store::StepStatement& other = jobs_.at(id).statement;
    return other.instance_id == job.statement.instance_id && (other.is_first || job.statement.is_first);
  });
}

void StepPool::serve_group(ConnectionId connection, std::vector<StepId> steps) {
  Session& session = *sessions_.at(connection);
  std::vector<store::StepStatement> statements;
  for (const StepId id : steps) {
    Job& job = jobs_.at(id);
    job.state = Job::State::kServed;
    job.session = &session;
    session.group.push_back({.id = id, .shape = job.shape});
    statements.push_back(job.statement);
  }
  session.phase = Session::Phase::kGroupRunning;
  session.alone = session.overdue = session.stray_cancel = false;
  session.served_at = session.running_since = connector_.now();
  if (const Time deadline = session.running_since + options_.group_time; deadline < next_tick_)
    wake_at(deadline);
  session.link->run_group(std::move(statements));
}

void StepPool::group_ran(Session& session) {
  store::GroupOutcome outcome = session.link->take_group_outcome();
  const bool never_began = outcome.never_began && !session.cancelling;
  if (!never_began) {
    session.used = true;
    if (pool_.works(session.id)) logins_.works(session.target, connector_.now());
  }
  const bool is_wanted = std::none_of(session.group.begin(), session.group.end(),
                                      [&](const auto& one) { return jobs_.at(one.id).is_stopped; });
  if (!outcome.failure && is_wanted) return tell_group(session, std::move(outcome.steps));
  ShortStatements& known = short_[session.target];
  if (outcome.failure && outcome.culprit && is_wanted) known.failed(session.group[*outcome.culprit].shape);
  fall_apart(session);
}

// Before any of its steps was told of: they wait again.
void StepPool::fall_apart(Session& session) {
  std::vector<Member> members = std::exchange(session.group, {});
  for (const Member& one : members) {
    Job& job = jobs_.at(one.id);
    job.session = nullptr;
    job.may_join = false;
  }
  if (!session.link->lost()) {
    roll_back(session);
  } else if (session.used || jobs_.at(members.back().id).is_stopped) {
    lose(session);
  } else {
    session.job = members.back().id;
    members.pop_back();
    put_back(session, jobs_.at(session.job));
  }
  for (const Member& one : members) wait_or_answer(one.id);
}

// A member's instance may commit the step, finish it, or wait for another turn of its own; while it is told of the
// results, the others of the group are as they were.
void StepPool::tell_group(Session& session, std::vector<store::StepOutcome> outcomes) {
  session.phase = Session::Phase::kGroupTold;
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(connector_.now() - session.running_since);
  for (std::size_t i = 0; i < session.group.size(); ++i) {
    if (!jobs_.contains(session.group[i].id)) return dissolve(session);  // it ended with another one
    session.group[i].is_told = true;
    outcomes[i].took = took;
    callbacks_.executed(session.group[i].id, std::move(outcomes[i]));
    if (!session.group[i].commit || !jobs_.contains(session.group[i].id)) return dissolve(session);
  }
  std::vector<store::StepCommit> commits;
  for (Member& one : session.group) {
    if (!jobs_.contains(one.id)) return dissolve(session);
    commits.push_back(std::move(*one.commit));
  }
  session.phase = Session::Phase::kGroupCommitting;
  session.link->commit_group(commits);
}

// Some of its steps were told of: what they returned then counts no more.
void StepPool::dissolve(Session& session) {
  const std::vector<Member> members = std::exchange(session.group, {});
  roll_back(session);
  ShortStatements& known = short_[session.target];
  for (const Member& one : members) {
    jobs_.erase(one.next);
    const auto found = jobs_.find(one.id);
    if (found == jobs_.end()) continue;
    Job& job = found->second;
    job.session = nullptr;
    job.may_join = false;
    if (!one.is_told) {
      wait_or_answer(one.id);
    } else {
      one.commit ? known.fell_apart(one.shape) : known.failed(one.shape);
      job.state = Job::State::kUngrouped;
      if (one.commit) is_ungrouped(one.id);
    }
  }
}

bool StepPool::is_ungrouped(StepId id) {
  if (jobs_.at(id).state != Job::State::kUngrouped) return false;
  connector_.post([this, id] { callbacks_.committed(id, {store::CommitOutcome::Kind::kNotGrouped, {}}); });
  return true;
}

StepPool::Member* StepPool::member(StepId id) {
  Session* const session = jobs_.at(id).session;
  if (session == nullptr || session->phase != Session::Phase::kGroupTold) return nullptr;
  const auto found = std::find_if(session->group.begin(), session->group.end(),
                                  [&](const auto& one) { return one.id == id; });
  return &*found;
}

void StepPool::answer_group(Session& session, store::CommitOutcome::Kind kind) {
  const bool is_committed = kind == store::CommitOutcome::Kind::kCommitted;
  const std::vector<Member> members = std::exchange(session.group, {});
  ShortStatements& known = short_[session.target];
  for (const Member& one : members) {
    is_committed ? known.joined(one.shape) : known.fell_apart(one.shape);
    if (!is_committed) jobs_.erase(one.next);
    const auto found = jobs_.find(one.id);
    if (found == jobs_.end()) continue;
    found->second.session = nullptr;
    found->second.state = Job::State::kAnswered;
  }
  if (is_committed && callbacks_.grouped) callbacks_.grouped(members.size());
  const ConnectionId connection = session.id;
  session.phase = is_committed ? Session::Phase::kCommitted : Session::Phase::kExecuted;
  for (const Member& one : members) {
    callbacks_.committed(one.id, {kind, {}});
    wait_or_answer(one.next);
  }
  // Last, so that the connection's next group is made of all that follows.
  const auto found = sessions_.find(connection);
  if (found == sessions_.end()) return;
  if (found->second->link->lost()) return lose(*found->second);
  is_committed ? release(*found->second) : roll_back(*found->second);
}

}  // namespace durabled::daemon
