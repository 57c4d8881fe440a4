// Branches and loops with the real server: width, length, and what of their history is kept.
#include <chrono>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

std::string join_of(int branches, const std::string& step) {
  std::string dsl = "df.join(";
  for (int i = 0; i < branches; ++i) dsl += (i > 0 ? ", '" : "'") + step + "'";
  return dsl + ")";
}

}  // namespace

TEST_CASE("fifty branches run side by side on sixteen connections") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (pid int)");
  world.start_daemon();
  run_workflow(alice, join_of(50, "insert into effects select pg_backend_pid() from pg_sleep(0.05)"));
  CHECK(alice.number("select count(*) from effects") == 50);
  const long long sessions = alice.number("select count(distinct pid) from effects");
  CHECK(sessions > 4);
  CHECK(sessions <= 16);
}

TEST_CASE("a fan-out of two thousand takes less than twice a fan-out of one thousand, give or take") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (n int)");
  world.start_daemon();
  const auto seconds = [&](int rows) {
    const std::string id =
        submit(alice, "df.for_each('select g as n from generate_series(1, " + std::to_string(rows) +
                          ") g', 'insert into effects values ($item.n)', 16)");
    completes(alice, id, std::chrono::seconds{60});
    return std::stod(alice.text(
        "select extract(epoch from completed_at - started_at) from df.instances where id = $1", id));
  };
  seconds(100);
  const double one = seconds(1'000), two = seconds(2'000);
  CHECK(two < 3.2 * one);  // a quadratic step would make it four
  CHECK(alice.number("select count(*) from effects") == 3'100);
}

TEST_CASE("a join of two thousand branches finishes", "[L3.11]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string result =
      completes(alice, submit(alice, join_of(2'000, "select 1 as one")), std::chrono::seconds{60});
  CHECK(alice.number("select json_array_length($1::json)", result) == 2'000);
}

TEST_CASE("three hundred iterations keep a bounded history", "[L3.8]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table counter (n int); insert into counter values (0)");
  world.start_daemon();
  const std::string id = submit(
      alice,
      "df.loop('update counter set n = n + 1 returning n' ~> 'select 1', 'select n < 300 from counter')");
  completes(alice, id, std::chrono::seconds{60});
  CHECK(alice.number("select n from counter") == 300);
  CHECK(alice.number("select count(*) from df.events where instance_id = $1", id) < 60);
}

TEST_CASE("an endless loop keeps the pace of loop.min_interval", "[L3.9]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (at timestamptz default clock_timestamp())");
  world.start_daemon({{"loop.min_interval", "300ms"}});
  const std::string id = submit(alice, "@> 'insert into effects default values'");
  wait_until("it has run four times", [&] { return alice.number("select count(*) from effects") == 4; });
  alice.exec("select df.cancel($1)", id);
  CHECK(
      alice.text("select max(at) - min(at) between interval '0.85 s' and interval '3 s' from (select at from "
                 "effects order by at limit 4) e") == "t");
}

TEST_CASE("nested loops keep names where they should, and survive a change of the daemon", "[L4.6]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table seen (i int, j int); create sequence outer_loop; create sequence inner_loop");
  auto daemon = std::make_unique<DaemonProcess>(world.database().conninfo());
  const std::string id = submit(alice, R"(
    ('select 0 as total' |=> 'sum') ~> df.loop(
      ('select nextval(''outer_loop'') as i' |=> 'o')
      ~> df.loop(
           ('select nextval(''inner_loop'') as j' |=> 'i')
           ~> ('select $sum.total + 1 as total' |=> 'sum')
           ~> 'insert into seen select $o.i, $i.j from pg_sleep(0.01)',
           'select $i.j % 10 <> 0'),
      'select $o.i < 6')
    ~> 'select $sum.total as total')");
  for (int kill = 0; kill < 3; ++kill) {
    const long long now = alice.number("select count(*) from seen");
    wait_until("it goes on", [&] {
      return alice.number("select count(*) from seen") > now || status_of(alice, id) == "completed";
    });
    daemon->kill9();
    daemon = std::make_unique<DaemonProcess>(world.database().conninfo());
  }
  const std::string result = completes(alice, id);
  // A killed step gives its number of the sequence away, so some may be missing.
  CHECK(alice.number("select max(i) from seen") >= 6);
  const std::string rows = alice.text("select count(*) from seen");
  CHECK_THAT(result, ContainsSubstring("{\"total\":" + rows + "}"));
  CHECK(alice.number("select count(*) - count(distinct (i, j)) from seen") == 0);
}

TEST_CASE("a break waits for the other branches of its join and ends the loop", "[L3.10][L6.14]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (x int)");
  world.start_daemon();
  CHECK_THAT(run_workflow(
                 alice,
                 "df.loop(df.join(df.break('{\"v\": 1}'), 'insert into effects select 1 from pg_sleep(0.1)'))"
                 " |=> 'r' ~> 'select $r.v as v, count(*) as effects from effects'"),
             ContainsSubstring("{\"v\":1,\"effects\":1}"));
  CHECK(alice.number("select count(*) from effects") == 1);
  CHECK_THAT(run_failing(alice, "df.break()"), ContainsSubstring("outside of a loop"));
}

TEST_CASE("a paused instance finishes its step, begins no other, and goes on when resumed", "[S2.6]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (x int)");
  world.start_daemon();
  const std::string id =
      submit(alice, "'insert into effects select 1 from pg_sleep(0.5)' ~> 'insert into effects values (2)'");
  await_status(alice, id, "running");
  alice.exec("select df.pause($1)", id);
  await_status(alice, id, "paused");
  CHECK(alice.exec("select x from effects") == Rows{{"1"}});
  alice.exec("select df.resume($1)", id);
  completes(alice, id);
  CHECK(alice.number("select count(*) from effects") == 2);
}
