// Some daemons over one store, a virtual clock and steps that are made up: one seed decides how long everything
// takes and what goes wrong. Everything of the daemons that has no thread is the real thing: engine, coordinator,
// work loop, step pool. What they reach over their ports is in sim_daemon.hpp, sim_link.hpp and sim_work.hpp.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/agenda.hpp"
#include "tests/sim/fake_store.hpp"

namespace durabled::sim {

struct Workload {
  std::string id, dsl;
  bool deterministic = true;  // its result does not depend on time
  bool endless = false;       // it is cancelled in the end
  store::RoleId role = 1;
};

// What may go wrong.
enum class Fault {
  kCrash,    // a daemon dies
  kPause,    // a daemon stops for a while, be it longer than its lease
  kCutOff,   // others take what a daemon holds, while it still believes to hold it
  kStop,     // SIGTERM, and a new start
  kClock,    // the server's clock is set
  kSession,  // a step's session is lost
  kCommit,   // a step's commit is refused, or its answer lost
  kWork,     // the work connection is lost, with or without effect, and deadlocks
  kLogin,    // nobody can log in for a step
  kSlow,     // answers take seconds
  kClient,   // pause, resume, cancel
};
const std::map<std::string, Fault>& faults_by_name();
std::set<Fault> all_faults();

struct Scenario {
  std::uint64_t seed = 0;
  std::vector<Workload> workloads;
  std::set<Fault> faults;
  int daemons = 2;
};

class SimDaemon;

class Simulation {
 public:
  explicit Simulation(Scenario scenario);
  ~Simulation();

  // Runs the workloads to their ends. Throws Violation.
  void run();
  // Or, instead: a part of that, without faults.
  void begin();
  void pass(Duration time);
  void submit(const Workload& one) { server().submit(one.id, one.dsl, one.role); }
  std::string result(const std::string& id) const { return store_.result(id); }
  const FakeStore& store() const { return store_; }

  // For the daemons and what they reach.
  std::size_t below(std::size_t limit) { return agenda_.below(limit); }
  bool chance(Fault fault, std::size_t per_mille) {
    return !calm_ && scenario_.faults.contains(fault) && below(1000) < per_mille;
  }
  Duration delay();
  void after(Duration delay, std::function<void()> what) { agenda_.after(delay, std::move(what)); }
  Steady now() const { return agenda_.now(); }
  dsl::Time database() const { return agenda_.database(); }
  dsl::Time database_of(Duration offset) const { return agenda_.clock(offset); }
  Duration offset() const { return agenda_.offset(); }
  // At the server's time.
  FakeStore& server();
  int next_worker() { return ++last_worker_; }
  std::uint64_t seed() const { return scenario_.seed; }
  // Throws Violation; run() does, too, wherever this one is caught.
  [[noreturn]] void violate(const std::string& what);

 private:
  void step();
  void submit_all();
  void disturb();
  bool all_ended() const;
  void help();
  void check_bounds() const;
  void settle();
  std::string unfinished() const;

  const Scenario scenario_;
  Agenda agenda_;
  FakeStore store_;
  bool calm_ = false;
  std::string violation_;
  int last_worker_ = 0;
  std::vector<std::unique_ptr<SimDaemon>> daemons_;
};

}  // namespace durabled::sim
