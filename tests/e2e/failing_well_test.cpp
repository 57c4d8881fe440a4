// What a workflow does when a step fails, takes too long or has to wait: retries, timeouts, catches,
// compensation, and the clock.
#include "tests/e2e/json_check.hpp"
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// Seconds that an instance took, as the database saw them.
double duration(Sql& sql, const std::string& id) {
  return std::stod(
      sql.text("select extract(epoch from completed_at - started_at) from df.instances where id = $1", id));
}

long long attempts(Sql& sql, const std::string& id) {
  return sql.number("select count(*) from df.history($1) where kind in ('StepFailed', 'StepCompleted')", id);
}

// A statement that fails with `sqlstate` until it has been run `times` times. nextval() outlives the
// rollback.
std::string fails_until(const std::string& sqlstate, int times) {
  return "'SELECT fail_at_first(''" + sqlstate + "'', " + std::to_string(times) + ") AS n'";
}

struct Failing : World {
  Sql alice = session();
  Failing() {
    alice.exec(
        "create sequence tries;"
        "create function fail_at_first(state text, times int) returns bigint language plpgsql as $$"
        " declare n bigint := nextval('tries');"
        " begin"
        "   if n < times then raise exception 'try % failed', n using errcode = state, detail = 'a detail',"
        "     hint = 'a hint', constraint = 'a_constraint'; end if;"
        "   return n;"
        " end $$");
    start_daemon();
  }
};

}  // namespace

TEST_CASE("a transient failure is tried again without being asked, another one is not", "[L6.9]") {
  Failing world;
  const std::string id = submit(world.alice, fails_until("40001", 3));
  CHECK(holds(world.alice, completes(world.alice, id), "j -> 'rows' -> 0 ->> 'n' = '3'"));
  CHECK(attempts(world.alice, id) == 3);
  world.alice.exec("alter sequence tries restart");
  const std::string other = submit(world.alice, fails_until("22000", 3));
  CHECK(
      holds(world.alice, fails(world.alice, other), "j ->> 'sqlstate' = '22000' and j ->> 'attempts' = '1'"));
}

TEST_CASE("the codes that pass by themselves are tried again, others are not", "[L6.9]") {
  Failing world;
  const auto tries = [&](const std::string& code) {
    world.alice.exec("alter sequence tries restart");
    const std::string id = submit(world.alice, fails_until(code, 2));
    const bool completed = end_of(world.alice, id) == "completed";
    const long long count = attempts(world.alice, id);
    CHECK(count == (completed ? 2 : 1));
    return count;
  };
  for (const char* const code : {"40001", "40P01", "40003", "08000", "08003", "08006", "53000", "53100",
                                 "53200", "53300", "57P01", "57P02", "57P03", "55P03"}) {
    INFO(code);
    CHECK(tries(code) == 2);
  }
  for (const char* const code : {"57014", "57P04", "57000", "55006", "55000", "23505", "22012", "42P01",
                                 "42501", "54000", "P0001", "XX000"}) {
    INFO(code);
    CHECK(tries(code) == 1);
  }
}

TEST_CASE("a step reads which attempt it is", "[L6.5]") {
  Failing world;
  CHECK(holds(world.alice,
              run_workflow(world.alice,
                           "df.retry($$SELECT 1 / (current_setting('df.attempt')::int / 3) AS one, "
                           "current_setting('df.attempt') AS attempt$$, 5, delay => 0.01)"),
              "j -> 'rows' -> 0 ->> 'attempt' = '3'"));
}

TEST_CASE("df.retry tries again what `on` lists, a code or a class, and nothing else", "[L3.14]") {
  Failing world;
  for (const char* const on : {"23514", "23", "40 23514"}) {
    INFO(on);
    world.alice.exec("alter sequence tries restart");
    const std::string id = submit(
        world.alice, "df.retry(" + fails_until("23514", 4) + ", 4, delay => 0.01, on => '" + on + "')");
    completes(world.alice, id);
    CHECK(attempts(world.alice, id) == 4);
  }
  for (const char* const on : {"23505", "22 53"}) {
    INFO(on);
    world.alice.exec("alter sequence tries restart");
    const std::string id = submit(
        world.alice, "df.retry(" + fails_until("23514", 4) + ", 4, delay => 0.01, on => '" + on + "')");
    fails(world.alice, id);
    CHECK(attempts(world.alice, id) == 1);
  }
}

TEST_CASE("df.retry gives up after its attempts and its pauses grow by backoff up to max_delay", "[L3.14]") {
  Failing world;
  const std::string id =
      submit(world.alice, "df.retry('SELECT 1 / 0', 5, delay => 0.1, backoff => 2, max_delay => 0.3)");
  const std::string error = fails(world.alice, id);
  CHECK(holds(world.alice, error, "j ->> 'attempts' = '5'"));
  const Rows rows = world.alice.exec(
      "select extract(epoch from (data ->> 'retry_at')::timestamptz - at) from df.history($1)"
      " where kind = 'StepFailed' order by seq",
      id);
  REQUIRE(rows.size() == 5);
  const double expected[] = {0.1, 0.2, 0.3, 0.3};
  for (std::size_t i = 0; i < 4; ++i) {
    INFO("pause " << i << ": " << *rows[i][0]);
    CHECK(std::stod(*rows[i][0]) >= expected[i] * 0.7);
    CHECK(std::stod(*rows[i][0]) <= expected[i] * 1.3);
  }
  CHECK_FALSE(rows[4][0].has_value());
  // Nothing ran before its time.
  CHECK(world.alice.text(
            "select bool_and(next >= due) from (select lead(at) over (order by seq) as next,"
            " (data ->> 'retry_at')::timestamptz as due from df.history($1) where kind = 'StepFailed') t",
            id) == "t");
}

TEST_CASE("only the step that failed runs again, not what was before it in the df.retry", "[L6.10]") {
  Failing world;
  world.alice.exec("create table effects (n int)");
  completes(world.alice, submit(world.alice, "df.retry('INSERT INTO effects VALUES (1)' ~> " +
                                                 fails_until("22000", 3) + ", 5, delay => 0.01)"));
  CHECK(world.alice.number("select count(*) from effects") == 1);
}

TEST_CASE("df.timeout stops the statement that runs on the server, and nothing of it stays", "[L3.15]") {
  Failing world;
  world.alice.exec("create table effects (n int)");
  const std::string id =
      submit(world.alice, "df.timeout('INSERT INTO effects SELECT 1 FROM pg_sleep(60) /* asleep */', 0.3)");
  const auto asleep = [&] {
    return world.alice.number(
        "select count(*) from pg_stat_activity where query like '%/* asleep */%' and state = 'active'"
        " and pid <> pg_backend_pid() and datname = current_database()");
  };
  wait_until("the statement runs", [&] { return asleep() == 1; });
  const std::string error = fails(world.alice, id);
  CHECK(holds(world.alice, error, "j ->> 'code' = 'timeout'"));
  wait_until("the server has stopped it", [&] { return asleep() == 0; });
  CHECK(world.alice.number("select count(*) from effects") == 0);
  CHECK(duration(world.alice, id) < 5);
  // What is in time is not touched.
  CHECK(holds(world.alice, run_workflow(world.alice, "df.timeout('SELECT 1 AS n' ~> df.sleep(0.1), 20)"),
              "j @> '{\"slept\": true}'"));
}

TEST_CASE("df.catch binds $error with everything that is known of the failure", "[L3.16][L6.11]") {
  Failing world;
  const std::string json = run_workflow(
      world.alice,
      "df.catch('SELECT 1' ~> " + fails_until("23514", 100) +
          ", $h$SELECT $error.message AS message, $error.sqlstate AS sqlstate, $error.detail AS detail,"
          " $error.hint AS hint, $error.node AS node, $error.attempts AS attempts, $error.nothing? AS "
          "nothing,"
          " $error.constraint AS con, 'text: $error.message' AS spliced$h$)");
  CHECK(holds(world.alice, json,
              "j -> 'rows' -> 0 @> '{\"message\": \"try 1 failed\", \"sqlstate\": \"23514\", \"detail\": \"a "
              "detail\","
              " \"hint\": \"a hint\", \"nothing\": null, \"con\": \"a_constraint\", "
              "\"spliced\": \"text: try 1 failed\"}' and j -> 'rows' -> 0 ->> 'attempts' = '1'"
              " and j -> 'rows' -> 0 ->> 'node' ~ '^[0-9a-f]{8}$'"));
  // A handler that fails fails with its own error, and one that is not needed does not run.
  CHECK_THAT(run_failing(world.alice, "df.catch('SELECT 1 / 0', 'SELECT sqrt(-1)')"),
             ContainsSubstring("square root of a negative"));
  CHECK(holds(world.alice, run_workflow(world.alice, "df.catch('SELECT 7 AS n', 'SELECT 1 / 0')"),
              "j -> 'rows' -> 0 ->> 'n' = '7'"));
}

TEST_CASE("df.any goes on to the first branch that succeeds and fails only when all have failed", "[L3.12]") {
  Failing world;
  CHECK(holds(world.alice,
              run_workflow(world.alice,
                           "df.any('SELECT 1 / 0', df.sleep(0.2) ~> 'SELECT ''slow'' AS who', df.sleep(60))"),
              "j -> 'rows' -> 0 ->> 'who' = 'slow'"));
  CHECK_THAT(run_failing(world.alice, "df.any(df.sleep(0.1) ~> 'SELECT sqrt(-1)', 'SELECT 1 / 0')"),
             ContainsSubstring("square root of a negative"));
}

TEST_CASE("a saga undoes what it did, last first, when a later step fails") {
  Failing world;
  world.alice.exec("create table journal (id serial, what text)");
  const auto note = [](const std::string& what) {
    return "'INSERT INTO journal (what) VALUES (''" + what + "'')'";
  };
  const std::string id =
      submit(world.alice, note("book flight") + " ~> df.catch(" + note("book hotel") +
                              " ~> df.catch('SELECT 1 / 0 AS pay', " + note("cancel hotel") +
                              " ~> 'SELECT 1 / 0 AS again'), " + note("cancel flight") + ")");
  completes(world.alice, id);
  CHECK(world.alice.text("select string_agg(what, ', ' order by id) from journal") ==
        "book flight, book hotel, cancel hotel, cancel flight");
}

TEST_CASE("sleeps take fractions and intervals and never end early", "[L3.2]") {
  Failing world;
  for (const char* const text :
       {"df.sleep(0.3)", "df.sleep(interval '300 milliseconds')", "df.sleep('0.3 seconds')",
        "'SELECT 0.3 AS s' |=> 'p' ~> df.sleep('$p.s')"}) {
    INFO(text);
    const std::string id = submit(world.alice, text);
    CHECK(holds(world.alice, completes(world.alice, id), "j = '{\"slept\": true, \"seconds\": 0.3}'"));
    CHECK(duration(world.alice, id) >= 0.3);
    CHECK(duration(world.alice, id) < 3);
  }
}

TEST_CASE("a schedule waits for the next match in its time zone", "[L3.3]") {
  Failing world;
  // Half past nine in a zone without daylight saving, half an hour off the whole.
  const std::string id =
      submit(world.alice, "df.wait_for_schedule('30 9 * * *', 'Asia/Kolkata') ~> 'SELECT 1'");
  await_put_down(world.alice, id);
  CHECK(world.alice.text(
            "select to_char(wake_at at time zone 'Asia/Kolkata', 'HH24:MI:SS.US') = '09:30:00.000000'"
            " and wake_at > now() and wake_at <= now() + interval '1 day'"
            " from df.instances where id = $1",
            id) == "t");
  // One with daylight saving, a weekday, and a day of the month of its own.
  const std::string vienna = submit(world.alice, "df.wait_for_schedule('15 2 1 * *', 'Europe/Vienna')");
  await_put_down(world.alice, vienna);
  CHECK(
      world.alice.text("select to_char(wake_at at time zone 'Europe/Vienna', 'DD HH24:MI:SS') = '01 02:15:00'"
                       " and wake_at > now() and wake_at <= now() + interval '32 days'"
                       " from df.instances where id = $1",
                       vienna) == "t");
  CHECK_THAT(run_failing(world.alice, "df.wait_for_schedule('0 0 * * *', 'Mars/Olympus')"),
             ContainsSubstring("Mars/Olympus"));
}
