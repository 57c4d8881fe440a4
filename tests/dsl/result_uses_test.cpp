// Warnings about results that are read in a way that is more often a mistake, and what a statement returns.
#include "dsl/graph/returned_columns.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

// The first warning or note with this code: "message (hint)"; empty for none.
std::string found(const std::string& code, const std::string& text) {
  const ParsedWorkflow workflow = parse(text);
  for (const auto* list : {&workflow.warnings, &workflow.notes}) {
    for (const Diagnostic& each : *list) {
      CHECK((each.severity == Diagnostic::Severity::kNote) == (list == &workflow.notes));
      if (each.code == code) return each.message + " (" + each.hint + ")";
    }
  }
  return "";
}

std::string columns(const std::string& sql) {
  const auto all = returned_columns(sql);
  if (!all) return "unknown";
  std::string text;
  for (const std::string& each : *all) text += (text.empty() ? "" : " ") + (each.empty() ? "?" : each);
  return all->empty() ? "none" : text;
}

}  // namespace

TEST_CASE("the columns of a statement are known as far as its text tells") {
  CHECK(columns("SELECT a, t.b, c AS \"D\", count(*), 1 + 2, 1 AS e FROM t") == "a b d count ? e");
  CHECK(columns("SELECT (SELECT x FROM y) AS s, f(a, b)::int, coalesce(a, b) FROM t") == "s ? coalesce");
  CHECK(columns("SELECT DISTINCT ON (a, b) a, b c FROM t") == "a ?");
  CHECK(columns("SELECT ALL a UNION SELECT b, c") == "a");
  CHECK(columns("-- c\nselect /* , */ 'a, b' AS x;") == "x");
  CHECK(columns("SELECT E'\\', ' AS x, $$ , $$ AS y, $r.z, \"$r.z\", NULL") == "x y ? ? ?");
  CHECK(columns("SELECT array[1, 2] AS x, extract(year FROM d) AS y") == "x y");
  CHECK(columns("SELECT * FROM t") == "unknown");
  CHECK(columns("SELECT t.* FROM t") == "unknown");
  CHECK(columns("SELECT a INTO b FROM t") == "unknown");
  CHECK(columns("SELECT {columns} FROM t") == "unknown");
  CHECK(columns("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x") == "unknown");
  CHECK(columns("VALUES (1)") == "unknown");
  CHECK(columns("") == "unknown");
  CHECK(columns("(SELECT 1 AS a)") == "unknown");
  CHECK(columns("INSERT INTO t SELECT a FROM (SELECT 1 AS returning) s") == "none");
  CHECK(columns("INSERT INTO t VALUES (1) RETURNING id, now() AS at") == "id at");
  CHECK(columns("DELETE FROM t RETURNING *") == "unknown");
  CHECK(columns("UPDATE t SET a = 'returning b'") == "none");
  CHECK(columns("MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE") == "none");
  CHECK(columns("SELECT 'unclosed") == "?");
  CHECK(columns("SELECT \"") == "?");
}

TEST_CASE("a copy to a file or a program of the server is told from other copies") {
  CHECK(copies_to_server("COPY t TO '/tmp/x'"));
  CHECK(copies_to_server("/* c */ copy (SELECT 1 AS \"to\") to program 'x'"));
  CHECK_FALSE(copies_to_server("COPY t FROM '/tmp/x'"));
  CHECK_FALSE(copies_to_server("COPY t TO STDOUT"));
  CHECK_FALSE(copies_to_server("SELECT 'COPY t TO ''x'''"));
  CHECK_FALSE(copies_to_server("COPY t TO"));
}

TEST_CASE("a field that no signal's result has is a warning with the right form") {
  const auto of = [](const std::string& read) {
    return found("signal_field", "(df.wait_for_signal('s', 5) |=> 'sig') ~> " + read);
  };
  CHECK(
      of("'SELECT $sig::jsonb->>''approved'''") ==
      "$sig ->> 'approved' is no field of a signal's result: that has signal_name, timed_out and data (write "
      "$sig.data.approved)");
  CHECK_THAT(of("'SELECT (($sig)::jsonb) -> ''order id'''"), ContainsSubstring("write $sig.data)"));
  CHECK_THAT(of("'SELECT $sig.approved?'"), ContainsSubstring("write $sig.data.approved"));
  CHECK_THAT(of("df.sleep('$sig.pause')"), ContainsSubstring("write $sig.data.pause"));
  CHECK(of("'SELECT $sig.data.approved, $sig.timed_out, $sig::jsonb ->> ''signal_name'''") == "");
  CHECK(of("'SELECT $sig::jsonb -> ''data'' ->> ''x'', $sig, f($sig::jsonb, ''x'')'") == "");
  CHECK(of("'SELECT ''$sig::jsonb->>''''x'''''' /* $sig.x */'") == "");
  CHECK(of("('SELECT 1 AS x' |=> 'sig') ~> 'SELECT $sig.x'") == "");
  CHECK(found("signal_field", "df.catch(df.wait_for_signal('s', 5), 'A') |=> 'sig' ~> 'SELECT $sig.x'") ==
        "");
}

TEST_CASE("a column that a statement does not return is a warning") {
  const auto of = [](const std::string& text) { return found("missing_column", text); };
  CHECK(
      of("'INSERT INTO t VALUES (1)' |=> 'n' ~> 'SELECT $n.id'") ==
      "$n.id is read, but the statement that it names returns no rows (add RETURNING id to that statement)");
  CHECK_THAT(of("'UPDATE t SET a = 1' |=> 'n' ~> df.sleep('$n')"),
             ContainsSubstring("add RETURNING and the columns"));
  CHECK(of("'SELECT id, total AS sum FROM t' |=> 'n' ~> 'SELECT ''$n.total'''") ==
        "$n.total is read, but the statement that it names returns no such column (it returns: id, sum)");
  CHECK(of("'DELETE FROM t' |=> 'n' ~> 'SELECT $n.affected, $n.row_count, $n.id?'") == "");
  CHECK(of("'SELECT a, 1 + 1 FROM t' |=> 'n' ~> 'SELECT $n.b'") == "");
  CHECK(of("'SELECT * FROM t' |=> 'n' ~> 'SELECT $n.b'") == "");
  CHECK(of("'SELECT \"A\" FROM t' |=> 'n' ~> 'SELECT $n.A'") == "");
  CHECK(of("('SELECT 1 AS a' |=> 'n') ~> df.if('B', 'SELECT 1 AS b' |=> 'n') ~> 'SELECT $n.a, $n.b'") == "");
  CHECK(of("df.if('C', 'SELECT 1 AS a', df.sleep(1)) |=> 'n' ~> 'SELECT $n.slept'") == "");
  CHECK(of("df.for_each('SELECT 1 AS a', 'SELECT $item.b')") == "");
}

TEST_CASE("the first column alone in a JSON body is a warning, one whole JSON value is none") {
  const auto of = [](const std::string& select, const std::string& body) {
    return found("first_column", "'" + select + "' |=> 'o' ~> df.http('u', body => '" + body + "')");
  };
  CHECK_THAT(of("SELECT id, total FROM t", "{\"order\": $o}"),
             ContainsSubstring("$o is the first column of its result alone (write $o.column"));
  CHECK_THAT(of("SELECT id, total FROM t", " [\"$o\"]"), ContainsSubstring("first column"));
  CHECK(of("SELECT to_jsonb(t) FROM t", "{\"order\": $o}") == "");
  CHECK(of("SELECT id, total FROM t", "{\"order\": $o.id, \"all\": $o.*}") == "");
  CHECK(of("SELECT id, total FROM t", "$o") == "");
  CHECK(of("SELECT * FROM t", "{\"order\": $o}") == "");
}

TEST_CASE("an answer that is used whatever its status is, is a warning; one that nothing reads is a note") {
  const auto warning = [](const std::string& text) { return found("unread_status", text); };
  const auto note = [](const std::string& text) { return found("unread_call", text); };
  CHECK(warning("(df.http('u') |=> 'a') ~> 'SELECT $a.body'") ==
        "the answer of this call is used whatever its status is, 404 included (add expect => '2xx', which "
        "fails on any "
        "other answer, or look at $a.ok or $a.status)");
  CHECK(warning("(df.retry(df.http('u'), 3) |=> 'a') ~> df.http('v', body => '$a.body', expect => '2xx')") !=
        "");
  for (const char* reads : {"'SELECT $a.ok, $a.body'", "'SELECT $a.body, $a::jsonb'",
                            "df.if('SELECT $a.status', 'SELECT $a.body')",
                            "df.break('$a') ~> 'SELECT $a.body'", "'SELECT $a.body {sql}'"}) {
    INFO(reads);
    CHECK(warning(std::string("(df.http('u') |=> 'a') ~> ") + reads) == "");
  }
  CHECK(warning("(df.http('u', expect => '200 404') |=> 'a') ~> 'SELECT $a.body'") == "");
  CHECK(warning("(df.http('u') & 'B') |=> 'a' ~> 'SELECT $a.body'") == "");
  CHECK(note("df.http('u') ~> 'B'") != "");
  CHECK(note("df.catch(df.retry(df.http('u'), 2), 'H') ~> 'B'") != "");
  CHECK(note("'A' ~> df.http('u')") == "");
  CHECK(note("df.for_each('A', df.http('u')) ~> 'B'") == "");
  CHECK(note("df.http('u', expect => '2xx') ~> 'B'") == "");
  CHECK(note("df.if(df.http('u'), 'A') ~> 'B'") == "");
  const auto into = [](const std::string& statement, const std::string& more = "") {
    return "df.http('u', into => 'INSERT INTO t SELECT " + statement + "'" + more + ") ~> 'B'";
  };
  CHECK_THAT(warning(into("$response.body")),
             ContainsSubstring("or look at $response.ok or $response.status"));
  CHECK(warning(into("$response.body WHERE $response.ok")) == "");
  CHECK(warning(into("$response::jsonb")) == "");
  CHECK(warning(into("$response.body", ", expect => '2xx'")) == "");
  CHECK(note(into("1")) != "");
  CHECK(warning(
            "(df.http('u') |=> 'response') ~> df.http('v', into => 'SELECT $response.ok, $response.body')") ==
        "");
  CHECK(found("missing_column",
              "'SELECT 1 AS a' |=> 'response' ~> df.http('v', into => 'SELECT $response.ok')") == "");
  CHECK(found("unused_name",
              "'SELECT 1 AS a' |=> 'response' ~> df.http('v', into => 'SELECT $response.ok') ~> 'B'") != "");
}

TEST_CASE("files of the server, variables in credentials and waits without an end are found") {
  CHECK(found("server_file", "'COPY t TO ''/tmp/x'''") != "");
  CHECK_THAT(
      found("header_variable", "df.http('u', headers => '{\"Authorization\": \"Bearer {token}\"}')"),
      ContainsSubstring("the header Authorization holds a variable") && ContainsSubstring("{secret.NAME}"));
  CHECK(found("header_variable",
              "df.http('u', headers => '{\"Authorization\": \"{secret.T}\", \"X\": \"{x}\"}')") == "");
  CHECK(found("endless_wait", "df.wait_for_signal('s')") != "");
  CHECK(found("endless_wait", "df.wait_for_signal('s', 5)") == "");
  CHECK(found("endless_wait", "df.timeout('A' ~> df.wait_for_signal('s'), 5)") == "");
  CHECK(found("endless_wait", "df.wait_for_signal('s') | df.sleep(5)") == "");
  CHECK(parse("df.wait_for_signal('s')").warnings.empty());
}

TEST_CASE("IN and ANY take all rows of a name, so that neither is warned about") {
  CHECK(parse("'SELECT id FROM t' |=> 'batch' ~> 'DELETE FROM t WHERE id IN ($batch) OR id = ANY($batch)'")
            .warnings.empty());
}

}  // namespace durabled::test
