// Two doors, one meaning: what Postgres builds from an expression is what the parser builds from its text,
// and df.explain draws the tree that the parser's graph draws.
#include <chrono>

#include "dsl/graph/check.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/text/printer.hpp"
#include "tests/sql_door/blocks.hpp"
#include "tests/sql_door/parser_warnings.hpp"
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

// The warnings in df.explain's text, and those of the parser's checks where there is no text.
std::string warnings_of(const std::string& explained) {
  const std::size_t at = explained.find("\n\nWarning: ");
  return at == std::string::npos ? "" : explained.substr(at + 2) + "\n";
}
std::string warnings_of(const dsl::Graph& graph) {
  std::string text;
  for (const dsl::Diagnostic& warning : dsl::check_graph(graph).warnings) {
    if (is_of_the_parser(warning)) continue;
    text += "Warning: " + warning.message + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("both doors build the same graph from every expression of the list, and explain it alike",
          "[smoke][L1.8][L2.2][L2.6][L3.17][S2.2][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  int count = 0;
  for (const std::string& expression : read_blocks("expressions.txt")) {
    INFO(expression);
    const auto parsed = dsl::read_workflow(expression, {});
    REQUIRE(parsed);
    const std::string json = built_by_postgres(sql, expression);
    const auto graph = dsl::from_json(json, {});
    INFO(json);
    REQUIRE(graph);
    CHECK(*graph == parsed->graph);
    const std::string explained = sql.text("select df.explain($1)", json);
    ++count;
    if (!parsed->errors.empty()) {
      CHECK_THAT(explained, ContainsSubstring(parsed->errors[0].message));
      continue;
    }
    CHECK(plan_of(explained) == dsl::print_tree(parsed->graph));
    CHECK(warnings_of(explained) == warnings_of(parsed->graph));
  }
  CHECK(count >= 250);
}

TEST_CASE("both doors build the same graph from generated expressions, and explain it alike",
          "[smoke][L1.8]") {
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
    const std::string explained = sql.text("select df.explain($1)", json);
    CHECK(plan_of(explained) == dsl::print_tree(graph));
    CHECK(warnings_of(explained) == warnings_of(graph));
  }
}

TEST_CASE("both doors refuse what is no workflow", "[smoke][L1.8][L2.4][L3.1][L3.18][S2.1]") {
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

TEST_CASE("both doors refuse a bad graph with the same words", "[L1.8][L4.5][S2.1]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string step = R"({"node_type":"SQL","query":"SELECT 1"})";
  const auto node = [&](const std::string& kind, const std::string& more) {
    return R"({"node_type":")" + kind + R"(",)" + more + R"("left_node":)" + step + "}";
  };
  std::string deep = step;
  for (int i = 0; i < 256; ++i) deep = R"({"node_type":"LOOP","left_node":)" + deep + "}";
  const std::string right = R"(,"right_node":)" + step + ",";
  const std::pair<std::string, const char*> cases[] = {
      {R"({"node_type":"NOPE"})", "Unknown node_type 'NOPE'"},
      {node("JOIN", R"("extra_nodes":["SELECT 1"])" + right),
       "extra_nodes entries must be Durofut JSON objects"},
      {node("JOIN", R"("extra_nodes":[7])" + right), "extra_nodes entries must be Durofut JSON objects"},
      {node("IF", R"("query":"{\"condition_node\":{}}",)"),
       "condition_node in IF must be a first-class Durofut field"},
      {node("IF", R"("condition_node":"SELECT true",)"),
       "condition_node in IF must be a first-class Durofut field"},
      {node("LOOP", R"("query":"{\"condition_node\":{}}",)"),
       "condition_node in LOOP must be a first-class Durofut field"},
      {node("LOOP", R"("condition_node":"SELECT true",)"),
       "condition_node in LOOP must be a first-class Durofut field"},
      {node("IF", R"("query":"SELECT true",)"), "query in IF must be valid JSON config"},
      {node("LOOP", R"("query":"SELECT true",)"), "query in LOOP must be valid JSON config"},
      {R"({"node_type":"SIGNAL","query":"go"})", "query in SIGNAL must be valid JSON config"},
      {R"({"node_type":"SQL","query":"A","result_name":"1x"})", "'1x' is not a valid identifier"},
      {deep, "maximum nesting depth of 256"}};
  for (const auto& [json, words] : cases) {
    INFO(json.substr(0, 200));
    const auto parsed = dsl::parse_workflow(json, {});
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message,
               ContainsSubstring("Invalid durable function graph: root") && ContainsSubstring(words));
    CHECK_THAT(sql.expects_error("22023", "select df.start($1)", json), ContainsSubstring(words));
    CHECK_THAT(sql.text("select df.explain($1)", json),
               ContainsSubstring("Invalid durable function graph: root") && ContainsSubstring(words));
  }
  CHECK(dsl::parse_workflow(deep, {}).error().message ==
        "Invalid durable function graph: root: maximum nesting depth of 256 exceeded");
  for (const char* expression : {"'A' |=> '1x'", "df.as('A', '1x')", "df.if_rows('1x', 'A')"}) {
    CHECK_THAT(sql.expects_error("42602", std::string("select ") + expression),
               ContainsSubstring("'1x' is not a valid identifier"));
  }
}

TEST_CASE("the SQL door takes ten thousand nodes and a mebibyte of text, and refuses more with the limit",
          "[L6.17]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const auto start_join = [](int nodes) {
    return R"(select df.start('{"node_type":"JOIN","left_node":' || s || ',"right_node":' || s || ',"extra_nodes":[')"
           " || repeat(s || ',', " +
           std::to_string(nodes - 4) +
           R"() || s || ']}') from (values ('{"node_type":"SQL","query":"A"}')) v(s))";
  };
  CHECK(sql.text(start_join(10'000)).size() == 8);
  CHECK_THAT(sql.expects_error("22023", start_join(10'001)),
             ContainsSubstring("has 10001 nodes, the maximum is 10000"));
  const auto start_long = [](int bytes) {
    return "select df.start('SELECT ' || repeat('1', " + std::to_string(bytes) +
           R"( - length('{"node_type":"SQL","query":"SELECT "}'))))";
  };
  CHECK(sql.text(start_long(1 << 20)).size() == 8);
  CHECK_THAT(sql.expects_error("22023", start_long((1 << 20) + 1)),
             ContainsSubstring("longer than 1048576 bytes"));
}

TEST_CASE("long chains and wide joins can be composed", "[smoke]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  std::string sequence = "'SELECT 1'", join = "'SELECT 1'";
  for (int i = 1; i < 1'000; ++i) sequence += " ~> 'SELECT " + std::to_string(i) + "'";
  for (int i = 1; i < 100; ++i) join += " & 'SELECT " + std::to_string(i) + "'";
  for (const auto& [expression, nodes] : {std::pair(sequence, 1'001), std::pair(join, 101)}) {
    const std::string json = built_by_postgres(sql, expression);
    const auto graph = dsl::from_json(json, {});
    REQUIRE(graph);
    CHECK(graph->nodes.size() == static_cast<std::size_t>(nodes));
  }
}

TEST_CASE("df.explain warns of the traps that it can see in a graph", "[smoke][L2.5][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK_THAT(sql.text("select df.explain(@> 'SELECT 1' ~> 'SELECT 2')"),
             ContainsSubstring("Warning: this step is never reached: the loop before it repeats for ever"));
  CHECK_THAT(sql.text("select df.explain('A' |=> 'a' & 'B' |=> 'b')"),
             ContainsSubstring("Warning: the name 'b' is bound to the whole join, not to its last branch"));
  CHECK_THAT(sql.text("select df.explain('SELECT $nobody')"),
             ContainsSubstring(
                 "Invalid durable function graph: root: node 00000000: $nobody is referenced, but nothing"));
  CHECK_THAT(sql.text("select df.explain('SELECT ''$nobody''')"),
             ContainsSubstring("Warning: $nobody is referenced, but nothing before binds that name"));
  CHECK(sql.text("select df.explain('SELECT 1 AS a' |=> 'a' ~> $$SELECT $a, '$1', \"x $c\" -- $d$$)")
            .find("Warning") == std::string::npos);
}

TEST_CASE("df.explain says what is wrong with a graph, as text", "[smoke][S2.1][S2.11]") {
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
