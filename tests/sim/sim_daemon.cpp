#include "tests/sim/sim_daemon.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace durabled::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr milliseconds kHeartbeat{1'000}, kLease{3'000};
constexpr int kConnections = 4;
constexpr std::size_t kInstances = 200;

daemon::WorkLoopOptions loop_options(int worker) {
  daemon::WorkLoopOptions options;
  options.worker = worker;
  options.admission.instances = kInstances;
  options.admission.claim_batch = 10;
  options.lease_ttl = kLease;
  options.http = true;
  return options;
}

// Every other seed has groups. A text's shape is its first word: no server is there that could refuse one of them.
daemon::StepPoolOptions pool_options(std::uint64_t seed) {
  daemon::StepPoolOptions options;
  options.limits = {kConnections, kConnections - 1, kConnections,
                    seconds(3),   seconds(1),       seed % 2 == 0 ? 1U : 5U};
  options.shape_of = [](std::string_view sql) {
    return std::hash<std::string_view>()(sql.substr(0, sql.find(' '))) | 1;
  };
  options.chain_steps = 3;
  return options;
}

daemon::CoordinatorOptions coordinator_options(int worker, std::uint64_t seed) {
  daemon::CoordinatorOptions options;
  options.worker = {worker, ""};
  options.served_database = "here";
  options.policy.keep_iterations = 2;
  options.policy.max_attempts = 50;  // made-up faults alone must not use them up
  options.policy.max_delay = 4;
  options.seed = seed;
  return options;
}

}  // namespace

SimDaemon::Life::Life(SimDaemon& daemon)
    : work(daemon, [&daemon] { return daemon.now(); }),
      connector(daemon),
      steps(connector, pool_options(daemon.sim_.seed())),
      loop(loop_options(daemon.worker_), work,
           {[](int, const std::string&) {}, [&daemon](const std::string&) { daemon.lost(); },
            [&daemon] { daemon.lost(); }, [&daemon] { daemon.tick_soon(); }}),
      coordinator(coordinator_options(daemon.worker_, daemon.sim_.seed()), steps, daemon, loop,
                  [&daemon] { return daemon.now().database; }) {
  coordinator.offload = [&daemon](const std::function<void()>& on_thread, std::function<void()> done) {
    on_thread();
    daemon.later(daemon.sim_.delay(), std::move(done));
  };
  steps.set_callbacks({[this](daemon::StepId id, store::StepOutcome outcome) {
                         coordinator.executed(id, std::move(outcome));
                       },
                       [this](daemon::StepId id, store::CommitOutcome outcome) {
                         coordinator.committed(id, std::move(outcome));
                       },
                       {[](int, const std::string&) {},
                        [this](const store::LoginProblem& problem, auto hopeless) {
                          loop.login_failed(problem, std::move(hopeless));
                        },
                        [this](const store::StepTarget& target) { loop.login_works(target); }}});
  loop.attach(coordinator, steps.waiting_by_role());
}

void SimDaemon::begin() {
  worker_ = sim_.next_worker();
  sim_.server().enter(worker_);
  offset_ = sim_.offset();
  life_ = std::make_unique<Life>(*this);
  life_->steps.tick();
  tick_soon();
  later(kHeartbeat, [this] { beat(); });
}

void SimDaemon::end() {
  ++lives_;
  calls_.clear();
  tick_posted_ = false;
  if (life_) life_->steps.shut_down();
  life_.reset();
  worker_ = 0;
}

// Its sessions are gone with it, so that others find its lock free.
void SimDaemon::crash() {
  if (worker_ == 0) return;  // it is dead already
  sim_.server().disconnect(worker_);
  end();
  sim_.after(milliseconds(sim_.below(4'000)), [this, life = lives_] {
    if (life == lives_) begin();
  });
}

void SimDaemon::lost() {
  // Not here: what calls this is still on the stack.
  later(Duration(0), [this] { crash(); });
}

void SimDaemon::pause(Duration time) {
  paused_until_ = std::max(paused_until_, sim_.now() + time);
}

void SimDaemon::cut_off() {
  if (worker_ == 0) return;
  sim_.server().release(worker_);
  later(milliseconds(sim_.below(2'000)), [this] { crash(); });
}

void SimDaemon::stop() {
  if (worker_ == 0) return;
  later(Duration(0), [this] { life_->loop.drain(sim_.now(), milliseconds(sim_.below(3'000))); });
}

// What the keeper does.
void SimDaemon::beat() {
  const auto lives = std::make_shared<bool>(true);
  const Duration way = sim_.delay();
  sim_.after(way, [this, worker = worker_, lives] { *lives = sim_.server().heartbeat(worker); });
  later(way + sim_.delay(), [this, lives] {
    if (!*lives) return crash();
    offset_ = sim_.offset();
    later(kHeartbeat, [this] { beat(); });
  });
}

std::string SimDaemon::leaks() const {
  if (!life_) return "";
  if (const std::size_t steps = life_->steps.steps(); steps > 0)
    return std::to_string(steps) + " steps keep their places";
  if (!calls_.empty()) return std::to_string(calls_.size()) + " calls go on";
  return "";
}

std::string SimDaemon::description() const {
  if (!life_) return "a daemon that does not run";
  std::size_t waiting = 0;
  for (const auto& [role, steps] : life_->steps.waiting_by_role()) waiting += steps;
  return "worker " + std::to_string(worker_) + ": " + std::to_string(life_->steps.steps()) + " steps, " +
         std::to_string(waiting) + " of them without a connection; " +
         std::to_string(life_->connector.open()) + " connections, " +
         std::to_string(life_->steps.busy_connections()) + " busy; " + std::to_string(calls_.size()) +
         " calls; " + std::to_string(life_->work.waiting()) + " works wait for the database";
}

std::string SimDaemon::excess() const {
  if (!life_) return "";
  if (held() > kInstances) return "it holds " + std::to_string(held()) + " instances";
  if (life_->connector.open() > 2 * kConnections)
    return "it has " + std::to_string(life_->connector.open()) + " connections";
  if (life_->work.waiting() > 2 * kInstances)
    return std::to_string(life_->work.waiting()) + " works wait for the database";
  return "";
}

void SimDaemon::later(Duration delay, std::function<void()> what) {
  when_alive(delay, [this, life = lives_, what = std::move(what)] {
    what();
    if (life == lives_) tick_soon();
  });
}

void SimDaemon::when_alive(Duration delay, std::function<void()> what) {
  sim_.after(delay, [this, life = lives_, what = std::move(what)]() mutable {
    if (life != lives_) return;
    if (sim_.now() >= paused_until_) return what();
    when_alive(std::chrono::ceil<Duration>(paused_until_ - sim_.now()), std::move(what));
  });
}

void SimDaemon::tick_soon() {
  if (!std::exchange(tick_posted_, true)) when_alive(Duration(0), [this] { tick(); });
}

void SimDaemon::tick() {
  tick_posted_ = false;
  const Steady next = life_->loop.tick(now());
  const Duration wait = std::chrono::ceil<Duration>(std::max(next - sim_.now(), Steady::duration(1'000)));
  when_alive(wait, [this, number = ++ticks_] {
    if (number == ticks_) tick();
  });
}

void SimDaemon::start(daemon::StepId id, const std::string&, const std::string&, const dsl::Node&,
                      const dsl::CallHttp&, const dsl::Variables&, const daemon::HttpPayload*) {
  calls_[id] = true;
  const bool fails = sim_.chance(Fault::kSession, 100);
  later(sim_.delay() * 3, [this, id, fails] {
    if (calls_.erase(id) == 0) return;
    daemon::HttpResult result;
    if (fails) {
      result.failure = failed("http_503", true).failure;
      result.retry_after = 2;
    } else {
      result.result = R"({"status":200,"body":"x","ok":true})";
    }
    life_->coordinator.http_done(id, std::move(result));
  });
}

}  // namespace durabled::sim
