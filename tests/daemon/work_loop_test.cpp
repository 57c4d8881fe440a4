// What the work loop does when the database fails it, over a database that is scripted.
#include "daemon/work_loop.hpp"

#include <deque>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::Moment;
using daemon::StepId;
using daemon::WorkLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = store::StoreError::Kind;

// Answers from what the test puts there, and remembers what it was asked.
struct Database : store::WorkDatabase {
  void ask(const std::string& what) {
    asked.push_back(what);
    if (errors.empty() || !what.starts_with(errors.front().first)) return;
    const store::StoreError error = errors.front().second;
    errors.pop_front();
    throw error;
  }
  store::PollResult poll(int, const store::PollRequest& request) override {
    ask("poll " + std::to_string(request.limit > 0));
    store::PollResult result;
    if (request.limit > 0) std::swap(result.claimed, due);
    return result;
  }
  std::string signal_data(const std::string& id, std::int64_t) override {
    ask("signal " + id);
    return "1";
  }
  std::vector<store::TurnProblem> commit(int, const std::vector<store::Turn>& turns) override {
    std::string text = "commit";
    for (const store::Turn& turn : turns) text += ' ' + turn.instance_id;
    ask(text);
    return {};
  }
  std::vector<store::ClaimedInstance> reclaim(int, const std::vector<std::string>& ids) override {
    ask("reclaim " + ids.front());
    return {};
  }
  std::vector<std::pair<std::string, std::int64_t>> held(int) override {
    ask("held");
    return rows;
  }
  int give_back(int, const std::vector<std::pair<std::string, std::int64_t>>& instances) override {
    ask("give back " + instances.front().first);
    return 1;
  }
  std::set<std::string> may_http(const std::set<std::string>&) override { return {}; }
  std::optional<std::string> login_failed(int, const store::LoginProblem&) override { return {}; }
  void login_works(int, const std::string&, const std::string&) override {}
  store::Released release_dead(int, milliseconds, bool) override {
    ask("release dead");
    return {0, 0, {}};
  }
  void release_all(int) override { ask("release all"); }
  int prune(seconds, int) override { return 0; }

  std::vector<store::ClaimedInstance> due;
  std::vector<std::pair<std::string, std::int64_t>> rows;
  std::deque<std::pair<std::string, store::StoreError>> errors;  // what is asked, and what comes of it
  std::vector<std::string> asked;
};

struct Steps : daemon::StepPort {
  void start(StepId id, const store::StepTarget&, store::StepStatement) override { running = id; }
  void commit(StepId, store::StepCommit) override {}
  void commit_foreign(StepId, const std::string&) override {}
  void finish(StepId) override {}
  void stop(StepId) override {}
  void abandon(StepId) override {}
  StepId running = 0;
};

struct NoCalls : daemon::HttpPort {
  void start(StepId, const std::string&, const std::string&, const dsl::Node&, const dsl::CallHttp&,
             const dsl::Variables&, const daemon::HttpPayload*) override {}
  void stop(StepId) override {}
};

struct World : daemon::WorkPort {
  World() { loop.attach(coordinator, waiting); }

  void run(Work work, Then then) override { queue.emplace_back(std::move(work), std::move(then)); }

  daemon::WorkLoopOptions options() const {
    daemon::WorkLoopOptions options;
    options.worker = 1;
    return options;
  }
  daemon::CoordinatorOptions coordinator_options() const {
    daemon::CoordinatorOptions options;
    options.served_database = "app";
    return options;
  }
  // Everything that happens until then.
  void pass(milliseconds time) {
    const WorkLoop::Time end = now.steady + time;
    for (;;) {
      WorkLoop::Time next = loop.tick(now);
      while (!queue.empty()) {
        auto [work, then] = std::move(queue.front());
        queue.pop_front();
        std::optional<store::StoreError> error;
        try {
          work(database);
        } catch (const store::StoreError& e) {
          error = e;
        }
        then(now, error);
        next = now.steady;
      }
      if (next == now.steady) continue;
      next = std::min(next, end);
      now.database += std::chrono::duration_cast<dsl::Time::duration>(next - now.steady);
      now.steady = next;
      if (next == end) return;
    }
  }
  void submit(const std::string& id, const std::string& dsl) {
    store::ClaimedInstance instance;
    instance.id = id;
    instance.token = 1;
    instance.dsl = dsl;
    instance.dsl_bytes = dsl.size();
    instance.role = "alice";
    instance.vars = "{}";
    instance.database = "app";
    database.due.push_back(std::move(instance));
    loop.ring();
  }
  int count(const std::string& what) const {
    return static_cast<int>(std::count(database.asked.begin(), database.asked.end(), what));
  }

  Moment now{WorkLoop::Time(seconds(1'000)), dsl::Time(seconds(50'000))};
  Database database;
  Steps steps;
  NoCalls calls;
  daemon::WaitingByRole waiting;
  std::deque<std::pair<Work, Then>> queue;
  std::string lost;
  int stopped = 0;
  WorkLoop loop{options(),
                *this,
                {[](int, const std::string&) {}, [this](const std::string& why) { lost = why; },
                 [this] { ++stopped; }, [] {}}};
  daemon::Coordinator coordinator{coordinator_options(), steps, calls, loop, [this] { return now.database; }};
};

store::StoreError error(Kind kind, const std::string& sqlstate) {
  return {kind, "test", "made up", sqlstate};
}

}  // namespace

TEST_CASE("an idle daemon asks the database less than twice in five seconds, beside its heartbeat") {
  World world;
  world.pass(seconds(10));
  world.database.asked.clear();
  world.pass(seconds(150));
  CHECK(world.count("poll 1") == 30);
  CHECK(world.count("release dead") == 15);
  CHECK(world.count("held") == 10);
  CHECK(world.database.asked.size() == 55);
}

TEST_CASE("the turns of one round are one batch") {
  World world;
  for (const char* id : {"b", "a", "c"}) world.submit(id, "df.sleep(5)");
  world.pass(milliseconds(10));
  CHECK(world.count("commit a b c") == 1);
  CHECK(world.coordinator.held() == 0);
}

TEST_CASE("a deadlock in a turn is tried again, and nothing is dropped") {
  World world;
  world.submit("long", "'step'");
  world.submit("a", "df.sleep(5)");
  world.database.errors.emplace_back("commit", error(Kind::kTransient, "40P01"));
  world.pass(milliseconds(20));
  CHECK(world.coordinator.held() == 2);
  world.pass(milliseconds(50));
  CHECK(world.count("commit a") == 2);
  CHECK(world.coordinator.holds("long"));
  CHECK(world.lost.empty());
}

TEST_CASE("after a connection that was lost in a turn, that instance alone is read again") {
  World world;
  world.submit("long", "'step'");
  world.pass(milliseconds(10));
  world.submit("a", "df.sleep(5)");
  world.database.errors.emplace_back(
      "commit", error(GENERATE(Kind::kTransient, Kind::kInDoubt), GENERATE("", "08006", "57P01")));
  world.pass(milliseconds(10));
  CHECK(world.count("commit a") == 1);
  CHECK(world.count("reclaim a") == 1);
  CHECK(world.count("reclaim long") == 0);
  CHECK_FALSE(world.coordinator.holds("a"));  // the database says that this daemon does not hold it
  CHECK(world.coordinator.holds("long"));
  CHECK(world.lost.empty());
}

TEST_CASE("what a poll may have claimed before its connection was lost is given back") {
  World world;
  world.pass(milliseconds(10));
  world.database.errors.emplace_back("poll", error(Kind::kTransient, "08006"));
  world.database.rows = {{"unseen", 1}};
  world.loop.ring();
  world.pass(milliseconds(100));
  CHECK(world.count("give back unseen") == 1);
  CHECK(world.count("poll 1") >= 2);
  CHECK(world.lost.empty());
}

TEST_CASE("a turn that the database refuses costs the others of its batch nothing") {
  World world;
  for (const char* id : {"a", "b", "c"}) world.submit(id, "df.sleep(5)");
  for (const char* batch : {"commit a b c", "commit a"})
    world.database.errors.emplace_back(batch, error(Kind::kPermanent, "22P05"));
  world.pass(milliseconds(10));
  CHECK(world.count("reclaim a") == 1);
  CHECK(world.count("commit b c") == 1);
  CHECK(world.coordinator.held() == 0);
  CHECK(world.lost.empty());
}

TEST_CASE("a row that is locked is reclaimed when it is free, and one that cannot be read is forgotten") {
  World world;
  world.submit("a", "df.sleep(5)");
  world.database.errors.emplace_back("commit", error(Kind::kInDoubt, ""));
  SECTION("locked") {
    world.database.errors.emplace_back("reclaim", error(Kind::kTransient, "55P03"));
    world.pass(milliseconds(200));
    CHECK(world.count("reclaim a") == 2);
  }
  SECTION("unreadable") {
    world.database.errors.emplace_back("reclaim", error(Kind::kPermanent, "XX001"));
    world.pass(milliseconds(200));
    CHECK(world.count("reclaim a") == 1);
  }
  CHECK(world.coordinator.held() == 0);
  CHECK(world.lost.empty());
}

TEST_CASE("a database that refuses to be polled ends the tenure") {
  World world;
  world.database.errors.emplace_back("poll", error(Kind::kPermanent, "DF003"));
  world.pass(milliseconds(10));
  CHECK(world.lost == "test: made up");
}

TEST_CASE("a daemon that stops claims nothing, waits for its steps, and gives everything back once") {
  World world;
  world.submit("a", "'step'");
  world.pass(milliseconds(10));
  REQUIRE(world.coordinator.held() == 1);
  world.loop.drain(world.now.steady, seconds(30));
  world.submit("b", "'step'");
  world.pass(seconds(1));
  CHECK(world.coordinator.held() == 1);
  CHECK(world.stopped == 0);
  SECTION("when the grace period is over") {
    world.pass(seconds(30));
  }
  SECTION("or when it is told not to wait") {
    world.loop.give_back();
    world.loop.give_back();
    world.pass(seconds(1));
  }
  CHECK(world.stopped == 1);
  CHECK(world.count("release all") == 1);
  const std::size_t asked = world.database.asked.size();
  world.pass(seconds(10));
  CHECK(world.database.asked.size() == asked);
}

}  // namespace durabled::test
