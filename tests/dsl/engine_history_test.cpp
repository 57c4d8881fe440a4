// Histories that do not fit: parked with what and where, never guessed at.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using dsl::EventKind;
using test::EngineDriver;
using test::one;

namespace {

struct Fed {
  EventKind kind;
  dsl::Address address;
  std::string data;
};

std::string verdict(const std::string& workflow, const std::vector<Fed>& events, bool started = true) {
  EngineDriver run(workflow);
  if (started) run.start();
  for (const Fed& event : events) run.feed(event.kind, event.address, event.data, 1);
  return run.status();
}

const std::string kError = R"({"error":{"message":"m","code":"22012"}})";
const std::string kTimer = R"({"fire_at":"2026-03-01T00:00:05.000000Z"})";
const std::string kNextIteration = R"({"iteration":1,"names":{}})";

}  // namespace

TEST_CASE("an event at a place where nothing is active does not fit, and the reason says where") {
  const std::string what = verdict("'a' ~> 'b'", {{EventKind::kStepCompleted, {2, ""}, one("1")}});
  CHECK(what ==
        "mismatch: event 2 (StepCompleted of node 00000002) does not fit the workflow: nothing is active "
        "there");
  CHECK_THAT(verdict("'a'", {{EventKind::kStepCompleted, {0, "3"}, one("1")}}),
             ContainsSubstring("in iteration 3"));
  CHECK_THAT(verdict("'a'", {{EventKind::kStepCompleted, {77, ""}, one("1")}}),
             ContainsSubstring("mismatch"));
  CHECK_THAT(verdict("'a'", {{EventKind::kStepCompleted, {0, ""}, one("1")}}, false),
             ContainsSubstring("mismatch"));
  CHECK_THAT(verdict("'a'", {{EventKind::kInstanceStarted, {}, "{}"}}),
             ContainsSubstring("has started already"));
}

TEST_CASE("an event of the instance itself that has a node does not fit") {
  for (const dsl::Address& address : {dsl::Address{0, ""}, dsl::Address{dsl::kNoNode, "0"}}) {
    CHECK_THAT(verdict("'a'", {{EventKind::kInstanceStarted, address, "{}"}}, false),
               ContainsSubstring("the instance's own events have no node"));
    CHECK_THAT(verdict("'a'", {{EventKind::kInstanceCancelled, address, kError}}),
               ContainsSubstring("the instance's own events have no node"));
  }
}

TEST_CASE("an event of a kind that its node does not know does not fit") {
  const struct {
    std::string workflow;
    Fed event;
  } cases[] = {
      {"df.sleep(1)", {EventKind::kStepCompleted, {0, ""}, one("1")}},
      {"'a'", {EventKind::kTimerStarted, {0, ""}, kTimer}},
      {"'a'", {EventKind::kTimerFired, {0, ""}, ""}},
      {"'a'", {EventKind::kSignalAwaited, {0, ""}, R"({"name":"s"})"}},
      {"'a'", {EventKind::kSignalReceived, {0, ""}, "{}"}},
      {"'a'", {EventKind::kIterationCompleted, {0, ""}, kNextIteration}},
      {"'a' ~> 'b'", {EventKind::kTimerStarted, {0, ""}, kTimer}},
      {"'a' ~> 'b'", {EventKind::kStepStarted, {0, ""}, ""}},
      {"df.sleep(1)", {EventKind::kTimerStarted, {0, ""}, kTimer}},  // the second one
      {"df.sleep(1)", {EventKind::kStepFailed, {0, ""}, kError}},
      {"df.loop('a', 'b')", {EventKind::kTimerStarted, {0, ""}, kTimer}},
      {"df.timeout('a', 5)", {EventKind::kTimerStarted, {0, ""}, kTimer}},
      {"df.wait_for_signal('s')", {EventKind::kTimerFired, {0, ""}, ""}},
      {"'a'", {EventKind::kInstanceCompleted, {}, "{}"}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.workflow, std::string(to_string(c.event.kind)));
    CHECK_THAT(verdict(c.workflow, {c.event}), ContainsSubstring("mismatch: event "));
  }
}

TEST_CASE("an event whose data is not what its kind needs does not fit") {
  for (const std::string bad :
       {"", "[]", "{}", "{\"error\":1}", "{\"fire_at\":\"tomorrow\"}", "{\"names\":{}}", "{\"iteration\":1}",
        "{\"iteration\":1,\"names\":[1]}", "{\"iteration\":0,\"names\":{}}",
        "{\"iteration\":-1,\"names\":{}}", "\"x\""}) {
    CAPTURE(bad);
    CHECK_THAT(verdict("'a'", {{EventKind::kStepFailed, {0, ""}, bad}}), ContainsSubstring("mismatch"));
    CHECK_THAT(verdict("df.loop('a', 'b')", {{EventKind::kIterationCompleted, {0, ""}, bad}}),
               ContainsSubstring("mismatch"));
    CHECK_THAT(verdict("@> df.if_rows('a', 'b')", {{EventKind::kTimerStarted, {0, ""}, bad}}),
               ContainsSubstring("mismatch") || ContainsSubstring("undefined_name"));
  }
  CHECK_THAT(verdict("'a'", {{EventKind::kStepCompleted, {0, ""}, ""}}), ContainsSubstring("mismatch"));
}

TEST_CASE("nothing comes after the end") {
  for (const auto kind :
       {EventKind::kStepCompleted, EventKind::kInstanceCompleted, EventKind::kInstanceCancelled}) {
    EngineDriver run("'a'");
    run.finish();
    run.feed(kind, kind == EventKind::kStepCompleted ? dsl::Address{0, ""} : dsl::Address{}, one("1"));
    CHECK_THAT(run.status(), ContainsSubstring("mismatch"));
  }
}

TEST_CASE("an instance that has ended before it started does not start") {
  CHECK_THAT(
      verdict("'a'", {{EventKind::kInstanceFailed, {}, kError}, {EventKind::kInstanceStarted, {}, "{}"}},
              false),
      ContainsSubstring("the instance has ended already"));
}

TEST_CASE("a history with nodes and scopes that the graph does not have can be sorted for a replay") {
  const EngineDriver run("df.loop(df.loop('a', 'b'), 'c')");
  std::vector<dsl::Event> history;
  std::int64_t seq = 0;
  for (const dsl::NodeIndex node : {0U, 1U, 2U, 9U, dsl::kNoNode}) {
    for (const std::string scope : {"", "0", "0.0", "1.2.3.4", "..", "x"}) {
      for (const auto kind : {EventKind::kStepCompleted, EventKind::kIterationCompleted})
        history.push_back({++seq, {}, kind, {node, scope}, 0, "{}"});
    }
  }
  const dsl::Replay replay = dsl::replayable(run.engine().graph(), history);
  std::size_t count = replay.events.size();
  for (const auto& [loop, iterations] : replay.superfluous) {
    for (const auto& seqs : iterations) count += seqs.size();
  }
  CHECK(count == history.size());
}

TEST_CASE("a history may say that the instance was parked, and goes on where it was") {
  EngineDriver run("'a' ~> 'b'");
  run.start();
  run.complete(run.running("a").address, test::one("1"));
  run.feed(EventKind::kInstanceParked, {}, R"({"error":{"message":"m","code":"daemon_died"}})");
  run.complete(run.running("b").address, test::one("2"));
  CHECK(run.status().starts_with("completed"));
}
