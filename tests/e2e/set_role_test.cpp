// identity.mode set_role: the steps of all roles over one login.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

const Settings kSetRole = {{"identity.mode", "set_role"}};

// alice and bob have nothing but df.grant_usage, and the daemon's login nothing but the membership in them.
class SharedLogin {
 public:
  SharedLogin() : postgres_(world.database().conninfo("postgres")) {
    world.add_role("bob");
    postgres_.exec("grant alice, bob to durabled_owner");
  }
  ~SharedLogin() {
    try {
      postgres_.exec("revoke alice, bob from durabled_owner");
    } catch (const SqlError&) {
      // Other tests then have a membership more, which they do not mind.
    }
  }

  World world;

 private:
  Sql postgres_;
};

// How a step may try to become the login itself.
constexpr const char* kLeave =
    "create function leave(target text) returns void language plpgsql as $$ begin"
    " perform set_config('role', target, false); end $$";

}  // namespace

TEST_CASE("with set_role the steps of several roles run over one login, each as who submitted it",
          "[smoke][L6.5]") {
  SharedLogin shared;
  World& world = shared.world;
  world.start_daemon({{"identity.mode", "set_role"}, {"steps.connections", "2"}});
  std::vector<std::pair<std::string, std::string>> started;
  for (int i = 0; i < 5; ++i) {
    for (const std::string role : {"alice", "bob"}) {
      Sql client = world.session(role);
      started.emplace_back(role, submit(client,
                                        "'select current_user as who, session_user as login' ~> "
                                        "'select current_user as who, session_user as login'"));
    }
  }
  for (const auto& [role, id] : started) {
    Sql client = world.session(role);
    CHECK_THAT(completes(client, id),
               ContainsSubstring("{\"who\":\"" + role + "\",\"login\":\"durabled_owner\"}"));
  }
}

TEST_CASE("with set_role a step may do what its role may, and no more") {
  SharedLogin shared;
  Sql alice = shared.world.session();
  Sql bob = shared.world.session("bob");
  bob.exec("create table bobs (x int)");
  alice.exec("create table effects (x int)");
  shared.world.start_daemon(kSetRole);
  CHECK_THAT(run_failing(alice, "'insert into bobs values (1)'"), ContainsSubstring("42501"));
  CHECK_THAT(run_failing(alice, "'select id from df._installation'"), ContainsSubstring("42501"));
  run_workflow(alice, "'insert into effects values (1)'");
  CHECK(alice.number("select count(*) from effects") == 1);
}

TEST_CASE("with set_role a step that leaves its role is refused, and what it did is undone",
          "[smoke][S3.7]") {
  SharedLogin shared;
  Sql alice = shared.world.session();
  alice.exec("create table effects (x int)");
  alice.exec("grant all on effects to public");
  alice.exec(kLeave);
  shared.world.start_daemon(kSetRole);
  const std::string step =
      GENERATE(as<std::string>(), "with left_it as (select leave(''none'')) select * from left_it",
               "select leave(''durabled_owner'')", "select leave(''bob'')", "reset role", "set role none",
               "set local role bob");
  INFO(step);
  // In a workflow of its own, where the end of the instance rides along, and before another step.
  for (const std::string rest : {"", " ~> 'insert into effects values (2)'"}) {
    const std::string error = run_failing(alice, "'" + step + "'" + rest);
    CHECK_THAT(error, ContainsSubstring("left the role") || ContainsSubstring("permission denied"));
  }
  CHECK_THAT(
      run_failing(alice,
                  "'with w as (insert into effects values (1) returning x) select leave(''none'') from w'"),
      ContainsSubstring("left the role"));
  CHECK(alice.number("select count(*) from effects") == 0);
  // The session is as good as before.
  CHECK_THAT(run_workflow(alice, "'select current_user as who'"), ContainsSubstring("alice"));
  Sql bob = shared.world.session("bob");
  CHECK_THAT(run_workflow(bob, "'select current_user as who'"), ContainsSubstring("bob"));
}

TEST_CASE(
    "with set_role a procedure that runs alone and leaves its role fails, and what it has not committed is "
    "undone",
    "[smoke]") {
  SharedLogin shared;
  Sql alice = shared.world.session();
  alice.exec("create table effects (x int)");
  alice.exec(R"(create procedure wander(target text) language plpgsql as $$ begin
      insert into effects values (1); commit;
      insert into effects values (2);
      perform set_config('role', target, false); end $$)");
  shared.world.start_daemon({{"identity.mode", "set_role"}, {"steps.connections", "1"}});
  CHECK_THAT(run_failing(alice, "'call wander(''none'')'"), ContainsSubstring("left the role"));
  CHECK(alice.text("select string_agg(x::text, ' ') from effects") == "1");
  // The same one stays alice all along.
  run_workflow(alice, "'call wander(''alice'')'");
  CHECK(alice.text("select string_agg(x::text, ' ') from effects") == "1 1 2");
  CHECK_THAT(run_workflow(alice, "'vacuum effects' ~> 'select current_user as who'"),
             ContainsSubstring("alice"));
  Sql bob = shared.world.session("bob");
  CHECK_THAT(run_workflow(bob, "'select current_user as who'"), ContainsSubstring("bob"));
}

TEST_CASE("with set_role a role that the login was not granted fails its steps, and says so") {
  World world;
  world.add_role("carol");
  world.start_daemon({{"identity.mode", "set_role"}, {"retry.max_attempts", "1"}});
  Sql carol = world.session("carol");
  CHECK_THAT(run_failing(carol, "'select 1'"), ContainsSubstring("carol"));
}

TEST_CASE("with set_role a step in another database is remembered for the role that it ran as", "[L6.6]") {
  SharedLogin shared;
  TestDatabase other = shared.world.server().fresh_database();
  Sql(other.conninfo()).exec("select df.grant_usage('alice')");
  shared.world.start_daemon(kSetRole);
  Sql alice = shared.world.session();
  const std::string id = alice.text("insert into df.submit (dsl, database) values ($1, $2) returning id",
                                    "'select current_user as who'", other.name());
  CHECK_THAT(completes(alice, id), ContainsSubstring("alice"));
  Sql there(other.conninfo());
  CHECK(there.text("select role from df._foreign_steps where instance_id like '%/' || $1", id) == "alice");
  there.exec("select df.prune('1 second')");  // what another database may still ask for stays
  CHECK(there.number("select count(*) from df._foreign_steps") > 0);
  there.exec("update df._foreign_steps set at = at - interval '8 days'");
  there.exec("select df.prune('1 second')");
  CHECK(there.number("select count(*) from df._foreign_steps") == 0);
}
