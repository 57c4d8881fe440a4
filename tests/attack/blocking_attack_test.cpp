// A hostile role tries to hold up the daemon, or what others run on it.
#include <thread>

#include "tests/attack/attacker.hpp"

using namespace durabled::test;

TEST_CASE("a client that keeps its own rows locked holds up nobody else", "[smoke]") {
  Attack attack;
  Sql locker(attack.conninfo("mallory"));
  // The lock is asked for while a cancel is open, and got the moment the cancel is seen.
  locker.exec("begin");
  locker.exec("select df.cancel($1)", attack.own_instance());
  Sql second(attack.conninfo("mallory"));
  std::thread queued([&] {
    second.exec("begin");
    second.exec("select from df.instances where id = $1 for update", attack.own_instance());
  });
  wait_until("it queues",
             [&] { return attack.owner().number("select count(*) from pg_locks where not granted") > 0; });
  locker.exec("commit");
  queued.join();
  attack.others_go_on();
  second.exec("rollback");
  locker.exec("begin");
  locker.exec("select from df.instances where submitted_by = 'mallory'::regrole for update");
  attack.others_go_on();
  locker.exec("rollback");
}

TEST_CASE("signals for a locked instance do not keep others' from being delivered") {
  Attack attack;
  const std::string open = attack.mallory().text("select df.start(df.wait_for_signal('x'))");
  Sql locker(attack.conninfo("mallory"));
  locker.exec("begin");
  locker.exec("select from df.instances where id = $1 for update", open);
  attack.mallory().exec(
      "insert into df.signals (instance_id, name) select $1, 'flood' from generate_series(1, 5000)", open);
  const std::string id = attack.victim().text("select df.start(df.wait_for_signal('mine'))");
  attack.victim().exec("select df.signal($1, 'mine')", id);
  CHECK(attack.victim().text("select df.await_instance($1, 10)", id) == "completed");
  locker.exec("rollback");
}

TEST_CASE("large signals that nothing waits for take no memory of the daemon", "[S3.9]") {
  Attack attack;
  const std::string id =
      attack.mallory().text("select df.start(df.seq(df.wait_for_signal('x'), df.wait_for_signal('y')))");
  const auto memory = [&] {
    const std::string status = read_file("/proc/" + std::to_string(attack.daemon().pid()) + "/status");
    return std::stol(status.substr(status.find("VmHWM:") + 6));  // KiB, the highest so far
  };
  const long before = memory();
  attack.mallory().exec(
      "set statement_timeout = '120s'");  // a guard against hanging, and this is much to parse
  attack.mallory().exec(
      "insert into df.signals (instance_id, name, data) select $1, 'flood', to_json(repeat('a', 16000000)) "
      "from "
      "generate_series(1, 20)",
      id);
  attack.mallory().exec("select df.signal($1, 'x', to_json(repeat('b', 4000000))::text)", id);
  attack.others_go_on();
  attack.mallory().exec("select df.signal($1, 'y')", id);
  CHECK(attack.mallory().text("select df.await_instance($1, 10)", id) == "completed");
  // The long one that was awaited came whole.
  CHECK(attack.owner().number(
            "select count(*) from df.events where instance_id = $1 and kind = 'SignalReceived' and "
            "length(data ->> 'data') = 4000000",
            id) == 1);
  CHECK(memory() - before < 100'000);
}

TEST_CASE("a step whose commit fails while its instance is locked holds up nobody else") {
  Attack attack;
  attack.mallory().exec(
      "create table public.late (x int); create function public.fail_late() returns trigger language plpgsql "
      "as "
      "$$ begin raise exception 'no'; end $$; create constraint trigger late after insert on public.late "
      "deferrable initially deferred for each row execute function public.fail_late()");
  const std::string id = attack.mallory().text(
      "select df.start(df.sql('with s as (select pg_sleep(0.7)) insert into "
      "public.late select 1 from s'))");
  Sql super(attack.conninfo("postgres"));
  const auto runs = [&] {
    return super.number(
               "select count(*) from pg_stat_activity where state = 'active' and query like '%public.late%' "
               "and "
               "application_name = 'durabled step' and datname = current_database()") > 0;
  };
  wait_until("the step runs", runs);
  Sql locker(attack.conninfo("mallory"));
  locker.exec("begin");
  locker.exec("select from df.instances where id = $1 for share", id);
  wait_until("its commit has failed", [&] { return !runs(); });
  attack.others_go_on();
  attack.others_go_on();
  locker.exec("rollback");
  CHECK(attack.mallory().text("select df.await_instance($1, 10)", id) == "failed");
}

TEST_CASE("advisory locks on the daemon's numbers do not keep a daemon from starting") {
  Attack attack;
  attack.mallory().exec(
      "select pg_advisory_lock(1684406273, n) from generate_series(0, 2000) n where n <> all (select "
      "id from "
      "df.workers)");
  DaemonProcess another(attack.database().conninfo());
  another.wait_until_ready();
  attack.daemon().kill9();
  attack.others_go_on();
}

TEST_CASE("a client that waits for a daemon's lock does not make it look alive when it is gone", "[S3.9]") {
  Attack attack;
  const std::string number = attack.owner().text("select id from df.workers");
  Sql waiter(attack.conninfo("mallory"));
  std::thread queued([&] { waiter.exec("select pg_advisory_lock(1684406273, $1)", number); });
  wait_until("it waits", [&] {
    return attack.owner().number(
               "select count(*) from pg_locks where locktype = 'advisory' and not granted") == 1;
  });
  const std::string id = attack.victim().text("select df.start(df.seq('select pg_sleep(2)', 'select 2'))");
  wait_until("its step is under way", [&] {
    return attack.owner().number("select count(*) from df.instances where id = $1 and worker_id is not null",
                                 id) > 0;
  });
  DaemonProcess another(attack.database().conninfo());
  another.wait_until_ready();
  attack.daemon().kill9();
  queued.join();
  CHECK(attack.victim().text("select df.await_instance($1, 8)", id) ==
        "completed");  // the lease lasts longer
}

TEST_CASE("no client can lock a table that others need", "[smoke][S3.9]") {
  Attack attack;
  for (const Row& table : attack.owner().exec(
           "select c.oid::regclass::text from pg_class c where c.relnamespace = 'df'::regnamespace and "
           "c.relkind in ('r', 'v')")) {
    for (const char* mode : {"share", "exclusive", "access exclusive"})
      attack.attempt_in_vain("lock table " + table[0].value() + " in " + mode + " mode");
  }
}

TEST_CASE("a flood of notifications does not hold up others", "[smoke]") {
  Attack attack;
  std::thread flood([&] {
    Sql sql(attack.conninfo("mallory"));
    sql.exec("listen df_doorbell");
    for (int i = 0; i < 200; ++i)
      sql.exec("select pg_notify('df_doorbell', n::text) from generate_series(1, 500) n");
  });
  attack.others_go_on();
  flood.join();
  attack.others_go_on();
}

TEST_CASE("hostile times and sizes are refused before the daemon sees them", "[smoke]") {
  Attack attack;
  for (const char* statement :
       {"insert into df.submit (dsl, start_at) values ('x', 'infinity')",
        "insert into df.submit (dsl, start_at) values ('x', '-infinity')",
        "insert into df.instances (dsl, wake_at) values ('x', 'infinity')",
        "insert into df.submit (dsl) values (repeat('x', 17000000))",
        "insert into df.submit (dsl, label) values ('x', repeat('x', 1001))",
        "insert into df.submit (dsl, vars) values ('x', '[]')",
        "insert into df.submit (dsl, vars) select 'x', jsonb_build_object('a', repeat('x', 17000000))",
        "select df.cancel('OWN', repeat('x', 20000))",
        "insert into df.signals (instance_id, name) values ('OWN', repeat('x', 2000))",
        "select df.signal('OWN', 'big', repeat('x', 17000000))",
        "insert into df.submit (dsl, priority) values ('x', 40000)"}) {
    attack.attempt_in_vain(statement);
  }
  for (const char* far : {"294276-01-01", "4713-01-01 BC", "0001-01-01"}) {
    attack.attempt(std::string("insert into df.submit (dsl, start_at) values ('x', '") + far + "')");
  }
  attack.others_go_on();
  CHECK(attack.daemon().running());
}

// PostgreSQL queues a request for an exclusive lock before it looks whether the role may have it, and everybody
// who comes later waits behind the request. What can be done is to say so.
TEST_CASE("the daemon and the doctor name a session that makes everybody wait for a lock", "[S3.9]") {
  Attack attack;
  Sql reader(attack.conninfo("mallory"));
  reader.exec("begin; select 1 from df.instances limit 1");
  const std::string pid = attack.mallory().text("select pg_backend_pid()");
  attack.mallory().exec("set statement_timeout = 0");
  std::thread queued([&] {
    try {
      attack.mallory().exec("create rule r as on insert to df.instances do instead nothing");
    } catch (const SqlError&) {
    }
  });
  wait_until(
      "the daemon names it",
      [&] {
        return attack.daemon().log().find("process " + pid +
                                          " of role mallory waits for AccessExclusiveLock on df.instances") !=
               std::string::npos;
      },
      std::chrono::seconds(30));
  reader.exec("rollback");
  queued.join();
  attack.mallory().exec("set statement_timeout = '10s'");
  attack.others_go_on();
}
