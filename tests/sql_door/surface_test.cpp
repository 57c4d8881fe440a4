// The functions that people call, with a real daemon behind them; what monitoring reads is in
// monitoring_test.cpp.
#include <chrono>
#include <thread>
#include <vector>

#include "tests/sql_door/served.hpp"
#include "tests/support/paths.hpp"

using namespace durabled::test;
using std::chrono::milliseconds;

namespace {

using Clock = std::chrono::steady_clock;

// name(argument names) -> columns, as the catalog has them.
std::string signature(Sql& sql, const std::string& name) {
  std::string all;
  for (const Row& row :
       sql.exec("select pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p "
                "where p.pronamespace = 'df'::regnamespace and p.proname = $1 order by p.pronargs, p.oid",
                name)) {
    all += (all.empty() ? "" : " | ") + *row[0] + " -> " + *row[1];
  }
  return all;
}

std::string columns(Sql& sql, const std::string& relation) {
  return sql.text(
      "select string_agg(attname, ' ' order by attnum) from pg_attribute "
      "where attrelid = $1::regclass and attnum > 0 and not attisdropped",
      relation);
}

}  // namespace

TEST_CASE("functions have the arguments and results of the contract",
          "[S1.10][S2.3][S2.12][S2.13][S2.14][S2.15][S2.17][S2.19]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::pair<const char*, const char*> expected[] = {
      {"start",
       "fut text, label text DEFAULT NULL::text, database text DEFAULT NULL::text, transaction_mode text "
       "DEFAULT "
       "'caller'::text, priority integer DEFAULT 0, start_at timestamp with time zone DEFAULT "
       "NULL::timestamp with time "
       "zone, idempotency_key text DEFAULT NULL::text, input anycompatible DEFAULT NULL::unknown -> text"},
      {"cancel", "instance_id text, reason text DEFAULT NULL::text -> text"},
      {"pause", "instance_id text -> text"},
      {"resume", "instance_id text -> text"},
      {"signal",
       "instance_id text, name text, data text DEFAULT '{}'::text -> text | instance_id text, name text, "
       "data "
       "json -> text | instance_id text, name text, data jsonb -> text"},
      {"status", "instance_id text -> text"},
      {"result", "instance_id text -> json"},
      {"error", "instance_id text -> json"},
      {"await_instance", "instance_id text, timeout_seconds double precision DEFAULT 30 -> text"},
      {"rerun", "instance_id text, from_node text DEFAULT NULL::text -> text"},
      {"setvar", "name text, value text -> text | name text, value anyelement -> text"},
      {"getvar", "name text -> text"},
      {"unsetvar", "name text -> boolean"},
      {"clearvars", " -> bigint"},
      {"explain", "instance_or_expression text -> text"},
      {"history",
       "instance_id text -> TABLE(seq bigint, at timestamp with time zone, kind text, node text, scope text, "
       "attempt integer, data json)"},
      {"prune", "older_than interval -> bigint"},
      {"version", " -> text"},
      {"target_database", " -> text"},
      {"grant_usage",
       "role_name text, include_http boolean DEFAULT false, with_grant boolean DEFAULT false -> text"},
      {"revoke_usage", "role_name text -> text"},
      {"instance_info",
       "p_instance_id text -> TABLE(instance_id text, label text, function_name text, function_version text, "
       "current_execution_id bigint, status text, output text)"},
      {"instance_nodes",
       "p_instance_id text -> TABLE(node_id text, node_type text, query text, result_name text, left_node "
       "text, "
       "right_node text, status text, result jsonb, status_details jsonb, inferred_status text, "
       "inferred_status_from_ancestor_id text, updated_at timestamp with time zone)"},
      {"instance_executions",
       "p_instance_id text, \"limit\" integer DEFAULT 5 -> TABLE(execution_id bigint, status text, "
       "event_count bigint, "
       "duration_ms bigint, output text)"},
      {"waiting",
       "p_instance_id text DEFAULT NULL::text -> TABLE(instance_id text, node_id text, kind text, name text, "
       "since "
       "timestamp with time zone, until timestamp with time zone)"},
      {"metrics",
       " -> TABLE(total_instances bigint, running_instances bigint, completed_instances bigint, "
       "failed_instances "
       "bigint, total_executions bigint, total_events bigint)"},
      {"list_instances",
       "status text DEFAULT NULL::text, \"limit\" integer DEFAULT 100 -> SETOF df.instance_summary | status "
       "text, "
       "\"limit\" integer, label text, after_cursor text DEFAULT NULL::text -> SETOF df.instance_page_row"}};
  for (const auto& [name, arguments] : expected)
    CHECK(std::string(name) + ": " + signature(sql, name) == std::string(name) + ": " + arguments);
  CHECK(sql.text("select df.version()") == sql.text("select max(number) from df.schema_migrations"));
  CHECK(sql.text("select df.target_database()") == database.name());
}

TEST_CASE("constructors have the arguments and defaults of the contract", "[L1.3][L3.17][S2.1]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string null = " DEFAULT NULL::";
  const std::pair<const char*, std::string> expected[] = {
      {"sql", "query text"},
      {"sleep", "seconds anycompatible"},
      {"wait_for_schedule", "cron text, timezone text DEFAULT 'UTC'::text"},
      {"wait_for_signal", "name text, timeout_seconds anycompatible" + null + "unknown"},
      {"http", "url text, body jsonb, timeout_seconds numeric DEFAULT 30, headers anycompatible" + null +
                   "unknown -> text | url text, method text, body jsonb, headers anycompatible" + null +
                   "unknown, timeout_seconds numeric DEFAULT 30, expect text" + null + "text, \"into\" text" +
                   null + "text, rows text" + null + "text, columns text" + null +
                   "text -> text | url text, method text DEFAULT 'POST'::text, body text" + null +
                   "text, headers anycompatible" + null +
                   "unknown, timeout_seconds numeric DEFAULT 30, expect text" + null + "text, request text" +
                   null + "text, \"into\" text" + null + "text, rows text" + null + "text, columns text" +
                   null + "text"},
      {"http_multipart", "url text, method text DEFAULT 'POST'::text, parts anycompatible" + null +
                             "unknown, headers anycompatible" + null +
                             "unknown, timeout_seconds numeric DEFAULT 30, expect text" + null + "text"},
      {"if", "cond text, \"then\" text, \"else\" text" + null + "text"},
      {"if_rows", "name text, \"then\" text, \"else\" text" + null + "text"},
      {"loop", "body text, condition text" + null + "text"},
      {"break", "value anycompatible" + null + "unknown"},
      {"seq", "VARIADIC steps text[]"},
      {"as", "step text, name text"},
      {"join", "VARIADIC branches text[]"},
      {"join3", "a text, b text, c text"},
      {"race", "VARIADIC branches text[]"},
      {"any", "VARIADIC branches text[]"},
      {"for_each", "rows text, body text, max_parallel bigint DEFAULT 10, name text DEFAULT 'item'::text"},
      {"retry", "step text, max_attempts bigint, delay anycompatible" + null +
                    "unknown, backoff numeric DEFAULT 2, max_delay anycompatible" + null +
                    "unknown, \"on\" text" + null + "text"},
      {"timeout", "step text, seconds anycompatible"},
      {"catch", "step text, handler text"}};
  for (const auto& [name, arguments] : expected)
    CHECK(std::string(name) + ": " + signature(sql, name) ==
          std::string(name) + ": " + arguments + " -> text");
}

TEST_CASE("tables and views have the columns of the contract", "[S1.1][S1.5][S1.9][S1.10][S2.12]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* column : {"id", "label", "status", "submitted_by", "database", "priority", "created_at",
                             "started_at", "updated_at", "completed_at", "wake_at", "error"}) {
    CHECK_THAT(" " + columns(sql, "df.instances") + " ", ContainsSubstring(std::string(" ") + column + " "));
  }
  CHECK(sql.text("select pg_typeof(submitted_by)::text || ' ' || pg_typeof(error) from (select) t "
                 "left join df.instances on true") == "regrole json");
  for (const char* column : {"host", "version", "started_at", "last_seen_at"}) {
    CHECK_THAT(" " + columns(sql, "df.workers") + " ", ContainsSubstring(std::string(" ") + column + " "));
  }
  for (const char* table : {"df.events", "df.signals", "df.vars", "df.schema_migrations"})
    CHECK_FALSE(columns(sql, table).empty());
  CHECK(columns(sql, "df.submit") == "id dsl label database vars priority start_at idempotency_key input");
  CHECK(columns(sql, "df.nodes") ==
        "id instance_id node_type query result_name left_node right_node status result error submitted_by "
        "database "
        "created_at updated_at status_details");
  CHECK(columns(sql, "df._worker_epoch") == "started_at last_seen_at");
  CHECK(sql.text("select pg_typeof(result)::text from (select) t left join df.nodes on true") == "jsonb");
  CHECK(columns(sql, "df.instance_summary") ==
        "instance_id label function_name status execution_count output");
  CHECK(columns(sql, "df.instance_page_row") ==
        "instance_id label function_name status execution_count output created_at completed_at next_cursor");
}

TEST_CASE("every object of the schema has a comment", "[S1.8]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK(sql.exec("select p.oid::regprocedure from pg_proc p where p.pronamespace = 'df'::regnamespace and "
                 "obj_description(p.oid, 'pg_proc') is null") == Rows{});
  CHECK(
      sql.exec(
          "select c.oid::regclass from pg_class c where c.relnamespace = 'df'::regnamespace and c.relkind in "
          "('r', 'v') and obj_description(c.oid, 'pg_class') is null") == Rows{});
}

// PostgreSQL runs one role's functions in another's session, so the session's user says nothing about who asks
// (docs/decisions/0013-no-role-takes-all.md).
TEST_CASE("no function, policy, view or default asks who the session's user is", "[S3.4]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK(sql.number(
            "select count(*) from pg_proc p where p.pronamespace = 'df'::regnamespace and p.prokind <> 'a' "
            "and pg_get_functiondef(p.oid) ~* 'session_user'") == 0);
  CHECK(sql.number("select count(*) from pg_policies where schemaname = 'df' "
                   "and concat(qual, with_check) ~* 'session_user'") == 0);
  CHECK(sql.number(
            "select count(*) from pg_views where schemaname = 'df' and definition ~* 'session_user'") == 0);
  CHECK(sql.number(
            "select count(*) from pg_attrdef d join pg_class c on c.oid = d.adrelid where c.relnamespace = "
            "'df'::regnamespace and pg_get_expr(d.adbin, d.adrelid) ~* 'session_user'") == 0);
}

TEST_CASE("df.start refuses what could not run, and says why", "[S2.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  database.server().create_role("surface_nologin", "nologin");
  Sql super(database.conninfo("postgres"));
  super.exec("select df.grant_usage('surface_nologin')");
  CHECK_THAT(sql.expects_error("22023", "select df.start('SELECT 1', transaction_mode => 'other')"),
             ContainsSubstring("invalid transaction_mode 'other'"));
  CHECK_THAT(sql.expects_error("0A000", "select df.start('SELECT 1', transaction_mode => 'new')"),
             ContainsSubstring("dblink") && ContainsSubstring("CREATE EXTENSION"));
  CHECK_THAT(sql.expects_error("3D000", "select df.start('SELECT 1', database => 'no such; db')"),
             ContainsSubstring("database \"no such; db\" does not exist"));
  CHECK_THAT(sql.expects_error("22023", "select df.start('{\"node_type\":\"X\"}')"),
             ContainsSubstring("Unknown node_type 'X'"));
  CHECK_THAT(sql.expects_error(
                 "22023",
                 "select df.start('{\"node_type\":\"IF\",\"left_node\":{\"node_type\":\"SQL\",\"query\":"
                 "\"x\"},\"query\":\"{\\\"condition_node\\\":{}}\"}')"),
             ContainsSubstring("condition_node in IF must be a first-class Durofut field"));
  CHECK_THAT(sql.expects_error("22023", "select df.start('SELECT 1; SELECT 2')"),
             ContainsSubstring("this text has 2"));
  CHECK_THAT(sql.expects_error("22023", "select df.start('SELECT 1', priority => 40000)"),
             ContainsSubstring("priority"));
  CHECK_THAT(sql.expects_error("22008", "select df.start('SELECT 1', start_at => 'infinity')"),
             ContainsSubstring("start_at must be a finite time"));
  CHECK_THAT(sql.expects_error("22004", "select df.start(null)"), ContainsSubstring("NULL"));
  CHECK_THAT(super.expects_error("42501", "select df.start('SELECT 1')"),
             ContainsSubstring("enable_superuser_instances"));
  CHECK_THAT(super.expects_error("42501", "set role surface_nologin; select df.start('SELECT 1')"),
             ContainsSubstring("LOGIN"));
  CHECK_THAT(sql.expects_error("22023",
                               "do $$ declare n text := 'SELECT 1'; begin for i in 1..300 loop n := "
                               "df.timeout(n, 5); end loop; perform df.start(n); end $$"),
             ContainsSubstring("maximum nesting depth of 256"));
  CHECK(sql.number("select count(*) from df.instances") == 0);
}

TEST_CASE("df.start and an insert of the text alone leave the same defaults, and take what is given",
          "[S1.3][S2.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string row =
      " select coalesce(label, '-') || ' ' || status || ' ' || submitted_by || ' ' || (database = "
      "current_database()) "
      "|| ' ' || priority || ' ' || vars || ' ' || (wake_at between created_at - interval '1 s' and "
      "clock_timestamp()) || ' ' || coalesce(idempotency_key, '-') from df.instances where id = $1";
  for (const char* submission :
       {"select df.start('SELECT 1')", "insert into df.submit (dsl) values ('''SELECT 1''') returning id"}) {
    CHECK(sql.text(row, sql.text(submission)) == "- pending durabled_owner true 0 {} true -");
  }
  for (const char* submission :
       {"select df.start('SELECT 1', 'l', 'postgres', 'caller', 7, now() + interval '1 hour', 'key 1')",
        "insert into df.submit (dsl, label, database, priority, start_at, idempotency_key) values "
        "('''SELECT 1''', 'l', 'postgres', 7, now() + interval '1 hour', 'key 2') returning id"}) {
    CHECK_THAT(sql.text(row, sql.text(submission)),
               ContainsSubstring("l pending durabled_owner false 7 {} false key "));
  }
  CHECK(sql.number("select count(*) from df.instances where database = 'postgres'") == 2);
}

TEST_CASE("an instance that has ended says when, however it ended", "[S1.9]") {
  Served served;
  const std::string completed = served.finished("'SELECT 1'"), failed = served.finished("'SELECT 1/0'"),
                    unbegun = served.start("'SELECT 1', start_at => now() + interval '1 hour'"),
                    running = served.start("df.sleep(600)"), open = served.start("df.sleep(600)");
  served.wait_for_waits(running, 1);
  for (const std::string& id : {unbegun, running}) served.sql.exec("select df.cancel($1)", id);
  CHECK(served.end_of(running) == "cancelled");
  for (const std::string& id : {completed, failed, unbegun, running}) {
    CHECK(served.sql.text("select completed_at between created_at and clock_timestamp() and wake_at is null "
                          "from df.instances where id = $1",
                          id) == "t");
  }
  CHECK(served.sql.value("select completed_at from df.instances where id = $1", open) == std::nullopt);
}

TEST_CASE("the role df_operator is made by an installer that may make roles, and left out by another",
          "[S3.3]") {
  PostgresServer server;
  Sql super(server.conninfo());
  const TestDatabase plain = server.fresh_database();
  CHECK(super.exec("select from pg_roles where rolname = 'df_operator'").empty());
  super.exec("alter role durabled_owner createrole");
  const TestDatabase database = server.empty_database();
  const TemporaryDirectory directory("durabled-init");
  run({.argv = {kBinary, "init", "--database", database.conninfo()}, .output = directory.path() / "out"});
  CHECK(super.text("select rolcanlogin from pg_roles where rolname = 'df_operator'") == "f");
  CHECK(Sql(database.conninfo())
            .text("select has_function_privilege('df_operator', 'df.cancel(text, text)', 'execute')") == "t");
}

TEST_CASE("a superuser's workflow is accepted once the setting says so", "[S2.3]") {
  const TestDatabase database = fresh_database();
  Sql super(database.conninfo("postgres"));
  super.exec("insert into df.settings values ('enable_superuser_instances', 'true')");
  CHECK(super.text("select df.start('SELECT 1')").size() == 8);
}

TEST_CASE("transaction_mode new commits on its own through dblink, wherever it is installed", "[S2.4]") {
  const TestDatabase database = fresh_database();
  Sql super(database.conninfo("postgres"));
  super.exec("create schema \"Ex;tra\"; create extension dblink schema \"Ex;tra\"");
  Sql sql(database.conninfo());
  CHECK_THAT(sql.expects_error("55000", "select df.start('SELECT 1', transaction_mode => 'new')"),
             ContainsSubstring("df_loopback"));
  super.exec(
      "grant usage on schema \"Ex;tra\" to durabled_owner; "
      "grant execute on function \"Ex;tra\".dblink_connect_u(text, text) to durabled_owner");
  // dblink's own connection looks for the server's socket where libpq was told at build time.
  super.exec("create server df_loopback foreign data wrapper dblink_fdw options (host '127.0.0.1', port '" +
             std::to_string(database.server().port()) + "', dbname '" + database.name() + "')");
  CHECK_THAT(sql.expects_error("55000", "select df.start('SELECT 1', transaction_mode => 'new')"),
             ContainsSubstring("could not make one"));
  CHECK(sql.number("select count(*) from df.instances") == 0);
  super.exec(
      "insert into df.settings values ('enable_superuser_instances', 'true'); "
      "create user mapping for postgres server df_loopback options (user 'postgres')");
  super.exec("begin");
  const std::string id = super.text(
      "select df.start('SELECT 1', E'it''s \\\\ \"l\"', transaction_mode => 'new', priority => 3)");
  super.exec("rollback");
  CHECK(super.exec("select label, priority, submitted_by from df.instances where id = $1", id) ==
        Rows{{"it's \\ \"l\"", "3", "postgres"}});
}

TEST_CASE(
    "an idempotency key gives the earlier id, through df.start and df.submit alike, for each role its own",
    "[S1.3][S2.5]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string id = sql.text("select df.start('SELECT 1', idempotency_key => 'k')");
  CHECK(sql.text("select df.start('SELECT 2', idempotency_key => 'k')") == id);
  CHECK(sql.text("insert into df.submit (dsl, idempotency_key) values ('''SELECT 3''', 'k') returning id") ==
        id);
  CHECK(sql.text("select df.start('SELECT 2', idempotency_key => 'other')") != id);
  database.server().create_role("surface_other");
  sql.exec("select df.grant_usage('surface_other')");
  Sql other(database.conninfo("surface_other"));
  CHECK(other.text("select df.start('SELECT 1', idempotency_key => 'k')") != id);
  CHECK(sql.number("select count(*) from df.instances") == 3);
}

TEST_CASE("an idempotency key is given once: within a statement, by COPY, and by transactions side by side",
          "[S1.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo()), other(database.conninfo());
  const Rows rows = sql.exec(
      "insert into df.submit (dsl, priority, idempotency_key) values ('one', 1, 'k'), ('two', 2, 'k'), "
      "('three', 3, 'other'), ('four', 4, null) returning id, priority");
  CHECK(rows[0] == rows[1]);
  CHECK(rows[2][1] == "3");
  CHECK(sql.text("select string_agg(dsl, ' ' order by dsl) from df.instances") == "four one three");
  CHECK(PQresultStatus(PQexec(sql.raw(), "copy df.submit (dsl, idempotency_key) from stdin")) ==
        PGRES_COPY_IN);
  REQUIRE(PQputCopyData(sql.raw(), "five\tk\nsix\tnew\n", 15) == 1);
  REQUIRE(PQputCopyEnd(sql.raw(), nullptr) == 1);
  while (PGresult* result = PQgetResult(sql.raw())) PQclear(result);
  CHECK(sql.text("select string_agg(dsl, ' ' order by dsl) from df.instances") == "four one six three");

  sql.exec("begin");
  const std::string first = sql.text("select df.start('SELECT 1', idempotency_key => 'race')");
  std::string second;
  std::thread waits([&] { second = other.text("select df.start('SELECT 2', idempotency_key => 'race')"); });
  Sql watcher(database.conninfo("postgres"));
  wait_until("the other transaction waits for the key", [&] {
    return watcher.number("select count(*) from pg_locks where not granted and locktype = 'transactionid'") ==
           1;
  });
  sql.exec("commit");
  waits.join();
  CHECK(second == first);

  // Whoever deletes an instance frees its key.
  sql.exec("delete from df.instances where id = $1", first);
  CHECK(sql.text("select df.start('SELECT 3', idempotency_key => 'race')") != first);
}

TEST_CASE("the inbox takes rows of many and COPY, and captures the variables of its submitter",
          "[S1.1][S1.2][S1.6]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  CHECK(sql.text("select df.setvar('a', '1')") == "1");
  CHECK(sql.exec("insert into df.submit (dsl, label) select '''SELECT 1''', 'l' || n from generate_series(1, "
                 "500) n "
                 "returning id")
            .size() == 500);
  REQUIRE(PQresultStatus(PQexec(sql.raw(), "copy df.submit (dsl, label, priority) from stdin")) ==
          PGRES_COPY_IN);
  const std::string lines = "'SELECT 1'\tcopied\t5\n'SELECT 2'\tcopied\t-7\n";
  REQUIRE(PQputCopyData(sql.raw(), lines.data(), static_cast<int>(lines.size())) == 1);
  REQUIRE(PQputCopyEnd(sql.raw(), nullptr) == 1);
  while (PGresult* result = PQgetResult(sql.raw())) {
    CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
  }
  CHECK(sql.exec("select priority, vars from df.instances where label = 'copied' order by 1 desc") ==
        Rows{{"5", R"({"a": "1"})"}, {"-7", R"({"a": "1"})"}});
  CHECK(sql.number("select count(distinct id) from df.instances where id ~ '^[0-9a-z]{8}$'") == 502);
  Sql other(database.conninfo());
  sql.exec("begin");
  const std::string open = sql.text("insert into df.submit (dsl) values ('''SELECT 1''') returning id");
  CHECK(sql.text("select df.status($1)", open) == "pending");
  other.expects_error("P0002", "select df.status($1)", open);
  sql.exec("commit");
  CHECK(other.text("select df.status($1)", open) == "pending");
  const std::string own =
      sql.text("insert into df.submit (dsl, vars) values ('x', '{\"b\": 2}') returning id");
  CHECK(sql.text("select vars from df.instances where id = $1", own) == R"({"b": 2})");
  CHECK(sql.text("select df.getvar('a')") == "1");
  CHECK(sql.text("select df.unsetvar('a')") == "t");
  CHECK(sql.text("select df.unsetvar('a')") == "f");
  CHECK(sql.value("select df.getvar('a')") == std::nullopt);
  sql.exec("select df.setvar('b', '1'), df.setvar('c', '2')");
  CHECK(sql.number("select df.clearvars()") == 2);
  sql.expects_error("23502", "insert into df.submit (label) values ('no dsl')");
}

TEST_CASE("variables cannot be written inside a workflow", "[S2.10]") {
  Served served;
  for (const char* call : {"df.setvar(''a'', ''1'')", "df.unsetvar(''a'')", "df.clearvars()"}) {
    const std::string id = served.finished("'SELECT " + std::string(call) + "'");
    CHECK(served.sql.text("select df.status($1)", id) == "failed");
    CHECK_THAT(served.sql.text("select df.error($1) ->> 'message'", id),
               ContainsSubstring("cannot be called inside a workflow"));
  }
}

TEST_CASE("status, result and error tell how an instance ended, and strangers are told nothing", "[S2.7]") {
  Served served;
  const std::string good = served.finished("'SELECT 7 AS n'");
  CHECK(served.sql.text("select df.status($1)", good) == "completed");
  CHECK(served.sql.text("select df.result($1) -> 'rows' -> 0 ->> 'n'", good) == "7");
  CHECK(served.sql.value("select df.error($1)", good) == std::nullopt);
  const std::string bad = served.finished("'SELECT 1/0'");
  CHECK(served.sql.text("select df.status($1)", bad) == "failed");
  CHECK(served.sql.value("select df.result($1)", bad) == std::nullopt);
  CHECK(served.sql.text("select df.error($1) ->> 'sqlstate'", bad) == "22012");
  CHECK_THAT(served.sql.text("select df.cancel($1)", bad), ContainsSubstring("already failed"));
  for (const char* call :
       {"df.status($1)", "df.result($1)", "df.error($1)", "df.await_instance($1)", "df.cancel($1)",
        "df.pause($1)", "df.resume($1)", "df.signal($1, 'x')", "df.rerun($1)", "df.explain($1)"}) {
    CHECK_THAT(served.sql.expects_error("P0002", std::string("select ") + call, "zzzzzzzz"),
               ContainsSubstring("Instance not found or access denied: zzzzzzzz"));
  }
  for (const char* look : {"history", "instance_info", "instance_nodes", "instance_executions", "waiting"}) {
    INFO(look);
    CHECK(served.sql.number("select count(*) from df." + std::string(look) + "($1)", "zzzzzzzz") == 0);
  }
}

TEST_CASE("await_instance returns the status that an instance ended with, and at its timeout the one of then",
          "[S2.8]") {
  Served served;
  CHECK(served.end_of(served.start("df.sleep(0.1)")) == "completed");
  CHECK(served.end_of(served.start("'SELECT 1/0'")) == "failed");
  // It returns because the instance has ended: an hour is more than any busy machine takes.
  CHECK(served.sql.text("select df.await_instance($1, 3600)", served.start("df.sleep(0.1)")) == "completed");
  const std::string slow = served.start("df.sleep(60)");
  const auto begin = Clock::now();
  CHECK(served.sql.text("select df.await_instance($1, 0.3)", slow) != "completed");
  CHECK(Clock::now() - begin >= milliseconds(300));
}

TEST_CASE(
    "await_instance does not wait for what its own transaction has submitted, and tells that no daemon "
    "serves",
    "[S2.8]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  std::string notices;
  PQsetNoticeProcessor(
      sql.raw(), [](void* all, const char* text) { *static_cast<std::string*>(all) += text; }, &notices);
  sql.exec("begin");
  const std::string id = sql.text("select df.start('SELECT 1')");
  CHECK(sql.text("select df.await_instance($1, 3600)", id) == "pending");
  CHECK_THAT(notices, ContainsSubstring("WARNING:  Instance " + id + " cannot run before") &&
                          ContainsSubstring("COMMIT first"));
  sql.exec("commit");
  notices.clear();
  CHECK(sql.text("select df.await_instance($1, 0.01)", id) == "pending");
  CHECK_THAT(notices, ContainsSubstring("NOTICE:  No daemon serves this database"));
  notices.clear();
  sql.exec("insert into df.workers (name, host, pid, version) values ('w', 'h', 1, '0')");
  CHECK(sql.text("select df.await_instance($1, 0.01)", id) == "pending");
  CHECK(notices.empty());
}

TEST_CASE("a node that waits for its turn does not show the error of an earlier iteration", "[S1.7]") {
  Served served;
  // The first iteration fails in the else-branch; the second one waits in the other.
  const std::string id = served.start(
      "df.loop(df.if('SELECT count(*) > 0 FROM df.events WHERE kind = ''IterationCompleted''', "
      "df.wait_for_signal('never'), df.catch('SELECT 1/0', 'SELECT 2')), 'SELECT true')");
  served.wait_for_waits(id, 1);
  CHECK(
      served.sql.number(
          "select count(*) from df.nodes where instance_id = $1 and status = 'pending' and error is not null",
          id) == 0);
  CHECK_THAT(served.explain(id), !ContainsSubstring("division by zero"));
}

TEST_CASE("explain cuts a long output, so that psql can show the tree", "[S2.11]") {
  Served served;
  const std::string id = served.finished("'SELECT repeat(''x'', 1000) AS x'");
  const std::string text = served.explain(id);
  const std::size_t begin = text.find("Output: ");
  REQUIRE(begin != std::string::npos);
  const std::string output = text.substr(begin + 8, text.find('\n', begin) - begin - 8);
  CHECK(output == "{\"rows\":[{\"x\":\"" + std::string(99 - 15, 'x') + "…");
}

TEST_CASE("start_at holds an instance back, and a higher priority goes first", "[S1.3]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  sql.exec("create table runs (n serial, who text)");
  for (int priority : {0, 5, -5, 9}) {
    sql.exec("select df.start($1, priority => $2::int)",
             "INSERT INTO runs (who) VALUES ('" + std::to_string(priority) + "')", priority);
  }
  const std::string later = sql.text("select df.start('SELECT 1', start_at => now() + interval '1 hour')");
  const std::string soon =
      sql.text("select df.start('SELECT 1', start_at => clock_timestamp() + interval '1.5 seconds')");
  DaemonProcess daemon(
      DaemonProcess::Options{.database = database.conninfo(),
                             .settings = {{"steps.connections", "1"}, {"steps.connections_per_role", "1"}}});
  daemon.wait_until_ready();
  wait_until("four have run", [&] { return sql.number("select count(*) from runs") == 4; });
  CHECK(sql.text("select string_agg(who, ' ' order by n) from runs") == "9 5 0 -5");
  CHECK(sql.text("select df.await_instance($1, 10)", soon) == "completed");
  CHECK(sql.text("select started_at >= created_at + interval '1.4 seconds' from df.instances where id = $1",
                 soon) == "t");
  CHECK(sql.text("select df.status($1)", later) == "pending");
}

TEST_CASE("pause, resume and signals move an instance", "[S2.6]") {
  Served served;
  const std::string id = served.start("df.wait_for_signal('go') |=> 's' ~> 'SELECT $s.data::text AS d'");
  served.wait_for_node(id, "running");
  served.sql.exec("select df.pause($1)", id);
  wait_until("it is paused", [&] { return served.sql.text("select df.status($1)", id) == "paused"; });
  CHECK_THAT(served.sql.text("select df.signal($1, 'go', 'no json')", id), ContainsSubstring("sent"));
  served.sql.exec("select df.resume($1)", id);
  CHECK(served.end_of(id) == "completed");
  CHECK_THAT(served.sql.text("select df.result($1)::text", id), ContainsSubstring("no json"));
  CHECK_THAT(served.sql.text("select df.signal($1, 'go')", id), ContainsSubstring("not sent"));
}

TEST_CASE("prune deletes what has ended, with its history, and nothing else", "[S2.18]") {
  Served served;
  const std::string ended = served.finished("'SELECT 1'");
  const std::string open = served.start("df.sleep(600)");
  served.wait_for_node(open, "running");
  CHECK(served.sql.number("select df.prune('1 hour')") == 0);
  CHECK(served.sql.number("select df.prune('0 seconds')") == 1);
  CHECK(served.sql.exec("select from df.events where instance_id = $1", ended).empty());
  CHECK(served.sql.exec("select id from df.instances") == Rows{{open}});
  served.sql.exec(
      "insert into df.submit (dsl, label) select '''SELECT 1''', 'many' from generate_series(1, 2500)");
  served.sql.exec("select df.cancel(id) from df.instances where label = 'many'");
  wait_until("all of them have ended", [&] {
    return served.sql.number(
               "select count(*) from df.instances where label = 'many' and completed_at is null") == 0;
  });
  CHECK(served.sql.number("select df.prune('0 seconds')") == 2'500);
  CHECK(served.sql.exec("select id from df.instances") == Rows{{open}});
  served.sql.expects_error("22023", "select df.prune('-1 hour')");
  served.sql.expects_error("22023", "select df.prune(null)");
}
