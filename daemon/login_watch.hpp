// Steps that wait because nobody can log in for them: a line in the log, an entry in df.waiting, and, once the
// database says that no further attempt can succeed, the failure of the steps. Lack of a connection alone is
// never a step's failure. Not thread-safe; has no clock of its own.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "daemon/connection_pool.hpp"
#include "daemon/repeated_message.hpp"
#include "store/store_error.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

class LoginWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Callbacks {
    std::function<void(int level, const std::string&)> log;
    // `hopeless` is called later: with the reason when trying again is of no use.
    std::function<void(const store::LoginProblem&, std::function<void(std::optional<std::string>)> hopeless)>
        failed;
    std::function<void(const store::StepTarget&)> works;  // or is not tried any more
  };

  // `set_role`: all steps run over one login.
  explicit LoginWatch(bool set_role) : set_role_(set_role) {}
  void set_callbacks(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

  // Steps wait for this target, which is tried again in `next_try`. `hopeless`: as above.
  void failed(const store::StepTarget& target, const store::StoreError& error,
              std::chrono::milliseconds next_try, Time now, std::function<void(const std::string&)> hopeless);
  void works(const store::StepTarget& target, Time now);
  // Forgets what the pool has forgotten, and takes back what no step waits for any more.
  void tidy(const ConnectionPool& pool);

 private:
  struct Problem {
    RepeatedMessage message;
    bool is_reported = false;
  };

  const bool set_role_;
  Callbacks callbacks_;
  std::map<store::StepTarget, Problem> problems_;
};

}  // namespace durabled::daemon
