// A daemon that is stopped past its lease and wakes up again: what it had under way must not count.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

constexpr const char* kStep =
    "insert into effects select ''{sys_instance_id}'', pg_backend_pid() from pg_sleep(1)";

Settings short_lease(bool advisory_lock) {
  return {{"worker.heartbeat_interval", "300ms"},
          {"worker.lease_ttl", "1s"},
          {"worker.advisory_lock", advisory_lock ? "true" : "false"}};
}

}  // namespace

TEST_CASE("a daemon stopped past its lease commits nothing when it wakes up", "[L6.2]") {
  const bool advisory_lock = GENERATE(true, false);
  INFO("advisory_lock " << advisory_lock);
  World world;
  Sql alice = world.session();
  alice.exec("create table effects (instance text, pid int)");
  DaemonProcess& first = world.start_daemon(short_lease(advisory_lock));
  const std::string id = submit(alice, std::string("'") + kStep + "' ~> 'select 2'");
  Sql postgres(world.database().conninfo("postgres"));
  const std::string pid =
      wait_until("the step runs", [&]() -> Value {
        const Rows rows = postgres.exec(
            "select pid from pg_stat_activity where datname = current_database() and state = 'active'"
            " and query like '%from pg_sleep(1)' and application_name = 'durabled step'");
        return rows.empty() ? std::nullopt : rows[0][0];
      }).value();
  first.sigstop();
  // Its statement ends, and its transaction stays open.
  wait_until("the step is executed", [&] {
    return postgres.text("select state from pg_stat_activity where pid = $1", pid) == "idle in transaction";
  });
  world.start_daemon(short_lease(advisory_lock));
  completes(alice, id);
  // Where the server has not ended the frozen daemon's session by itself, after the lease's time, this does.
  first.sigcont();
  wait_until("it has rolled back", [&] {
    return postgres.exec("select from pg_stat_activity where pid = $1 and state = 'idle in transaction'", pid)
        .empty();
  });
  wait_until("it serves again", [&] { return alice.number("select count(*) from df.workers") == 2; });
  CHECK(alice.number("select count(*) from effects where instance = $1", id) == 1);
  CHECK(alice.text("select pid from effects where instance = $1", id) != pid);
  CHECK(alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'",
                     id) == 2);
  CHECK(first.running());
}

TEST_CASE("a daemon that was declared dead holds on to nothing that it claims before it knows", "[L6.2]") {
  World world;
  Sql alice = world.session();
  // The heartbeat is far away: until then the daemon believes that it is registered.
  world.start_daemon({{"worker.heartbeat_interval", "5s"}, {"worker.lease_ttl", "15s"}});
  run_workflow(alice, "'select 1'");
  world.owner().exec("delete from df.workers");
  const std::string id = submit(alice, "'select 2'");
  completes(alice, id);
  CHECK(alice.number("select count(*) from df.instances i where worker_id is not null"
                     " and not exists (select from df.workers w where w.id = i.worker_id)") == 0);
}
