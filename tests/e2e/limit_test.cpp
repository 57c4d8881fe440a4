// Limits: what they hold back is read from the tokens in the table, never from a clock of the test's.
#include "tests/e2e/http_world.hpp"

using namespace durabled::test;

namespace {

struct Limits : HttpWorld {
  Sql alice = session();
  Limits() { alice.exec("create table effects (n int)"); }

  static std::string step(const std::string& rest = "'api'") {
    return "df.limit('insert into effects values (1)', " + rest + ")";
  }
  // How many units of a limit of one an hour are taken: an hour each until it is full again.
  long long taken() {
    return alice.number(
        "select round(extract(epoch from full_at - now()) / 3600) from df.limits where name = 'api'");
  }
  long long effects() { return alice.number("select count(*) from effects"); }
  long long waiting() { return alice.number("select count(*) from df.waiting() where kind = 'limit'"); }
};

}  // namespace

TEST_CASE("a limit lets as many units through as it has, and the others wait, put down", "[smoke]") {
  Limits world;
  world.start_daemon();
  CHECK_THAT(world.alice.text("select df.set_limit('api', 1, '1 hour', 3)"),
             ContainsSubstring("at most 3 at once"));
  const std::string id =
      submit(world.alice, "df.for_each('select g from generate_series(1, 5) g', " + Limits::step() + ", 5)");
  wait_until("three have run and two wait", [&] { return world.effects() == 3 && world.waiting() == 2; });
  await_put_down(world.alice, id);
  CHECK(world.taken() == 5);
  CHECK(world.alice.number("select available from df.limits") == 0);
  CHECK(world.alice.text("select wake_at > now() + interval '50 minutes' from df.instances where id = $1",
                         id) == "t");
  CHECK(world.alice.text("select min(name) from df.waiting($1)", id) == "api");
  world.alice.exec("select df.cancel($1)", id);
  CHECK(status_of(world.alice, id) == "cancelled");
  CHECK(world.effects() == 3);
}

TEST_CASE("a wait for a limit outlives the daemon, and ends with it", "[smoke]") {
  Limits world;
  world.start_daemon();
  world.alice.exec("select df.set_limit('api', 2, '1 second', 1)");
  const std::string id =
      submit(world.alice, "df.for_each('select g from generate_series(1, 4) g', " + Limits::step() + ", 4)");
  wait_until("one has run", [&] { return world.effects() >= 1; });
  world.daemon().kill9();
  world.start_daemon();
  completes(world.alice, id);
  CHECK(world.effects() == 4);
}

TEST_CASE("two daemons share a limit, and a crash takes no units twice") {
  Limits world;
  world.alice.exec("select df.set_limit('api', 1, '1 hour', 1000)");
  world.alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, 50)",
                   Limits::step() + " ~> " + Limits::step());
  world.start_daemon({{"worker.claim_batch", "4"}, {"worker.max_instances", "8"}});
  world.start_daemon({{"worker.claim_batch", "4"}, {"worker.max_instances", "8"}});
  wait_until("some have run", [&] { return world.effects() >= 10; });
  world.daemon().kill9();
  wait_until("all have run", [&] {
    return world.alice.number("select count(*) from df.instances where status = 'completed'") == 50;
  });
  CHECK(world.effects() == 100);
  CHECK(world.taken() == 100);
}

TEST_CASE("an unknown limit, and units that a limit never has, say what to do", "[smoke]") {
  Limits world;
  world.start_daemon();
  CHECK_THAT(run_failing(world.alice, Limits::step()),
             ContainsSubstring("role alice has no limit") &&
                 ContainsSubstring("SELECT df.set_limit('api', 60, '1 minute')"));
  world.alice.exec("select df.set_limit('api', 60, '1 minute')");
  CHECK_THAT(run_failing(world.alice, Limits::step("'api', units => 61")),
             ContainsSubstring("61 units are more than limit") && ContainsSubstring("burst => 61"));
  run_workflow(world.alice, "'select 60 as n' |=> 'q' ~> " + Limits::step("'api', '$q.n'"));
  CHECK(world.alice.number("select trunc(available) from df.limits") < 60);
  // A limit within the SQL door.
  completes(world.alice, world.alice.text("select df.start(df.limit('select 1', 'api', 0))"));
  CHECK_THAT(world.alice.text("select df.set_limit('api', null)"), ContainsSubstring("removed"));
  CHECK(world.alice.number("select count(*) from df.limits") == 0);
}

TEST_CASE("a role neither sees nor spends the limits of another") {
  Limits world;
  world.add_role("bob");
  Sql bob = world.session("bob");
  world.start_daemon();
  world.alice.exec("select df.set_limit('api', 1, '1 hour')");
  CHECK(bob.number("select count(*) from df.limits") == 0);
  CHECK_THAT(run_failing(bob, "df.limit('select 1', 'api')"), ContainsSubstring("role bob has no limit"));
  bob.exec("select df.set_limit('api', 1, '1 hour')");
  run_workflow(bob, "df.limit('select 1', 'api')");
  CHECK(world.alice.number("select available from df.limits") == 1);
  bob.expects_error("42501", "update df._limits set owner = 'alice'::regrole");
  bob.expects_error("42501", "delete from df._limits");
  bob.expects_error("42501", "begin; lock table df._limits in exclusive mode");
  bob.exec("rollback");
  CHECK(world.owner().number("select count(*) from df.limits") == 2);
}

TEST_CASE("a 429 with Retry-After holds back everybody who shares the limit") {
  Limits world;
  world.http.route("/busy", [](const TestCall&) {
    return TestAnswer{.status = 429, .body = "later", .headers = {{"Retry-After", "3600"}}};
  });
  world.start_calling_daemon();
  world.alice.exec("select df.set_limit('api', 100, '1 second')");
  const std::string busy = submit(world.alice, "df.limit(" + call(world, "/busy") + ", 'api')");
  wait_until("it waits for the limit", [&] { return world.waiting() == 1; });
  CHECK(world.alice.number("select available from df.limits") == 0);
  const std::string other = submit(world.alice, Limits::step());
  wait_until("the other waits too", [&] { return world.waiting() == 2; });
  CHECK(world.effects() == 0);
  CHECK(world.alice.text("select wake_at > now() + interval '50 minutes' from df.instances where id = $1",
                         other) == "t");
}

TEST_CASE("limits that could not be kept are refused") {
  Limits world;
  for (const char* bad : {"'', 1", "'a b', 1", "'a', 0", "'a', -1", "'a', 'NaN'", "'a', 1, '0 s'",
                          "'a', 1, '1 s', 0", "'a', 1, '100 years', 1000"}) {
    INFO(bad);
    CHECK_THAT(world.alice.expects_error("22023", "select df.set_limit(" + std::string(bad) + ")"),
               ContainsSubstring("df.set_limit: "));
  }
  // What was taken comes back at the new rate.
  world.alice.exec("select df.set_limit('api', 1, '1 hour', 10)");
  world.alice.exec("select df._take_units('api', '6')");
  world.alice.exec("select df.set_limit('api', 2, '1 hour', 10)");
  CHECK(world.alice.number("select round(available) from df.limits") == 4);
}
