// A daemon of the simulation: what Tenure puts together, over fakes. A life of it is between a start and a crash; what
// was on its way to a life that is over is lost, what was on its way to the server may arrive.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/coordinator.hpp"
#include "daemon/step_pool.hpp"
#include "daemon/work_loop.hpp"
#include "tests/sim/sim_link.hpp"
#include "tests/sim/sim_work.hpp"

namespace durabled::sim {

class SimDaemon : public SimHost, private daemon::HttpPort {
 public:
  explicit SimDaemon(Simulation& sim) : sim_(sim) { begin(); }

  void crash();
  // What is to happen in it happens afterwards.
  void pause(Duration time);
  // Others take what it holds, while it still believes to hold it.
  void cut_off();
  void stop();  // and start again

  std::size_t held() const { return life_ ? life_->coordinator.held() : 0; }
  std::string leaks() const;
  std::string description() const;
  // What it has too much of; empty: nothing.
  std::string excess() const;

  void later(Duration delay, std::function<void()> what) override;
  Simulation& sim() override { return sim_; }
  int worker() const override { return worker_; }

 private:
  struct Life {
    explicit Life(SimDaemon& daemon);
    SimWorkPort work;
    SimConnector connector;
    daemon::StepPool steps;
    daemon::WorkLoop loop;
    daemon::Coordinator coordinator;
  };

  void begin();
  void end();
  void lost();
  void beat();
  void when_alive(Duration delay, std::function<void()> what);  // and not paused
  void tick_soon();
  void tick();
  daemon::Moment now() const { return {sim_.now(), sim_.database_of(offset_)}; }

  void start(daemon::StepId id, const std::string& role, const std::string& instance_id,
             const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables,
             const daemon::HttpPayload* payload) override;
  void stop(daemon::StepId id) override { calls_.erase(id); }

  Simulation& sim_;
  int lives_ = 0, worker_ = 0;
  Steady paused_until_{};
  Duration offset_{0};  // of the server's clock, as of the last heartbeat
  std::unique_ptr<Life> life_;
  std::map<daemon::StepId, bool> calls_;
  std::uint64_t ticks_ = 0;
  bool tick_posted_ = false;
};

}  // namespace durabled::sim
