#include "dsl/value/substitute.hpp"

#include <string>

#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

ResultPtr result(std::string json) {
  return std::make_shared<const Result>(std::move(json));
}

ResultPtr rows(const std::string& columns, const std::string& rows_json, int affected = 7) {
  return result(R"({"rows":[)" + rows_json + R"(],"row_count":3,"columns":[)" + columns + R"(],"affected":)" +
                std::to_string(affected) + "}");
}

// A row set of one row and one column "c".
ResultPtr one(const std::string& type, const std::string& cell) {
  std::string quoted;
  for (const char c : type) quoted += c == '"' ? "\\\"" : std::string(1, c);
  return rows(R"({"name":"c","type":")" + quoted + R"("})", R"({"c":)" + cell + "}");
}

const std::string kPair = R"({"name":"id","type":"integer"},{"name":"Total Sum","type":"numeric"})";

Names sample_names() {
  return {
      {"n",
       rows(R"({"name":"id","type":"integer"},{"name":"name","type":"text"},{"name":"j","type":"jsonb"},)"
            R"({"name":"gone","type":"date"},{"name":"ids","type":"integer[]"})",
            R"({"id":5,"name":"O'Neil","j":{"k":["a",{"z":-1.50}],"s":"x"},"gone":null,"ids":[1,2]},)"
            R"({"id":-6,"name":"b, c","j":null,"gone":"2026-01-01","ids":[3]})")},
      {"pair", rows(kPair, R"({"id":1,"Total Sum":"2.50"})")},
      {"none", rows(kPair, "", 4)},
      {"counts", rows(R"({"name":"row_count","type":"bigint"})", R"({"row_count":99})")},
      {"http", result(R"({"status":200,"body":"hi 'x'","headers":{"a":"b"},"ok":true,"nothing":null})")},
      {"list", result(R"([{"id":1},[2,3]])")},
      {"word", result(R"("hello")")},
      {"nil", result("null")},
      {"user", rows(R"({"name":"id","type":"integer"})", R"({"id":1})")},
      {"dollars", one("text", R"("a$$b$x$")")},
      {"slash", one("text", R"("a\\b'c")")},
      {"nul", one("text", R"("a\u0000b")")},
      {"quotes", one("text", R"("a\"b")")},
      {"Orders", one("integer", "1")},
      {"evil", one("text", R"("$n {v} ' -- /* $$")")},
  };
}

const Variables kVariables = {{"v", "var"},     {"ref", "$n.id"}, {"brace", "{v}"}, {"quote", "'"},
                              {"name", "n.id"}, {"dollar", "$"},  {"empty", ""},    {"comment", "-- "}};

std::string sql(std::string_view text) {
  const Names names = sample_names();
  const auto substituted = substitute_sql(text, {names, kVariables});
  return substituted ? *substituted : "error: " + substituted.error().message;
}

std::string text(std::string_view text) {
  const Names names = sample_names();
  const auto substituted = substitute_text(text, {names, kVariables});
  return substituted ? *substituted : "error: " + substituted.error().message;
}

std::string literal(const std::string& type, const std::string& cell) {
  const Names names = {{"x", one(type, cell)}};
  const auto substituted = substitute_sql("$x", {names, {}});
  return substituted ? *substituted : "error: " + substituted.error().message;
}

struct Case {
  const char* source;
  const char* expected;
};

}  // namespace

TEST_CASE("variables are raw text, replaced once and everywhere", "[L5.1][L5.8]") {
  for (const auto& [source, expected] : {
           Case{"select {v}", "select var"},
           {"'{v}' -- {v}\n\"{v}\" $$ {v} $$", "'var' -- var\n\"var\" $$ var $$"},
           {"{unknown} {secret.v} {} {1} { v } {v", "{unknown} {secret.v} {} {1} { v } {v"},
           {"{brace}", "{v}"},
           {"{ref}", "$n.id"},
           {"'{ref}'", "'$n.id'"},
           {"${name}", "$n.id"},
           {"{{v}}", "{var}"},
           {"{empty}{v}", "var"},
       }) {
    INFO(source);
    CHECK(sql(source) == expected);
    CHECK(text(source) == expected);
  }
  CHECK(text(R"({"a": {"b": "{v}"}})") == R"({"a": {"b": "var"}})");
}

TEST_CASE("SQL's lexer sees what a variable inserts", "[L5.1]") {
  CHECK(sql("{quote}$n.id{quote}") == "'5'");
  CHECK(sql("{comment}$n.id\n$n.id") == "-- $n.id\n5");
  CHECK(sql("{v}$n") == "var$n");
  CHECK(sql("$n.id{v}") == "5 var");
  CHECK(text("$n.id{v}") == "5var");
  CHECK(text("{v}$n.id") == "var5");
  CHECK(text("{dollar}$n.id") == "$5");
}

TEST_CASE("a value takes the form of its column's type", "[L5.5]") {
  const struct {
    const char *type, *cell, *expected;
  } cases[] = {
      {"integer", "5", "5"},
      {"integer", "-5", "(-5)"},
      {"integer", "-2147483648", "(-2147483648)::integer"},
      {"smallint", "5", "'5'::smallint"},
      {"bigint", "5", "5::bigint"},
      {"bigint", "-9223372036854775808", "(-9223372036854775808)::bigint"},
      {"numeric", R"("12345678901234567890.12345678900")", "12345678901234567890.12345678900::numeric"},
      {"numeric", R"("-5")", "(-5)::numeric"},
      {"numeric(10,2)", R"("5.00")", "5.00::numeric"},
      {"numeric", R"("NaN")", "'NaN'::numeric"},
      {"double precision", "1.5", "'1.5'::double precision"},
      {"real", "-1e+20", "'-1e+20'::real"},
      {"boolean", "true", "true"},
      {"boolean", "false", "false"},
      {"text", R"("it's")", "'it''s'"},
      {"character varying", R"("x")", "'x'"},
      {"character varying(3)", R"("x")", "'x'"},
      {"bpchar", R"("x  ")", "'x  '"},
      {"character(3)", R"("x  ")", "'x  '"},
      {"name", R"("x")", "'x'"},
      {"unknown", R"("x")", "'x'"},
      {"text", R"("")", "''"},
      {"text", R"("a\\b'")", R"(E'a\\b''')"},
      {"json", R"({"a": 1.0})", R"('{"a": 1.0}'::json)"},
      {"jsonb", R"({"n":123456789012345678901234567890.10})",
       R"('{"n":123456789012345678901234567890.10}'::jsonb)"},
      {"jsonb", R"("it's")", R"('"it''s"'::jsonb)"},
      {"date", R"("2026-01-01")", "'2026-01-01'::date"},
      {"timestamp with time zone", R"("2026-01-01T00:00:00Z")",
       "'2026-01-01T00:00:00Z'::timestamp with time zone"},
      {"timestamp(3) without time zone", R"("2026-01-01T00:00:00")",
       "'2026-01-01T00:00:00'::timestamp without time zone"},
      {"interval", R"("1 day 02:03:04")", "'1 day 02:03:04'::interval"},
      {"bytea", R"("\\xdeadbeef")", R"(E'\\xdeadbeef'::bytea)"},
      {"uuid", R"("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"},
      {"int4range", R"~("[1,5)")~", "'[1,5)'::int4range"},
      {"bit", R"("101")", R"('101'::"bit")"},
      {"bit(3)", R"("101")", R"('101'::"bit")"},
      {"\"char\"", R"("x")", R"('x'::"char")"},
      {"public.\"My Mood\"", R"("sad")", R"('sad'::public."My Mood")"},
      {"public.geometry(Point,4326)", R"("01")", "'01'::public.geometry(Point,4326)"},
      {"record", R"({"f1":"1","f2":null,"f3":"a \"b\""})", R"('(1,,"a ""b""")')"},
      {"void", R"("")", "''"},
      {"public.address", R"({"street":"it's","zip":1})",
       R"(pg_catalog.json_populate_record(NULL::public.address, '{"street":"it''s","zip":1}'::json))"},
  };
  for (const auto& item : cases) {
    INFO(item.type << " " << item.cell);
    CHECK(literal(item.type, item.cell) == item.expected);
  }
}

TEST_CASE("arrays are rebuilt by the rules of their text form", "[L5.3]") {
  const struct {
    const char *type, *cell, *expected;
  } cases[] = {
      {"integer[]", "[]", "'{}'::integer[]"},
      {"integer[]", "[1,-2,null]", "'{1,-2,NULL}'::integer[]"},
      {"integer[]", "[[1,2],[3,4]]", "'{{1,2},{3,4}}'::integer[]"},
      {"text[]", R"(["a","b c","NULL","null",null,"","it's","q\"","{x}","a,b","1234"])",
       R"(E'{a,"b c","NULL","null",NULL,"","it''s","q\\"","{x}","a,b",1234}'::text[])"},
      {"text[]", R"(["back\\slash"])", R"(E'{"back\\\\slash"}'::text[])"},
      {"boolean[]", "[true,false]", "'{true,false}'::boolean[]"},
      {"numeric[]", R"(["1.50","-2"])", "'{1.50,-2}'::numeric[]"},
      {"box[]", R"~(["(1,1),(0,0)","(3,3),(2,2)"])~", R"~('{"(1,1),(0,0)";"(3,3),(2,2)"}'::box[])~"},
      {"jsonb[]", R"([{"a":[1]},[2],null])", R"(E'{"{\\"a\\":[1]}","[2]",NULL}'::jsonb[])"},
      {"character[]", R"(["abc"])", "'{abc}'::bpchar[]"},
      {"bit[]", R"(["101"])", R"('{101}'::"bit"[])"},
      {"record[]", R"([{"f1":"1"}])", R"~('{"(1)"}'::text[])~"},
      {"address[]", R"([{"zip":1},null])",
       R"(ARRAY[pg_catalog.json_populate_record(NULL::address, '{"zip":1}'::json), NULL::address]::address[])"},
  };
  for (const auto& item : cases) {
    INFO(item.type << " " << item.cell);
    CHECK(literal(item.type, item.cell) == item.expected);
  }
}

TEST_CASE("a type name that is no type's is never written into SQL") {
  for (const char* type : {"int); DROP TABLE t; --", "date or true", "a'b", "x(1); y", "text -- ", "", "a..b",
                           "\"a", "a b", "x(select 1)", "x()", "/**/a", "a;"}) {
    INFO(type);
    CHECK(literal(type, R"("v")") == "'v'");
    CHECK(literal(std::string(type) + "[]", R"(["v"])") == "'{v}'::text[]");
  }
}

TEST_CASE("a value that does not fit its type is quoted, not trusted") {
  CHECK(literal("integer", R"("1); DROP TABLE t")") == "'1); DROP TABLE t'::integer");
  CHECK(literal("numeric", R"("1 or true")") == "'1 or true'::numeric");
  CHECK(literal("boolean", R"("true; x")") == "'true; x'::boolean");
  CHECK(literal("bigint", "1e5") == "'1e5'::bigint");
  CHECK(literal("numeric", R"("0x1F")") == "'0x1F'::numeric");
  CHECK(literal("integer[]", R"("{1}")") == "'{1}'::integer[]");
}

TEST_CASE("references have their forms in SQL", "[L5.3]") {
  for (const auto& [source, expected] : {
           Case{"$n", "5"},
           {"$n.name", "'O''Neil'"},
           {"$n.j", R"('{"k":["a",{"z":-1.50}],"s":"x"}'::jsonb)"},
           {"$n.j.k.0", "'a'"},
           {"$n.j.k.1.z", "(-1.50)"},
           {"$n.j.k", R"('["a",{"z":-1.50}]'::jsonb)"},
           {"$pair.\"Total Sum\"", "2.50::numeric"},
           {"$n.gone?", "NULL"},
           {"$n.missing?", "NULL"},
           {"$n.j.missing.deep?", "NULL"},
           {"$none?", "NULL"},
           {"$none.id?", "NULL"},
           {"$n.id?", "5"},
           {"$nil?", "NULL"},
           {"$n[]", "'{5,-6}'::integer[]"},
           {"$n.name[]", R"('{"O''Neil","b, c"}'::text[])"},
           {"$n.gone[]", "'{NULL,2026-01-01}'::date[]"},
           {"$none[]", "'{}'::integer[]"},
           {"id = ANY($n)", "id = ANY('{5,-6}'::integer[])"},
           {"id <> all ( $n.id )", "id <> all ( '{5,-6}'::integer[] )"},
           {"some(/* c */$none)", "some(/* c */'{}'::integer[])"},
           {"any($n.ids)", "any('{1,2,3}'::integer[])"},
           {"any($n[])", "any('{5,-6}'::integer[])"},
           {"id IN ($n)", "id IN (5, (-6))"},
           {"id not in ( $n.id /* c */ )", "id not in ( 5, (-6) /* c */ )"},
           {"d IN ($n.gone)", "d IN (NULL, '2026-01-01'::date)"},
           {"name in ($n.name)", "name in ('O''Neil', 'b, c')"},
           {"id IN ($none)", "id IN (SELECT NULL::integer WHERE false)"},
           {"id IN ($n?) AND id IN ($n[])", "id IN (5, (-6)) AND id IN (5, (-6))"},
           {"id IN ($n.ids)", "id IN (1, 2, 3)"},
           {"id IN ($http.status)", "id IN (200)"},
           {"id IN ($n, 7)", "id IN (5, 7)"},
           {"x IN ($n.j.s)", "x IN ('x')"},
           {"min($n)", "min(5)"},
           {"FROM $Orders.*", R"(FROM (VALUES (1::integer)) AS "Orders"("c"))"},
           {"FROM $pair.* p, $Orders.* \"O\" JOIN x",
            R"(FROM (SELECT * FROM (VALUES (1::integer, 2.50::numeric)) AS pair("id", "Total Sum")) p, )"
            R"((SELECT * FROM (VALUES (1::integer)) AS "Orders"("c")) "O" JOIN x)"},
           {"FROM $Orders.* JOIN t", R"(FROM (VALUES (1::integer)) AS "Orders"("c") JOIN t)"},
           {"FROM $Orders.*\nWHERE a", "FROM (VALUES (1::integer)) AS \"Orders\"(\"c\")\nWHERE a"},
           {"company($n)", "company(5)"},
           {"any($n + 1)", "any(5 + 1)"},
           {"$n.row_count + $n.affected", "3 + 7"},
           {"$counts.row_count", "99::bigint"},
           {"$none.affected", "4"},
           {"$pair.*", R"((VALUES (1::integer, 2.50::numeric)) AS pair("id", "Total Sum"))"},
           {"$none.*", R"((SELECT NULL::integer, NULL::numeric WHERE false) AS none("id", "Total Sum"))"},
           {"$user.*", R"((VALUES (1::integer)) AS "user"("id"))"},
           {"$user.* AS u(x)", R"((SELECT * FROM (VALUES (1::integer)) AS "user"("id")) AS u(x))"},
           {"$http",
            R"('{"status":200,"body":"hi ''x''","headers":{"a":"b"},"ok":true,"nothing":null}'::jsonb)"},
           {"$http.status", "200"},
           {"$http.body", "'hi ''x'''"},
           {"$http.ok", "true"},
           {"$http.headers", R"('{"a":"b"}'::jsonb)"},
           {"$http.headers.a", "'b'"},
           {"$http.nothing?", "NULL"},
           {"$list.1.0", "2"},
           {"$word", R"('"hello"'::jsonb)"},
           {"$nil", "'null'::jsonb"},
       }) {
    INFO(source);
    CHECK(sql(source) == expected);
  }
}

TEST_CASE("a relation fixes its types in the first row", "[L5.3]") {
  CHECK(
      sql("select * from $n.*") ==
      R"(select * from (VALUES (5::integer, 'O''Neil'::text, '{"k":["a",{"z":-1.50}],"s":"x"}'::jsonb, NULL::date, )"
      R"('{1,2}'::integer[]), ((-6), 'b, c', NULL, '2026-01-01'::date, '{3}'::integer[])) )"
      R"(AS n("id", "name", "j", "gone", "ids"))");
  const Names names = {{"e", rows("", "{},{}")}};
  CHECK(*substitute_sql("select 1 from $e.*", {names, {}}) ==
        "select 1 from (SELECT FROM pg_catalog.generate_series(1, 2)) AS e");
}

TEST_CASE("references are recognised by SQL's lexical rules", "[L5.6]") {
  for (const auto& [source, expected] : {
           Case{"'id $n.id of $n.name'", "'id 5 of O''Neil'"},
           {"'row ' || $n.id || ' of $n.id'", "'row ' || 5 || ' of 5'"},
           {"'of $n.id.'", "'of 5.'"},
           {"'it''s $n.id'", "'it''s 5'"},
           {"'order_$n.id'", "'order_5'"},
           {"'$n[] $n.j'", R"('[5,-6] {"k":["a",{"z":-1.50}],"s":"x"}')"},
           {"'${none.id?}'", "''"},
           {"'Is it $n.id?'", "'Is it 5?'"},
           {"'${n.id}th of ${n.name}' || ${n.id} || ${n.gone?}", "'5th of O''Neil' || 5 || NULL"},
           {"'${n[]}' ${n.id[]} from ${pair.*} AS p",
            R"('[5,-6]' ('{5,-6}'::integer[]) from (SELECT * FROM (VALUES (1::integer, 2.50::numeric)) AS )"
            R"(pair("id", "Total Sum")) AS p)"},
           {"'${pair.\"Total Sum\"}'", "'2.50'"},
           {"'${}n costs ${}5 ${} ${n ${n.} ${nobody} ${1}'", "'$n costs $5 $ ${n ${n.} ${nobody} ${1}'"},
           {"'/items/$n.id?page=2'", "'/items/5?page=2'"},
           {"'$5 $ $$n $tag$n$tag$ $'", "'$5 $ $$n $tag$n$tag$ $'"},
           {"-- $n\n$n", "-- $n\n5"},
           {"-- $n\r$n", "-- $n\r5"},
           {"/* $n /* $n */ $n */ $n", "/* $n /* $n */ $n */ 5"},
           {"\"a\"\"$n\" U&\"$n\" \"x$n\" \"$n \" \"$nobody\"",
            "\"a\"\"$n\" U&\"$n\" \"x$n\" \"$n \" \"$nobody\""},
           {"VACUUM \"$n.name\".\"${n}\"", "VACUUM \"O'Neil\".\"5\""},
           {"\"$quotes\" \"$n[]\"", "\"a\"\"b\" \"$n[]\""},
           {"$1 $2 $$ $n.id $$", "$1 $2 $$ 5 $$"},
           {"foo$n a1$n 1$n _$n é$n", "foo$n a1$n 1$n _$n é$n"},
           {"$tag$ select '$n.name', $n.name -- $n\n $tag$",
            "$tag$ select 'O''Neil', 'O''Neil' -- $n\n $tag$"},
           {"$a$ $b$ $n.id $b$ $a$ $n.id", "$a$ $b$ 5 $b$ $a$ 5"},
           {"$$ it's $$ $n.id", "$$ it's $$ 5"},
           {"E'\\'$n.id' $n.id", "E'\\'5' 5"},
           {"e'\\$n.id'", "e'\\$n.id'"},
           {"E'$slash'", "E'a\\\\b''c'"},
           {"E'a'\n'\\'$slash'", "E'a'\n'\\'a\\\\b''c'"},
           {"E'a'  -- x\n '\\'$n.id'", "E'a'  -- x\n '\\'5'"},
           {"E'a' '\\' $n.id", "E'a' '\\' 5"},
           {"'\\' $n.id", "'\\' 5"},
           {"N'$n.id' B'$n.id'", "N'5' B'5'"},
           {"$slash", "E'a\\\\b''c'"},
           {"'$slash'", "'a\\b''c'"},
           {"5 -$n.j.k.1.z", "5 -(-1.50)"},
           {"a/$n", "a/5"},
           {"'$n", "'5"},
           {"/* $n", "/* $n"},
           {"$evil", "'$n {v} '' -- /* $$'"},
           {"$x$$evil$x$", "$x$ E'\\044n {v} '' -- /* \\044\\044' $x$"},
           {"$$ $dollars $$", "$$ E'a\\044\\044b\\044x\\044' $$"},
           {"$$ E'$dollars' $$", "$$ E'a\\044\\044b\\044x\\044' $$"},
           {"$y$ '$dollars' $y$", "$y$ 'a$$b$x$' $y$"},
       }) {
    INFO(source);
    CHECK(sql(source) == expected);
  }
}

TEST_CASE("a literal stays a token of its own, whatever stands beside it", "[L5.5]") {
  for (const auto& [source, expected] : {
           Case{"'a'$n.name", "'a' ('O''Neil')"},
           {"$n.name'a'", "('O''Neil')'a'"},
           {"$n.name\n'a'", "('O''Neil')\n'a'"},
           {"$slash -- x\n 'a\\'", "(E'a\\\\b''c') -- x\n 'a\\'"},
           {"'a'\n$n.name", "'a'\n('O''Neil')"},
           {"U&$n.name", "U& 'O''Neil'"},
           {"1.$n", "1. 5"},
           {"$n.idé", "5 é"},
           {"$n.ids[1]", "('{1,2}'::integer[])[1]"},
           {"$n.ids [1]", "('{1,2}'::integer[]) [1]"},
       }) {
    INFO(source);
    CHECK(sql(source) == expected);
  }
  CHECK(sql("$n.name$n.name") == "'O''Neil' ('O''Neil')");
  const Names names = {{"x", one("interval", R"("1")")}};
  CHECK(*substitute_sql("select $x second, $x * 2", {names, {}}) ==
        "select ('1'::interval) second, '1'::interval * 2");
}

TEST_CASE("a value that would close the body around its string is an error that says what to do", "[L5.6]") {
  for (const char* source :
       {"$$ '$dollars' $$", "$x$ '$dollars' $x$", "$o$ $$ '$dollars' $$ $o$", "$x$ $$ '$dollars' $$ $x$"}) {
    INFO(source);
    CHECK_THAT(sql(source), ContainsSubstring("would end it; give the body another tag"));
  }
  // The tag may come together only with the text around the value.
  const Names names = {{"x", one("text", R"("a$")")}};
  CHECK_FALSE(substitute_sql("$$ '$x.c$'$$", {names, {}}));
  CHECK_FALSE(substitute_sql("$$ '$x.c$$", {names, {}}));
  CHECK(substitute_sql("$$ '$x.c' $$", {names, {}}));
}

TEST_CASE("what has no value is an error that says why", "[L5.7]") {
  for (const auto& [source, expected] : {
           Case{"$none", "error: $none has no rows"},
           {"$none.id", "error: $none has no rows"},
           {"$n.gone", "error: $n.gone is NULL"},
           {"$n.x", "error: $n has no column \"x\"; it has: id, name, j, gone, ids"},
           {"$n.ID", "error: $n has no column \"ID\"; it has: id, name, j, gone, ids"},
           {"$none.x", "error: $none has no column \"x\"; it has: id, Total Sum"},
           {"$n.x[]", "error: $n has no column \"x\"; it has: id, name, j, gone, ids"},
           {"$n.j.x", "error: $n.j has no field \"x\"; it has: k, s"},
           {"$n.j.k.7", "error: $n.j.k has no element \"7\"; it is an array of 2, counted from 0"},
           {"$n.j.s.x", "error: $n.j.s is a single value, so it has no field \"x\""},
           {"$n.j.k[]", "error: $n.j.k[]: only a column can be taken over all rows, not a path into it"},
           {"$http.x", "error: $http has no field \"x\"; it has: status, body, headers, ok, nothing"},
           {"$http.nothing", "error: $http.nothing is NULL"},
           {"$http.nothing.x", "error: $http.nothing is NULL"},
           {"$http[]", "error: $http[]: $http is not the result of a SQL step, so it has no rows"},
           {"$http.*", "error: $http.*: $http is not the result of a SQL step, so it has no rows"},
           {"$nul", "error: $nul holds a NUL character (\\u0000), which no text in PostgreSQL can hold"},
       }) {
    INFO(source);
    CHECK(sql(source) == expected);
    CHECK(text(source) == expected);
  }
  CHECK_THAT(sql("$typo"), ContainsSubstring("$typo is not bound; bound names: Orders, counts, dollars"));
  CHECK_THAT(substitute_sql("$a", {{}, {}}).error().message, ContainsSubstring("no names are bound here"));
  // In a string or in plain text a name that nothing binds is only text.
  CHECK(sql("'it costs $typo'") == "'it costs $typo'");
  CHECK(text("$HOME/x") == "$HOME/x");
  CHECK_THAT(sql("U&'$n.id'"), ContainsSubstring("U&'"));
}

TEST_CASE("an error of a reference says what to write instead", "[L5.7]") {
  const Names names = sample_names();
  for (const auto& [source, expected] :
       {Case{"$n.gone", "Write $n.gone? where there may be no value; inside a string, ${n.gone?}."},
        {"$none", "Write $none? where there may be no value; inside a string, ${none?}."},
        {"$none.id", "Write $none.id? where there may be no value; inside a string, ${none.id?}."},
        {"$n.j.s.x", "If its text is JSON, take it apart in SQL: ($n.j.s)::jsonb -> 'x'."}}) {
    INFO(source);
    CHECK(substitute_sql(source, {names, {}}).error().hint == expected);
    CHECK(substitute_text(source, {names, {}}).error().hint == expected);
  }
}

TEST_CASE("one NULL in the first column names the result alone", "[L5.7]") {
  const Names names = {{"n", one("date", "null")}};
  CHECK(substitute_sql("$n", {names, {}}).error().message == "$n is NULL");
  CHECK(substitute_sql("$n.c", {names, {}}).error().message == "$n.c is NULL");
}

TEST_CASE("references have their forms in plain text", "[L5.4]") {
  for (const auto& [source, expected] : {
           Case{R"({"id": $n.id, "name": "$n.name"})", R"({"id": 5, "name": "O'Neil"})"},
           {R"({"s": "see $n.", "t": "x"})", R"({"s": "see 5.", "t": "x"})"},
           {"https://h/$n.id?x=$n.name&y=$n.gone?&z", "https://h/5?x=O'Neil&y=&z"},
           {"costs $5 or $ or $$n or $q$ x $q$", "costs $5 or $ or $$n or $q$ x $q$"},
           {"of $n.id.", "of 5."},
           {"$n... ", "5... "},
           {"$n’s", "5’s"},
           {"a$n.id", "a5"},
           {"$n.j", R"({"k":["a",{"z":-1.50}],"s":"x"})"},
           {"$n.j.k.1.z", "-1.50"},
           {"$n[]", "[5,-6]"},
           {"$n.name[]", R"(["O'Neil","b, c"])"},
           {"$none[] $none.*", "[] []"},
           {"$pair.*", R"([{"id":1,"Total Sum":"2.50"}])"},
           {"$n.row_count/$none.affected/$counts.row_count", "3/4/99"},
           {"$http.ok $http.headers", R"(true {"a":"b"})"},
           {"$list", R"([{"id":1},[2,3]])"},
           {"$word", R"("hello")"},
           {"$nil $nil?", "null "},
           {"[$none.id?]", "[]"},
           {"$evil", "$n {v} ' -- /* $$"},
           {"-- $n.id /* $n.id */ \"$n.id\" '$n.id'", "-- 5 /* 5 */ \"5\" '5'"},
           {"{secret.KEY} $n.id", "{secret.KEY} 5"},
       }) {
    INFO(source);
    CHECK(text(source) == expected);
  }
}

TEST_CASE("the results of a for_each or join are rows of all parts, in order", "[L5.3]") {
  const std::string columns = R"("columns":[{"name":"id","type":"integer"},{"name":"x","type":"numeric"}])";
  const auto part = [&](const std::string& rows_json) {
    return R"({"rows":[)" + rows_json + R"(],"row_count":1,)" + columns + R"(,"affected":1})";
  };
  const std::string other =
      R"({"rows":[],"row_count":0,"columns":[{"name":"id","type":"bigint"}],"affected":0})";
  const Names names = {{"all", result("[" + part(R"({"id":1,"x":"1.5"},{"x":"2","id":2})") + ",null," +
                                      part("") + "," + part(R"({"id":3,"x":null})") + "]")},
                       {"empty", result("[" + part("") + "]")},
                       {"nothing", result("[]")},
                       {"mixed", result("[" + part("") + "," + other + "]")},
                       {"http", result("[" + part("") + R"(,{"status":200}])")}};
  const auto in_sql = [&](const char* text) {
    const auto substituted = substitute_sql(text, {names, {}});
    return substituted ? *substituted : "error: " + substituted.error().message;
  };
  for (const auto& [source, expected] : {
           Case{"$all.x[]", "'{1.5,2,NULL}'::numeric[]"},
           {"$all[]", "'{1,2,3}'::integer[]"},
           {"id = ANY($all)", "id = ANY('{1,2,3}'::integer[])"},
           {"id IN ($all)", "id IN (1, 2, 3)"},
           {"FROM $all.*",
            R"(FROM (VALUES (1::integer, 1.5::numeric), (2, 2::numeric), (3, NULL)) AS "all"("id", "x"))"},
           {"FROM $empty.*", R"(FROM (SELECT NULL::integer, NULL::numeric WHERE false) AS empty("id", "x"))"},
           {"$empty[]", "'{}'::integer[]"},
           {"$nothing.id[]", "'{}'"},
           {"FROM $nothing.*", "FROM (SELECT FROM pg_catalog.generate_series(1, 0)) AS nothing"},
           {"$mixed[]",
            "error: $mixed[]: $mixed has parts with different columns: part 1 has (id bigint) and those "
            "before it (id integer, x numeric)"},
           {"$http.*", "error: $http.*: $http has no rows: its part 1 is not the result of a SQL step"},
       }) {
    INFO(source);
    CHECK(in_sql(source) == expected);
  }
  CHECK(*substitute_text("$all.* $all.id[]", {names, {}}) ==
        R"([{"id":1,"x":"1.5"},{"x":"2","id":2},{"id":3,"x":null}] [1,2,3])");
}

TEST_CASE("a reference that takes the first of several rows says so") {
  const Names names = sample_names();
  const auto warnings = [&](const char* text) {
    Notes notes;
    (void)substitute_sql(text, {names, kVariables}, &notes);
    return notes.warnings;
  };
  using List = std::vector<std::string>;
  CHECK(warnings("select $n, '$n', $n") ==
        List{"$n has several rows, and only the first was used; $n[] is all of them"});
  CHECK(warnings("select $n.id, $n[], $pair, $http from $n.* where x = ANY($n) and x IN ($n)").empty());
  Notes notes;
  (void)substitute_text("of $n", {names, kVariables}, &notes);
  CHECK(notes.warnings.size() == 1);
}

TEST_CASE("references into a large result cost no more than reading it once") {
  std::string document = "{";
  for (int i = 0; i < 20'000; ++i)
    document += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":[" + std::to_string(i) + "]";
  document += "}";
  const std::string row = R"({"big":")" + std::string(12'000'000, 'a') + R"(","k":1,"doc":)" + document + "}";
  const Names names = {{"x", rows(R"({"name":"big","type":"text"},{"name":"k","type":"integer"},)"
                                  R"({"name":"doc","type":"jsonb"})",
                                  row)}};
  std::string text, expected;
  for (int i = 0; i < 100'000; ++i) text += "$x.k,", expected += "1,";
  for (int i = 0; i < 20'000; ++i)
    text += "$x.doc.k" + std::to_string(i) + ".0,", expected += std::to_string(i) + ",";
  for (int i = 0; i < 20'000; ++i) text += "$x.k[],", expected += "'{1}'::integer[],";
  // Walking the row for each reference would take hours.
  CHECK((*substitute_sql(text, {names, {}}) == expected));
  std::string unbound, many;
  for (int i = 0; i < 100'000; ++i) unbound += "$nobody ";
  Names full;
  for (int i = 0; i < 10'000; ++i) full.bind("name" + std::to_string(i), result("1"));
  CHECK((*substitute_text(unbound, {full, {}}) == unbound));
}

TEST_CASE("the names that a text references are found without substituting it") {
  const auto names = referenced_names("$a.x, '$b' -- $c\n \"$d\" $1 $$ $e $$ {f} $g?", true);
  using Places = std::map<std::string, std::size_t>;
  CHECK(names == Places{{"a", 0}, {"b", 7}, {"d", 19}, {"e", 29}, {"g", 39}});
  CHECK(referenced_names("$a.x, '$b' -- $c\n \"$d\" $1", false) ==
        Places{{"a", 0}, {"b", 7}, {"c", 14}, {"d", 19}});
  CHECK(referenced_names("$a ' $a", true) == Places{{"a", 0}});
}

TEST_CASE("hostile templates take linear time") {
  for (const char* unit :
       {"$a$", "$a1$ $b1$", "'$n.id", "/*", "$$'", "$n.id\n", "((", "E'a'\n", "$", "{v", "\"$$", "-- $$\n"}) {
    std::string source;
    while (source.size() < 1 << 19) source += unit;
    INFO(unit);
    CHECK_FALSE(sql(source).empty());
  }
  std::string tags;
  for (int i = 0; tags.size() < 1 << 19; ++i) tags += "$t" + std::to_string(i) + "$ ";
  CHECK(sql(tags) == tags);
}

TEST_CASE("no text becomes longer than 64 MiB") {
  const std::string value(4 << 20, 'x');
  const Names names = {{"x", one("text", '"' + value + '"')}};
  const Variables variables = {{"v", value}};
  const auto many = [](const std::string& reference) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += '\'' + reference + "' ";
    return text;
  };
  for (const std::string& text : {many("$x"), many("{v}")}) {
    for (const auto& result :
         {substitute_sql(text, {names, variables}), substitute_text(text, {names, variables})}) {
      REQUIRE_FALSE(result);
      CHECK_THAT(result.error().message, ContainsSubstring("more than 64 MiB"));
    }
  }
  CHECK(substitute_sql("'$x' {v}", {names, variables})->size() == 2 * value.size() + 3);
}
