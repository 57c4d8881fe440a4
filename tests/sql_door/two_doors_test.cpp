// Two doors, one meaning: what Postgres builds from an expression is what the parser builds from its text,
// and df.explain draws the tree that the parser's graph draws.
#include <chrono>

#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/text/printer.hpp"
#include "tests/sql_door/blocks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/graph_generator.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled;
using namespace durabled::test;

namespace {

// What df.start would be given for the expression; throws SqlError.
std::string built_by_postgres(Sql& sql, const std::string& expression) {
  return sql.text("select df._node(" + expression + "\n)");
}

// The plan in df.explain's text, without the warnings under it.
std::string plan_of(const std::string& explained) {
  return explained.substr(0, explained.find("\n\nWarning: ")) + "\n";
}

std::string elapsed_text(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

}  // namespace

TEST_CASE("both doors build the same graph from every expression of the list, and explain it alike",
          "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  int count = 0;
  for (const std::string& expression : read_blocks("expressions.txt")) {
    INFO(expression);
    const auto parsed = dsl::parse_workflow(expression, {});
    REQUIRE(parsed);
    const std::string json = built_by_postgres(sql, expression);
    const auto graph = dsl::from_json(json, {});
    INFO(json);
    REQUIRE(graph);
    CHECK(*graph == parsed->graph);
    CHECK(plan_of(sql.text("select df.explain($1)", json)) == dsl::print_tree(parsed->graph));
    ++count;
  }
  CHECK(count >= 250);
}

TEST_CASE("both doors build the same graph from generated expressions, and explain it alike", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const dsl::Graph graph = random_graph(seed);
    const std::string expression = dsl::print(graph);
    INFO("seed " << seed << ": " << expression);
    const std::string json = built_by_postgres(sql, expression);
    const auto built = dsl::from_json(json, {});
    REQUIRE(built);
    CHECK(*built == graph);
    CHECK(sql.exec("select df._check($1)", json).size() == 1);
    CHECK(plan_of(sql.text("select df.explain($1)", json)) == dsl::print_tree(graph));
  }
}

TEST_CASE("both doors refuse what is no workflow", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  int count = 0;
  for (const std::string& expression : read_blocks("bad_expressions.txt")) {
    INFO(expression);
    CHECK_FALSE(dsl::parse_workflow(expression, {}));
    CHECK_THROWS_AS(sql.exec("select df._check(df._node(" + expression + "\n))"), SqlError);
    ++count;
  }
  CHECK(count >= 60);
}

TEST_CASE("long chains and wide joins are composed in less than a second", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  std::string sequence = "'SELECT 1'", join = "'SELECT 1'";
  for (int i = 1; i < 1'000; ++i) sequence += " ~> 'SELECT " + std::to_string(i) + "'";
  for (int i = 1; i < 100; ++i) join += " & 'SELECT " + std::to_string(i) + "'";
  for (const auto& [expression, nodes] : {std::pair(sequence, 1'001), std::pair(join, 101)}) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string json = built_by_postgres(sql, expression);
    const auto took = std::chrono::steady_clock::now() - begin;
    INFO(nodes << " nodes took " << elapsed_text(took));
    CHECK(took < std::chrono::seconds(1));
    const auto graph = dsl::from_json(json, {});
    REQUIRE(graph);
    CHECK(graph->nodes.size() == static_cast<std::size_t>(nodes));
  }
}

TEST_CASE("df.explain warns of the traps that it can see in a graph", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK_THAT(sql.text("select df.explain(@> 'SELECT 1' ~> 'SELECT 2')"),
             ContainsSubstring("Warning: this step is never reached: the loop before it repeats for ever"));
  CHECK_THAT(sql.text("select df.explain('A' |=> 'a' & 'B' |=> 'b')"),
             ContainsSubstring("Warning: the name 'b' is bound to the whole join, not to its last branch"));
  CHECK_THAT(sql.text("select df.explain('SELECT $nobody')"),
             ContainsSubstring("Warning: $nobody is referenced, but nothing before binds that name"));
  CHECK(sql.text("select df.explain('SELECT 1 AS a' |=> 'a' ~> $$SELECT $a, '$b', \"$c\" -- $d$$)")
            .find("Warning") == std::string::npos);
}

TEST_CASE("df.explain says what is wrong with a graph, as text", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::pair<const char*, const char*> cases[] = {
      {"''", "root: a SQL step is exactly one statement; this one is empty"},
      {"'{\"node_type\":\"X\"}'", "root: Unknown node_type 'X'"},
      {"'{\"node_type\":\"IF\"}'", "root: "},
      {"'SELECT 1; SELECT 2'", "root: a SQL step is exactly one statement"},
      {"null", "root: is NULL"}};
  for (const auto& [expression, problem] : cases) {
    INFO(expression);
    CHECK_THAT(sql.text(std::string("select df.explain(") + expression + ")"),
               ContainsSubstring(std::string("Invalid durable function graph: ") + problem));
  }
}
