// Runs the command `durabled` to its end, with stdout and stderr apart.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {

struct CliOutcome {
  int code = -1;
  std::string out, err;

  boost::json::value json() const { return boost::json::parse(out); }
};

// Throws std::runtime_error when it has not ended after half a minute.
inline CliOutcome cli(const std::vector<std::string>& arguments,
                      const std::map<std::string, std::string>& environment = {},
                      const std::string& input = "") {
  const TemporaryDirectory directory("durabled-cli");
  write_file(directory.path() / "in", input);
  Command command{.argv = {"/bin/sh", "-c", "exec \"$@\" 2>err <in", "sh", kBinary},
                  .environment = environment,
                  .output = directory.path() / "out",
                  .directory = directory.path()};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  ChildProcess process(command);
  const auto code = process.wait(std::chrono::seconds{30});
  if (!code) throw std::runtime_error("durabled " + arguments.at(0) + " does not end");
  return {*code, read_file(directory.path() / "out"), read_file(directory.path() / "err")};
}

}  // namespace durabled::test
