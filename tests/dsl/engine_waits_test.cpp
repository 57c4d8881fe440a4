// Timers, schedules, signals.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::one;

TEST_CASE("a sleep takes seconds, fractions and intervals, also from a reference", "[L3.2][L5.9]") {
  const struct {
    std::string result, seconds;
  } cases[] = {{one("30", "integer"), "30"},
               {one("\"0.25\"", "numeric"), "0.25"},
               {one("\"1 day 02:00:00\"", "interval"), "93600"},
               {one("\"00:00:01.5\"", "interval"), "1.5"},
               {one("0", "integer"), "0"}};
  for (const auto& c : cases) {
    EngineDriver run("'delay' |=> 'x' ~> df.sleep('$x')");
    CAPTURE(c.result);
    run.on("delay", c.result).finish();
    CHECK(run.status() == "completed {\"slept\":true,\"seconds\":" + c.seconds + "}");
  }
}

TEST_CASE("a sleep whose text is not a duration fails with what was found", "[L3.2]") {
  for (const std::string bad : {"\"soon\"", "-1", "1e300", "\"-1 day\"", "\"\"", "\"NaN\""}) {
    EngineDriver run("'delay' |=> 'x' ~> df.sleep('$x')");
    CAPTURE(bad);
    run.on("delay", one(bad)).finish();
    CHECK_THAT(run.status(), ContainsSubstring("failed 22023 df.sleep"));
  }
}

TEST_CASE("timers fire in the order of their times, whatever order they were started in") {
  EngineDriver run("df.join(df.sleep(3) ~> 'three', df.sleep(1) ~> 'one', df.sleep(2) ~> 'two')");
  run.start();
  run.take_log();
  for (int i = 0; i < 3; ++i) run.fire();
  CHECK(run.take_log() == "run 00000006 one\nrun 00000009 two\nrun 00000003 three\n");
}

TEST_CASE("a schedule's next match is computed when the step runs", "[L3.3]") {
  EngineDriver run("df.sleep(5400) ~> df.wait_for_schedule('0 * * * *')");
  run.start();
  run.fire();
  CHECK_THAT(run.take_log(), ContainsSubstring("\"fire_at\":\"2026-03-01T02:00:00.000000Z\""));
  CHECK_THAT(
      EngineDriver("'c' |=> 'c' ~> df.wait_for_schedule('$c')").on("c", one("\"bad\"")).finish().status(),
      ContainsSubstring("failed 22023"));
}

TEST_CASE("a cron expression and a signal's name may come from references and variables", "[L5.9]") {
  EngineDriver run("'n' |=> 'n' ~> df.wait_for_schedule('$n * * * *') ~> df.wait_for_signal('{kind}-$n')", {},
                   {{"kind", "order"}});
  run.start();
  run.complete(run.running("n").address, one("7", "integer"));
  CHECK_THAT(run.take_log(), ContainsSubstring("\"fire_at\":\"2026-03-01T00:07:00.000000Z\""));
  run.fire();
  CHECK_THAT(run.take_log(), ContainsSubstring("SignalAwaited 00000003 {\"name\":\"order-7\""));
  CHECK(run.signal("order-7", "1"));
  CHECK(run.status() == "completed {\"signal_name\":\"order-7\",\"timed_out\":false,\"data\":1}");
}

TEST_CASE("a wait for a signal ends with its data, or without when it times out", "[L3.4]") {
  EngineDriver run("df.wait_for_signal('go', 60) |=> 's' ~> 'use $s.data.n?'");
  run.start();
  CHECK(run.take_log() ==
        "SignalAwaited 00000001 {\"name\":\"go\",\"until\":\"2026-03-01T00:01:00.000000Z\"}\n");
  CHECK_FALSE(run.signal("other"));
  SECTION("it comes") {
    CHECK(run.signal("go", "{\"n\":5}"));
    CHECK(run.running().front().statement == "use 5");
    CHECK_FALSE(run.engine().next_timer());
    CHECK_FALSE(run.engine().waiter("go"));
  }
  SECTION("it does not") {
    run.fire();
    CHECK(run.running().front().statement == "use NULL");
    CHECK_FALSE(run.engine().waiter("go"));
  }
}

TEST_CASE("of several waits for one name the oldest gets the signal", "[L6.15]") {
  EngineDriver run("df.join(df.sleep(1) ~> df.wait_for_signal('go'), df.wait_for_signal('go') ~> 'second')");
  run.start();
  run.fire();
  run.signal("go");
  CHECK(run.running().front().statement == "second");
  run.signal("go");
  CHECK_FALSE(run.engine().waiter("go"));
}

TEST_CASE("a timeout fails its subtree and stops what runs in it", "[L3.15]") {
  EngineDriver run("df.catch(df.timeout(df.join('slow', df.sleep(99)), 0.5), 'handle $error.message')");
  run.start();
  run.take_log();
  run.fire();
  CHECK(run.take_log() == "stop 00000003\nrun 00000005 handle 'timed out after 0.5 s'\n");
  CHECK_FALSE(run.engine().next_timer());
}

TEST_CASE("a subtree that is in time leaves no timer behind") {
  EngineDriver run("df.timeout('quick', 5) ~> 'next'");
  run.start();
  CHECK(run.engine().next_timer());
  run.complete(run.running("quick").address, one("1"));
  CHECK_FALSE(run.engine().next_timer());
}
