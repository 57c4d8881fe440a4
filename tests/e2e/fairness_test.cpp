// One role's work does not hold up another's.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// A port that takes connections and never says a word.
class SilentPort {
 public:
  SilentPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(socket_, 64) == 0);
    REQUIRE(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number_ = ntohs(address.sin_port);
  }
  ~SilentPort() { close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  int number() const { return number_; }

 private:
  int socket_;
  int number_ = 0;
};

long running_sleeps(const World& world) {
  return Sql(world.database().conninfo("postgres"))
      .number(
          "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)%'"
          " and application_name = 'durabled step' and datname = current_database()");
}

}  // namespace

TEST_CASE("a role with more work than connections holds up nobody else's", "[S3.9]") {
  World world;
  world.add_role("bob");
  Sql alice = world.session(), bob = world.session("bob");
  const Settings settings = GENERATE(
      as<Settings>(),
      Settings{{"steps.connections", "4"}, {"steps.connections_per_role", "3"}, {"worker.claim_batch", "10"}},
      Settings{
          {"steps.connections", "4"}, {"steps.connections_per_role", "3"}, {"worker.max_instances", "40"}});
  world.start_daemon(settings);
  bob.exec("insert into df.submit (dsl, priority) select $1, 100 from generate_series(1, 100)",
           "'select pg_sleep(600)'");
  wait_until("all of bob's connections are taken", [&] { return running_sleeps(world) == 3; });
  for (int i = 0; i < 3; ++i)
    completes(alice, submit(alice, "'select 1' ~> 'select 2'"), std::chrono::seconds{5});
  // What it has too much of is taken up as the rest ends.
  bob.exec(
      "select df.cancel(id) from df.instances where id in (select id from df.instances order by id limit "
      "95)");
  wait_until("the cancelled have ended", [&] {
    return bob.number("select count(*) from df.instances where status = 'cancelled'") == 95;
  });
  wait_until("bob's next are taken up", [&] { return running_sleeps(world) == 3; });
}

TEST_CASE("all databases count for a role's connections", "[S3.9]") {
  World world;
  world.add_role("bob");
  Sql alice = world.session(), bob = world.session("bob");
  world.start_daemon({{"steps.connections", "4"}, {"steps.connections_per_role", "3"}});
  for (int i = 0; i < 5; ++i) {
    submit(bob, "'select pg_sleep(600)'");
    bob.exec("insert into df.submit (dsl, database) values ($1, 'postgres')", "'select pg_sleep(600)'");
  }
  wait_until("bob has all that a role may have", [&] {
    return Sql(world.database().conninfo("postgres"))
               .number(
                   "select count(*) from pg_stat_activity where state = 'active' and usename = 'bob' and"
                   " query like '%pg_sleep(600)%' and application_name = 'durabled step'") == 3;
  });
  completes(alice, submit(alice, "'select 1'"), std::chrono::seconds{5});
}

TEST_CASE("a login that hangs holds up neither other logins nor a cancel", "[S3.9]") {
  World world;
  world.add_role("bob");
  world.add_role("carol");
  Sql alice = world.session(), bob = world.session("bob"), carol = world.session("carol");
  const SilentPort port;
  world.start_daemon(
      {{"identity.roles", "{bob: 'host=127.0.0.1 port=" + std::to_string(port.number()) + "'}"}});
  const std::string id = submit(alice, "'select pg_sleep(600)'");
  wait_until("alice's step runs", [&] { return running_sleeps(world) == 1; });
  for (int i = 0; i < 12; ++i) submit(bob, "'select 1'");
  wait_until("bob's are held", [&] {
    return bob.number("select count(*) from df.instances where worker_id is not null") == 12;
  });
  completes(carol, submit(carol, "'select 1'"), std::chrono::seconds{4});
  alice.exec("select df.cancel($1)", id);
  wait_until(
      "it is stopped on the server", [&] { return running_sleeps(world) == 0; }, std::chrono::seconds{4});
}

TEST_CASE("however many roles' steps last, a role that has no connection gets one", "[S3.9]") {
  World world;
  const int hostile = 7;
  std::vector<Sql> others;
  for (int i = 0; i < hostile; ++i) {
    world.add_role("mallory" + std::to_string(i));
    others.push_back(world.session("mallory" + std::to_string(i)));
  }
  Sql alice = world.session();
  Sql gate = world.session("postgres");
  gate.exec("create table public.gate ()");
  gate.exec("grant select on public.gate to public");
  world.start_daemon({{"steps.connections", "6"},
                      {"steps.connections_per_role", "4"},
                      {"steps.connections_reserve", "6"},
                      {"worker.max_instances", "60"}});
  gate.exec("begin");
  gate.exec("lock table public.gate");
  for (Sql& other : others)
    other.exec("insert into df.submit (dsl, priority) select $1, 32767 from generate_series(1, 30)",
               "'select count(*) from public.gate'");
  const auto blocked = [&](const std::string& role) {
    return gate.number(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename like $1 and"
        " datname = current_database()",
        role);
  };
  wait_until("each of them has a connection", [&] {
    gate.exec("select pg_stat_clear_snapshot()");
    for (int i = 0; i < hostile; ++i) {
      if (blocked("mallory" + std::to_string(i)) == 0) return false;
    }
    return true;
  });
  // Whole workflows, one after the other and side by side, while nothing of the others has ended.
  for (int i = 0; i < 3; ++i)
    completes(alice, submit(alice, "'select 1' ~> df.join('select 2', 'select 3')"));
  CHECK(world.owner().number("select count(*) from df.instances where completed_at is not null"
                             " and submitted_by <> 'alice'::regrole") == 0);
  gate.exec("commit");
  for (Sql& other : others)
    wait_until("the others' work ends", [&] {
      return other.number("select count(*) from df.instances where status = 'completed'") == 30;
    });
}

TEST_CASE("roles may have any name that PostgreSQL takes", "[S3.9]") {
  World world;
  const std::string name = GENERATE("we{ird", "x,alice", "DOM\\joe", "a\"b", "null");
  Sql owner(world.database().conninfo("postgres"));
  const std::string quoted = owner.text("select quote_ident($1)", name);
  if (owner.number("select count(*) from pg_roles where rolname = $1", name) == 0)
    owner.exec("create role " + quoted + " login");
  owner.exec("select df.grant_usage($1)", name);
  std::string escaped;
  for (const char c : name) escaped += c == '\\' ? "\\\\" : std::string(1, c);
  Sql other(world.database().conninfo() + " user='" + escaped + "'");
  Sql alice = world.session();
  world.start_daemon(
      {{"steps.connections", "4"}, {"steps.connections_per_role", "3"}, {"worker.claim_batch", "10"}});
  other.exec("insert into df.submit (dsl) select $1 from generate_series(1, 60)", "'select pg_sleep(600)'");
  wait_until("all of its connections are taken", [&] { return running_sleeps(world) == 3; });
  for (int i = 0; i < 3; ++i) completes(alice, submit(alice, "'select 1'"));
  CHECK(other.number("select count(*) from df.instances where worker_id is not null") < 40);
  CHECK(other.number("select count(*) from df.workers") == 1);
  other.exec("select df.cancel(id) from df.instances");
}

TEST_CASE("a role of another's old name gets none of its sessions", "[S3.9]") {
  World world;
  world.add_role("gus");
  Sql owner(world.database().conninfo("postgres"));
  world.start_daemon();
  Sql gus = world.session("gus");
  owner.exec("create table public.log (who oid)");
  owner.exec("grant all on public.log to public");
  owner.exec(
      "create procedure public.note() language plpgsql as $$ begin commit; insert into public.log select oid"
      " from pg_roles where rolname = session_user; end $$");
  completes(gus, submit(gus, "'call public.note()'"));
  owner.exec("alter role gus rename to gus_old");
  owner.exec("create role gus login");
  owner.exec("select df.grant_usage('gus')");
  Sql heir = world.session("gus");
  completes(heir, submit(heir, "'call public.note()'"));
  CHECK(owner.text("select string_agg(who::regrole::text, ' ' order by ctid) from public.log") ==
        "gus_old gus");
  owner.exec("alter role gus rename to gus_heir_" +
             owner.text("select oid from pg_roles where rolname = 'gus'"));
  owner.exec("alter role gus_old rename to gus");
}

TEST_CASE("a step that runs longer than steps.timeout fails, and says so") {
  World world;
  world.start_daemon({{"steps.timeout", "200ms"}});
  Sql alice = world.session();
  CHECK_THAT(run_failing(alice, "'select pg_sleep(600)'"), ContainsSubstring("steps.timeout"));
  CHECK_THAT(run_failing(alice, "'select set_config(''statement_timeout'', ''0'', true), pg_sleep(600)'"),
             ContainsSubstring("57014"));
}

TEST_CASE("a deadline that passed while no daemon was there comes before a signal that was sent later") {
  World world;
  DaemonProcess& daemon = world.start_daemon();
  Sql alice = world.session();
  const std::string wait =
      submit(alice, "df.wait_for_signal('late', 2) |=> 's' ~> 'select $s.timed_out as late'");
  const std::string race = submit(alice,
                                  "df.race(df.wait_for_signal('late') ~> 'select 1 as signal',"
                                  " df.sleep(2) ~> 'select 1 as sleep')");
  const std::string early =
      submit(alice, "df.wait_for_signal('late', 600) |=> 's' ~> 'select $s.timed_out as late'");
  for (const std::string& id : {wait, race, early}) await_put_down(alice, id);
  daemon.kill9();
  wait_until("the deadlines have passed", [&] {
    return alice.number("select count(*) from df.instances where wake_at < clock_timestamp()") == 2;
  });
  // Long data is fetched on its own.
  alice.exec("select df.signal(id, 'late', to_jsonb(repeat('x', 5000))) from df.instances");
  world.start_daemon();
  CHECK_THAT(completes(alice, wait), ContainsSubstring("true"));
  CHECK_THAT(completes(alice, race), ContainsSubstring("sleep"));
  CHECK_THAT(completes(alice, early), ContainsSubstring("false"));
}

TEST_CASE("a signal that is there is taken by a wait that waits for nothing") {
  World world;
  Sql alice = world.session();
  const std::string length = GENERATE("1", "5000");
  const std::string id =
      submit(alice, "df.sleep(0.5) ~> df.wait_for_signal('now', 0) |=> 's' ~> 'select $s.timed_out as late'");
  alice.exec("select df.signal($1, 'now', to_jsonb(repeat('x', $2::int)))", id, length);
  world.start_daemon();
  CHECK_THAT(completes(alice, id), ContainsSubstring("false"));
}
