// What an instance holds in memory is bounded, and work that may take long is not done where events are folded.
#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::one;
using test::rows;

namespace {

dsl::Policy with_budget(std::size_t bytes) {
  dsl::Policy policy;
  policy.instance_bytes = bytes;
  return policy;
}

std::string large(std::size_t bytes) {
  return one('"' + std::string(bytes, 'x') + '"');
}

}  // namespace

TEST_CASE("an instance whose results take more than its budget is exhausted, and decides nothing more") {
  EngineDriver run("'a' |=> 'x' ~> 'b' |=> 'y' ~> df.catch('c', 'd')", with_budget(1 << 20));
  run.start();
  run.complete(run.running("a").address, large(700'000));
  CHECK_FALSE(run.engine().is_exhausted());
  CHECK(run.engine().bytes() > 700'000);
  run.complete(run.running("b").address, large(700'000));
  CHECK(run.engine().is_exhausted());
  CHECK(run.running().empty());
  CHECK(run.status() == "going on");  // the daemon fails it
}

TEST_CASE("results that nothing refers to any more are not charged") {
  EngineDriver run("@> ('a' ~> 'b')", with_budget(1 << 20));
  run.start();
  for (int i = 0; i < 10; ++i) {
    run.complete(run.running("a").address, large(700'000));
    run.complete(run.running("b").address, one("1"));
    run.fire();
    REQUIRE_FALSE(run.engine().is_exhausted());
  }
}

TEST_CASE("values that many rows break with are charged where they are made") {
  EngineDriver run("'a' |=> 'x' ~> df.for_each('rows', df.loop(df.break('$x.v$x.v$x.v')), 1000)",
                   with_budget(4 << 20));
  run.start();
  run.complete(run.running("a").address, large(100'000));
  run.complete(run.running("rows").address, rows(std::vector<std::string>(1'000, "1")));
  CHECK(run.engine().is_exhausted());
  CHECK(run.engine().bytes() < 6 << 20);
}

TEST_CASE("values that are too large for a break are bounded in how many are tried") {
  dsl::Policy policy = with_budget(4 << 20);
  policy.max_result_bytes = 200'000;
  EngineDriver run("'a' |=> 'x' ~> df.for_each('rows', df.loop(df.break('$x.v$x.v$x.v')), 1000)", policy);
  run.start();
  run.complete(run.running("a").address, large(100'000));
  run.complete(run.running("rows").address, rows(std::vector<std::string>(1'000, "1")));
  CHECK(run.engine().is_exhausted());
}

TEST_CASE("rows that are only counted are charged before they are kept") {
  std::string many = R"({"rows":[{})";
  for (int i = 1; i < 1'000'000; ++i) many += ",{}";
  many += R"(],"row_count":1000000,"columns":[],"affected":1000000})";
  EngineDriver run("df.for_each('rows', 'a')", with_budget(32 << 20));
  run.start();
  run.complete(run.running("rows").address, many);
  CHECK(run.engine().is_exhausted());
  CHECK(run.engine().bytes() < 32 << 20);
}

TEST_CASE("a statement whose references may take long is left to the daemon as a template") {
  EngineDriver run("'a' |=> 'x' ~> 'small $x.v' ~> 'b' |=> 'y' ~> 'large $x.v $y.v'");
  run.start();
  run.complete(run.running("a").address, one("1"));
  run.complete(run.running("small '1'").address, one("1"));
  run.complete(run.running("b").address, large(2 << 20));
  REQUIRE(run.running().size() == 1);
  CHECK(run.running().front().statement == "(template)");
}

TEST_CASE("rows that only wait are charged, too") {
  EngineDriver run("df.for_each('rows', df.for_each('inner', df.sleep(100), 1000), 1000)",
                   with_budget(4 << 20));
  run.start();
  run.complete(run.running("rows").address, rows(std::vector<std::string>(100, "1")));
  for (int i = 0; i < 100 && !run.engine().is_exhausted(); ++i)
    run.complete(run.running("inner").address, rows(std::vector<std::string>(100, "1")));
  CHECK(run.engine().is_exhausted());
  CHECK(run.engine().bytes() < 6 << 20);
}
