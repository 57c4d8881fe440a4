// df.explain reads the texts of the language too: it draws what the parser draws, and calls nothing but df functions,
// whatever the text holds.
#include <algorithm>
#include <sstream>

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

const std::string kRefused = "Invalid durable function graph: ";

std::string explain(Sql& sql, const std::string& text) {
  return sql.text("select df.explain($1)", text);
}

std::string plan_of(const std::string& explained) {
  return explained.substr(0, explained.find("\n\nWarning: ")) + "\n";
}

// The messages of the warnings, sorted, a line each.
std::string warnings_of(const std::string& explained) {
  std::vector<std::string> found;
  std::istringstream lines(explained);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Warning: ")) found.push_back(line.substr(9));
  }
  std::sort(found.begin(), found.end());
  std::string text;
  for (const std::string& each : found) text += each + "\n";
  return text;
}

std::string warnings_of(const dsl::ParsedWorkflow& workflow) {
  std::string text;
  for (const dsl::Diagnostic& each : workflow.warnings) {
    if (is_of_the_parser(each)) continue;
    text += "Warning: " + each.message + "\n";
  }
  return warnings_of(text);
}

void check_explained(Sql& sql, const std::string& text) {
  INFO(text);
  const auto parsed = dsl::read_workflow(text, {});
  REQUIRE(parsed);
  const std::string explained = explain(sql, text);
  INFO(explained);
  if (!parsed->errors.empty()) {
    CHECK_THAT(explained, ContainsSubstring(kRefused) && ContainsSubstring("nothing before binds that name"));
    return;
  }
  CHECK(plan_of(explained) == dsl::print_tree(parsed->graph));
  CHECK(warnings_of(explained) == warnings_of(*parsed));
}

}  // namespace

TEST_CASE("df.explain draws a text as the parser draws it, with its warnings", "[smoke][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const std::string& expression : read_blocks("expressions.txt")) {
    if (!expression.starts_with("{")) check_explained(sql, " \n\t" + expression);
  }
  for (std::uint64_t seed = 1; seed <= 60; ++seed) check_explained(sql, dsl::print(random_graph(seed)));
  check_explained(sql, "SELECT df.start('A' ~> 'B', label => 'x', priority => 3) ;");
  check_explained(sql, "df.retry('A', 3, interval '5 seconds', max_delay => '10', on => 503)");
  check_explained(sql, "df.http('u', timeout_seconds => interval '5 minutes')");
}

TEST_CASE("df.explain says what is wrong with a text that the parser refuses", "[S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const std::string& expression : read_blocks("bad_expressions.txt")) {
    INFO(expression);
    CHECK_THAT(explain(sql, expression), ContainsSubstring(kRefused));
  }
  CHECK_THAT(explain(sql, "'A' ~>\n  df.slep(5)"), ContainsSubstring("unknown function df.slep"));
  CHECK_THAT(explain(sql, "'A'\n ~> now()"), ContainsSubstring("found now (line 2, column 5)"));
  CHECK_THAT(explain(sql, "'A' ~> 'B"), ContainsSubstring("not closed (line 1, column 8)"));
}

TEST_CASE("plain text that is neither a statement nor a workflow is refused, as df.submit refuses it",
          "[S2.3][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* text : {"no_such_column", "SELECT 1 ~> SELECT 2", "hello world", "SELECT 1 |=> 'x'",
                           "sleep(1) ~> 'A'", "/* c */ foo", "SELECT (1) ?> 'A'"}) {
    INFO(text);
    const auto parsed = dsl::read_workflow(text, {});
    REQUIRE_FALSE(parsed);
    CHECK_THAT(explain(sql, text), ContainsSubstring("there is no SQL outside of quotes"));
    CHECK_THAT(sql.expects_error("22023", "select df.start($1)", std::string(text)),
               ContainsSubstring("there is no SQL outside of quotes"));
  }
  for (const char* text :
       {"SELECT f('A' ~> 'B')", "SELECT '~>'", "TABLE t", "/* c */ VACUUM t", "$statement", "(VALUES (1))",
        "{statement}", "REINDEX TABLE t", "WITH a AS (SELECT 1 AS \"~>\") TABLE a"}) {
    INFO(text);
    CHECK(sql.text("select coalesce(df._plain_problem($1), '')", std::string(text)) == "");
  }
}

TEST_CASE("df.explain answers names that people know from elsewhere as the reader of df.submit does",
          "[L3.17]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  int count = 0;
  for (const auto& row : sql.exec("select key, value from jsonb_each_text(df._synonyms())")) {
    const std::string text = "df." + *row[0] + "('A')";
    INFO(text);
    const auto parsed = dsl::read_workflow(text, {});
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().hint == "did you mean " + *row[1] + "?");
    CHECK_THAT(explain(sql, text), ContainsSubstring("Did you mean " + *row[1] + "?"));
    ++count;
  }
  CHECK(count >= 60);
}

TEST_CASE("df.explain warns of parameters in statements as the parser does", "[L2.5][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* text :
       {"'SELECT $1'", "$q$UPDATE t SET a = $2 WHERE b = 'it''s $1'$q$", "'CALL p($1);' ~> 'SELECT $2'",
        "'PREPARE p AS SELECT $1'", "$q$SELECT '$1', $$ $1 $$, \"$1\" -- $1$q$", "'SELECT a$1 FROM t'",
        "$q$CREATE FUNCTION f(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT $1; END$q$"}) {
    check_explained(sql, text);
  }
  CHECK_THAT(explain(sql, "'SELECT $1'"),
             ContainsSubstring("Warning: $1 is a parameter, and a SQL step has no parameters"));
}

TEST_CASE("df.explain warns of results that are read wrongly, of files of the server and of open credentials",
          "[L2.5][S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* text :
       {"(df.wait_for_signal('s', 5) |=> 'sig') ~> 'SELECT $sig::jsonb ->> ''approved'''",
        "(df.wait_for_signal('s', 5) |=> 'sig') ~> 'SELECT ($sig)::json->''a b''' ~> 'SELECT $sig.x.y'",
        "(df.wait_for_signal('s', 5) |=> 'sig') ~> 'SELECT $sig ->> ''data'', $sig.timed_out, $sig'",
        "(df.wait_for_signal('s', 5) |=> 'sig') ~> df.http('http://h/$sig.key', expect => '200')",
        "df.retry('A' ~> df.wait_for_signal('s', 5), 2) |=> 'sig' ~> 'SELECT ${sig.key}'",
        "df.catch(df.wait_for_signal('s', 5), 'A') |=> 'sig' ~> 'SELECT $sig.key'",
        "df.if('A', df.wait_for_signal('s', 5)) |=> 'sig' ~> 'SELECT $sig.key'",
        "df.for_each('A', 'SELECT $sig.key', name => 'sig') ~> (df.wait_for_signal('s', 5) |=> 'sig')",
        "(df.http('u') |=> 'a') ~> 'SELECT $a.body'",
        "(df.retry(df.http('u'), 3) |=> 'a') ~> 'SELECT $a.headers'",
        "(df.http('u') |=> 'a') ~> df.http('v', body => '$a.body') ~> 'SELECT $a.status'",
        "(df.http('u') |=> 'a') ~> 'SELECT $a.body' ~> df.if_rows('a', 'B')",
        "(df.http('u', expect => '2xx') |=> 'a') ~> 'SELECT $a.body'",
        "(df.http('u') |=> 'a') ~> 'SELECT $a.body' ~> '{sql}'",
        "(('A' ~> df.http('u')) |=> 'a') ~> 'SELECT $a.body'",
        "((df.http('u') ~> 'A') |=> 'a') ~> 'SELECT $a.body'",
        "'COPY t TO ''/tmp/x'''",
        "'copy (SELECT ''to'' FROM t) /* c */ TO PROGRAM ''x'''",
        "'COPY t FROM ''/tmp/x'''",
        "'SELECT ''copy t to ''''x'''''''",
        "df.http('u', headers => '{\"Authorization\": \"Bearer {token}\"}')",
        "df.http('u', headers => '{\"x-api-key\": \"{key}\", \"X\": \"{x}\"}')",
        "df.http('u', headers => '{\"Authorization\": \"Bearer {secret.TOKEN}\", \"X\": \"{x}\"}')"}) {
    check_explained(sql, text);
  }
  CHECK_THAT(explain(sql, "(df.wait_for_signal('s') |=> 'sig') ~> 'SELECT $sig::jsonb ->> ''approved'''"),
             ContainsSubstring("Warning: $sig ->> 'approved' is no field of a signal's result"));
}

TEST_CASE("a JSON body with a name that nothing binds is refused by both doors", "[L1.8][S2.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const auto& [body, is_refused] :
       std::vector<std::pair<std::string, bool>>{{"{\"a\": $x}", true},
                                                 {"[1, $x.y?]", true},
                                                 {"{\"a\": \"$x\"}", false},
                                                 {"{\"a\": {v}, \"b\": $x}", false},
                                                 {"$x", false},
                                                 {"not JSON $x", false}}) {
    INFO(body);
    const auto parsed = dsl::read_workflow("df.http('http://h', body => $q$" + body + "$q$)", {});
    REQUIRE(parsed);
    CHECK(parsed->errors.empty() != is_refused);
    const std::string problem = sql.text(
        "select coalesce(df._graph_problem(df.http('http://h', body => $1::text), 256, 10000, 1048576), '')",
        body);
    CHECK((problem.find("$x is referenced, but nothing before binds that name") != std::string::npos) ==
          is_refused);
  }
}

TEST_CASE("an error of df.start has one line of context", "[S2.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  sql.exec(
      "do $$ declare c text; begin perform df.start('SELECT 1; SELECT 2'); exception when others then get "
      "stacked "
      "diagnostics c = pg_exception_context; perform set_config('test.context', c, false); end $$");
  const std::string context = sql.text("select current_setting('test.context')");
  CHECK_THAT(context, ContainsSubstring("function df.start("));
  CHECK_THAT(context, !ContainsSubstring("_graph_problem") && !ContainsSubstring("_check"));
}

TEST_CASE("df.explain shows a plain statement as one step, and an id as that instance", "[S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK(explain(sql, "SELECT 1") == "SQL: SELECT 1");
  CHECK(explain(sql, "(SELECT 'x' ~ 'y')") == "SQL: (SELECT 'x' ~ 'y')");
  CHECK(explain(sql, "-- 'A' ~> 'B'\nVALUES ('x')") == "SQL: -- 'A' ~> 'B' VALUES ('x')");
  CHECK(explain(sql, "SELECT df.start('A') FROM t") == "SQL: SELECT df.start('A') FROM t");
  CHECK_THROWS_AS(explain(sql, "zzzzzzzz"), SqlError);
}

TEST_CASE("df.explain calls nothing but functions of df, whatever a text holds", "[smoke][S3.6]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  sql.exec("create table public.called (what text)");
  // Whoever may create functions, operators and types that look like those of the language.
  for (const char* schema : {"public", "pg_temp"}) {
    const std::string in = std::string(schema) + ".";
    for (const char* function :
         {"sleep(int)", "sleep(text)", "sql(text)", "seq(text[])", "evil(text)", "_node(text)"}) {
      sql.exec("create function " + in + function +
               " returns text language plpgsql as $$ begin insert into public.called values ('x'); return "
               "'x'; end $$");
    }
    sql.exec("create function " + in +
             "hit(int, int) returns text language plpgsql as "
             "$$ begin insert into public.called values ('hit'); return 'x'; end $$");
    sql.exec("create function " + in +
             "hit(varchar, varchar) returns text language plpgsql as "
             "$$ begin insert into public.called values ('hit'); return 'x'; end $$");
    for (const char* op : {"~>", "&&&", "||"}) {
      sql.exec("create operator " + in + op + " (leftarg = int, rightarg = int, function = " + in + "hit)");
      sql.exec("create operator " + in + op + " (leftarg = varchar, rightarg = varchar, function = " + in +
               "hit)");
    }
    sql.exec("create domain " + in + "interval as text check (public.evil(value) is not null)");
    sql.exec("create domain " + in + "numeric as text check (public.evil(value) is not null)");
  }
  sql.exec("set search_path = pg_temp, public, pg_catalog");
  for (const char* text : {"'A' ~> df.sleep(1)",
                           "df.seq('A', 'B')",
                           "5 ~> 6",
                           "'a'::varchar ~> 'b'::varchar",
                           "'A' || 'B'",
                           "df.sleep(1 || 2)",
                           "df.sleep(evil('x'))",
                           "df.sleep(public.evil('x'))",
                           "df.evil('x')",
                           "df.sql(evil('x'))",
                           "'A' &&& 'B'",
                           "evil('x')",
                           "public.evil('x')",
                           "df.sleep(interval '5')",
                           "df.sleep('5'::interval)",
                           "df.sleep('5'::numeric)",
                           "df.sleep('5'::public.interval)",
                           "df.break(1.5::numeric)",
                           "df.sleep((select evil('x')))",
                           "df.sleep(1); select evil('x')",
                           "df.sleep(1)) , (evil('x')",
                           "df.http(E'\\'||evil(\\'x\\')||\\'')",
                           "df.http(E'a\\\\'||evil('x')||'')",
                           "df.sql('''||evil(''x'')||''')",
                           "df.\"sleep(1), evil\"('x')",
                           "df.sleep(seconds => evil('x'))",
                           "df.sleep(\"seconds => evil('x') --\" => 1)",
                           "df.sql($x$ $x$ || evil('x') || $x$ $x$)",
                           "df.sql(U&'x' UESCAPE evil('!'))",
                           "df.sql(U&'\\0027||evil(\\0027x\\0027)||\\0027')",
                           "df.break(case when true then evil('x') end)",
                           "/* */ df.sleep(1) /* '' */ ~> evil('x')",
                           "'A' |=> evil('x')",
                           "df.setvar('a', 'b')",
                           "df.grant_usage('x')",
                           "df.start(evil('x'))",
                           "df.start('A', label => evil('x'))",
                           "df.sleep(1e9999999)",
                           "df.sql('select evil(''x'')')",
                           "df.sleep('{x}'::text::varchar(3))",
                           "row(evil('x'))",
                           "array[evil('x')]",
                           "df.sleep(-evil('x'))",
                           "$1",
                           "df.sleep(:x)",
                           "df.seq(variadic array[evil('x')])"}) {
    INFO(text);
    sql.exec("select df.explain($1)", std::string(text));
    CHECK(sql.text("select count(*) from public.called") == "0");
  }
  CHECK(explain(sql, "'A' ~> df.sleep('5'::interval)") == "SQL: A\n→ SLEEP 5s");
}

TEST_CASE("df.start refuses the text of a workflow, and says where it belongs") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* text : {"'SELECT 1' ~> 'SELECT 2'", " df.sleep(1)", "$$SELECT 1$$", "-- c\n@> 'A'"}) {
    INFO(text);
    CHECK_THAT(sql.expects_error("22023", "select df.start($1)", text),
               ContainsSubstring("this is the text of a workflow: INSERT INTO df.submit"));
  }
}
