// A tenure: the time between registering with the database and losing it. While it lasts, this process is one
// row in df.workers and holds instances; when the keeper's session breaks, or the row is gone, everything it holds
// is dropped (the database frees it) and a new tenure begins.
//
// It puts the parts together and calls WorkLoop::tick(). Threads: the io_context's thread owns the coordinator, the
// work loop and the step connections. Two more block on the database: the keeper (heartbeat, LISTEN) and the work
// thread (polls, turns).
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "daemon/clock.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/end_log.hpp"
#include "daemon/http_steps.hpp"
#include "daemon/keeper_thread.hpp"
#include "daemon/metrics/metered_steps.hpp"
#include "daemon/session_link.hpp"
#include "daemon/step_pool.hpp"
#include "daemon/traces/exporter.hpp"
#include "daemon/traces/traced_ports.hpp"
#include "daemon/work_loop.hpp"
#include "daemon/work_thread.hpp"

namespace durabled::daemon {

class Tenure : public std::enable_shared_from_this<Tenure> {
 public:
  // The connections, opened and registered; blocks, so it is called off the io_context's thread. Throws
  // StoreError.
  struct Connections {
    std::unique_ptr<store::WorkerStore> work;
    std::unique_ptr<store::Keeper> keeper;
  };
  // `previous`: the worker of this process's last tenure, which gives back what that held; 0: it had none.
  static Connections connect(const config::Config& config, Clock& clock, int previous, Metrics& metrics);
  // How this daemon is called in df.workers.
  static std::string worker_name(const config::Config& config);
  int worker() const { return keeper_.id().number; }

  // `spans` takes those of this tenure; null: there are none.
  Tenure(boost::asio::io_context& io, const config::Config& config, Clock& clock, Connections connections,
         Metrics& metrics, SpanExporter* spans);
  ~Tenure();

  // `lost` is called once, on the io_context's thread, when the database is gone or has declared this worker
  // dead.
  void begin(std::function<void(const std::string& why)> lost);
  // Takes over what may change while running; instances that are held keep their retry and loop policies.
  void reconfigure(const config::Config& config);
  // Stops claiming; calls `done` when everything is given back, or after the grace period. Returns how many
  // steps it waits for.
  std::size_t drain(std::function<void()> done);
  // Requires drain(): waits no longer, running steps are stopped and rolled back. Safe to repeat.
  void give_back() { loop_->give_back(); }
  void shut_down();
  LoopFacts facts() const;
  // Reads what /metrics says of the database, on the work thread.
  void collect(const std::vector<std::string>& labels);

 private:
  void begin_tracing(SpanExporter& spans);
  void begin_steps();
  void instance_ended(const InstanceEnd& end);
  void begin_keeper();
  void lose(const std::string& why);
  void offload(std::function<void()> work, std::function<void()> done);
  Moment now() const { return {std::chrono::steady_clock::now(), clock_.now()}; }
  // Lets tick() follow the events that are ready now, of which there may be many.
  void tick_soon();
  void tick();

  boost::asio::io_context& io_;
  config::Config config_;
  Clock& clock_;
  KeeperThread keeper_;
  const std::string own_role_, database_;
  std::shared_ptr<WorkThread> work_;
  std::shared_ptr<SessionConnector> connector_;
  std::unique_ptr<StepPool> steps_;
  Metrics& metrics_;
  EndLog end_log_;
  MeteredSteps metered_steps_;
  std::shared_ptr<HttpSteps> http_;
  std::unique_ptr<Tracing> tracing_;
  std::unique_ptr<WorkLoop> loop_;
  std::unique_ptr<Coordinator> coordinator_;
  boost::asio::thread_pool templates_{1};
  std::function<void(const std::string&)> lost_;
  std::function<void()> drained_;

  boost::asio::steady_timer timer_;
  bool tick_posted_ = false, stopping_ = false;
  std::atomic<bool> has_work_{false};
};

}  // namespace durabled::daemon
