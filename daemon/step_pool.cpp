#include "daemon/step_pool.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <utility>

#include "dsl/assert.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;

constexpr int kMaxConnectThreads = 64;
constexpr std::chrono::milliseconds kFirstPause{400};

}  // namespace

struct StepPool::Session {
  enum class Phase { kIdle, kRunning, kExecuted, kCommitting, kCommitted, kRollingBack };

  Session(asio::io_context& io, store::StepTarget key, std::unique_ptr<store::StepSession> opened)
      : target(std::move(key)), session(std::move(opened)), socket(io, session->socket()) {}
  ~Session() { socket.release(); }  // libpq closes it

  store::StepTarget target;
  std::unique_ptr<store::StepSession> session;
  asio::posix::stream_descriptor socket;
  Phase phase = Phase::kIdle;
  StepId job = 0;
  bool reading = false, writing = false;
  bool alone = false;
  bool used = false;        // it has run something
  bool cancelling = false;  // a cancel request is on its way: it must not hit the next statement
  bool release_when_cancelled = false;
  bool overdue = false;  // it was cancelled because it ran too long
  std::chrono::steady_clock::time_point idle_since{}, running_since{};
  std::shared_ptr<int> alive = std::make_shared<int>(0);
};

StepPool::StepPool(asio::io_context& io, StepPoolOptions options)
    : io_(io),
      options_(std::move(options)),
      connect_threads_(static_cast<std::size_t>(
          std::min(options_.connections + options_.connections_reserve, kMaxConnectThreads))),
      retry_timer_(io) {}

StepPool::~StepPool() {
  shut_down();
}

void StepPool::shut_down() {
  closed_ = true;
  callbacks_ = {};
  retry_timer_.cancel();
  targets_.clear();
  jobs_.clear();
  connect_threads_.join();
  cancel_threads_.join();
}

void StepPool::cancel_running() {
  for (const auto& [key, target] : targets_) {
    for (const auto& session : target.sessions) {
      if (session->phase == Session::Phase::kRunning)
        asio::post(cancel_threads_, session->session->canceller());
    }
  }
}

void StepPool::reconfigure(std::map<std::string, std::string> roles, std::chrono::milliseconds idle_timeout,
                           std::chrono::milliseconds timeout, std::chrono::milliseconds max_connect_pause) {
  options_.timeout = timeout;
  options_.roles = std::move(roles);
  options_.idle_timeout = idle_timeout;
  options_.max_connect_pause = max_connect_pause;
  for (auto& [key, target] : targets_) target.retry_at = {};  // a way in may have been added
  dispatch();
}

void StepPool::start(StepId id, const store::StepTarget& target, store::StepStatement statement) {
  Job& job = jobs_[id];
  job.role = target.role_id;
  job.target = target;
  if (options_.set_role) job.target.role = options_.own_role;
  job.node = static_cast<dsl::NodeIndex>(std::strtoul(statement.node_id.c_str(), nullptr, 16));
  job.statement = std::move(statement);
  job.statement.role = job.target.role == target.role ? "none" : target.role;
  enqueue(id);
  dispatch();
}

void StepPool::enqueue(StepId id) {
  const Job& job = jobs_.at(id);
  targets_[job.target].waiting.push_back(id);
  ++waiting_;
  ++waiting_by_role_[job.role];
}

// It is taken out of its target's queue.
void StepPool::dequeued(const Job& job) {
  --waiting_;
  if (const auto found = waiting_by_role_.find(job.role); --found->second == 0) waiting_by_role_.erase(found);
}

void StepPool::dispatch() {
  if (dispatching_ || closed_) return;
  dispatching_ = true;
  bool progress = true;
  while (progress && waiting_ > 0) {
    progress = false;
    // One for each target in turn, beginning after the one that was served last.
    auto at = targets_.upper_bound(last_served_);
    for (std::size_t i = 0; i < targets_.size() && waiting_ > 0; ++i) {
      if (at == targets_.end()) at = targets_.begin();
      const auto current = at++;
      if (current->second.waiting.empty() || !dispatch_one(current->first, current->second)) continue;
      last_served_ = current->first;
      progress = true;
    }
  }
  dispatching_ = false;
}

bool StepPool::dispatch_one(const store::StepTarget& key, Target& target) {
  for (const auto& session : target.sessions) {
    if (session->phase != Session::Phase::kIdle) continue;
    if (gives_way(key.role_id)) {
      close(*session);
      return true;
    }
    const StepId id = target.waiting.front();
    target.waiting.pop_front();
    dequeued(jobs_.at(id));
    assign(*session, id);
    return true;
  }
  if (target.connecting >= static_cast<int>(target.waiting.size())) return false;
  if (open_of(key.role_id) >= options_.connections_per_role && !evict_idle(key.role_id)) return false;
  if (target.failures > 0 && (target.connecting > 0 || std::chrono::steady_clock::now() < target.retry_at))
    return false;
  if (open_ >= options_.connections) {
    const bool has_none = open_of(key.role_id) == 0;
    const bool reserved = has_none && open_ < options_.connections + options_.connections_reserve;
    // Only where closing an idle one makes room: it may be all that another role has.
    const bool room_by_closing = has_none || open_ == options_.connections;
    if (!(room_by_closing && evict_idle()) && !reserved) return false;
  }
  connect(key);
  return true;
}

// Whether a connection of this role that has become free is better closed: none is left to open, and another
// role waits that has at least two fewer.
bool StepPool::gives_way(store::RoleId role) const {
  if (open_ < options_.connections) return false;
  const int own = open_of(role);
  return own > 1 && std::any_of(targets_.begin(), targets_.end(), [&](const auto& entry) {
           const Target& other = entry.second;
           return !other.waiting.empty() && other.connecting == 0 && other.failures == 0 &&
                  open_of(entry.first.role_id) + 2 <= own;
         });
}

// In all databases.
int StepPool::open_of(store::RoleId role) const {
  const auto found = open_by_role_.find(role);
  return found == open_by_role_.end() ? 0 : found->second;
}

void StepPool::count_open(store::RoleId role, int change) {
  open_ += change;
  int& open = open_by_role_[role];
  open += change;
  if (open == 0) open_by_role_.erase(role);
}

bool StepPool::evict_idle(std::optional<store::RoleId> role) {
  Session* oldest = nullptr;
  for (auto& [key, target] : targets_) {
    if (!target.waiting.empty() || (role && key.role_id != *role)) continue;
    for (const auto& session : target.sessions) {
      if (session->phase != Session::Phase::kIdle) continue;
      if (oldest == nullptr || session->idle_since < oldest->idle_since) oldest = session.get();
    }
  }
  if (oldest == nullptr) return false;
  close(*oldest);
  return true;
}

void StepPool::connect(const store::StepTarget& key) {
  count_open(key.role_id, 1);
  ++targets_[key].connecting;
  const auto extra = options_.roles.find(key.role);
  const store::ConnectParams params = store::step_params(options_.conninfo, key, key.role, options_.own_role,
                                                         extra == options_.roles.end() ? "" : extra->second,
                                                         !options_.prepared_statements, options_.lease_ttl);
  asio::post(connect_threads_, [weak = weak_from_this(), &io = io_, key, params,
                                session_options = store::StepSession::Options{
                                    options_.prepared_statements, key.database != options_.served_database,
                                    options_.installation, options_.set_role ? 0 : key.role_id}] {
    auto box = std::make_shared<std::unique_ptr<store::StepSession>>();  // handlers must be copyable
    std::shared_ptr<store::StoreError> error;
    try {
      *box = store::StepSession::connect(params, session_options);
    } catch (const store::StoreError& e) {
      error = std::make_shared<store::StoreError>(e);
    }
    asio::post(io, [weak, key, box, error] {
      const auto self = weak.lock();
      if (!self || self->closed_) return;
      if (error) {
        self->connect_failed(key, *error);
      } else {
        self->connected(key, std::move(*box));
      }
    });
  });
}

void StepPool::connected(const store::StepTarget& key, std::unique_ptr<store::StepSession> session) {
  Target& target = targets_[key];
  --target.connecting;
  target.sessions.push_back(std::make_unique<Session>(io_, key, std::move(session)));
  target.sessions.back()->idle_since = std::chrono::steady_clock::now();
  watch(*target.sessions.back());
  dispatch();
}

// No connection is never the workflow's failure: the steps wait, for as long as it takes.
void StepPool::connect_failed(const store::StepTarget& key, const store::StoreError& error) {
  Target& target = targets_[key];
  --target.connecting;
  count_open(key.role_id, -1);
  failed_to_connect(key, target, error);
}

void StepPool::failed_to_connect(const store::StepTarget& key, Target& target,
                                 const store::StoreError& error) {
  const auto now = std::chrono::steady_clock::now();
  if (target.failures == 0 || now >= target.retry_at) {  // else one of several that were tried together
    const auto pause = kFirstPause * (1 << std::min(target.failures++, 20));
    target.retry_at = now + std::min<std::chrono::milliseconds>(pause, options_.max_connect_pause);
    if (error.sqlstate() == "53300") evict_idle();  // the server is full: give it one back
    // While there are connections, it is only that there could be more.
    if (target.sessions.empty() && !target.waiting.empty()) report(key, target, error);
  }
  dispatch();
  retry_later();
}

void StepPool::report(const store::StepTarget& key, Target& target, const store::StoreError& error) {
  const auto now = std::chrono::steady_clock::now();
  const auto line = target.problem.again(
      "steps wait: cannot log in as " + key.role + " to " + key.database + ": " + error.what(), now);
  if (line && callbacks_.log) callbacks_.log(3, *line);
  if (!callbacks_.login_failed) return;
  target.reported = true;
  const store::LoginProblem problem{
      options_.set_role ? "" : key.role,
      key.role,
      key.database,
      error.sqlstate(),
      error.what(),
      std::chrono::duration_cast<std::chrono::milliseconds>(target.retry_at - now)};
  callbacks_.login_failed(problem,
                          [weak = weak_from_this(), key](const std::optional<std::string>& hopeless) {
                            const auto self = weak.lock();
                            if (self && !self->closed_ && hopeless) self->fail_waiting(key, *hopeless);
                          });
}

void StepPool::works_again(const store::StepTarget& key, Target& target) {
  target.failures = 0;
  if (const auto lasted = target.problem.over(std::chrono::steady_clock::now()); lasted && callbacks_.log)
    callbacks_.log(2, "logging in as " + key.role + " to " + key.database + " works again, after " + *lasted);
  if (std::exchange(target.reported, false) && callbacks_.login_works) callbacks_.login_works(key);
}

// When the first of the pauses is over. Targets whose pause is over are tried when a place is free.
void StepPool::retry_later() {
  const auto now = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> next;
  for (const auto& [key, target] : targets_) {
    if (target.waiting.empty() || target.failures == 0 || target.retry_at <= now) continue;
    if (!next || target.retry_at < *next) next = target.retry_at;
  }
  if (!next) return;
  retry_timer_.expires_at(*next);
  retry_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || self->closed_) return;
    self->dispatch();
    self->retry_later();
  });
}

// Every step that waits for this target fails, for good.
void StepPool::fail_waiting(const store::StepTarget& key, const std::string& why) {
  const auto found = targets_.find(key);
  if (found == targets_.end()) return;
  std::deque<StepId> failed;
  failed.swap(found->second.waiting);
  for (const StepId id : failed) {
    Job& job = jobs_.at(id);
    dequeued(job);
    job.queued = false;
    dsl::Failure failure = dsl::make_failure(
        "28000", "cannot log in as role \"" + key.role + "\" to database \"" + key.database + "\": " + why,
        static_cast<dsl::NodeIndex>(std::stoul(job.statement.node_id, nullptr, 16)), job.statement.attempt);
    asio::post(io_, [weak = weak_from_this(), id, failure = std::move(failure)] {
      const auto self = weak.lock();
      if (self && !self->closed_) self->callbacks_.executed(id, {std::nullopt, failure});
    });
  }
  dispatch();  // others may have waited for the connection that this one could have been
}

void StepPool::assign(Session& session, StepId id) {
  Job& job = jobs_.at(id);
  job.queued = false;
  job.session = &session;
  session.job = id;
  session.alone = job.statement.alone;
  session.overdue = false;
  session.phase = Session::Phase::kRunning;
  session.running_since = std::chrono::steady_clock::now();
  session.session->run(std::move(job.statement));
  begin_exchange(session);
}

void StepPool::commit(StepId id, store::StepCommit commit) {
  Job& job = jobs_.at(id);
  DURABLED_ASSERT(job.session != nullptr && job.session->phase == Session::Phase::kExecuted);
  job.session->phase = Session::Phase::kCommitting;
  job.session->session->commit(commit);
  begin_exchange(*job.session);
}

void StepPool::commit_foreign(StepId id, const std::string& result) {
  Job& job = jobs_.at(id);
  DURABLED_ASSERT(job.session != nullptr && job.session->phase == Session::Phase::kExecuted);
  job.session->phase = Session::Phase::kCommitting;
  job.session->session->commit_foreign(result);
  begin_exchange(*job.session);
}

void StepPool::finish(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Session* session = found->second.session;
  jobs_.erase(found);
  if (session == nullptr) return;
  session->job = 0;
  if (session->session->lost()) return close(*session);
  if (session->phase == Session::Phase::kExecuted && !session->alone) {
    session->phase = Session::Phase::kRollingBack;
    session->session->rollback();
    return begin_exchange(*session);
  }
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
  if (job.queued) {
    job.queued = false;
    std::erase(targets_.at(job.target).waiting, id);
    dequeued(job);
    asio::post(io_, [weak = weak_from_this(), id] {
      const auto self = weak.lock();
      if (!self || self->closed_) return;
      self->callbacks_.executed(
          id, {std::nullopt, dsl::make_failure("57014", "stopped before it ran", dsl::kNoNode, 1)});
    });
    return;
  }
  if (job.session == nullptr || job.session->phase != Session::Phase::kRunning || job.session->cancelling)
    return;
  cancel(*job.session);
}

void StepPool::cancel(Session& session) {
  session.cancelling = true;
  asio::post(cancel_threads_, [weak = weak_from_this(), &io = io_, cancel = session.session->canceller(),
                               at = &session, alive = std::weak_ptr<int>(session.alive)] {
    cancel();
    asio::post(io, [weak, at, alive] {
      const auto self = weak.lock();
      if (!self || self->closed_ || alive.expired()) return;
      at->cancelling = false;
      if (!at->release_when_cancelled) return;
      // One exchange more: a cancel that arrives this late hits nothing but it.
      at->release_when_cancelled = false;
      at->phase = Session::Phase::kRollingBack;
      at->session->rollback();
      self->begin_exchange(*at);
    });
  });
}

void StepPool::abandon(StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  const Job& job = found->second;
  const bool answered = job.session == nullptr ? !job.queued
                                               : job.session->phase == Session::Phase::kExecuted ||
                                                     job.session->phase == Session::Phase::kCommitted;
  return answered ? finish(id) : stop(id);
}

// The first pump of an exchange. On a connection that is gone the exchange is over at once: that is told from
// the event loop, because the coordinator, which has just asked for it, expects no answer while it asks.
void StepPool::begin_exchange(Session& session) {
  if (!session.session->advance()) return watch(session);
  asio::post(io_, [weak = weak_from_this(), at = &session, alive = std::weak_ptr<int>(session.alive)] {
    const auto self = weak.lock();
    if (self && !self->closed_ && !alive.expired()) self->exchange_over(*at);
  });
}

void StepPool::pump(Session& session) {
  if (session.session->advance()) return exchange_over(session);
  watch(session);
}

void StepPool::watch(Session& session) {
  const auto wait = [&](asio::posix::stream_descriptor::wait_type type, bool Session::*flag) {
    if (session.*flag) return;
    session.*flag = true;
    session.socket.async_wait(
        type, [weak = weak_from_this(), at = &session, flag,
               alive = std::weak_ptr<int>(session.alive)](const boost::system::error_code& error) {
          const auto self = weak.lock();
          if (!self || self->closed_ || alive.expired() || error == asio::error::operation_aborted) return;
          at->*flag = false;
          if (at->phase != Session::Phase::kIdle) return self->pump(*at);
          if (at->session->check_idle()) return self->watch(*at);
          self->close(*at);
        });
  };
  wait(asio::posix::stream_descriptor::wait_read, &Session::reading);
  if (session.session->wants_write()) wait(asio::posix::stream_descriptor::wait_write, &Session::writing);
}

void StepPool::exchange_over(Session& session) {
  const StepId id = session.job;
  switch (session.phase) {
    case Session::Phase::kRunning: {
      session.phase = Session::Phase::kExecuted;
      store::StepOutcome outcome = session.session->take_outcome();
      if (outcome.never_began && !session.cancelling) return put_back(session);
      session.used = true;
      if (Target& target = targets_.at(session.target); target.failures > 0)
        works_again(session.target, target);
      outcome.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                           session.running_since);
      explain_overdue(outcome.failure, session);
      callbacks_.executed(id, std::move(outcome));
      return;
    }
    case Session::Phase::kCommitting:
      session.phase = Session::Phase::kCommitted;
      // A commit that the server refused leaves a failed transaction behind.
      if (auto outcome = session.session->take_commit_outcome();
          outcome.kind == store::CommitOutcome::Kind::kCommitted) {
        callbacks_.committed(id, std::move(outcome));
      } else {
        session.phase = Session::Phase::kExecuted;
        explain_overdue(outcome.failure, session);
        callbacks_.committed(id, std::move(outcome));
      }
      return;
    case Session::Phase::kRollingBack:
      if (session.session->lost()) return close(session);
      release(session);
      return;
    case Session::Phase::kIdle:
    case Session::Phase::kExecuted:
    case Session::Phase::kCommitted:
      return;
  }
}

// The server has ended an idle session (a timeout, an administrator, a restart): no attempt of the step. One
// that never ran anything counts as a failed connect, so that it is not made again and again without a pause.
void StepPool::put_back(Session& session) {
  const StepId id = session.job;
  const bool was_used = session.used;
  const store::StepTarget key = session.target;
  Target& target = targets_.at(key);
  if (const auto found = jobs_.find(id); found != jobs_.end()) {
    Job& job = found->second;
    job.statement = session.session->take_statement();
    job.session = nullptr;
    job.queued = true;
    target.waiting.push_front(id);
    ++waiting_;
    ++waiting_by_role_[job.role];
  }
  dispatching_ = true;  // not before it is known whether the target has to pause
  close(session);
  dispatching_ = false;
  if (was_used) return dispatch();
  failed_to_connect(key, target,
                    store::StoreError(store::StoreError::Kind::kTransient, "connect",
                                      "the server ends each session before it is used", "08006"));
}

void StepPool::release(Session& session) {
  if (session.cancelling) {
    session.release_when_cancelled = true;
    return;
  }
  session.phase = Session::Phase::kIdle;
  session.idle_since = std::chrono::steady_clock::now();
  watch(session);  // so that one which the server ends is not given to a step
  dispatch();
  // The reserve's connections go as soon as nobody waits for them.
  while (open_ > options_.connections && evict_idle()) {
  }
}

void StepPool::close(Session& session) {
  count_open(session.target.role_id, -1);
  auto& sessions = targets_.at(session.target).sessions;
  const auto found = std::find_if(sessions.begin(), sessions.end(),
                                  [&](const auto& owned) { return owned.get() == &session; });
  sessions.erase(found);
  dispatch();
}

void StepPool::close_idle(std::chrono::steady_clock::time_point now) {
  for (auto& [key, target] : targets_) {
    for (auto at = target.sessions.begin(); at != target.sessions.end();) {
      const bool expired =
          (*at)->phase == Session::Phase::kIdle && now - (*at)->idle_since > options_.idle_timeout;
      if (expired) count_open(key.role_id, -1);
      at = expired ? target.sessions.erase(at) : std::next(at);
    }
    // Nothing waits any more, so that nobody tries.
    if (target.waiting.empty() && std::exchange(target.reported, false) && callbacks_.login_works)
      callbacks_.login_works(key);
  }
  std::erase_if(targets_, [](const auto& entry) {
    return entry.second.sessions.empty() && entry.second.waiting.empty() && entry.second.connecting == 0;
  });
}

void StepPool::stop_overdue(std::chrono::steady_clock::time_point now) {
  if (options_.timeout.count() == 0) return;
  for (auto& [key, target] : targets_) {
    for (const auto& session : target.sessions) {
      const bool busy =
          session->phase == Session::Phase::kRunning || session->phase == Session::Phase::kCommitting;
      if (!busy || session->cancelling || now - session->running_since <= options_.timeout) continue;
      session->overdue = true;
      cancel(*session);
    }
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
