// Graph to text and back, and the tree for people.
#include <set>

#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/graph_generator.hpp"

namespace durabled::test {

using namespace dsl;

TEST_CASE("what is printed parses to the same graph, and so does its JSON", "[L2.2]") {
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    const Graph graph = random_graph(seed, {seed % 7 == 0 ? 20 : 5, 4, 60});
    const std::string text = print(graph), json = to_json(graph);
    INFO("seed " << seed << "\n" << text << "\n" << json);
    const auto parsed = read_workflow(text, {});
    if (!parsed) FAIL(parsed.error().to_string());
    REQUIRE(parsed->graph == graph);
    const auto read = from_json(json, {});
    if (!read) FAIL(read.error().to_string());
    REQUIRE(*read == graph);
    REQUIRE(to_json(*read) == json);
  }
}

TEST_CASE("the generator reaches every kind of node") {
  std::set<NodeKind> kinds;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    for (const Node& node : random_graph(seed).nodes) kinds.insert(node.kind);
  }
  CHECK(kinds.size() == 20);
}

TEST_CASE("text is printed with operators where they say the same") {
  const auto reprint = [](const char* source) { return print(parse(source).graph); };
  CHECK(reprint("df.seq('A', 'B', df.join('C', 'D'))") == "'A' ~> 'B' ~> ('C' & 'D')");
  CHECK(reprint("df.as('A', 'a') ~> df.as('B', 'b')") == "'A' |=> 'a' ~> ('B' |=> 'b')");
  CHECK(reprint("df.seq(df.seq('A', 'B'), 'C')") == "df.seq('A' ~> 'B', 'C')");
  CHECK(reprint("('A' & 'B') |=> 'ab' ~> 'C'") == "df.join('A', 'B') |=> 'ab' ~> 'C'");
  CHECK(reprint("df.if('C', 'T' ~> 'U', 'E')") == "'C' ?> ('T' ~> 'U') !> 'E'");
  CHECK(reprint("df.loop('A' ~> 'B')") == "@> ('A' ~> 'B')");
  CHECK(reprint("df.loop('A', 'B')") == "df.loop('A', 'B')");
  CHECK(reprint("df.retry('A', 3, on => '40001')") == "df.retry('A', 3, \"on\" => '40001')");
  CHECK(reprint("'SELECT ''x'''") == "$$SELECT 'x'$$");
  CHECK(reprint("df.sleep(interval '1 min')") == "df.sleep(60)");
}

TEST_CASE("a graph of the greatest depth still parses from its own text") {
  GraphLimits limits;
  for (const char* wrap : {"df.seq('A', X)", "df.join(X |=> 'n', 'A')", "df.seq('A', X |=> 'n')", "@> X",
                           "df.retry(X, 2)", "df.if('C', X)"}) {
    std::string text = "df.sleep(1) |=> 'leaf'";
    const std::string pattern = wrap;
    const std::size_t hole = pattern.find('X');
    limits.depth = 1000;
    for (int i = 1; i < 256; ++i)
      text = pattern.substr(0, hole) + "(" + text + ")" + pattern.substr(hole + 1);
    const auto deep = parse_workflow(text, limits);
    INFO(wrap);
    if (!deep) FAIL(deep.error().message);
    const auto again = parse_workflow(print(deep->graph), {});
    if (!again) FAIL(again.error().message);
    CHECK(again->graph == deep->graph);
  }
}

TEST_CASE("the tree has the lines of explain", "[S2.11]") {
  const auto tree = [](const char* source) { return print_tree(parse(source).graph); };
  CHECK(tree("'SELECT 1'") == "SQL: SELECT 1\n");
  CHECK(tree("$$ SELECT\n\t 1 $$ |=> 'x' ~> df.sleep(30) ~> df.sleep('$x')") ==
        "SQL |=> 'x': SELECT 1\n→ SLEEP 30s\n→ SLEEP $x\n");
  CHECK(tree("('A' ~> 'B') |=> 'n'") == "THEN |=> 'n'\n  SQL: A\n  → SQL: B\n");
  CHECK(tree("df.wait_for_schedule('0 9 * * *') ~> df.wait_for_schedule('@daily', 'Asia/Tokyo')") ==
        "WAIT '0 9 * * *'\n→ WAIT '@daily' (Asia/Tokyo)\n");
  CHECK(tree("df.wait_for_signal('go') ~> df.wait_for_signal('go', 2.5) |=> 's'") ==
        "THEN |=> 's'\n  SIGNAL 'go'\n  → SIGNAL 'go' (2.5s)\n");
  CHECK(tree("df.http('https://h/', 'GET') |=> 'r'") == "HTTP GET https://h/ |=> 'r'\n");
  CHECK(tree("df.http_multipart('https://h/', parts => '[{\"name\":\"a\",\"data_b64\":\"\"}]')") ==
        "HTTP_MULTIPART POST https://h/\n");
  CHECK(tree("'C' ?> ('T' ~> 'U') !> 'E'") ==
        "IF\n  condition:\n    SQL: C\n  then:\n    SQL: T\n    → SQL: U\n  else:\n    SQL: E\n");
  CHECK(tree("'A' |=> 'r' ~> df.if_rows('r', 'T')") ==
        "SQL |=> 'r': A\n→ IF ROWS 'r'\n  then:\n    SQL: T\n");
  CHECK(tree("('A' & 'B') |=> 'ab'") ==
        "JOIN (2) |=> 'ab'\n  branch 1:\n    SQL: A\n  branch 2:\n    SQL: B\n");
  CHECK(tree("'A' | 'B'") == "RACE\n  branch 1:\n    SQL: A\n  branch 2:\n    SQL: B\n");
  CHECK(tree("df.any('A', 'B')") == "ANY (2)\n  branch 1:\n    SQL: A\n  branch 2:\n    SQL: B\n");
  CHECK(tree("df.loop('A' ~> df.break(), 'C')") ==
        "LOOP\n  body:\n    SQL: A\n    → BREAK\n  while:\n    SQL: C\n");
  CHECK(tree("@> df.break('x')") == "LOOP\n  body:\n    BREAK: x\n");
  CHECK(tree("df.for_each('R', 'B')") ==
        "FOR EACH item (max 10)\n  rows:\n    SQL: R\n  body:\n    SQL: B\n");
  CHECK(tree("df.retry(df.timeout('A', 30), 5)") ==
        "RETRY 5x\n  body:\n    TIMEOUT 30s\n      body:\n        SQL: A\n");
  CHECK(tree("'A' ~> (df.fail('no') ~> 'B')") == "SQL: A\n→ FAIL 'no'\n→ SQL: B\n");
  CHECK(tree("df.fail('no $x', 'out_of_stock')") == "FAIL 'no $x' (out_of_stock)\n");
  CHECK(tree("df.catch('A', 'H')") == "CATCH\n  body:\n    SQL: A\n  handler:\n    SQL: H\n");
}

TEST_CASE("an annotation stands before each line") {
  const auto workflow = parse("'A' ~> ('B' & 'C')");
  CHECK(print_tree(workflow.graph, [](NodeIndex index) { return std::to_string(index) + " "; }) ==
        "1 SQL: A\n→ 2 JOIN (2)\n  branch 1:\n    3 SQL: B\n  branch 2:\n    4 SQL: C\n");
}

}  // namespace durabled::test
