// The step port with a stopwatch: between the coordinator and the pool, it measures how long steps wait, run and commit.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "daemon/coordinator.hpp"
#include "daemon/metrics/metrics.hpp"

namespace durabled::daemon {

class MeteredSteps : public StepPort {
 public:
  // `served_database`: steps elsewhere are foreign ones. Both references outlive it.
  MeteredSteps(StepPort& steps, Metrics& metrics, std::string served_database)
      : steps_(steps), metrics_(metrics), served_database_(std::move(served_database)) {}

  // To be called with every answer of the pool, before the coordinator has it.
  void executed(StepId id, const store::StepOutcome& outcome);
  void committed(StepId id, const store::CommitOutcome& outcome);

  void start(StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(StepId id, store::StepCommit commit) override;
  void commit_and_start(StepId id, store::StepCommit commit, StepId next,
                        store::StepStatement statement) override;
  bool can_chain() const override { return steps_.can_chain(); }
  void commit_foreign(StepId id, const std::string& result) override;
  void finish(StepId id) override;
  void stop(StepId id) override { steps_.stop(id); }
  void abandon(StepId id) override;
  bool queued(StepId id) const override { return steps_.queued(id); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    StepKind kind = StepKind::kSql;
    Clock::time_point started{};
    Clock::time_point committing{};
    StepId next = 0;  // the step that the commit starts; 0: none
  };

  void begin_commit(StepId id);

  StepPort& steps_;
  Metrics& metrics_;
  const std::string served_database_;
  std::map<StepId, Step> running_;
};

}  // namespace durabled::daemon
