// What becomes of steps when the sessions that they run on end or are set up in an unusual way.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/e2e/world.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

long long failures(Sql& sql, const std::string& id) {
  return sql.number("select count(*) from df.history($1) where kind = 'StepFailed'", id);
}

long long idle_sessions(World& world) {
  return Sql(world.database().conninfo("postgres"))
      .number(
          "select count(*) from pg_stat_activity where application_name = 'durabled step' and state = 'idle' "
          "and datname = current_database()");
}

}  // namespace

TEST_CASE("a session that the server ended while it was idle does not count as an attempt of the next step", "[L6.9]") {
  World world;
  world.add_role("idler");
  world.owner().exec("create sequence public.ended");
  Sql(world.database().conninfo("postgres")).exec("alter role idler set idle_session_timeout = '50ms'");
  Sql idler = world.session("idler");
  idler.exec("set idle_session_timeout = 0");
  world.start_daemon();
  const std::string id =
      submit(idler, "'SELECT 1' ~> df.sleep(0.3) ~> 'SELECT 2' ~> df.sleep(0.3) ~> 'SELECT 3'");
  completes(idler, id);
  CHECK(failures(idler, id) == 0);
  Sql(world.database().conninfo("postgres")).exec("alter role idler reset idle_session_timeout");
}

TEST_CASE("all idle sessions of a role may end at once, and its next steps run", "[L6.1]") {
  World world;
  Sql alice = world.session();
  world.start_daemon({{"steps.connections_per_role", "8"}, {"steps.connections", "8"}});
  const auto many = [&] {
    std::string dsl = "df.join('SELECT pg_sleep(0.3)'";
    for (int i = 1; i < 8; ++i) dsl += ", 'SELECT pg_sleep(0.3)'";
    return submit(alice, dsl + ")");
  };
  completes(alice, many());
  wait_until("sessions are idle", [&] { return idle_sessions(world) == 8; });
  // The daemon sees that they are gone only when it has the next steps to run on them.
  world.daemon().sigstop();
  Sql(world.database().conninfo("postgres"))
      .exec(
          "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'durabled "
          "step'"
          " and datname = current_database()");
  const std::string id = many();
  world.daemon().sigcont();
  completes(alice, id);
  CHECK(failures(alice, id) == 0);
}

TEST_CASE("a role whose transactions are read-only runs what only reads, and nothing else", "[L6.5]") {
  World world;
  world.add_role("reader");
  Sql super(world.database().conninfo("postgres"));
  super.exec("alter role reader set default_transaction_read_only = on");
  Sql reader = world.session("reader");
  reader.exec("set default_transaction_read_only = off");
  reader.exec("create table public.noted (x int)");
  const std::string mode = GENERATE("login", "set_role");
  CAPTURE(mode);
  if (mode == "set_role") super.exec("grant reader to durabled_owner");
  world.start_daemon({{"identity.mode", mode}});
  if (mode == "login") {
    CHECK_THAT(run_workflow(reader, "'select 1' ~> 'select current_setting(''transaction_read_only'') as r'"),
               ContainsSubstring("{\"r\":\"on\"}"));
    for (const char* writes : {"insert into noted values (1)", "create table other ()",
                               "do $$ begin insert into noted values (1); end $$"}) {
      INFO(writes);
      CHECK_THAT(run_failing(reader, "'" + std::string(writes) + "'"), ContainsSubstring("25006"));
    }
    CHECK(reader.number("select count(*) from noted") == 0);
  } else {
    run_workflow(reader, "'select 1' ~> 'select 2'");
    super.exec("revoke reader from durabled_owner");
  }
  super.exec("alter role reader reset default_transaction_read_only");
}

TEST_CASE("a step of a daemon that is frozen lets go of its locks when its lease has ended", "[L6.1]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table locked (x int); insert into locked values (0)");
  const Settings lease = {{"worker.lease_ttl", "1s"}, {"worker.heartbeat_interval", "200ms"}};
  world.start_daemon(lease);
  const std::string id = submit(alice, "'update locked set x = x + 1 from pg_sleep(0.5)'");
  Sql super(world.database().conninfo("postgres"));
  const auto updating = [&] {
    return super.number(
        "select count(*) from pg_stat_activity where query like 'update locked%' and state <> 'idle' and"
        " datname = current_database()");
  };
  wait_until("the statement runs", [&] { return updating() == 1; });
  world.daemon().sigstop();
  world.start_daemon(lease);
  completes(alice, id, std::chrono::seconds{60});
  CHECK(alice.number("select x from locked") == 1);
  world.daemon().sigcont();
  run_workflow(alice, "'select 1'");
  CHECK(alice.number("select x from locked") == 1);
}

TEST_CASE("a step's trigger that raises an error of the daemon's own fails the step, and nothing else",
          "[L6.2]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create table late (code text); create function raise_late() returns trigger language plpgsql as $$ "
      "begin"
      " raise exception 'late' using errcode = new.code; end $$;"
      "create constraint trigger late after insert on late deferrable initially deferred for each row"
      " execute function raise_late();"
      "create function raise_now(code text) returns int language plpgsql as $$ begin"
      " raise exception 'now' using errcode = code; end $$");
  world.start_daemon({{"retry.max_attempts", "1"}});
  for (const std::string code : {"DF001", "DF002", "DF003", "DF004", "DF005", "26000", "25001", "2D000",
                                 "57P01", "57P05", "25P03", "08006", "55P03"}) {
    INFO(code);
    CHECK_THAT(run_failing(alice, "'insert into late values (''" + code + "'')'"),
               ContainsSubstring("\"" + code + "\""));
    const std::string now = submit(alice, "'select raise_now(''" + code + "'')'");
    CHECK_THAT(fails(alice, now), ContainsSubstring("\"" + code + "\""));
    // It was not taken for a statement that refuses to run in a transaction.
    CHECK(alice.number("select count(*) from df.history($1) where data ->> 'guarantee' = 'at-least-once'",
                       now) == 0);
  }
  CHECK(world.daemon().log().find("lease lost") == std::string::npos);
}

TEST_CASE("a type that was altered is read as it is now", "[L4.3]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create type thing as (a int, b text); create type mood as enum ('sad', 'glad'); create type empty as "
      "();"
      "create table no_columns (); insert into no_columns default values;"
      "create function it() returns thing language plpgsql as $$ declare t thing; begin t.a := 1; return t; "
      "end $$");
  world.owner().exec("create schema other; grant all on schema other to alice");
  world.start_daemon({{"steps.connections", "1"}});
  const auto things = [&] {
    return run_workflow(alice,
                        "('select it() as r, ''glad''::mood as m' |=> 'x') ~> 'select $x.r as r, $x.m as m'");
  };
  CHECK_THAT(things(), ContainsSubstring(R"("r":{"a":1,"b":null},"m":"glad")"));
  alice.exec("alter type thing rename attribute a to w");
  alice.exec(
      "create or replace function it() returns thing language plpgsql as $$ declare t thing; begin t.w := 1; "
      "return t; end $$");
  CHECK_THAT(things(), ContainsSubstring(R"("r":{"w":1,"b":null},"m":"glad")"));
  CHECK_THAT(run_workflow(alice, "('select it() as r' |=> 'x') ~> 'select $x.r.w as w'"),
             ContainsSubstring("\"w\":1"));
  alice.exec(
      "alter type thing drop attribute b; alter type thing add attribute b int[], add attribute c jsonb");
  CHECK_THAT(things(), ContainsSubstring(R"("r":{"w":1,"b":null,"c":null},"m":"glad")"));
  alice.exec(
      "alter type mood rename to temper; alter type temper rename value 'glad' to "
      "'happy'");
  CHECK_THAT(run_workflow(alice, "('select ''happy''::temper as m' |=> 'x') ~> 'select $x.m as m'"),
             ContainsSubstring("happy"));
  alice.exec("alter type temper set schema other");
  CHECK_THAT(
      run_workflow(alice,
                   "('select ''happy''::other.temper as m' |=> 'x') ~> 'select pg_typeof($x.m)::text as m'"),
      ContainsSubstring("other.temper"));
  CHECK_THAT(
      run_workflow(alice,
                   "('select row()::empty as e, array[row()::empty] as es, n from no_columns n' |=> 'x') ~>"
                   " 'select $x.e as e, $x.es as es, $x.n as n'"),
      ContainsSubstring(R"("e":{},"es":[{}],"n":{})"));
}

TEST_CASE("reading back a value runs no check of another role's domain", "[S3.7]") {
  World world;
  world.add_role("mallory");
  Sql alice = world.session(), mallory = world.session("mallory");
  mallory.exec(
      "create table public.who (name text); grant all on public.who to public;"
      "create function public.checked(int) returns boolean language plpgsql as $$ begin"
      " if current_user <> 'mallory' then insert into public.who values (current_user); end if; return true; "
      "end $$;"
      "create domain public.d2 as int check (public.checked(value)); create domain public.d3 as public.d2;"
      "create type public.holds as (d public.d2, n int); create type public.spans as range (subtype = "
      "public.d2);"
      "create function public.given(out a public.d2[], out h public.holds, out hs public.holds[], out s "
      "public.spans,"
      " out d3 public.d3[]) language plpgsql security definer as $$ begin"
      " a := array[1, 2]; h := row(1, 2); hs := array[h]; s := public.spans(1, 5); d3 := array[3]; end $$");
  alice.exec("create domain mine as int check (value < 10)");
  world.start_daemon();
  run_workflow(alice, "'select 1'");
  alice.exec("delete from who");
  const std::string result = run_workflow(alice,
                                          "('select * from given()' |=> 'e') ~> 'select $e.a as a, $e.h as "
                                          "h, $e.hs as hs, $e.s as s, $e.d3 as d'");
  CHECK_THAT(result, ContainsSubstring("\"a\":[1,2]"));
  CHECK(alice.exec("select * from who") == Rows{});
  CHECK_THAT(
      run_workflow(alice, "('select array[1]::mine[] as a' |=> 'e') ~> 'select pg_typeof($e.a)::text as t'"),
      ContainsSubstring("\"mine[]\""));
}

TEST_CASE("without prepared statements a procedure that commits is told where it runs, too", "[L6.5]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create table told (id text, label text, attempt text);"
      "create procedure tell() language plpgsql as $$ begin commit; insert into told values"
      " (current_setting('df.instance_id'), current_setting('df.label'), current_setting('df.attempt')); end "
      "$$");
  world.start_daemon({{"steps.prepared_statements", "false"}});
  const std::string id = submit(alice, "'call tell()'", "a label");
  completes(alice, id);
  CHECK(alice.exec("select * from told") == Rows{{id, "a label", "1"}});
}

TEST_CASE("the log says why a turn was refused, and nothing of what it held", "[S3.11]") {
  World world;
  world.owner().exec("alter table df.events add constraint refused check (kind <> 'SignalReceived')");
  Sql alice = world.session();
  world.start_daemon();
  const std::string id = submit(alice, "df.wait_for_signal('go')");
  alice.exec("select df.signal($1, 'go', '{\"card\": \"4111-SECRET\"}')", id);
  fails(alice, id);
  const std::string log = world.daemon().log();
  CHECK_THAT(log, ContainsSubstring("its turn was refused") && ContainsSubstring("23514"));
  CHECK(log.find("4111-SECRET") == std::string::npos);
}

TEST_CASE("what libpq has to say at a login is said by the daemon, in its log's form", "[S3.11]") {
  World world;
  Sql alice = world.session();
  const TemporaryDirectory directory{"durabled-passfile"};
  const std::string passfile = (directory.path() / "pgpass").string();
  std::ofstream(passfile) << "*:*:*:*:secret\n";
  std::filesystem::permissions(passfile, std::filesystem::perms{0644});
  Sql super(world.database().conninfo("postgres"));
  super.exec("alter role durabled_owner set default_tablespace = 'nowhere'");
  DaemonProcess daemon(DaemonProcess::Options{.database = world.database().conninfo(),
                                              .environment = {{"PGPASSFILE", passfile}}});
  daemon.wait_until_ready();
  super.exec("alter role durabled_owner reset default_tablespace");
  run_workflow(alice, "'select 1'");
  CHECK_THAT(daemon.log(), ContainsSubstring("chmod 600") && ContainsSubstring("the passfile"));
  std::istringstream lines(daemon.log());
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(std::regex_match(line, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [a-z]+ .*)")));
  }
}

TEST_CASE("notifications that a step listens to take no memory", "[S3.9]") {
  World world;
  Sql alice = world.session();
  alice.exec(
      "create procedure flood() language plpgsql as $$ begin listen x; commit;"
      " perform pg_notify('x', i || repeat('x', 7900)) from generate_series(1, 8000) i; commit; end $$");
  world.start_daemon();
  run_workflow(alice, "'select 1'");
  const auto memory = [&] {  // KiB, the highest so far
    const std::string status = read_file("/proc/" + std::to_string(world.daemon().pid()) + "/status");
    return std::stol(status.substr(status.find("VmHWM:") + 6));
  };
  const long before = memory();
  run_workflow(alice, "'call flood()'");
  CHECK(memory() - before < 30'000);
}
