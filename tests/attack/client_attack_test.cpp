// What a hostile role tries in a session of its own.
#include "tests/attack/attacker.hpp"

using namespace durabled::test;

TEST_CASE("another role's instances, events, signals and variables are not shown", "[S3.2]") {
  Attack attack;
  for (const char* table :
       {"df.instances", "df.events", "df.signals", "df.vars", "df.submit", "df.nodes", "df.reruns"}) {
    attack.attempt(std::string("select * from ") + table);
    attack.attempt(std::string("select t::text from ") + table + " t");
    attack.attempt(std::string("copy ") + table + " to stdout");
    attack.attempt(std::string("set row_security = off; select * from ") + table);
    attack.attempt(std::string("create view public.mine as select * from ") + table +
                   "; select * from public.mine");
  }
  for (const char* table : {"df._installation", "df._usage"}) {
    attack.attempt_in_vain(std::string("select * from ") + table);
    attack.attempt_in_vain(std::string("delete from ") + table);
    attack.attempt_in_vain(std::string("select * from ") + table + " for update");
  }
  for (const char* call :
       {"df.status('VICTIM')", "df.result('VICTIM')", "df.error('VICTIM')", "df.explain('VICTIM')",
        "df.cancel('VICTIM', 'x')", "df.pause('VICTIM')", "df.resume('VICTIM')", "df.signal('VICTIM', 'go')",
        "df.rerun('VICTIM')", "df.rerun('VICTIM', '00000001')", "df.await_instance('VICTIM', 0)",
        "df.prune('0 seconds')", "df.metrics()"}) {
    attack.attempt_in_vain(std::string("select * from ") + call + " as x");
  }
  for (const char* call :
       {"df.history('VICTIM')", "df.instance_info('VICTIM')", "df.instance_nodes('VICTIM')",
        "df.instance_executions('VICTIM')", "df.waiting('VICTIM')", "df._node_states('VICTIM')",
        "df._stored_states('VICTIM')", "df._granted_waits(array(select id from df._signal_grants), null)",
        "df._graph('VICTIM')", "df._output('VICTIM')", "df._execution_count('VICTIM')", "df._waits('VICTIM')",
        "df._node_times('VICTIM')", "df._explain_instance('VICTIM')", "df.list_instances()",
        "df.list_instances(null, 100, null, null)", "df.getvar('password')", "df.waiting()",
        "df.list_instances(null, 100, $$the victim's secret$$)"}) {
    attack.attempt(std::string("select * from ") + call + " as x");
  }
  // A function that is cheap enough to be run before the policy must not see hidden rows.
  attack.attempt(
      "create function public.leak(text) returns bool language plpgsql cost 0.0000001 as $$ begin raise "
      "notice "
      "'%', $1; if $1 like '%secret%' then raise exception 'found %', $1; end if; return true; end $$; "
      "select * from df.instances where public.leak(label); ");
  attack.attempt(
      "create function public.leak(text) returns bool language plpgsql cost 0.0000001 as $$ begin if $1 like "
      "'%secret%' then raise exception 'found %', $1; end if; return true; end $$; "
      "select * from df.events where public.leak(data::text)");
  attack.attempt(
      "create function public.leak(text) returns bool language plpgsql cost 0.0000001 as $$ begin if $1 like "
      "'%secret%' then raise exception 'found %', $1; end if; return true; end $$; "
      "select * from df.nodes where public.leak(result::text)");
  for (const char* catalog :
       {"pg_stat_activity", "pg_stats", "pg_prepared_statements", "pg_locks", "pg_stat_all_tables"}) {
    attack.attempt(std::string("select s::text from ") + catalog + " s");
  }
}

TEST_CASE("rows cannot be forged, neither another's nor the daemon's part of one's own", "[S1.4][S3.4]") {
  Attack attack;
  const char* const columns[] = {"id",         "status",       "submitted_by",  "created_at", "started_at",
                                 "updated_at", "completed_at", "error",         "result_seq", "request",
                                 "attention",  "worker_id",    "fencing_token", "claim_hash"};
  const char* const values[] = {
      "'aaaaaaaa'", "'completed'", "'victim'::regrole", "now()", "now()", "now()", "now()",
      "'{}'",       "1",           "'cancel'",          "true",  "1",     "5",     "'\\x00'"};
  for (std::size_t i = 0; i < std::size(columns); ++i) {
    attack.attempt_in_vain(std::string("insert into df.instances (dsl, ") + columns[i] + ") values ('x', " +
                           values[i] + ")");
    if (std::string(columns[i]) == "request") continue;
    attack.attempt_in_vain(std::string("update df.instances set ") + columns[i] + " = " + values[i] +
                           " where id = 'OWN'");
    attack.attempt_in_vain(
        std::string("insert into df.instances (dsl) values ('x') on conflict (id) do update set ") +
        columns[i] + " = " + values[i]);
  }
  for (const char* column : {"wake_at", "vars", "dsl", "label", "priority", "database"}) {
    attack.attempt_in_vain(std::string("update df.instances set ") + column + " = null where id = 'OWN'");
  }
  attack.attempt_in_vain("update df.instances set idempotency_key = 'another' where id = 'OWN'");
  attack.attempt("update df.instances set idempotency_key = null where id = 'VICTIM' returning id");
  for (const char* statement :
       {"insert into df.events values ('OWN', 99, now(), 'StepCompleted', '00000001', '', 1, '{}')",
        "insert into df.events values ('VICTIM', 99, now(), 'InstanceCompleted', null, null, null, '{}')",
        "update df.events set data = '{}'",
        "delete from df.events",
        "truncate df.events",
        "delete from df.instances",
        "truncate df.instances",
        "delete from df.signals",
        "update df.signals set taken_at = now()",
        "insert into df.signals (instance_id, name) values ('VICTIM', 'go')",
        "insert into df.signals (instance_id, name, sent_by) values ('OWN', 'go', 'victim'::regrole)",
        "insert into df.signals (instance_id, name, delivered) values ('OWN', 'go', true)",
        "insert into df.vars (owner, name, value) values ('victim'::regrole, 'password', 'x')",
        R"(insert into df.vars (owner, name, value) values ('victim'::regrole, 'password', 'x')
           on conflict (owner, name) do update set value = 'x')",
        "insert into df.reruns (source) values ('VICTIM')",
        "insert into df.reruns (source, from_node) values ('VICTIM', '00000001')",
        "insert into df.reruns (id, source) values ('aaaaaaaa', 'OWN')",
        "insert into df.reruns (source, requested_by) values ('OWN', 'victim'::regrole)",
        "delete from df.reruns",
        "insert into df.settings values ('enable_superuser_instances', 'true')",
        "delete from df.settings",
        "insert into df.workers (name, host, pid, version) values ('w', 'h', 1, '1')",
        "update df.workers set last_seen_at = '2000-01-01'",
        "delete from df.workers",
        "select * from df.workers for update",
        "insert into df._usage values ('mallory'::regrole, 'mallory'::regrole)",
        "update df.schema_migrations set number = 99",
        "alter table df.instances disable row level security",
        "drop policy visible on df.instances",
        "drop schema df cascade",
        "create policy mine on df.instances using (true)",
        "create trigger t after insert on df.instances for each row execute function df._submit()",
        "create temp table mine (like df.instances); create trigger t after insert on mine for each row "
        "execute "
        "function df._record_cancel()",
        "select df._record_cancel()",
        "create function df.evil() returns int language sql as 'select 1'",
        "create table df.t (x int)",
        "create or replace function df._now() returns timestamptz language sql as 'select now()'",
        "alter function df._me() owner to mallory",
        "select setval('df._instance_numbers', 1)",
        "select df.grant_usage('mallory', true, true)",
        "select df.revoke_usage('victim')",
        "grant df_operator to mallory",
        "set role victim",
        "set role durabled_owner",
        "set role df_operator",
        "set session authorization victim",
        "alter role mallory superuser",
        "create role x superuser",
        "lock table df.instances",
        "lock table df.workers in share mode",
        "select * from df.instances where id = 'VICTIM' for update nowait; select 1/0",
        "refresh materialized view df.instances"}) {
    attack.attempt_in_vain(statement);
  }
  for (const char* statement :
       {"update df.instances set request = 'cancel'", "grant all on df.instances to mallory",
        "update df.instances set request = 'pause' where id = 'VICTIM'",
        "update df.instances set request_reason = 'x' where submitted_by = 'victim'::regrole",
        "delete from df.vars", "truncate df.vars", "update df.vars set value = 'x'",
        "update df.vars set owner = 'victim'::regrole",
        "insert into df.submit (dsl, id) values ('x', 'VICTIM')",
        "insert into df.submit (dsl, idempotency_key) values ('x', 'VICTIM')"}) {
    attack.attempt(statement);
  }
}

TEST_CASE("the daemon's own functions are of no use to others", "[S3.4]") {
  Attack attack;
  for (const char* call : {"df._register('m', 'h', 1, '1', true)",
                           "df._heartbeat(1)",
                           "df._release(1)",
                           "df._release_dead(0, '-1 day', true)",
                           "df._deliver_signals()",
                           "df._poll(1, 100, null)",
                           "df._poll(0, 0, null)",
                           "df._reclaim(1, 'VICTIM')",
                           "df._reclaim(null, 'VICTIM')",
                           "df._apply_turn('VICTIM', now(), '{\"status\":\"completed\"}')",
                           "df._apply_turn('OWN', now(), '{\"status\":\"completed\"}')",
                           "df._apply_start('VICTIM', now(), '{\"label\":\"x\"}')",
                           "df._put_back('OWN', now(), '{\"body\":\"x\"}')",
                           "df._take_key('VICTIM', 'x')",
                           "df._commit_turns(1, '{VICTIM}', '{1}', "
                           "array['{\"instance\":\"VICTIM\",\"token\":1,\"at\":\"2026-01-01\"}'::json])",
                           "df._prune_batch('0', 10)",
                           "df._prune_batch('-1 day', 1000000)",
                           "df._client_functions(true)",
                           "df._grant_or_revoke(true, 'mallory', true, true)",
                           "df._grant_or_revoke(false, 'victim', true, true)",
                           "df._copy_history('VICTIM', '00000001', 'OWN')",
                           "df._copy_history('OWN', '00000001', 'VICTIM')",
                           "df._may_http(10)",
                           "df._submit()",
                           "df._ring()",
                           "df._rerun()",
                           "df._request_made()",
                           "df._check_submission()"}) {
    attack.attempt_in_vain(std::string("select * from ") + call + " as x");
  }
  // What reads with the caller's rights says of a stranger's instance what it says of one that does not exist.
  for (const std::string& id : {attack.victims_instance(), std::string("00000000")})
    CHECK(attack.mallory().text("select df._rerun_problem($1, '00000001')", id) ==
          "it has not started, so there is nothing to keep; rerun it without a node");
  // Only the key opens _commit_turn and _commit_group; a guess, a NULL and an instance of its own do not.
  for (const char* key : {"'KEY'", "null", "gen_random_uuid()"}) {
    for (const char* instance : {"'VICTIM'", "'OWN'", "null", "''''"}) {
      for (const char* token : {"0", "1", "2", "null"}) {
        attack.attempt_in_vain("call df._commit_turn(" + std::string(key) + ", " + instance + ", " + token +
                               ", null, 1000, now(), 'InstanceCompleted', null, null, null, '{}', "
                               "'{\"status\":\"completed\",\"database\":\"x\"}')");
        attack.attempt_in_vain("call df._commit_group(array[" + std::string(key) + "]::uuid[], array[" +
                               instance + "]::text[], array[" + token +
                               "]::bigint[], array[1], array[1000], array[now()], "
                               "array['InstanceCompleted'], null, null, null, array['{}']::json[], array[1], "
                               "array[now()], null, null, array[1], array[now()], "
                               "array['{\"status\":\"completed\"}']::json[])");
      }
    }
  }
  for (const char* nothing : {"null", "'{}'"})
    attack.attempt_in_vain("call df._commit_group(" + std::string(nothing) + ", " + nothing + ", " + nothing +
                           ", array[1], array[1000], array[now()], array['X'], null, null, null, null, "
                           "array[1], array[now()], null, "
                           "null, array[1], array[now()], array['{\"status\":\"completed\"}']::json[])");
  // The key of one claim opens no other: not with the token of the other, nor once its claim is over.
  attack.owner().exec(
      "update df.instances set worker_id = (select id from df.workers), "
      "claim_hash = df._claim_hash(case id when $1 then '00000000-0000-0000-0000-000000000001' "
      "else '00000000-0000-0000-0000-000000000002' end::uuid) where id in ($1, $2)",
      attack.own_instance(), attack.victims_instance());
  const auto expect_lost = [&](const std::string& key, const std::string& instance) {
    CHECK_THAT(attack.mallory().expects_error(
                   "DF001",
                   "call df._commit_turn($1, $2, $3::bigint, null, 1000, now(), "
                   "'X', null, null, null, '{}', null)",
                   key, instance,
                   attack.owner().text("select fencing_token from df.instances where id = $1", instance)),
               ContainsSubstring("lease lost"));
  };
  const std::string own_key = "00000000-0000-0000-0000-000000000001";
  expect_lost(own_key, attack.victims_instance());
  const std::string hash =
      attack.mallory().text("select claim_hash from df.instances where id = $1", attack.own_instance());
  expect_lost(hash.substr(2, 32), attack.own_instance());
  attack.owner().exec("update df.instances set worker_id = null where id in ($1, $2)", attack.own_instance(),
                      attack.victims_instance());
  expect_lost(own_key, attack.own_instance());
}

TEST_CASE("text that clients control is only ever text", "[S3.6]") {
  Attack attack;
  const char* const texts[] = {"'; drop table df.instances; --",
                               "$$; drop schema df cascade; $$",
                               "\"; set role postgres; --",
                               "\\'; select 1; --",
                               "{\"node_type\":\"SQL\",\"query\":\"x\",\"role\":\"victim\"}",
                               "%s%n%I%L",
                               "{secret.x}{sys_instance_id}$x",
                               "\x01\x02\x1b[31m"};
  for (const std::string text : texts) {
    const std::string quoted = attack.owner().text("select quote_literal($1)", text);
    for (const char* call : {"df.start('SELECT 1', label => T)",
                             "df.start('SELECT 1', database => T)",
                             "df.start(T)",
                             "df.start('SELECT 1', input => T)",
                             "df.set_limit(T, 1)",
                             "df.set_limit(T, null)",
                             "df._take_units(T, '1')",
                             "df.limit('SELECT 1', T, T)",
                             "df.start('SELECT 1', idempotency_key => T)",
                             "df.start('SELECT 1', transaction_mode => T)",
                             "df.signal('OWN', T, T)",
                             "df.signal(T, 'go')",
                             "df.cancel(T, T)",
                             "df.setvar(T, T)",
                             "df.explain(T)",
                             "df.rerun('OWN', T)",
                             "df.wait_for_schedule(T)",
                             "df.wait_for_schedule('* * * * *', T)",
                             "df.http(T)",
                             "df.grant_usage(T)",
                             "df.revoke_usage(T)",
                             "df.list_instances(null, 5, T, T)",
                             "df.waiting(T)",
                             "df.status(T)"}) {
      std::string statement = std::string("select ") + call;
      for (std::size_t at = 0; (at = statement.find('T', at)) != std::string::npos;) {
        const bool is_mark = statement.find_first_of(",)", at) == at + 1;
        if (is_mark) statement.replace(at, 1, quoted);
        at += is_mark ? quoted.size() : 1;
      }
      attack.attempt(statement);
    }
  }
  attack.others_go_on();
}
