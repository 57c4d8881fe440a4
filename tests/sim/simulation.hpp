// Two daemons over one store, a virtual clock and steps that are made up: one seed decides how long
// everything takes and what goes wrong. The coordinator and the engine in it are the real ones.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/sim/fake_store.hpp"

namespace durabled::sim {

struct Workload {
  std::string id, dsl;
  bool deterministic = true;  // its result does not depend on time
  bool endless = false;       // it is cancelled in the end
};

class SimDaemon;

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed, bool faults);
  ~Simulation();

  // Runs the workloads to their ends. Throws Violation.
  void run(const std::vector<Workload>& workloads);
  std::string result(const std::string& id) const { return store_.result(id); }
  const FakeStore& store() const { return store_; }

  // For the daemons.
  std::size_t below(std::size_t limit) { return random_() % limit; }
  bool chance(std::size_t per_mille) { return faults_ && !calm_ && below(1000) < per_mille; }
  std::chrono::microseconds delay();
  void after(std::chrono::microseconds delay, std::function<void()> what);
  dsl::Time now() const { return store_.now; }
  FakeStore& mutable_store() { return store_; }
  int next_worker() { return ++last_worker_; }
  std::uint64_t seed() const { return seed_; }

 private:
  void step();
  void disturb(const std::vector<Workload>& workloads);
  bool all_ended() const;
  void help();
  std::string unfinished() const;

  std::uint64_t seed_;
  std::mt19937_64 random_;
  bool faults_, calm_ = false;
  FakeStore store_;
  int last_worker_ = 0;
  std::multimap<dsl::Time, std::function<void()>> agenda_;
  std::vector<std::unique_ptr<SimDaemon>> daemons_;
};

}  // namespace durabled::sim
