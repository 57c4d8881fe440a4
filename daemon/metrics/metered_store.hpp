// The worker's store with a stopwatch; used on the work thread, as the store is.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/metrics/metrics.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

class MeteredStore : public store::WorkerStore {
 public:
  // As WorkerStore's; `metrics` outlives it.
  MeteredStore(const std::string& conninfo, Metrics& metrics) : WorkerStore(conninfo), metrics_(metrics) {}

  store::PollResult poll(int worker, const store::PollRequest& request) override {
    store::PollResult result = WorkerStore::poll(worker, request);
    for (const store::ClaimedInstance& claimed : result.claimed) {
      if (claimed.waited) metrics_.claimed(*claimed.waited);
    }
    return result;
  }

  std::vector<store::TurnProblem> commit(int worker, const std::vector<store::Turn>& turns) override {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<store::TurnProblem> problems = WorkerStore::commit(worker, turns);
    metrics_.committed(CommitKind::kTurns, std::chrono::duration_cast<std::chrono::microseconds>(
                                               std::chrono::steady_clock::now() - begin));
    for (const store::TurnProblem& problem : problems)
      metrics_.refused(problem.kind == store::TurnProblem::Kind::kLost ? Refusal::kLeaseLost
                                                                       : Refusal::kRefused);
    return problems;
  }

  store::Released release_dead(int worker, std::chrono::milliseconds lease_ttl,
                               bool advisory_locks) override {
    store::Released released = WorkerStore::release_dead(worker, lease_ttl, advisory_locks);
    metrics_.took_over(released.instances);
    return released;
  }

 private:
  Metrics& metrics_;
};

}  // namespace durabled::daemon
