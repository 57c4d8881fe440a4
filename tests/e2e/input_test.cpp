// The input of an instance, through both doors, the command line and a rerun.
#include "tests/e2e/cli_fixture.hpp"
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

struct Input : World {
  Sql alice = session();
  Input() { start_daemon(); }
  std::string value(const std::string& id) {
    completes(alice, id);
    return alice.text("select df.result($1) -> 'rows' -> 0 ->> 'v'", id);
  }
};

}  // namespace

TEST_CASE("an input comes in by each door, and is typed in the workflow", "[smoke]") {
  Input world;
  const std::string sum = "'select $input.a + 1 as v'";
  CHECK(world.value(world.alice.text(
            "insert into df.submit (dsl, input) values ($1, '{\"a\": 41}') returning id", sum)) == "42");
  CHECK(world.value(submit(world.alice, "df.start(" + sum + ", input => '{\"a\": 7}')")) == "8");
  for (const char* input :
       {"'{\"a\": 1}'", "'{\"a\": 1}'::json", "jsonb_build_object('a', 1)", "'{\"a\": 1}'::text"})
    CHECK(world.value(world.alice.text("select df.start(" + sum + ", input => " + input + ")")) == "2");
  // The column goes before what the text says.
  CHECK(world.value(
            world.alice.text("insert into df.submit (dsl, input) values ($1, '{\"a\": 41}') returning id",
                             "df.start(" + sum + ", input => '{\"a\": 7}')")) == "42");
}

TEST_CASE("a rerun, and an instance that another daemon takes over, have the input still") {
  Input world;
  const std::string id = world.alice.text("insert into df.submit (dsl) values ($1) returning id",
                                          "df.start(df.wait_for_signal('go') ~> 'select $input.a as v', "
                                          "start_at => 'now', input => '{\"a\": 7}')");
  await_put_down(world.alice, id);
  world.daemon().kill9();
  world.start_daemon();
  world.alice.exec("select df.signal($1, 'go')", id);
  CHECK(world.value(id) == "7");
  CHECK(world.value(world.alice.text("select df.rerun($1, '00000002')", id)) == "7");
}

TEST_CASE("without an input the step that reads it fails, and explain tells before", "[smoke]") {
  Input world;
  const std::string id = submit(world.alice, "'select $input.customer_id'");
  CHECK_THAT(fails(world.alice, id),
             ContainsSubstring("this workflow reads $input.customer_id; the instance has no input"));
  CHECK(world.alice.text("select df.error($1) ->> 'code'", id) == "no_input");
  CHECK_THAT(
      world.alice.text("select df.explain($1)", "'select $input.b, $input.a?, ''$input.c''' ~> 'select 1'"),
      ContainsSubstring("\n\nInput: b, c, a?"));
  CHECK_THAT(world.alice.text("select df.explain('select 1')"), !ContainsSubstring("Input:"));
  CHECK_THAT(world.alice.expects_error("22023", "select df.start('select 1', input => 'x')"),
             ContainsSubstring("df.start: input must be a JSON object, not x"));
}

TEST_CASE("the command line gives an input, shows it, and says what a workflow reads", "[S4.4]") {
  CliFixture fixture;
  const std::string flow = "'select $input.order, $input.note?'";
  const std::string id = fixture.submit({"-e", flow, "--input", R"({"order": 17})"});
  CHECK(fixture.sql().text("select input from df.instances where id = $1", id) == R"({"order": 17})");
  CHECK_THAT(fixture.run({"show", id}).out, ContainsSubstring("Input:    {\"order\": 17}"));
  CHECK(fixture.run({"show", id, "--json"}).json().at("input").at("order") == 17);
  const TemporaryDirectory directory("input");
  const std::string file = directory.path() / "input.json";
  write_file(file, "\n{\"order\": 18}");
  const std::string from_file = fixture.submit({"-e", flow, "-i", file});
  CHECK(fixture.sql().text("select input ->> 'order' from df.instances where id = $1", from_file) == "18");
  for (const char* bad : {"[1]", "{\"a\": }", "/nonexistent/input.json"}) {
    const CliOutcome refused = fixture.run({"submit", "-e", flow, "--input", bad});
    CHECK(refused.code != 0);
    CHECK_THAT(refused.err, ContainsSubstring(bad[0] == '/' ? bad : "--input: "));
  }
  CHECK_THAT(fixture.run({"submit", "-e", flow}).err, ContainsSubstring("reads its input (order, note?)"));
  CHECK_THAT(fixture.run({"submit", "-e", flow, "-i", "{\"note\": 1}"}).err,
             ContainsSubstring("reads $input.order, and the input has no such field"));
  CHECK_THAT(cli({"check", "-e", flow}).out, ContainsSubstring("Input: order, note?"));
  const auto checked = cli({"check", "--json", "-e", flow}).json();
  CHECK(checked.at("input").at("fields").at("order") == "needed");
  CHECK(checked.at("input").at("fields").at("note") == "optional");
}
