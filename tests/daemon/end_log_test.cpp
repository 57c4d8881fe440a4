// How many warnings of failed instances the log takes.
#include "daemon/end_log.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::EndLog;
using daemon::LogLevel;

daemon::InstanceEnd failed(const std::string& role) {
  return {"i", "", role, "failed", R"({"message":"m","code":"22012"})", 0.5};
}

}  // namespace

TEST_CASE("a role has a bounded number of warnings a minute, and the others are counted") {
  EndLog ends;
  EndLog::Time now{};
  int warnings = 0;
  for (int i = 0; i < EndLog::kWarnings + 7; ++i)
    warnings += ends.ended(failed("mallory"), now).level == LogLevel::kWarn;
  CHECK(warnings == EndLog::kWarnings);
  CHECK(ends.ended(failed("alice"), now).level == LogLevel::kWarn);
  CHECK(ends.tidy(now + std::chrono::seconds(59)).empty());

  now += std::chrono::minutes(1);
  const auto lines = ends.tidy(now);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].level == LogLevel::kWarn);
  CHECK(lines[0].message ==
        "7 more instances of mallory failed within a minute; each is in df.list_instances('failed')");
  CHECK(ends.ended(failed("mallory"), now).level == LogLevel::kWarn);
}

TEST_CASE("instances that completed are not counted") {
  EndLog ends;
  for (int i = 0; i < 1000; ++i)
    CHECK(ends.ended({"i", "", "alice", "completed", "", 1}, {}).level == LogLevel::kDebug);
  CHECK(ends.ended(failed("alice"), {}).level == LogLevel::kWarn);
}

}  // namespace durabled::test
