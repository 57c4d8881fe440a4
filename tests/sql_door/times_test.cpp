// When things happened, and how long they took.
#include <regex>

#include "tests/sql_door/served.hpp"

using namespace durabled::test;

namespace {

// What stands in parentheses at the end of the line that holds `line`, in milliseconds; -1: nothing.
double took(const std::string& explained, const std::string& line) {
  const std::size_t at = explained.find(line);
  INFO(explained << "\n" << line);
  REQUIRE(at != std::string::npos);
  const std::string rest = explained.substr(at + line.size(), explained.find('\n', at) - at - line.size());
  static const std::regex pattern(R"(^ \(([0-9.]+) (ms|s)\))");
  std::smatch found;
  if (!std::regex_search(rest, found, pattern)) return -1;
  return std::stod(found[1]) * (found[2] == "s" ? 1'000 : 1);
}

}  // namespace

TEST_CASE("explain tells how long steps and waits took, also the first, a short one and one that failed",
          "[S2.11]") {
  Served served;
  const std::string id = served.finished(
      "'SELECT pg_sleep(1.2)' ~> 'SELECT 1' ~> 'SELECT pg_sleep(0.3)' ~> df.sleep(0.4) ~> "
      "df.loop('SELECT pg_sleep(0.25)', 'SELECT false') ~> df.timeout('SELECT pg_sleep(0.35)', 60) ~> "
      "df.catch('SELECT 1/0', 'SELECT 2') ~> "
      "df.retry($$SELECT n / (n - 1) FROM (SELECT 1 AS n, pg_sleep(0.3)) p$$, 2, 0.5)");
  const std::string text = served.explain(id);
  const auto check = [&](const std::string& line, double at_least, double below) {
    INFO(text << "\n" << line);
    CHECK(took(text, line) >= at_least);
    CHECK(took(text, line) < below);
  };
  check("SQL: SELECT pg_sleep(1.2)", 1'200, 1'800);
  check("SQL: SELECT 1", 0, 250);
  check("SQL: SELECT pg_sleep(0.3)", 300, 600);
  check("SLEEP 0.4s", 400, 900);
  check("SQL: SELECT pg_sleep(0.25)", 250, 500);
  check("SQL: SELECT pg_sleep(0.35)", 350, 700);
  check("(SELECT 1 AS n, pg_sleep(0.3)) p", 300 + 375, 2'500);  // both attempts and the pause
  for (const char* compound : {"LOOP", "TIMEOUT 60s", "CATCH"}) CHECK(took(text, compound) == -1);
}

TEST_CASE("the time that a step waited for a connection is not its own", "[S2.11]") {
  const TestDatabase database = fresh_database();
  DaemonProcess daemon({.database = database.conninfo(),
                        .settings = {{"steps.connections", "1"}, {"steps.connections_per_role", "1"}}});
  daemon.wait_until_ready();
  Sql sql(database.conninfo());
  const std::string id = sql.text(
      "select df.start(df.join('SELECT pg_sleep(0.41)', 'SELECT pg_sleep(0.42)', 'SELECT pg_sleep(0.43), "
      "nosuch()', 'SELECT pg_sleep(0.44)'))");
  CHECK(sql.text("select df.await_instance($1, 20)", id) == "failed");
  const std::string text = sql.text("select df.explain($1)", id);
  INFO(text);
  for (const char* step : {"0.41", "0.42", "0.44"}) {
    CHECK(took(text, std::string("SELECT pg_sleep(") + step + ")") >= 410);
    CHECK(took(text, std::string("SELECT pg_sleep(") + step + ")") < 700);
  }
  CHECK(took(text, "nosuch()") < 250);
}

TEST_CASE("each event has its own time, and a step's end the time of its beginning", "[S2.15]") {
  Served served;
  served.sql.exec("create table deferred (n int unique deferrable initially deferred)");
  const std::string id = served.finished(
      "'SELECT pg_sleep(0.8)' ~> df.catch('INSERT INTO deferred SELECT 1 FROM generate_series(1, 2)', "
      "'SELECT 2') ~> 'VACUUM df_nothing'");
  CHECK(served.sql.text("select string_agg(kind, ' ' order by seq) from df.history($1)", id) ==
        "InstanceStarted StepStarted StepCompleted StepFailed StepCompleted StepStarted StepFailed "
        "InstanceFailed");
  CHECK(
      served.sql.text("select bool_and(at >= before) from (select at, lag(at, 1, at) over (order by seq) as "
                      "before from df.events where instance_id = $1) e",
                      id) == "t");
  CHECK(served.sql.exec("select a.started_at - s.at between interval '-5 ms' and interval '700 ms', "
                        "a.at - a.started_at between interval '799 ms' and interval '1.5 s' "
                        "from df.events s, df.events a where s.instance_id = $1 and a.instance_id = $1 and "
                        "s.kind = 'InstanceStarted' and a.node = '00000001' and a.kind = 'StepCompleted'",
                        id) == Rows{{"t", "t"}});
  CHECK(served.sql.text(
            "select bool_and((started_at is not null) = (kind in ('StepCompleted', "
            "'StepFailed')) and (started_at <= at) is not false) from df.events where instance_id = $1",
            id) == "t");
}
