// Sequences, results of each kind of node, and which names are seen where.

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::no_rows;
using test::one;

namespace {

std::string end_of(const std::string& workflow) {
  return EngineDriver(workflow)
      .on("yes", one("true"))
      .on("no", one("false"))
      .on("none", no_rows())
      .finish()
      .status();
}
std::string completed(const std::string& statement) {
  return "completed " + one('"' + statement + '"');
}

}  // namespace

TEST_CASE("a sequence runs one step after the other and ends with the last one's result", "[L2.2]") {
  EngineDriver run("'one' ~> 'two' ~> 'three'");
  run.start();
  CHECK(run.take_log() == "run 00000001 one\n");
  run.complete(run.running("one").address, one("1"));
  CHECK(run.take_log() == "run 00000002 two\n");
  run.complete(run.running("two").address, one("2"));
  run.complete(run.running("three").address, one("3"));
  CHECK(run.take_log() == "run 00000003 three\nInstanceCompleted {\"result_seq\":4}\n");
  CHECK(run.status() == "completed " + one("3"));
}

TEST_CASE("each kind of node has the result that the language gives it", "[L2.3][L3.7][L3.10][L4.1]") {
  CHECK(end_of("df.if('yes', 'then', 'else')") == completed("then"));
  CHECK(end_of("df.if('no', 'then', 'else')") == completed("else"));
  CHECK(end_of("df.if('no', 'then')") == "completed null");
  CHECK(end_of("'x' |=> 'q' ~> df.if_rows('q', 'then', 'else')") == completed("then"));
  CHECK(end_of("'none' |=> 'q' ~> df.if_rows('q', 'then', 'else')") == completed("else"));
  CHECK(end_of("'none' |=> 'q' ~> df.if_rows('q', 'then')") == "completed null");
  CHECK(end_of("'a' & 'b'") == "completed [" + one("\"a\"") + ',' + one("\"b\"") + ']');
  CHECK(end_of("'a' | 'b'") == completed("a"));
  CHECK(end_of("df.any('a', 'b')") == completed("a"));
  CHECK(end_of("df.loop('body', 'no')") == completed("body"));
  CHECK(end_of("df.loop('body' ~> df.break('{\"a\": 1}'))") == "completed {\"a\": 1}");
  CHECK(end_of("df.loop('body' ~> df.break('done'))") == "completed \"done\"");
  CHECK(end_of("df.loop('body' ~> df.break())") == "completed null");
  CHECK(end_of("df.sleep(2)") == "completed {\"slept\":true,\"seconds\":2}");
  CHECK(end_of("df.sleep(0.5)") == "completed {\"slept\":true,\"seconds\":0.5}");
  CHECK(end_of("df.wait_for_schedule('@hourly')") == "completed {\"scheduled\":true}");
  CHECK(end_of("df.wait_for_signal('s', 3)") ==
        "completed {\"signal_name\":\"s\",\"timed_out\":true,\"data\":null}");
  CHECK(end_of("df.retry('a', 3)") == completed("a"));
  CHECK(end_of("df.timeout('a', 3)") == completed("a"));
  CHECK(end_of("df.catch('a', 'b')") == completed("a"));
}

TEST_CASE("any step or combinator can be named, and later steps see it", "[L4.5]") {
  CHECK(end_of("'a' |=> 'x' ~> 'use $x'") == completed("use 'a'"));
  CHECK(end_of("('a' ~> 'b') |=> 'x' ~> 'use $x'") == completed("use 'b'"));
  CHECK(end_of("'a' |=> 'x' ~> 'b' |=> 'x' ~> 'use $x'") == completed("use 'b'"));
  CHECK(end_of("df.sleep(3) |=> 'x' ~> 'use $x.seconds'") == completed("use 3"));
  CHECK(end_of("'a' |=> 'x' ~> 'b' |=> 'X' ~> 'use $x, $X'") == completed("use 'a', 'b'"));
  CHECK(end_of("'a' |=> 'y' |=> 'x' ~> 'use $x'") == completed("use 'a'"));
  CHECK_THAT(end_of("'a' |=> 'y' |=> 'x' ~> 'use $y'"), ContainsSubstring("failed reference"));
  CHECK(end_of("df.if('yes' |=> 'c', 'use $c') ~> 'again $c'") == completed("again 'true'"));
  CHECK(end_of("df.loop('b', 'no' |=> 'c') |=> 'l' ~> 'use $l, $c'") == completed("use 'b', 'false'"));
}

TEST_CASE("a reference to what no path has bound fails its step before it runs", "[L5.7]") {
  EngineDriver run("'a $missing'");
  run.start();
  CHECK(run.running().empty());
  CHECK_THAT(run.status(), ContainsSubstring("failed reference") && ContainsSubstring("missing"));
}

TEST_CASE("branches see the names from before, not each other's, and merge, later ones winning", "[L4.6]") {
  CHECK(end_of("'a' |=> 'x' ~> df.join(df.as('b $x', 'y'), df.as('c $x', 'z')) ~> 'use $x, $y, $z'") ==
        completed("use 'a', 'b ''a''', 'c ''a'''"));
  CHECK(end_of("df.join(df.as('b', 'x'), df.as('c', 'x')) ~> 'use $x'") == completed("use 'c'"));
  CHECK_THAT(end_of("df.join(df.as('b', 'x'), df.sleep(1) ~> 'c $x')"),
             ContainsSubstring("failed reference"));
  SECTION("a later branch that leaves a name alone does not undo what an earlier one bound to it") {
    CHECK(end_of("'a' |=> 'x' ~> df.join(df.as('b', 'x'), 'c') ~> 'use $x'") == completed("use 'b'"));
  }
  SECTION("which one ended first does not matter") {
    EngineDriver run("df.join(df.as('b', 'x'), df.as('c', 'x')) ~> 'use $x'");
    run.start();
    run.complete(run.running("c").address, one("1"));
    run.complete(run.running("b").address, one("2"));
    CHECK(run.running().front().statement == "use '1'");
  }
}

TEST_CASE("a race and an any hand on the names of the branch that won, and no others", "[L4.6]") {
  for (const std::string kind : {"race", "any"}) {
    EngineDriver run("'a' |=> 'x' ~> df." + kind +
                     "(df.as('b', 'x') ~> 'never', df.as('c', 'y')) ~> 'use $x, $y'");
    run.start();
    run.complete(run.running("a").address, one("0"));
    run.complete(run.running("b").address, one("1"));
    run.complete(run.running("c").address, one("2"));
    CHECK(run.running().front().statement == "use '0', '2'");
  }
}

TEST_CASE("a loop that is the root begins each iteration with no names", "[L4.6]") {
  EngineDriver run("df.loop(df.if_rows('x', 'never', 'first') |=> 'x', 'yes')");
  run.on("yes", one("true")).finish(6);
  CHECK_THAT(run.status(), ContainsSubstring("undefined_name"));
}

TEST_CASE("a nested loop keeps its names from one iteration to the next and hands them on", "[L4.6]") {
  EngineDriver run("'zero' |=> 'n' ~> df.loop('next $n' |=> 'n', 'more') ~> 'last $n'");
  run.on("zero", one("0", "integer")).on("next 0", one("1", "integer")).on("next 1", one("2", "integer"));
  run.start();
  run.complete(run.running("zero").address, one("0", "integer"));
  run.complete(run.running("next 0").address, one("1", "integer"));
  run.complete(run.running("more").address, one("true"));
  CHECK_THAT(run.take_log(), ContainsSubstring("\"names\":{\"n\":" + one("1", "integer") + "}"));
  run.complete(run.running("next 1").address, one("2", "integer"));
  run.complete(run.running("more").address, no_rows());
  CHECK(run.running().front().statement == "last 2");
}

TEST_CASE("variables are replaced first, everywhere", "[L5.1][L5.9]") {
  EngineDriver run("'a {who}' ~> df.sleep('{long}')", {}, {{"who", "me"}, {"long", "1 day 02:00:00"}});
  run.start();
  CHECK(run.running().front().statement == "a me");
  run.complete(run.running().front().address, one("1"));
  CHECK_THAT(run.take_log(), ContainsSubstring("\"seconds\":93600,"));
}
