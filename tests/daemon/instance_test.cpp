// One instance as a machine: what happens to it, and what it asks for.
#include "tests/daemon/instance_driver.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {

using daemon::Leaving;
using daemon::Slot;
using State = daemon::Step::State;
using Commit = store::CommitOutcome::Kind;
using Problem = store::TurnProblem::Kind;

TEST_CASE("a step's commit carries the instance's beginning and its end") {
  InstanceDriver run;
  CHECK(run.claimed("'a'") == "run 1 a");
  CHECK(run.executed(1) == "commit 1 InstanceStarted InstanceCompleted completed");
  CHECK(run.instance.slot() == Slot::kStep);
  CHECK(run.instance.leaving() == Leaving::kEnded);
  CHECK(run.committed(1) == "finish 1; gone: completed");
}

TEST_CASE("the next step begins once the turn that decided it is committed") {
  InstanceDriver run;
  run.claimed("'a' ~> 'b'");
  CHECK(run.executed(1) == "commit 1 InstanceStarted");
  CHECK(run.committed(1) == "finish 1; run 2 b");
  CHECK(run.executed(2) == "commit 2 InstanceCompleted completed");
}

TEST_CASE("a step that follows another alone is sent behind its commit") {
  InstanceDriver run(true);
  run.claimed("'a' ~> 'b' ~> df.join('c', 'd')");
  CHECK(run.executed(1) == "commit 1 InstanceStarted, then 2 b");
  CHECK(run.committed(1) == "finish 1");
  CHECK(run.executed(2) == "commit 2");  // two follow
  CHECK(run.committed(2) == "finish 2; run 3 c; run 4 d");
  run.executed(3);
  CHECK(run.executed(4) == "commit 4");  // beside the slot
}

TEST_CASE("nothing is sent behind a commit while the instance is paused or the daemon stops") {
  InstanceDriver paused(true), stopped(true);
  paused.claimed("'a' ~> 'b'");
  paused.attention("pause");
  CHECK(paused.executed(1) == "commit 1 InstanceStarted paused");
  stopped.claimed("'a' ~> 'b'");
  stopped.drain(false);
  CHECK(stopped.executed(1) == "poll; commit 1 InstanceStarted waiting");
}

TEST_CASE("a step behind a commit that is refused is given up with what was folded") {
  const auto kind = GENERATE(Commit::kRefused, Commit::kInDoubt, Commit::kLeaseLost, Commit::kBusy);
  InstanceDriver run(true);
  run.claimed("'a' ~> 'b'");
  run.executed(1);
  CHECK(run.committed(1, kind) == "finish 1; abandon 2; reclaim");
  CHECK(run.instance.slot() == Slot::kReclaim);
}

TEST_CASE("a refused commit reads the instance again, and its step has failed") {
  InstanceDriver run;
  run.claimed("'a'");
  run.executed(1);
  CHECK(run.committed(1, Commit::kRefused) == "finish 1; reclaim");
  CHECK(run.reclaimed(row_of("'a'", 2)) == "turn InstanceStarted StepFailed InstanceFailed failed");
}

TEST_CASE("a commit in doubt reads the instance again, and nothing is assumed of it") {
  InstanceDriver run;
  run.claimed("'a'");
  run.executed(1);
  run.committed(1, Commit::kInDoubt);
  CHECK(run.reclaimed(row_of("'a'", 2)) == "run 2 a");
  run.executed(2);
  run.committed(2, Commit::kInDoubt);
  CHECK(run.reclaimed(std::nullopt) == "log; gone");
}

TEST_CASE("branches commit beside the slot, and are folded when it is free") {
  InstanceDriver run;
  run.claimed("df.join('a', 'b', 'c') ~> 'd'");
  CHECK(run.executed(1) == "commit 1 InstanceStarted");
  CHECK(run.executed(2) == "");  // InstanceStarted is not committed yet
  CHECK(run.committed(1) == "finish 1; commit 2");
  CHECK(run.executed(3) == "commit 3");
  CHECK(run.committed(3) == "finish 3");
  CHECK(run.committed(2) == "finish 2; run 4 d");
}

TEST_CASE("in a race the second step waits for the slot, and finds that nobody wants it") {
  InstanceDriver run;
  run.claimed("df.race('a', 'b') ~> 'c'");
  CHECK(run.executed(1) == "commit 1 InstanceStarted");
  CHECK(run.executed(2) == "");
  CHECK(run.committed(1) == "finish 1; run 3 c; finish 2");
}

TEST_CASE("a loser that still runs is stopped, and its answer waits for nobody") {
  InstanceDriver run;
  run.claimed("df.race('a', 'b') ~> 'c'");
  run.executed(1);
  CHECK(run.committed(1) == "finish 1; stop 2; run 3 c");
  CHECK(run.executed(2, step_failure("57014")) == "finish 2");
}

TEST_CASE("a failure goes into a turn without a step") {
  InstanceDriver run;
  run.claimed("df.catch('a', 'b')");
  CHECK(run.executed(1, step_failure("22012")) == "finish 1; turn InstanceStarted StepFailed");
  CHECK(run.instance.slot() == Slot::kTurn);
  CHECK(run.turn_done() == "run 2 b");
}

TEST_CASE("a turn whose row is locked is sent again after a pause") {
  InstanceDriver run;
  run.claimed("df.catch('a', 'b')");
  run.executed(1, step_failure("22012"));
  CHECK(run.turn_done(Problem::kBusy) == "");
  CHECK(run.due(std::chrono::milliseconds(10)) == "");
  CHECK(run.due(std::chrono::milliseconds(40)) == "turn InstanceStarted StepFailed");
  CHECK(run.turn_done() == "run 2 b");
}

TEST_CASE("a turn of an older token is not answered for") {
  InstanceDriver run;
  run.claimed("df.catch('a', 'b')");
  run.executed(1, step_failure("22012"));
  CHECK(run.turn_done({}, 7) == "");
  CHECK(run.turn_done(Problem::kLost) == "reclaim");
  CHECK(run.turn_done() == "");  // it is being read
}

TEST_CASE("a turn that the database refuses fails the instance, and then lets it go") {
  InstanceDriver run;
  run.claimed("df.catch('a', 'b')");
  run.executed(1, step_failure("22012"));
  CHECK(run.turn_done(Problem::kRefused) == "log; reclaim");
  CHECK(run.reclaimed(row_of("'a'", 2)) == "turn InstanceFailed failed");
  CHECK(run.turn_done(Problem::kRefused, 2) == "log; gone");
}

TEST_CASE("a paused instance keeps its slot's turn, and is put down after it") {
  InstanceDriver run;
  run.claimed("'a' ~> 'b'");
  run.executed(1);
  CHECK(run.attention("pause") == "");
  CHECK(run.committed(1) == "finish 1; run 2 b");  // decided before
  CHECK(run.executed(2) == "commit 2 paused");
  CHECK(run.instance.leaving() == Leaving::kPutDown);
  CHECK(run.committed(2) == "finish 2; gone");
}

TEST_CASE("what only waits is put down until its time") {
  InstanceDriver run;
  CHECK(run.claimed("df.sleep(60)") == "poll; turn InstanceStarted TimerStarted waiting");
  CHECK(run.turn_done() == "gone");
}

TEST_CASE("a timer that is near is waited for") {
  InstanceDriver run;
  CHECK(run.claimed("df.sleep(0.05) ~> 'a'") == "turn InstanceStarted TimerStarted");
  CHECK(run.turn_done() == "");
  CHECK(run.instance.next_due() == run.now + std::chrono::milliseconds(50));
  CHECK(run.due(std::chrono::milliseconds(50)) == "turn TimerFired");
  CHECK(run.turn_done() == "run 1 a");
}

TEST_CASE("a signal whose data is long is fetched, and no timer fires before it is there") {
  InstanceDriver run;
  store::ClaimedInstance row = row_of("df.join(df.wait_for_signal('go', 0.05), 'a')");
  run.claimed(row);
  CHECK(run.turn_done() == "run 1 a");
  CHECK(run.attention("", {{7, "go", std::nullopt, run.now}}) == "fetch 7");
  CHECK(run.due(std::chrono::seconds(1)) == "turn StepStarted");
  run.turn_done();
  run.instance.signal_fetched(7, "1", run.now);
  CHECK(effects_of(run.instance) == "turn SignalReceived");
}

TEST_CASE("a step that refuses a transaction is recorded, and runs again alone") {
  InstanceDriver run;
  run.claimed("'a'");
  store::StepOutcome outcome = step_failure("25001");
  outcome.needs_to_run_alone = true;
  CHECK(run.executed(1, outcome) == "finish 1; turn InstanceStarted StepStarted");
  CHECK(run.turn_done() == "run 1 a");
  CHECK(run.executed(1) == "finish 1; turn StepCompleted InstanceCompleted completed");
}

TEST_CASE("a step of another database commits there before its event is recorded") {
  InstanceDriver run;
  store::ClaimedInstance row = row_of("'a'");
  row.database = "there";
  run.claimed(row);
  CHECK(run.executed(1) == "commit there 1");
  CHECK(run.instance.slot() == Slot::kForeignStep);
  CHECK(run.committed(1) == "finish 1; turn InstanceStarted StepCompleted InstanceCompleted completed");
}

TEST_CASE("a step that lasts is recorded as running once") {
  InstanceDriver run;
  run.claimed("'a'");
  CHECK(run.due(std::chrono::milliseconds(500)) == "turn InstanceStarted StepStarted");
  CHECK(run.turn_done() == "");
  CHECK(run.due(std::chrono::seconds(9)) == "");
}

TEST_CASE("a stopping daemon takes back what waits for a connection") {
  InstanceDriver run;
  run.claimed("'a'");
  CHECK(run.drain(true) == "stop 1");
  CHECK(run.executed(1, step_failure("57014")) == "finish 1; poll; turn InstanceStarted waiting");
  CHECK(run.turn_done() == "gone");
}

TEST_CASE("an exception fails the instance; a second one leaves it be") {
  InstanceDriver run;
  run.claimed("df.join('a', 'b')");
  CHECK(run.broke() == "abandon 1; abandon 2; reclaim");
  CHECK(run.reclaimed(row_of("'a'", 2)) == "turn InstanceFailed failed");
  CHECK(run.broke() == "");
  CHECK(run.instance.leaving() == Leaving::kParked);
}

TEST_CASE("a history that does not fit parks the instance") {
  InstanceDriver run;
  store::ClaimedInstance row = row_of("'a'");
  row.history = {{1, run.now, dsl::EventKind::kStepCompleted, {0, ""}, 1, "{}"}};
  CHECK(run.claimed(row) == "log; turn paused");
  CHECK(run.turn_done() == "gone");
}

TEST_CASE("what the text asks of its row puts the instance back") {
  InstanceDriver run;
  CHECK(run.claimed("df.start('a', idempotency_key => 'k')") == "turn");
  CHECK(run.instance.leaving() == Leaving::kPutBack);
  CHECK(run.turn_done() == "poll; gone");
}

TEST_CASE("the moves of the slot and of a step are those of the tables") {
  int slots = 0, steps = 0;
  for (int from = 0; from <= static_cast<int>(Slot::kReclaim); ++from) {
    for (int to = 0; to <= static_cast<int>(Slot::kReclaim); ++to)
      slots += daemon::may_become(static_cast<Slot>(from), static_cast<Slot>(to));
  }
  for (int from = 0; from <= static_cast<int>(State::kMarking); ++from) {
    for (int to = 0; to <= static_cast<int>(State::kMarking); ++to)
      steps += daemon::Step::may_become(static_cast<State>(from), static_cast<State>(to));
  }
  CHECK(slots == 11);
  CHECK(steps == 12);
  CHECK_FALSE(daemon::may_become(Slot::kStep, Slot::kTurn));
  CHECK_FALSE(daemon::may_become(Slot::kReclaim, Slot::kFree));
  CHECK_FALSE(daemon::Step::may_become(State::kStopped, State::kExecuted));
}

TEST_CASE("signals that nobody has taken count as what an instance holds") {
  InstanceDriver run;
  run.shared.options.policy.instance_bytes = 1 << 20;
  run.claimed("'a' ~> df.wait_for_signal('s')");
  const auto signal = [](std::int64_t id) {
    store::Signal made;
    made.id = id;
    made.name = "other";
    made.data = '"' + std::string(400'000, 'x') + '"';
    return made;
  };
  CHECK(run.attention("", {signal(1), signal(2)}) == "");
  CHECK(run.attention("", {signal(3)}) == "turn InstanceStarted InstanceFailed failed");
}

}  // namespace durabled::test
