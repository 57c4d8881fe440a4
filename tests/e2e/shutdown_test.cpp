// How a daemon leaves, and how it comes back when the server has left.
#include <thread>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

TEST_CASE("SIGTERM lets the running step finish, gives the rest back, and another daemon goes on at once",
          "[S4.2]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (n serial, what text)");
  DaemonProcess& first = world.start_daemon();
  const std::string id = submit(alice,
                                "'insert into effects (what) select ''long'' from pg_sleep(1)'"
                                " ~> 'insert into effects (what) values (''next'')'");
  wait_until("the step runs", [&] {
    return Sql(world.database().conninfo("postgres"))
               .number(
                   "select count(*) from pg_stat_activity where state = 'active' and query like '%''long''%'"
                   " and application_name = 'durabled step' and datname = current_database()") == 1;
  });
  CHECK(first.sigterm_and_wait() == 0);
  CHECK(alice.text("select string_agg(what, ' ' order by n) from effects") == "long");
  CHECK(alice.number("select count(*) from df.workers") == 0);
  world.start_daemon();
  completes(alice, id, std::chrono::seconds{3});
  CHECK(alice.text("select string_agg(what, ' ' order by n) from effects") == "long next");
}

TEST_CASE("a step that outlasts the grace period is cancelled and runs again elsewhere, once", "[S4.2]") {
  World world;
  Sql alice = world.session();
  // Long only the first time; a rollback does not take a sequence back.
  alice.exec("create table effects (x int); create sequence tries");
  DaemonProcess& first = world.start_daemon({{"worker.shutdown_grace", "300ms"}});
  const std::string id = submit(
      alice,
      "'insert into effects select 1 from pg_sleep(case nextval(''tries'') when 1 then 60 else 0 end)'");
  const auto running = [&] {
    return Sql(world.database().conninfo("postgres"))
        .number(
            "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(case%'"
            " and application_name = 'durabled step' and datname = current_database()");
  };
  wait_until("the step runs", [&] { return running() == 1; });
  // Both waits are shorter than the statement, so it has not just come to its end.
  CHECK(first.sigterm_and_wait(std::chrono::seconds{20}) == 0);
  wait_until("the server has stopped it", [&] { return running() == 0; });
  CHECK(alice.number("select count(*) from effects") == 0);
  CHECK(alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepFailed'", id) ==
        0);
  world.start_daemon();
  completes(alice, id);
  CHECK(alice.number("select count(*) from effects") == 1);
}

TEST_CASE("a restart of the server under load is waited out", "[L6.1]") {
  PostgresServer server;
  World world(server);
  {
    Sql alice = world.session();
    alice.exec("create table effects (instance text, step int)");
    alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, 100)",
               "'insert into effects values (''{sys_instance_id}'', 1)' ~> "
               "'insert into effects select ''{sys_instance_id}'', 2 from pg_sleep(0.05)'");
  }
  DaemonProcess& daemon = world.start_daemon();
  for (int i = 0; i < 2; ++i) server.restart();
  Sql alice = world.session();
  wait_until(
      "all have completed",
      [&] { return alice.number("select count(*) from df.instances where status = 'completed'") == 100; },
      std::chrono::seconds{20});
  CHECK(alice.number("select count(*) from effects") == 200);
  CHECK(alice.number("select count(distinct (instance, step)) from effects") == 200);
  wait_until("the rows of its earlier lives are gone",
             [&] { return alice.number("select count(*) from df.workers") == 1; });
  CHECK(daemon.running());
  world.reconnect();
}

TEST_CASE("after SIGTERM no step begins, not even the next row of a df.for_each that runs", "[S4.2]") {
  World world;
  Sql alice = world.session(), gate = world.session();
  alice.exec("create table effects (i int)");
  gate.exec("select pg_advisory_lock(17)");
  DaemonProcess& first = world.start_daemon();
  const std::string id =
      submit(alice,
             "df.for_each('select i from generate_series(1, 20) i', "
             "'insert into effects select $item.i from pg_advisory_xact_lock_shared(17)', 3)");
  const auto waiting = [&] {
    return world.owner().number(
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 17"
        " and not granted and database = (select oid from pg_database"
        " where datname = current_database())");
  };
  wait_until("three rows are under way", [&] { return waiting() == 3; });
  kill(first.pid(), SIGTERM);
  wait_until("it knows that it is to stop",
             [&] { return first.log().find("waiting for 3 running steps") != std::string::npos; });
  gate.exec("select pg_advisory_unlock(17)");
  CHECK(first.wait() == 0);
  CHECK(alice.number("select count(*) from effects") == 3);
  world.start_daemon();
  completes(alice, id);
  CHECK(alice.number("select count(distinct i) from effects") == 20);
  CHECK(alice.number("select count(*) from effects") == 20);
}
