// What a daemon asks of the database beside its steps, and when: polls, turns, renewed claims, dead daemons,
// what is to be pruned or given back. One call of tick() looks at all of it.
//
// No threads, no timers and no clock of its own: its owner calls tick() after everything that has happened, and at
// the time that the last tick() named. Not thread-safe. The simulator drives it over a store of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/admission.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/poll_schedule.hpp"
#include "daemon/turn_batches.hpp"
#include "daemon/work_port.hpp"

namespace durabled::daemon {

struct WorkLoopOptions {
  int worker = 0;
  AdmissionLimits admission;
  std::size_t role_bytes = std::size_t{256} << 20;
  std::size_t longest_text = 1 << 20;
  PollIntervals polls;
  std::chrono::milliseconds lease_ttl{15'000};
  bool advisory_lock = true;
  bool http = false;                      // calls are allowed at all
  std::chrono::seconds keep_finished{0};  // 0: for ever
  int prune_batch = 1'000;
};

class WorkLoop : public TurnPort {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Callbacks {
    std::function<void(int level, const std::string& text)> log;
    // The database refuses this worker, for a reason that another attempt does not change.
    std::function<void(const std::string& why)> lost;
    std::function<void()> stopped;  // what was held is given back; see drain()
    // tick() is to be called soon, because of something that the coordinator asked for.
    std::function<void()> wake;
  };

  WorkLoop(WorkLoopOptions options, WorkPort& port, Callbacks callbacks);

  // Before the first tick(); both outlive the loop.
  void attach(Coordinator& coordinator, const WaitingByRole& waiting);
  void reconfigure(WorkLoopOptions options);

  // Returns when it is to be called again at the latest.
  Time tick(Moment now);
  void ring() { polls_.ring(); }
  bool is_stopping() const { return life_ != Life::kServing; }

  void login_failed(const store::LoginProblem& problem,
                    std::function<void(std::optional<std::string>)> hopeless);
  void login_works(const store::StepTarget& target);

  // Claims nothing more and begins no step; what is held is put down as its steps end, and given back after `grace`.
  void drain(Time now, std::chrono::milliseconds grace);
  // Requires drain(): waits no longer. Safe to repeat.
  void give_back();

  void commit(store::Turn turn) override;
  void reclaim(const std::string& instance_id) override;
  void fetch_signal(const std::string& instance_id, std::int64_t signal_id) override;

 private:
  // serving -> draining: drain(). draining -> giving back: nothing is held, the grace period is over, or give_back().
  // giving back -> stopped: the database has answered.
  enum class Life { kServing, kDraining, kGivingBack, kStopped };

  // What is done again and again. It rests while the database works on it, so that a slow one is not asked twice.
  struct Chore {
    Time next{};
    bool begin(Time now) {
      if (now < next) return false;
      next = Time::max();
      return true;
    }
  };
  struct Request {
    WorkPort::Work work;
    std::function<void(Moment)> done;
    // True: it has dealt with the error. Otherwise the request is repeated where that can help.
    std::function<bool(Moment, const store::StoreError&)> failed;
  };
  struct Repeat {
    Time at;
    std::shared_ptr<Request> request;
  };

  template <typename Work, typename Done>
  void ask(Work work, Done done, std::function<bool(Moment, const store::StoreError&)> failed = nullptr);
  void send(const std::shared_ptr<Request>& request);
  void send_repeats(Time now);

  bool has_room_again() const;
  std::set<store::RoleId> busy(std::size_t strictness) const;
  void poll();
  void polled(store::PollResult result, bool claims, Moment now);
  void flush_turns();
  void turns_answered(const std::vector<store::Turn>& turns, const std::vector<store::TurnProblem>& problems);
  bool turns_failed(const std::vector<store::Turn>& turns, const store::StoreError& error);
  void reclaim_failed(const std::string& instance_id, const store::StoreError& error);
  void do_chores(Time now);
  void look_for_dead();
  void prune();
  void renew_http_rights();
  void reconcile();

  WorkLoopOptions options_;
  WorkPort& port_;
  Callbacks callbacks_;
  Coordinator* coordinator_ = nullptr;
  const WaitingByRole* waiting_ = nullptr;

  Life life_ = Life::kServing;
  std::optional<Time> give_back_at_;
  PollSchedule polls_;
  bool left_over_ = false;           // the last claim could have taken more than it was allowed to
  std::set<store::RoleId> skipped_;  // roles of which the last poll took nothing
  store::RoleId served_ = 0;         // the role that was served last
  TurnBatches turns_;
  std::vector<Repeat> repeats_;
  Chore dead_, prune_, rights_, reconcile_;
};

}  // namespace durabled::daemon
