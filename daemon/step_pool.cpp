#include "daemon/step_pool.hpp"

#include <cstdlib>
#include <utility>
#include <vector>

#include "dsl/assert.hpp"

namespace durabled::daemon {

// What a connection does, what begins it, and what comes next:
//
//   phase         begins with                      next
//   idle          opened, released                 running; closed when the server ends it
//   running       serve()                          executed; closed and its step queued again if the session was
//                                                  dead before it took anything
//   executed      kOver; a commit that is refused  committing; finish(): rolling back, or idle if it ran alone
//   committing    commit(), commit_foreign()       committed, executed
//   committed     kOver                            finish(): idle
//   rolling back  finish(), a late cancel          idle; closed when the connection is lost
//
// While a cancel is on its way a connection is not released, so that the cancel cannot hit the next step.
struct StepPool::Session {
  enum class Phase { kIdle, kRunning, kExecuted, kCommitting, kCommitted, kRollingBack };

  ConnectionId id = 0;
  store::StepTarget target;
  std::unique_ptr<StepLink> link;
  Phase phase = Phase::kIdle;
  StepId job = 0;
  bool alone = false;
  bool used = false;  // it has run something
  bool cancelling = false;
  bool release_when_cancelled = false;
  bool overdue = false;  // it was cancelled because it ran too long
  Time running_since{};
};

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

void StepPool::start(StepId id, const store::StepTarget& target, store::StepStatement statement) {
  Job& job = jobs_[id];
  job = {};
  job.target = target;
  if (options_.set_role) job.target.role = options_.own_role;
  job.node = static_cast<dsl::NodeIndex>(std::strtoul(statement.node_id.c_str(), nullptr, 16));
  job.statement = std::move(statement);
  job.statement.role = job.target.role == target.role ? "none" : target.role;
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
    job.queued = false;
    answer_later(id, dsl::make_failure("28000",
                                       "cannot log in as role \"" + target.role + "\" to database \"" +
                                           target.database + "\": " + why,
                                       job.node, job.statement.attempt));
  }
}

void StepPool::answer_later(StepId id, dsl::Failure failure) {
  connector_.post([this, id, failure = std::move(failure)] {
    callbacks_.executed(id, {std::nullopt, failure});
  });
}

void StepPool::serve(ConnectionId connection, StepId step) {
  Session& session = *sessions_.at(connection);
  Job& job = jobs_.at(step);
  job.queued = false;
  job.session = &session;
  session.job = step;
  session.alone = job.statement.alone;
  session.overdue = false;
  session.phase = Session::Phase::kRunning;
  session.running_since = connector_.now();
  session.link->run(std::move(job.statement));
}

void StepPool::commit(StepId id, store::StepCommit commit) {
  Session* session = jobs_.at(id).session;
  DURABLED_ASSERT(session != nullptr && session->phase == Session::Phase::kExecuted);
  session->phase = Session::Phase::kCommitting;
  session->link->commit(commit);
}

void StepPool::commit_foreign(StepId id, const std::string& result) {
  Session* session = jobs_.at(id).session;
  DURABLED_ASSERT(session != nullptr && session->phase == Session::Phase::kExecuted);
  session->phase = Session::Phase::kCommitting;
  session->link->commit_foreign(result);
}

void StepPool::finish(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Session* session = found->second.session;
  jobs_.erase(found);
  if (session == nullptr) return;
  session->job = 0;
  if (session->link->lost()) return lose(*session);
  if (session->phase == Session::Phase::kExecuted && !session->alone) return roll_back(*session);
  release(*session);
}

bool StepPool::queued(StepId id) const {
  const auto found = jobs_.find(id);
  return found != jobs_.end() && found->second.queued;
}

void StepPool::stop(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  if (std::exchange(job.queued, false)) {
    pool_.withdraw(id, job.target);
    return answer_later(id, dsl::make_failure("57014", "stopped before it ran", dsl::kNoNode, 1));
  }
  if (job.session == nullptr || job.session->phase != Session::Phase::kRunning) return;
  cancel(*job.session);
}

void StepPool::abandon(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  const Job& job = found->second;
  const bool is_answered = job.session == nullptr ? !job.queued
                                                  : job.session->phase == Session::Phase::kExecuted ||
                                                        job.session->phase == Session::Phase::kCommitted;
  return is_answered ? finish(id) : stop(id);
}

void StepPool::answered(std::uint64_t link, StepLink::Answer answer) {
  Session& session = *sessions_.at(link);
  switch (answer) {
    case StepLink::Answer::kOver:
      return exchange_over(session);
    case StepLink::Answer::kCancelled:
      session.cancelling = false;
      // One exchange more: a cancel that arrives this late hits nothing but it.
      if (std::exchange(session.release_when_cancelled, false)) roll_back(session);
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
    case Session::Phase::kCommitting: {
      store::CommitOutcome outcome = session.link->take_commit_outcome();
      const bool committed = outcome.kind == store::CommitOutcome::Kind::kCommitted;
      // A commit that the server refused leaves a failed transaction behind.
      session.phase = committed ? Session::Phase::kCommitted : Session::Phase::kExecuted;
      explain_overdue(outcome.failure, session);
      return callbacks_.committed(session.job, std::move(outcome));
    }
    case Session::Phase::kRollingBack:
      return session.link->lost() ? lose(session) : release(session);
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
  session.used = true;
  const Time now = connector_.now();
  if (pool_.works(session.id)) logins_.works(session.target, now);
  outcome.took = std::chrono::duration_cast<std::chrono::microseconds>(now - session.running_since);
  explain_overdue(outcome.failure, session);
  callbacks_.executed(session.job, std::move(outcome));
}

// The server has ended an idle session (a timeout, an administrator, a restart), which uses up no attempt of the
// step. A session that never ran anything counts as a refused login, so that they are not opened in a busy loop.
void StepPool::put_back(Session& session) {
  const auto found = jobs_.find(session.job);
  if (found == jobs_.end()) return lose(session);
  found->second.statement = session.link->take_statement();
  found->second.session = nullptr;
  found->second.queued = true;
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
    if (session->phase == Session::Phase::kRunning) cancel(*session);
  }
}

void StepPool::tick() {
  const Time now = connector_.now();
  stop_overdue(now);
  if (const auto retry_at = pool_.tick(now)) connector_.wake_at(*retry_at, [this] { tick(); });
  logins_.tidy(pool_);
}

void StepPool::stop_overdue(Time now) {
  if (options_.timeout.count() == 0) return;
  for (const auto& [id, session] : sessions_) {
    const bool busy =
        session->phase == Session::Phase::kRunning || session->phase == Session::Phase::kCommitting;
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
                              job->second.statement.attempt,
                              "Do less in one step, or have whoever runs the daemon raise steps.timeout.");
  failure->final = final;
}

}  // namespace durabled::daemon
