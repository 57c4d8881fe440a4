// What a hostile role tries from inside a step, where the daemon's session is its own.
#include <thread>

#include "tests/attack/attacker.hpp"

using namespace durabled::test;

TEST_CASE("a step cannot leave its role", "[smoke][S3.7]") {
  Attack attack;
  attack.mallory().exec(
      "create procedure public.leave() language plpgsql as $$ begin commit; insert into evidence.who values "
      "(session_user, "
      "current_user); begin execute 'set role victim'; exception when others then null; end; "
      "insert into evidence.who values (session_user, current_user); end $$;"
      "create function public.definer() returns void language plpgsql security definer as $$ begin "
      "insert into evidence.who values (session_user, current_user); end $$");
  for (const char* role : {"victim", "durabled_owner", "postgres", "df_operator", "none"}) {
    const std::string name = role;
    for (const std::string& statement :
         {"set role " + name, "set local role " + name, "set session authorization " + name,
          "select set_config('role', '" + name + "', false)",
          "select set_config('session_authorization', '" + name + "', false)",
          "do $do$ begin execute 'set role " + name +
              "'; insert into evidence.who values (session_user, current_user); end $do$"}) {
      attack.attempt_as_step(statement);
    }
  }
  for (const char* statement :
       {"reset role",
        "reset session authorization",
        "reset all",
        "discard all",
        "commit",
        "rollback",
        "begin",
        "savepoint s",
        "abort",
        "do $$ begin commit; end $$",
        "do $$ begin rollback; insert into evidence.who values (session_user, current_user); end $$",
        "call public.leave()",
        "select public.definer()",
        "select 1; set role victim",
        "select 1; commit; drop schema df cascade",
        "prepare transaction 'x'",
        "lock table df.instances",
        "copy df.instances to stdout",
        "copy (select 1) to program 'id'",
        "alter role mallory superuser",
        "create role x superuser",
        "alter system set log_statement = 'all'",
        "create event trigger e on ddl_command_start execute function public.definer()",
        "load 'plpgsql'",
        "select pg_read_file('/etc/passwd')",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename <> 'mallory'",
        "select pg_cancel_backend(pid) from pg_stat_activity where usename <> 'mallory'",
        R"(call df._commit_turn('KEY', 'VICTIM', 1, null, 99, now(),
                                'X', null, null, null, '{}', null))",
        "do $$ begin execute 'deallocate all'; end $$",
        R"(do $$ begin execute 'deallocate all'; execute 'prepare _df_reset as select 1';
                       execute 'prepare _df_begin as select 1'; end $$)",
        "select string_agg(name || setting, ',') from pg_settings where name like 'df.%'",
        "select string_agg(s::text, ',') from pg_stat_activity s",
        "select string_agg(s::text, ',') from pg_prepared_statements s",
        "select string_agg(s::text, ',') from pg_cursors s",
        "select current_query()",
        "select string_agg(i::text, ',') from df.instances i",
        "select set_config('df.instance_id', 'VICTIM', false)",
        "select df.cancel('VICTIM')",
        "select df.start('SELECT current_user')",
        "listen df_doorbell"}) {
    attack.attempt_as_step(statement);
  }
  attack.others_go_on();
}

TEST_CASE("code that a step leaves behind for its commit learns nothing of the checkpoint", "[S3.7][S3.8]") {
  Attack attack;
  attack.mallory().exec(
      "create schema lair; create table lair.t (x text); create table lair.loot (x text);"
      "create function lair.late() returns trigger language plpgsql as $$ begin "
      "insert into evidence.who values (session_user, current_user); "
      "insert into lair.loot select current_query(); insert into lair.loot select s::text from "
      "pg_prepared_statements s; "
      "insert into lair.loot select s::text from pg_stat_activity s; insert into lair.loot select p::text "
      "from pg_settings p "
      "where name like 'df%'; insert into lair.loot select i::text from df.instances i; return null; end $$;"
      "create constraint trigger late after insert on lair.t deferrable initially deferred for each row "
      "execute function lair.late()");
  attack.attempt_as_step("insert into lair.t values ('x')");
  Sql super(attack.conninfo("postgres"));
  CHECK(super.number("select count(*) from lair.loot") > 0);
  CHECK(super.number("select count(*) from lair.loot where x like '%victim''s secret%'") == 0);
  CHECK_FALSE(attack.tells_a_key(super.text("select string_agg(x, ' ') from lair.loot")));
}

TEST_CASE("a step finds no prepared statement of the daemon's, and what it prepares answers for none",
          "[S3.8]") {
  Attack attack;
  attack.mallory().exec("create schema lair; create table lair.loot (name text, param text)");
  // Each name that the session has, and those that it may come to have.
  const std::string steal =
      "do $do$ declare p record; begin insert into lair.loot select name, 'there before' from "
      "pg_prepared_statements; for p in select "
      "unnest('{_df_begin,_df_settings,_df_checkpoint,_df_commit,_df_clean}'"
      "::text[]) as name loop "
      "execute format('prepare %I as insert into lair.loot values (%L, null)', p.name, p.name); "
      "end loop; end $do$";
  const std::string id = attack.mallory().text("select df.start(df.seq($1, $1, $2, $3))", steal,
                                               "select current_setting('df.node_id') as node", "select 3");
  CHECK(attack.mallory().text("select df.await_instance($1, 20)", id) == "completed");
  CHECK(attack.owner().number(
            "select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'", id) == 4);
  Sql super(attack.conninfo("postgres"));
  CHECK(super.exec("select * from lair.loot") == Rows{});
  // Nor by code that runs when its transaction commits.
  attack.mallory().exec(
      "create table lair.t (x text); create function lair.late() returns trigger language plpgsql as $f$ "
      "begin " +
      std::string("execute $l$ ") + steal + " $l$; return null; end $f$;" +
      "create constraint trigger late after insert on lair.t deferrable initially deferred for each row "
      "execute function lair.late()");
  const std::string later = attack.mallory().text("select df.start(df.seq($1, $1, $2, $3))",
                                                  "insert into lair.t values ('x')", "select 2", "select 3");
  CHECK(attack.mallory().text("select df.await_instance($1, 20)", later) == "completed");
  CHECK(attack.owner().number(
            "select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'", later) == 4);
  CHECK(super.exec("select * from lair.loot") == Rows{});
  attack.others_go_on();
}

TEST_CASE("a checkpoint that fails does not tell its parameters", "[smoke][S3.7][S3.8]") {
  Attack attack;
  attack.mallory().exec("create table public.seen (x int)");
  const std::string id = attack.mallory().text(
      "select df.start($w$do $do$ begin perform set_config('log_parameter_max_length_on_error', '-1', "
      "false), "
      "set_config('lock_timeout', '200ms', false), pg_sleep(1); end $do$$w$)");
  Sql locker(attack.conninfo("mallory")), super(attack.conninfo("postgres"));
  const auto runs = [&] {
    return super.number(
               "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(1)%' "
               "and "
               "application_name = 'durabled step' and datname = current_database()") > 0;
  };
  wait_until("the step runs", runs);
  locker.exec("begin");
  locker.exec("select from df.instances where id = $1 for update", id);
  wait_until("it has run, and its checkpoint with it", [&] { return !runs(); });
  locker.exec("commit");
  wait_until(
      "it is retried, and ends", [&] { return attack.owner().text("select df.status($1)", id) != "running"; },
      std::chrono::seconds(20));
  const std::string told = attack.owner().text(
      "select concat(i::text, (select string_agg(e::text, '|') from df.events e where "
      "e.instance_id = i.id)) from df.instances i where i.id = $1",
      id);
  INFO(told);
  CHECK_FALSE(attack.tells_a_key(told));
  CHECK(told.find("parameters:") == std::string::npos);
  attack.others_go_on();
}

TEST_CASE("a step cannot have the key of its claim written to the server's log", "[smoke][S3.7]") {
  Attack attack;
  const std::string id = attack.mallory().text(
      "select df.start($w$select set_config('log_parameter_max_length_on_error', '-1', false) as a, "
      "set_config('transaction_read_only', 'on', false) as b$w$)");
  CHECK(attack.mallory().text("select df.await_instance($1, 20)", id) == "failed");
  const std::string log = attack.database().server().log();
  CHECK_THAT(log, ContainsSubstring("in a read-only transaction"));  // the checkpoint's own error
  CHECK_FALSE(attack.tells_a_key(log));
}

TEST_CASE("no encoding that a step sets makes another turn of its checkpoint", "[smoke][S3.7][S3.11]") {
  Attack attack;
  const auto run = [&](const std::string& first) {
    std::string id = attack.mallory().text("select df.start(df.seq($1, $2, $3))", first, "select 'é' as v",
                                           "select current_setting('client_encoding') as e");
    attack.mallory().text("select df.await_instance($1, 20)", id);
    return id;
  };
  const auto outcome = [&](const std::string& id) {
    return attack.mallory().text(
        "select concat(status, ' ', error ->> 'message', df.result(id) -> 'rows' -> 0 ->> 'e') from "
        "df.instances "
        "where id = $1",
        id);
  };
  // What the statement itself sets is known before its checkpoint is sent.
  const std::string set = run("select set_config('client_encoding', 'SJIS', false) as v");
  CHECK(outcome(set) == "completed UTF8");
  CHECK(attack.owner().number(
            "select count(*) from df.events where instance_id = $1 and data -> 'rows' -> 0 ->> 'v' = 'é'",
            set) == 1);
  // What is set when its deferred triggers run is not: the bytes of é are two other letters in SJIS.
  attack.mallory().exec(
      "create schema lair; create table lair.t (x text); create function lair.late() returns trigger "
      "language "
      "plpgsql as $$ begin perform set_config('client_encoding', 'SJIS', false); return null; end $$;"
      "create constraint trigger late after insert on lair.t deferrable initially deferred for each row "
      "execute function lair.late()");
  const std::string late = run("insert into lair.t values ('é') returning x as v");
  CHECK_THAT(outcome(late), ContainsSubstring("failed a deferred trigger changed client_encoding"));
  CHECK(attack.owner().number(
            "select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'", late) == 0);
  CHECK(attack.mallory().number("select count(*) from lair.t") == 0);
  attack.others_go_on();
}
