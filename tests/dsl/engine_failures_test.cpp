// Failures: what retries them, what catches them, what cancels.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;

namespace {

// How often 'a' is tried when it always fails with `code`, and the seconds it took.
std::pair<int, double> attempts(const std::string& workflow, const std::string& code, bool transient) {
  EngineDriver run(workflow);
  const dsl::Time began = run.now();
  run.on_failure("a", code, transient).finish(20'000);
  int count = 0;
  for (const dsl::Event& event : run.history()) count += event.kind == dsl::EventKind::kStepFailed ? 1 : 0;
  CHECK(run.status() == "failed " + code + " it failed");
  return {count, std::chrono::duration<double>(run.now() - began).count()};
}

}  // namespace

TEST_CASE("transient failures are tried again without being asked, others are not", "[L3.14][L6.9]") {
  CHECK(attempts("'a'", "40001", true) == std::pair(5, 1.0 + 2 + 4 + 8));
  CHECK(attempts("'a'", "22012", false) == std::pair(1, 0.0));
}

TEST_CASE("df.retry sets attempts and delays for a step or a subtree", "[L3.14]") {
  CHECK(attempts("df.retry('a', 3)", "22012", false) == std::pair(3, 1.0 + 2));
  CHECK(attempts("df.retry('b' ~> df.if('b', 'a'), 3, 10, 1)", "22012", false) == std::pair(3, 20.0));
  CHECK(attempts("df.retry('a', 5, 10, 10, 25)", "22012", false) == std::pair(5, 10.0 + 25 + 25 + 25));
  CHECK(attempts("df.retry('a', 1)", "40001", true) == std::pair(1, 0.0));
  SECTION("the nearest one counts") {
    CHECK(attempts("df.retry(df.retry('a', 2, 1), 7)", "22012", false) == std::pair(2, 1.0));
  }
  SECTION("without a delay, however many times") {
    CHECK(attempts("df.retry('a', 2000, 0)", "22012", false) == std::pair(2000, 0.0));
  }
}

TEST_CASE("the codes of a retry are SQLSTATEs, classes and HTTP codes; others fall to the standing policy",
          "[L3.14]") {
  CHECK(attempts("df.retry('a', 3, on => '22012')", "22012", false).first == 3);
  CHECK(attempts("df.retry('a', 3, on => '22')", "22012", false).first == 3);
  CHECK(attempts("df.retry('a', 3, on => '40001 503')", "http_503", true).first == 3);
  CHECK(attempts("df.retry('a', 3, on => '23')", "22012", false).first == 1);
  CHECK(attempts("df.retry('a', 3, on => '23')", "40001", true).first == 5);
}

TEST_CASE("a delay never gets longer than its maximum, whatever the jitter", "[L3.14]") {
  EngineDriver run("df.retry('a', 9, 100, 2, 100)");
  run.start();
  const auto failure = dsl::make_failure("22012", "m", 0, 1);
  auto open = failure;
  open.final = false;
  CHECK(run.engine().retry_at(run.running("a").address, open, run.now(), 0.99) ==
        run.now() + std::chrono::seconds(100));
  CHECK(run.engine().retry_at(run.running("a").address, open, run.now(), 0) ==
        run.now() + std::chrono::seconds(75));
  CHECK_FALSE(run.engine().retry_at(run.running("a").address, failure, run.now(), 0));  // final
}

TEST_CASE("only the step that failed runs again, with the next attempt", "[L6.10]") {
  EngineDriver run("df.retry('a' ~> 'b', 3)");
  run.on_failure("b", "22012", false, 1).finish();
  const std::string log = run.take_log();
  CHECK_THAT(log, ContainsSubstring("run 00000003 b\nrun 00000003 #2 b\n"));
  CHECK(log.find("run 00000002 a\n") == log.rfind("run 00000002 a\n"));
}

TEST_CASE("df.fail fails where it stands, with its message and its code") {
  CHECK(EngineDriver("df.fail('no stock')").finish().status() == "failed P0001 no stock");
  CHECK(EngineDriver("'a' |=> 'x' ~> df.fail('no $x', 'out_of_stock') ~> 'b'").finish().status() ==
        "failed out_of_stock no a");
  CHECK(EngineDriver("df.retry(df.fail('never mind', '22012'), 5)").finish().status() ==
        "failed 22012 never mind");
  CHECK_THAT(EngineDriver("df.fail('$x is {y}')", {}, {{"y", "z"}}).finish().status(),
             ContainsSubstring("failed P0001 $x is z"));
  EngineDriver caught("df.catch(df.fail('m', '22012'), 'h $error.message $error.sqlstate $error.node')");
  caught.finish();
  CHECK_THAT(caught.take_log(), ContainsSubstring("run 00000002 h 'm' ('22012') ('00000001')"));
  EngineDriver race("df.race('a', df.fail('at once'))");
  CHECK(race.finish().status() == "failed P0001 at once");
  CHECK_THAT(race.take_log(), ContainsSubstring("stop 00000001"));
}

TEST_CASE("an any that fails reports the failure that came last and lists those of all branches", "[L3.12]") {
  EngineDriver run(
      "df.catch(df.any('a', df.any('b', 'c'), 'd'), 'h $error.code $error.failures $error.node')");
  run.on_failure("b", "22001").on_failure("c", "22002").on_failure("d", "22003");
  run.start();
  for (const char* step : {"d", "b", "c", "a"})
    run.fail(run.running(step).address, std::string("2200") + step);
  const std::string log = run.take_log();
  INFO(log);
  CHECK_THAT(log, ContainsSubstring("h '2200a'"));
  const std::string list = R"([{"code":"2200a","message":"it failed","node":"00000002"},)"
                           R"({"code":"2200c","message":"it failed","node":"00000005"},)"
                           R"({"code":"2200d","message":"it failed","node":"00000006"}])";
  CHECK_THAT(log, ContainsSubstring(list));
}

TEST_CASE("a break in an any is a success of its branch, and ends the loop around it", "[L3.12][L6.14]") {
  EngineDriver run("@> df.any('a', df.break('7'))");
  run.on_failure("a", "22012");
  CHECK(run.finish().status() == "completed 7");
}

TEST_CASE("a catch runs its handler with the error, and nobody later sees it", "[L3.16]") {
  EngineDriver run(
      "df.catch('a', 'h $error.message, $error.sqlstate, $error.node, $error.attempts') ~> 'z "
      "$error.message'");
  run.on_failure("a", "22012").finish();
  CHECK_THAT(run.take_log(), ContainsSubstring("run 00000003 h 'it failed', '22012', '00000002', 1"));
  CHECK_THAT(run.status(), ContainsSubstring("failed reference"));
}

TEST_CASE("every field of $error is bound, null where the failure lacks it", "[L3.16][L6.11]") {
  EngineDriver run(
      "df.catch('a', 'h $error.detail?, $error.hint?, $error.sqlstate?, $error.node' ~> 'i $error.detail')");
  run.on_failure("a", "http_503").finish();
  CHECK_THAT(run.take_log(), ContainsSubstring("run 00000003 h NULL, NULL, NULL, '00000001'"));
  CHECK_THAT(run.status(),
             ContainsSubstring("failed reference") && ContainsSubstring("$error.detail is NULL"));
}

TEST_CASE("an inner catch gives the outer one's error back") {
  EngineDriver run(
      "df.catch('a', df.catch('b', 'inner $error.sqlstate') ~> 'outer $error.sqlstate') ~> 'done'");
  run.on_failure("a", "22012").on_failure("b", "23505").finish();
  const std::string log = run.take_log();
  CHECK_THAT(log, ContainsSubstring("inner '23505'"));
  CHECK_THAT(log, ContainsSubstring("outer '22012'"));
}

TEST_CASE("a handler's names are handed on, those of the step that failed are not") {
  EngineDriver run("df.catch(df.as('x', 'x') ~> 'a', df.as('h', 'y')) ~> df.if_rows('x', 'never')");
  run.on_failure("a", "22012").finish();
  CHECK_THAT(run.status(), ContainsSubstring("undefined_name"));
}

TEST_CASE("a handler that fails fails the catch with its own error") {
  EngineDriver run("df.catch('a', 'b')");
  run.on_failure("a", "22012").on_failure("b", "23505").finish();
  CHECK(run.status() == "failed 23505 it failed");
}

TEST_CASE("a break is not a failure: a catch lets it through", "[L6.14]") {
  CHECK(EngineDriver("df.loop(df.catch(df.break('1'), 'never'))").finish().status() == "completed 1");
}

TEST_CASE("a cancel stops all that runs, waits or is delayed") {
  EngineDriver run("df.join('a', df.sleep(5), df.wait_for_signal('s'), df.http('u'), df.retry('b', 3))");
  run.start();
  run.fail(run.running("b").address, "22012");
  run.take_log();
  run.cancel();
  CHECK(run.take_log() == "stop 00000001\nstop 00000004\n");
  CHECK_FALSE(run.engine().next_timer());
  CHECK_FALSE(run.engine().waiter("s"));
  CHECK(run.engine().is_finished());
}
