// The work connection of a simulated daemon: one work after another, each on its way to the server and back.
#pragma once

#include <deque>
#include <memory>

#include "daemon/work_port.hpp"
#include "tests/sim/sim_host.hpp"

namespace durabled::sim {

// The functions of WorkerStore on the simulator's store.
class SimDatabase : public store::WorkDatabase {
 public:
  explicit SimDatabase(Simulation& sim) : sim_(sim) {}

  store::PollResult poll(int worker, const store::PollRequest& request) override;
  std::string signal_data(const std::string& instance_id, std::int64_t signal_id) override;
  std::vector<store::TurnProblem> commit(int worker, const std::vector<store::Turn>& turns) override;
  std::vector<store::ClaimedInstance> reclaim(int worker, const std::vector<std::string>& ids) override;
  std::vector<std::pair<std::string, std::int64_t>> held(int worker) override;
  int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) override;
  std::set<std::string> may_http(const std::set<std::string>& roles) override { return roles; }
  std::optional<std::string> login_failed(int, const store::LoginProblem&) override { return std::nullopt; }
  void login_works(int, const std::string&, const std::string&) override {}
  store::Released release_dead(int worker, std::chrono::milliseconds lease_ttl, bool) override;
  void release_all(int worker) override;
  int prune(std::chrono::seconds, int) override { return 0; }

 private:
  Simulation& sim_;
};

class SimWorkPort : public daemon::WorkPort {
 public:
  SimWorkPort(SimHost& host, std::function<daemon::Moment()> now)
      : host_(host), database_(std::make_shared<SimDatabase>(host.sim())), now_(std::move(now)) {}

  void run(Work work, Then then) override;
  std::size_t waiting() const { return queue_.size(); }

 private:
  void next();

  SimHost& host_;
  std::shared_ptr<SimDatabase> database_;  // works that are on their way outlive the daemon
  std::function<daemon::Moment()> now_;
  std::deque<std::pair<Work, Then>> queue_;
  bool working_ = false;
};

}  // namespace durabled::sim
