// Steps that nobody can log in for wait: a fault of the infrastructure is never a workflow's failure.
#include <signal.h>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// A server of its own, on which a role can be shut out and let in again.
class LoginWorld {
 public:
  void shut_out() { postgres.exec("alter role locked connection limit 0"); }
  void let_in() { postgres.exec("alter role locked connection limit -1"); }
  long long waits(Sql& who) { return who.number("select count(*) from df.waiting() where kind = 'login'"); }
  void await_wait(const std::string& id) {
    wait_until("it waits for a login", [&] {
      return locked.number("select count(*) from df.waiting($1) where kind = 'login'", id) == 1;
    });
  }

  // Opened before anybody is shut out.
  Sql first_session() {
    world.add_role("locked");
    return world.session("locked");
  }

  PostgresServer server;
  World world{server};
  Sql postgres{world.database().conninfo("postgres")};
  Sql locked = first_session(), alice = world.session();
};

}  // namespace

TEST_CASE("steps wait while nobody can log in for them, visibly, and go on by themselves", "[L6.9][S2.14]") {
  LoginWorld login;
  World& world = login.world;
  login.shut_out();
  DaemonProcess& daemon =
      world.start_daemon({{"steps.connections", "1"}, {"steps.max_connect_pause", "500ms"}});
  std::vector<std::string> theirs, ours;
  for (int i = 0; i < 5; ++i) {
    theirs.push_back(submit(login.locked, "'select 1' ~> 'select 2 as x'"));
    ours.push_back(submit(login.alice, "'select 1'"));
  }
  for (const std::string& id : ours) completes(login.alice, id);  // others are not held up
  for (const std::string& id : theirs) login.await_wait(id);
  CHECK(login.locked.text("select name from df.waiting($1)", theirs[0]) == "cannot log in as locked (53300)");
  CHECK(login.locked.text("select since < until from df.waiting($1)", theirs[0]) == "t");
  CHECK(login.waits(login.alice) == 0);  // it is nobody else's business
  CHECK(login.alice.number("select count(*) from df._login_problems") == 0);
  CHECK(world.owner().number("select count(*) from df._login_problems") ==
        1);  // one row, not one an instance
  CHECK_THAT(daemon.log(), ContainsSubstring("steps wait: cannot log in as locked to "));
  const std::string first = login.locked.text("select until from df.waiting($1)", theirs[0]);
  wait_until("it is tried again and again",
             [&] { return login.locked.text("select until from df.waiting($1)", theirs[0]) != first; });
  login.let_in();
  for (const std::string& id : theirs) CHECK_THAT(completes(login.locked, id), ContainsSubstring("\"x\":2"));
  CHECK(login.locked.number("select count(*) from df.events where kind = 'StepFailed'") == 0);
  wait_until("nothing waits any more",
             [&] { return world.owner().number("select count(*) from df._login_problems") == 0; });
  CHECK_THAT(daemon.log(), ContainsSubstring("logging in as locked to "));
  CHECK_THAT(daemon.log(), ContainsSubstring(" works again, after "));
}

TEST_CASE("a cancel, a timeout and SIGTERM end the waiting for a login", "[L6.13][S4.2]") {
  LoginWorld login;
  login.shut_out();
  DaemonProcess& daemon = login.world.start_daemon();
  const std::string cancelled = submit(login.locked, "'select 1'");
  login.await_wait(cancelled);
  login.locked.exec("select df.cancel($1)", cancelled);
  CHECK(status_of(login.locked, cancelled) == "cancelled");
  CHECK_THAT(run_failing(login.locked, "df.timeout('select 1', 0.3)"), ContainsSubstring("timed out"));
  const std::string id = submit(login.locked, "'select 1'");
  login.await_wait(id);
  CHECK(daemon.sigterm_and_wait() == 0);
  CHECK_THAT(daemon.log(),
             !ContainsSubstring("they are given back"));  // it did not come to the end of the grace period
  CHECK(status_of(login.locked, id) == "running");
  login.let_in();
  login.world.start_daemon();
  completes(login.locked, id);
}

TEST_CASE("a role that may not log in any more fails its instances, and so does a database that is gone") {
  LoginWorld login;
  login.world.start_daemon();
  const std::string start_at = "df.sleep(0.5) ~> 'select 1'";
  const std::string id = submit(login.locked, start_at);
  login.postgres.exec("alter role locked nologin");
  CHECK_THAT(fails(login.locked, id), ContainsSubstring("role locked may not log in any more") &&
                                          ContainsSubstring("\"node\":\"00000002\""));
  login.postgres.exec("create database elsewhere owner alice");
  const std::string other = login.alice.text(
      "insert into df.submit (dsl, database) values ($1, 'elsewhere') returning id", start_at);
  await_put_down(login.alice, other);
  login.postgres.exec("drop database elsewhere");
  CHECK_THAT(fails(login.alice, other), ContainsSubstring("database elsewhere does not exist any more"));
}
