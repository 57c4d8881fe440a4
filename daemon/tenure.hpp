// A tenure: the time between registering with the database and losing it. While it lasts, this process is one
// row in df.workers and holds instances; when its sessions break, or the row is gone, everything it holds is
// dropped (the database frees it) and a new tenure begins.
//
// Threads: the io_context's thread owns the coordinator and the step connections. Two more block on the
// database: the keeper (heartbeat, LISTEN) and the work thread (polls, turns).
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "config/config.hpp"
#include "daemon/clock.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/http_steps.hpp"
#include "daemon/session_link.hpp"
#include "daemon/step_pool.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

class Tenure : public TurnPort, public std::enable_shared_from_this<Tenure> {
 public:
  // The connections, opened and registered; blocks, so it is called off the io_context's thread. Throws
  // StoreError.
  struct Connections {
    std::unique_ptr<store::WorkerStore> work;
    std::unique_ptr<store::Keeper> keeper;
  };
  // `previous`: the worker of this process's last tenure, which gives back what that held; 0: it had none.
  static Connections connect(const config::Config& config, Clock& clock, int previous);
  int worker() const { return worker_.number; }

  Tenure(boost::asio::io_context& io, const config::Config& config, Clock& clock, Connections connections);
  ~Tenure() override;

  // `lost` is called once, on the io_context's thread, when the database is gone or has declared this worker
  // dead.
  void begin(std::function<void(const std::string& why)> lost);
  // Takes over what may change while running; instances that are held keep their retry and loop policies.
  void reconfigure(const config::Config& config);
  // Stops claiming; calls `done` when everything is given back, or after the grace period. Returns how many
  // steps it waits for.
  std::size_t drain(std::function<void()> done);
  // Requires drain(): waits no longer, running steps are stopped and rolled back. Safe to repeat.
  void give_back();
  void shut_down();

  void commit(store::Turn turn) override;
  void reclaim(const std::string& instance_id) override;
  void fetch_signal(const std::string& instance_id, std::int64_t signal_id) override;

 private:
  void keep();  // the keeper's thread
  void lose(const std::string& why);
  template <typename Work, typename Then>
  void on_work_thread(Work work, Then then);

  AdmissionLimits admission_limits() const;
  bool is_roomy() const;
  std::chrono::microseconds longest_wait() const;
  void poll_soon();
  void poll_in(std::chrono::microseconds wait);
  void poll();
  void polled(store::PollResult result, bool claimed);
  void flush_turns();
  void commit_one_by_one(std::vector<store::Turn> turns);
  void tick();
  void after_event();
  void housekeeping();
  void renew_http_rights();
  void reconcile();
  void check_drained();

  boost::asio::io_context& io_;
  config::Config config_;
  const std::chrono::milliseconds heartbeat_interval_;  // the keeper's thread reads it
  Clock& clock_;
  std::unique_ptr<store::WorkerStore> store_;  // used on the work thread only
  std::unique_ptr<store::Keeper> keeper_;      // used on the keeper's thread only
  store::WorkerId worker_;
  std::shared_ptr<SessionConnector> connector_;
  std::unique_ptr<StepPool> steps_;
  std::shared_ptr<HttpSteps> http_;
  std::unique_ptr<Coordinator> coordinator_;
  boost::asio::thread_pool work_{1}, templates_{1};
  std::thread keeper_thread_;
  std::atomic<bool> stopping_{false};
  std::function<void(const std::string&)> lost_;
  std::function<void()> drained_;

  boost::asio::steady_timer poll_timer_, tick_timer_, housekeeping_timer_, grace_timer_;
  bool polling_ = false, poll_again_ = false, more_due_ = false;
  int idle_polls_ = 0;               // polls in a row that found nothing
  std::set<store::RoleId> skipped_;  // roles of which the last poll took nothing
  store::RoleId served_ = 0;         // the role that was served last
  bool alone_ = false;               // no other daemon serves this database
  int housekeeping_rounds_ = 0;
  bool flushing_ = false, flush_posted_ = false, draining_ = false, giving_back_ = false;
  std::vector<store::Turn> turns_;
};

}  // namespace durabled::daemon
