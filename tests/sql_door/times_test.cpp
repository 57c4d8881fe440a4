// When things happened, and how long they took.
#include <regex>

#include "tests/sql_door/served.hpp"

using namespace durabled::test;

namespace {

// What stands in parentheses at the end of the line that holds `line`; "": nothing.
std::string took(const std::string& explained, const std::string& line) {
  const std::size_t at = explained.find(line);
  INFO(explained << "\n" << line);
  REQUIRE(at != std::string::npos);
  const std::string rest = explained.substr(at + line.size(), explained.find('\n', at) - at - line.size());
  static const std::regex pattern(R"(^ \(([0-9.]+ (ms|s))\))");
  std::smatch found;
  return std::regex_search(rest, found, pattern) ? found[1].str() : "";
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
  // From the beginning of a node's first attempt to its end, by its events and not by this test's clock.
  const auto check = [&](const std::string& line, const std::string& node_text, int at_least_ms) {
    INFO(text << "\n" << line);
    const Row row = served.sql.exec(
        "select df._duration(t.took), t.took >= make_interval(secs => $3::float8 / 1000) from "
        "df.instance_nodes($1) n, "
        "lateral (select max(e.at) - min(coalesce(e.started_at, e.at)) as took from df.events e "
        "where e.instance_id = $1 and e.node = n.node_id) t where coalesce(n.query, n.node_type) = $2",
        id, node_text, at_least_ms)[0];
    CHECK(row == Row{took(text, line), "t"});
  };
  check("SQL: SELECT pg_sleep(1.2)", "SELECT pg_sleep(1.2)", 1'200);
  check("SQL: SELECT 1", "SELECT 1", 0);
  check("SQL: SELECT pg_sleep(0.3)", "SELECT pg_sleep(0.3)", 300);
  check("SQL: SELECT pg_sleep(0.25)", "SELECT pg_sleep(0.25)", 250);
  check("SQL: SELECT pg_sleep(0.35)", "SELECT pg_sleep(0.35)", 350);
  const std::string retried = "SELECT n / (n - 1) FROM (SELECT 1 AS n, pg_sleep(0.3)) p";
  check("SQL: " + retried, retried, 300 + 375);  // both attempts and the pause
  const std::string slept = took(text, "SLEEP 0.4s");
  INFO(text);
  CHECK(served.sql.text("select $1::interval >= interval '0.39 s'", slept) == "t");
  for (const char* compound : {"LOOP", "TIMEOUT 60s", "CATCH"}) CHECK(took(text, compound).empty());
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
  INFO(sql.text("select df.explain($1)", id));
  // All were ready at once, and one connection ran them: one after another.
  CHECK(sql.number("select count(*) from df.events where instance_id = $1 and started_at is not null", id) ==
        4);
  // A start is worked out from two clocks and a duration; the steps last 400 ms and more.
  CHECK(
      sql.exec("select a.node, a.started_at, a.at, b.node, b.started_at, b.at from df.events a, df.events b "
               "where a.instance_id = $1 and b.instance_id = $1 and a.node < b.node "
               "and a.started_at + interval '50 ms' < b.at and b.started_at + interval '50 ms' < a.at",
               id) == Rows{});
}

TEST_CASE("each event has its own time, and a step's end the time of its beginning", "[S2.15]") {
  Served served;
  served.sql.exec("create table deferred (n int unique deferrable initially deferred)");
  const std::string id = served.finished(
      "'SELECT clock_timestamp() AS began, pg_sleep(0.8)' ~> df.catch('INSERT INTO deferred SELECT 1 FROM "
      "generate_series(1, 2)', "
      "'SELECT 2') ~> 'VACUUM df_nothing'");
  CHECK(served.sql.text("select string_agg(kind, ' ' order by seq) from df.history($1)", id) ==
        "InstanceStarted StepStarted StepCompleted StepFailed StepCompleted StepStarted StepFailed "
        "InstanceFailed");
  CHECK(
      served.sql.text("select bool_and(at >= before) from (select at, lag(at, 1, at) over (order by seq) as "
                      "before from df.events where instance_id = $1) e",
                      id) == "t");
  // The statement's own clock lies between the beginning and the end that the event tells.
  CHECK(
      served.sql.exec("select a.started_at >= s.at - interval '5 ms', a.started_at <= t.began, "
                      "a.at >= t.began + interval '0.8 s' "
                      "from df.events s, df.events a, lateral (select (a.data -> 'rows' -> 0 ->> "
                      "'began')::timestamptz as began) t where s.instance_id = $1 and a.instance_id = $1 and "
                      "s.kind = 'InstanceStarted' and a.node = '00000001' and a.kind = 'StepCompleted'",
                      id) == Rows{{"t", "t", "t"}});
  CHECK(served.sql.text(
            "select bool_and((started_at is not null) = (kind in ('StepCompleted', "
            "'StepFailed')) and (started_at <= at) is not false) from df.events where instance_id = $1",
            id) == "t");
}
