// A daemon of the simulation: a coordinator, and what stands for the step pool, the HTTP client and the work
// thread. A life of it is between a start and a crash; what was on its way to a life that is over is lost,
// what was on its way to the database may arrive.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/simulation.hpp"

namespace durabled::sim {

// What a step returns, or how it fails, by what it says and where it is. "alone": it has to run alone first.
store::StepOutcome outcome_of(const store::StepStatement& statement);

class SimDaemon : public daemon::StepPort, public daemon::HttpPort, public daemon::TurnPort {
 public:
  explicit SimDaemon(Simulation& sim) : sim_(sim) { begin(); }

  void crash();
  // Others take what it holds, while it still believes to hold it.
  void cut_off();
  std::string leaks() const;
  std::size_t held() const { return coordinator_ ? coordinator_->held() : 0; }

  void start(daemon::StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(daemon::StepId id, store::StepCommit commit) override;
  void commit_foreign(daemon::StepId id, const std::string& result) override;
  void finish(daemon::StepId id) override;
  void stop(daemon::StepId id) override;
  void abandon(daemon::StepId id) override;
  void start(daemon::StepId id, const std::string& role, const std::string& instance_id,
             const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables) override;
  void commit(store::Turn turn) override;
  void reclaim(const std::string& instance_id) override;
  void fetch_signal(const std::string& instance_id, std::int64_t signal_id) override;

 private:
  struct Job {
    enum class Phase { kRunning, kExecuted, kCommitting, kCommitted };
    Phase phase = Phase::kRunning;
    store::StepStatement statement;
    std::uint64_t run = 0;
  };

  void begin();
  // Later, if this life lasts so long.
  void later(std::chrono::microseconds delay, std::function<void()> what);
  // One after the other, as the work thread does it.
  void on_work_thread(std::function<void()> work, std::function<void()> then);
  void work_next();
  void poll();
  void tick();
  void answer(daemon::StepId id, std::uint64_t run, store::StepOutcome outcome);

  Simulation& sim_;
  int life_ = 0, worker_ = 0;
  store::RoleId served_ = 0;
  std::unique_ptr<daemon::Coordinator> coordinator_;
  std::map<daemon::StepId, Job> jobs_;
  std::map<daemon::StepId, bool> calls_;
  std::deque<std::pair<std::function<void()>, std::function<void()>>> work_;
  bool working_ = false;
  std::uint64_t runs_ = 0;
  std::optional<dsl::Time> tick_at_;
};

}  // namespace durabled::sim
