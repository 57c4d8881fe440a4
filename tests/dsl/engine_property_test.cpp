// What must hold for any workflow: a replay decides what the live run decided, the order of what happens side
// by side does not matter, and nothing goes on for ever without an event.

#include <algorithm>
#include <random>

#include "tests/support/catch.hpp"
#include "tests/support/engine_driver.hpp"
#include "tests/support/graph_generator.hpp"

using namespace durabled;
using dsl::NodeKind;
using test::EngineDriver;

namespace {

constexpr std::uint64_t kSeeds = 1'000;

// The same for every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }

 private:
  std::mt19937_64 engine_;
};

std::string some_rows(std::size_t pick) {
  static const std::vector<std::string> kResults = {
      test::one("1", "integer"), test::one("false", "boolean"),    test::no_rows(),
      test::one("\"x\""),        test::rows({"1", "2", "3", "4"}), test::one("{\"b\":[1,{}]}", "jsonb")};
  return kResults[pick % kResults.size()];
}

// Lets one thing happen, whatever can; false when nothing can.
bool happen(EngineDriver& run, Random& random) {
  const bool timer = run.engine().next_timer().has_value();
  if (!run.running().empty() && (!timer || random.below(5) > 0)) {
    const EngineDriver::Step step = run.running()[random.below(run.running().size())];
    if (random.below(100) < 12) {
      const bool transient = random.below(2) == 0;
      run.fail(step.address, transient ? "40001" : "22012", transient);
    } else {
      run.complete(step.address, step.statement.empty() ? R"({"status":200,"ok":true,"body":{"a":1}})"
                                                        : some_rows(random.below(6)));
    }
    return true;
  }
  if (timer) {
    run.fire();
    return true;
  }
  return false;
}

// What a step comes to, by where it is alone.
void answer(EngineDriver& run, const EngineDriver::Step& step) {
  std::uint64_t hash = 1469598103934665603ULL;
  for (const char c : step.line) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash ^= hash >> 29;
  if (hash % 8 == 0) return run.fail(step.address, hash % 16 == 0 ? "40001" : "22012", hash % 16 == 0);
  run.complete(step.address, step.statement.empty() ? R"({"status":200,"ok":true,"body":null})"
                                                    : some_rows(static_cast<std::size_t>(hash / 16)));
}

bool is_deterministic(const dsl::Graph& graph) {
  return std::none_of(graph.nodes.begin(), graph.nodes.end(), [](const dsl::Node& node) {
    switch (node.kind) {
      case NodeKind::kRace:
      case NodeKind::kAny:
      case NodeKind::kTimeout:
      case NodeKind::kBreak:       // in a row it keeps later rows from failing, or not
      case NodeKind::kWaitSignal:  // who gets a signal depends on who came first
      case NodeKind::kWaitSchedule:
        return true;
      case NodeKind::kLoop:
        return node.children.size() == 1;  // for ever
      case NodeKind::kSql:
      case NodeKind::kSequence:
      case NodeKind::kIf:
      case NodeKind::kIfRows:
      case NodeKind::kJoin:
      case NodeKind::kSleep:
      case NodeKind::kHttp:
      case NodeKind::kHttpMultipart:
      case NodeKind::kForEach:
      case NodeKind::kRetry:
      case NodeKind::kLimit:
      case NodeKind::kCatch:
      case NodeKind::kFail:
        return false;
    }
    return true;
  });
}

std::string run_in_some_order(const std::shared_ptr<const dsl::Graph>& graph, std::uint64_t seed) {
  Random random(seed);
  EngineDriver run(graph);
  run.start();
  for (int i = 0; i < 400 && !run.is_over() && !run.ran_away(); ++i) {
    if (!run.running().empty() && (!run.engine().next_timer() || random.below(3) > 0)) {
      answer(run, EngineDriver::Step(run.running()[random.below(run.running().size())]));
    } else if (run.engine().next_timer()) {
      run.fire();
    } else {
      break;
    }
  }
  return run.status();
}

}  // namespace

TEST_CASE("an engine that reads any history decides what the one that wrote it decided") {
  std::size_t checked = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    dsl::Policy policy;
    policy.keep_iterations = 1 + static_cast<int>(seed % 3);
    EngineDriver run(std::make_shared<const dsl::Graph>(test::random_graph(seed)), policy);
    run.keep_checkpoints();
    Random random(seed);
    run.start();
    for (int i = 0; i < 60 && !run.is_over() && !run.ran_away() && happen(run, random); ++i) {
    }
    REQUIRE_FALSE(run.ran_away());
    REQUIRE_THAT(run.status(), !ContainsSubstring("mismatch"));
    for (const auto& checkpoint : run.checkpoints()) REQUIRE(run.replay(checkpoint) == checkpoint.expected);
    checked += run.checkpoints().size();
  }
  CHECK(checked > 4 * kSeeds);
}

TEST_CASE("the order in which parallel branches end does not change the result") {
  int compared = 0, ended = 0;
  for (std::uint64_t seed = 1; seed <= 10 * kSeeds && compared < 120; ++seed) {
    const auto graph = std::make_shared<const dsl::Graph>(test::random_graph(seed, {5, 3, 25}));
    if (graph->nodes.size() < 4 || !is_deterministic(*graph)) continue;
    CAPTURE(seed);
    const std::string expected = run_in_some_order(graph, 0);
    ++compared;
    ended += expected != "going on" ? 1 : 0;
    if (expected == "going on") continue;  // a loop whose condition stays true
    for (std::uint64_t order = 1; order <= 6; ++order) REQUIRE(run_in_some_order(graph, order) == expected);
  }
  CHECK(compared >= 100);
  CHECK(ended > compared / 2);
}

TEST_CASE("whatever is cancelled at whatever time leaves nothing behind") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    EngineDriver run(std::make_shared<const dsl::Graph>(test::random_graph(seed)));
    Random random(seed);
    run.start();
    for (std::size_t i = random.below(40); i > 0 && !run.is_over() && happen(run, random); --i) {
    }
    if (run.is_over()) continue;
    run.cancel();
    REQUIRE(run.status() == "cancelled");
    REQUIRE(run.running().empty());
    REQUIRE_FALSE(run.engine().next_timer());
  }
}
