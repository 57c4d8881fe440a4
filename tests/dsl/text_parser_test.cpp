// Source to graph, as tables of dumps.
#include "dsl/graph/json.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

struct Row {
  const char* source;
  const char* expected;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    INFO(row.source);
    CHECK(dump(parse(row.source).graph) == row.expected);
  }
}

const Node& root(const ParsedWorkflow& workflow) {
  return workflow.graph[0];
}

}  // namespace

TEST_CASE("infix operators have one precedence and bind from the left", "[L2.1][L4.5]") {
  check({
      {"'A' ~> 'B' & 'C'", "JOIN(THEN(SQL[A], SQL[B]), SQL[C])"},
      {"'A' & 'B' ~> 'C'", "THEN(JOIN(SQL[A], SQL[B]), SQL[C])"},
      {"'A' | 'B' & 'C' | 'D'", "RACE(JOIN(RACE(SQL[A], SQL[B]), SQL[C]), SQL[D])"},
      {"'A' ~> ('B' & 'C')", "THEN(SQL[A], JOIN(SQL[B], SQL[C]))"},
      {"'A' |=> 'a' & 'B' |=> 'b'", "JOIN(SQL[A]=a, SQL[B])=b"},
      {"'A' |=> 'a' ~> 'B' |=> 'b' ~> 'C'", "THEN(THEN(SQL[A]=a, SQL[B])=b, SQL[C])"},
      {"'A' ~> 'C' ?> 'T' !> 'E'", "IF(THEN(SQL[A], SQL[C]), SQL[T], SQL[E])"},
      {"'C' ?> 'T' !> 'E' ~> 'F'", "THEN(IF(SQL[C], SQL[T], SQL[E]), SQL[F])"},
      {"'C' ?> 'T' ~> 'F'", "THEN(IF(SQL[C], SQL[T]), SQL[F])"},
      {"'C' ?> 'T' |=> 'n' !> 'E'", "IF(SQL[C], SQL[T], SQL[E])=n"},
      {"'C' ?> ('D' ?> 'T') !> 'E'", "IF(SQL[C], IF(SQL[D], SQL[T]), SQL[E])"},
      {"df.if_rows('r', 'T') !> 'E'", "IF[r](SQL[T], SQL[E])"},
      {"'A' |=> 'a' |=> 'b'", "SQL[A]=b"},
  });
}

TEST_CASE("the prefix operator binds tighter than any infix one", "[L2.1]") {
  check({
      {"@> 'A' ~> 'B'", "THEN(LOOP(SQL[A]), SQL[B])"},
      {"'A' ~> @> 'B' ~> 'C'", "THEN(SQL[A], LOOP(SQL[B]), SQL[C])"},
      {"@> @> 'A' |=> 'n'", "LOOP(LOOP(SQL[A]))=n"},
      {"@>('A'~>'B')", "LOOP(THEN(SQL[A], SQL[B]))"},
  });
}

TEST_CASE("operators join an unnamed left side of their own kind, parenthesised or not; calls nest",
          "[L2.2]") {
  check({
      {"'A' ~> 'B' ~> 'C'", "THEN(SQL[A], SQL[B], SQL[C])"},
      {"('A' ~> 'B') ~> 'C'", "THEN(SQL[A], SQL[B], SQL[C])"},
      {"df.seq('A', 'B') ~> 'C'", "THEN(SQL[A], SQL[B], SQL[C])"},
      {"'A' ~> ('B' ~> 'C')", "THEN(SQL[A], THEN(SQL[B], SQL[C]))"},
      {"('A' ~> 'B') |=> 'n' ~> 'C'", "THEN(THEN(SQL[A], SQL[B])=n, SQL[C])"},
      {"('A' & 'B') & 'C' & 'D'", "JOIN(SQL[A], SQL[B], SQL[C], SQL[D])"},
      {"('A' | 'B') | 'C'", "RACE(SQL[A], SQL[B], SQL[C])"},
      {"df.any('A', 'B') | 'C'", "RACE(ANY(SQL[A], SQL[B]), SQL[C])"},
      {"df.join(df.join('A', 'B'), 'C')", "JOIN(JOIN(SQL[A], SQL[B]), SQL[C])"},
  });
}

TEST_CASE("strings follow PostgreSQL's rules", "[L1.1]") {
  check({
      {"'it''s'", "SQL[it's]"},
      {"'a\\n'", "SQL[a\\n]"},
      {R"(E'a\'b\\c\x41\102\u00e9\U0001F600\q')", "SQL[a'b\\cABé😀q]"},
      {R"(e'\uD83D\uDE00')", "SQL[😀]"},
      {"'A'\n'B'", "SQL[AB]"},
      {"'A' -- more\n  'B'", "SQL[AB]"},
      {"E'\\x41'\n'\\x42'", "SQL[AB]"},
      {"$$it's$$", "SQL[it's]"},
      {"$a$x$$y$b$z$a$", "SQL[x$$y$b$z]"},
      {"$é_1$x$é_1$", "SQL[x]"},
      {"/* a /* nested */ b */ 'A' -- end", "SQL[A]"},
      {"\xEF\xBB\xBF'A'", "SQL[A]"},
      {"'A'::text", "SQL[A]"},
      {"text 'A'", "SQL[A]"},
  });
}

TEST_CASE("operators are lexed by their longest match, cut before comments and trailing signs", "[L1.1]") {
  check({
      {"'A'~>'B'&'C'", "JOIN(THEN(SQL[A], SQL[B]), SQL[C])"},
      {"'A'~>/* then */'B'", "THEN(SQL[A], SQL[B])"},
      {"'A'~>--then\n'B'", "THEN(SQL[A], SQL[B])"},
      {"'A'|=>'a'", "SQL[A]=a"},
      {"df.sleep(seconds=>+5)", "SLEEP[5]"},
      {"df.sleep(seconds:=5)", "SLEEP[5]"},
  });
}

TEST_CASE("every constructor takes its arguments by position and by name", "[L1.3]") {
  check({
      {"df.sql(query => 'A')", "SQL[A]"},
      {"DF.Sleep(1.50)", "SLEEP[1.5]"},
      {"\"df\".\"sleep\"(1)", "SLEEP[1]"},
      {"df.sleep(SECONDS => 1)", "SLEEP[1]"},
      {"df.if(\"cond\" => 'C', THEN => 'T')", "IF(SQL[C], SQL[T])"},
      {"df.if('C', 'T', NULL)", "IF(SQL[C], SQL[T])"},
      {"df.if(\"then\" => 'T', cond => 'C', else => 'E')", "IF(SQL[C], SQL[T], SQL[E])"},
      {"df.if_rows('r', 'T', 'E')", "IF[r](SQL[T], SQL[E])"},
      {"df.loop('A', condition => 'C')", "LOOP(SQL[A], SQL[C])"},
      {"df.loop('A', NULL)", "LOOP(SQL[A])"},
      {"df.break()", "BREAK"},
      {"df.break(NULL)", "BREAK"},
      {"df.break('')", "BREAK[]"},
      {"df.break(5)", "BREAK[5]"},
      {"df.join3(a => 'A', b => 'B', c => 'C')", "JOIN(SQL[A], SQL[B], SQL[C])"},
      {"df.race('A', 'B', 'C')", "RACE(SQL[A], SQL[B], SQL[C])"},
      {"df.as('A' ~> 'B', 'n')", "THEN(SQL[A], SQL[B])=n"},
      {"df.for_each('R', 'B')", "FOR_EACH(SQL[R], SQL[B])"},
      {"df.retry('A', 3)", "RETRY(SQL[A])"},
      {"df.timeout('A', interval '1 minute')", "TIMEOUT(SQL[A])"},
      {"df.catch('A', 'H')", "CATCH(SQL[A], SQL[H])"},
      {"df.wait_for_schedule('@daily')", "WAIT_SCHEDULE[@daily]"},
      {"df.wait_for_signal('go')", "SIGNAL[go]"},
      {"df.http('https://h/')", "HTTP[https://h/]"},
  });
}

TEST_CASE("options carry what was given and the defaults of what was not", "[L3.17]") {
  CHECK(root(parse("df.wait_for_schedule('@daily', 'Europe/Berlin')")).options ==
        NodeOptions(ScheduleOptions{"Europe/Berlin"}));
  CHECK(root(parse("df.wait_for_signal('go', '1 hour')")).options == NodeOptions(SignalOptions{3600.0}));
  CHECK(root(parse("df.wait_for_signal('go', NULL)")).options == NodeOptions(SignalOptions{}));
  CHECK(root(parse("df.http('u', 'get', 'b', '{\"A\": 1}', 2.5)")).options ==
        NodeOptions(HttpOptions{"GET", "b", "{\"A\":\"1\"}", std::nullopt, 2.5}));
  CHECK(root(parse("df.http('u', body => '{}'::jsonb)")).options ==
        NodeOptions(HttpOptions{"POST", "{}", {}, {}, 30}));
  CHECK(root(parse("df.for_each('R', 'B', 3, 'row')")).options == NodeOptions(ForEachOptions{3, "row"}));
  CHECK(root(parse("df.retry('A', 5, \"on\" => '40p01, 53')")).options ==
        NodeOptions(RetryOptions{5, 1, 2, 300, {"40P01", "53"}}));
  CHECK(root(parse("df.retry('A', 5, 2, 1.5, interval '1 min', on => 503)")).options ==
        NodeOptions(RetryOptions{5, 2, 1.5, 60, {"503"}}));
  CHECK(root(parse("df.timeout('A', 0.5)")).options == NodeOptions(TimeoutOptions{0.5}));
}

TEST_CASE("durations become canonical seconds, templates stay", "[L1.2][L3.19]") {
  check({
      {"df.sleep(30.0)", "SLEEP[30]"},
      {"df.sleep('.25')", "SLEEP[0.25]"},
      {"df.sleep(1e3)", "SLEEP[1000]"},
      {"df.sleep(interval '1 day 02:03:04')", "SLEEP[93784]"},
      {"df.sleep(interval '5' minute)", "SLEEP[300]"},
      {"df.sleep('PT5M'::interval)", "SLEEP[300]"},
      {"df.sleep('$x.seconds')", "SLEEP[$x.seconds]"},
      {"df.sleep('{delay}')", "SLEEP[{delay}]"},
  });
}

TEST_CASE("a literal takes a cast to each type that the language names", "[L1.2]") {
  check({
      {"'A'::text", "SQL[A]"},
      {"df.break('{\"a\": 1}'::json)", "BREAK[{\"a\": 1}]"},
      {"df.break('[1]'::jsonb)", "BREAK[[1]]"},
      {"df.sleep('00:01:30'::interval)", "SLEEP[90]"},
      {"df.sleep('1.5'::numeric)", "SLEEP[1.5]"},
      {"df.sleep('5'::int)", "SLEEP[5]"},
      {"df.break('t'::bool)", "BREAK[true]"},
      {"df.break(false)", "BREAK[false]"},
  });
}

TEST_CASE("df.start gives its arguments", "[L1.5]") {
  const auto workflow = parse(
      "SELECT df.start('A' ~> 'B', 'a label', priority => -5, database => 'other', "
      "start_at => '2030-01-01'::timestamptz, idempotency_key => 'k', transaction_mode => 'new');");
  CHECK(dump(workflow.graph) == "THEN(SQL[A], SQL[B])");
  CHECK(workflow.label == "a label");
  CHECK(workflow.database == "other");
  CHECK(workflow.priority == -5);
  CHECK(workflow.start_at == "2030-01-01");
  CHECK(workflow.idempotency_key == "k");
  CHECK(workflow.body == "'A' ~> 'B'");
  CHECK(parse("df.start(label => 'l', fut => ('A') & $$B, c$$)").body == "('A') & $$B, c$$");
  CHECK(parse("'A' ~> 'B'").body.empty());
  const auto plain = parse("df.start('A', NULL)");
  CHECK_FALSE(plain.label.has_value());
  CHECK_FALSE(plain.priority.has_value());
}

TEST_CASE("a string that holds the SQL door's JSON is a graph, any other string is SQL", "[L2.6]") {
  check({
      {R"('{"node_type":"SLEEP","query":"5","result_name":"s"}' ~> 'A')", "THEN(SLEEP[5]=s, SQL[A])"},
      {R"('{"node_type":"THEN","left_node":{"node_type":"SQL","query":"A"},"right_node":{"node_type":"SQL","query":"B"}}' ~> 'C')",
       "THEN(SQL[A], SQL[B], SQL[C])"},
      {R"('{"a": 1}')", R"(SQL[{"a": 1}])"},
      {"'{statement}'", "SQL[{statement}]"},
      {R"(df.sql('{"node_type":"SLEEP","query":"5"}'))", R"(SQL[{"node_type":"SLEEP","query":"5"}])"},
      {R"(  {"node_type":"BREAK"} )", "BREAK"},
  });
}

}  // namespace durabled::test
