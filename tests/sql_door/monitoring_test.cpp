// What people and monitoring read: lists, explain, the state of nodes, what is waited for, counts.
#include <unistd.h>

#include <set>

#include "tests/sql_door/served.hpp"

using namespace durabled::test;

namespace {

std::string host_name() {
  char name[256] = "";
  REQUIRE(gethostname(name, sizeof name - 1) == 0);
  return name;
}

}  // namespace

TEST_CASE("explain draws an instance with marks, times, errors and what was skipped",
          "[smoke][S1.7][S2.11][S2.14]") {
  Served served;
  const std::string id = served.finished(
      "('SELECT true' ?> 'SELECT 1' !> 'SELECT 2') ~> ('SELECT 3' |=> 'x' & 'SELECT 1/0') ~> 'SELECT $x', "
      "'the label'");
  const std::string text = served.explain(id);
  INFO(text);
  CHECK(
      text.starts_with("Instance: " + id + " (the label)\nStatus: failed\nOutput: division by zero\n\n✓ IF"));
  CHECK_THAT(text, ContainsSubstring("  then:\n    ✓ SQL: SELECT 1 ("));
  CHECK_THAT(text, ContainsSubstring("  else:\n    ⊘ SQL: SELECT 2\n"));
  CHECK_THAT(text, ContainsSubstring("✗ JOIN (2)"));
  CHECK_THAT(text, ContainsSubstring("✓ SQL |=> 'x': SELECT 3 ("));
  CHECK_THAT(text,
             ContainsSubstring("✗ SQL: SELECT 1/0 (") && ContainsSubstring("ms) error: division by zero\n"));
  CHECK(text.ends_with("⊘ SQL: SELECT $x"));

  const std::string waiting = served.start("'SELECT 1' ~> df.sleep(600) ~> 'SELECT 2'");
  served.wait_for_node(waiting, "running");
  CHECK_THAT(served.explain(waiting), ContainsSubstring("Status: running\nOutput: -\n\n✓ SQL: SELECT 1") &&
                                          ContainsSubstring("\n→ ⏳ SLEEP 600s\n→ ○ SQL: SELECT 2"));
  CHECK(served.sql.exec("select node_id, kind, until > now() + interval '500 seconds' from df.waiting($1)",
                        waiting) == Rows{{"00000002", "timer", "t"}});
  wait_until("it is put down", [&] { return served.sql.number("select count(*) from df.waiting()") == 1; });
  CHECK(served.sql.text("select df.cancel($1, 'enough')", waiting) == "Instance " + waiting + " cancelled");
  CHECK(served.end_of(waiting) == "cancelled");
  CHECK_THAT(served.explain(waiting),
             ContainsSubstring("Status: cancelled\nOutput: enough\n") &&
                 ContainsSubstring("✗ SLEEP 600s (stopped: the instance was cancelled)\n→ ⊘ SQL: SELECT 2"));
  CHECK(served.sql.number("select count(*) from df.waiting()") == 0);
}

TEST_CASE("explain shows the warnings of a text, and the error of a text that is not a workflow", "[L1.7][L2.5][S2.11]") {
  Served served;
  const std::string warned = served.sql.text("insert into df.submit (dsl) values ($1) returning id",
                                             "'SELECT 1' & 'SELECT 2' |=> 'b' ~> df.if('SELECT false', "
                                             "'SELECT {v}$nobody') ~> @> df.sleep(600) ~> 'SELECT 3'");
  served.wait_for_waits(warned, 1);
  const std::string explained = served.explain(warned);
  INFO(explained);
  for (const char* trap : {"\nWarning: line 1, column 25: the name 'b' is bound to the whole join",
                           "\nWarning: line 1, column 69: $nobody is referenced",
                           "\nWarning: line 1, column 102: this step is never reached"}) {
    CHECK_THAT(explained, ContainsSubstring(trap));
  }
  CHECK_THAT(explained, ContainsSubstring("^\nhint: "));
  served.sql.exec("select df.cancel($1)", warned);
  const std::string bad =
      served.sql.text("insert into df.submit (dsl) values ('not a workflow') returning id");
  CHECK(served.end_of(bad) == "failed");
  CHECK_THAT(
      served.explain(bad),
      ContainsSubstring("Status: failed") && ContainsSubstring("Text: not a workflow") &&
          ContainsSubstring("Output: line 1, column 1: found not; there is no SQL outside of quotes\n\n") &&
          ContainsSubstring("\n  not a workflow\n  ^\nhint: "));
}

TEST_CASE("nodes, info and executions show an instance that has ended", "[S1.5][S1.7][S1.10][S2.13][S2.15]") {
  Served served;
  const Value null;
  const std::string id =
      served.finished("'SELECT 1 AS a' |=> 'x' ~> ('SELECT 2' | df.sleep(60)), 'two steps'");
  CHECK(served.sql.exec("select node_id, node_type, query, result_name, left_node, right_node, status, "
                        "inferred_status, inferred_status_from_ancestor_id from df.instance_nodes($1) "
                        "order by node_id",
                        id) ==
        Rows{{"00000000", "THEN", null, null, "00000001", "00000002", "completed", "completed", null},
             {"00000001", "SQL", "SELECT 1 AS a", "x", null, null, "completed", "completed", null},
             {"00000002", "RACE", null, null, "00000003", "00000004", "completed", "completed", null},
             {"00000003", "SQL", "SELECT 2", null, null, null, "completed", "completed", null},
             {"00000004", "SLEEP", "60", null, null, null, "failed", "failed", "00000002"}});
  CHECK(served.sql.text(
            "select status_details ->> 'execution_id' from df.instance_nodes($1) where node_id = '00000003'",
            id) == id + "::1::00000003::1");
  CHECK(served.sql.text(
            "select result -> 'rows' -> 0 ->> 'a' from df.nodes where instance_id = $1 and id = '00000001'",
            id) == "1");
  CHECK(
      served.sql.exec("select instance_id, label, function_name, function_version = df.version(), "
                      "current_execution_id, status, output = df.result($1)::text from df.instance_info($1)",
                      id) == Rows{{id, "two steps", "workflow", "t", "1", "completed", "t"}});
  CHECK(served.sql.exec("select execution_id, status, event_count > 3 from df.instance_executions($1)", id) ==
        Rows{{"1", "completed", "t"}});
  CHECK(served.sql.text("select string_agg(kind, ' ' order by seq) from df.history($1)", id)
            .starts_with("InstanceStarted StepCompleted"));
  CHECK(served.sql.text(
            "select e.last_seen_at >= e.started_at and e.started_at = w.started_at and w.version <> '' "
            "from df._worker_epoch e, df.workers w") == "t");
  CHECK(served.sql.text("select host from df.workers") == host_name());
}

TEST_CASE("a list goes from page to page without a gap, whatever is added meanwhile", "[S2.12]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  sql.exec("insert into df.submit (dsl, label) select 'x', 'l' from generate_series(1, 25)");
  std::set<std::string> seen;
  Value cursor;
  int pages = 0;
  do {
    const Rows page =
        sql.exec("select instance_id, next_cursor, status from df.list_instances(null, 10, 'l', $1)", cursor);
    for (const Row& row : page) CHECK(seen.insert(*row[0]).second);
    cursor = page.at(0)[1];
    ++pages;
    sql.exec("insert into df.submit (dsl, label) values ('x', 'l')");
  } while (cursor);
  CHECK(pages == 3);
  CHECK(seen.size() == 25);
  CHECK(sql.number("select count(*) from df.list_instances('pending')") == 28);
  CHECK(sql.number("select count(*) from df.list_instances('FAILED', 5)") == 0);
  sql.exec("insert into df.submit (dsl) select 'x' from generate_series(1, 1500)");
  CHECK(sql.number("select count(*) from df.list_instances()") == 100);
  CHECK_THAT(sql.expects_error("22023", "select df.list_instances(null, 1001)"),
             ContainsSubstring("limit 1001 is over the cap of 1000") &&
                 ContainsSubstring("list_limit in df.settings"));
  sql.exec("insert into df.settings values ('list_limit', '1200')");
  CHECK(sql.number("select count(*) from df.list_instances(null, 1200)") == 1'200);
  sql.expects_error("22023", "select df.list_instances(null, 1201)");
  for (const char* none : {"0", "-1", "null"}) {
    CHECK_THAT(sql.expects_error("22023", std::string("select df.list_instances(null, ") + none + ")"),
               ContainsSubstring("limit must be at least 1"));
  }
  for (const char* bad : {"x", "zz.yy", "1.'; drop table df.instances", ""}) {
    CHECK_THAT(sql.expects_error("22023", "select df.list_instances(null, 5, null, $1)", bad),
               ContainsSubstring("malformed cursor"));
  }
  CHECK_THAT(sql.expects_error("22023", "select df.list_instances('odd')"),
             ContainsSubstring("not a status"));
}

TEST_CASE("a list has the newest first, with what has become of each", "[S2.12]") {
  Served served;
  const Value null;
  const std::string done = served.finished("'SELECT 7 AS n', 'one'"),
                    failed = served.finished("'SELECT 1/0', 'two'"),
                    later = served.start("'SELECT 1', 'three', start_at => now() + interval '1 hour'");
  const std::string output = served.sql.text("select df.result($1)::text", done);
  const Rows expected{{later, "three", "workflow", "pending", "1", null},
                      {failed, "two", "workflow", "failed", "1", "division by zero"},
                      {done, "one", "workflow", "completed", "1", output}};
  CHECK(served.sql.exec("select * from df.list_instances()") == expected);
  CHECK(served.sql.exec("select instance_id, label, function_name, status, execution_count, output "
                        "from df.list_instances(null, 10, null)") == expected);
  CHECK(served.sql.exec(
            "select l.created_at = i.created_at, l.completed_at is not distinct from i.completed_at, "
            "next_cursor from df.list_instances(null, 10, null) l join df.instances i on i.id = "
            "l.instance_id") == Rows{{"t", "t", null}, {"t", "t", null}, {"t", "t", null}});
  CHECK(served.sql.text("select instance_id from df.list_instances('failed')") == failed);
  CHECK(served.sql.text("select instance_id from df.list_instances(null, 10, 'one')") == done);
}

TEST_CASE("the iterations of a loop at the root are executions, the last first", "[S2.13]") {
  Served served;
  served.sql.exec("create sequence n");
  const std::string id = served.finished("df.loop('SELECT nextval(''n'') AS n' |=> 'i', 'SELECT $i.n < 7')");
  CHECK(served.sql.text("select current_execution_id from df.instance_info($1)", id) == "7");
  CHECK(served.sql.text("select execution_count from df.list_instances() where instance_id = $1", id) == "7");
  const std::string columns =
      "select execution_id, status, event_count > 0, duration_ms >= 0, output is not null ";
  CHECK(served.sql.exec(columns + "from df.instance_executions($1)", id) ==
        Rows{{"7", "completed", "t", "t", "t"},
             {"6", "completed", "t", "t", "f"},
             {"5", "completed", "t", "t", "f"},
             {"4", "completed", "t", "t", "f"},
             {"3", "completed", "t", "t", "f"}});
  CHECK(served.sql.exec(columns + "from df.instance_executions($1, 1)", id) ==
        Rows{{"7", "completed", "t", "t", "t"}});
}

TEST_CASE("a node tells in which branch and iteration it is, and is pending again in the next iteration",
          "[S1.7][S2.13]") {
  Served served;
  const std::string id = served.start(
      "'SELECT 0' ~> df.join(df.loop('SELECT 1' ~> df.wait_for_signal('go') ~> 'SELECT 2', 'SELECT true'), "
      "df.sleep(600))");
  const auto states = [&] {
    return served.sql.text(
        "select string_agg(node_type || ' ' || status || ' ' || inferred_status, ', ' order by node_id) "
        "from df.instance_nodes($1)",
        id);
  };
  served.wait_for_waits(id, 2);
  CHECK(states() ==
        "THEN running running, SQL completed completed, JOIN running running, LOOP running running, "
        "THEN running running, SQL completed completed, SIGNAL running running, SQL pending pending, "
        "SQL pending pending, SLEEP running running");
  served.sql.exec("select df.signal($1, 'go')", id);
  wait_until("it waits in the second iteration", [&] {
    return served.sql.number(
               "select count(*) from df.history($1) where kind = 'SignalAwaited' and scope = '1'", id) == 1;
  });
  CHECK(states() ==
        "THEN running running, SQL completed completed, JOIN running running, LOOP running running, "
        "THEN running running, SQL completed completed, SIGNAL running running, SQL pending pending, "
        "SQL pending pending, SLEEP running running");
  CHECK(served.sql.number("select count(*) from df.nodes where instance_id = $1 and status = 'pending'",
                          id) == 2);
  CHECK(served.sql.exec("select node_id, status_details ->> 'execution_id' from df.instance_nodes($1) where "
                        "node_id in ('00000001', '00000003', '00000006', '00000009') order by 1",
                        id) == Rows{{"00000001", id + "::1"},
                                    {"00000003", id + "::1::00000003::1"},
                                    {"00000006", id + "::1::00000003::1::00000003::2"},
                                    {"00000009", id + "::1::00000009::1"}});
  served.sql.exec("select df.cancel($1)", id);
  CHECK(served.end_of(id) == "cancelled");
  CHECK(served.sql.exec("select node_id, status, inferred_status, inferred_status_from_ancestor_id from "
                        "df.instance_nodes($1) where node_id in ('00000001', '00000009') order by 1",
                        id) == Rows{{"00000001", "completed", "completed", std::nullopt},
                                    {"00000009", "failed", "failed", "00000000"}});
}

TEST_CASE("no node of an instance that has ended is said to run or to be about to", "[S1.7]") {
  Served served;
  served.sql.exec("create sequence n");
  const auto check = [&](const std::string& expression, const std::string& status,
                         const std::string& states) {
    const std::string id = served.start(expression);
    if (status == "cancelled") {
      served.wait_for_waits(id, 1);
      served.sql.exec("select df.cancel($1)", id);
    }
    CHECK(served.end_of(id) == status);
    INFO(served.explain(id));
    for (const char* source : {"df.instance_nodes($1)",
                               "(select id as node_id, node_type, status from df.nodes "
                               "where instance_id = $1) n"}) {
      CHECK(
          served.sql.text(std::string("select string_agg(node_type || ' ' || status, ', ' order by node_id) "
                                      "from ") +
                              source,
                          id) == states);
    }
  };
  check("df.loop('SELECT nextval(''n'') AS n' |=> 'i', 'SELECT $i.n < 3')", "completed",
        "LOOP completed, SQL completed, SQL completed");
  check("df.loop('SELECT 1' ~> df.if('SELECT true', df.break('1'), 'SELECT 2') ~> 'SELECT 3') ~> 'SELECT 4'",
        "completed",
        "THEN completed, LOOP completed, THEN completed, SQL completed, IF completed, SQL completed, "
        "BREAK completed, SQL pending, SQL pending, SQL completed");
  check("df.loop('SELECT 1', df.break('3'))", "completed", "LOOP completed, SQL completed, BREAK completed");
  check("df.loop('SELECT 1' ~> df.catch('SELECT 1/0', df.break()), 'SELECT true')", "completed",
        "LOOP completed, THEN completed, SQL completed, CATCH completed, SQL failed, BREAK completed, SQL "
        "pending");
  check("df.loop(df.if('SELECT false', df.break()) ~> 'SELECT 1', 'SELECT false')", "completed",
        "LOOP completed, THEN completed, IF completed, SQL completed, BREAK pending, SQL completed, SQL "
        "completed");
  check("'SELECT 1' ~> df.sleep(600) & 'SELECT 2'", "cancelled",
        "JOIN failed, THEN failed, SQL completed, SLEEP failed, SQL completed");
  check("'SELECT 1' | df.sleep(600)", "completed", "RACE completed, SQL completed, SLEEP failed");
  check("'SELECT 1' ~> df.loop('SELECT 1/0') ~> 'SELECT 2'", "failed",
        "THEN failed, SQL completed, LOOP failed, SQL failed, SQL pending");
}

TEST_CASE("waiting tells of timers, schedules, signals and retries, since when and until when", "[S2.14]") {
  Served served;
  const std::string id = served.start(
      "df.sleep(500) & df.wait_for_schedule('0 0 1 1 *') & df.wait_for_signal('go', 300) & "
      "df.wait_for_signal('any time') & df.retry('SELECT 1/0', 3, 200)");
  served.wait_for_waits(id, 5);
  CHECK(served.sql.text("select string_agg(concat_ws(' ', node_id, kind, name, since <= clock_timestamp(), "
                        "round(extract(epoch from until - since) / 100) * 100), ', ' order by node_id) "
                        "from df.waiting($1) where kind <> 'schedule' and instance_id = $1",
                        id) ==
        "00000001 timer t 500, 00000003 signal go t 300, 00000004 signal any time t, 00000006 retry t 200");
  CHECK(served.sql.exec("select node_id, name, to_char(until at time zone 'UTC', 'MM-DD HH24:MI:SS') "
                        "from df.waiting($1) where kind = 'schedule'",
                        id) == Rows{{"00000002", "0 0 1 1 *", "01-01 00:00:00"}});
  wait_until("it is among all that wait", [&] {
    return served.sql.number("select count(*) from df.waiting() where instance_id = $1", id) == 5;
  });
}

TEST_CASE("metrics counts instances, executions and events, and is for those who were granted it",
          "[S2.16]") {
  Served served;
  served.sql.exec("create sequence n");
  served.finished("'SELECT 1'");
  served.finished("'SELECT 1/0'");
  served.finished("df.loop('SELECT nextval(''n'') AS n' |=> 'i', 'SELECT $i.n < 3')");
  served.wait_for_waits(served.start("df.sleep(600)"), 1);
  CHECK(served.sql.exec(
            "select total_instances, running_instances, completed_instances, failed_instances, "
            "total_executions, total_events = (select count(*) from df.events) from df.metrics()") ==
        Rows{{"4", "1", "2", "1", "6", "t"}});
  served.database.server().create_role("surface_monitor");
  served.sql.exec("select df.grant_usage('surface_monitor', true)");
  Sql monitor(served.database.conninfo("surface_monitor"));
  monitor.expects_error("42501", "select df.metrics()");
  served.sql.exec("grant execute on function df.metrics() to surface_monitor");
  CHECK(monitor.exec("select total_instances, total_events from df.metrics()") == Rows{{"0", "0"}});
}
