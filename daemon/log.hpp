// The log: spdlog behind a few functions, so that only log.cpp knows it. Messages never hold a step's result
// or a value of a variable at info level or above. A message is data, never a format string: control characters
// are escaped, line breaks do not begin a line, and what is longer than 4 KiB is cut.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace durabled::daemon {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };

// Sets up level, format (text or json, one object a line) and target. Called once, and again on SIGHUP.
// Throws std::runtime_error when the file cannot be opened.
void configure_log(const config::Config::Log& config);

// One member of a JSON line, beside time, level and message; the text format leaves them out. `json` is its value.
struct LogField {
  std::string name, json;
};

// How many lines of this level were written since the start. Any thread.
std::uint64_t log_lines(LogLevel level);

void log(LogLevel level, const std::string& message, const std::vector<LogField>& fields = {});
inline void log_debug(const std::string& message) {
  log(LogLevel::kDebug, message);
}
inline void log_info(const std::string& message) {
  log(LogLevel::kInfo, message);
}
inline void log_warn(const std::string& message) {
  log(LogLevel::kWarn, message);
}
inline void log_error(const std::string& message) {
  log(LogLevel::kError, message);
}

}  // namespace durabled::daemon
