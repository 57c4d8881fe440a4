// What only PostgreSQL's store does: several turns at once, locks, rights, logins, and instances that cannot be read.
#include "store/worker_store.hpp"
#include "store/store_error.hpp"
#include "tests/store/contract_store.hpp"
#include "tests/store/held_instance.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

store::Turn started(const std::string& id, std::int64_t token) {
  return {id,
          R"({"instance":")" + id + R"(","token":)" + std::to_string(token) +
              R"(,"at":"2026-01-01T00:00:00Z","events":[{"seq":1,"kind":"InstanceStarted","data":{}}]})",
          token};
}

store::StoreError error_of(const std::function<void()>& function) {
  try {
    function();
  } catch (const store::StoreError& error) {
    return error;
  }
  throw std::runtime_error("there was no StoreError");
}

store::Keeper::Options options() {
  return {.name = "test", .host = "here", .version = "1"};
}

}  // namespace

TEST_CASE("a store knows who it is and where") {
  const TestDatabase database = fresh_database();
  const store::WorkerStore store(database.conninfo());
  CHECK(store.own_role() == "durabled_owner");
  CHECK(store.database() == database.name());
}

TEST_CASE("of several turns each is written or reported by itself") {
  HeldInstance held;
  for (int i = 0; i < 2; ++i) held.alice().exec("insert into df.submit (dsl) values ('x')");
  const auto others = held.store().poll(held.worker(), up_to(2)).claimed;
  REQUIRE(others.size() == 2);
  Sql locker(held.conninfo());
  locker.exec("begin; select from df.instances where id = '" + others[1].id + "' for update");
  std::map<std::string, std::int64_t> tokens = {
      {held.id(), held.token()}, {others[0].id, others[0].token + 1}, {others[1].id, others[1].token}};
  std::vector<store::Turn> turns;
  for (const auto& [id, token] : tokens) turns.push_back(started(id, token));
  std::map<std::string, store::TurnProblem::Kind> problems;
  for (const store::TurnProblem& problem : held.store().commit(held.worker(), turns))
    problems[problem.instance_id] = problem.kind;
  CHECK(problems ==
        std::map<std::string, store::TurnProblem::Kind>{{others[0].id, store::TurnProblem::Kind::kLost},
                                                        {others[1].id, store::TurnProblem::Kind::kBusy}});
  locker.exec("rollback");
  CHECK(held.owner().number("select count(*) from df.events") == 1);
  CHECK(held.events() == 1);
}

TEST_CASE("turns of which one is refused are all not written, and the error does not show what they hold") {
  HeldInstance held;
  REQUIRE(held.store().commit(held.worker(), {started(held.id(), held.token())}).empty());
  store::Turn turn = started(held.id(), held.token());
  turn.json.replace(turn.json.find("\"data\":{}"), 9, R"("data":{"secret":"4711"})");
  const store::StoreError error =
      error_of([&] { held.store().commit(held.worker(), {turn}); });  // the seq is there already
  CHECK(error.kind() == store::StoreError::Kind::kPermanent);
  CHECK(error.sqlstate() == "23505");
  CHECK_THAT(error.what(), !ContainsSubstring("4711"));
  CHECK(held.events() == 1);
  turn.json = "{\"secret\":\"4711\"";
  CHECK_THAT(error_of([&] { held.store().commit(held.worker(), {turn}); }).what(),
             !ContainsSubstring("4711"));
  CHECK(held.store().commit(held.worker(), {}).empty());  // the session goes on
}

TEST_CASE("a turn that is another instance's is refused") {
  HeldInstance held;
  store::Turn turn = started("another1", held.token());
  turn.instance_id = held.id();
  CHECK(error_of([&] { held.store().commit(held.worker(), {turn}); }).sqlstate() == "DF005");
  CHECK(held.events() == 0);
}

TEST_CASE("a reclaim of an instance that a client has locked fails at once, and may be tried again") {
  HeldInstance held;
  held.owner().exec("begin; select from df.instances where id = '" + held.id() + "' for update");
  const store::StoreError error = error_of([&] { held.store().reclaim(held.worker(), {held.id()}); });
  CHECK(error.kind() == store::StoreError::Kind::kTransient);
  CHECK(error.sqlstate() == "55P03");
  held.owner().exec("rollback");
  const auto reclaimed = held.store().reclaim(held.worker(), {held.id(), "nothing1"});
  REQUIRE(reclaimed.size() == 1);
  CHECK(reclaimed[0].token > held.token());
}

TEST_CASE("a history that cannot be read says which event it is") {
  HeldInstance held;
  held.owner().exec("insert into df.events (instance_id, seq, at, kind) values ($1, 1, now(), 'Unheard')",
                    held.id());
  const auto reclaimed = held.store().reclaim(held.worker(), {held.id()});
  REQUIRE(reclaimed.size() == 1);
  CHECK_THAT(reclaimed[0].corrupt, ContainsSubstring("event 1") && ContainsSubstring("\"Unheard\""));
}

TEST_CASE("an instance of a role that was dropped has no role") {
  const TestDatabase database = fresh_database();
  Sql postgres(database.conninfo("postgres"));
  postgres.exec("drop role if exists dropped; create role dropped login; select df.grant_usage('dropped')");
  Sql(database.conninfo("dropped")).exec("insert into df.submit (dsl) values ('x')");
  postgres.exec("drop owned by dropped; drop role dropped");
  store::WorkerStore store(database.conninfo());
  const store::Keeper keeper(database.conninfo(), options());
  const store::PollResult result = store.poll(keeper.id().number, up_to(1));
  REQUIRE(result.claimed.size() == 1);
  CHECK_FALSE(result.claimed[0].role);
}

TEST_CASE("the right to HTTP is that of the role, at the claim and when it is asked for") {
  HeldInstance held;
  const std::set<std::string> asked = {"alice", "durabled_owner", "x\"y,{}\\"};
  CHECK(held.store().may_http(asked) == std::set<std::string>{"durabled_owner"});
  held.owner().exec("select df.grant_usage('alice', true)");
  CHECK(held.store().may_http(asked) == std::set<std::string>{"alice", "durabled_owner"});
  const auto reclaimed = held.store().reclaim(held.worker(), {held.id()});
  REQUIRE(reclaimed.size() == 1);
  CHECK(reclaimed[0].may_http);
}

TEST_CASE("a failed login is shown until it works, unless it never will") {
  HeldInstance held;
  store::LoginProblem problem{"alice", "alice", held.database().name(), "28P01", "a secret?", seconds(5)};
  CHECK_FALSE(held.store().login_failed(held.worker(), problem));
  problem.message = "another";
  CHECK_FALSE(held.store().login_failed(held.worker(), problem));
  CHECK(held.owner().exec("select login, sqlstate, message from df._login_problems") ==
        Rows{{"alice", "28P01", "another"}});
  held.store().login_works(held.worker(), "alice", held.database().name());
  CHECK(held.owner().exec("select from df._login_problems").empty());
  problem.login = "nobody_of_that_name";
  CHECK_THAT(held.store().login_failed(held.worker(), problem).value_or(""),
             ContainsSubstring("does not exist"));
  problem.login = "alice";
  problem.database = "no such database";
  CHECK_THAT(held.store().login_failed(held.worker(), problem).value_or(""),
             ContainsSubstring("does not exist"));
  CHECK(held.owner().exec("select from df._login_problems").empty());
}

TEST_CASE("a claim says how long the instance was due, and an end when it was") {
  HeldInstance held;
  held.alice().exec("insert into df.submit (dsl) values ('x')");
  held.owner().exec("update df.instances set wake_at = now() - interval '1 hour' where worker_id is null");
  const auto claimed = held.store().poll(held.worker(), up_to(1)).claimed;
  REQUIRE(claimed.size() == 1);
  REQUIRE(claimed[0].waited);
  CHECK(*claimed[0].waited >= std::chrono::hours(1));
  CHECK(*claimed[0].waited < std::chrono::hours(2));
  const auto again = held.store().reclaim(held.worker(), {claimed[0].id});
  REQUIRE(again.size() == 1);
  CHECK_FALSE(again[0].waited);
  held.alice().exec("select df.cancel($1)", claimed[0].id);
  const auto ended = held.store().poll(held.worker(), up_to(0)).ended;
  REQUIRE(ended.size() == 1);
  CHECK(std::to_string(ended[0].at.time_since_epoch().count()) ==
        held.owner().text("select (extract(epoch from completed_at) * 1000000)::bigint from df.instances "
                          "where id = $1",
                          claimed[0].id));
}

TEST_CASE("a signal that is not there is an error") {
  HeldInstance held;
  CHECK(error_of([&] { held.store().signal_data(held.id(), 1); }).kind() ==
        store::StoreError::Kind::kPermanent);
}

TEST_CASE("a keeper's lock tells whether its daemon lives, however long it is silent") {
  HeldInstance held;
  auto keeper = std::make_unique<store::Keeper>(held.conninfo(), options());
  const int other = keeper->id().number;
  held.alice().exec("insert into df.submit (dsl) values ('x')");
  REQUIRE(held.store().poll(other, up_to(1)).claimed.size() == 1);
  const auto release = [&] { return held.store().release_dead(held.worker(), seconds(3600), true); };
  CHECK(release().instances == 0);
  CHECK(release().others == 1);
  keeper.reset();
  wait_until("the lock is free", [&] { return release().others == 0; });
  CHECK(held.store().poll(held.worker(), up_to(1)).claimed.size() == 1);
}

TEST_CASE("keepers have numbers of their own, and one installation") {
  const TestDatabase database = fresh_database();
  const store::Keeper one(database.conninfo(), options()), other(database.conninfo(), options());
  CHECK(one.id().number != other.id().number);
  CHECK(one.id().installation == other.id().installation);
}

TEST_CASE("a heartbeat returns the database's time until the worker is forgotten") {
  const TestDatabase database = fresh_database();
  store::Keeper keeper(database.conninfo(), options());
  Sql owner(database.conninfo());
  const auto now = [&] {
    return dsl::Time(std::chrono::microseconds(
        owner.number("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")));
  };
  const dsl::Time before = now();
  const auto beat = keeper.heartbeat();
  REQUIRE(beat);
  CHECK(*beat >= before);
  CHECK(*beat <= now());
  owner.exec("delete from df.workers");
  CHECK_FALSE(keeper.heartbeat());
}

TEST_CASE("a keeper that listens hears of what is submitted once it waits for work") {
  HeldInstance held;
  store::Keeper keeper(held.conninfo(), options());
  held.store().poll(keeper.id().number, up_to(10));  // it could take more: its wish to be notified
  held.alice().exec("insert into df.submit (dsl) values ('x')");
  CHECK(wait_until("it rings", [&] { return keeper.wait(milliseconds(100)); }));
  store::Keeper deaf(held.conninfo(), {.name = "test", .host = "here", .version = "1", .listen = false});
  held.store().poll(deaf.id().number, up_to(10));
  held.alice().exec("insert into df.submit (dsl) values ('x')");
  CHECK_FALSE(deaf.wait(milliseconds(20)));
}

TEST_CASE("a keeper names who waits for a lock that holds up everybody") {
  HeldInstance held;
  store::Keeper keeper(held.conninfo(), options());
  CHECK(keeper.lock_waiters().empty());
  held.alice().exec("begin; select from df.instances");
  Sql waiter(held.conninfo());
  REQUIRE(PQsendQuery(waiter.raw(), "begin; lock table df.instances in access exclusive mode") == 1);
  wait_until("it waits", [&] { return !keeper.lock_waiters().empty(); });
  CHECK_THAT(keeper.lock_waiters(),
             ContainsSubstring("durabled_owner waits for AccessExclusiveLock on df.instances"));
  held.alice().exec("rollback");
}

TEST_CASE("a store whose server has gone fails as transient") {
  HeldInstance held;
  Sql postgres(held.conninfo("postgres"));
  postgres.exec(
      "select pg_terminate_backend(pid) from pg_stat_activity"
      " where datname = current_database() and pid <> pg_backend_pid()");
  const store::StoreError error = error_of([&] { held.store().held(held.worker()); });
  CHECK(error.kind() == store::StoreError::Kind::kTransient);
}
