// A hostile role puts types, functions, operators and casts of its own where others might look names up.
#include "tests/attack/attacker.hpp"

using namespace durabled::test;

namespace {

// Everything that takes part in deciding who somebody is, as seen by a caller who decides what names mean.
void make_traps(Sql& sql, const std::string& schema) {
  sql.exec("create function " + schema +
           ".trap() returns void language plpgsql as $$ begin insert into evidence.who values "
           "(session_user, current_user); end $$");
  const std::string body = " language plpgsql as $$ begin perform " + schema + ".trap(); return ";
  const std::pair<const char*, const char*> functions[] = {
      {"quote_ident(text) returns text", "'victim'"},
      {"quote_ident(name) returns text", "'victim'"},
      {"clock_timestamp() returns timestamptz", "'2000-01-01'"},
      {"now() returns timestamptz", "'2000-01-01'"},
      {"pg_has_role(name, oid, text) returns bool", "true"},
      {"pg_has_role(name, name, text) returns bool", "true"},
      {"current_database() returns name", "'x'"},
      {"current_setting(text, bool) returns text", "'x'"},
      {"current_setting(text) returns text", "'x'"},
      {"nextval(text) returns bigint", "1"},
      {"nextval(regclass) returns bigint", "1"},
      {"substr(text, int, int) returns text", "'x'"},
      {"pg_notify(text, text) returns text", "''"},
      {"to_json(text) returns json", "'1'"},
      {"format(text, text) returns text", "'x'"},
      {"length(text) returns int", "1"},
      {"has_function_privilege(oid, regprocedure, text) returns bool", "true"},
      {"lower(text) returns text", "'x'"},
      {"pg_current_xact_id() returns xid8", "'1'"},
      {"json_to_recordset(json) returns int", "1"},
      {"jsonb_object_agg_transfn(internal, \"any\", \"any\") returns int", "1"}};
  for (const auto& [declaration, value] : functions) {
    try {
      sql.exec("create function " + schema + "." + declaration + body + value + "; end $$");
    } catch (const SqlError&) {
    }  // what cannot be made is no trap
  }
  for (const char* types :
       {"text, text", "name, name", "name, text", "text, name", "regrole, regrole", "oid, oid",
        "oid, regrole", "regrole, oid", "uuid, uuid", "bigint, bigint", "xid8, xid8", "int, int",
        "bool, bool", "timestamptz, timestamptz", "smallint, smallint"}) {
    const std::string both = types;
    const std::string name = schema + ".op_" + std::to_string(std::hash<std::string>()(both) % 100'000);
    sql.exec("create function " + name + "(" + both + ") returns bool" + body + "true; end $$");
    const auto comma = both.find(", ");
    for (const char* op : {"=", "<>", ">", "<", ">=", "<="}) {
      sql.exec("create operator " + schema + "." + op + " (leftarg = " + both.substr(0, comma) +
               ", rightarg = " + both.substr(comma + 2) + ", function = " + name + ")");
    }
  }
  sql.exec("create type " + schema + ".text as enum ('x'); create domain " + schema +
           ".regrole as pg_catalog.regrole;"
           "create function " +
           schema + ".c1(pg_catalog.text) returns " + schema + ".text language sql as $$ select 'x'::" +
           schema + ".text $$; create cast (pg_catalog.text as " + schema + ".text) with function " + schema +
           ".c1(pg_catalog.text);"
           "create function " +
           schema + ".c2(" + schema +
           ".text) returns pg_catalog.regrole language sql as $$ select "
           "'victim'::pg_catalog.regrole $$; create cast (" +
           schema + ".text as pg_catalog.regrole) with function " + schema + ".c2(" + schema +
           ".text) as implicit");
}

}  // namespace

TEST_CASE("a search path of one's own makes nobody somebody else", "[S3.5]") {
  Attack attack;
  attack.mallory().exec("create schema evil; grant usage on schema evil to public");
  make_traps(attack.mallory(), "evil");
  for (const char* path :
       {"evil, pg_catalog", "evil, public, pg_catalog", "evil", "pg_temp, evil, pg_catalog"}) {
    for (const char* statement : {"select df._me()",
                                  "select df._is_operator()",
                                  "select * from df.instances",
                                  "select * from df.events",
                                  "select * from df.signals",
                                  "select * from df.vars",
                                  "select * from df.limits",
                                  "select df.set_limit('l', 5, '1 minute')",
                                  "select df._take_units('l', '1', now())",
                                  "select * from df.nodes",
                                  "select df.status('VICTIM')",
                                  "select df.cancel('VICTIM', 'x')",
                                  "update df.instances set request = 'cancel' where request is null",
                                  "select df.signal('VICTIM', 'go')",
                                  "insert into df.vars (name, value) values ('password', 'x')",
                                  "select df.setvar('password', 'y')",
                                  "insert into df.submit (dsl) values ('x')",
                                  "select df.start('SELECT 1')",
                                  "select df.rerun('VICTIM')",
                                  "insert into df.signals (instance_id, name) values ('VICTIM', 'go')",
                                  "select df.list_instances()",
                                  "select df.waiting()",
                                  "select df.explain('VICTIM')",
                                  "select df.grant_usage('mallory', true, true)",
                                  "select df._commit_foreign('VICTIM', 'x', '', '{}')",
                                  "select df._foreign_step('VICTIM', 'x', '')",
                                  R"(call df._commit_turn('KEY', 'VICTIM', 1, null, 99, pg_catalog.now(),
                                                          'X', null, null, null, '{}', null))",
                                  R"(call df._commit_turn('KEY', 'OWN', 1, null, 99, pg_catalog.now(),
                                                          'X', null, null, null, '{}', null))"}) {
      attack.attempt("set search_path = " + std::string(path) + "; " + statement);
      attack.attempt("set search_path = " + std::string(path) + "; set row_security = on; set role none; " +
                     statement);
    }
  }
  attack.mallory().exec("set search_path = evil, pg_catalog");
  CHECK(attack.mallory().text("select df._me()::pg_catalog.text") == "mallory");
  CHECK(attack.mallory().text("select df._is_operator()::pg_catalog.text") == "false");
  attack.mallory().exec("reset search_path");
  // A role's own default path, with which the daemon's session for its steps begins.
  attack.mallory().exec("alter role mallory set search_path = evil, pg_catalog");
  attack.attempt_as_step("select 1");
  attack.attempt_as_step("insert into df.vars (name, value) values ('n', 'v')");
  for (const char* arguments : {"'l', current_database(), priority => 2", "idempotency_key => 'k'"}) {
    const std::string id = attack.mallory().text(
        "insert into df.submit (dsl) values (replace($1, 'current_database()', "
        "quote_literal(current_database()))) returning id",
        "df.start('select 1', " + std::string(arguments) + ")");
    CHECK(attack.mallory().text("select df.await_instance($1, 10)", id) == "completed");
    attack.attempt("select 1");
  }
  attack.mallory().exec("alter role mallory reset search_path");
  attack.others_go_on();
}

TEST_CASE(
    "names in a schema that everybody writes to are no trap for the daemon, the owner and other clients",
    "[S3.5]") {
  Attack attack;
  make_traps(attack.mallory(), "public");
  attack.mallory().exec(
      "create function public.seq(text, text) returns text language plpgsql as $$ begin perform "
      "public.trap(); "
      "return 'x'; end $$; create table public.instances (id text); create table public.events (id text)");
  attack.others_go_on();
  attack.attempt("select df.start('SELECT 1')");
  attack.attempt_as_step("select 1");
  Sql owner(attack.database().conninfo());  // with the path that everybody has
  owner.exec(
      "select df._deliver_signals(), df._prune_batch('1 day', 10), df._release(999), df._heartbeat(999), "
      "df._release_dead(0, '1 day', false)");
  owner.exec("select * from df.metrics(); select df.grant_usage('victim', true)");
  const std::string rerun = attack.victim().text("select df.rerun($1)", attack.victims_instance());
  attack.owner().exec("delete from df.reruns; delete from df.instances where id = '" + rerun + "'");
  attack.attempt("select 1");
  CHECK_FALSE(attack.owner().exec("select from pg_proc where proname = 'trap'").empty());
}

TEST_CASE("no function of the schema looks names up in a caller's search path", "[S3.5]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  // These qualify every name instead: see df._commit_turn, and tests/attack/captured_names_test.cpp.
  CHECK(
      sql.exec(
          "select p.oid::regprocedure from pg_proc p "
          "where p.pronamespace = 'df'::regnamespace and p.prosqlbody is null "
          "and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false) "
          "and p.proname not in ('_begin_step', '_next_step', '_commit_turn', '_commit_group', '_end_step', "
          "'_apply_turn', '_apply_start', '_new_id', '_submitter', '_ring_doorbell', '_check_submission')") ==
      Rows{});
  CHECK(sql.exec("select c.oid::regclass from pg_class c where c.relnamespace = 'df'::regnamespace and "
                 "c.relkind = 'r' "
                 "and not c.relrowsecurity") == Rows{});
  CHECK(sql.exec(
            "select c.oid::regclass from pg_class c where c.relnamespace = 'df'::regnamespace and c.relkind "
            "= 'v' "
            "and not coalesce(array_to_string(c.reloptions, ' ') like '%security_invoker=true%', false)") ==
        Rows{});
}
