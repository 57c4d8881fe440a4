// An instance that takes its daemons down with it: real ones, each killed before it recorded anything.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

TEST_CASE("an instance with which the third daemon dies is parked, and others go on", "[S3.9]") {
  World world;
  Sql alice = world.session();
  Sql postgres(world.database().conninfo("postgres"));
  // Whoever records something waits for this lock.
  postgres.exec("select pg_advisory_lock(1)");
  world.owner().exec(
      "create function public.hold_up() returns trigger language plpgsql as $$ begin"
      " perform pg_advisory_xact_lock_shared(1); return new; end $$;"
      "create trigger hold_up before insert on df.events for each row when (new.kind <> 'InstanceParked')"
      " execute function public.hold_up()");
  const std::string id = submit(alice, "df.sleep(0.01) ~> 'select 1 as x'");
  for (int death = 0; death < 3; ++death) {
    DaemonProcess& daemon = world.launch_daemon();
    wait_until("a daemon that lives holds it", [&] {
      return world.owner().number(
                 "select count(*) from df.instances i join df.workers w on w.id = i.worker_id"
                 " where i.id = $1 and w.pid = $2::int",
                 id, daemon.pid()) == 1;
    });
    daemon.kill9();
    postgres.exec(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where datname = current_database() and application_name like 'durabled %'");
  }
  DaemonProcess& daemon = world.start_daemon();
  await_status(alice, id, "paused");
  CHECK_THAT(error_of(alice, id), ContainsSubstring("daemon_died"));
  CHECK(alice.text("select string_agg(kind, ' ') from df.history($1)", id) == "InstanceParked");
  postgres.exec("select pg_advisory_unlock(1)");
  run_workflow(alice, "'select 2 as x'");
  CHECK(status_of(alice, id) == "paused");
  CHECK_THAT(daemon.log(), ContainsSubstring(id));
  alice.exec("select df.resume($1)", id);
  CHECK_THAT(completes(alice, id), ContainsSubstring("\"x\":1"));
  CHECK(daemon.running());
}
