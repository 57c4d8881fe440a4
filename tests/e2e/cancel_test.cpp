// A cancel is immediate and final: when its transaction commits the instance is cancelled, and nothing of it commits later.
#include <random>
#include <thread>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

const std::string kInsert = "insert into effects select ''{sys_instance_id}''";

// A database with a table that steps write to, and eyes that see everything.
class CancelWorld : public World {
 public:
  CancelWorld() { alice.exec("create table effects (instance text)"); }

  // Backends that run a statement with `text` in it for a step.
  long long running(const std::string& text) {
    return postgres.number(
        "select count(*) from pg_stat_activity where state = 'active' and strpos(query, $1) > 0 and"
        " application_name = 'durabled step' and datname = current_database()",
        text);
  }
  long long open_steps() {
    return postgres.number(
        "select count(*) from pg_stat_activity where application_name = 'durabled step' and"
        " state <> 'idle' and datname = current_database()");
  }
  // Steps whose checkpoint waits for somebody.
  long long blocked_steps() {
    return postgres.number(
        "select count(*) from pg_stat_activity where application_name = 'durabled step' and"
        " wait_event_type = 'Lock' and datname = current_database()");
  }
  std::string last_event(const std::string& id) {
    return alice.text("select kind from df.events where instance_id = $1 order by seq desc limit 1", id);
  }
  long long effects(const std::string& id) {
    return alice.number("select count(*) from effects where instance = $1", id);
  }
  std::string cancel(const std::string& id) { return alice.text("select df.cancel($1, 'enough')", id); }
  void await_let_go(const std::string& id) {
    wait_until("no daemon holds it", [&] {
      return alice.number("select count(*) from df.instances where id = $1 and worker_id is null", id) == 1;
    });
  }

  Sql alice = session();
  Sql postgres{database().conninfo("postgres")};
};

}  // namespace

TEST_CASE("a cancel shows everywhere in the caller's own transaction, and goes with it", "[L6.13][L6.16]") {
  CancelWorld world;
  world.start_daemon();
  const std::string id = submit(world.alice, "'" + kInsert + "' ~> df.wait_for_signal('go')");
  await_put_down(world.alice, id);
  world.alice.exec("begin");
  CHECK(world.cancel(id) == "Instance " + id + " cancelled");
  CHECK(world.alice.text("select df.status($1)", id) == "cancelled");
  CHECK(status_of(world.alice, id) == "cancelled");
  CHECK(world.alice.text("select status from df.instance_info($1)", id) == "cancelled");
  CHECK(world.last_event(id) == "InstanceCancelled");
  CHECK(world.alice.number("select count(*) from df.waiting($1)", id) == 0);
  CHECK(world.alice.number("select count(*) from df.waiting() where instance_id = $1", id) == 0);
  CHECK_THAT(world.alice.text("select df.explain($1)", id), ContainsSubstring("Status: cancelled"));
  CHECK(world.alice.text("select inferred_status from df.instance_nodes($1) where node_type = 'SIGNAL'",
                         id) == "failed");
  CHECK_THAT(error_of(world.alice, id), ContainsSubstring("enough"));
  world.alice.exec("rollback");
  CHECK(status_of(world.alice, id) == "running");
  CHECK(world.alice.number(
            "select count(*) from df.events where instance_id = $1 and kind = 'InstanceCancelled'", id) == 0);
  world.alice.exec("select df.signal($1, 'go')", id);
  completes(world.alice, id);
  CHECK(world.alice.text("select df.cancel($1)", id) == "Instance " + id + " is already completed");
  CHECK(status_of(world.alice, id) == "completed");
}

TEST_CASE("a step that ends after the cancel commits nothing, although its daemon knows nothing of it",
          "[L6.13]") {
  CancelWorld world;
  Settings settings;
  SECTION("each role with a login of its own") {}
  SECTION("one login for all roles") {
    settings = {{"identity.mode", "set_role"}};
    world.postgres.exec("grant alice to durabled_owner");
  }
  DaemonProcess& daemon = world.start_daemon(settings);
  const std::string id = submit(world.alice, "'" + kInsert + " from pg_sleep(0.5)' ~> '" + kInsert + "'");
  wait_until("the step runs", [&] { return world.running("pg_sleep(0.5)") == 1; });
  daemon.sigstop();
  world.cancel(id);
  CHECK(status_of(world.alice, id) == "cancelled");
  wait_until("the step's statement is done", [&] { return world.running("pg_sleep(0.5)") == 0; });
  daemon.sigcont();
  world.await_let_go(id);
  wait_until("its session is free", [&] { return world.open_steps() == 0; });
  CHECK(world.effects(id) == 0);
  CHECK(world.last_event(id) == "InstanceCancelled");
  completes(world.alice, submit(world.alice, "'select 1'"));  // and the daemon goes on
  world.postgres.exec("revoke alice from durabled_owner");
}

TEST_CASE("while a cancel is not committed only its own instance waits, and goes on when it is rolled back",
          "[L6.13]") {
  CancelWorld world;
  world.start_daemon();
  Sql canceller = world.session();
  const std::string id = submit(world.alice, "'" + kInsert + " from pg_sleep(0.3)' ~> 'select 7 as x'");
  wait_until("the step runs", [&] { return world.running("pg_sleep(0.3)") == 1; });
  canceller.exec("begin");
  canceller.exec("select df.cancel($1)", id);
  wait_until("its checkpoint waits", [&] { return world.blocked_steps() == 1; });
  completes(world.alice, submit(world.alice, "'select 1' ~> 'select 2'"));
  SECTION("soon: the step commits as it is") {
    canceller.exec("rollback");
  }
  SECTION("late: the step was rolled back meanwhile, and runs again without having failed") {
    wait_until(
        "it waits no longer", [&] { return world.open_steps() == 0; }, std::chrono::seconds{30});
    CHECK(world.effects(id) == 0);
    canceller.exec("rollback");
  }
  CHECK_THAT(completes(world.alice, id), ContainsSubstring("7"));
  CHECK(world.effects(id) == 1);
  CHECK(world.alice.number("select count(*) from df.events where instance_id = $1 and kind = 'StepFailed'",
                           id) == 0);
}

TEST_CASE("cancels that race with the end of an instance leave it either completed or cancelled, wholly",
          "[L6.13]") {
  CancelWorld world;
  world.start_daemon();
  std::vector<std::string> ids;
  for (int i = 0; i < 150; ++i)
    ids.push_back(submit(world.alice, "df.join('select 1', 'select 2', 'select 3') ~> '" + kInsert + "'"));
  std::thread second([&] {
    Sql sql = world.session();
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) sql.exec("select df.cancel($1)", *id);
  });
  std::mt19937 random(7);
  for (const std::string& id : ids) {
    world.alice.exec("select df.cancel($1)", id);
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1'000});
  }
  second.join();
  CHECK(world.alice.number(
            "select count(*) from df.instances where status not in ('completed', 'cancelled')") == 0);
  wait_until("the daemon has let go of all", [&] {
    return world.alice.number("select count(*) from df.instances where worker_id is not null") == 0 &&
           world.open_steps() == 0;
  });
  CHECK(world.alice
            .exec("select i.id, i.status, (select count(*) from effects e where e.instance = i.id) from "
                  "df.instances i"
                  " where (i.status = 'completed') <> exists (select from effects e where e.instance = i.id)")
            .empty());
  CHECK(world.alice
            .exec("select i.id, i.status, e.kind from df.instances i join df.events e on e.instance_id = i.id"
                  " and e.seq = (select max(seq) from df.events l where l.instance_id = i.id)"
                  " where lower(e.kind) <> 'instance' || i.status")
            .empty());
  CHECK(world.alice
            .exec("select instance_id from df.events where kind ~ '^Instance(Cancelled|Completed)'"
                  " group by 1 having count(*) > 1")
            .empty());
}

TEST_CASE("a step cannot cancel its own instance, but another one", "[L6.13]") {
  CancelWorld world;
  world.start_daemon();
  CHECK_THAT(run_failing(world.alice, "'select df.cancel(''{sys_instance_id}'')'"),
             ContainsSubstring("a step cannot cancel its own instance"));
  // One that hides where it is loses its lease by its own doing: that is a failure too, and no endless repetition.
  CHECK_THAT(run_failing(world.alice,
                         "'select set_config(''df.instance_id'', '''', true),"
                         " df.cancel(''{sys_instance_id}'')'"),
             ContainsSubstring("lease lost"));
  const std::string other = submit(world.alice, "df.sleep(1000)");
  run_workflow(world.alice, "'select df.cancel(''" + other + "'')'");
  CHECK(status_of(world.alice, other) == "cancelled");
}

TEST_CASE("a cancel of what a dead daemon held, of what is paused and of what never began is final at once",
          "[S2.6]") {
  CancelWorld world;
  DaemonProcess& first = world.start_daemon();
  const std::string held = submit(world.alice, "'" + kInsert + " from pg_sleep(60)'");
  const std::string paused = submit(world.alice, "df.sleep(0.1) ~> '" + kInsert + "'");
  world.alice.exec("select df.pause($1)", paused);
  wait_until("the step runs", [&] { return world.running("pg_sleep(60)") == 1; });
  await_status(world.alice, paused, "paused");
  first.kill9();
  const std::string pending = submit(world.alice, "'" + kInsert + "'");
  for (const std::string& id : {held, paused, pending}) {
    world.cancel(id);
    CHECK(status_of(world.alice, id) == "cancelled");
    CHECK(world.last_event(id) == "InstanceCancelled");
    CHECK(world.alice.text("select df.resume($1)", id) == "Instance " + id + " is already cancelled");
    CHECK(world.alice.text("select df.cancel($1)", id) == "Instance " + id + " is already cancelled");
  }
  DaemonProcess& second = world.start_daemon({{"log.level", "debug"}, {"log.format", "json"}});
  for (const std::string& id : {held, paused, pending}) {
    world.await_let_go(id);
    wait_until("its end is in the log",
               [&] { return second.log().find("\"instance\":\"" + id + "\"") != std::string::npos; });
    CHECK(status_of(world.alice, id) == "cancelled");
  }
  completes(world.alice, submit(world.alice, "'select 1'"));
  CHECK(world.alice.number("select count(*) from effects") == 0);
}

TEST_CASE("a cancel in a transaction with an old snapshot is refused rather than recorded in a wrong place",
          "[L6.16]") {
  CancelWorld world;
  world.start_daemon();
  Sql canceller = world.session();
  canceller.exec("begin isolation level repeatable read");
  canceller.exec("select count(*) from df.instances");
  const std::string untouched = submit(world.alice, "df.sleep(1000)", "later");
  const std::string id = submit(world.alice, "'select 1' ~> df.wait_for_signal('go')");
  await_put_down(world.alice, id);
  canceller.exec("rollback");
  canceller.exec("begin isolation level repeatable read");
  canceller.exec("select count(*) from df.instances");
  world.alice.exec("select df.signal($1, 'other')", id);
  wait_until("the signal is delivered",
             [&] { return world.alice.number("select count(*) from df.signals where delivered") == 1; });
  canceller.expects_error("40001", "select df.cancel($1)", id);
  canceller.exec("rollback");
  canceller.exec("select df.cancel($1)", id);
  CHECK(status_of(world.alice, id) == "cancelled");
  CHECK(status_of(world.alice, untouched) != "cancelled");
}
