// `durabled dev` in a folder of its own, for tests.
#pragma once

#include <sys/stat.h>

#include <csignal>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/e2e/cli_run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"

namespace durabled::test {

inline constexpr std::chrono::seconds kDevStart{60};

class Dev {
 public:
  Dev() { REQUIRE(chmod(directory_.path().c_str(), 0755) == 0); }  // the server's user must be able to enter

  std::string folder() const { return (directory_.path() / "dev").string(); }
  std::string log() const { return read_file(directory_.path() / "log"); }

  ChildProcess start() {
    write_file(directory_.path() / "log", "");
    return ChildProcess({.argv = {kBinary, "dev", "--dir", folder()},
                         .environment = environment(),
                         .output = directory_.path() / "log",
                         .directory = directory_.path(),
                         .signal_with_parent = SIGTERM});
  }
  static std::map<std::string, std::string> environment() {
    return {{"DURABLED_PG_BIN", postgres_programs().string()}};
  }

  // The URI of role app, once the daemon serves.
  std::string address(ChildProcess& dev) const {
    return *wait_until(
        "it serves",
        [&]() -> std::optional<std::string> {
          if (!dev.running()) throw std::runtime_error("dev ended:\n" + log());
          const std::string text = log();
          const auto begin = text.find("postgresql://app@");
          if (begin == std::string::npos || text.find("serving") == std::string::npos) return std::nullopt;
          return text.substr(begin, text.find('\'', begin) - begin);
        },
        kDevStart);
  }

 private:
  TemporaryDirectory directory_{"durabled-dev"};
};

}  // namespace durabled::test
