// What the pool does with steps that share a transaction, over connections whose answers the test gives.
#include <string>
#include <vector>

#include "tests/daemon/pool_world.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

// One connection, which a step that does not join holds, and groups of at most three. "select …" is known to be short.
struct Groups : World {
  Groups() : World(1, seconds(3'600), 3) {
    pool->tick();
    begin(1, "select 0");
    link->result();
    pool->commit(1, {});
    link->committed();
    begin(2, "call busy()");
    take_log();
    take_said();
  }
  void begin(StepId id, const std::string& sql, const std::string& instance = "", bool is_first = false) {
    store::StepStatement one = statement(sql);
    one.may_group = true;
    one.instance_id = instance.empty() ? std::to_string(id) : instance;
    one.is_first = is_first;
    start(id, one);
  }
  // The connection is free.
  void free() {
    link->result();
    pool->commit(2, {});
    link->committed();
    take_log();
    take_said();
  }
  void results(int count) {
    link->group_outcome = {};
    for (int i = 0; i < count; ++i) link->group_outcome.steps.push_back({"{}", std::nullopt});
    link->answer(StepLink::Answer::kOver);
  }
  void fails(const std::string& code, std::optional<std::size_t> culprit) {
    link->group_outcome = {{}, dsl::make_failure(code, "made up", 0, 1), culprit};
    link->answer(StepLink::Answer::kOver);
  }
  // Of the instances: what each does when it learns the result of its step.
  void answer_each(const std::function<void(StepId)>& how) {
    auto callbacks = callbacks_of();
    callbacks.executed = [this, how](StepId id, const store::StepOutcome& outcome) {
      said.push_back("executed " + std::to_string(id) + (outcome.failure ? ' ' + outcome.failure->code : ""));
      if (!outcome.failure) how(id);
    };
    pool->set_callbacks(callbacks);
  }
};

}  // namespace

TEST_CASE("steps that wait together run and are committed as one") {
  Groups world;
  for (const StepId id : {3, 4, 5, 6}) world.begin(id, "select " + std::to_string(id));
  world.free();
  world.answer_each([&](StepId id) { world.pool->commit(id, {}); });
  world.begin(7, "select 7");
  CHECK(world.said.empty());
  world.results(3);
  CHECK(world.take_said() == Strings{"executed 3", "executed 4", "executed 5"});
  CHECK(world.take_log() == Strings{"commit together 3"});
  world.link->committed();
  CHECK(world.take_said() == Strings{"committed 3", "committed 4", "committed 5"});
  CHECK(world.take_log() == Strings{"run together select 6 select 7"});
}

TEST_CASE("only statements that are known to be short join, and the others keep their places") {
  Groups world;
  world.begin(3, "select 1");
  world.begin(4, "insert into unknown");
  world.begin(5, "call p()");
  world.begin(6, "select 2");
  world.link->result();
  world.pool->commit(2, {});
  world.take_log();
  world.link->committed();
  CHECK(world.take_log() == Strings{"run together select 1 select 2"});
  world.answer_each([&](StepId id) { world.pool->commit(id, {}); });
  world.results(2);
  world.link->committed();
  CHECK(world.take_log() == Strings{"commit together 2", "run insert into unknown"});
}

TEST_CASE("no step joins another of an instance that has recorded nothing yet") {
  Groups world;
  const bool is_first = GENERATE(true, false);
  world.begin(3, "select 3", "a", is_first);
  world.begin(4, "select 4", "a", false);
  world.begin(5, "select 5", "b", true);
  world.link->result();
  world.pool->commit(2, {});
  world.take_log();
  world.link->committed();
  CHECK(world.take_log() ==
        Strings{is_first ? "run together select 3 select 5" : "run together select 3 select 4 select 5"});
}

TEST_CASE("a connection that takes no groups runs each by itself") {
  Groups world;
  world.link->may_group = false;
  world.begin(3, "select 3");
  world.begin(4, "select 4");
  world.link->result();
  world.pool->commit(2, {});
  world.take_log();
  world.link->committed();
  CHECK(world.take_log() == Strings{"run select 3"});
}

TEST_CASE("a group that fails says nothing, and its steps run by themselves") {
  Groups world;
  world.begin(3, "select 3");
  world.begin(4, "select 4 + 1");
  world.link->result();
  world.pool->commit(2, {});
  world.take_said();
  world.begin(5, "select 5");
  world.link->committed();
  CHECK(world.take_log().back() == "run together select 3 select 5");
  SECTION("because of one of them") {
    world.fails("22012", 1);
  }
  SECTION("because it took too long") {
    world.time += milliseconds(299);
    world.pool->tick();
    CHECK(world.take_log().empty());
    CHECK(world.wake == world.time + milliseconds(1));
    world.time += milliseconds(1);
    world.pool->tick();
    CHECK(world.take_log() == Strings{"cancel"});
    world.fails("57014", 0);
    world.link->answer(StepLink::Answer::kCancelled);
  }
  SECTION("because one of them is not wanted any more") {
    world.pool->stop(5);
    CHECK(world.take_log() == Strings{"cancel"});
    if (GENERATE(false, true)) {
      world.fails("57014", 0);
    } else {
      world.results(2);  // the cancel came too late
    }
    world.link->answer(StepLink::Answer::kCancelled);
    world.settle();
    CHECK(world.take_said() == Strings{"committed 2", "executed 5 57014"});
  }
  world.take_said();
  CHECK(world.take_log() == Strings{"rollback"});
  world.link->answer(StepLink::Answer::kOver);
  CHECK(world.take_log() == Strings{"run select 4 + 1"});
  world.link->result();
  world.pool->commit(4, {});
  world.take_log();
  world.link->committed();
  CHECK(world.take_log() == Strings{"run select 3"});
}

TEST_CASE("a group whose commit is refused is answered so, and nothing that follows runs") {
  Groups world;
  world.begin(3, "select 3");
  world.begin(4, "select 4");
  world.free();
  world.take_log();
  world.answer_each([&](StepId id) { world.commit_and_start(id, id + 10, "select next"); });
  const Kind kind = GENERATE(Kind::kNotGrouped, Kind::kInDoubt, Kind::kCommitted);
  world.results(2);
  CHECK(world.pool->queued(13));
  world.take_log();
  world.take_said();
  world.link->is_lost = kind == Kind::kInDoubt;
  world.link->committed(kind);
  if (kind == Kind::kCommitted) {
    CHECK(world.take_said() == Strings{"committed 3", "committed 4"});
    CHECK(world.take_log() == Strings{"run select next"});  // the test's statements may not join
    return;
  }
  CHECK(world.take_said() == Strings{"committed 3 not", "committed 4 not"});
  CHECK(world.take_log() == Strings{kind == Kind::kInDoubt ? "close" : "rollback"});
  CHECK_FALSE(world.pool->queued(13));
}

TEST_CASE("a group of which one cannot say at once what to commit falls apart") {
  Groups world;
  for (const StepId id : {3, 4, 5}) world.begin(id, "select " + std::to_string(id));
  world.free();
  const std::string how = GENERATE("waits", "finishes", "abandons another", "stops another");
  CAPTURE(how);
  world.answer_each([&](StepId id) {
    if (id != 4) return world.pool->commit(id, {});
    if (how == "finishes") return world.pool->finish(id);
    if (how == "abandons another") world.pool->abandon(3);
    if (how == "stops another") world.pool->stop(5);
    if (how == "abandons another") world.pool->commit(id, {});
  });
  world.results(3);
  world.settle();
  const bool ran_all = how == "abandons another";
  CHECK(world.take_log() == Strings{"rollback"});
  Strings expected{"executed 3", "executed 4"};
  if (ran_all) expected.push_back("executed 5");
  if (how == "stops another") expected.push_back("executed 5 57014");
  std::vector<std::string> not_committed;
  for (const std::string& what : world.take_said()) {
    (what.starts_with("committed") ? not_committed : expected).push_back(what);
  }
  world.link->answer(StepLink::Answer::kOver);
  if (how == "waits") {
    CHECK(not_committed == Strings{"committed 3 not"});
    world.pool->commit(4, {});
    world.settle();
    CHECK(world.take_said() == Strings{"committed 4 not"});
    CHECK(world.take_log() == Strings{"run select 5"});
  } else if (how == "finishes") {
    CHECK(not_committed == Strings{"committed 3 not"});
    CHECK(world.take_log() == Strings{"run select 5"});
  } else if (how == "abandons another") {
    CHECK(not_committed == Strings{"committed 4 not", "committed 5 not"});
  } else {
    CHECK(not_committed == Strings{"committed 3 not"});
    CHECK(world.take_log().empty());
  }
}

TEST_CASE("two roles never share a transaction") {
  Groups world;
  store::StepStatement other = world.statement("select 1");
  other.may_group = true;
  world.begin(3, "select 3");
  world.start(4, other, 2);
  world.begin(5, "select 5");
  world.link->result();
  world.pool->commit(2, {});
  world.take_log();
  world.link->committed();
  for (const std::string& line : world.take_log()) CHECK(line != "run together select 3 select 1 select 5");
}

}  // namespace durabled::test
