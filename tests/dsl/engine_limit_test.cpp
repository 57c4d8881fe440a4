// df.limit: units are taken before a step begins, and before it is tried again.
#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;

namespace {

const dsl::Address kLimit{0, ""};

std::string units(const std::string& start_at) {
  return "{\"rows\":[{\"start_at\":" + start_at +
         "}],\"row_count\":1,\"columns\":[{\"name\":\"start_at\",\"type\":\"text\"}],"
         "\"affected\":1}";
}
const std::string kNow = units("null");
const std::string kLater = units("\"2026-03-01T00:01:00.000000Z\"");

}  // namespace

TEST_CASE("a limited step runs once its units are there") {
  EngineDriver run("df.limit('a', 'api', 3) ~> 'b'");
  run.start();
  CHECK(run.take_log() == "run 00000001 select df._take_units('api', '3') as start_at\n");
  run.complete({1, ""}, kNow);
  CHECK(run.take_log() == "run 00000002 a\n");
  run.finish();
  CHECK_THAT(run.status(), ContainsSubstring("completed"));
}

TEST_CASE("taking units may last so long that its start is recorded") {
  EngineDriver run("df.limit('a', 'api')");
  run.start();
  run.take_log();
  run.feed(dsl::EventKind::kStepStarted, kLimit, "{}", 1);
  run.complete(kLimit, kNow);
  CHECK(run.take_log() == "run 00000001 a\n");
}

TEST_CASE("units that are not there are waited for by a timer") {
  EngineDriver run("df.limit('a', 'api')");
  run.start();
  run.take_log();
  run.complete(kLimit, kLater);
  CHECK(run.take_log() ==
        "TimerStarted 00000000 "
        "{\"kind\":\"limit\",\"name\":\"api\",\"fire_at\":\"2026-03-01T00:01:00.000000Z\"}\n");
  CHECK(run.running().empty());
  run.fire();
  CHECK(run.take_log() == "run 00000001 a\n");
}

TEST_CASE("a step that waits for units and is not wanted any more never begins") {
  EngineDriver run("df.race(df.limit('a', 'api'), df.sleep(5))");
  run.start();
  run.complete({1, ""}, kLater);
  run.take_log();
  run.finish();
  CHECK_THAT(run.take_log(), !ContainsSubstring("run 00000002"));
  CHECK_THAT(run.status(), ContainsSubstring("slept"));
  EngineDriver cancelled("df.limit('a', 'api')");
  cancelled.start();
  cancelled.complete(kLimit, kLater);
  cancelled.cancel();
  CHECK(cancelled.status() == "cancelled");
  CHECK(!cancelled.engine().next_timer());
}

TEST_CASE("each further attempt takes units again, of every limit around the step") {
  EngineDriver run("df.limit(df.retry(df.limit('a', 'tokens', 9), 3), 'requests')");
  run.start();
  run.complete({0, ""}, kNow);
  run.complete({2, ""}, kNow);
  run.take_log();
  run.fail(run.running("a").address, "40001", true);
  CHECK_THAT(run.take_log(), ContainsSubstring("") && !ContainsSubstring("_take_units"));
  run.fire();  // the pause before the next attempt is over
  CHECK(run.take_log() == "run 00000000 select df._take_units('requests', '1') as start_at\n");
  run.complete({0, ""}, kNow);
  CHECK(run.take_log() == "run 00000002 select df._take_units('tokens', '9') as start_at\n");
  run.complete({2, ""}, kNow);
  CHECK(run.take_log() == "run 00000003 #2 a\n");
}

TEST_CASE("a server's 429 is told to the limits at once, and the call waits with everybody else") {
  EngineDriver run("df.limit(df.http('http://h'), 'api')");
  run.start();
  run.complete(kLimit, kNow);
  run.take_log();
  run.fail({1, ""}, "http_429", true);
  CHECK(run.take_log() ==
        "run 00000000 select df._take_units('api', '1', '2026-03-01T00:00:01.000000Z') as start_at\n");
  run.complete(kLimit, kLater);
  run.fire();
  CHECK_THAT(run.take_log(), ContainsSubstring("http 00000001 #2"));
}

TEST_CASE("units may come from a result, and what is no number fails the step") {
  EngineDriver run("'q' |=> 'q' ~> df.limit('a', 'api', '$q.v')");
  run.start();
  run.complete(run.running("q").address, test::one("2.50", "integer"));
  CHECK_THAT(run.take_log(), ContainsSubstring("_take_units('api', '2.5')"));
  for (const char* bad : {"\"x'); drop table t; --\"", "-1", "\"NaN\"", "\"\""}) {
    INFO(bad);
    CHECK_THAT(
        EngineDriver("'q' |=> 'q' ~> df.limit('a', 'api', '$q.v')").on("q", test::one(bad)).finish().status(),
        ContainsSubstring("failed 22023 df.limit: units must be a number"));
  }
}

TEST_CASE("a limit that fails fails its step, and a replay agrees with what happened") {
  EngineDriver run("df.catch(df.for_each('rows', df.limit('a $item.v', 'api'), 2), 'handler')");
  run.keep_checkpoints();
  run.on("rows", test::rows({"1", "2", "3"}))
      .on_failure("select df._take_units('api', '1') as start_at", "42704", false, 1)
      .finish();
  CHECK_THAT(run.status(), ContainsSubstring("handler"));
  for (const EngineDriver::Checkpoint& checkpoint : run.checkpoints())
    CHECK(run.replay(checkpoint) == checkpoint.expected);
}
