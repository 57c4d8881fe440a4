#include "daemon/step_pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "daemon/step_pool_session.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

constexpr std::chrono::seconds kTick{1};

}  // namespace

StepPool::StepPool(StepConnector& connector, StepPoolOptions options)
    : connector_(connector),
      options_(std::move(options)),
      logins_(options_.set_role),
      pool_(*this, options_.limits) {}

StepPool::~StepPool() = default;

void StepPool::set_callbacks(Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  logins_.set_callbacks(std::move(callbacks_.logins));
}

void StepPool::shut_down() {
  set_callbacks({});
  sessions_.clear();
  jobs_.clear();
}

void StepPool::reconfigure(std::chrono::milliseconds idle_timeout, std::chrono::milliseconds timeout,
                           std::chrono::milliseconds max_connect_pause) {
  options_.timeout = timeout;
  pool_.reconfigure(idle_timeout, max_connect_pause, connector_.now());
}

StepPool::Job& StepPool::add_job(StepId id, const store::StepTarget& target, const std::string& role,
                                 store::StepStatement& statement) {
  Job& job = jobs_[id];
  job = {};
  job.target = target;
  job.role = statement.role = role;
  job.node = static_cast<dsl::NodeIndex>(std::strtoul(statement.node_id.c_str(), nullptr, 16));
  job.attempt = statement.attempt;
  if (options_.limits.group > 1 && statement.may_group && !statement.alone) {
    job.shape = options_.shape_of(statement.sql);
    job.may_join = job.shape != ShortStatements::kNone;
  }
  return job;
}

void StepPool::start(StepId id, const store::StepTarget& target, store::StepStatement statement) {
  store::StepTarget login = target;
  if (options_.set_role) login.role = options_.own_role;
  Job& job = add_job(id, login, login.role == target.role ? "none" : target.role, statement);
  job.statement = std::move(statement);
  enqueue(id);
}

void StepPool::enqueue(StepId id) {
  Job& job = jobs_.at(id);
  job.state = Job::State::kWaiting;
  job.session = nullptr;
  pool_.enqueue(id, job.target, connector_.now());
}

void StepPool::open(const store::StepTarget& target) {
  connector_.connect(
      target, [this, target](std::unique_ptr<StepLink> link) { opened(target, std::move(link)); },
      [this, target](const store::StoreError& error) { refused(target, error); });
}

void StepPool::opened(const store::StepTarget& target, std::unique_ptr<StepLink> link) {
  auto session = std::make_unique<Session>();
  session->id = next_connection_++;
  session->target = target;
  session->link = std::move(link);
  const ConnectionId id = session->id;
  session->link->attach(*this, id);
  sessions_[id] = std::move(session);
  pool_.opened(id, target, connector_.now());
}

void StepPool::refused(const store::StepTarget& target, const store::StoreError& error) {
  const bool server_full = error.sqlstate() == "53300";
  report(target, error, pool_.refused(target, server_full, connector_.now()));
}

void StepPool::report(const store::StepTarget& target, const store::StoreError& error,
                      std::optional<std::chrono::milliseconds> next_try) {
  if (next_try) {
    logins_.failed(target, error, *next_try, connector_.now(),
                   [this, target](const std::string& why) { fail_waiting(target, why); });
  }
  tick();  // it knows when the pause ends
}

void StepPool::fail_waiting(const store::StepTarget& target, const std::string& why) {
  for (const StepId id : pool_.withdraw_all(target, connector_.now())) {
    Job& job = jobs_.at(id);
    answer_later(id, job,
                 dsl::make_failure("28000",
                                   "cannot log in as role \"" + target.role + "\" to database \"" +
                                       target.database + "\": " + why,
                                   job.node, job.attempt));
  }
}

void StepPool::answer_later(StepId id, Job& job, dsl::Failure failure) {
  job.state = Job::State::kAnswered;
  connector_.post([this, id, failure = std::move(failure)] {
    callbacks_.executed(id, {std::nullopt, failure});
  });
}

void StepPool::serve(ConnectionId connection, StepId step) {
  Session& session = *sessions_.at(connection);
  Job& job = jobs_.at(step);
  job.state = Job::State::kServed;
  job.session = &session;
  session.job = step;
  session.alone = job.statement.alone;
  session.overdue = session.stray_cancel = false;
  session.chained = 0;
  session.phase = Session::Phase::kRunning;
  session.served_at = session.running_since = connector_.now();
  session.link->run(std::move(job.statement));
}

StepPool::Session& StepPool::executed_session(StepId id) {
  Session* session = jobs_.at(id).session;
  DURABLED_ASSERT(session != nullptr && session->phase == Session::Phase::kExecuted);
  return *session;
}

void StepPool::commit(StepId id, store::StepCommit commit) {
  if (Member* one = member(id)) {
    one->commit = std::move(commit);
    return;
  }
  if (is_ungrouped(id)) return;
  Session& session = executed_session(id);
  session.phase = Session::Phase::kCommitting;
  session.link->commit(commit);
}

void StepPool::commit_foreign(StepId id, const std::string& result) {
  Session& session = executed_session(id);
  session.phase = Session::Phase::kCommitting;
  session.link->commit_foreign(result);
}

void StepPool::commit_and_start(StepId id, store::StepCommit commit, StepId next,
                                store::StepStatement statement) {
  if (is_ungrouped(id)) return;
  const Job& before = jobs_.at(id);
  Job& job = add_job(next, before.target, before.role, statement);
  job.state = Job::State::kBehind;
  if (Member* one = member(id)) {
    job.statement = std::move(statement);
    one->commit = std::move(commit);
    one->next = next;
    return;
  }
  Session& session = executed_session(id);
  session.next = next;
  const bool joins_others = may_join(job) && pool_.is_waited_for(session.target);
  if (statement.alone || joins_others || !may_chain(session)) {
    job.statement = std::move(statement);
    session.phase = Session::Phase::kCommitting;
    return session.link->commit(commit);
  }
  session.phase = Session::Phase::kChaining;
  session.link->commit_and_run(commit, std::move(statement));
}

// Steps of instances that have recorded nothing yet go first: an instance with which daemons die three times
// before that is parked, and it should not be for having waited.
bool StepPool::may_chain(const Session& session) const {
  if (session.cancelling) return false;
  const auto waiting = pool_.next_waiting(session.target);
  if (waiting && jobs_.at(*waiting).statement.is_first) return false;
  const bool is_long =
      session.chained >= options_.chain_steps || connector_.now() - session.served_at >= options_.chain_time;
  return !is_long || !pool_.is_wanted(session.id);
}

void StepPool::finish(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Session* session = found->second.session;
  jobs_.erase(found);
  if (session == nullptr || session->phase == Session::Phase::kGroupTold) return;
  session->job = 0;
  if (session->link->lost()) return lose(*session);
  if (session->phase == Session::Phase::kExecuted && !session->alone) return roll_back(*session);
  release(*session);
}

bool StepPool::queued(StepId id) const {
  const auto found = jobs_.find(id);
  return found != jobs_.end() &&
         (found->second.state == Job::State::kWaiting || found->second.state == Job::State::kBehind);
}

void StepPool::stop(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  switch (job.state) {
    case Job::State::kWaiting:
      pool_.withdraw(id, job.target);
      return answer_later(id, job, dsl::make_failure("57014", "stopped before it ran", dsl::kNoNode, 1));
    case Job::State::kBehind:
      job.is_stopped = true;
      return;
    case Job::State::kServed:
      return stop_served(job);
    case Job::State::kAnswered:
    case Job::State::kUngrouped:
      return;
  }
}

void StepPool::stop_served(Job& job) {
  using Phase = Session::Phase;
  const Phase phase = job.session->phase;
  if (phase != Phase::kRunning && phase != Phase::kGroupRunning && phase != Phase::kGroupTold) return;
  job.is_stopped = true;
  if (phase != Phase::kGroupTold) cancel(*job.session);
}

void StepPool::abandon(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  const Job& job = found->second;
  using Phase = Session::Phase;
  const Phase phase = job.session != nullptr ? job.session->phase : Phase::kIdle;
  const bool is_answered =
      job.state == Job::State::kAnswered || job.state == Job::State::kUngrouped ||
      (job.state == Job::State::kServed &&
       (phase == Phase::kExecuted || phase == Phase::kCommitted || phase == Phase::kGroupTold));
  return is_answered ? finish(id) : stop(id);
}

void StepPool::answered(std::uint64_t link, StepLink::Answer answer) {
  Session& session = *sessions_.at(link);
  switch (answer) {
    case StepLink::Answer::kOver:
      return exchange_over(session);
    case StepLink::Answer::kCommitted:
      return go_on(session);
    case StepLink::Answer::kCancelled:
      session.cancelling = false;
      // One exchange more: a cancel that arrives this late hits nothing but it.
      if (std::exchange(session.release_when_cancelled, false)) return roll_back(session);
      // It was meant for the step before, and a step that is to be stopped runs.
      if (session.stray_cancel && session.phase == Session::Phase::kRunning &&
          jobs_.at(session.job).is_stopped)
        cancel(session);
      return;
    case StepLink::Answer::kGone:
      if (session.phase == Session::Phase::kIdle) lose(session);
      return;
  }
}

void StepPool::exchange_over(Session& session) {
  switch (session.phase) {
    case Session::Phase::kRunning:
      return run_over(session);
    case Session::Phase::kCommitting:
    case Session::Phase::kChaining:
      return commit_over(session);
    case Session::Phase::kRollingBack:
      return session.link->lost() ? lose(session) : release(session);
    case Session::Phase::kGroupRunning:
      return group_ran(session);
    case Session::Phase::kGroupCommitting:
      return answer_group(session, session.link->take_commit_outcome().kind);
    case Session::Phase::kGroupTold:
    case Session::Phase::kIdle:
    case Session::Phase::kExecuted:
    case Session::Phase::kCommitted:
      return;
  }
}

void StepPool::run_over(Session& session) {
  session.phase = Session::Phase::kExecuted;
  store::StepOutcome outcome = session.link->take_outcome();
  if (outcome.never_began && !session.cancelling) return put_back(session);
  if (was_cancelled_by_mistake(session, outcome)) return run_again(session);
  session.used = true;
  const Time now = connector_.now();
  if (pool_.works(session.id)) logins_.works(session.target, now);
  outcome.took = std::chrono::duration_cast<std::chrono::microseconds>(now - session.running_since);
  explain_overdue(outcome.failure, session);
  if (const auto job = jobs_.find(session.job);
      job != jobs_.end() && job->second.shape != ShortStatements::kNone) {
    ShortStatements& known = short_[session.target];
    outcome.failure ? known.failed(job->second.shape) : known.ran(job->second.shape, *outcome.took);
  }
  callbacks_.executed(session.job, std::move(outcome));
}

// Of commit(), commit_foreign() and, unless it has committed, commit_and_run().
void StepPool::commit_over(Session& session) {
  store::CommitOutcome outcome = session.link->take_commit_outcome();
  const bool committed = outcome.kind == store::CommitOutcome::Kind::kCommitted;
  const StepId id = session.job, next = std::exchange(session.next, 0);
  // A commit that the server refused leaves a failed transaction behind.
  session.phase = committed ? Session::Phase::kCommitted : Session::Phase::kExecuted;
  if (!committed) jobs_.erase(next);
  explain_overdue(outcome.failure, session);
  callbacks_.committed(id, std::move(outcome));
  wait_or_answer(next);
}

// A step that has not run, if it is there still: it waits for a connection, unless nobody waits for it any more.
void StepPool::wait_or_answer(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  if (!found->second.is_stopped) return enqueue(id);
  answer_later(id, found->second, dsl::make_failure("57014", "stopped before it ran", dsl::kNoNode, 1));
}

// The connection's step is committed, and the next one runs.
void StepPool::go_on(Session& session) {
  DURABLED_ASSERT(session.phase == Session::Phase::kChaining);
  const StepId id = session.job;
  Job& before = jobs_.at(id);
  before.state = Job::State::kAnswered;
  before.session = nullptr;
  session.job = std::exchange(session.next, 0);
  Job& job = jobs_.at(session.job);
  job.state = Job::State::kServed;
  job.session = &session;
  session.phase = Session::Phase::kRunning;
  session.used = true;
  ++session.chained;
  session.running_since = connector_.now();
  session.overdue = false;
  session.stray_cancel = session.cancelling;
  if (job.is_stopped) cancel(session);
  callbacks_.committed(id, session.link->take_commit_outcome());
}

bool StepPool::was_cancelled_by_mistake(const Session& session, const store::StepOutcome& outcome) const {
  return session.stray_cancel && !session.overdue && outcome.failure && outcome.failure->code == "57014" &&
         !jobs_.at(session.job).is_stopped;
}

void StepPool::run_again(Session& session) {
  const StepId id = std::exchange(session.job, 0);
  jobs_.at(id).statement = session.link->take_statement();
  if (session.link->lost()) {
    lose(session);
  } else {
    roll_back(session);
  }
  enqueue(id);
}

// The server has ended an idle session (a timeout, an administrator, a restart), which uses up no attempt of the
// step. A session that never ran anything counts as a refused login, so that they are not opened in a busy loop.
void StepPool::put_back(Session& session) {
  const auto found = jobs_.find(session.job);
  if (found == jobs_.end()) return lose(session);
  found->second.statement = session.link->take_statement();
  put_back(session, found->second);
}

// The job is that of session.job.
void StepPool::put_back(Session& session, Job& job) {
  job.session = nullptr;
  job.state = Job::State::kWaiting;
  const auto owned = std::move(sessions_.extract(session.id).mapped());
  const auto next_try = pool_.put_back(owned->id, owned->job, owned->used, connector_.now());
  if (owned->used) return;
  report(owned->target,
         store::StoreError(store::StoreError::Kind::kTransient, "connect",
                           "the server ends each session before it is used", "08006"),
         next_try);
}

void StepPool::roll_back(Session& session) {
  session.phase = Session::Phase::kRollingBack;
  session.link->rollback();
}

void StepPool::release(Session& session) {
  if (session.cancelling) {
    session.release_when_cancelled = true;
    return;
  }
  session.phase = Session::Phase::kIdle;
  pool_.released(session.id, connector_.now());
}

void StepPool::lose(Session& session) {
  const auto owned = std::move(sessions_.extract(session.id).mapped());
  pool_.closed(owned->id, connector_.now());
}

void StepPool::close(ConnectionId connection) {
  sessions_.erase(connection);
}

void StepPool::cancel(Session& session) {
  if (std::exchange(session.cancelling, true)) return;
  session.link->cancel();
}

void StepPool::cancel_running() {
  for (const auto& [id, session] : sessions_) {
    if (session->phase == Session::Phase::kRunning || session->phase == Session::Phase::kGroupRunning)
      cancel(*session);
  }
}

int StepPool::busy_connections() const {
  return static_cast<int>(std::count_if(sessions_.begin(), sessions_.end(), [](const auto& one) {
    return one.second->phase != Session::Phase::kIdle;
  }));
}

void StepPool::tick() {
  const Time now = connector_.now();
  stop_overdue(now);
  const auto retry_at = pool_.tick(now);
  next_tick_ = now + kTick;
  wake_at(std::min(retry_at.value_or(next_tick_), next_tick_));
  for (const auto& [id, session] : sessions_) {
    const Time deadline = session->running_since + options_.group_time;
    if (session->phase == Session::Phase::kGroupRunning && !session->cancelling && deadline < next_tick_)
      wake_at(deadline);
  }
  logins_.tidy(pool_);
  std::erase_if(short_, [this](const auto& known) { return !pool_.knows(known.first); });
}

void StepPool::wake_at(Time time) {
  next_tick_ = time;
  connector_.wake_at(time, [this] { tick(); });
}

void StepPool::stop_overdue(Time now) {
  for (const auto& [id, session] : sessions_) {
    if (session->phase == Session::Phase::kGroupRunning &&
        now - session->running_since >= options_.group_time)
      cancel(*session);
  }
  if (options_.timeout.count() == 0) return;
  for (const auto& [id, session] : sessions_) {
    const bool busy =
        session->phase == Session::Phase::kRunning || session->phase == Session::Phase::kCommitting ||
        session->phase == Session::Phase::kGroupCommitting || session->phase == Session::Phase::kChaining;
    if (!busy || session->cancelling || now - session->running_since <= options_.timeout) continue;
    session->overdue = true;
    cancel(*session);
  }
}

// Says why, where the server says only that it was asked to stop.
void StepPool::explain_overdue(std::optional<dsl::Failure>& failure, const Session& session) const {
  if (!session.overdue || !failure || failure->code != "57014") return;
  const auto job = jobs_.find(session.job);
  if (job == jobs_.end()) return;
  const bool final = failure->final;
  failure = dsl::make_failure("57014", "the step ran longer than steps.timeout allows", job->second.node,
                              job->second.attempt,
                              "Do less in one step, or have whoever runs the daemon raise steps.timeout.");
  failure->final = final;
}

}  // namespace durabled::daemon
