// Usage: given, delegated, and taken back without a trace.
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// What a role may do with anything of the schema, beyond what everybody may.
std::string privileges(Sql& sql, const std::string& role) {
  return sql.text(
      "select concat_ws(' ', case when has_schema_privilege($1, 'df', 'usage') then 'schema' end, "
      "(select string_agg(c.relname, ' ') from pg_class c where c.relnamespace = 'df'::regnamespace and "
      "c.relkind in ('r', 'v') "
      "  and (has_table_privilege($1, c.oid, 'select, insert, update, delete, truncate, references, "
      "trigger') "
      "       or has_any_column_privilege($1, c.oid, 'select, insert, update, references'))), "
      "(select string_agg(c.relname, ' ') from pg_class c where c.relnamespace = 'df'::regnamespace and "
      "c.relkind = 'S' "
      "  and case when c.relkind = 'S' then has_sequence_privilege($1, c.oid, 'usage, select, update') end), "
      "(select string_agg(p.proname, ' ') from pg_proc p where p.pronamespace = 'df'::regnamespace "
      "  and has_function_privilege($1, p.oid, 'execute')), "
      "(select string_agg(t.typname, ' ') from pg_type t where t.typnamespace = 'df'::regnamespace and "
      "t.typtype = 'c' "
      "  and t.typname in ('instance_summary', 'instance_page_row') and has_type_privilege($1, t.oid, "
      "'usage')))",
      role);
}

}  // namespace

TEST_CASE("a role has nothing, is given usage, and has nothing again, whatever its name", "[S2.16][S2.17]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  for (const std::string role :
       {"grants_plain", "We\"ird; Role", "rôle ünïcode 日本", "select", "a'b\\c", "UPPER $$"}) {
    INFO(role);
    database.server().create_role(role);
    CHECK(privileges(owner, role) == "");
    CHECK_THAT(owner.text("select df.grant_usage($1)", role), ContainsSubstring("may use durable workflows"));
    CHECK(owner.text("select has_function_privilege($1, 'df.http(text, text, text, anycompatible, numeric, "
                     "text, text, text, text, text)', "
                     "'execute')",
                     role) == "f");
    owner.exec("select df.grant_usage($1, true)", role);
    owner.exec("select df.grant_usage($1)", role);  // additive: it takes nothing away
    CHECK(owner.text("select df._may_http($1::regrole)", owner.text("select quote_ident($1)", role)) == "t");
    std::string connection = database.conninfo("x");
    connection.replace(
        connection.rfind("user=x"), 6, "user='" + [&] {
          std::string escaped;
          for (const char c : role)
            escaped += (c == '\'' || c == '\\') ? std::string("\\") + c : std::string(1, c);
          return escaped;
        }() + "'");
    Sql client(connection);
    const std::string id = client.text("select df.start('SELECT 1' ~> df.http('http://localhost'), 'l')");
    CHECK(client.text("select df.status($1)", id) == "pending");
    CHECK(client.text("select submitted_by from df.instances") ==
          client.text("select quote_ident(current_user)"));
    client.exec("select df.setvar('a', 'b'), df.pause($1), df.resume($1), df.cancel($1), df.rerun($1)", id);
    CHECK(client.number("select count(*) from df.list_instances()") == 2);
    client.exec(
        "select * from df.nodes; select * from df._worker_epoch; select df.explain('SELECT 1'), "
        "df.getvar('a'), df.clearvars()");
    client.expects_error("42501", "select df.metrics()");
    client.expects_error("42501", "select df.grant_usage('postgres')");
    owner.exec("select df.revoke_usage($1)", role);
    CHECK(privileges(owner, role) == "");
    client.expects_error("42501", "select df.start('SELECT 1')");
  }
  CHECK(owner.number("select count(*) from df._usage") == 0);
  CHECK_THAT(owner.expects_error("42704", "select df.grant_usage('no such role')"),
             ContainsSubstring("does not exist"));
  CHECK_THAT(owner.expects_error("42704", "select df.grant_usage('public')"),
             ContainsSubstring("does not exist"));
}

// New functions are granted to nobody until their file lists them: see df._client_routines in 0001_core.sql.
TEST_CASE("a client may execute what the files of the schema list for clients, and nothing else",
          "[smoke][S3.1]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"grants_listed", "grants_listed_http"}) database.server().create_role(role);
  Sql owner(database.conninfo());
  owner.exec("select df.grant_usage('grants_listed'), df.grant_usage('grants_listed_http', true)");
  CHECK(owner.exec("select name from df._client_routines c where not exists (select from pg_proc p where "
                   "p.pronamespace = 'df'::regnamespace and p.proname = c.name)") == Rows{});
  for (const std::string role : {"grants_listed", "grants_listed_http"}) {
    INFO(role << ": executable or listed, but not both");
    CHECK(
        owner.exec("select p.oid::regprocedure from pg_proc p left join df._client_routines c on c.name = "
                   "p.proname where p.pronamespace = 'df'::regnamespace and has_function_privilege($1, "
                   "p.oid, 'execute') is distinct from (c.name is not null and (not c.http or $2::boolean))",
                   role, role == "grants_listed_http") == Rows{});
  }
  {
    INFO("a documented function that its file does not list for clients, see the end of the file");
    CHECK(
        owner.exec(
            "select p.proname from pg_proc p where p.pronamespace = 'df'::regnamespace and p.proname !~ '^_' "
            "and p.proname not in ('grant_usage', 'revoke_usage', 'metrics', 'prune') and not exists (select "
            "from df._client_routines c where c.name = p.proname)") == Rows{});
  }
  {
    INFO("a function that is listed for clients calls, with their rights, one that is not");
    CHECK(
        owner.exec(
            "select distinct p.proname, m[1] from pg_proc p join df._client_routines c on c.name = "
            "p.proname, "
            "regexp_matches(concat(p.prosrc, pg_get_function_sqlbody(p.oid)), 'df\\.\"?([a-z_0-9]+)\"?\\(', "
            "'g') m "
            "where p.pronamespace = 'df'::regnamespace and not p.prosecdef and m[1] in (select proname from "
            "pg_proc where pronamespace = 'df'::regnamespace) and m[1] not in (select name from "
            "df._client_routines)") == Rows{});
  }
  // By name, so that nobody takes the last assertion for one about an empty list.
  CHECK(owner.text("select has_function_privilege('grants_listed', 'df.status(text)', 'execute')") == "t");
  CHECK(
      owner.exec("select p.proname from pg_proc p where p.pronamespace = 'df'::regnamespace and p.proname in "
                 "('_apply_turn', '_commit_turns', '_poll', '_prune_batch', 'metrics', 'prune') "
                 "and has_function_privilege('grants_listed', p.oid, 'execute')") == Rows{});
  // What a later migration adds is nobody's.
  owner.exec("create function df.added_later() returns int language sql return 1");
  owner.exec("revoke all on function df.added_later() from public; select df.grant_usage('grants_listed')");
  CHECK(owner.text("select has_function_privilege('grants_listed', 'df.added_later()', 'execute')") == "f");
}

TEST_CASE("with_grant gives df.metrics with grant option, and revoke_usage takes it back", "[S2.17]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  for (const char* role : {"grants_measures", "grants_reads", "grants_let_in"})
    database.server().create_role(role);
  owner.exec("select df.grant_usage('grants_reads'), df.grant_usage('grants_measures', with_grant => true)");
  Sql measures(database.conninfo("grants_measures")), reads(database.conninfo("grants_reads"));
  reads.expects_error("42501", "select df.metrics()");
  measures.exec(
      "select df.metrics(); grant execute on function df.metrics() to grants_reads; "
      "select df.grant_usage('grants_let_in')");
  reads.exec("select df.metrics()");
  CHECK_THAT(owner.text("select df.revoke_usage('grants_measures')"),
             ContainsSubstring("let in still may: grants_let_in"));
  CHECK(privileges(owner, "grants_measures") == "");
  reads.expects_error("42501", "select df.metrics()");  // what it had passed on has gone with it
}

TEST_CASE("nothing is granted to everybody", "[S3.1]") {
  const TestDatabase database = fresh_database();
  database.server().create_role("grants_nobody");
  Sql owner(database.conninfo());
  CHECK(privileges(owner, "grants_nobody") == "");
}

TEST_CASE("a delegate passes usage on, takes back what it gave, and no more", "[S2.17]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  for (const char* role :
       {"grants_delegate", "grants_second", "grants_third", "grants_other", "grants_by_hand"})
    database.server().create_role(role);
  owner.exec("select df.grant_usage('grants_delegate', with_grant => true), df.grant_usage('grants_other')");
  Sql delegate(database.conninfo("grants_delegate"));
  delegate.exec("select df.grant_usage('grants_second', with_grant => true)");
  Sql second(database.conninfo("grants_second"));
  second.exec("select df.start('SELECT 1'), df.grant_usage('grants_third')");
  CHECK(Sql(database.conninfo("grants_third")).text("select df.start('SELECT 1')").size() == 8);
  CHECK_THAT(delegate.expects_error("42501", "select df.grant_usage('grants_second', include_http => true)"),
             ContainsSubstring("df.http"));
  CHECK_THAT(delegate.expects_error("42501", "select df.revoke_usage('grants_other')"),
             ContainsSubstring("was not given usage by"));
  // Not by giving it once more, either: neither what the owner gave, nor what somebody granted by hand.
  owner.exec("grant usage on schema df to grants_by_hand");
  for (const char* role : {"grants_other", "grants_by_hand"}) {
    delegate.exec("select df.grant_usage($1)", role);
    CHECK_THAT(delegate.expects_error("42501", "select df.revoke_usage($1)", role),
               ContainsSubstring("was not given usage by"));
  }
  CHECK_THAT(delegate.expects_error("22023", "select df.revoke_usage('durabled_owner')"),
             ContainsSubstring("owns the schema"));
  delegate.exec("select df.grant_usage('grants_other')");  // does not make it the delegate's
  delegate.expects_error("42501", "select df.revoke_usage('grants_other')");
  second.exec("select df.revoke_usage('grants_third')");
  delegate.exec("select df.revoke_usage('grants_second')");
  for (const char* role : {"grants_second", "grants_third"}) CHECK(privileges(owner, role) == "");
  owner.exec("select df.revoke_usage('grants_delegate'), df.revoke_usage('grants_other')");
  CHECK(privileges(owner, "grants_delegate") == "");
}

TEST_CASE("an operator sees everybody's and may cancel, pause, resume and rerun, and nothing else",
          "[S3.3]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  for (const char* role : {"grants_client", "grants_operator"}) database.server().create_role(role);
  database.server().create_role("df_operator", "nologin");
  Sql(database.conninfo("postgres")).exec("grant df_operator to grants_operator");
  owner.exec("select df.grant_usage('grants_client'), df.grant_usage('df_operator')");
  Sql client(database.conninfo("grants_client"));
  const std::string id = client.text("select df.start('SELECT 1', 'theirs')");
  client.exec("select df.signal($1, 's', '{}'), df.setvar('v', 'w')", id);
  Sql oper(database.conninfo("grants_operator"));
  CHECK(oper.text("select label from df.list_instances()") == "theirs");
  CHECK(oper.number("select count(*) from df.signals") == 1);
  CHECK(oper.number("select count(*) from df.vars") == 0);
  CHECK_THAT(oper.expects_error("42501", "select df.signal($1, 's')", id),
             ContainsSubstring("role grants_operator may not send signal \"s\"") &&
                 ContainsSubstring("SELECT df.grant_signal('grants_operator')"));
  oper.expects_error("42501", "insert into df.signals (instance_id, name) values ($1, 's')", id);
  oper.expects_error("42501", "update df.instances set label = 'mine'");
  oper.expects_error("42501", "delete from df.instances");
  oper.exec("select df.pause($1)", id);
  CHECK(oper.text("select df.status($1)", id) == "paused");
  oper.exec("select df.resume($1)", id);
  CHECK(oper.text("select df.status($1)", id) == "pending");
  const std::string rerun = oper.text("select df.rerun($1)", id);
  CHECK(oper.text("select submitted_by from df.instances where id = $1", rerun) == "grants_client");
  oper.exec("select df.cancel($1)", id);
  CHECK(client.text("select df.status($1)", id) == "cancelled");
}

TEST_CASE("a claim tells whether the role may make HTTP calls") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  for (const char* role : {"grants_http", "grants_no_http"}) {
    database.server().create_role(role);
    owner.exec("select df.grant_usage($1, $2::boolean)", role, std::string(role) == "grants_http");
    Sql(database.conninfo(role)).exec("select df.start('SELECT 1')");
  }
  const std::string worker = owner.text("select worker_id from df._register('w', 'h', 1, '1', false)");
  CHECK(owner.exec("select (claimed).role, (claimed).may_http from df._poll($1, 10) where (claimed).id is "
                   "not null order by 1",
                   worker) == Rows{{"grants_http", "t"}, {"grants_no_http", "f"}});
}

// PostgreSQL runs a role's functions as that role in sessions of others, where session_user is not their maker.
TEST_CASE("a delegate gains nothing from functions of its own that run in sessions of others",
          "[smoke][S2.17]") {
  PostgresServer server;  // of its own, because of the role df_operator
  const TestDatabase database = server.fresh_database();
  for (const char* role : {"lead", "alice"}) server.create_role(role);
  server.create_role("df_operator", "nologin");  // of no meaning here before the owner gives it one
  Sql owner(database.conninfo()), super(database.conninfo("postgres"));
  owner.exec("select df.grant_usage('lead', with_grant => true), df.grant_usage('alice', true)");
  super.exec("grant create on database " + database.name() + " to lead");
  Sql lead(database.conninfo("lead")), alice(database.conninfo("alice"));
  lead.exec(
      "create schema lair; grant usage on schema lair to public;"
      "create table lair.attempts (who name, session name, said text);"
      // Writes down what came of it; an attempt that fails does not end the statement that it rides on.
      "create function lair.attempt(statement text) returns void language plpgsql as $$ begin "
      "  execute statement; "
      "  insert into lair.attempts values (current_user, session_user, 'done'); "
      "exception when others then "
      "  insert into lair.attempts values (current_user, session_user, sqlerrm); end $$;"
      "create function lair.attempts() returns int language plpgsql as $$ begin "
      "  perform lair.attempt('select df.revoke_usage(''alice'')'); "
      "  perform lair.attempt('select df.grant_usage(''lead'', include_http => true)'); "
      "  perform lair.attempt('insert into df._usage_requests (gives, role_name, requested_by) values "
      "(false, "
      "''alice'', 10)'); "
      "  perform lair.attempt('select df.grant_usage(''df_operator'')'); "
      "  return 1; end $$");
  const auto require_nothing_won = [&](const std::string& session) {
    INFO("in a session of " << session);
    CHECK(super.exec("select who, session, said from lair.attempts order by said collate \"C\"") ==
          Rows{{"lead", session, "a role that may not use df.http cannot grant it"},
               {"lead", session, "done"},  // df_operator may use what any role may use
               {"lead", session, "permission denied for table _usage_requests"},
               {"lead", session, "role alice was not given usage by lead"}});
    CHECK(owner.exec("select df._may_http('lead'::regrole), df._may_http('alice'::regrole), "
                     "has_schema_privilege('alice', 'df', 'usage'), (select count(*) from df._operator), "
                     "(select granted_by from df._usage where grantee = 'df_operator'::regrole), "
                     "(select count(*) from df._usage_requests)") == Rows{{"f", "t", "t", "0", "lead", "0"}});
    lead.exec("delete from lair.attempts");
  };

  lead.exec("create materialized view lair.summary as select lair.attempts() with no data");
  super.exec("refresh materialized view lair.summary");
  require_nothing_won("postgres");

  lead.exec(
      "create function lair.helper() returns int language sql security definer as 'select lair.attempts()'");
  owner.exec("select lair.helper()");
  require_nothing_won("durabled_owner");

  lead.exec(
      "create table lair.parents (id int primary key); "
      "create table lair.children (parent int references lair.parents on delete cascade); "
      "create function lair.fire() returns trigger language plpgsql as "
      "  $$ begin perform lair.attempts(); return old; end $$; "
      "create trigger fire before delete on lair.children for each row execute function lair.fire(); "
      "insert into lair.parents values (1); insert into lair.children values (1); "
      "grant select, delete on lair.parents to alice");
  alice.exec("delete from lair.parents where id = 1");
  require_nothing_won("alice");
}
