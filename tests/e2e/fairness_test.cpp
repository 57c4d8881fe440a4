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
