// Faults at arbitrary moments, from a seed: daemons killed, their sessions terminated, the server crashed.
// What must hold is always the same: every effect once, every instance completed soon after the last fault.
#include <random>

#include "tests/e2e/world.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;
using std::chrono::milliseconds;

namespace {

constexpr long long kSteps = 10;

// Ten steps, each of which leaves one row. No unique key: a doubled effect must show, not fail.
std::string ten_steps() {
  std::string dsl;
  for (int step = 1; step <= kSteps; ++step) {
    dsl += (step > 1 ? " ~> " : "") + std::string("'insert into effects values (''{sys_instance_id}'', ") +
           std::to_string(step) + ")'";
  }
  return dsl;
}

std::vector<std::string> submit_many(Sql& alice, int count) {
  std::vector<std::string> ids;
  for (const Row& row : alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, $2::int) "
                                   "returning id",
                                   ten_steps(), count))
    ids.push_back(*row[0]);
  return ids;
}

long long effects(Sql& sql) {
  return sql.number("select count(*) from effects");
}

// What there is to know when it does not go on.
std::string state_of_things(Sql& sql) {
  return sql.text(
      "select string_agg(line, E'\\n') from (select format('%s %s held by %s, due %s, error %s', count(*), "
      "status,"
      " worker_id, min(wake_at), min(error::text)) from df.instances group by status, worker_id"
      " union all select format('worker %s last seen %s', id, last_seen_at) from df.workers"
      " union all select format('session %s %s %s: %s', application_name, state, wait_event, query)"
      " from pg_stat_activity where datname = current_database()) t (line)");
}

void check_exactly_once(Sql& sql, int workflows) {
  try {
    wait_until(
        "all have completed",
        [&] {
          return sql.number("select count(*) from df.instances where status = 'completed'") == workflows;
        },
        std::chrono::seconds{15});
  } catch (const std::exception& e) {
    throw std::runtime_error(std::string(e.what()) + "\n" + state_of_things(sql));
  }
  CHECK(effects(sql) == workflows * kSteps);
  CHECK(sql.exec("select instance, step, count(*) from effects group by 1, 2 having count(*) <> 1").empty());
  CHECK(sql.exec("select instance_id from df.events where kind = 'StepCompleted' group by 1 "
                 "having count(*) <> $1::int",
                 kSteps)
            .empty());
}

void create_effects(Sql& alice) {
  alice.exec("create table effects (instance text, step int)");
}

// Until `more` effects are there beyond those of now, or all: so that faults hit work, not idleness.
void await_progress(Sql& sql, long long more, int workflows) {
  const long long target = std::min(effects(sql) + more, workflows * kSteps);
  try {
    wait_until(
        "the work goes on", [&] { return effects(sql) >= target; }, std::chrono::seconds{15});
  } catch (const std::exception& e) {
    throw std::runtime_error(std::string(e.what()) + "\n" + state_of_things(sql));
  }
}

}  // namespace

TEST_CASE("kill -9 of two daemons and a crash of the server lose nothing and double nothing", "[L6.1]") {
  const unsigned seed = GENERATE(1u, 2u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  PostgresServer server({.durable = true});
  World world(server);
  auto alice = std::make_unique<Sql>(world.session());
  create_effects(*alice);
  constexpr int kWorkflows = 200;
  submit_many(*alice, kWorkflows);
  const Settings settings = {{"steps.connections", "4"},
                             {"steps.connections_per_role", seed % 2 == 0 ? "2" : "4"},
                             {"steps.group_commit", seed % 2 == 0 ? "auto" : "off"},
                             {"worker.lease_ttl", "6s"}};
  std::unique_ptr<DaemonProcess> daemons[2];
  const auto start = [&](int which) {
    daemons[which] = std::make_unique<DaemonProcess>(
        DaemonProcess::Options{.database = world.database().conninfo(), .settings = settings});
    daemons[which]->wait_until_ready();
  };
  start(0), start(1);
  for (int fault = 0; fault < 8; ++fault) {
    await_progress(*alice, std::uniform_int_distribution<int>(50, 200)(random), kWorkflows);
    std::this_thread::sleep_for(milliseconds{std::uniform_int_distribution<int>(0, 20)(random)});
    if (fault == 4) {
      server.stop_immediate();
      server.start();
      alice = std::make_unique<Sql>(world.session());
      continue;
    }
    const int which = fault % 2;
    daemons[which]->kill9();
    start(which);
  }
  check_exactly_once(*alice, kWorkflows);
  CHECK(daemons[0]->running());
  CHECK(daemons[1]->running());
}

TEST_CASE("terminated sessions, whichever they are, lose nothing and double nothing", "[L6.1]") {
  const unsigned seed = GENERATE(3u, 4u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  World world;
  Sql alice = world.session();
  create_effects(alice);
  constexpr int kWorkflows = 100;
  submit_many(alice, kWorkflows);
  // A step may be hit more often than the standing policy tries it again.
  DaemonProcess& daemon = world.start_daemon({{"steps.connections", "6"},
                                              {"steps.connections_per_role", seed % 2 == 0 ? "2" : "6"},
                                              {"steps.group_commit", seed % 2 == 0 ? "auto" : "off"},
                                              {"retry.max_attempts", "50"}});
  Sql postgres(world.database().conninfo("postgres"));
  for (int fault = 0; fault < 12; ++fault) {
    await_progress(alice, std::uniform_int_distribution<int>(10, 70)(random), kWorkflows);
    // Every session at times, each with even odds at others.
    postgres.exec(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
        " and application_name like 'durabled %' and ($2::bool or random() < 0.5)",
        world.database().name(), fault % 3 == 0);
  }
  check_exactly_once(alice, kWorkflows);
  CHECK(daemon.running());
}

TEST_CASE("branches side by side survive terminated sessions", "[L6.1]") {
  World world;
  Sql alice = world.session();
  create_effects(alice);
  constexpr int kWorkflows = 20, kBranches = 10;
  static_assert(kBranches == kSteps);
  std::string dsl = "df.join(";
  for (int branch = 1; branch <= kBranches; ++branch) {
    dsl += (branch > 1 ? ", " : "") + std::string("'insert into effects select ''{sys_instance_id}'', ") +
           std::to_string(branch) + " from pg_sleep(0.02)'";
  }
  alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, $2::int)", dsl + ")", kWorkflows);
  world.start_daemon({{"steps.connections", "6"}, {"retry.max_attempts", "50"}});
  Sql postgres(world.database().conninfo("postgres"));
  for (int fault = 0; fault < 10; ++fault) {
    await_progress(alice, 8, kWorkflows);
    postgres.exec(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
        " and application_name = 'durabled step'",
        world.database().name());
  }
  check_exactly_once(alice, kWorkflows);
}

TEST_CASE("etl.df loads each row once, killed between any two steps", "[L6.1]") {
  World world;
  Sql alice = world.session();
  const std::filesystem::path cases = std::filesystem::path(kSourceDirectory) / "tests/cases";
  alice.exec(read_file(cases / "setup.sql"));
  for (int committed = 0; committed < 3; ++committed) {
    alice.exec("truncate target; update staging set processed_at = null");
    auto daemon = std::make_unique<DaemonProcess>(world.database().conninfo());
    daemon->wait_until_ready();
    // The next step waits for this lock, so that the kill falls between it and the one before.
    Sql blocker = world.session();
    const char* const tables[] = {"target", "staging", "target"};
    blocker.exec(std::string("begin; lock table ") + tables[committed] + " in access exclusive mode");
    const std::string id = submit(alice, read_file(cases / "etl.df"));
    // The first and the third step need `target`: let the first one through when the third is meant.
    if (committed == 2) {
      blocker.exec("rollback; begin; lock table staging in access exclusive mode");
      wait_until("the first step has committed", [&] {
        return alice.number(
                   "select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'", id) ==
               1;
      });
      Sql second = world.session();
      second.exec("begin; lock table target in exclusive mode");  // stops the insert only
      blocker.exec("rollback");
      wait_until("the second step has committed", [&] {
        return alice.number(
                   "select count(*) from df.events where instance_id = $1 and kind = 'StepCompleted'", id) ==
               2;
      });
      daemon->kill9();
      second.exec("rollback");
    } else {
      wait_until("the step before has committed and the next one waits", [&] {
        return alice.number("select count(*) from pg_locks where not granted and relation = $1::regclass",
                            tables[committed]) == 1;
      });
      daemon->kill9();
      blocker.exec("rollback");
    }
    daemon = std::make_unique<DaemonProcess>(world.database().conninfo());
    completes(alice, id);
    CHECK(alice.number("select count(*) from target") == 30);
    CHECK(alice.number("select count(distinct source_id) from target") == 30);
  }
}
