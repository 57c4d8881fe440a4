// The daemon and its clients behind PgBouncer in transaction mode: no session of theirs outlives a
// transaction.
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/world.hpp"
#include "tests/support/paths.hpp"

using namespace durabled::test;

namespace {

constexpr const char* kPgBouncer = "/usr/sbin/pgbouncer";

// Between everybody and the world's server, on a Unix socket of its own. Ends with the test.
class PgBouncer {
 public:
  // `pool_size`: sessions with the server for one role and database.
  PgBouncer(const World& world, int pool_size) : database_(world.database().name()) {
    if (!std::filesystem::exists(kPgBouncer)) FAIL("install Debian's package pgbouncer");
    const auto& path = directory_.path();
    const std::string server = world.server().conninfo();
    if (const auto user = postgres_user_when_root()) {
      if (chown(path.c_str(), user->uid, user->gid) != 0) throw std::runtime_error("chown " + path.string());
    }
    write_file(path / "users", "\"durabled_owner\" \"\"\n\"alice\" \"\"\n\"bob\" \"\"\n");
    write_file(path / "ini",
               "[databases]\n* = " + server.substr(0, server.find(" dbname=")) +
                   "\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = " + path.string() +
                   "\nunix_socket_mode = 0777\nauth_type = trust\nauth_file = " + (path / "users").string() +
                   "\npool_mode = transaction\ndefault_pool_size = " + std::to_string(pool_size) +
                   "\nmax_client_conn = 200\nlogfile =\npidfile =\n");
    process_ = std::make_unique<ChildProcess>(Command{.argv = {kPgBouncer, (path / "ini").string()},
                                                      .output = path / "log",
                                                      .directory = path,
                                                      .as_postgres_user = true});
    wait_until("pgbouncer accepts connections", [&] {
      if (!process_->running()) throw std::runtime_error("pgbouncer ended:\n" + read_file(path / "log"));
      return PQping(conninfo("durabled_owner").c_str()) == PQPING_OK;
    });
  }

  std::string conninfo(const std::string& role) const {
    return "host=" + directory_.path().string() + " port=6432 dbname=" + database_ + " user=" + role;
  }

 private:
  TemporaryDirectory directory_{"durabled-pgb"};
  std::string database_;
  std::unique_ptr<ChildProcess> process_;
};

const Settings kPooled = {{"worker.listen", "false"},
                          {"worker.advisory_lock", "false"},
                          {"steps.prepared_statements", "false"},
                          {"worker.poll_interval", "50ms"},
                          {"worker.heartbeat_interval", "300ms"},
                          {"worker.lease_ttl", "1s"},
                          {"retry.delay", "20ms"}};

DaemonProcess::Options behind(const PgBouncer& pooler, Settings settings = {}) {
  settings.insert(kPooled.begin(), kPooled.end());
  return {.database = pooler.conninfo("durabled_owner"), .settings = std::move(settings)};
}

// What a server session that the pooler holds for alice still has of some client's.
constexpr const char* kLeftovers =
    "select concat_ws(' ', current_user, current_setting('work_mem'), current_setting('df.instance_id', "
    "true),"
    " (select count(*) from pg_prepared_statements where from_sql),"
    " (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),"
    " (select count(*) from pg_listening_channels()), (select count(*) from pg_cursors where is_holdable),"
    " to_regclass('pg_temp.left_over'), current_setting('client_encoding'))";

}  // namespace

TEST_CASE("behind a pooler in transaction mode, workflows of several roles run as who submitted them",
          "[smoke][L6.5]") {
  World world;
  world.add_role("bob");
  const PgBouncer pooler(world, 8);
  DaemonProcess daemon(behind(pooler));
  daemon.wait_until_ready();
  std::vector<std::pair<std::string, std::string>> started;
  for (const std::string role : {"alice", "bob"}) {
    Sql client(pooler.conninfo(role));
    for (int i = 0; i < 10; ++i) {
      started.emplace_back(role, submit(client, R"('select current_user as who' |=> 'me'
          ~> ('select 1' & df.sleep(0.1)) ~> 'select ''$me.who'' as told, session_user as login,
              current_setting(''df.in_workflow'') as inside')"));
    }
  }
  for (const auto& [role, id] : started) {
    Sql client(pooler.conninfo(role));
    INFO(daemon.log());
    const std::string result = completes(client, id);
    CHECK_THAT(result,
               ContainsSubstring(R"({"told":")" + role + R"(","login":")" + role + R"(","inside":"true"})"));
  }
}

TEST_CASE(
    "behind a pooler, others take over from a killed daemon after the lease time, and no step counts twice") {
  World world;
  const PgBouncer pooler(world, 20);
  Sql alice(pooler.conninfo("alice"));
  alice.exec("create table effects (instance text, step int)");
  auto first = std::make_unique<DaemonProcess>(behind(pooler));
  first->wait_until_ready();
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(submit(alice, R"('insert into effects values (''{sys_instance_id}'', 1)'
        ~> 'insert into effects select ''{sys_instance_id}'', 2 from pg_sleep(0.5)'
        ~> 'insert into effects values (''{sys_instance_id}'', 3)')"));
  }
  wait_until("all are in their second step",
             [&] { return alice.number("select count(*) from effects") == 10; });
  first->kill9();
  DaemonProcess second(behind(pooler));
  second.wait_until_ready();
  for (const std::string& id : ids) {
    INFO(second.log());
    completes(alice, id);
  }
  CHECK(alice.text("select count(*) || ' ' || count(distinct (instance, step)) from effects") == "30 30");
  CHECK(alice.number("select count(*) from df.workers") == 1);
}

TEST_CASE("behind a pooler, a daemon with session locks lets one without them live") {
  World world;
  const PgBouncer pooler(world, 8);
  DaemonProcess without(behind(pooler, {{"worker.name", "without"}, {"worker.lease_ttl", "15s"}}));
  without.wait_until_ready();
  Sql alice = world.session();
  const std::string first_id = alice.text("select id from df.workers");
  DaemonProcess& with = world.start_daemon({{"worker.name", "with"}});
  // The second looks for dead ones every second: until it had two occasions.
  const std::string looked =
      "select count(*) from df.workers where name = 'with' and last_seen_at > started_at + '3s'";
  wait_until("it has looked", [&] { return alice.number(looked) == 1; });
  CHECK(alice.text("select string_agg(name, ' ' order by name) from df.workers") == "with without");
  CHECK(alice.text("select id from df.workers where name = 'without'") == first_id);
  CHECK(with.log().find("took over") == std::string::npos);
}

TEST_CASE("behind a pooler, a step finds and leaves a clean session", "[smoke][L6.4]") {
  World world;
  world.add_role("bob");
  Sql postgres(world.database().conninfo("postgres"));
  postgres.exec("grant bob to alice");
  const PgBouncer pooler(world, 1);  // the next step has the same session with the server
  DaemonProcess daemon(behind(pooler));
  daemon.wait_until_ready();
  Sql alice = world.session();
  alice.exec(R"(create function litter(spoil boolean) returns text language plpgsql as $$
      begin
        create temp table left_over (x int);
        execute 'prepare left_statement as select 1';
        perform set_config('work_mem', '77MB', false), pg_advisory_lock(4711);
        perform set_config('role', 'bob', false);
        listen left_channel;
        if spoil then raise exception 'spoilt'; end if;
        perform set_config('role', 'alice', false);
        return pg_backend_pid();
      end $$)");
  const std::string clean = std::string("'") + [] {
    std::string quoted;
    for (const char* c = kLeftovers; *c != '\0'; ++c)
      quoted += *c == '\'' ? std::string("''") : std::string(1, *c);
    return quoted;
  }() + " as state, pg_backend_pid()::text as pid'";
  SECTION("when it commits") {
    const std::string result =
        run_workflow(alice, "'select litter(false) as pid' |=> 'l' ~> " + clean +
                                " |=> 'c' ~> 'select $c.state as state, $c.pid = $l.pid as same'");
    CHECK_THAT(result, ContainsSubstring("alice 4MB"));
    CHECK_THAT(result, ContainsSubstring(" 0 0 0 0 UTF8\",\"same\":true"));
  }
  SECTION("when it fails") {
    CHECK_THAT(run_failing(alice, "'select litter(true)'"), ContainsSubstring("spoilt"));
    CHECK_THAT(run_workflow(alice, clean), ContainsSubstring(" 0 0 0 0 UTF8"));
  }
  postgres.exec("revoke bob from alice");
  // A client of the same pool, too; nothing of an instance is left for it.
  Sql client(pooler.conninfo("alice"));
  CHECK(client.text(kLeftovers) == "alice 4MB  0 0 0 0 UTF8");
}

TEST_CASE("behind a pooler, results have the same form whatever the role's settings are") {
  World world;
  Sql postgres(world.database().conninfo("postgres"));
  postgres.exec("alter role alice set datestyle = 'German'");
  postgres.exec("alter role alice set intervalstyle = 'sql_standard'");
  postgres.exec("alter role alice set bytea_output = 'escape'");
  const PgBouncer pooler(world, 4);
  DaemonProcess daemon(behind(pooler));
  daemon.wait_until_ready();
  Sql alice = world.session();
  const std::string result = run_workflow(
      alice,
      R"('select date ''2026-02-01'' as d, interval ''1 day 2 hours'' as i, ''ä''::bytea as b, ''ä€'' as t')");
  postgres.exec("alter role alice reset all");
  CHECK_THAT(result, ContainsSubstring(R"({"d":"2026-02-01","i":"1 day 02:00:00","b":"\\xc3a4","t":"ä€"})"));
}

TEST_CASE("behind a pooler, a statement that cannot run in a transaction block runs alone", "[L6.3]") {
  World world;
  const PgBouncer pooler(world, 2);
  Sql alice = world.session();
  alice.exec("create table t (x int)");
  alice.exec(R"(create procedure twice() language plpgsql as $$ begin
      insert into t values (1); commit; insert into t values (2);
      perform set_config('work_mem', '77MB', false), pg_advisory_lock(4711); end $$)");
  SECTION("as the role that logs in") {
    DaemonProcess daemon(behind(pooler));
    daemon.wait_until_ready();
    // Looked at from time to time, because a call that waits for the end would hold up the index.
    const std::string id =
        submit(alice, "'vacuum t' ~> 'call twice()' ~> 'create index concurrently on t (x)'");
    await_status(alice, id, "completed");
    CHECK(alice.text("select string_agg(x::text, ' ' order by x) from t") == "1 2");
    CHECK(Sql(pooler.conninfo("alice")).text(kLeftovers) == "alice 4MB  0 0 0 0 UTF8");
  }
  SECTION("and not where roles share a login, which it would have to take first") {
    Sql(world.database().conninfo("postgres")).exec("grant alice to durabled_owner");
    DaemonProcess daemon(behind(pooler, {{"identity.mode", "set_role"}}));
    daemon.wait_until_ready();
    CHECK_THAT(run_workflow(alice, "'select current_user as who'"), ContainsSubstring("alice"));
    CHECK_THAT(run_failing(alice, "'call twice()'"), ContainsSubstring("behind a pooler"));
    CHECK(alice.number("select count(*) from t") == 0);
    Sql(world.database().conninfo("postgres")).exec("revoke alice from durabled_owner");
  }
}

TEST_CASE("doctor says what a pooler in transaction mode takes away, and which keys must be false",
          "[S4.8]") {
  World world;
  const PgBouncer pooler(world, 8);
  const TemporaryDirectory directory("durabled-doctor");
  const auto doctor = [&](const std::string& database, const std::string& booleans) {
    const auto output = directory.path() / "out";
    write_file(output, "");
    write_file(directory.path() / "config", "database: \"" + database + "\"\nworker: {listen: " + booleans +
                                                ", advisory_lock: " + booleans +
                                                "}\nsteps: {prepared_statements: " + booleans + "}\n");
    ChildProcess process(
        {.argv = {kBinary, "doctor", "--config", (directory.path() / "config").string()}, .output = output});
    process.wait();
    return read_file(output);
  };
  const std::string enabled = doctor(pooler.conninfo("durabled_owner"), "true");
  for (const char* key : {"worker.listen", "worker.advisory_lock", "steps.prepared_statements"}) {
    CHECK_THAT(enabled, ContainsSubstring(std::string("Set ") + key + " to false"));
  }
  const std::string disabled = doctor(pooler.conninfo("durabled_owner"), "false");
  CHECK_THAT(disabled,
             ContainsSubstring("pooler in transaction mode") && ContainsSubstring("worker.poll_interval") &&
                 ContainsSubstring("worker.lease_ttl") && ContainsSubstring("no prepared statements"));
  CHECK(disabled.find("to false") == std::string::npos);
  CHECK_THAT(doctor(world.database().conninfo(), "true"),
             ContainsSubstring("connections keep their sessions"));
}
