// What people are shown of each node: a workflow, how it went, and one letter for each node in preorder.
#include "dsl/value/json_slice.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;

namespace {

std::string field(const std::string& states, const char* name) {
  const auto found = dsl::json_member(states, name);
  return found ? std::string(*found) : "";
}

std::string letters(EngineDriver& run) {
  const std::string quoted = field(run.node_states(), "nodes");
  return quoted.substr(1, quoted.size() - 2);
}

// Runs to the end. Statements that begin with "bad" fail, "rows" returns two rows, "no" is false.
std::string letters_at_end(const std::string& workflow) {
  EngineDriver run(workflow);
  for (const char* bad : {"bad", "bad 2"}) run.on_failure(bad, "22012");
  run.on("rows", test::rows({"1", "2"})).on("no", test::one("false", "boolean"));
  run.finish();
  INFO(workflow);
  CHECK(run.is_over());
  return letters(run);
}

}  // namespace

TEST_CASE("each node of an instance that has ended shows how it ended", "[S1.7]") {
  CHECK(letters_at_end("'a' ~> 'b'") == "ccc");
  CHECK(letters_at_end("'a' ~> 'bad' ~> 'c'") == "fcfs");
  CHECK(letters_at_end("df.if('a', 'b', 'c')") == "cccs");
  CHECK(letters_at_end("df.if('no', 'b', 'c' ~> 'd')") == "ccsccc");
  CHECK(letters_at_end("df.if('bad', 'b' ~> 'c', 'd')") == "ffssss");
  CHECK(letters_at_end("'rows' |=> 'r' ~> df.if_rows('r', 'b', 'c')") == "ccccs");
  CHECK(letters_at_end("df.if_rows('nothing', 'b', 'c')") == "fss");
}

TEST_CASE("the winner of a race has completed, and what it stopped had begun and was stopped", "[S1.7]") {
  CHECK(letters_at_end("df.race('a', df.sleep(60))") == "ccl");
  CHECK(letters_at_end("df.race(df.loop('a', 'no'), df.sleep(60) ~> 'b')") == "cccclls");
  CHECK(letters_at_end("df.race(df.for_each('rows', 'a'), df.wait_for_signal('x'))") == "ccccl");
  CHECK(letters_at_end("df.race(df.if('a', 'b', 'c'), df.loop(df.sleep(60)))") == "ccccsll");
  CHECK(letters_at_end("df.any('bad', df.loop('a', 'no'), df.sleep(60))") == "cfcccl");
  CHECK(letters_at_end("df.catch(df.timeout('a' ~> df.sleep(60) ~> 'b', 5), 'c')") == "cftctsc");
}

TEST_CASE("what failed is failed, caught or not", "[S1.7]") {
  CHECK(letters_at_end("df.join('a', 'bad')") == "fcf");
  CHECK(letters_at_end("df.catch(df.join('a', 'bad'), 'h')") == "cfcfc");
  CHECK(letters_at_end("df.for_each('rows', 'bad')") == "fcf");
  CHECK(letters_at_end("df.catch(df.for_each('rows', 'bad'), 'h')") == "cfcfc");
  CHECK(letters_at_end("df.catch(df.join(df.for_each('rows', 'a'), 'bad') ~> 'never', 'h')") == "cffcccfsc");
  CHECK(letters_at_end("df.join(df.loop('a', 'no'), 'bad')") == "fcccf");
  CHECK(letters_at_end("df.catch('a', 'h')") == "ccs");
}

TEST_CASE("a break completes what it leaves, and fails where no loop is around it", "[S1.7]") {
  CHECK(letters_at_end("df.loop('a' ~> df.if('b', df.break('1'), 'c') ~> 'd') ~> 'e'") == "cccccccssc");
  CHECK(letters_at_end("df.loop('a', df.break('3'))") == "ccc");
  CHECK(letters_at_end("df.break('3')") == "f");
  CHECK(letters_at_end("df.loop('a' ~> df.catch('bad', df.break()), 'b')") == "ccccfcs");
  EngineDriver run("df.loop('a' ~> df.break('[1, 2]'))");
  run.finish();
  CHECK(field(run.node_states(), "results") == R"({"00000000":[1, 2]})");
}

TEST_CASE("rows of a for_each are counted, and its body runs, failed or completed for all of them",
          "[S1.7]") {
  EngineDriver run("df.for_each('rows', df.retry('x', 1), max_parallel => 2)");
  run.on("rows", test::rows({"1", "2", "3"}));
  run.start();
  run.complete(run.running().front().address, test::rows({"1", "2", "3"}));
  CHECK(letters(run) == "rcrr");
  run.fail(run.running().front().address, "22012");
  CHECK(letters(run) == "rcrr");
  CHECK(field(run.node_states(), "rows") ==
        R"({"00000000":{"total":3,"done":1,"failed":1,"first_failed":[0]}})");
  run.complete(run.running().front().address, test::one("1"));
  CHECK(letters(run) == "fcff");
  CHECK(run.status().starts_with("failed"));
}

TEST_CASE("a node is pending again in the next iteration of its loop", "[S1.7]") {
  EngineDriver run("df.loop('a' ~> df.wait_for_signal('go') ~> 'b', 'c')");
  run.start();
  CHECK(letters(run) == "rrrppp");
  run.complete(run.running("a").address, test::one("1"));
  CHECK(letters(run) == "rrcrpp");
  CHECK(run.signal("go"));
  run.complete(run.running("b").address, test::one("1"));
  CHECK(letters(run) == "rccccr");
  run.complete(run.running("c").address, test::one("true", "boolean"));
  CHECK(letters(run) == "rrrppp");
}

TEST_CASE("a cancelled instance has stopped what had begun, and a replay shows the same states", "[S1.7]") {
  const auto begin = [](EngineDriver& run) {
    run.start();
    run.complete(run.running("a").address, test::one("1"));
  };
  EngineDriver run("'a' ~> (df.sleep(600) & df.race(df.wait_for_signal('s', 60), 'b')) ~> 'c'");
  begin(run);
  CHECK(letters(run) == "rcrrrrrp");
  CHECK(field(run.node_states(), "waits") == "[3,4]");
  EngineDriver cancelled("'a' ~> (df.sleep(600) & df.race(df.wait_for_signal('s', 60), 'b')) ~> 'c'");
  begin(cancelled);
  cancelled.cancel();
  CHECK(letters(cancelled) == "xcxxxxxs");
}
