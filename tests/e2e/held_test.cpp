// What a daemon holds: nothing that it forgot, no right that was taken away, and not dropped for somebody else's trouble.
#include "tests/e2e/http_world.hpp"

using namespace durabled::test;

TEST_CASE("an instance that a daemon's row holds and the daemon knows nothing of is taken up again") {
  World world;
  Sql alice = world.session();
  DaemonProcess& daemon = world.start_daemon();
  const std::string id = alice.text(
      "insert into df.submit (dsl, start_at) values ($$'select 1'$$, now() + '1 hour') returning id");
  world.owner().exec(
      "update df.instances set worker_id = (select id from df.workers), status = 'running', wake_at = null,"
      " fencing_token = 1 where id = $1",
      id);
  completes(alice, id, std::chrono::seconds{60});
  CHECK_THAT(daemon.log(), ContainsSubstring("held without being run, and are taken up again: 1"));
}

TEST_CASE("a deadlock in what a daemon writes is tried again, and costs nobody else their instances") {
  World world;
  Sql alice = world.session();
  world.owner().exec(
      "create sequence public.trouble; grant usage on sequence public.trouble to public;"
      " create function public.fail_three_times() returns trigger language plpgsql as $$ begin"
      " if nextval('public.trouble') <= 3 then raise exception 'made up' using errcode = '40P01'; end if;"
      " return new; end $$;"
      " create trigger trouble before insert on df.events for each row when (new.kind = 'TimerStarted')"
      " execute function public.fail_three_times()");
  DaemonProcess& daemon = world.start_daemon();
  const std::string worker = alice.text("select id from df.workers");
  const std::string other = submit(alice, "'select pg_sleep(1)' ~> 'select 2'");
  completes(alice, submit(alice, "df.sleep(0.2) ~> 'select 1'"));
  completes(alice, other);
  CHECK(world.owner().number("select last_value from public.trouble") > 3);
  CHECK(alice.text("select id from df.workers") == worker);
  CHECK_THAT(daemon.log(), !ContainsSubstring("the database is lost"));
}

TEST_CASE("a daemon that loses its work connection makes another, and drops nothing that it holds") {
  World world;
  Sql alice = world.session();
  alice.exec("create sequence tries");
  DaemonProcess& daemon = world.start_daemon();
  const std::string worker = alice.text("select id from df.workers");
  const std::string id =
      submit(alice, "'select nextval(''tries''), pg_sleep(2)' ~> df.sleep(0.2) ~> 'select 2'");
  wait_until("the step runs",
             [&] { return alice.number("select count(*) from tries where is_called") == 1; });
  CHECK(world.owner().number("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                             " where application_name = 'durabled work' and datname = current_database()") ==
        1);
  completes(alice, submit(alice, "'select 1'"));
  completes(alice, id);
  CHECK(alice.number("select last_value from tries") == 1);
  CHECK(alice.text("select id from df.workers") == worker);
  CHECK_THAT(daemon.log(), !ContainsSubstring("the database is lost"));
}

TEST_CASE("a right to HTTP that is taken away counts for an instance that runs already") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon({{"loop.min_interval", "10ms"}});
  const std::string id = submit(alice, "@> " + call(world, "/json"));
  wait_until("it calls", [&] {
    return alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'",
                        id) > 2;
  });
  world.owner().exec(
      "do $$ declare f regprocedure; begin for f in select oid from pg_proc where pronamespace = "
      "'df'::regnamespace"
      " and proname = 'http' loop execute format('revoke execute on function %s from alice', f); end loop; "
      "end $$");
  CHECK_THAT(fails(alice, id), ContainsSubstring("does not have EXECUTE privilege on df.http()"));
}

TEST_CASE("the signals that a loop has taken go with the history that it folds", "[L6.15]") {
  World world;
  Sql alice = world.session();
  world.start_daemon({{"loop.keep_iterations", "2"}});
  const std::string id = submit(alice, "'select 1' ~> df.loop(df.wait_for_signal('t'), 'select true')");
  for (int i = 1; i <= 20; ++i) {
    alice.exec("select df.signal($1, 't', $2)", id, std::to_string(i));
    wait_until("it is taken", [&] {
      return alice.number(
                 "select coalesce(max((data ->> 'iteration')::int), 0) from df.events where instance_id = $1"
                 " and kind = 'IterationCompleted'",
                 id) == i;
    });
  }
  CHECK(
      alice.number("select count(*) from df.signals where instance_id = $1", id) ==
      alice.number("select count(*) from df.events where instance_id = $1 and kind = 'SignalReceived'", id));
  CHECK(alice.number("select count(*) from df.signals where instance_id = $1", id) < 5);
  alice.exec("select df.signal($1, 'never')", id);
  CHECK(alice.number("select count(*) from df.signals where instance_id = $1 and name = 'never'", id) == 1);
}
