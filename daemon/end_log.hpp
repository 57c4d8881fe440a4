// The line of the log for an instance that has ended: a warning when it failed, else for debugging. It has the error's
// code but not its message, because that may hold values of rows.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "daemon/coordinator.hpp"
#include "daemon/log.hpp"

namespace durabled::daemon {

// The message holds what the fields hold; of the label both have the first 200 bytes.
struct EndLine {
  LogLevel level = LogLevel::kDebug;
  std::string message;
  std::vector<LogField>
      fields;  // instance, label, role, status, code, node, attempts, seconds: docs/operations.md
};

EndLine end_line(const InstanceEnd& end);

// Bounds the warnings: a role whose instances fail by the thousand fills no disk. Each role has kWarnings a minute; the
// others are for debugging, and one more warning counts them once the minute is over. Not thread-safe.
class EndLog {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr int kWarnings = 60;

  EndLine ended(const InstanceEnd& end, Time now);
  // The counts of minutes that are over; to be called now and then.
  std::vector<EndLine> tidy(Time now);

 private:
  struct Minute {
    Time begin{};
    int failed = 0;
  };

  std::map<std::string, Minute> roles_;  // with failures in their last minute
};

}  // namespace durabled::daemon
