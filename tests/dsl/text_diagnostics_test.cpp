// One case for each thing the parser says, and where it says it.
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

struct Row {
  const char* source;
  const char* code;
  int line, column;
  const char* message;  // a part of it
  const char* hint;     // a part of it; "" for none
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    const Diagnostic error = parse_error(row.source);
    INFO(row.source << "\n" << error.to_string());
    CHECK(error.severity == Diagnostic::Severity::kError);
    CHECK(error.code == row.code);
    CHECK(error.line == row.line);
    CHECK(error.column == row.column);
    CHECK_THAT(error.message, ContainsSubstring(row.message));
    if (std::string(row.hint).empty())
      CHECK(error.hint == "");
    else
      CHECK_THAT(error.hint, ContainsSubstring(row.hint));
  }
}

}  // namespace

TEST_CASE("lexical errors stand where the thing begins", "[L1.1]") {
  check({
      {"'A' ~>\n 'B", "unbalanced_quote", 2, 2, "not closed", "doubled"},
      {"$x$ A", "unbalanced_quote", 1, 1, "$x$", ""},
      {"\"df", "unbalanced_quote", 1, 1, "double quote", ""},
      {"'é' /* /* */", "unbalanced_comment", 1, 5, "not closed", ""},
      {"E'\\u12'", "bad_escape", 1, 1, "\\uXXXX", ""},
      {"E'\\ud83d'", "bad_escape", 1, 1, "surrogate", ""},
      {"E'\\xff'", "invalid_text", 1, 1, "invalid UTF-8", ""},
      {"E'\\0'", "invalid_text", 1, 1, "NUL", ""},
      {"x'41'", "unsupported_literal", 1, 1, "not supported", "$$"},
      {"U&\"x\"", "unsupported_literal", 1, 1, "not supported", "$$"},
      {"U&'\\00'", "bad_escape", 1, 1, "U&'…'", ""},
      {"df.sleep(0x)", "bad_number", 1, 12, "letters right after the number 0x", "0x1F"},
      {"df.sleep('90'::numeric(5,2))", "unknown_type", 1, 23, "numeric(…)", "write the value"},
      {"‘A’", "typographic_quote", 1, 1, "typographic", "straight quotes"},
      {"df.sleep(30s)", "bad_number", 1, 12, "letters right after the number 30", "interval"},
      {"'A' ~> $b", "unexpected_character", 1, 8, "$", "inside a string"},
      {"'A' ~> {b}", "unexpected_character", 1, 8, "{", "inside a string"},
  });
}

TEST_CASE("grammar errors say what was found and what was expected", "[L1.4]") {
  check({
      {"", "empty_text", 1, 1, "empty", "SELECT 1"},
      {" -- nothing\n", "empty_text", 2, 1, "empty", "SELECT 1"},
      {"'A' ~>", "unexpected_token", 1, 7, "expected a step, found the end of the text", ""},
      {"'A' ~> ~> 'B'", "unexpected_token", 1, 8, "found the operator ~>", ""},
      {"('A'", "unbalanced_parenthesis", 1, 1, "not closed", ""},
      {"df.seq('A', 'B'", "unbalanced_parenthesis", 1, 7, "df.seq is not closed", ""},
      {"'A')", "unbalanced_parenthesis", 1, 4, "found )", ""},
      {"'A' 'B'", "missing_operator", 1, 5, "expected an operator", "~>"},
      {"'A' ~> df.sleep(1) df.sleep(2)", "missing_operator", 1, 20, "found a function right after a step",
       "an operator is missing between two steps; for \"and then\" write ~>"},
      {"(df.sleep(1) 'B')", "missing_operator", 1, 14, "expected an operator or )", "~>"},
      {"'A' ('B')", "missing_operator", 1, 5, "found ( right after a step", "~>"},
      {"'A' => 'x'", "unexpected_token", 1, 5, "found =>", "write |=> 'name'"},
      {"'A'; 'B'", "unexpected_token", 1, 6, "after ;", "one workflow"},
      {"df.start('A') ~> 'B'", "unexpected_token", 1, 15, "end of the text", ""},
      {"SELECT df.sleep(5)", "unexpected_token", 1, 8, "df.start", "SELECT"},
  });
}

TEST_CASE("the known traps say what to write instead", "[L1.3][L1.4][L1.6][L2.4][L3.18]") {
  check({
      {"'C' ?> 'A' ~> 'B' !> 'D'", "else_without_if", 1, 19, "!> must follow c ?> t", "parentheses"},
      {"'C' ?> 'A' !> 'B' !> 'D'", "else_without_if", 1, 19, "already", "parentheses"},
      {"'A' ~>@> 'B'", "unknown_operator", 1, 5, "~>@>", "spaces"},
      {"'A' @> 'B'", "unknown_operator", 1, 5, "@>", "before a step"},
      {"'A' || 'B'", "unknown_operator", 1, 5, "no SQL outside of quotes", "race"},
      {"'A' -> 'B'", "unknown_operator", 1, 5, "->", "~>"},
      {"'A' |=> name", "bad_argument", 1, 9, "a name in quotes after |=>, found name", "|=> 'name'"},
      {"'A' |=> df.sleep(1)", "bad_argument", 1, 9, "a name in quotes", "|=> 'name'"},
      {"SELECT 1", "unquoted_sql", 1, 1, "no SQL outside of quotes", "SQL step is a string"},
      {"column_name", "unexpected_name", 1, 1, "no SQL outside of quotes", "string"},
      {"\"SELECT 1\"", "unexpected_name", 1, 1, "no SQL outside of quotes", "single quotes"},
      {"\"DF\".sleep(5)", "unknown_function", 1, 1, "DF.sleep", "did you mean df.sleep"},
      {"df.\"Sleep\"(5)", "unknown_function", 1, 1, "df.Sleep", "did you mean df.sleep"},
      {"now()", "unknown_function", 1, 1, "no SQL outside of quotes", "the functions are df.any, as, break"},
      {"df.try('A', 'B')", "unknown_function", 1, 1, "df.try", "did you mean df.catch(step, handler)?"},
      {"df.wait(5)", "unknown_function", 1, 1, "df.wait", "did you mean df.sleep(seconds)?"},
      {"df.raise('x')", "unknown_function", 1, 1, "df.raise", "df.fail('message')"},
      {"df.parallel('A', 'B')", "unknown_function", 1, 1, "df.parallel", "df.join(a, b)"},
      {"df.map('A', 'B')", "unknown_function", 1, 1, "df.map", "df.for_each(rows, body)"},
      {"df.http_get('u')", "unknown_function", 1, 1, "df.http_get", "df.http(url, 'GET')"},
      {"df.frobnicate()", "unknown_function", 1, 1, "df.frobnicate", "the functions are df.any"},
      {"sleep(5)", "unknown_function", 1, 1, "sleep", "did you mean df.sleep"},
      {"df.wait_for_singal('x')", "unknown_function", 1, 1, "wait_for_singal", "df.wait_for_signal"},
      {"'A' ~> df.setvar('a', 'b')", "not_a_step", 1, 8, "cannot be called inside a workflow", "before"},
      {"df.unsetvar('a')", "not_a_step", 1, 1, "cannot be called inside a workflow", "before"},
      {"df.clearvars()", "not_a_step", 1, 1, "cannot be called inside a workflow", "before"},
      {"df.getvar('a')", "not_a_step", 1, 1, "not a step", "{name}"},
      {"df.status('a')", "not_a_step", 1, 1, "not a step", "SELECT df.status"},
      {"'A' ~> df.start('B')", "not_a_step", 1, 8, "only around the whole workflow", "leave it out"},
  });
}

TEST_CASE("a string that ended too early is named where the rest of it makes no sense") {
  check({
      {"'SELECT 1 ~> 'SELECT 2'", "unquoted_sql", 1, 15, "found select",
       "the string that began at column 1 ended before here; is a quote missing, or not doubled ('')?"},
      {"'A' ~> 'SELECT 'abc''", "unexpected_name", 1, 17, "found abc", "began at column 8 ended before here"},
      {"'SELECT\n1 + '1'", "unexpected_token", 2, 6, "found the number 1", "began at line 1, column 1"},
      {"df.sql('it's')", "unexpected_name", 1, 12, "found s", "began at column 8"},
      {"'A' select", "unquoted_sql", 1, 5, "found select", "a SQL step is a string"},
  });
}

TEST_CASE("argument errors name the function and the argument", "[L1.4][L3.6][L4.5][S2.10]") {
  check({
      {"df.sleep()", "missing_argument", 1, 1, "seconds is missing", "df.sleep(seconds)"},
      {"df.sleep(NULL)", "missing_argument", 1, 1, "must not be NULL", "df.sleep"},
      {"df.sleep(1, 2)", "too_many_arguments", 1, 13, "at most 1 argument", "df.sleep(seconds)"},
      {"df.break(1, 2)", "too_many_arguments", 1, 13, "at most 1 argument", "df.break"},
      {"df.sleep(second => 1)", "unknown_argument", 1, 10, "no argument named second",
       "did you mean seconds"},
      {"df.seq(a => 'A', b => 'B')", "unknown_argument", 1, 8, "no named arguments", ""},
      {"df.http(url => 'u', 'GET')", "bad_argument", 1, 21, "positional", ""},
      {"df.http('u', url => 'v')", "bad_argument", 1, 14, "given twice", ""},
      {"df.seq('A')", "missing_argument", 1, 1, "two steps or more", ""},
      {"df.join3('A', 'B')", "missing_argument", 1, 1, "c is missing", "df.join3"},
      {"df.sleep(-1)", "bad_argument", 1, 10, "must not be negative, found -1", ""},
      {"df.sleep(1e999)", "bad_argument", 1, 10, "must be finite", ""},
      {"df.sleep(interval '101 years')", "bad_argument", 1, 10, "100 years", ""},
      {"df.sleep('soon')", "bad_argument", 1, 10, "number of seconds or an interval, found the string 'soon'",
       ""},
      {"df.sleep(true)", "bad_argument", 1, 10, "found true", ""},
      {"df.sleep('A' ~> 'B')", "bad_argument", 1, 10, "found a step", ""},
      {"df.timeout('A', 0)", "bad_argument", 1, 17, "greater than 0", ""},
      {"df.http('u', 'HEAD')", "bad_argument", 1, 14, "found 'HEAD'", ""},
      {"df.http('')", "bad_argument", 1, 9, "url must not be empty", ""},
      {"df.http('u', headers => '[]')", "bad_argument", 1, 25,
       "headers must be a JSON object, found an array", ""},
      {"df.http('u', headers => '{\"a b\":\"c\"}')", "bad_argument", 1, 25, "'a b' is not a header name", ""},
      {"df.http('u', headers => '{\"a\":{}}')", "bad_argument", 1, 25, "value of 'a' must be a string", ""},
      {"df.http('u', headers => '{\"a\":\"b\\r\\nc: d\"}')", "bad_argument", 1, 25, "line break", ""},
      {"df.http_multipart('u', parts => '[]')", "bad_argument", 1, 33, "one part or more", ""},
      {"df.http_multipart('u', parts => '[{\"name\":\"a\",\"data_b64\":\"x$y\"}]')", "bad_argument", 1, 33,
       "whole value", ""},
      {"df.http_multipart('u', parts => '[{\"name\":\"a\",\"data_b64\":\"abc\"}]')", "bad_argument", 1, 33,
       "not base64", ""},
      {"df.wait_for_schedule('61 * * * *')", "bad_argument", 1, 22, "61", ""},
      {"df.wait_for_schedule('$c', 'Nowhere/Land')", "bad_argument", 1, 28, "Nowhere/Land", ""},
      {"df.wait_for_schedule('0 0 31 2 *')", "bad_argument", 1, 22, "never comes", ""},
      {"df.break(interval '90 seconds')", "bad_argument", 1, 10, "must not be an interval",
       "df.break('90 seconds')"},
      {"df.sleep(interval '-1 s 1.05 s')", "bad_cast", 1, 10, "not an interval", ""},
      {"'; SELECT 1'", "bad_sql_step", 1, 1, "a semicolon stands before this one", ""},
      {"'SELECT 1' |=> 'r' ~> '$r.ok'", "bad_sql_step", 1, 23, "begins with a value; write SELECT $r.ok", ""},
      {"df.for_each('$b.*', 'SELECT 1')", "bad_sql_step", 1, 13, "write SELECT * FROM $b.*", ""},
      {"df.if('1 > 0', 'SELECT 1')", "bad_sql_step", 1, 7, "write SELECT and then the value", ""},
      {"'''SELECT 1'' ~> ''SELECT 2'''", "bad_sql_step", 1, 1,
       "the text of a workflow: INSERT INTO df.submit", ""},
      {"df.sql('df.sleep(1)')", "bad_sql_step", 1, 8, "the text of a workflow", ""},
      {"df.http('u', body => '{\"a\": $x', headers => '{\"Content-Type\": \"application/json\"}')",
       "bad_argument", 1, 22, "body is not JSON", ""},
      {"df.wait_for_signal(' ')", "bad_argument", 1, 20, "must not be empty", ""},
      {"df.for_each('A', 'B', 0)", "bad_argument", 1, 23, "max_parallel must be between 1 and", ""},
      {"df.for_each('A', 'B', 1.5)", "bad_argument", 1, 23, "an integer", ""},
      {"df.retry('A', 0)", "bad_argument", 1, 15, "max_attempts must be between 1 and", ""},
      {"df.retry('A', 2, backoff => 0.5)", "bad_argument", 1, 29, "backoff must be between 1 and", ""},
      {"df.for_each('A', 'B', name => 'a b')", "bad_argument", 1, 31, "not a valid identifier", ""},
      {"df.http('u', timeout_seconds => 0)", "bad_argument", 1, 33, "greater than 0", ""},
      {"df.wait_for_schedule('* * * *')", "bad_argument", 1, 22, "has 4 fields", ""},
      {"df.retry('A', 2, on => 'all')", "bad_argument", 1, 24, "found 'ALL'", ""},
      {"df.start('A', priority => 40000)", "bad_argument", 1, 27, "between -32768 and 32767", ""},
      {"df.start('A', transaction_mode => 'x')", "bad_argument", 1, 35, "invalid transaction_mode", ""},
      {"'A' |=> '1x'", "invalid_identifier", 1, 5, "'1x' is not a valid identifier", ""},
      {"df.as('A', 'a b')", "invalid_identifier", 1, 12, "'a b' is not a valid identifier", ""},
      {"df.if_rows('a-b', 'A')", "bad_argument", 1, 12, "'a-b' is not a valid identifier", ""},
  });
}

TEST_CASE("a label and an idempotency key are as short as their columns want them") {
  std::string longest;
  for (int i = 0; i < 1'000; ++i) longest += "é";
  for (const auto& [argument, what] :
       {std::pair{"label", "a label"}, std::pair{"idempotency_key", "an idempotency key"}}) {
    const std::string text = "df.start('A', " + std::string(argument) + " => '";
    CHECK(parse(text + longest + "')").body == "'A'");
    const Diagnostic error = parse_error(text + longest + "x')");
    CHECK(error.code == "bad_argument");
    CHECK_THAT(error.message, ContainsSubstring(std::string(what) + " has at most 1000 characters"));
  }
}

TEST_CASE("casts and steps of the wrong type are refused", "[L1.2]") {
  check({
      {"'x'::json", "bad_cast", 1, 1, "not valid JSON", ""},
      {"df.sleep('x'::interval)", "bad_cast", 1, 10, "not an interval", ""},
      {"df.sleep(true::int)", "bad_cast", 1, 10, "cannot be cast to int", ""},
      {"df.sleep(1)::text", "bad_cast", 1, 1, "only a literal", ""},
      {"'x'::regclass", "unknown_type", 1, 6, "regclass", "json, jsonb"},
      {"'A' ~> 5", "not_a_step", 1, 8, "found the number 5", "SQL in a string"},
      {"'A' ~> NULL", "not_a_step", 1, 8, "found NULL", "SQL in a string"},
      {"true", "not_a_step", 1, 1, "found true", "SQL in a string"},
  });
}

TEST_CASE("a SQL step is exactly one statement that a step may run", "[L3.1][L5.10]") {
  check({
      {"'A' ~> ''", "bad_sql_step", 1, 8, "this one is empty", ""},
      {"'-- nothing'", "bad_sql_step", 1, 1, "this one is empty", ""},
      {"'A; B'", "bad_sql_step", 1, 1, "exactly one statement; this text has 2", ""},
      {"'begin'", "bad_sql_step", 1, 1, "BEGIN cannot be a step", ""},
      {"'COPY t FROM STDIN'", "bad_sql_step", 1, 1, "COPY", ""},
  });
}

TEST_CASE("an embedded graph's error stands at its string, a whole graph's without a place") {
  check({
      {R"('A' ~> '{"node_type":"X"}')", "invalid_graph", 1, 8,
       "Invalid durable function graph: root: Unknown node_type 'X'", ""},
      {R"({"node_type":"X"})", "invalid_graph", 1, 1, "Unknown node_type 'X'", ""},
      {"{", "invalid_graph", 1, 1, "not valid JSON", ""},
  });
}

TEST_CASE("a diagnostic prints its place, the line with a caret under the character, and the hint",
          "[L1.6]") {
  CHECK(parse_error("'é' ~>\n\t'ü' || 'B'").to_string() ==
        "line 2, column 6: unknown operator ||; there is no SQL outside of quotes\n"
        "   'ü' || 'B'\n"
        "       ^\n"
        "hint: for a race write |; to join texts, do it in SQL");
}

TEST_CASE("an excerpt of a long line is cut around the place", "[L1.6]") {
  const Diagnostic error = parse_error("'" + std::string(500, 'a') + "' || '" + std::string(500, 'b') + "'");
  const std::size_t caret = error.excerpt.find('^') - error.excerpt.find('\n') - 1;
  CHECK(error.column == 504);
  CHECK(caret == 61);
  CHECK(error.excerpt.size() < 300);
}

}  // namespace durabled::test
