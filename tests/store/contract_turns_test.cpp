// What a holder writes and clients ask for, on PostgreSQL and on the simulator's store.
#include "tests/store/contract_store.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using std::chrono::seconds;
using Lost = store::TurnProblem::Kind;
using Commit = store::CommitOutcome::Kind;

namespace {

constexpr const char* kStarted = R"("events":[{"seq":1,"kind":"InstanceStarted","data":{}}])";
constexpr const char* kCompleted =
    R"("events":[{"seq":1,"kind":"InstanceCompleted","data":{}}],"status":"completed","result_seq":1)";

// A store, a worker, and an instance that it holds.
struct Held {
  std::unique_ptr<ContractStore> store;
  int worker;
  store::ClaimedInstance instance;
};

Held held_instance(const Submission& submission = {}) {
  const std::string which = GENERATE("PostgreSQL", "the simulator's");
  UNSCOPED_INFO("the store is " << which);
  Held held{contract_store(which), 0, {}};
  held.worker = held.store->enter();
  held.store->submit(submission);
  held.instance = claim(*held.store, held.worker);
  return held;
}

std::string put_down_until(dsl::Time time, int inbox = 0) {
  return R"("status":"waiting","inbox":)" + std::to_string(inbox) + R"(,"wake_at":")" +
         dsl::format_time(time) + '"';
}

}  // namespace

TEST_CASE("contract: a turn's events are the history, and its status ends the instance") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, kStarted)));
  CHECK(store->status(instance.id) == "running");
  REQUIRE_FALSE(store->commit(
      worker,
      turn_of(
          *store, instance,
          R"("events":[{"seq":2,"kind":"StepFailed","node":"1","scope":"","attempt":1,"data":{"error":{}}},)"
          R"({"seq":3,"kind":"InstanceFailed","data":{"error":{}}}],"status":"failed","error":{"code":"x"})")));
  CHECK(store->history(instance.id) == "1 InstanceStarted, 2 StepFailed, 3 InstanceFailed");
  CHECK(store->status(instance.id) == "failed");
  CHECK(store->held(worker).empty());
  store->advance(seconds(10));
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  CHECK(store->poll(worker, up_to(1)).ended.empty());  // the daemon ended it itself
}

TEST_CASE("contract: a step's effect, its event and its turn are written together") {
  auto [store, worker, instance] = held_instance();
  CHECK(store->commit_step(worker, instance, step_completed(*store, 1),
                           R"({"events":[{"seq":2,"kind":"InstanceCompleted","data":{}}],)"
                           R"("status":"completed","result_seq":1})",
                           "e") == Commit::kCommitted);
  CHECK(store->effects("e") == 1);
  CHECK(store->history(instance.id) == "1 StepCompleted, 2 InstanceCompleted");
  CHECK(store->status(instance.id) == "completed");
}

TEST_CASE("contract: a step's event reaches the next holder as it was written") {
  auto [store, worker, instance] = held_instance();
  dsl::Event event = step_completed(*store, 1, 0x1f);
  event.address.scope = "2.0";
  event.attempt = 3;
  event.data = R"({"v":1})";
  REQUIRE(store->commit_step(worker, instance, event, "", "e") == Commit::kCommitted);
  const auto again = store->reclaim(worker, instance.id);
  REQUIRE(again);
  REQUIRE(again->history.size() == 1);
  const dsl::Event& read = again->history[0];
  CHECK(read.seq == 1);
  CHECK(read.at == event.at);
  CHECK(read.kind == dsl::EventKind::kStepCompleted);
  CHECK(read.address == event.address);
  CHECK(read.attempt == 3);
  CHECK(read.data == event.data);
}

TEST_CASE("contract: a stale token writes nothing, whatever made it stale") {
  auto [store, worker, instance] = held_instance();
  const std::string why = GENERATE("reclaimed", "given back", "released", "cancelled", "another's");
  INFO(why);
  const int other = store->enter();
  int writer = worker;
  if (why == "reclaimed") REQUIRE(store->reclaim(worker, instance.id));
  if (why == "given back") REQUIRE(store->give_back(worker, {{instance.id, instance.token}}) == 1);
  if (why == "released") {
    store->release_all(worker);
    writer = other;
  }
  if (why == "cancelled") store->request(instance.id, "cancel");
  if (why == "another's") {
    writer = other;
    instance.claim_key = "00000000-0000-0000-0000-000000000000";  // that of its own claim is all that it has
  }
  const std::string before = store->history(instance.id), status = store->status(instance.id);
  CHECK(store->commit(writer, turn_of(*store, instance, kCompleted)) == Lost::kLost);
  CHECK(store->commit_step(writer, instance, step_completed(*store, 5), "", "e") == Commit::kLeaseLost);
  CHECK(store->effects("e") == 0);
  CHECK(store->history(instance.id) == before);
  CHECK(store->status(instance.id) == status);
}

TEST_CASE("contract: a cancel ends at once, and its holder hears of it once") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, kStarted)));
  store->request(instance.id, "cancel");
  CHECK(store->status(instance.id) == "cancelled");
  CHECK(store->history(instance.id) == "1 InstanceStarted, 2 InstanceCancelled");
  const store::PollResult result = store->poll(worker, up_to(1));
  REQUIRE(result.ended.size() == 1);
  CHECK(result.ended[0].id == instance.id);
  CHECK(result.ended[0].status == "cancelled");
  CHECK(result.attention.empty());
  CHECK(store->poll(worker, up_to(1)).ended.empty());
  CHECK(store->held(worker).empty());
  CHECK_FALSE(store->reclaim(worker, instance.id));
}

TEST_CASE("contract: the cancel of an instance that no daemon holds is told to one daemon") {
  auto [store, worker, instance] = held_instance();
  const int other = store->enter();
  const std::string id = store->submit({});
  store->request(id, "cancel");
  CHECK(store->status(id) == "cancelled");
  CHECK(store->poll(other, up_to(1)).ended.size() == 1);
  CHECK(store->poll(worker, up_to(1)).ended.empty());
}

TEST_CASE("contract: what has ended is not asked for anything any more") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, kCompleted)));
  for (const char* what : {"cancel", "pause", "resume"}) {
    try {
      store->request(instance.id, what);
    } catch (const std::exception&) {  // PostgreSQL's says why
    }
    CHECK(store->status(instance.id) == "completed");
  }
  CHECK(store->history(instance.id) == "1 InstanceCompleted");
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
}

TEST_CASE("contract: a pause asks the holder, which puts the instance down until it is resumed") {
  auto [store, worker, instance] = held_instance();
  store->request(instance.id, "pause");
  CHECK(store->status(instance.id) == "running");
  const store::PollResult result = store->poll(worker, up_to(0));
  REQUIRE(result.attention.size() == 1);
  CHECK(result.attention[0].id == instance.id);
  CHECK(result.attention[0].token == instance.token);
  CHECK(result.attention[0].request == "pause");
  CHECK(store->poll(worker, up_to(0)).attention.empty());
  REQUIRE_FALSE(
      store->commit(worker, turn_of(*store, instance, R"("status":"paused","request":"pause","inbox":0)")));
  CHECK(store->status(instance.id) == "paused");
  store->advance(seconds(1000));
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  store->request(instance.id, "resume");
  CHECK(store->status(instance.id) == "running");
  const store::ClaimedInstance again = claim(*store, worker);
  CHECK(again.token > instance.token);
  CHECK(again.request == "resume");
}

TEST_CASE("contract: a pause before the start keeps the time of the start") {
  auto [store, worker, instance] = held_instance();
  const std::string later = store->submit({.delay = seconds(60)});
  store->request(later, "pause");
  CHECK(store->status(later) == "paused");
  const store::PollResult result = store->poll(worker, up_to(1));
  CHECK(result.claimed.empty());
  CHECK_FALSE(result.next_wake);
  store->request(later, "resume");
  CHECK(store->status(later) == "pending");
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  store->advance(seconds(60));
  CHECK(claim(*store, worker).id == later);
}

TEST_CASE("contract: what is paused is not claimed when its time comes") {
  auto [store, worker, instance] = held_instance();
  const std::string later = store->submit({.delay = seconds(60)});
  store->request(later, "pause");
  store->advance(seconds(120));
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  store->request(later, "resume");
  CHECK(claim(*store, worker).id == later);
}

TEST_CASE("contract: what is put down is claimed again when its time has come, and not before") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, put_down_until(store->now() + seconds(30)))));
  CHECK(store->status(instance.id) == "running");
  CHECK(store->held(worker).empty());
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  CHECK(store->poll(worker, up_to(1)).next_wake == store->now() + seconds(30));
  store->advance(seconds(30));
  CHECK(claim(*store, worker).token > instance.token);
}

TEST_CASE("contract: what is put down without a time waits for a signal or a request") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, R"("status":"waiting","inbox":0)")));
  store->advance(seconds(100'000));
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  store->signal(instance.id, "go", "{}");
  const store::ClaimedInstance again = claim(*store, worker);
  CHECK(again.id == instance.id);
  REQUIRE(again.signals.size() == 1);
  CHECK(again.signals[0].name == "go");
  CHECK(again.signals[0].sent_at == store->now());
}

TEST_CASE("contract: a signal or request that the holder did not know is not slept over") {
  auto [store, worker, instance] = held_instance();
  const std::string what = GENERATE("signal", "read signal", "request");
  INFO(what);
  if (what == "request") {
    store->request(instance.id, "pause");
  } else {
    store->signal(instance.id, "go", "{}");
  }
  if (what == "read signal") CHECK(store->poll(worker, up_to(0)).attention.size() == 1);
  REQUIRE_FALSE(
      store->commit(worker, turn_of(*store, instance, put_down_until(store->now() + seconds(3600)))));
  CHECK(store->held(worker).empty());
  CHECK(claim(*store, worker).id == instance.id);
}

TEST_CASE("contract: a pause is not lost to a resume that came before the holder put the instance down") {
  auto [store, worker, instance] = held_instance();
  store->request(instance.id, "pause");
  CHECK(store->poll(worker, up_to(0)).attention.size() == 1);
  store->request(instance.id, "resume");
  REQUIRE_FALSE(
      store->commit(worker, turn_of(*store, instance, R"("status":"paused","request":"pause","inbox":0)")));
  CHECK(store->status(instance.id) == "running");
  CHECK(claim(*store, worker).request == "resume");
}

TEST_CASE("contract: a holder is told of signals, which come until a turn takes them") {
  auto [store, worker, instance] = held_instance();
  store->signal(instance.id, "a", R"({"n":1})");
  store->signal(instance.id, "b", R"({"n":2})");
  const store::PollResult result = store->poll(worker, up_to(0));
  REQUIRE(result.attention.size() == 1);
  const std::vector<store::Signal>& signals = result.attention[0].signals;
  REQUIRE(signals.size() == 2);
  CHECK(signals[0].name == "a");
  CHECK(signals[1].name == "b");
  CHECK(signals[0].id < signals[1].id);
  CHECK(signals[0].data.value_or(store->signal_data(instance.id, signals[0].id)) == R"({"n":1})");
  CHECK(signals[1].data.value_or(store->signal_data(instance.id, signals[1].id)) == R"({"n":2})");
  const std::string taken = R"("signals":[{"id":)" + std::to_string(signals[0].id) + "}]";
  REQUIRE_FALSE(store->commit(
      worker, turn_of(*store, instance,
                      R"("events":[{"seq":1,"kind":"SignalReceived","node":"1","data":{}}],)" + taken)));
  const auto again = store->reclaim(worker, instance.id);
  REQUIRE(again);
  REQUIRE(again->signals.size() == 1);
  CHECK(again->signals[0].name == "b");
}

TEST_CASE("contract: a holder is told of signals once, unless it reads the instance again") {
  auto [store, worker, instance] = held_instance();
  const auto told = [&, worker = worker, &store = store] {
    std::vector<std::string> names;
    for (const store::Attention& attention : store->poll(worker, up_to(0)).attention) {
      names.emplace_back("attention");
      for (const store::Signal& signal : attention.signals) names.push_back(signal.name);
    }
    return names;
  };
  store->signal(instance.id, "a", "{}");
  CHECK(told() == std::vector<std::string>{"attention", "a"});
  store->signal(instance.id, "b", "{}");
  store->signal(instance.id, "c", "{}");
  CHECK(told() == std::vector<std::string>{"attention", "b", "c"});
  store->request(instance.id, "pause");
  CHECK(told() == std::vector<std::string>{"attention"});
  CHECK(told().empty());
  CHECK(store->reclaim(worker, instance.id)->signals.size() == 3);
}

TEST_CASE("contract: signals that a poll has no room for are read by the next, and it claims meanwhile") {
  auto [store, worker, instance] = held_instance();
  store->submit({});
  const std::string other = claim(*store, worker).id, third = store->submit({});
  for (const std::string& id : {instance.id, other}) store->signal(id, std::string(900, 'n'), "{}");
  store::PollRequest request = up_to(10);
  request.bytes = 1500;
  store::PollResult result = store->poll(worker, request);
  REQUIRE(result.attention.size() == 1);
  CHECK(ids(result.claimed) == std::vector<std::string>{third});
  CHECK(result.next_wake == store->now());  // at once
  CHECK_FALSE(result.more);
  const std::string first = result.attention[0].id;
  result = store->poll(worker, request);
  REQUIRE(result.attention.size() == 1);
  CHECK(result.attention[0].id != first);
  CHECK_FALSE(result.next_wake);
}

TEST_CASE("contract: long data of a signal comes when it is asked for") {
  auto [store, worker, instance] = held_instance();
  const std::string data = '"' + std::string(5000, 'x') + '"';
  store->signal(instance.id, "other", "1");
  store->signal(instance.id, "long", data);
  const store::PollResult result = store->poll(worker, up_to(0));
  REQUIRE(result.attention.size() == 1);
  REQUIRE(result.attention[0].signals.size() == 2);
  const store::Signal& signal = result.attention[0].signals[1];
  CHECK_FALSE(signal.data);
  CHECK(store->signal_data(instance.id, signal.id) == data);
}

TEST_CASE("contract: a turn removes what it folds from the history") {
  auto [store, worker, instance] = held_instance();
  REQUIRE_FALSE(store->commit(worker, turn_of(*store, instance, kStarted)));
  REQUIRE(store->commit_step(worker, instance, step_completed(*store, 2), "", "e") == Commit::kCommitted);
  REQUIRE_FALSE(store->commit(
      worker,
      turn_of(*store, instance,
              R"("events":[{"seq":3,"kind":"IterationCompleted","node":"2","data":{}}],"prune":[2])")));
  CHECK(store->history(instance.id) == "1 InstanceStarted, 3 IterationCompleted");
}

TEST_CASE("contract: a text that says when it starts is put back until then, with what it encloses") {
  auto [store, worker, instance] = held_instance({.dsl = "df.start('y', start_at => '…')"});
  const dsl::Time due = store->now() + seconds(60);
  REQUIRE_FALSE(store->commit(
      worker,
      turn_of(*store, instance, R"("start":{"body":"'y'","start_at":")" + dsl::format_time(due) + R"("})")));
  CHECK(store->status(instance.id) == "pending");
  CHECK(store->history(instance.id).empty());
  CHECK(store->held(worker).empty());
  const store::PollResult result = store->poll(worker, up_to(1));
  CHECK(result.claimed.empty());
  CHECK(result.next_wake == due);
  store->advance(seconds(60));
  const store::ClaimedInstance again = claim(*store, worker);
  CHECK(again.dsl == "'y'");
  CHECK(again.token > instance.token);
}

TEST_CASE("contract: what is put back while it shall be paused is paused") {
  auto [store, worker, instance] = held_instance();
  store->request(instance.id, "pause");
  REQUIRE_FALSE(store->commit(
      worker, turn_of(*store, instance,
                      R"("start":{"body":"'y'","start_at":")" + dsl::format_time(store->now()) + R"("})")));
  CHECK(store->status(instance.id) == "paused");
  CHECK(store->poll(worker, up_to(1)).claimed.empty());
  store->request(instance.id, "resume");
  CHECK(store->status(instance.id) == "pending");
  CHECK(claim(*store, worker).dsl == "'y'");
}
