// SQL steps against the real server: the session that each finds, what it may run, how it fails and is
// retried.
#include <chrono>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// A world with one daemon that has one step connection, so that every step finds the session of the one
// before.
struct OneConnection : World {
  Sql alice = session();
  OneConnection() { start_daemon({{"steps.connections", "1"}}); }
};

}  // namespace

TEST_CASE("a result keeps the order of its columns and the names of their types", "[e2e][steps][L4.2b]") {
  World world;
  world.start_daemon();
  Sql alice = world.session();
  const std::string id = alice.text(
      "insert into df.submit (dsl) values ('''select 1 as z, ''''x''''::text as a, 2.5 as m''') returning "
      "id");
  CHECK(alice.text("select df.await_instance($1)", id) == "completed");
  CHECK(alice.text("select df.result($1)::text", id) ==
        R"({"rows":[{"z":1,"a":"x","m":"2.5"}],"row_count":1,"columns":[{"name":"z","type":"integer"},)"
        R"({"name":"a","type":"text"},{"name":"m","type":"numeric"}],"affected":1})");
}

TEST_CASE("row_count counts the rows that were returned, affected those of the command tag", "[L4.1]") {
  World world;
  world.start_daemon();
  Sql alice = world.session();
  alice.exec("create table t (x int)");
  CHECK(run_workflow(alice, "'insert into t select generate_series(1, 3)'") ==
        R"({"rows":[],"row_count":0,"columns":[],"affected":3})");
  CHECK(run_workflow(alice, "'with gone as (delete from t where x > 1) select x from t where x = 1'") ==
        R"({"rows":[{"x":1}],"row_count":1,"columns":[{"name":"x","type":"integer"}],"affected":1})");
  CHECK(run_workflow(alice, "'create table u (x int)'") ==
        R"({"rows":[],"row_count":0,"columns":[],"affected":0})");
}

TEST_CASE("the instance's id and label are variables, whatever the variables of its submitter say",
          "[L5.1]") {
  World world;
  world.start_daemon();
  Sql alice = world.session();
  const std::string id =
      alice.text("insert into df.submit (dsl, label, vars) values ($1, 'it is me', $2) returning id",
                 "'select ''{sys_instance_id} {sys_label} {mine} {nobodys}'' as v'",
                 R"({"sys_label": "not me", "sys_instance_id": "nor me", "mine": "hers"})");
  CHECK_THAT(completes(alice, id), ContainsSubstring("\"" + id + " it is me hers {nobodys}\""));
}

TEST_CASE("a step may start another instance, and reference results in its label", "[L5.9]") {
  World world;
  world.start_daemon();
  Sql alice = world.session();
  run_workflow(alice,
               "'select 7 as n' |=> 'p' ~> $q$select df.start('select 1 as one', 'child $p.n of "
               "{sys_instance_id}')$q$");
  wait_until("the child has completed", [&] {
    return alice.number(
               "select count(*) from df.instances where label ~ '^child 7 of [0-9a-z]{8}$'"
               " and status = 'completed'") == 1;
  });
}

TEST_CASE("what a step leaves in its session is not seen by the next", "[smoke][L6.4]") {
  OneConnection world;
  Sql& alice = world.alice;
  Sql(world.server().conninfo())
      .exec(
          "do $$ begin create role alices_group; exception when duplicate_object then end $$;"
          "grant alices_group to alice");
  alice.exec(
      "create sequence numbers; create table late (x int);"
      "create function leave() returns trigger language plpgsql as $$ begin create temp table leftover (x "
      "int);"
      " execute 'prepare leftover as select 1'; perform set_config('statement_timeout', '50', false),"
      " pg_advisory_lock(42), nextval('numbers'); execute 'listen leftover'; return null; end $$;"
      "create constraint trigger leave after insert on late deferrable initially deferred"
      " for each row execute function leave()");
  const std::string leave = GENERATE(
      as<std::string>(), "create temp table leftover as select 1 as x", "set search_path = pg_catalog",
      "select pg_advisory_lock(42)", "prepare leftover as select 1", "listen leftover",
      "set role alices_group", "set default_transaction_read_only = on",
      "set default_transaction_isolation = 'serializable'",
      "set session characteristics as transaction read only", "set standard_conforming_strings = off",
      "set statement_timeout = 50", "deallocate all", "discard all",
      "select set_config('df.in_workflow', 'false', false)", "select nextval('numbers')",
      "declare leftover cursor with hold for select 1", "insert into late values (1)");
  INFO(leave);
  run_workflow(alice, "$$" + leave + "$$");
  CHECK_THAT(
      run_workflow(alice, R"($q$select concat_ws(' ', current_user, session_user, to_regclass('leftover'),
      current_setting('search_path'), (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
      (select count(*) from pg_prepared_statements where name = 'leftover'),
      (select count(*) from pg_listening_channels()), (select count(*) from pg_cursors where name = 'leftover'),
      current_setting('transaction_read_only'),
      current_setting('transaction_isolation'), current_setting('statement_timeout'), 'a\b',
      current_setting('df.in_workflow')) as seen$q$)"),
      ContainsSubstring("\"alice alice \\\"$user\\\", public 0 0 0 0 off read committed 0 a\\\\b true\""));
  CHECK_THAT(run_workflow(alice, "df.catch('select lastval()', $$select '$error.sqlstate' as code$$)"),
             ContainsSubstring("55000"));
  alice.exec("create table effects (x int)");
  run_workflow(alice, "'insert into effects values (1)'");
  CHECK(alice.number("select count(*) from effects") == 1);
}

TEST_CASE("a step reads which instance, node and attempt it is", "[L6.5]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string id =
      submit(alice,
             "$$select current_setting('df.instance_id') as id, current_setting('df.label') as l,"
             " current_setting('df.attempt') as a, current_setting('df.in_workflow') as w,"
             " current_setting('df.node_id') as n$$",
             "it's \"so\"");
  CHECK_THAT(completes(alice, id), ContainsSubstring("\"id\":\"" + id +
                                                     "\",\"l\":\"it's \\\"so\\\"\",\"a\":\"1\","
                                                     "\"w\":\"true\",\"n\":\"00000000\""));
}

TEST_CASE("a statement that refuses a transaction runs on its own, and its history says so",
          "[smoke][L6.3]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table t (x int)");
  alice.exec("create procedure commits() language plpgsql as 'begin insert into t values (1); commit; end'");
  world.start_daemon();
  const std::string statement =
      GENERATE(as<std::string>(), "vacuum t", "create index concurrently on t (x)", "call commits()");
  INFO(statement);
  const std::string id = submit(alice, "'" + statement + "' ~> 'select 1'");
  completes(alice, id);
  CHECK(alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepStarted'"
                     " and data ->> 'guarantee' = 'at-least-once'",
                     id) == 1);
}

TEST_CASE("a constraint that fails at the commit fails its step and no other", "[L6.1]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create table parent (id int primary key);"
      "create table child (id int references parent deferrable initially deferred);"
      "create table effects (x int)");
  world.start_daemon();
  std::string dsl = "df.join('insert into child values (1)'";
  for (int i = 0; i < 20; ++i) dsl += ", 'insert into effects values (" + std::to_string(i) + ")'";
  const std::string error = run_failing(alice, dsl + ")");
  CHECK_THAT(error, ContainsSubstring("\"sqlstate\":\"23503\"") && ContainsSubstring("\"detail\""));
  CHECK(alice.number("select count(*) from effects") == 20);
  CHECK(alice.number("select count(distinct x) from effects") == 20);
  CHECK(alice.number("select count(*) from child") == 0);
}

TEST_CASE("transaction commands are refused and change nothing", "[L5.10]") {
  OneConnection world;
  const std::string command = GENERATE(as<std::string>(), "commit", "rollback", "begin", "commit and chain",
                                       "abort", "end", "prepare transaction 'x'", "rollback and chain");
  INFO(command);
  CHECK_THAT(run_failing(world.alice, "$$" + command + "$$"), ContainsSubstring("cannot be a step"));
  run_workflow(world.alice, "'select 1'");
}

TEST_CASE("errors keep what the server said, and say what the daemon refuses",
          "[smoke][L4.2a][L4.4][L6.11][L6.17]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table t (x int primary key); insert into t values (1)");
  world.start_daemon({{"steps.max_result_bytes", "64KiB"}});
  CHECK_THAT(run_failing(alice, "'insert into t values (1)'"),
             ContainsSubstring("\"sqlstate\":\"23505\"") && ContainsSubstring("already exists") &&
                 ContainsSubstring("\"constraint\":\"t_pkey\"") && ContainsSubstring("\"attempts\":1"));
  CHECK_THAT(run_failing(alice, "'select 1 +'"), ContainsSubstring("42601"));
  CHECK_THAT(run_failing(alice, "'select nope'"), ContainsSubstring("\"position\":\"8\""));
  CHECK_THAT(run_failing(alice, "'select 1 as a, 2 as a'"),
             ContainsSubstring("more than one column named \\\"a\\\""));
  CHECK_THAT(run_failing(alice, "'select repeat(''x'', 100000)'"),
             ContainsSubstring("larger than 65536 bytes"));
  CHECK_THAT(run_failing(alice, "'select repeat(''x'', 1000) from generate_series(1, 100000)'"),
             ContainsSubstring("larger than 65536 bytes"));
  // It is not read to its end.
  CHECK_THAT(fails(alice, submit(alice, "'select repeat(''x'', 1000), generate_series(1, 1000000000)'"),
                   std::chrono::seconds{5}),
             ContainsSubstring("larger than 65536 bytes"));
  wait_until("the server has stopped it", [&] {
    return Sql(world.database().conninfo("postgres"))
               .number(
                   "select count(*) from pg_stat_activity where application_name = 'durabled step' and"
                   " state = 'active' and datname = current_database()") == 0;
  });
  CHECK(run_failing(alice, "$$do $x$ begin raise exception using message = repeat('é', 1000000); end $x$$$")
            .size() < 200'000);
  alice.exec("create table large (x text)");
  CHECK_THAT(run_failing(alice,
                         "'insert into large select repeat(''x'', 1000) from generate_series(1, 1000)"
                         " returning x'"),
             ContainsSubstring("larger than 65536 bytes") && ContainsSubstring("steps.max_result_bytes"));
  CHECK(alice.number("select count(*) from large") == 0);  // it failed before its commit
  CHECK_THAT(run_failing(alice, "'copy t to stdout'"), ContainsSubstring("COPY"));
  CHECK_THAT(run_failing(alice, "'copy t from stdin'"), ContainsSubstring("COPY"));
  CHECK_THAT(
      run_failing(alice,
                  "$$do 'begin raise exception ''no'' using errcode = ''P0007'', hint = ''try''; end'$$"),
      ContainsSubstring("P0007") && ContainsSubstring("\"hint\":\"try\"") &&
          ContainsSubstring("\"context\""));
  run_workflow(alice, "'select 1'");
}

TEST_CASE("a step that loses to a real serialization conflict is retried until it gets through", "[L6.9]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table counter (n int); insert into counter values (0)");
  // Repeatable read is the default of this role's sessions.
  Sql(world.server().conninfo())
      .exec("alter role alice in database " + world.database().name() +
            " set default_transaction_isolation = 'repeatable read'");
  world.start_daemon({{"steps.connections", "8"}, {"retry.max_attempts", "100"}});
  std::string dsl = "df.join(";
  for (int i = 0; i < 12; ++i)
    dsl += std::string(i > 0 ? ", " : "") + "'update counter set n = n + 1 where pg_sleep(0.01) is not null'";
  const std::string id = submit(alice, dsl + ")");
  completes(alice, id);
  CHECK(alice.number("select n from counter") == 12);
  CHECK(alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepFailed'"
                     " and data::text like '%40001%'",
                     id) > 0);
}

TEST_CASE("a deadlock between two branches is retried", "[L6.9]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create table t (x int primary key, n int); insert into t values (1, 0), (2, 0);"
      "create function both_rows(a int, b int) returns void language plpgsql as $$ begin"
      " update t set n = n + 1 where x = a; perform pg_sleep(0.2);"
      " update t set n = n + 1 where x = b; end $$");
  world.start_daemon();
  const std::string id = submit(alice, "'select both_rows(1, 2)' & 'select both_rows(2, 1)'");
  completes(alice, id);
  CHECK(alice.text("select string_agg(n::text, ' ') from t") == "2 2");
  CHECK(alice.number("select count(*) from df.events where instance_id = $1 and data::text like '%40P01%'",
                     id) == 1);
}

TEST_CASE("a statement that kills its own backend is tried a limited number of times", "[L6.9]") {
  OneConnection world;
  const std::string id = submit(world.alice, "'select pg_terminate_backend(pg_backend_pid())'");
  fails(world.alice, id);
  CHECK(world.alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepFailed'",
                           id) == 5);
  run_workflow(world.alice, "'select 1'");
}

TEST_CASE("each step runs as the role that submitted it", "[L6.5]") {
  World world;
  world.add_role("bob");
  Sql alice = world.session(), bob = world.session("bob");
  world.start_daemon({{"steps.connections", "1"}});
  for (int i = 0; i < 3; ++i) {
    CHECK_THAT(run_workflow(alice, "'select current_user || session_user as who'"),
               ContainsSubstring("alicealice"));
    CHECK_THAT(run_workflow(bob, "'select current_user || session_user as who'"),
               ContainsSubstring("bobbob"));
  }
}

TEST_CASE("a role that was dropped since fails its instance, and nobody else's") {
  World world;
  world.add_role("leaver");
  {
    Sql leaver = world.session("leaver");
    submit(leaver, "'select 1'", "orphan");
  }
  Sql(world.database().conninfo("postgres")).exec("drop owned by leaver; drop role leaver");
  world.start_daemon();
  Sql alice = world.session();
  run_workflow(alice, "'select 1'");
  wait_until("the orphan has failed", [&] {
    return world.owner().text("select status from df.instances where label = 'orphan'") == "failed";
  });
  CHECK_THAT(world.owner().text("select error from df.instances where label = 'orphan'"),
             ContainsSubstring("no longer exists"));
}

TEST_CASE("a role that the server does not let in waits until it does, and disturbs nobody") {
  PostgresServer server;
  World world(server);
  world.add_role("shut_out");
  Sql shut_out = world.session("shut_out");
  const auto hba = server.data_directory() / "pg_hba.conf";
  write_file(hba, "local all shut_out reject\n" + read_file(hba));
  Sql(server.conninfo()).exec("select pg_reload_conf()");
  Sql alice = world.session();
  world.start_daemon({{"steps.connections", "1"}});
  std::vector<std::string> theirs, ours;
  for (int i = 0; i < 5; ++i) {
    theirs.push_back(submit(shut_out, "'select 1'"));
    ours.push_back(submit(alice, "'select 1'"));
  }
  for (const std::string& id : ours) completes(alice, id, std::chrono::seconds{5});
  for (const std::string& id : theirs) {
    wait_until("it waits", [&] {
      return shut_out.number(
                 "select count(*) from df.waiting($1) where name = 'cannot log in as shut_out (28000)'",
                 id) == 1;
    });
  }
  write_file(hba, read_file(hba).substr(read_file(hba).find('\n') + 1));
  Sql(server.conninfo()).exec("select pg_reload_conf()");
  for (const std::string& id : theirs) completes(shut_out, id);
}

TEST_CASE("priority goes before age", "[S1.3]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (n serial, who int)");
  for (int priority = 1; priority <= 6; ++priority)
    alice.exec("insert into df.submit (dsl, priority) values ($1, $2)",
               "'insert into effects (who) values (" + std::to_string(priority) + ")'", priority);
  world.start_daemon(
      {{"steps.connections", "1"}, {"worker.claim_batch", "1"}, {"worker.max_instances", "1"}});
  wait_until("all are through", [&] { return alice.number("select count(*) from effects") == 6; });
  CHECK(alice.text("select string_agg(who::text, '' order by n) from effects") == "654321");
}

TEST_CASE("without LISTEN work is found by polling") {
  World world;
  Sql alice = world.session();
  world.start_daemon({{"worker.listen", "false"}, {"worker.poll_interval", "100ms"}});
  run_workflow(alice, "'select 1' ~> df.sleep(0.2) ~> 'select 2'");
  const std::string id = submit(alice, "df.wait_for_signal('go')");
  await_put_down(alice, id);
  alice.exec("select df.signal($1, 'go')", id);
  completes(alice, id);
}
