// Steps that share a transaction, with the whole daemon: each comes to what it would come to by itself.
#include <string>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// One role's steps have one connection for each daemon, unless a test says otherwise, so that steps wait and groups form.
struct GroupWorld : World {
  Sql alice = session();

  explicit GroupWorld(Settings settings = {}) {
    alice.exec(
        "create table effects (n int, at timestamptz default now(), who text default current_user,"
        " x text default pg_current_xact_id());"
        "grant select, insert on effects to public");
    settings.insert({{"steps.group_commit", "auto"},
                     {"steps.connections", "2"},
                     {"steps.connections_per_role", "1"},
                     {"retry.delay", "10ms"}});
    start_daemon(settings);
  }

  // One workflow for each n in 1..count; `step` has n as %s. Waits until all of them have ended.
  void run(const std::string& step, int count) { run(alice, step, count); }
  void run(Sql& role, const std::string& step, int count) {
    submit(role, step, count);
    await_all();
  }
  void submit(Sql& role, const std::string& step, int count) {
    role.exec(
        "insert into df.submit (dsl, label) select quote_literal(format($1, n)), n::text"
        " from generate_series(1, $2::int) n",
        step, count);
  }
  void await_all() {
    wait_until("all have ended", [&] {
      return owner().number("select count(*) from df.instances where completed_at is null") == 0;
    });
  }
  long long ended(const std::string& status) {
    return owner().number("select count(*) from df.instances where status = $1", status);
  }
  // The most effects that one transaction had.
  long long largest() {
    return alice.number("select max(count) from (select count(*) from effects group by x) t");
  }
};

constexpr const char* kInsert = "insert into effects values (%s)";

}  // namespace

TEST_CASE("short steps that wait together share a transaction", "[smoke]") {
  GroupWorld world;
  world.run(kInsert, 200);
  CHECK(world.ended("completed") == 200);
  CHECK(world.alice.number("select count(distinct n) from effects") == 200);
  CHECK(world.alice.number("select count(*) from effects") == 200);
  CHECK(world.largest() > 1);
  CHECK(world.alice.number("select max(count) from (select count(distinct at) from effects group by x) t") ==
        1);
  CHECK(world.owner().number("select count(*) from df.events where kind = 'StepCompleted'"
                             " and (started_at is null or started_at > at)") == 0);
}

TEST_CASE("without the setting each step has its own transaction") {
  GroupWorld world(Settings{{"steps.group_commit", "off"}});
  world.run(kInsert, 100);
  CHECK(world.largest() == 1);
}

TEST_CASE("a step that fails among others fails alone") {
  GroupWorld world;
  world.alice.exec("alter table effects add check (n % 7 <> 3)");
  world.run(kInsert, 100);
  CHECK(world.ended("failed") == 14);
  CHECK(world.ended("completed") == 86);
  CHECK(world.alice.number("select count(*) from effects") == 86);
  CHECK(world.alice.number(
            "select count(*) from df.instances where (label::int % 7 = 3) <> (status = 'failed')") == 0);
  CHECK(world.owner().number("select count(*) from df.instances where error ->> 'code' = '23514'") == 14);
}

TEST_CASE("a constraint that only fails at the commit fails its own step") {
  GroupWorld world;
  world.alice.exec(
      "create table late (n int);"
      "create function refuse() returns trigger language plpgsql as $$ begin"
      " if tg_name = 'again' then set constraints once_more deferred; insert into late values (1);"
      " else raise exception 'too late' using errcode = '22000'; end if; return null; end $$;"
      "create constraint trigger again after insert on effects deferrable initially deferred"
      " for each row when (new.n % 10 = 5) execute function refuse();"
      "create constraint trigger once_more after insert on late deferrable initially deferred"
      " for each row execute function refuse()");
  world.run(kInsert, 60);
  CHECK(world.ended("failed") == 6);
  CHECK(world.ended("completed") == 54);
  CHECK(world.alice.number("select count(*) from effects") == 54);
  CHECK(world.owner().number("select count(*) from df.instances where error ->> 'code' = '22000'") == 6);
}

TEST_CASE("steps that lock the same rows in another order all have their effect") {
  GroupWorld world(Settings{{"steps.connections", "3"}, {"steps.connections_per_role", "3"}});
  world.alice.exec(
      "create table counters (id int primary key, n int default 0);"
      "insert into counters (id) select generate_series(0, 4)");
  world.run("update counters set n = n + 1 where id = %s * 7919 %% 5", 150);
  CHECK(world.ended("completed") == 150);
  CHECK(world.alice.number("select sum(n) from counters") == 150);
}

TEST_CASE("a slow step does not keep the others of its shape from ending") {
  GroupWorld world;
  world.alice.exec(
      "create function nap(n int) returns int language plpgsql as $$ begin"
      " perform pg_sleep(case when n = 50 then 0.4 else 0 end); insert into effects values (n); return n;"
      " end $$");
  world.run("select nap(%s)", 100);
  CHECK(world.ended("completed") == 100);
  CHECK(world.alice.number("select count(*) from effects") == 100);
}

TEST_CASE("a step that ends its transaction is not one of a group") {
  GroupWorld world;
  world.alice.exec(
      "create procedure keep(n int) language plpgsql as $$ begin insert into effects values (n);"
      " commit; end $$;"
      "create function keeps(n int) returns int language plpgsql as $$ begin"
      " insert into effects values (n); commit; return n; end $$");
  world.submit(world.alice, "call keep(%s)", 20);
  world.submit(world.alice, "select keeps(%s)", 20);
  world.run("insert into effects values (%s + 100)", 50);
  CHECK(world.ended("completed") == 70);
  CHECK(world.ended("failed") == 20);
  CHECK(world.alice.number("select count(*) from effects where n <= 20") == 20);
  CHECK(world.alice.number("select count(*) from effects where n > 100") == 50);
}

TEST_CASE("two roles never share a transaction", "[S3.9]") {
  const std::string mode = GENERATE("login", "set_role");
  CAPTURE(mode);
  GroupWorld world(Settings{{"identity.mode", mode}});
  world.add_role("bob");
  if (mode == "set_role")
    Sql(world.database().conninfo("postgres")).exec("grant alice, bob to durabled_owner");
  Sql bob = world.session("bob");
  world.submit(world.alice, kInsert, 60);
  world.run(bob, kInsert, 60);
  CHECK(world.ended("completed") == 120);
  CHECK(world.alice.number("select count(*) from effects where who = 'bob'") == 60);
  CHECK(world.alice.number("select max(count) from (select count(distinct who) from effects group by x) t") ==
        1);
}

TEST_CASE("steps that change what belongs to the session find nothing of each other") {
  GroupWorld world;
  world.alice.exec(
      "create function spoil(i int) returns text language plpgsql as $$ declare found text; begin"
      " found := concat_ws(' ', current_setting('work_mem'), to_regclass('pg_temp.mine'),"
      "  (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors where name = "
      "'mine'),"
      "  current_setting('df.label'));"
      " perform set_config('work_mem', '1MB', i % 2 = 0), set_config('df.label', 'forged', false);"
      " create temp table mine (n int); execute 'prepare mine as select 1'; execute 'listen mine';"
      " execute 'declare mine cursor with hold for select 1'; insert into public.effects values (i);"
      " perform pg_advisory_lock(i); return found; end $$");
  world.run("select spoil(%s) as found", 80);
  CHECK(world.ended("completed") == 80);
  CHECK(world.largest() > 1);
  CHECK(world.owner().number(
            "select count(*) from df.instances i where df.result(i.id) -> 'rows' -> 0 ->> 'found'"
            " <> '4MB 0 0 ' || i.label") == 0);
  CHECK(world.alice.number("select count(*) from pg_locks where locktype = 'advisory' and database ="
                           " (select oid from pg_database where datname = current_database())"
                           " and classid = 0") == 0);
}

TEST_CASE("the rows of a df.for_each share transactions", "[L3.7]") {
  GroupWorld world;
  world.alice.exec(
      "insert into df.submit (dsl) values ($q$df.for_each('select generate_series(1, 300) as n',"
      " 'insert into effects values ($item.n)', 100)$q$)");
  world.await_all();
  CHECK(world.ended("completed") == 1);
  CHECK(world.alice.number("select count(distinct n) from effects") == 300);
  CHECK(world.alice.number("select count(*) from effects") == 300);
  CHECK(world.largest() > 1);
}
