// The line of the log for an instance that has ended: a warning when it failed, else for debugging. It has the error's
// code but not its message, because that may hold values of rows.
#pragma once

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

}  // namespace durabled::daemon
