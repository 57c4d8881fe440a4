// What the fakes of a daemon have to know of it: when it dies, what is on its way to it is lost; while it is paused,
// it comes later.
#pragma once

#include <functional>

#include "tests/sim/simulation.hpp"

namespace durabled::sim {

class SimHost {
 public:
  virtual ~SimHost() = default;
  // Calls `what` on the daemon's event loop, if it still lives then.
  virtual void later(Duration delay, std::function<void()> what) = 0;
  virtual Simulation& sim() = 0;
  virtual int worker() const = 0;
};

}  // namespace durabled::sim
