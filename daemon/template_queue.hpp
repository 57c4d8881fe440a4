// Statements whose references take long to replace: that is done off the event loop, for each role one at a
// time, and not while much of what the role's statements became still waits to be sent. One thread owns it.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/instance/effect.hpp"
#include "dsl/expected.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::daemon {

class TemplateQueue {
 public:
  // Does `work` on another thread, and then `done` on the owner's; never from within the call.
  using Offload = std::function<void(std::function<void()> work, std::function<void()> done)>;
  using Statement = Expected<std::string, dsl::SubstitutionError>;
  struct Callbacks {
    Offload offload;
    std::function<bool(StepId)> is_wanted;
    std::function<void(StepId, Statement, std::vector<std::string> warnings)> done;
  };
  explicit TemplateQueue(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  void add(SubstituteSql work);
  // The step has ended, and its statement with it.
  void forget(StepId step);
  // Begins what may begin now.
  void pump();

 private:
  struct Role {
    std::deque<SubstituteSql> waiting;
    bool is_busy = false;
    std::size_t bytes = 0;  // of the statements that were made and have not ended
  };
  void next(const std::string& role);

  Callbacks callbacks_;
  std::map<std::string, Role> roles_;
  std::map<StepId, std::pair<std::string, std::size_t>> made_;  // whose, and how long
};

}  // namespace durabled::daemon
