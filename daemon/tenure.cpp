#include "daemon/tenure.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/end_log.hpp"
#include "daemon/log.hpp"
#include "daemon/loop_hold.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;
using Clock_ = std::chrono::steady_clock;

constexpr std::chrono::seconds kHousekeeping{1};
constexpr int kReconcile = 10;  // rounds of housekeeping between two reconciliations

// A statement that failed so can be sent again on the same connection: nothing happened, and nothing is lost.
constexpr std::chrono::milliseconds kRetryPause{50};
bool may_repeat(const store::StoreError& error) {
  return error.kind() == store::StoreError::Kind::kTransient &&
         (error.sqlstate().starts_with("40") || error.sqlstate() == "55P03");
}
constexpr std::chrono::minutes kComplaints{1};  // between two of the same

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

dsl::Policy policy_of(const config::Config& config) {
  dsl::Policy policy;
  policy.max_attempts = config.retry.max_attempts;
  policy.delay = static_cast<double>(config.retry.delay.count()) / 1000;
  policy.backoff = config.retry.backoff;
  policy.max_delay = static_cast<double>(config.retry.max_delay.count()) / 1000;
  policy.loop_min_interval = config.loop.min_interval;
  policy.keep_iterations = config.loop.keep_iterations;
  policy.instance_bytes = config.limits.instance_bytes;
  policy.max_result_bytes = std::max<std::size_t>(config.steps.max_result_bytes, 1 << 10);
  return policy;
}

CoordinatorOptions coordinator_options(const config::Config& config, const store::WorkerId& worker,
                                       const std::string& database) {
  CoordinatorOptions options;
  options.worker = worker;
  options.policy = policy_of(config);
  options.limits = {config.limits.depth, config.limits.nodes, config.limits.dsl_bytes};
  options.max_result_bytes = config.steps.max_result_bytes;
  options.role_bytes = config.limits.role_bytes;
  options.served_database = database;
  options.mark_running_after = config.steps.mark_running_after;
  return options;
}

StepPoolOptions pool_options(const config::Config& config, const std::string& own_role) {
  StepPoolOptions options;
  options.own_role = own_role;
  options.set_role = config.identity.mode == "set_role";
  options.limits = {config.steps.connections, config.steps.connections_per_role,
                    config.steps.connections_reserve, config.steps.idle_timeout,
                    config.steps.max_connect_pause};
  options.timeout = config.steps.timeout;
  return options;
}

SessionOptions session_options(const config::Config& config, const std::string& own_role,
                               const std::string& database, const std::string& installation) {
  SessionOptions options;
  options.conninfo = config.database;
  options.own_role = own_role;
  options.served_database = database;
  options.installation = installation;
  options.set_role = config.identity.mode == "set_role";
  options.roles = config.identity.roles;
  options.prepared_statements = config.steps.prepared_statements;
  options.lease_ttl = config.worker.lease_ttl;
  options.connections = config.steps.connections + config.steps.connections_reserve;
  return options;
}

}  // namespace

Tenure::Connections Tenure::connect(const config::Config& config, Clock& clock, int previous) {
  Connections connections;
  connections.work = std::make_unique<store::WorkerStore>(config.database);
  const std::string host = host_name();
  const std::string name =
      config.worker.name.empty() ? host + "-" + std::to_string(::getpid()) : config.worker.name;
  connections.keeper = std::make_unique<store::Keeper>(
      config.database, store::Keeper::Options{name, host, DURABLED_VERSION, config.worker.advisory_lock,
                                              config.worker.listen});
  // Its instances were not what ended that tenure.
  if (previous != 0) connections.work->release_all(previous);
  const dsl::Time before = Clock::local();
  if (const auto theirs = connections.keeper->heartbeat()) clock.synchronise(*theirs, before, Clock::local());
  return connections;
}

Tenure::Tenure(asio::io_context& io, const config::Config& config, Clock& clock, Connections connections)
    : io_(io),
      config_(config),
      heartbeat_interval_(config.worker.heartbeat_interval),
      clock_(clock),
      store_(std::move(connections.work)),
      keeper_(std::move(connections.keeper)),
      worker_(keeper_->id()),
      connector_(std::make_shared<SessionConnector>(
          io, session_options(config, store_->own_role(), store_->database(), worker_.installation))),
      steps_(std::make_unique<StepPool>(*connector_, pool_options(config, store_->own_role()))),
      http_(std::make_shared<HttpSteps>(io, config.http, worker_.installation)),
      coordinator_(std::make_unique<Coordinator>(coordinator_options(config, worker_, store_->database()),
                                                 *steps_, *http_, *this, [&clock] { return clock.now(); })),
      poll_timer_(io),
      tick_timer_(io),
      housekeeping_timer_(io),
      grace_timer_(io) {}

Tenure::~Tenure() {
  shut_down();
}

void Tenure::begin(std::function<void(const std::string& why)> lost) {
  lost_ = std::move(lost);
  coordinator_->log = [](int level, const std::string& text) { log(static_cast<LogLevel>(level), text); };
  coordinator_->log_end = [](const InstanceEnd& end) {
    const EndLine line = end_line(end);
    log(line.level, line.message, line.fields);
  };
  coordinator_->offload = [this](std::function<void()> work, std::function<void()> done) {
    asio::post(templates_,
               [weak = weak_from_this(), work = std::move(work), done = std::move(done)]() mutable {
                 const auto self = weak.lock();
                 if (!self || self->stopping_) return;
                 work();
                 asio::post(self->io_, [weak, done = std::move(done)] {
                   const auto owner = weak.lock();
                   if (!owner || owner->stopping_) return;
                   name_loop_work("a statement whose references were replaced");
                   done();
                   owner->after_event();
                 });
                 asio::post(self->io_, [self] {});  // a tenure is not to end on its own thread
               });
  };
  steps_->set_callbacks({[this](StepId id, store::StepOutcome outcome) {
                           name_loop_work("a step's result");
                           coordinator_->executed(id, std::move(outcome));
                           after_event();
                         },
                         [this](StepId id, store::CommitOutcome outcome) {
                           name_loop_work("a step's commit");
                           coordinator_->committed(id, std::move(outcome));
                           after_event();
                         },
                         {coordinator_->log,
                          [this](const store::LoginProblem& problem, auto hopeless) {
                            on_work_thread(
                                [problem, worker = worker_.number](store::WorkerStore& store) {
                                  return store.login_failed(worker, problem);
                                },
                                std::move(hopeless));
                          },
                          [this](const store::StepTarget& target) {
                            on_work_thread(
                                [target, worker = worker_.number](store::WorkerStore& store) {
                                  store.login_works(worker, target.role, target.database);
                                  return true;
                                },
                                [](bool) {});
                          }}});
  http_->set_done([this](StepId id, HttpResult result) {
    name_loop_work("an HTTP call's result");
    coordinator_->http_done(id, std::move(result));
    after_event();
  });
  keeper_thread_ = std::thread([this] { keep(); });
  housekeeping();
}

void Tenure::shut_down() {
  if (stopping_.exchange(true)) return;
  lost_ = nullptr;
  drained_ = nullptr;
  for (asio::steady_timer* timer : {&poll_timer_, &tick_timer_, &housekeeping_timer_, &grace_timer_})
    timer->cancel();
  if (keeper_thread_.joinable()) keeper_thread_.join();
  work_.join();
  templates_.join();
  steps_->shut_down();
  connector_->shut_down();
  http_->shut_down();
}

void Tenure::reconfigure(const config::Config& config) {
  config_ = config;
  http_->reconfigure(config.http);
  coordinator_->reconfigure(policy_of(config), config.steps.max_result_bytes,
                            config.steps.mark_running_after);
  connector_->reconfigure(config.identity.roles);
  steps_->reconfigure(config.steps.idle_timeout, config.steps.timeout, config.steps.max_connect_pause);
}

void Tenure::lose(const std::string& why) {
  if (lost_) std::exchange(lost_, nullptr)(why);
}

void Tenure::keep() {
  const auto post_loss = [&](const std::string& why) {
    asio::post(io_, [weak = weak_from_this(), why] {
      if (const auto self = weak.lock()) self->lose(why);
    });
  };
  auto beat_at = Clock_::now() + heartbeat_interval_;
  auto complain_at = Clock_::now();
  try {
    while (!stopping_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(beat_at - Clock_::now());
      if (left.count() > 0) {
        if (keeper_->wait(std::min(left, std::chrono::milliseconds(200)))) {
          asio::post(io_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->poll_soon();
          });
        }
        continue;
      }
      beat_at = Clock_::now() + heartbeat_interval_;
      // Before the heartbeat, which may have to wait itself.
      if (const std::string waiters = keeper_->lock_waiters();
          !waiters.empty() && Clock_::now() >= complain_at) {
        complain_at = Clock_::now() + kComplaints;
        asio::post(io_, [waiters] { log_warn("everything waits for a lock: " + waiters); });
      }
      const dsl::Time before = Clock::local();
      const auto theirs = keeper_->heartbeat();
      if (!theirs) return post_loss("others have declared this worker dead");
      clock_.synchronise(*theirs, before, Clock::local());
    }
  } catch (const std::exception& e) {
    post_loss(e.what());
  }
}

// Runs `work` on the work thread and `then` with what it returned on ours. A deadlock or a lock timeout runs it
// again; any other StoreError ends the tenure.
template <typename Work, typename Then>
void Tenure::on_work_thread(Work work, Then then) {
  asio::post(work_, [weak = weak_from_this(), work = std::move(work), then = std::move(then)]() mutable {
    const auto self = weak.lock();
    if (!self || self->stopping_) return;
    try {
      std::shared_ptr<decltype(work(*self->store_))> box;
      while (!box) {
        try {
          box = std::make_shared<decltype(work(*self->store_))>(work(*self->store_));
        } catch (const store::StoreError& e) {
          if (!may_repeat(e) || self->stopping_) throw;
          std::this_thread::sleep_for(kRetryPause);
        }
      }
      asio::post(self->io_, [weak, box, then = std::move(then)]() mutable {
        const auto owner = weak.lock();
        if (owner && !owner->stopping_) then(std::move(*box));
      });
    } catch (const std::exception& e) {  // a StoreError, or no memory for what was read
      asio::post(self->io_, [weak, why = std::string(e.what())] {
        if (const auto owner = weak.lock()) owner->lose(why);
      });
    }
    // This may be the last owner, and a tenure is not to end on its own thread.
    asio::post(self->io_, [self] {});
  });
}

AdmissionLimits Tenure::admission_limits() const {
  return {static_cast<std::size_t>(config_.worker.max_instances), config_.worker.max_bytes,
          static_cast<std::size_t>(config_.worker.claim_batch), config_.worker.claim_bytes};
}

// Whether so much has become free that a poll pays while there is more to claim.
bool Tenure::is_roomy() const {
  const AdmissionLimits limits = admission_limits();
  const Held free = free_places(limits, coordinator_->held_by_role());
  return free.instances >= std::max<std::size_t>(1, std::min(limits.claim_batch, limits.instances) / 2) &&
         free.bytes >= std::min(limits.claim_bytes, limits.bytes) / 2;
}

void Tenure::poll_soon() {
  poll_again_ = true;
  poll();
}

void Tenure::poll() {
  if (polling_ || stopping_) return;
  polling_ = true;
  poll_again_ = false;
  store::PollRequest request =
      admit(admission_limits(), coordinator_->held_by_role(), steps_->waiting_by_role());
  if (draining_) request.limit = 0;
  request.after = served_;
  request.longest_text = config_.limits.dsl_bytes;
  request.busy.merge(coordinator_->roles_over(config_.limits.role_bytes / 2));
  skipped_ = request.busy;
  const bool claims = request.limit > 0;
  on_work_thread([request = std::move(request),
                  worker = worker_.number](store::WorkerStore& store) { return store.poll(worker, request); },
                 [this, claims](store::PollResult result) { polled(std::move(result), claims); });
}

void Tenure::polled(store::PollResult result, bool claims) {
  name_loop_work("claimed instances");
  polling_ = false;
  if (claims) {
    more_due_ = result.more;
    served_ = result.served;
  }
  idle_polls_ =
      result.claimed.empty() && result.attention.empty() && result.ended.empty() ? idle_polls_ + 1 : 0;
  for (const store::Ended& ended : result.ended) coordinator_->ended(ended);
  for (const store::Attention& attention : result.attention) coordinator_->attention(attention);
  for (store::ClaimedInstance& claimed : result.claimed) coordinator_->claimed(std::move(claimed));
  auto wait = longest_wait();
  if (result.next_wake)
    wait = std::clamp(*result.next_wake - clock_.now(), std::chrono::microseconds(0), wait);
  if (poll_again_) wait = std::chrono::microseconds(0);
  poll_in(wait);
  after_event();
}

// Once two polls in a row have found nothing, the doorbell is relied upon: whoever submits meanwhile sees that
// this daemon waits for it.
std::chrono::microseconds Tenure::longest_wait() const {
  const config::Config::Worker& worker = config_.worker;
  return worker.listen && idle_polls_ >= 2 ? std::max(worker.poll_interval, worker.idle_poll_interval)
                                           : worker.poll_interval;
}

void Tenure::poll_in(std::chrono::microseconds wait) {
  poll_timer_.expires_after(wait);
  poll_timer_.async_wait([this, weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled && weak.lock()) poll();
  });
}

// After anything that may have moved instances: earlier timers, room for more, turns to send.
void Tenure::after_event() {
  // While a poll is under way it stays with the coordinator: polled() comes here again.
  const auto wake = polling_ ? std::nullopt : coordinator_->take_earliest_wake();
  if (wake) {
    const auto wait = std::max(*wake - clock_.now(), std::chrono::microseconds(0));
    if (Clock_::now() + wait < poll_timer_.expiry()) poll_in(wait);
  }
  if (more_due_ && !polling_ && is_roomy()) poll();
  if (!skipped_.empty() && !polling_) {
    auto busy = busy_roles(admission_limits(), coordinator_->held_by_role(), steps_->waiting_by_role(), 4);
    busy.merge(coordinator_->roles_over(config_.limits.role_bytes / 2));
    if (busy.size() < skipped_.size()) poll();
  }
  tick();
  if (draining_) check_drained();
}

void Tenure::tick() {
  const auto next = coordinator_->tick();
  if (!next) {
    tick_timer_.cancel();
    return;
  }
  const auto at = Clock_::now() + std::max(*next - clock_.now(), std::chrono::microseconds(0));
  tick_timer_.expires_at(at);
  tick_timer_.async_wait([this, weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled && weak.lock()) after_event();
  });
}

void Tenure::commit(store::Turn turn) {
  turns_.push_back(std::move(turn));
  if (flushing_ || flush_posted_) return;
  flush_posted_ = true;  // once this round of events is through, so that its turns share a transaction
  asio::post(io_, [this, weak = weak_from_this()] {
    if (!weak.lock()) return;
    flush_posted_ = false;
    flush_turns();
  });
}

void Tenure::flush_turns() {
  if (flushing_ || turns_.empty() || stopping_) return;
  flushing_ = true;
  std::vector<store::Turn> turns = std::exchange(turns_, {});
  std::sort(turns.begin(), turns.end(),
            [](const auto& a, const auto& b) { return a.instance_id < b.instance_id; });
  struct Done {
    std::vector<store::Turn> turns;
    std::vector<store::TurnProblem> problems;
    std::string refused = {};
  };
  on_work_thread(
      [turns = std::move(turns), worker = worker_.number](store::WorkerStore& store) mutable {
        Done done{std::move(turns), {}};
        try {
          done.problems = store.commit(worker, done.turns);
        } catch (const store::StoreError& e) {
          if (may_repeat(e)) {
            for (const store::Turn& turn : done.turns)
              done.problems.push_back({turn.instance_id, store::TurnProblem::Kind::kBusy});
            return done;
          }
          if (e.kind() != store::StoreError::Kind::kPermanent) throw;
          done.refused = e.what();
        }
        return done;
      },
      [this](Done done) {
        flushing_ = false;
        if (!done.refused.empty() && done.turns.size() > 1) {
          commit_one_by_one(std::move(done.turns));
          return;
        }
        for (const store::Turn& turn : done.turns) {
          std::optional<store::TurnProblem> problem;
          if (!done.refused.empty())
            problem = {turn.instance_id, store::TurnProblem::Kind::kRefused, done.refused};
          for (const store::TurnProblem& one : done.problems) {
            if (one.instance_id == turn.instance_id) problem = one;
          }
          coordinator_->turn_done(turn, problem);
        }
        flush_turns();
        after_event();
      });
}

// One turn of a batch was refused: the others must not suffer for it.
void Tenure::commit_one_by_one(std::vector<store::Turn> turns) {
  for (store::Turn& turn : turns) {
    on_work_thread(
        [turn = std::move(turn), worker = worker_.number](store::WorkerStore& store) {
          std::pair<store::Turn, std::optional<store::TurnProblem>> result{turn, std::nullopt};
          try {
            const auto problems = store.commit(worker, {turn});
            if (!problems.empty()) result.second = problems.front();
          } catch (const store::StoreError& e) {
            if (may_repeat(e)) {
              result.second = {turn.instance_id, store::TurnProblem::Kind::kBusy};
              return result;
            }
            if (e.kind() != store::StoreError::Kind::kPermanent) throw;
            result.second = {turn.instance_id, store::TurnProblem::Kind::kRefused, e.what()};
          }
          return result;
        },
        [this](const std::pair<store::Turn, std::optional<store::TurnProblem>>& result) {
          coordinator_->turn_done(result.first, result.second);
          after_event();
        });
  }
}

void Tenure::reclaim(const std::string& instance_id) {
  using Instances = std::vector<store::ClaimedInstance>;
  on_work_thread(
      [instance_id, worker = worker_.number](store::WorkerStore& store) -> std::optional<Instances> {
        try {
          return store.reclaim(worker, {instance_id});
        } catch (const store::StoreError& e) {
          if (e.sqlstate() != "55P03") throw;
          return std::nullopt;  // a client's transaction has the row locked: nobody else is to wait for it
        }
      },
      [this, instance_id](std::optional<Instances> instances) {
        if (!instances) {
          auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(50));
          timer->async_wait([this, timer, weak = weak_from_this(), instance_id](const auto& cancelled) {
            if (!cancelled && weak.lock()) reclaim(instance_id);
          });
          return;
        }
        std::optional<store::ClaimedInstance> instance;
        if (!instances->empty()) instance = std::move(instances->front());
        coordinator_->reclaimed(instance_id, std::move(instance));
        after_event();
      });
}

void Tenure::fetch_signal(const std::string& instance_id, std::int64_t signal_id) {
  on_work_thread([=](store::WorkerStore& store) { return store.signal_data(instance_id, signal_id); },
                 [this, instance_id, signal_id](std::string data) {
                   coordinator_->signal_fetched(instance_id, signal_id, std::move(data));
                   after_event();
                 });
}

// Once a second: take over from the dead, close connections nobody needs, prune. A daemon that is alone, and
// one that has nothing to prune, seldom asks the database.
void Tenure::housekeeping() {
  constexpr int kSeldom = 5;
  const int round = housekeeping_rounds_++;
  steps_->tick();
  if (!draining_ && (!alone_ || round % kSeldom == 0)) {
    struct Done {
      store::Released released;
      bool first;
    };
    on_work_thread(
        [worker = worker_.number, ttl = config_.worker.lease_ttl, locks = config_.worker.advisory_lock,
         first = round == 0](store::WorkerStore& store) {
          return Done{store.release_dead(worker, ttl, locks), first};
        },
        [this](const Done& done) {
          alone_ = done.released.others == 0;
          if (done.released.instances > 0)
            log_info("took over " + std::to_string(done.released.instances) + " instances of a dead worker");
          for (const std::string& id : done.released.parked)
            log_error("instance " + id + " is parked: daemons have died three times while they held it");
          if (done.released.instances > 0 || done.first) poll_soon();
        });
  }
  if (!draining_ && config_.retention.keep_finished.count() > 0) {
    on_work_thread([keep = config_.retention.keep_finished, batch = config_.retention.batch](
                       store::WorkerStore& store) { return store.prune(keep, batch); },
                   [](int) {});
  }
  if (!draining_) {
    renew_http_rights();
    if (round % kReconcile == kReconcile - 1) reconcile();
  }
  housekeeping_timer_.expires_after(kHousekeeping);
  housekeeping_timer_.async_wait([this, weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled && weak.lock()) housekeeping();
  });
}

// A right to df.http that was taken away counts within about two seconds, also for instances that are held.
void Tenure::renew_http_rights() {
  std::set<std::string> roles = coordinator_->roles();
  if (config_.http.allow.empty() || roles.empty()) return;
  on_work_thread(
      [roles](store::WorkerStore& store) { return store.may_http(roles); },
      [this, roles](const std::set<std::string>& allowed) { coordinator_->set_http_rights(roles, allowed); });
}

// What the rows say this worker holds, and the coordinator knows nothing of, would wait for ever: it is given
// back.
void Tenure::reconcile() {
  using Rows = std::vector<std::pair<std::string, std::int64_t>>;
  on_work_thread([worker = worker_.number](store::WorkerStore& store) { return store.held(worker); },
                 [this](Rows held) {
                   std::erase_if(held, [&](const auto& one) { return coordinator_->holds(one.first); });
                   if (held.empty() || draining_) return;
                   on_work_thread(
                       [held, worker = worker_.number](store::WorkerStore& store) {
                         return store.give_back(worker, held);
                       },
                       [this](int given_back) {
                         if (given_back == 0) return;
                         log_warn("instances were held without being run, and are taken up again: " +
                                  std::to_string(given_back));
                         poll_soon();
                       });
                 });
}

std::size_t Tenure::drain(std::function<void()> done) {
  drained_ = std::move(done);
  draining_ = true;
  coordinator_->drain();
  grace_timer_.expires_after(config_.worker.shutdown_grace);
  grace_timer_.async_wait([this, weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled && weak.lock()) give_back();
  });
  after_event();
  return coordinator_->steps_in_progress();
}

void Tenure::check_drained() {
  if (coordinator_->held() == 0) give_back();
}

void Tenure::give_back() {
  if (std::exchange(giving_back_, true)) return;
  if (coordinator_->held() > 0)
    log_warn(std::to_string(coordinator_->held()) + " instances had steps running; they are given back");
  on_work_thread(
      [worker = worker_.number](store::WorkerStore& store) {
        store.release_all(worker);
        return true;
      },
      [this](bool) {
        steps_->cancel_running();  // only now: their failures cannot be committed any more
        if (drained_) std::exchange(drained_, nullptr)();
      });
}

}  // namespace durabled::daemon
