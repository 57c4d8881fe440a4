// for_each: rows in order, at most max_parallel at a time, and costs that grow with what there is to do.

#include <ctime>

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::no_rows;
using test::one;
using test::rows;

namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// The least of three, because the machine has other things to do.
template <typename Work>
double cost_of(Work work) {
  double least = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double before = cpu_seconds();
    work();
    least = std::min(least, cpu_seconds() - before);
  }
  return least;
}

template <typename Work>
void check_linear(int size, Work work) {
  const double small = cost_of([&] { work(size); });
  const double large = cost_of([&] { work(4 * size); });
  INFO(small << " s, four times as much: " << large << " s");
  CHECK(large < 8 * small + 0.02);
}

void run_rows(int count) {
  std::vector<std::string> values;
  for (int i = 0; i < count; ++i) values.push_back(std::to_string(i));
  EngineDriver run("df.for_each('rows', 'a $item.v', 100)");
  run.on("rows", rows(values)).finish(count + 1);
  REQUIRE_THAT(run.status(), ContainsSubstring("completed ["));
}

std::string repeat(const std::string& first, const std::string& between, const std::string& last, int count) {
  std::string text = first;
  for (int i = 0; i < count; ++i) text += (i > 0 ? between : "") + "'a'";
  return text + last;
}

}  // namespace

TEST_CASE("each row runs the body with its columns, at most max_parallel at a time, results in row order", "[L3.13]") {
  EngineDriver run("df.for_each('rows', 'a $item.v', 2)");
  run.start();
  run.complete(run.running("rows").address, rows({"1", "2", "3"}));
  CHECK(run.take_log() == "run 00000001 rows\nrun 00000002@0 a '1'\nrun 00000002@1 a '2'\n");
  run.complete(run.running("a '2'").address, one("22"));
  CHECK(run.take_log() == "run 00000002@2 a '3'\n");
  run.complete(run.running("a '3'").address, one("33"));
  run.complete(run.running("a '1'").address, one("11"));
  CHECK(run.status() == "completed [" + one("11") + ',' + one("22") + ',' + one("33") + ']');
}

TEST_CASE("no rows give an empty array, what is no row set an error") {
  CHECK(EngineDriver("df.for_each('rows', 'a')").on("rows", no_rows()).finish().status() == "completed []");
  CHECK_THAT(EngineDriver("df.for_each(df.sleep(1), 'a')").finish().status(),
             ContainsSubstring("failed not_a_row_set"));
}

TEST_CASE("rows see the names from before and of the rows' step; theirs end with them") {
  EngineDriver run(
      "'x' |=> 'x' ~> df.for_each('rows' |=> 'r', df.as('a $x, $r.row_count, $row.v', 'y'), name => 'row') "
      "~> "
      "df.if_rows('y', 'never')");
  run.on("rows", rows({"1"})).finish();
  CHECK_THAT(run.take_log(), ContainsSubstring("a 'x', 1, '1'"));
  CHECK_THAT(run.status(), ContainsSubstring("undefined_name"));
}

TEST_CASE("an inner item hides the outer one only inside") {
  EngineDriver run("df.for_each('o', df.for_each('i', 'in $item.v') ~> 'out $item.v')");
  run.on("o", rows({"1", "2"})).on("i", rows({"8"})).finish();
  const std::string log = run.take_log();
  CHECK_THAT(log, ContainsSubstring("@0.0 in '8'") && ContainsSubstring("@1 out '2'"));
}

TEST_CASE("after a row has failed no more are begun; those that run are waited for") {
  EngineDriver run("df.for_each('rows', 'a $item.v', 2)");
  run.start();
  run.complete(run.running("rows").address, rows({"1", "2", "3"}));
  run.fail(run.running("a '2'").address, "22012");
  CHECK(run.running().size() == 1);
  CHECK(run.status() == "going on");
  run.fail(run.running("a '1'").address, "23505");
  CHECK(run.status() == "failed 23505 it failed");
}

TEST_CASE("an error tells the row and the iteration in which the step ran") {
  EngineDriver run("df.catch(df.for_each('rows', 'a $item.v', 1), 'sorry $error.scope')");
  run.start();
  run.complete(run.running("rows").address, rows({"1", "2"}));
  run.complete(run.running("a '1'").address, one("1"));
  run.fail(run.running("a '2'").address, "22012");
  CHECK_THAT(run.take_log(), ContainsSubstring("sorry '1'"));
}

TEST_CASE("a break in a row leaves the loop around the for_each", "[L5.9]") {
  EngineDriver run("df.loop(df.for_each('rows', df.break('$item.v'), 1))");
  run.on("rows", rows({"5", "6"})).finish();
  CHECK(run.status() == "completed 5");
}

TEST_CASE("the cost of rows, branches, steps and iterations grows as they do") {
  SECTION("a hundred thousand rows") {
    check_linear(25'000, run_rows);
  }
  SECTION("ten thousand branches") {
    check_linear(2'400, [](int count) {
      EngineDriver run(repeat("df.join(", ",", ")", count));
      run.finish(count);
      REQUIRE(run.is_over());
    });
  }
  SECTION("ten thousand steps") {
    check_linear(2'400, [](int count) {
      EngineDriver run(repeat("df.seq(", ",", ")", count));
      run.finish(count);
      REQUIRE(run.is_over());
    });
  }
  SECTION("loops in many rows, replayed") {
    check_linear(400, [](int count) {
      std::vector<std::string> values;
      for (int i = 0; i < count; ++i) values.push_back(std::to_string(i));
      EngineDriver run("df.for_each('rows', df.loop('a', 'yes'), 10000)");
      run.on("rows", rows(values)).on("yes", one("true")).finish(5 * count);
      REQUIRE(dsl::replayable(run.engine().graph(), run.history()).events.size() > 0);
    });
  }
}
