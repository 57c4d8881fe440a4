// The JSON form: shapes, and what is refused with which words.
#include "dsl/graph/json.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

std::string json_of(const char* source) {
  return to_json(parse(source).graph);
}

std::string error_of(const std::string& json) {
  const auto graph = from_json(json, {});
  return graph ? "accepted as " + dump(*graph) : graph.error().to_string();
}

const std::string kSql = R"({"node_type":"SQL","query":"SELECT 1"})";

}  // namespace

TEST_CASE("each kind has its JSON form", "[L3.17][S2.1]") {
  CHECK(json_of("'A' |=> 'x'") == R"({"node_type":"SQL","query":"A","result_name":"x"})");
  CHECK(
      json_of("'A' ~> 'B' ~> 'C'") ==
      R"({"node_type":"THEN","left_node":{"node_type":"SQL","query":"A"},"right_node":{"node_type":"SQL","query":"B"},)"
      R"("extra_nodes":[{"node_type":"SQL","query":"C"}]})");
  CHECK(
      json_of("'C' ?> 'T' !> 'E'") ==
      R"({"node_type":"IF","condition_node":{"node_type":"SQL","query":"C"},"left_node":{"node_type":"SQL","query":"T"},)"
      R"("right_node":{"node_type":"SQL","query":"E"}})");
  CHECK(json_of("df.if_rows('r', 'T')") ==
        R"({"node_type":"IF","query":"{\"if_rows\":\"r\"}","left_node":{"node_type":"SQL","query":"T"}})");
  CHECK(
      json_of("df.loop('A', 'C')") ==
      R"({"node_type":"LOOP","condition_node":{"node_type":"SQL","query":"C"},"left_node":{"node_type":"SQL","query":"A"}})");
  CHECK(json_of("df.break()") == R"({"node_type":"BREAK"})");
  CHECK(json_of("df.break('')") == R"({"node_type":"BREAK","query":""})");
  CHECK(json_of("df.sleep(0.5)") == R"({"node_type":"SLEEP","query":"0.5"})");
  CHECK(json_of("df.wait_for_schedule('@daily')") == R"({"node_type":"WAIT_SCHEDULE","query":"@daily"})");
  CHECK(json_of("df.wait_for_schedule('@daily', 'Asia/Tokyo')") ==
        R"({"node_type":"WAIT_SCHEDULE","query":"{\"cron\":\"@daily\",\"timezone\":\"Asia/Tokyo\"}"})");
  CHECK(json_of("df.wait_for_signal('go', 5)") ==
        R"({"node_type":"SIGNAL","query":"{\"signal_name\":\"go\",\"timeout_seconds\":5}"})");
  CHECK(
      json_of("df.http('u', 'GET', 'b', '{\"A\":\"c\"}')") ==
      R"({"node_type":"HTTP","query":"{\"url\":\"u\",\"method\":\"GET\",\"body\":\"b\",\"headers\":{\"A\":\"c\"},\"timeout_seconds\":30}"})");
  CHECK(
      json_of("df.http('u', expect => '2XX, 404')") ==
      R"({"node_type":"HTTP","query":"{\"url\":\"u\",\"method\":\"POST\",\"timeout_seconds\":30,\"expect\":\"2xx 404\"}"})");
  CHECK(
      json_of("df.retry('A', 3, 0.5, on => '53 503')") ==
      R"({"node_type":"RETRY","query":"{\"max_attempts\":3,\"delay\":0.5,\"backoff\":2,\"max_delay\":300,\"on\":\"53 503\"}",)"
      R"("left_node":{"node_type":"SQL","query":"A"}})");
  CHECK(
      json_of("df.for_each('R', 'B')") ==
      R"({"node_type":"FOR_EACH","query":"{\"max_parallel\":10,\"name\":\"item\"}","left_node":{"node_type":"SQL","query":"R"},)"
      R"("right_node":{"node_type":"SQL","query":"B"}})");
  CHECK(json_of("df.timeout('A', 1)") ==
        R"({"node_type":"TIMEOUT","query":"{\"seconds\":1}","left_node":{"node_type":"SQL","query":"A"}})");
}

TEST_CASE("null and missing keys are the same, defaults are filled in", "[L3.17]") {
  const auto graph = from_json(
      R"({"node_type":"HTTP","left_node":null,"right_node":null,"condition_node":null,"extra_nodes":null,"result_name":null,)"
      R"("query":"{\"url\":\"u\",\"method\":\"get\",\"body\":null}"})",
      {});
  REQUIRE(graph);
  CHECK((*graph)[0].options == NodeOptions(HttpOptions{"GET", {}, {}, {}, 30}));
  const auto each =
      from_json(R"({"node_type":"FOR_EACH","left_node":)" + kSql + R"(,"right_node":)" + kSql + "}", {});
  REQUIRE(each);
  CHECK((*each)[0].options == NodeOptions(ForEachOptions{}));
}

TEST_CASE("bad graphs are refused with the path and the known words", "[S2.1]") {
  struct Row {
    std::string json, message;
  };
  const std::string prefix = "Invalid durable function graph: ";
  const std::string then = R"({"node_type":"THEN","left_node":)" + kSql + R"(,"right_node":)";
  for (const Row& row : std::vector<Row>{
           {"5", "root: expected a JSON object with node_type, found a number"},
           {"{}", "root: node_type is missing"},
           {R"({"node_type":1})", "root: node_type must be a string"},
           {R"({"node_type":"X"})", "root: Unknown node_type 'X'"},
           {then + R"({"node_type":"X"}})", "root.right_node: Unknown node_type 'X'"},
           {then + kSql + R"(,"extra_nodes":[)" + kSql + R"(,{"node_type":"X"}]})",
            "root.extra_nodes[1]: Unknown node_type 'X'"},
           {then + kSql + R"(,"extra_nodes":["SELECT 1"]})",
            "root: extra_nodes entries must be Durofut JSON objects"},
           {then + kSql + R"(,"extra_nodes":{}})", "root: extra_nodes must be an array"},
           {R"({"node_type":"THEN","left_node":)" + kSql + "}", "root: THEN needs a right_node"},
           {then + R"("SELECT 1"})",
            "root: right_node in THEN must be a Durofut JSON object, found a string"},
           {R"({"node_type":"LOOP","left_node":)" + kSql + R"(,"right_node":)" + kSql + "}",
            "root: LOOP takes no right_node"},
           {R"({"node_type":"SQL","query":"A","extra_nodes":[)" + kSql + "]}",
            "root: SQL takes no extra_nodes"},
           {R"({"node_type":"IF","left_node":)" + kSql + "}", "root: IF needs a condition_node"},
           {R"({"node_type":"IF","condition_node":"SELECT 1","left_node":)" + kSql + "}",
            "root: condition_node in IF must be a first-class Durofut field"},
           {R"({"node_type":"IF","query":"{\"condition_node\":{\"node_type\":\"SQL\"}}","left_node":)" +
                kSql + "}",
            "root: condition_node in IF must be a first-class Durofut field"},
           {R"({"node_type":"LOOP","query":"{\"condition_node\":{}}","left_node":)" + kSql + "}",
            "root: condition_node in LOOP must be a first-class Durofut field"},
           {R"({"node_type":"IF","query":"SELECT 1","left_node":)" + kSql + "}",
            "root: query in IF must be valid JSON config"},
           {R"({"node_type":"SQL"})", "root: SQL needs a query"},
           {R"({"node_type":"SQL","query":5})", "root: query in SQL must be a JSON string, found a number"},
           {R"({"node_type":"SQL","query":"A; B"})",
            "root: a SQL step is exactly one statement; this text has 2"},
           {R"({"node_type":"SQL","query":"ROLLBACK"})", "root: ROLLBACK cannot be a step"},
           {R"({"node_type":"SQL","query":"A\u0000"})", "root: the text holds a NUL character"},
           {R"({"node_type":"SQL","query":"A","result_name":"a b"})",
            "root: 'a b' is not a valid identifier"},
           {R"({"node_type":"SQL","query":"A","result_name":""})", "root: '' is not a valid identifier"},
           {R"({"node_type":"SQL","query":"A","left":1})", "root: unknown key 'left'"},
           {R"({"node_type":"SLEEP","query":"-1"})", "root: seconds must not be negative"},
           {R"({"node_type":"SIGNAL","query":"go"})", "root: query in SIGNAL must be valid JSON config"},
           {R"({"node_type":"SIGNAL","query":"{}"})", "root: query in SIGNAL needs 'signal_name'"},
           {R"({"node_type":"SIGNAL","query":"{\"signal_name\":5}"})",
            "root: query in SIGNAL: signal_name must be a string, found a number"},
           {R"({"node_type":"HTTP","query":"{\"url\":\"u\",\"verb\":\"GET\"}"})",
            "root: query in HTTP has the unknown key 'verb'"},
           {R"({"node_type":"RETRY","query":"{}","left_node":)" + kSql + "}",
            "root: query in RETRY needs 'max_attempts'"},
           {R"({"node_type":"JOIN","query":"{}"})", "root: JOIN takes no query"},
           {"{", "root: not valid JSON"},
           {kSql + "x", "root: not valid JSON"},
       }) {
    INFO(row.json);
    CHECK_THAT(error_of(row.json), ContainsSubstring(prefix + row.message));
  }
}

TEST_CASE("depth and nodes are limited as configured", "[L6.17]") {
  GraphLimits limits;
  const auto nest = [](int depth) {
    std::string json = kSql;
    for (int i = 1; i < depth; ++i)
      json = R"({"node_type":"JOIN","left_node":)" + kSql + R"(,"right_node":)" + kSql +
             R"(,"extra_nodes":[)" + json + "]}";
    return json;
  };
  CHECK(from_json(nest(256), limits));
  CHECK_THAT(error_of(nest(257)), ContainsSubstring("maximum nesting depth of 256"));
  CHECK_THAT(error_of(nest(2000)), ContainsSubstring("maximum nesting depth of 256"));
  limits.depth = 3;
  const auto shallow = from_json(nest(4), limits);
  REQUIRE_FALSE(shallow);
  CHECK_THAT(shallow.error().message, ContainsSubstring("maximum nesting depth of 3"));
  limits.nodes = 3;
  const auto few = from_json(nest(2), limits);
  CHECK(few.operator bool() == false);
  CHECK_THAT(few.error().message, ContainsSubstring("more than 3 nodes"));
}

TEST_CASE("node ids are eight hex digits and lead back to the node", "[S1.6]") {
  const Graph graph = parse("'A' ~> 'B'").graph;
  CHECK(node_id(0) == "00000000");
  CHECK(node_id(0xabcd) == "0000abcd");
  CHECK(node_index(graph, "00000002") == 2);
  for (const char* bad : {"00000003", "2", "0000000A", "+0000001", "", "000000002"})
    CHECK(node_index(graph, bad) == kNoNode);
}

}  // namespace durabled::test
