// Loops: iterations, their pace, what is folded and pruned.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::no_rows;
using test::one;

namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("a loop runs its body, then its condition, and has no floor when it has a condition", "[L3.8]") {
  EngineDriver run("df.loop('body', 'more')");
  run.start();
  run.complete(run.running("body").address, one("1"));
  run.complete(run.running("more").address, one("true"));
  CHECK(run.take_log() ==
        "run 00000001@0 body\nrun 00000002@0 more\n"
        "IterationCompleted 00000000 {\"iteration\":1,\"names\":{}}\nrun 00000001@1 body\n");
  run.complete(run.running("body").address, one("2"));
  run.complete(run.running("more").address, no_rows());
  CHECK(run.status() == "completed " + one("2"));
}

TEST_CASE("iterations of an endless loop start at least one interval apart", "[L3.9]") {
  EngineDriver run("@> 'body'");
  run.start();
  const dsl::Time began = run.now();
  for (int i = 1; i <= 3; ++i) {
    run.take_log();
    run.complete(run.running("body").address, one("1"));
    REQUIRE(run.running().empty());
    run.fire();
    CHECK(run.now() == began + std::chrono::seconds(i));
    CHECK(count_of(run.take_log(), "IterationCompleted") == 1);
  }
}

TEST_CASE("the interval between iterations of an endless loop is the policy's", "[L3.9]") {
  dsl::Policy policy;
  policy.loop_min_interval = std::chrono::seconds(5);
  EngineDriver run("@> 'body'", policy);
  run.start();
  const dsl::Time began = run.now();
  run.complete(run.running("body").address, one("1"));
  run.fire();
  CHECK(run.now() == began + std::chrono::seconds(5));
}

TEST_CASE("a body that takes longer than the interval is not held up", "[L3.9]") {
  EngineDriver run("@> df.sleep(5)");
  run.start();
  run.fire();
  CHECK_THAT(run.take_log(), ContainsSubstring("IterationCompleted"));
}

TEST_CASE("an engine that wakes for the pace of a loop begins one iteration, not two") {
  EngineDriver run("@> 'body'");
  run.keep_checkpoints();
  run.start();
  run.complete(run.running("body").address, one("1"));
  run.fire();
  run.complete(run.running("body").address, one("1"));
  run.fire();
  for (const auto& checkpoint : run.checkpoints()) CHECK(run.replay(checkpoint) == checkpoint.expected);
}

TEST_CASE("a loop without a condition that waits for nothing is paced all the same", "[L3.9]") {
  EngineDriver run("'q' |=> 'q' ~> @> df.if_rows('q', 'never')");
  run.on("q", no_rows()).finish(20);
  CHECK_FALSE(run.ran_away());
  CHECK(run.now() >
        dsl::Time(std::chrono::sys_days(std::chrono::year(2026) / 3 / 1)) + std::chrono::seconds(10));
}

TEST_CASE("a loop whose condition waits for nothing does not spin either") {
  EngineDriver run(
      "'q' |=> 'q' ~> df.loop(df.if_rows('q', 'never'), df.join(df.if_rows('q', 'x'), df.if_rows('q', "
      "'y')))");
  const dsl::Time began = run.now();
  run.on("q", no_rows()).finish(20);
  CHECK_FALSE(run.ran_away());
  CHECK(run.now() > began + std::chrono::seconds(10));
}

TEST_CASE("a loop of sleeps that take no time does not spin either") {
  EngineDriver run("df.loop(df.sleep(0), df.sleep(0))");
  const dsl::Time began = run.now();
  run.finish(40);
  CHECK(run.now() > began + std::chrono::seconds(10));
}

TEST_CASE("iterations behind the kept ones are pruned", "[L3.8]") {
  dsl::Policy policy;
  policy.keep_iterations = 3;
  SECTION("of a plain loop") {
    EngineDriver run("'a' ~> df.loop('b' ~> 'c', 'yes')", policy);
    run.on("yes", one("true")).finish(10'000);
    CHECK(run.longest_history() < 30);
    CHECK(run.status() == "going on");
  }
  SECTION("of a loop in a loop, whose events belong to both") {
    EngineDriver run("df.loop(df.loop('b', 'inner'), 'yes')", policy);
    run.on("yes", one("true")).on("inner", one("true")).finish(10'000);
    CHECK(run.longest_history() < 30);
  }
  SECTION("of loops side by side") {
    EngineDriver run("df.join(df.loop('a', 'yes'), df.loop('b', 'yes'))", policy);
    run.on("yes", one("true")).finish(10'000);
    CHECK(run.longest_history() < 50);
  }
  SECTION("in for_each, each row's on its own") {
    EngineDriver run("df.for_each('rows', df.loop('a $item.v', 'yes'), 2)", policy);
    run.on("rows", test::rows({"1", "2"})).on("yes", one("true")).finish(10'000);
    CHECK(run.longest_history() < 50);
  }
}

TEST_CASE("as many iterations are kept after a restart as without one") {
  dsl::Policy policy;
  policy.keep_iterations = 4;
  EngineDriver run("'x' ~> df.loop(df.loop('a', 'inner') ~> 'b', 'outer')", policy);
  run.keep_checkpoints();
  run.on("inner", one("true")).on("outer", one("true"));
  run.start();
  run.complete(run.running("x").address, one("1"));
  for (int outer = 0; outer < 8; ++outer) {
    for (int inner = 0; inner < 7; ++inner) {
      run.complete(run.running("a").address, one("1"));
      run.complete(run.running("inner").address, inner == 6 ? no_rows() : one("true"));
    }
    run.complete(run.running("b").address, one("1"));
    run.complete(run.running("outer").address, one("true"));
  }
  for (const auto& checkpoint : run.checkpoints()) REQUIRE(run.replay(checkpoint) == checkpoint.expected);
}

TEST_CASE("a hundred thousand iterations need no more memory than a few", "[L3.8]") {
  EngineDriver run("df.loop('a', 'yes')");
  run.on("yes", one("true")).finish(200'000);
  CHECK(run.status() == "going on");
  CHECK(run.longest_history() < 60);
  CHECK_THAT(run.history().back().data, ContainsSubstring("\"iteration\":100000,"));
}
