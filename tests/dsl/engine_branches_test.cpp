// join, race, any: when they end, with what, and what becomes of the others.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::one;

TEST_CASE("a join starts all branches at once and waits for each, even after one has failed",
          "[L3.11][L6.12]") {
  EngineDriver run("df.join('a', 'b', 'c')");
  run.start();
  CHECK(run.take_log() == "run 00000001 a\nrun 00000002 b\nrun 00000003 c\n");
  run.fail(run.running("c").address, "23505");
  run.fail(run.running("b").address, "22012");
  CHECK(run.take_log() == "");
  run.complete(run.running("a").address, one("1"));
  CHECK(run.status() == "failed 22012 it failed");  // the first in order, not in time
}

TEST_CASE("a race ends with the first branch to finish and stops what still runs", "[L3.11]") {
  EngineDriver run("df.race('a', 'b', df.sleep(9))");
  run.start();
  run.take_log();
  SECTION("with success") {
    run.complete(run.running("b").address, one("2"));
    CHECK(run.take_log() == "stop 00000001\nInstanceCompleted {\"result_seq\":3}\n");
    CHECK(run.status() == "completed " + one("2"));
  }
  SECTION("with failure") {
    run.fail(run.running("b").address, "22012");
    CHECK(run.status() == "failed 22012 it failed");
  }
  CHECK_FALSE(run.engine().next_timer());
}

TEST_CASE("a branch that fails before it runs ends a race, and the others are not begun") {
  EngineDriver run("df.race('a $missing', df.sleep(5), df.wait_for_signal('s'), 'b $missing', df.http('u'))");
  run.start();
  CHECK_THAT(run.status(), ContainsSubstring("failed reference"));
  CHECK_FALSE(run.engine().next_timer());
  CHECK_FALSE(run.engine().waiter("s"));
}

TEST_CASE("any ends with the first branch to succeed and fails when all have failed", "[L3.12]") {
  EngineDriver run("df.any('a', 'b')");
  run.start();
  run.fail(run.running("a").address, "22012");
  CHECK(run.status() == "going on");
  SECTION("one succeeds") {
    run.complete(run.running("b").address, one("2"));
    CHECK(run.status() == "completed " + one("2"));
  }
  SECTION("none does") {
    run.fail(run.running("b").address, "23505");
    CHECK(run.status() == "failed 23505 it failed");
  }
}

TEST_CASE("what was abandoned is not wanted any more, and its events do not fit", "[L6.13]") {
  EngineDriver run("df.race('a', 'b') ~> 'c'");
  run.start();
  const dsl::Address loser = run.running("b").address;
  CHECK(run.engine().wants(loser));
  run.complete(run.running("a").address, one("1"));
  CHECK_FALSE(run.engine().wants(loser));
  run.complete(loser, one("2"));
  CHECK_THAT(run.status(), ContainsSubstring("mismatch") && ContainsSubstring("nothing is active"));
}

TEST_CASE("the order of turns matters inside race, any and timeout only") {
  EngineDriver run("'a' ~> df.join('b', df.race('c', 'd' ~> 'e')) ~> df.timeout('f', 1)");
  std::string ordered;
  for (dsl::NodeIndex node = 0; node < run.engine().graph().nodes.size(); ++node) {
    if (run.engine().graph()[node].kind == dsl::NodeKind::kSql && run.engine().is_ordered(node))
      ordered += run.engine().graph()[node].text;
  }
  CHECK(ordered == "cdef");
}

TEST_CASE("a break crosses ifs, sequences, races and joins up to the nearest loop", "[L3.10][L6.14]") {
  SECTION("a join waits for its other branches first") {
    EngineDriver run("df.loop(df.join('a', df.break('7'), 'c')) |=> 'r' ~> 'after $r'");
    run.start();
    run.complete(run.running("a").address, one("1"));
    CHECK(run.take_log() == "run 00000003@0 a\nrun 00000005@0 c\n");
    run.complete(run.running("c").address, one("1"));
    CHECK_THAT(run.take_log(), ContainsSubstring("after '7'"));
  }
  SECTION("a failure in the same join comes before it") {
    EngineDriver run("df.loop(df.join(df.break('7'), 'a'))");
    run.on_failure("a", "22012").finish();
    CHECK(run.status() == "failed 22012 it failed");
  }
  SECTION("a race ends with it") {
    EngineDriver run("df.loop(df.race('a', df.break('7')))");
    run.start();
    CHECK(run.status() == "completed 7");
  }
  SECTION("inner loops keep theirs to themselves") {
    CHECK(EngineDriver("df.loop(df.loop(df.break('1')) ~> df.if('SELECT true', df.break('2')))")
              .on("SELECT true", one("true"))
              .finish()
              .status() == "completed 2");
  }
  SECTION("a condition may break") {
    CHECK(EngineDriver("df.loop('a', df.break('3'))").finish().status() == "completed 3");
  }
  SECTION("names that were bound on the way are handed on") {
    EngineDriver run("'z' ~> df.loop(df.as('a', 'x') ~> df.break()) ~> 'use $x'");
    run.finish();
    CHECK(run.status() == "completed " + one("\"use 'a'\""));
  }
  SECTION("outside any loop it fails the instance") {
    CHECK(EngineDriver("'a' ~> df.break('3')").finish().status() ==
          "failed break_outside_loop df.break() was called outside of a loop");
  }
}
