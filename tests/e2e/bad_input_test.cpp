// Whatever a client sends: a clear error on the instance or from the insert, the daemon stays up, and others
// do not notice. A canary runs after each.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

struct Canary : World {
  Sql alice = session();
  DaemonProcess* serving;
  Canary() : serving(&start_daemon({{"worker.poll_interval", "200ms"}})) {}

  void sings() {
    REQUIRE(serving->running());
    CHECK_THAT(run_workflow(alice, "'select 1 as sings'"), ContainsSubstring("sings"));
  }
};

std::string repeated(const std::string& text, int times) {
  std::string all;
  all.reserve(text.size() * static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("a text that is no workflow fails its instance with a message that says why", "[L1.7]") {
  Canary world;
  std::vector<std::pair<std::string, std::string>> texts = {
      {"'select 1", "not closed"},
      {"nosuch(1)", "nosuch"},
      {"df.nosuch(1)", "nosuch"},
      {"df.sleep('soon'", ""},
      {"df.sleep(true)", ""},
      {"'select 1' ~>", ""},
      {"", ""},
      {"   -- nothing\n", ""},
      {"'select 1; select 2'", "one statement"},
      {"$x$ select 1", "not closed"},
      {repeated("(", 1'000'000), ""},
      {repeated("(", 500'000) + repeated(")", 500'000), ""},
      {repeated("@> ", 300'000) + "'select 1'", ""},
      {"'select 1'" + repeated(" ~> 'select 1'", 10'001), ""},
      {"\"", ""},
      {"{\"node_type\":\"NOPE\"}", "NOPE"},
      {"{\"node_type\":\"SQL\"}", ""},
      {"{\"node_type\":\"THEN\",\"left_node\":7}", ""},
      {"{\"node_type\":\"IF\",\"query\":\"{\\\"condition_node\\\":{}}\"}", ""},
      {"{\"node_type\":\"JOIN\",\"extra_nodes\":[1,null]}", ""},
      {repeated("{\"node_type\":\"LOOP\",\"left_node\":", 300) + "null" + repeated("}", 300), ""},
      {repeated("[", 100'000), ""}};
  std::vector<std::string> ids;
  for (const auto& [text, expected] : texts) {
    const std::string id = submit(world.alice, text);
    INFO(text.substr(0, 60));
    const std::string error = fails(world.alice, id);
    CHECK_THAT(error, ContainsSubstring("\"message\"") && ContainsSubstring(expected));
    world.sings();
  }
}

TEST_CASE("the limits of the configuration hold, each with an error that says which", "[L6.17]") {
  World world;
  Sql alice = world.session();
  world.start_daemon({{"limits.depth", "3"}, {"limits.nodes", "5"}, {"limits.dsl_bytes", "200"}});
  run_workflow(alice, "'select 1' ~> ('select 2' & 'select 3')");
  CHECK_THAT(run_failing(alice, "df.timeout(df.timeout(df.timeout('select 1', 5), 5), 5)"),
             ContainsSubstring("maximum nesting depth of 3"));
  CHECK_THAT(run_failing(alice, "'select 1' & 'select 2' & 'select 3' & 'select 4' & 'select 5'"),
             ContainsSubstring("more than 5 nodes"));
  CHECK_THAT(run_failing(alice, "'select 1" + repeated(" ", 200) + "'"),
             ContainsSubstring("at most 200 are allowed"));
  for (const char* graph :
       {"select df.start(df.timeout(df.timeout(df.timeout('select 1', 5), 5), 5))",
        "select df.start('select 1' & 'select 2' & 'select 3' & 'select 4' & 'select 5')"}) {
    fails(alice, alice.text(graph));  // the daemon trusts no graph, either
  }
}

TEST_CASE("bytes that are no text are refused by the insert") {
  Canary world;
  CHECK_THROWS_AS(submit(world.alice, "'select 1' \xff\xfe"), SqlError);
  CHECK_THROWS_AS(submit(world.alice, "'select 1'", "\xc3("), SqlError);
  world.sings();
}

TEST_CASE("times, priorities and keys at their limits disturb nobody", "[S1.3]") {
  Canary world;
  for (const char* start_at : {"294276-01-01", "2999-01-01"}) {
    world.alice.exec("insert into df.submit (dsl, start_at) values ($1, $2::timestamptz)", "'select 1'",
                     start_at);
    world.sings();
  }
  for (const char* start_at : {"4713-01-01 BC", "1970-01-01"}) {
    completes(
        world.alice,
        world.alice.text("insert into df.submit (dsl, start_at) values ($1, $2::timestamptz) returning id",
                         "'select 1'", start_at));
  }
  for (const int priority : {-32768, 32767, 0}) {
    completes(world.alice,
              world.alice.text("insert into df.submit (dsl, priority) values ($1, $2) returning id",
                               "'select 1'", priority));
  }
  CHECK_THROWS_AS(world.alice.exec("insert into df.submit (dsl, priority) values ('''select 1''', 32768)"),
                  SqlError);
  for (const char* never : {"infinity", "-infinity"}) {
    CHECK_THROWS_WITH(
        world.alice.exec("insert into df.submit (dsl, start_at) values ('''select 1''', $1::timestamptz)",
                         never),
        ContainsSubstring("finite"));
  }
  const std::string first = world.alice.text(
      "insert into df.submit (dsl, idempotency_key) values ('''select 1''', $1) returning id", "k'\"\n;--");
  CHECK(world.alice.text(
            "insert into df.submit (dsl, idempotency_key) values ('''select 2''', $1) returning id",
            "k'\"\n;--") == first);
  world.sings();
}

TEST_CASE("a row is written by the inbox alone, with whatever its columns take, and run or refused") {
  Canary world;
  const std::string id = world.alice.text(
      "insert into df.submit (dsl, start_at, vars, database, priority) values ($1, null, null, null, null) "
      "returning id",
      "'select 1'");
  completes(world.alice, id);
  CHECK_THROWS_AS(world.alice.exec("insert into df.instances (dsl) values ('x')"), SqlError);
  CHECK_THROWS_AS(world.alice.exec("insert into df.instances (dsl, status) values ('x', 'running')"),
                  SqlError);
  CHECK_THROWS_AS(world.alice.exec("insert into df.instances (dsl, submitted_by) values ('x', 'postgres')"),
                  SqlError);
  CHECK_THROWS_AS(world.alice.exec("insert into df.submit (dsl, database) values ('x', 'no such')"),
                  SqlError);
  CHECK_THROWS_AS(world.alice.exec("insert into df.submit (label) values ('x')"), SqlError);
  CHECK_THAT(
      world.alice.expects_error("3D000", "insert into df.submit (dsl, database) values ('x', 'template0')"),
      ContainsSubstring("does not accept connections"));
  world.sings();
}

TEST_CASE("labels and variables are data, whatever they hold", "[S3.6]") {
  Canary world;
  for (const std::string& label :
       {std::string("it's"), std::string("\"; drop table df.instances; --"), std::string("line\nbreak\ttab"),
        std::string("é €  \U0001F600"), std::string(1000, 'x'), std::string("{sys_label} $x %s \\")}) {
    const std::string id = submit(world.alice, "$$select current_setting('df.label') as l$$", label);
    completes(world.alice, id);
    CHECK(world.alice.text("select df.result($1) -> 'rows' -> 0 ->> 'l'", id) == label);
  }
  CHECK_THROWS_AS(submit(world.alice, "'select 1'", std::string(1001, 'x')), SqlError);
  for (const char* vars :
       {R"({"a": null, "b": [1, {"c": "\"'"}], "": "", "x y": 1e300, "sys_label": "mine"})",
        R"({"a": {"a": {"a": "{a}"}}, "b": true})"}) {
    completes(world.alice,
              world.alice.text("insert into df.submit (dsl, vars) values ($1, $2::jsonb) returning id",
                               "$q$select $v${a} {b} {nope}$v$ as v$q$", vars));
  }
  CHECK_THROWS_AS(world.alice.exec("insert into df.submit (dsl, vars) values ('''select 1''', '[]')"),
                  SqlError);
  world.sings();
}

TEST_CASE("results of any shape are kept, deep and odd JSON included") {
  Canary world;
  CHECK_THAT(run_workflow(world.alice, "'select ''\"\\u0000\"''::json as j' ~> 'select 1 as done'"),
             ContainsSubstring("done"));
  run_workflow(world.alice,
               "('select (repeat(''['', 3000) || repeat('']'', 3000))::json as j' |=> 'deep')"
               " ~> df.if('select $deep.j', 'select 1', 'select 2')");
  run_workflow(world.alice,
               "'select ''NaN''::float8 as a, ''infinity''::timestamptz as b, ''-infinity''::date as c,"
               " ''NaN''::numeric as d, array[[1,2],[3,4]] as e, row(1, ''x'') as f, null as g'");
  run_workflow(world.alice, "'select'");
  world.sings();
}
