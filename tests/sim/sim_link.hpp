// The connections of a simulated daemon's step pool, and the server's side of them.
#pragma once

#include <memory>

#include "daemon/step_link.hpp"
#include "tests/sim/sim_host.hpp"

namespace durabled::sim {

// What a step returns, or how it fails, by what it says and where it is. "alone": it has to run alone first.
store::StepOutcome outcome_of(const store::StepStatement& statement);
store::StepOutcome failed(const std::string& code, bool transient);

class SimConnector : public daemon::StepConnector {
 public:
  explicit SimConnector(SimHost& host) : host_(host) {}

  void connect(const store::StepTarget& target, Opened opened, Refused refused) override;
  void post(std::function<void()> work) override;
  void wake_at(Steady time, std::function<void()> work) override;
  Steady now() const override { return host_.sim().now(); }

  // Links that are open.
  int open() const { return *open_; }

 private:
  SimHost& host_;
  std::uint64_t wake_ = 0;
  std::shared_ptr<int> open_ = std::make_shared<int>(0);
};

}  // namespace durabled::sim
