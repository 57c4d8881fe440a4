// $input: what an instance is given when it is submitted.
#include "dsl/graph/input_reads.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using test::EngineDriver;
using test::one;

namespace {

constexpr const char* kOrder =
    R"({"id": 17, "amount": "12.50", "paid": true, "note": null, "who": {"name": "it's"}, "rows": []})";

EngineDriver given(const std::string& workflow, const std::string& input) {
  return EngineDriver(workflow, {}, {}, input);
}

std::string first_statement(const std::string& statement, const std::string& input = kOrder) {
  EngineDriver run = given("'" + statement + "'", input);
  run.start();
  const std::string log = run.take_log();
  return log.substr(log.find(' ', 4) + 1);
}

}  // namespace

TEST_CASE("a field of the input is a typed value in SQL, and the input itself is jsonb") {
  CHECK(first_statement("select $input.id, $input.amount, $input.paid, $input.note?, $input.none?") ==
        "select 17, '12.50', true, NULL, NULL\n");
  CHECK(first_statement("select $input.who.name, ''by $input.who.name''") == "select 'it''s', 'by it''s'\n");
  CHECK(first_statement("select $input", R"({"a": "b'"})") == "select '{\"a\": \"b''\"}'::jsonb\n");
}

TEST_CASE("an input that looks like the result of a step is still a document") {
  const std::string like =
      R"({"rows": [{"id": 1}], "columns": [{"name": "id", "type": "integer"}], "id": 2})";
  CHECK(first_statement("select $input.id", like) == "select 2\n");
  CHECK(first_statement("select $input.columns.0.name", like) == "select 'id'\n");
  CHECK(given("df.for_each('select 1', 'select 2') ~> df.if_rows('input', 'yes', 'no')", like)
            .on("select 1", test::rows({}))
            .on("no", one("0"))
            .finish()
            .status() == "completed " + one("0"));
}

TEST_CASE("the input keeps its name in every iteration, row and branch") {
  for (const char* workflow :
       {"df.loop('read $input.id', 'no')", "@> ('read $input.id' ~> df.break('$input.id'))",
        "'x' ~> df.loop('read $input.id', 'no')", "'a' & 'read $input.id'",
        "df.catch(df.fail('$input.id'), 'read $input.id')",
        "df.for_each('rows', 'add $input.id, $item.v')"}) {
    INFO(workflow);
    EngineDriver run = given(workflow, kOrder);
    run.on("no", one("false")).on("rows", test::rows({"1"}));
    CHECK_THAT(run.finish().status(), ContainsSubstring("completed"));
  }
}

TEST_CASE("a step that reads the input of an instance without one fails, and says so") {
  const auto status = [](const std::string& workflow) { return EngineDriver(workflow).finish().status(); };
  for (const char* step : {"'select $input.id'", "'select ''$input.id'''", "df.sleep('$input.id')",
                           "df.wait_for_signal('$input.id')", "df.http('http://h/$input.id')",
                           "df.loop(df.break('$input.id'), 'no')", "df.fail('$input.id')",
                           "df.wait_for_schedule('$input.id')"}) {
    INFO(step);
    CHECK(status(step) == "failed no_input this workflow reads $input.id; the instance has no input");
  }
  CHECK_THAT(status("df.catch('select $input', 'select ''$error.code''')"), ContainsSubstring("completed"));
  EngineDriver optional("'select $input.id?, ''${input.note?}'''");
  optional.start();
  CHECK(optional.take_log() == "run 00000000 select NULL, ''\n");
}

TEST_CASE("a name of the workflow's own hides the input, and is warned about") {
  EngineDriver run = given("'one' |=> 'input' ~> 'select $input.v'", kOrder);
  run.on("one", one("5", "integer")).start();
  run.complete(run.running("one").address, one("5", "integer"));
  CHECK_THAT(run.take_log(), ContainsSubstring("select 5"));
  const auto warnings = [](const std::string& text) {
    std::string codes;
    for (const auto& each : test::parse(text).warnings) codes += each.code + " ";
    return codes;
  };
  CHECK(warnings("'one' |=> 'input' ~> 'select $input.v'") == "hidden_input ");
  CHECK(warnings("df.for_each('a', 'select $input.v', name => 'input')") == "hidden_input ");
  CHECK(warnings("'select $input.v, $input'") == "");
}

TEST_CASE("the fields that a workflow reads are known before it runs") {
  const auto reads = [](const std::string& text) { return dsl::input_reads(test::parse(text).graph).text(); };
  CHECK(reads("'select 1'") == "");
  CHECK(reads("'select $input.b, $input.a.x.0' ~> df.http('h/$input.c', body => '{\"d\": $input.d?}')") ==
        "a, b, c, d?");
  CHECK(reads("'select $input.a?' ~> 'select $input.a'") == "a");
  CHECK(reads("'select $input -- $input.comment'") == "all of it");
  CHECK(reads("'select $input.a' ~> ('select 1' |=> 'input') ~> 'select $input.b'") == "a");
}

TEST_CASE("the input counts among what an instance holds") {
  dsl::Policy policy;
  policy.instance_bytes = 100'000;
  const auto exhausted = [&](std::size_t bytes) {
    EngineDriver run("'select 1'", policy, {}, "{\"a\": \"" + std::string(bytes, 'x') + "\"}");
    run.start();
    return run.take_log();
  };
  CHECK(exhausted(10'000) == "run 00000000 select 1\n");
  CHECK(exhausted(100'000) == "");
}
