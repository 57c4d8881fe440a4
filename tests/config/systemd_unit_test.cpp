// systemd/durabled.service and the configuration's defaults must agree.
#include <chrono>
#include <map>
#include <sstream>
#include <string>

#include "config/config.hpp"
#include "config/units.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

// The unit's assignments; of several to one name, the last.
std::map<std::string, std::string> unit() {
  std::istringstream in(
      durabled::test::read_file(std::string(durabled::test::kSourceDirectory) + "/systemd/durabled.service"));
  std::map<std::string, std::string> assignments;
  for (std::string line; std::getline(in, line);) {
    const auto equals = line.find('=');
    if (line.starts_with('#') || equals == std::string::npos) continue;
    assignments[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return assignments;
}

}  // namespace

TEST_CASE("systemd waits longer for the end than the daemon for its running steps") {
  const auto stop = durabled::config::parse_duration(unit().at("TimeoutStopSec"));
  REQUIRE(stop);
  CHECK(*stop > durabled::config::Config{}.worker.shutdown_grace);
}

TEST_CASE("systemd is told when the daemon is ready, watches it, and always starts it again") {
  const auto assignments = unit();
  CHECK(assignments.at("Type") == "notify");
  CHECK(assignments.at("Restart") == "always");
  CHECK(assignments.at("StartLimitIntervalSec") == "0");
  CHECK(durabled::config::parse_duration(assignments.at("WatchdogSec")));
}

TEST_CASE("a crash of the service leaves no file with its memory") {
  CHECK(unit().at("LimitCORE") == "0");
}
