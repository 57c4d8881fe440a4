#include "tests/sim/sim_daemon.hpp"

#include <utility>

namespace durabled::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

std::string row(const std::string& value) {
  return "{\"rows\":[{\"v\":\"" + value +
         "\"}],\"row_count\":1,\"columns\":[{\"name\":\"v\",\"type\":\"text\"}],\"affected\":1}";
}

store::StepOutcome failed(const std::string& code, bool transient) {
  dsl::Failure failure = dsl::make_failure(code, "made up", 0, 1);
  failure.transient = transient;
  failure.final = false;
  return {std::nullopt, failure};
}

}  // namespace

store::StepOutcome outcome_of(const store::StepStatement& statement) {
  const std::string& sql = statement.sql;
  if (sql.starts_with("flaky") && statement.attempt < 3) return failed("40001", true);
  if (sql == "not 3: 3") return failed("22012", false);
  if (sql.starts_with("is 3:")) return {row(sql == "is 3: 3" ? "t" : "no"), std::nullopt};
  if (sql.starts_with("bad")) return failed("22012", false);
  if (sql.starts_with("alone") && !statement.alone) {
    store::StepOutcome outcome = failed("25001", false);
    outcome.needs_to_run_alone = true;
    return outcome;
  }
  if (sql.starts_with("until")) {  // a condition: true in the first three iterations
    const std::size_t dot = statement.scope.rfind('.');
    return {row(std::stoi(statement.scope.substr(dot == std::string::npos ? 0 : dot + 1)) < 2 ? "t" : "no"),
            std::nullopt};
  }
  if (sql.starts_with("rows")) {
    std::string json;
    for (int i = 0; i < 7; ++i) json += (i > 0 ? ",{\"v\":" : "{\"v\":") + std::to_string(i) + '}';
    return {"{\"rows\":[" + json +
                "],\"row_count\":7,\"columns\":[{\"name\":\"v\",\"type\":\"integer\"}],\"affected\":7}",
            std::nullopt};
  }
  return {row(sql.size() < 30 ? "did it" : "did much"), std::nullopt};
}

void SimDaemon::begin() {
  worker_ = sim_.next_worker();
  sim_.mutable_store().enter(worker_);
  daemon::CoordinatorOptions options;
  options.worker = {worker_, ""};
  options.served_database = "here";
  options.policy.keep_iterations = 2;
  options.policy.max_attempts = 50;  // made-up faults alone must not use them up
  options.policy.max_delay = 4;
  options.seed = sim_.seed();
  coordinator_ =
      std::make_unique<daemon::Coordinator>(options, *this, *this, *this, [this] { return sim_.now(); });
  coordinator_->offload = [this](const std::function<void()>& work, std::function<void()> done) {
    work();
    later(sim_.delay(), std::move(done));
  };
  poll();
}

void SimDaemon::crash() {
  if (worker_ == 0) return;  // it is dead already
  ++life_;
  coordinator_.reset();
  jobs_.clear();
  calls_.clear();
  work_.clear();
  working_ = false;
  tick_at_.reset();
  const int dead = worker_;
  worker_ = 0;
  sim_.after(milliseconds(sim_.below(3'000)), [this, dead] { sim_.mutable_store().release(dead); });
  sim_.after(milliseconds(sim_.below(4'000)), [this, life = life_] {
    if (life == life_) begin();
  });
}

void SimDaemon::cut_off() {
  if (worker_ == 0) return;
  sim_.mutable_store().release(worker_);
  later(milliseconds(sim_.below(2'000)), [this] { crash(); });
}

std::string SimDaemon::leaks() const {
  if (!jobs_.empty()) return std::to_string(jobs_.size()) + " steps keep their sessions";
  if (!calls_.empty()) return std::to_string(calls_.size()) + " calls go on";
  return "";
}

void SimDaemon::later(microseconds delay, std::function<void()> what) {
  sim_.after(delay, [this, life = life_, what = std::move(what)] {
    if (life != life_ || !coordinator_) return;
    what();
    if (life == life_ && coordinator_) tick();
  });
}

void SimDaemon::tick() {
  const auto next = coordinator_->tick();
  if (!next || (tick_at_ && *tick_at_ <= *next)) return;
  tick_at_ = next;
  later(std::max(*next - sim_.now(), microseconds(1)), [this, at = *next] {
    if (tick_at_ == at) tick_at_.reset();  // and later() ticks
  });
}

void SimDaemon::on_work_thread(std::function<void()> work, std::function<void()> then) {
  work_.emplace_back(std::move(work), std::move(then));
  if (!std::exchange(working_, true)) later(sim_.delay(), [this] { work_next(); });
}

void SimDaemon::work_next() {
  auto [work, then] = std::move(work_.front());
  work_.pop_front();
  work();
  working_ = !work_.empty();
  if (working_) later(sim_.delay(), [this] { work_next(); });
  then();  // after what the next one does is on its way only: answers keep the order of the work
}

void SimDaemon::poll() {
  const auto result = std::make_shared<store::PollResult>();
  store::PollRequest request = daemon::admit({}, coordinator_->held_by_role(), {});
  request.limit = static_cast<int>(sim_.below(5));
  request.after = served_;
  on_work_thread([this, result, request] { *result = sim_.mutable_store().poll(worker_, request); },
                 [this, result] {
                   served_ = result->served;
                   for (const store::Ended& one : result->ended) coordinator_->ended(one);
                   for (store::ClaimedInstance& one : result->claimed) coordinator_->claimed(std::move(one));
                   for (const store::Attention& one : result->attention) coordinator_->attention(one);
                   later(milliseconds(1 + sim_.below(200)), [this] { poll(); });
                 });
}

void SimDaemon::start(daemon::StepId id, const store::StepTarget&, store::StepStatement statement) {
  Job& job = jobs_[id];
  if (job.run != 0 && !statement.alone) throw Violation("a step started twice");
  job = {Job::Phase::kRunning, std::move(statement), ++runs_};
  store::StepOutcome outcome = outcome_of(job.statement);
  if (sim_.chance(60)) outcome = failed("08006", true);
  const bool slow = sim_.below(20) == 0;
  later(slow ? milliseconds(sim_.below(3'000)) : sim_.delay(), [this, id, run = job.run, outcome] {
    const auto found = jobs_.find(id);
    if (found != jobs_.end() && found->second.run == run && found->second.statement.alone && outcome.result) {
      sim_.mutable_store().effect_alone(found->second.statement.instance_id + '/' +
                                        found->second.statement.node_id);
    }
    answer(id, run, outcome);
  });
}

void SimDaemon::answer(daemon::StepId id, std::uint64_t run, store::StepOutcome outcome) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second.run != run || found->second.phase != Job::Phase::kRunning) return;
  found->second.phase = Job::Phase::kExecuted;
  coordinator_->executed(id, std::move(outcome));
}

void SimDaemon::commit(daemon::StepId id, store::StepCommit commit) {
  Job& job = jobs_.at(id);
  if (job.phase != Job::Phase::kExecuted || job.statement.alone) throw Violation("a commit of nothing");
  job.phase = Job::Phase::kCommitting;
  const std::string effect = commit.instance_id + '/' + job.statement.node_id + '@' + job.statement.scope;
  const bool refused = sim_.chance(20), doubtful = sim_.chance(30), lands = sim_.below(2) == 0;
  const auto outcome = std::make_shared<store::CommitOutcome>();
  // On its way to the database it does not matter any more whether the daemon lives.
  const microseconds way = sim_.delay(), back = sim_.delay();
  if (refused) {
    *outcome = {store::CommitOutcome::Kind::kRefused, failed("40001", true).failure};
  } else if (!doubtful || lands) {
    sim_.after(way, [this, worker = worker_, commit = std::move(commit), effect, outcome] {
      if (!sim_.mutable_store().commit_step(worker, commit, effect))
        outcome->kind = store::CommitOutcome::Kind::kLeaseLost;
    });
  }
  // A doubtful one is heard of at any time, even before it lands.
  later(doubtful && !refused ? back : way + back, [this, id, outcome, lost = doubtful && !refused] {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) throw Violation("a step was ended while it committed");
    found->second.phase = Job::Phase::kCommitted;
    coordinator_->committed(id,
                            lost ? store::CommitOutcome{store::CommitOutcome::Kind::kInDoubt, {}} : *outcome);
  });
}

void SimDaemon::commit_foreign(daemon::StepId, const std::string&) {
  throw Violation("a step of another database");
}

void SimDaemon::finish(daemon::StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  if (found->second.phase == Job::Phase::kRunning || found->second.phase == Job::Phase::kCommitting)
    throw Violation("a step was finished while it was busy");
  jobs_.erase(found);
}

void SimDaemon::abandon(daemon::StepId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  if (found->second.phase == Job::Phase::kExecuted || found->second.phase == Job::Phase::kCommitted) {
    jobs_.erase(found);
  } else {
    stop(id);
  }
}

// Of steps and of calls.
void SimDaemon::stop(daemon::StepId id) {
  if (calls_.erase(id) > 0) return;
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second.phase != Job::Phase::kRunning) return;
  // Too late, or in time.
  later(sim_.delay(), [this, id, run = found->second.run] { answer(id, run, failed("57014", false)); });
}

void SimDaemon::start(daemon::StepId id, const std::string&, const std::string&, const dsl::Node&,
                      const dsl::CallHttp&, const dsl::Variables&) {
  calls_[id] = true;
  const bool fails = sim_.chance(100);
  later(sim_.delay() * 3, [this, id, fails] {
    if (calls_.erase(id) == 0) return;
    daemon::HttpResult result;
    if (fails) {
      result.failure = failed("http_503", true).failure;
      result.retry_after = 2;
    } else {
      result.result = R"({"status":200,"body":"x","ok":true})";
    }
    coordinator_->http_done(id, std::move(result));
  });
}

void SimDaemon::commit(store::Turn turn) {
  later(sim_.below(2) == 0 ? microseconds(0) : sim_.delay(), [this, turn = std::move(turn)] {
    const auto problem = std::make_shared<std::optional<store::TurnProblem>>();
    const bool busy = sim_.chance(50);
    on_work_thread(
        [this, turn, problem, busy] {
          if (busy) {
            *problem = store::TurnProblem{turn.instance_id, store::TurnProblem::Kind::kBusy, ""};
          } else {
            *problem = sim_.mutable_store().commit(worker_, turn);
          }
        },
        [this, turn, problem] { coordinator_->turn_done(turn, *problem); });
  });
}

void SimDaemon::reclaim(const std::string& instance_id) {
  const auto result = std::make_shared<std::optional<store::ClaimedInstance>>();
  on_work_thread(
      [this, instance_id, result] { *result = sim_.mutable_store().reclaim(worker_, instance_id); },
      [this, instance_id, result] { coordinator_->reclaimed(instance_id, std::move(*result)); });
}

void SimDaemon::fetch_signal(const std::string& instance_id, std::int64_t signal_id) {
  const auto data = std::make_shared<std::string>();
  on_work_thread([this, signal_id, data] { *data = sim_.mutable_store().signal_data(signal_id); },
                 [this, instance_id, signal_id, data] {
                   coordinator_->signal_fetched(instance_id, signal_id, std::move(*data));
                 });
}

}  // namespace durabled::sim
