// What the pool does with its connections' answers, over connections whose answers the test gives.
#include <string>
#include <vector>

#include "tests/daemon/pool_world.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {

TEST_CASE("a step that is started with a commit keeps its connection") {
  World world;
  world.start(1, "a");
  world.link->result();
  world.commit_and_start(1, 2, "b");
  CHECK(world.pool->queued(2));
  world.link->committed(Kind::kCommitted, StepLink::Answer::kCommitted);
  CHECK_FALSE(world.pool->queued(2));
  world.link->result();
  CHECK(world.take_said() == Strings{"executed 1", "committed 1", "executed 2"});
  CHECK(world.take_log() == Strings{"run a", "commit and run b"});
  SECTION("and is committed like any other") {
    world.pool->commit(2, {});
    world.link->committed();
    CHECK(world.take_said() == Strings{"committed 2"});
  }
  SECTION("and is rolled back like any other") {
    world.pool->finish(2);
    CHECK(world.take_log() == Strings{"rollback"});
  }
}

TEST_CASE("nothing is heard of a step whose predecessor did not commit") {
  World world;
  const Kind kind = GENERATE(Kind::kRefused, Kind::kLeaseLost, Kind::kInDoubt);
  world.start(1, "a");
  world.link->result();
  world.commit_and_start(1, 2, "b");
  world.link->is_lost = kind == Kind::kInDoubt;
  world.link->committed(kind);
  world.settle();
  CHECK(world.take_said() == Strings{"executed 1", "committed 1 not"});
  CHECK(world.take_log().back() == (kind == Kind::kInDoubt ? "close" : "rollback"));
  world.pool->stop(2);
  world.pool->abandon(2);
  world.settle();
  CHECK(world.take_said().empty());
}

TEST_CASE("a chain lets go of a connection for which others wait, after some steps or some time") {
  World world;
  world.start(1, "a");
  const bool by_time = GENERATE(false, true);
  StepId id = 1;
  const auto chain = [&] {
    world.link->result();
    world.commit_and_start(id, id + 1, "next");
    ++id;
    if (!world.log.back().starts_with("commit and run")) return false;
    world.link->committed(Kind::kCommitted, StepLink::Answer::kCommitted);
    return true;
  };
  for (int i = 0; i < 10; ++i) REQUIRE(chain());  // nobody waits
  world.start(100, "other", GENERATE(1, 2));
  CHECK_FALSE(chain());
  CHECK(world.pool->queued(id));
  world.take_log();
  world.link->committed();
  world.settle();
  if (world.log == Strings{"close", "run other"}) world.log = {"run other"};  // another role's
  CHECK(world.take_log() == Strings{"run other"});
  world.link->result();
  world.pool->finish(100);
  world.link->answer(StepLink::Answer::kOver);  // rolled back
  world.settle();
  CHECK(world.log.back() == "run next");
  world.start(101, "other");
  if (by_time) {
    world.time += milliseconds(100);
    CHECK_FALSE(chain());
  } else {
    for (int i = 0; i < 3; ++i) CHECK(chain());
    CHECK_FALSE(chain());
  }
}

TEST_CASE("a step that is stopped while its predecessor commits is cancelled when it runs") {
  World world;
  world.start(1, "a");
  world.link->result();
  SECTION("on the same connection") {
    world.commit_and_start(1, 2, "b");
    world.pool->stop(2);
    CHECK(world.take_log() == Strings{"run a", "commit and run b"});
    world.link->committed(Kind::kCommitted, StepLink::Answer::kCommitted);
    CHECK(world.take_log() == Strings{"cancel"});
    world.link->fail("57014");
  }
  SECTION("or does not run, when it was to wait for one") {
    for (StepId id = 1; id <= 4; ++id) {
      if (id == 4) world.start(100, "other");
      world.commit_and_start(id, id + 1, "b");
      if (id == 4) break;
      world.link->committed(Kind::kCommitted, StepLink::Answer::kCommitted);
      world.link->result();
    }
    world.take_said();
    world.take_log();
    world.pool->stop(5);
    world.link->committed();
    world.settle();
    CHECK(world.take_said() == Strings{"committed 4", "executed 5 57014"});
    CHECK(world.take_log() == Strings{"run other"});
    return;
  }
  CHECK(world.take_said() == Strings{"executed 1", "committed 1", "executed 2 57014"});
}

TEST_CASE("a cancel that was meant for a commit does not count as an attempt of the next step") {
  World world(1, seconds(10));
  world.start(1, "a");
  world.link->result();
  world.commit_and_start(1, 2, "b");
  world.time += seconds(11);
  world.pool->tick();
  CHECK(world.take_log() == Strings{"run a", "commit and run b", "cancel"});
  world.link->committed(Kind::kCommitted, StepLink::Answer::kCommitted);
  SECTION("when it hits that step, the step runs again") {
    world.link->fail("57014");
    CHECK(world.take_log() == Strings{"rollback"});
    world.link->answer(StepLink::Answer::kOver);
    CHECK(world.take_log().empty());  // not before the cancel is there
    world.link->answer(StepLink::Answer::kCancelled);
    CHECK(world.take_log() == Strings{"rollback"});
    world.link->answer(StepLink::Answer::kOver);
    CHECK(world.take_log() == Strings{"run b"});
  }
  SECTION("when the step is to be stopped itself, it is cancelled once more") {
    world.pool->stop(2);
    CHECK(world.take_log().empty());
    world.link->answer(StepLink::Answer::kCancelled);
    CHECK(world.take_log() == Strings{"cancel"});
    world.link->fail("57014");
    CHECK(world.take_said().back() == "executed 2 57014");
    return;
  }
  world.link->result();
  CHECK(world.take_said() == Strings{"executed 1", "committed 1", "executed 2"});
}

TEST_CASE("a step whose session was dead before it took anything runs on another") {
  World world;
  world.start(1, "a");
  world.link->result();
  world.pool->commit(1, {});
  world.link->committed();
  world.start(2, "b");
  world.link->is_lost = true;
  world.link->outcome.never_began = true;
  world.link->outcome.failure = dsl::make_failure("08006", "gone", 0, 1);
  world.link->answer(StepLink::Answer::kOver);
  world.settle();
  CHECK(world.take_log() == Strings{"run a", "commit", "run b", "close", "run b"});
  world.link->result();
  CHECK(world.take_said() == Strings{"executed 1", "committed 1", "executed 2"});
}

TEST_CASE("a step that runs for too long is cancelled, and its failure says why") {
  World world(1, seconds(10));
  world.start(1, "a");
  world.time += seconds(11);
  world.pool->tick();
  CHECK(world.take_log() == Strings{"run a", "cancel"});
  world.link->fail("57014");
  world.pool->finish(1);
  CHECK(world.take_log() == Strings{"rollback"});
  world.link->answer(StepLink::Answer::kOver);
  world.start(2, "b");
  CHECK(world.take_log().empty());  // the cancel may be on its way still
  world.link->answer(StepLink::Answer::kCancelled);
  world.link->answer(StepLink::Answer::kOver);
  CHECK(world.take_log() == Strings{"rollback", "run b"});
}

TEST_CASE("the pool looks at what it has each second, whatever happens or not") {
  World world;
  world.pool->tick();
  CHECK(world.wake == world.time + seconds(1));
}

TEST_CASE("an idle connection that the server ends is forgotten") {
  World world;
  world.start(1, "a");
  world.link->result();
  world.pool->commit(1, {});
  world.link->committed();
  world.link->answer(StepLink::Answer::kGone);
  world.start(2, "b");
  CHECK(world.take_log() == Strings{"run a", "commit", "close", "run b"});
}

}  // namespace durabled::test
