// Texts that break something where they are not quoted, sent in by every way that a role's bytes have: each must arrive as
// the text that it was, or as an error, and others' instances must not notice.
#include <regex>
#include <sstream>

#include "tests/e2e/http_world.hpp"

using namespace durabled::test;

namespace {

const std::vector<std::string>& breaking_texts() {
  static const std::vector<std::string> texts = {"'",
                                                 "''",
                                                 "\"",
                                                 "\\",
                                                 "\\\\'",
                                                 "\\\"",
                                                 "E'\\''",
                                                 "$$",
                                                 "$x.v",
                                                 "$tag$",
                                                 "{label}",
                                                 "{secret.X}",
                                                 "{",
                                                 "}",
                                                 "{}",
                                                 "[",
                                                 "]",
                                                 "(",
                                                 ")",
                                                 "()",
                                                 "(,)",
                                                 "{\"a\":1}",
                                                 "{a,b}",
                                                 "{\"a\",NULL}",
                                                 "NULL",
                                                 "null",
                                                 "[0:1]={1,2}",
                                                 "1}}]}}]},{\"instance\":\"",
                                                 "]}]",
                                                 "\"}]}",
                                                 ",",
                                                 ";",
                                                 ":",
                                                 "--",
                                                 "/*",
                                                 "*/",
                                                 "a\nb",
                                                 "a\r\nb",
                                                 "\t",
                                                 "\x01\x02\x1f\x7f",
                                                 "\x1b[31mred",
                                                 "\x1b]0;x\x07",
                                                 "\xc2\x85\xc2\x9b",
                                                 "\xe2\x80\xae",
                                                 "\\u0000",
                                                 "\\ud800",
                                                 "\"\\u0000\"",
                                                 "\xf0\x9f\x98\x80",
                                                 "é",
                                                 "%s%n",
                                                 "%",
                                                 "&<>",
                                                 "2026-11-21T00:00:00.000Z error FORGED",
                                                 "x\n2026-11-21T00:00:00.000Z error FORGED",
                                                 "\n",
                                                 " ",
                                                 "",
                                                 "f",
                                                 "NaN",
                                                 "infinity",
                                                 "-1",
                                                 "1e400",
                                                 "true",
                                                 "'); drop table corpus; --"};
  return texts;
}

// A world with the texts in table corpus, whose owner alice is, and bob, whose instance waits.
class Texts : public HttpWorld {
 public:
  Texts() {
    alice.exec("create table corpus (i int primary key, t text not null)");
    int i = 0;
    for (const std::string& text : breaking_texts())
      alice.exec("insert into corpus values ($1::int, $2)", std::to_string(i++), text);
    start_calling_daemon({{"retry.max_attempts", "1"}});
    waiting_ = submit(bob, "df.wait_for_signal('go')");
    await_put_down(bob, waiting_);
    before_ = bobs();
  }

  // Calls `one` for each text with its number.
  template <typename One>
  void for_each_text(One one) {
    for (std::size_t i = 0; i < breaking_texts().size(); ++i) {
      INFO(i << ": " << breaking_texts()[i]);
      one(std::to_string(i), breaking_texts()[i]);
    }
  }

  void require_others_unaffected() {
    CHECK(bobs() == before_);
    run_workflow(bob, "'select 1'");
    static const std::regex entry(
        R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|warning|error) .*)");
    std::istringstream log(daemon().log());
    for (std::string line; std::getline(log, line);) {
      CAPTURE(line);
      CHECK(std::regex_match(line, entry));
      CHECK(line.find("error FORGED") != 25);
      CHECK(line.find_first_of("\x1b\x07\r") == std::string::npos);
    }
  }

  Sql alice = session();
  Sql bob = joined("bob");

 private:
  Sql joined(const std::string& role) {
    add_role(role);
    return session(role);
  }

  std::string bobs() {
    return owner().text(
        "select concat_ws(' ', i.id, i.status, i.dsl, (select string_agg(e::text, ',' order by seq) from "
        "df.events e"
        " where e.instance_id = i.id)) from df.instances i where id = $1",
        waiting_);
  }

  std::string waiting_, before_;
};

}  // namespace

TEST_CASE("whatever a cell holds, it comes back as it was", "[S3.11][L4.3][L5.1]") {
  Texts world;
  world.alice.exec(
      "create type pair as (n int, t text, j jsonb); create type many as (ts text[], ps pair[], p pair);"
      "create domain word as text;"
      "create view cells as select i, t, to_json(t) as j, jsonb_build_object(t, t) as b, array[t, null, t] "
      "as a,"
      " array[t::word] as w, array[jsonb_build_array(t)] as js, row(i, t, to_jsonb(t))::pair as p,"
      " array[row(i, t, '{}'), null]::pair[] as ps, row(array[t], array[row(i, t, null)::pair], null)::many "
      "as m,"
      " case when i % 3 = 0 then 'NaN' when i % 3 = 1 then '-Infinity' else i::text end::float8 as f,"
      " array['Infinity', i::text]::float4[] as fs, '[0:1]={1,2}'::int[] as l, array['null', null]::jsonb[] "
      "as n,"
      " row(i, t, 'null')::pair as np, array[row(1, t, 'null')]::pair[] as nps from corpus;"
      "create table back as select * from cells where false");
  run_workflow(world.alice,
               "('select * from cells order by i' |=> 'c') ~> 'insert into back select * from $c.*'");
  const Rows different = world.alice.exec(
      "select x.i, x.t, y.t, to_json(x), to_json(y) from cells x left join back y using (i) where x::text is "
      "distinct from y::text");
  CHECK(different == Rows{});
  // The same one by one.
  run_workflow(world.alice,
               "df.for_each('select * from cells', 'insert into back (i, t, p, ps, f, l, n, np) select "
               "$item.i, $item.t, $item.p,"
               " $item.ps, $item.f, $item.l, $item.n, $item.np')");
  CHECK(
      world.alice.exec(
          "select x.i, x.t, y.t from cells x left join (select * from back where j is null) y using (i) where"
          " (x.t, x.p::text, x.ps::text, x.f::text, x.l::text, x.n::text, x.np::text) is distinct from"
          " (y.t, y.p::text, y.ps::text, y.f::text, y.l::text, y.n::text, y.np::text)") == Rows{});
  world.require_others_unaffected();
}

TEST_CASE("whatever a column or a type is called, it is a name", "[smoke][S3.11]") {
  Texts world;
  world.owner().exec("create schema types; grant all on schema types to alice");
  world.alice.exec("create table names (i int, t text)");
  std::string columns, composites;
  world.for_each_text([&](const std::string& i, const std::string& text) {
    if (text.empty()) return;
    const std::string name = world.alice.text("select quote_ident(left($1, 40))", text);
    if (world.alice.number("select count(*) from names where quote_ident(t) = $1", name) > 0) return;
    world.alice.exec("insert into names values ($1::int, left($2, 40))", i, text);
    columns += (columns.empty() ? "" : ", ") + i + " as " + name;
    world.alice.exec("create type types." + name + " as (" + name + " int)");
    composites += (composites.empty() ? "" : ", ") + ("row(" + i + ")::types." + name) + " as c" + i;
  });
  const std::string id =
      submit(world.alice, world.alice.text("select quote_literal($1)", "select " + columns));
  completes(world.alice, id);
  CHECK(world.alice.exec("select n.i, n.t from names n where df.result($1) -> 'rows' -> 0 ->> n.t is "
                         "distinct from n.i::text",
                         id) == Rows{});
  CHECK(world.alice.number("select count(*) from json_object_keys(df.result($1) -> 'rows' -> 0)", id) ==
        world.alice.number("select count(*) from names"));
  world.alice.exec("create view composites as select " + composites +
                   "; create table composites_back as select * from composites where false");
  run_workflow(world.alice,
               "('select * from composites' |=> 'c') ~> 'insert into composites_back select * from $c.*'");
  CHECK(world.alice.exec("select b::text from composites_back b") ==
        world.alice.exec("select c::text from composites c"));
  world.require_others_unaffected();
}

TEST_CASE("whatever an error, a notice or a notification says, it is text", "[smoke][S3.11]") {
  Texts world;
  world.alice.exec(
      "create function fail(n int) returns void language plpgsql as $$ declare x text; begin"
      " select t into x from corpus where i = n; raise notice '%', x; perform pg_notify('x', x);"
      " raise exception using message = x || ' ', detail = x || ' ', hint = x || ' ', column = x, constraint "
      "= x, table = x,"
      " schema = x, datatype = x; end $$;"
      "create procedure tell() language plpgsql as $$ declare x text; begin"
      " listen x; commit; for x in select t from corpus loop raise warning '%', x; perform pg_notify('x', "
      "x); end loop; commit;"
      " perform 1 from corpus; commit; end $$;"
      "create table caught (i int, message text, detail text, hint text)");
  std::string dsl = "df.seq('call tell()'";
  world.for_each_text([&](const std::string& i, const std::string&) {
    dsl += ", df.catch('select fail(" + i + ")', 'insert into caught values (" + i +
           ", $error.message, $error.detail, $error.hint)')";
  });
  run_workflow(world.alice, dsl + ")");
  CHECK(world.alice.exec(
            "select c.i, c.t, g.message, g.detail, g.hint from corpus c left join caught g using (i) where"
            " (c.t || ' ', c.t || ' ', c.t || ' ') is distinct from (g.message, g.detail, g.hint)") ==
        Rows{});
  // Notices of a login arrive before any statement of the daemon is sent.
  Sql super(world.database().conninfo("postgres"));
  super.exec(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'durabled step'"
      " and datname = current_database()");
  for (const std::string forged : {"x\n2026-11-21T00:00:00.000Z error FORGED \x1b[31m", "'\"\\"}) {
    super.exec(super.text("select format('alter role alice set default_tablespace = %L', $1::text)", forged));
    run_workflow(world.alice, "'select 1'");
    super.exec("alter role alice reset default_tablespace");
    super.exec(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'durabled "
        "step'"
        " and datname = current_database()");
  }
  world.require_others_unaffected();
}

TEST_CASE("whatever a label or a signal says, it is text", "[S3.11]") {
  Texts world;
  world.for_each_text([&](const std::string& i, const std::string& text) {
    const std::string id =
        world.alice.text("insert into df.submit (dsl, label) values ($1, $2) returning id",
                         "('select current_setting(''df.label'') as l' |=> 'l') ~>"
                         " ('select t as name from corpus where i = " +
                             i +
                             "' |=> 'n') ~> (df.wait_for_signal('x$n.name') |=> 's')"
                             " ~> 'select $l.l as label, $s.signal_name as name, $s.data as data'",
                         text);
    world.alice.exec(
        "insert into df.signals (instance_id, name, data) values ($1, 'x' || $2, to_json($2::text))", id,
        text);
    completes(world.alice, id);
    CHECK(world.alice.exec("select r ->> 'label', r ->> 'name', r ->> 'data' from (select df.result($1) -> "
                           "'rows' -> 0 as r) x",
                           id) == Rows{{text, "x" + text, text}});
  });
  world.require_others_unaffected();
}

TEST_CASE("whatever a role or a database is called, its instances run, and others' too", "[S3.11]") {
  Texts world;
  Sql super(world.database().conninfo("postgres"));
  const std::vector<std::string> roles = {"we{ird", "x,bob", "DOM\\joe", "quo\"te'",
                                          "}",      "NULL",  "-",        "a b=c"};
  world.daemon().sigterm_and_wait();
  world.start_daemon({{"steps.connections_per_role", "1"},
                      {"steps.connections", "10"},
                      {"worker.claim_batch", "4"},
                      {"worker.max_instances", "40"}});
  std::vector<std::pair<std::string, std::string>> ids;
  const std::string bobs = submit(world.bob, "df.sleep(0.01)");
  for (const std::string& role : roles) {
    const std::string name = super.text("select quote_ident($1)", role);
    if (super.number("select count(*) from pg_roles where rolname = $1", role) == 0)
      super.exec("create role " + name + " login");
    world.owner().exec("select df.grant_usage($1)", role);
    world.owner().exec("grant insert on df.submit to " + name);
    super.exec("begin; set local role " + name +
               "; insert into df.submit (dsl) select '''select pg_sleep(0.001), current_user as who''' from "
               "generate_series(1, 30); commit");
  }
  completes(world.bob, bobs);
  wait_until("all are done", [&] {
    return world.owner().number("select count(*) from df.instances where status in ('pending', 'running')") <=
           1;
  });
  CHECK(world.owner().exec(
            "select submitted_by, count(*), min(error::text) from df.instances where status <> 'completed'"
            " and submitted_by <> 'bob'::regrole group by 1") == Rows{});
  CHECK(world.daemon(1).log().find("array literal") == std::string::npos);
  const std::string database = "da\"ta'base\\ {x=1} user=bob";
  super.exec("drop database if exists " + super.text("select quote_ident($1)", database));
  super.exec("create database " + super.text("select quote_ident($1)", database));
  const std::string id =
      world.alice.text("insert into df.submit (dsl, database) values ($1, $2) returning id",
                       "'select current_database() as d, current_user as u'", database);
  completes(world.alice, id);
  CHECK(world.alice.text("select df.result($1) -> 'rows' -> 0 ->> 'd'", id) == database);
  CHECK(world.alice.text("select df.result($1) -> 'rows' -> 0 ->> 'u'", id) == "alice");
  super.exec("drop database " + super.text("select quote_ident($1)", database) + " with (force)");
  for (const std::string& role : roles) {
    const std::string name = super.text("select quote_ident($1)", role);
    super.exec("drop owned by " + name);
  }
  world.require_others_unaffected();
}

TEST_CASE("bytes of a database without an encoding are an error", "[S3.11]") {
  Texts world;
  Sql super(world.database().conninfo("postgres"));
  super.exec("drop database if exists bytes");
  super.exec("create database bytes encoding 'SQL_ASCII' locale 'C' template template0");
  const auto there = [&](const std::string& dsl) {
    return world.alice.text("insert into df.submit (dsl, database) values ($1, 'bytes') returning id", dsl);
  };
  for (const char* invalid : {R"('select E''a\377'' as v')", R"('select array[E''\200"''] as a')",
                              R"('select (E''"\355\240\200"'')::json as j')",
                              R"('do $do$ begin raise exception ''%'', E''x\377y''; end $do$')"}) {
    INFO(invalid);
    fails(world.alice, there(invalid));
  }
  super.exec("drop database bytes with (force)");
  world.require_others_unaffected();
}

TEST_CASE("whatever an HTTP server answers, it is text", "[S3.11]") {
  Texts world;
  world.http.route("/text", [](const TestCall& call) {
    TestAnswer answer;
    answer.body = breaking_texts().at(static_cast<std::size_t>(std::stoi(call.parameter("i"))));
    std::string header = answer.body;
    std::erase_if(header, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
    answer.headers = {{"x-text", header}, {"content-type", "text/plain"}, {"x-bytes", "\xff\xc3"}};
    return answer;
  });
  std::string dsl;
  world.for_each_text([&](const std::string& i, const std::string&) {
    dsl += (dsl.empty() ? "df.seq(" : ", ") + call(world, "/text?i=" + i) +
           " |=> 'h', 'insert into got values (" + i + ", $h.body, $h.status)'";
  });
  world.alice.exec("create table got (i int, body text, status int)");
  run_workflow(world.alice, dsl + ")");
  CHECK(world.alice.exec("select c.i, c.t, g.body from corpus c left join got g using (i) where c.t is "
                         "distinct from g.body") == Rows{});
  world.require_others_unaffected();
}

TEST_CASE("whatever an input holds, it is a value", "[S3.11]") {
  Texts world;
  const std::string workflow =
      "'select $input.t as code, ''$input.t'' as string, $input ->> ''t'' as whole, "
      "$input.more.0 as more, ''{\"a\": 1}''::jsonb || $input as merged'";
  const std::string input =
      "(select json_build_object('t', t, 'more', json_build_array(t), t, t) from corpus where i = $2::int)";
  const auto check = [&](const std::string& id, const std::string& text) {
    completes(world.alice, id);
    CHECK(world.alice.exec(
              "select r ->> 'code', r ->> 'string', r ->> 'whole', r ->> 'more', r -> 'merged' ->> $2 "
              "from (select df.result($1) -> 'rows' -> 0 as r) x",
              id, text) == Rows{{text, text, text, text, text}});
  };
  world.for_each_text([&](const std::string& i, const std::string& text) {
    check(world.alice.text("insert into df.submit (dsl, input) select $1, " + input + " returning id",
                           workflow, i),
          text);
    check(world.alice.text("select df.start($1::text, input => " + input + ")",
                           world.alice.text("select " + workflow), i),
          text);
    check(world.alice.text("insert into df.submit (dsl) select 'df.start(' || $1 || ', input => ' || "
                           "quote_literal(" +
                               input + ") || ')' returning id",
                           workflow, i),
          text);
  });
  // What is no object, or what no step could use, is refused by a message that names it.
  for (const char* bad : {"[1]", "null", "5", "\"x\"", R"({"a": "\u0000"})", R"({"a": "\ud800"})"}) {
    CHECK_THAT(
        world.alice.expects_error("22023", "insert into df.submit (dsl, input) values ('x', $1::json)", bad),
        ContainsSubstring("df.submit: input "));
  }
  CHECK_THAT(world.alice.expects_error("54000",
                                       "insert into df.submit (dsl, input) values ('x', "
                                       "json_build_object('a', repeat('x', 1048576)))"),
             ContainsSubstring("df.submit: input is longer than 1 MiB"));
  // A key that looks like a part of the turn in which a text's own input reaches its row.
  const std::string forged = submit(
      world.alice,
      R"(df.start('select $input.status as s', input => '{"status": "failed", "error": {}, "instance": "x"}'))");
  CHECK_THAT(completes(world.alice, forged), ContainsSubstring("failed"));
  world.require_others_unaffected();
}
