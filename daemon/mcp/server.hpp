// The Model Context Protocol (2025-11-25) over lines of JSON: one request in, at most one answer out. Knows no
// transport: daemon/cli/mcp_command.cpp reads and writes the lines.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "daemon/mcp/tools.hpp"

namespace durabled::daemon::mcp {

// What a command has printed.
struct Printed {
  std::string out, err;
};

inline constexpr std::size_t kMaxLine = 4 << 20;   // of a request, in bytes
inline constexpr std::size_t kMaxResult = 20'000;  // of a tool's text, in bytes; what is more is cut

class Server {
 public:
  using Run = std::function<Printed(const CommandLine&)>;

  // `run` runs a command of durabled and never throws; `allowed`: the tools that write and may be called.
  Server(Run run, std::set<std::string> allowed) : run_(std::move(run)), allowed_(std::move(allowed)) {}

  // The answer to a line, without a line feed in it; none to a notification. Never throws, whatever the line holds.
  std::optional<std::string> answer(std::string_view line);

  // The answer to a line that is longer than kMaxLine.
  static std::string too_long();

 private:
  boost::json::object result_of(std::string_view method, const boost::json::object& params);
  boost::json::object call_tool(const boost::json::object& params);
  bool offers(const Tool& tool) const { return !tool.writes || allowed_.contains(std::string(tool.name)); }

  Run run_;
  std::set<std::string> allowed_;
};

}  // namespace durabled::daemon::mcp
