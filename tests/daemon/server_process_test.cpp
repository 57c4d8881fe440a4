#include "daemon/server_process.hpp"

#include <string>

#include "tests/support/catch.hpp"

namespace durabled::test {

using daemon::last_messages;

TEST_CASE("the last messages of a server's log are shown without the statements that belong to them") {
  std::string log = "2026-01-01 00:00:00.000 UTC [1] LOG:  received fast shutdown request\n";
  log += "2026-01-01 00:00:00.000 UTC [2] CONTEXT:  SQL statement \"select 1\n";
  for (int i = 0; i < 100; ++i) log += "\t       union select 1\n";
  log += "2026-01-01 00:00:00.000 UTC [2] STATEMENT:  select df.f()\n";
  log += "2026-01-01 00:00:00.000 UTC [1] LOG:  database system is shut down\n";
  CHECK(last_messages(log) ==
        "2026-01-01 00:00:00.000 UTC [1] LOG:  received fast shutdown request\n"
        "2026-01-01 00:00:00.000 UTC [1] LOG:  database system is shut down\n");
}

TEST_CASE("of many messages the last twenty are shown") {
  std::string log, last;
  for (int i = 0; i < 30; ++i) {
    log += "message " + std::to_string(i) + '\n';
    if (i >= 10) last += "message " + std::to_string(i) + '\n';
  }
  CHECK(last_messages(log) == last);
}

}  // namespace durabled::test
