// Who gets which instance, on PostgreSQL and on the simulator's store.
#include <algorithm>
#include <set>

#include "tests/store/contract_store.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using std::chrono::seconds;
using Ids = std::vector<std::string>;

namespace {

// Makes the store; each test runs once on each.
std::unique_ptr<ContractStore> any_store() {
  const std::string which = GENERATE("PostgreSQL", "the simulator's");
  UNSCOPED_INFO("the store is " << which);
  return contract_store(which);
}

std::vector<std::string> submit_many(ContractStore& store, const std::string& role, int count) {
  Ids submitted;
  for (int i = 0; i < count; ++i) {
    submitted.push_back(store.submit({.role = role}));
    store.advance(seconds(1));
  }
  return submitted;
}

}  // namespace

TEST_CASE("contract: what is due is claimed once, with its text and a token") {
  const auto store = any_store();
  const int one = store->enter(), other = store->enter();
  const std::string id = store->submit({.dsl = "'select 1'"});
  CHECK(store->status(id) == "pending");
  const store::PollResult result = store->poll(one, up_to(10));
  REQUIRE(ids(result.claimed) == Ids{id});
  const store::ClaimedInstance& instance = result.claimed[0];
  CHECK(instance.token > 0);
  CHECK(instance.dsl == "'select 1'");
  CHECK(instance.dsl_bytes == instance.dsl.size());
  CHECK(instance.role_id == store->role_id("alice"));
  CHECK(instance.vars == "{}");
  CHECK(instance.history.empty());
  CHECK(instance.signals.empty());
  CHECK(instance.request.empty());
  CHECK(store->status(id) == "running");
  CHECK(store->held(one) == std::vector{std::pair(id, instance.token)});
  CHECK(store->poll(other, up_to(10)).claimed.empty());
  CHECK(store->poll(one, up_to(10)).claimed.empty());
}

TEST_CASE("contract: a poll that may claim nothing claims nothing") {
  const auto store = any_store();
  const int worker = store->enter();
  store->submit({});
  CHECK(store->poll(worker, up_to(0)).claimed.empty());
  CHECK(store->poll(worker, up_to(1)).claimed.size() == 1);
}

TEST_CASE("contract: of one role the highest priority goes first, and then what was due first") {
  const auto store = any_store();
  const int worker = store->enter();
  Ids expected(4);
  expected[2] = store->submit({});
  store->advance(seconds(1));
  expected[3] = store->submit({});
  expected[1] = store->submit({.priority = 1, .delay = seconds(2)});
  expected[0] = store->submit({.priority = 1, .delay = seconds(1)});
  store->advance(seconds(3));
  Ids claimed;
  for (int i = 0; i < 4; ++i) claimed.push_back(claim(*store, worker).id);
  CHECK(claimed == expected);
}

TEST_CASE("contract: roles take turns, beginning after the one that was served last") {
  const auto store = any_store();
  const int worker = store->enter();
  const store::RoleId alice = store->role_id("alice"), bob = store->role_id("bob");
  submit_many(*store, "alice", 4);
  submit_many(*store, "bob", 4);
  store::PollRequest request = up_to(1);
  request.after = alice;
  store::PollResult result = store->poll(worker, request);
  REQUIRE(result.claimed.size() == 1);
  CHECK(result.claimed[0].role_id == bob);
  CHECK(result.served == bob);
  request.after = bob;
  result = store->poll(worker, request);
  REQUIRE(result.claimed.size() == 1);
  CHECK(result.claimed[0].role_id == alice);
  CHECK(result.served == alice);
  request = up_to(4);
  int of_alice = 0;
  for (const store::ClaimedInstance& instance : store->poll(worker, request).claimed)
    of_alice += instance.role_id == alice ? 1 : 0;
  CHECK(of_alice == 2);
}

TEST_CASE("contract: of a busy role nothing is claimed, and of each role at most what was asked for") {
  const auto store = any_store();
  const int worker = store->enter();
  submit_many(*store, "alice", 3);
  submit_many(*store, "bob", 3);
  store::PollRequest request = up_to(10);
  request.each = 1;
  CHECK(store->poll(worker, request).claimed.size() == 2);
  request = up_to(10);
  request.busy = {store->role_id("alice")};
  const store::PollResult result = store->poll(worker, request);
  REQUIRE(result.claimed.size() == 2);
  for (const store::ClaimedInstance& instance : result.claimed)
    CHECK(instance.role_id == store->role_id("bob"));
}

TEST_CASE("contract: a poll says when its limit left something") {
  const auto store = any_store();
  const int worker = store->enter();
  submit_many(*store, "alice", 3);
  CHECK(store->poll(worker, up_to(2)).more);
  CHECK_FALSE(store->poll(worker, up_to(2)).more);
}

TEST_CASE("contract: a poll stops before it would read too many bytes, and takes one instance at least") {
  const auto store = any_store();
  const int worker = store->enter();
  const std::string text = '\'' + std::string(1000, 'x') + '\'';
  for (int i = 0; i < 4; ++i) {
    store->submit({.dsl = text});
    store->advance(seconds(1));
  }
  store::PollRequest request = up_to(10);
  request.bytes = 2500 * 16;  // a text counts 16 times
  store::PollResult result = store->poll(worker, request);
  CHECK(result.claimed.size() == 2);
  CHECK(result.more);
  request.bytes = 10;
  CHECK(store->poll(worker, request).claimed.size() == 1);
}

TEST_CASE("contract: a text that is too long is claimed without being read") {
  const auto store = any_store();
  const int worker = store->enter();
  store->submit({.dsl = "'" + std::string(100, 'x') + "'"});
  store::PollRequest request = up_to(1);
  request.longest_text = 100;
  const store::PollResult result = store->poll(worker, request);
  REQUIRE(result.claimed.size() == 1);
  CHECK(result.claimed[0].dsl.empty());
  CHECK(result.claimed[0].dsl_bytes == 102);
}

TEST_CASE("contract: what starts later waits, and a poll says when it is due") {
  const auto store = any_store();
  const int worker = store->enter();
  CHECK_FALSE(store->poll(worker, up_to(1)).next_wake);
  const std::string later = store->submit({.delay = seconds(60)});
  store->submit({.delay = seconds(90)});
  const dsl::Time due = store->now() + seconds(60);
  store::PollResult result = store->poll(worker, up_to(10));
  CHECK(result.claimed.empty());
  CHECK(result.next_wake == due);
  store->advance(seconds(60));
  result = store->poll(worker, up_to(10));
  CHECK(ids(result.claimed) == Ids{later});
  CHECK(result.next_wake == due + seconds(30));
}

TEST_CASE("contract: who has been given nothing holds nothing, and releasing it is no fault") {
  const auto store = any_store();
  const int worker = store->enter();
  CHECK(store->held(worker).empty());
  CHECK(store->give_back(worker, {{"nothing1", 1}}) == 0);
  store->release_all(worker);
  CHECK_FALSE(store->heartbeat(worker));
  store->submit({});
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
}

TEST_CASE("contract: what a worker releases is due at once, and the next holder has a higher token") {
  const auto store = any_store();
  const int one = store->enter(), other = store->enter();
  const std::string id = store->submit({});
  const store::ClaimedInstance first = claim(*store, one);
  REQUIRE_FALSE(store->commit(
      one, turn_of(*store, first, R"("events":[{"seq":1,"kind":"InstanceStarted","data":{}}])")));
  store->release_all(one);
  CHECK(store->status(id) == "running");
  const store::ClaimedInstance second = claim(*store, other);
  CHECK(second.id == id);
  CHECK(second.token > first.token);
  REQUIRE(second.history.size() == 1);
  CHECK(second.history[0].kind == dsl::EventKind::kInstanceStarted);
  CHECK(store->heartbeat(other));
}

TEST_CASE("contract: a worker that is silent for too long is dead, and its instances are free") {
  const auto store = any_store();
  const int quiet = store->enter(), lively = store->enter();
  const std::string id = store->submit({});
  claim(*store, quiet);
  store->advance(seconds(10));
  CHECK(store->release_dead(lively, seconds(20)) == 0);
  CHECK(store->heartbeat(quiet));
  store->advance(seconds(15));
  CHECK(store->heartbeat(lively));
  CHECK(store->release_dead(lively, seconds(20)) == 0);
  store->advance(seconds(10));
  CHECK(store->release_dead(lively, seconds(20)) == 1);
  CHECK_FALSE(store->heartbeat(quiet));
  CHECK(claim(*store, lively).id == id);
}

TEST_CASE("contract: a worker never takes itself for dead") {
  const auto store = any_store();
  const int worker = store->enter();
  store->submit({});
  claim(*store, worker);
  store->advance(seconds(1000));
  CHECK(store->release_dead(worker, seconds(20)) == 0);
  CHECK(store->held(worker).size() == 1);
}

TEST_CASE("contract: only what is held with that token is given back") {
  const auto store = any_store();
  const int one = store->enter(), other = store->enter();
  store->submit({});
  const store::ClaimedInstance instance = claim(*store, one);
  CHECK(store->give_back(one, {{instance.id, instance.token + 1}}) == 0);
  CHECK(store->give_back(other, {{instance.id, instance.token}}) == 0);
  CHECK(store->held(one).size() == 1);
  CHECK(store->give_back(one, {{instance.id, instance.token}}) == 1);
  CHECK(store->held(one).empty());
  CHECK(claim(*store, other).token > instance.token);
}

TEST_CASE("contract: a worker reclaims what it holds with a higher token, and nothing else") {
  const auto store = any_store();
  const int one = store->enter(), other = store->enter();
  const std::string id = store->submit({});
  const store::ClaimedInstance instance = claim(*store, one);
  REQUIRE_FALSE(store->commit(
      one, turn_of(*store, instance, R"("events":[{"seq":1,"kind":"InstanceStarted","data":{}}])")));
  CHECK_FALSE(store->reclaim(other, id));
  const auto again = store->reclaim(one, id);
  REQUIRE(again);
  CHECK(again->token > instance.token);
  CHECK(again->history.size() == 1);
  CHECK(again->dsl == "'x'");
  store->release_all(one);
  CHECK_FALSE(store->reclaim(one, id));
}

TEST_CASE("contract: only what ended long ago is deleted, no more at a time than the batch allows") {
  const auto store = any_store();
  const int worker = store->enter();
  const std::string running = store->submit({});
  claim(*store, worker);
  const Ids ended = submit_many(*store, "alice", 3);
  for (int i = 0; i < 3; ++i)
    REQUIRE_FALSE(store->commit(
        worker,
        turn_of(*store, claim(*store, worker),
                R"("events":[{"seq":1,"kind":"InstanceCompleted","data":{}}],"status":"completed")")));
  store->advance(seconds(100));
  const std::string fresh = store->submit({});
  store->request(fresh, "cancel");
  CHECK(store->prune(seconds(1000), 10) == 0);
  CHECK(store->prune(seconds(60), 2) == 2);
  CHECK(store->prune(seconds(60), 2) == 1);
  for (const std::string& id : ended) CHECK_FALSE(store->exists(id));
  CHECK(store->exists(running));
  CHECK(store->exists(fresh));
}
