// Durations, what a SQL text is, and the parts of a form.
#include <cmath>

#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {

using namespace dsl;

TEST_CASE("intervals are the seconds that PostgreSQL's extract(epoch) gives", "[L1.2][L3.19]") {
  struct Row {
    const char* text;
    double seconds;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"1 day 02:03:04", 93784},
           {"1h 30m", 5400},
           {"1h30m", 5400},
           {"00:00:01.5", 1.5},
           {"5 minutes", 300},
           {"@ 1 minute", 60},
           {"2 weeks", 1209600},
           {"1 month", 2592000},
           {"1 year", 31557600},
           {"14 mons", 31557600 + 2 * 2592000},
           {"1.5 months", 3888000},
           {"1.5 years", 31557600 + 6 * 2592000},
           {"250 milliseconds", 0.25},
           {"10 us", 1e-5},
           {"PT5M", 300},
           {"P1DT2H3M4.5S", 93784.5},
           {"P1M", 2592000},
           {"P2W", 1209600},
           {"1-2", 31557600 + 2 * 2592000},
           {"1 02:03:04", 93784},
           {"-1 day +02:03:04", -79016},
           {"30", 30},
           {"3 days ago", -259200},
           {"1 DAY", 86400},
           {"02:03", 7380},
           {"1 decade", 315576000},
       }) {
    INFO(row.text);
    const auto seconds = parse_interval(row.text);
    REQUIRE(seconds);
    CHECK(std::abs(*seconds - row.seconds) < 1e-9);
  }
  for (const char* bad : {"", " ", "a while", "1 fortnight", "day", "1 2", "P", "PT", "P1H", "1:60",
                          "1:2:3:4", "5 minutes x", "infinity", "--1 day", "1..2 days", "$x"}) {
    INFO(bad);
    CHECK_FALSE(parse_interval(bad));
  }
}

TEST_CASE("numbers of seconds are plain decimals", "[L3.19]") {
  CHECK(parse_seconds(" 0.5 ") == 0.5);
  CHECK(parse_seconds("1e3") == 1000.0);
  CHECK(parse_seconds("1e-999") == 0.0);
  CHECK(parse_seconds("1e999") == INFINITY);
  for (const char* bad : {"inf", "nan", "0x10", "1,5", "five"}) CHECK_FALSE(parse_seconds(bad));
  CHECK(format_seconds(30) == "30");
  CHECK(format_seconds(0.5) == "0.5");
  CHECK(format_seconds(100) == "100");
  CHECK(format_seconds(kMaxSeconds) == "3155760000");
  CHECK(format_seconds(1e-6) == "0.000001");
}

TEST_CASE("statements are counted by PostgreSQL's lexical rules", "[L3.1]") {
  struct Row {
    const char* sql;
    int count;
    const char* keyword;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"SELECT 1", 1, "SELECT"},
           {"select 1;", 1, "SELECT"},
           {" ; ;; SELECT 1 ; ", 1, "SELECT"},
           {"SELECT 1; SELECT 2", 2, "SELECT"},
           {"", 0, ""},
           {"-- SELECT 1", 0, ""},
           {"/* ; /* */ ; */ SELECT ';' , \";\" -- ;\n, $$;$$, $a$;$$;$a$", 1, "SELECT"},
           {"SELECT 'a''; ' ; SELECT 2", 2, "SELECT"},
           {"SELECT E'\\'; '", 1, "SELECT"},
           {"SELECT '\\'; SELECT '", 2, "SELECT"},
           {"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", 1, "CREATE"},
           {"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; "
            "SELECT 2; END",
            1, "CREATE"},
           {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2", 2, "CREATE"},
           {"CREATE TABLE begin (x int); SELECT 1", 2, "CREATE"},
           {"(SELECT 1) UNION (SELECT 2)", 1, "SELECT"},
           {"DO $do$ BEGIN PERFORM 1; PERFORM 2; END $do$", 1, "DO"},
           {"{statement}", 1, ""},
           {"SELECT $x.a; SELECT $y", 2, "SELECT"},
           {"SELECT 'never closed; ; ", 1, "SELECT"},
       }) {
    INFO(row.sql);
    const SqlStatements statements = scan_statements(row.sql);
    CHECK(statements.count == row.count);
    CHECK(statements.first_keyword == row.keyword);
  }
}

TEST_CASE("transaction commands and COPY with a client are no steps", "[L5.10]") {
  for (const char* sql :
       {"BEGIN", "begin work", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT a",
        "RELEASE a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "/* x */ rollback to a",
        "COPY t FROM STDIN", "copy t (a, b) from stdin with (format csv)", "COPY (SELECT 1) TO STDOUT"}) {
    INFO(sql);
    CHECK(check_sql_step(sql));
  }
  for (const char* sql : {"PREPARE p AS SELECT 1", "COPY t FROM '/tmp/stdin'", "COPY t TO PROGRAM 'cat'",
                          "SELECT 'COPY t FROM STDIN'", "COPY (SELECT a FROM stdin) TO '/tmp/x'", "VACUUM",
                          "SELECT begin FROM t"}) {
    INFO(sql);
    CHECK_FALSE(check_sql_step(sql));
  }
}

namespace {

std::string problem_of_part(const std::string& part) {
  Node node;
  node.kind = NodeKind::kHttpMultipart;
  node.text = "https://example.org/";
  HttpOptions options;
  options.parts = "[" + part + "]";
  node.options = options;
  return apply_rules(node).value_or("");
}

std::string problem_of_data(const std::string& data) {
  return problem_of_part(R"({"name": "f", "data_b64": ")" + data + "\"}");
}

}  // namespace

TEST_CASE("the data of a form's part is base64, or one reference and nothing else", "[L3.6]") {
  for (const char* good :
       {"", "YQ==", "YW Jj\\nZGVm", "$a", " $a ", "$a.b", "$a.b.0?", "$_1", "{x}", "{secret.x}"}) {
    INFO(good);
    CHECK(problem_of_data(good) == "");
  }
  for (const char* bad : {"YQ=", "a", "a!b=", "YQ==YQ=="}) {
    INFO(bad);
    CHECK_THAT(problem_of_data(bad), ContainsSubstring("parts[0].data_b64 is not base64"));
  }
  for (const char* bad : {"x$y", "$a$b", "$a.", "$a..b", "$.a", "$a?b", "$a[]", "$1", "$", "{x}YQ==", "{x.y}",
                          "{secret.}", "aGVs$row.text"}) {
    INFO(bad);
    CHECK_THAT(problem_of_data(bad), ContainsSubstring("a reference must be the whole value"));
  }
}

TEST_CASE("a part of a form has the keys that it takes, and text in them") {
  const std::pair<const char*, const char*> cases[] = {
      {"1", "parts[0] must be an object"},
      {R"({"name": "a"})", "parts[0] needs the key 'data_b64'"},
      {R"({"data_b64": ""})", "parts[0] needs the key 'name'"},
      {R"({"name": 1, "data_b64": ""})", "parts[0].name must be a string"},
      {R"({"name": "a", "data_b64": "", "filename": null})", "parts[0].filename must be a string"},
      {R"({"name": "a", "data_b64": "", "data": "x"})", "unknown key 'data'"},
      {R"({"name": "a", "data_b64": ""}, {"name": "b"})", "parts[1] needs the key 'data_b64'"},
  };
  for (const auto& [part, expected] : cases) {
    INFO(part);
    CHECK_THAT(problem_of_part(part), ContainsSubstring(expected));
  }
}

}  // namespace durabled::test
