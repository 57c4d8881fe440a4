// An exception that one instance causes is that instance's alone.
#include <deque>
#include <new>
#include <stdexcept>

#include "daemon/coordinator.hpp"
#include "tests/daemon/claimed_row.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

// Ports that throw where an instance's text asks for it, and remember what the coordinator wants.
class Ports : public daemon::StepPort, public daemon::HttpPort, public daemon::TurnPort {
 public:
  void start(daemon::StepId id, const store::StepTarget&, store::StepStatement statement) override {
    if (statement.sql == "throw") throw std::runtime_error("no such luck");
    if (statement.sql == "no memory") throw std::bad_alloc();
    started.push_back(id);
  }
  void commit(daemon::StepId, store::StepCommit commit) override {
    if (commit.event.data.find("poison") != std::string::npos) throw std::runtime_error("a bad commit");
  }
  void commit_foreign(daemon::StepId, const std::string&) override {}
  void finish(daemon::StepId) override {}
  void stop(daemon::StepId) override {}
  void abandon(daemon::StepId id) override { abandoned.push_back(id); }
  void start(daemon::StepId, const std::string&, const std::string&, const dsl::Node&, const dsl::CallHttp&,
             const dsl::Variables&, const daemon::HttpPayload*) override {
    throw std::runtime_error("no call");
  }
  void commit(store::Turn turn) override { turns.push_back(std::move(turn)); }
  void reclaim(const std::string& id) override { reclaims.push_back(id); }
  void fetch_signal(const std::string&, std::int64_t) override {}

  std::deque<daemon::StepId> started, abandoned;
  std::deque<store::Turn> turns;
  std::deque<std::string> reclaims;
};

daemon::CoordinatorOptions options() {
  daemon::CoordinatorOptions options;
  options.served_database = "here";
  return options;
}

store::StepOutcome result(const std::string& rows) {
  return {R"({"rows":[)" + rows + R"(],"row_count":1,"columns":[{"name":"v","type":"text"}]})", std::nullopt};
}

}  // namespace

TEST_CASE("what is thrown while an instance is handled fails that instance only") {
  Ports ports;
  daemon::Coordinator coordinator(options(), ports, ports, ports, [] { return dsl::Time{}; });
  const std::string dsl =
      GENERATE("'throw'", "'no memory'", "df.http('http://x', 'GET')", "df.join('a', 'throw')");
  INFO(dsl);
  coordinator.claimed(claimed_row("bad", dsl));
  const auto steps = ports.started.size();
  coordinator.claimed(claimed_row("good", "'b'"));
  REQUIRE(ports.started.size() == steps + 1);
  REQUIRE(ports.reclaims == std::deque<std::string>{"bad"});
  CHECK(ports.abandoned.size() >= steps);
  coordinator.reclaimed("bad", claimed_row("bad", dsl, 2));
  REQUIRE(ports.turns.size() == 1);
  CHECK(ports.turns[0].instance_id == "bad");
  CHECK_THAT(ports.turns[0].json, ContainsSubstring("\"status\":\"failed\""));
  CHECK_THAT(ports.turns[0].json, ContainsSubstring("internal_error"));
  coordinator.turn_done(ports.turns[0], std::nullopt);
  CHECK(coordinator.held() == 1);
  // The other one goes on.
  coordinator.executed(ports.started.back(), result(R"({"v":"x"})"));
  coordinator.committed(ports.started.back(), {});
  CHECK(coordinator.held() == 0);
}

TEST_CASE("what is thrown while a step's end is handled fails its instance only") {
  Ports ports;
  daemon::Coordinator coordinator(options(), ports, ports, ports, [] { return dsl::Time{}; });
  coordinator.claimed(claimed_row("bad", "'a'"));
  REQUIRE(ports.started.size() == 1);
  coordinator.executed(ports.started.back(), result(R"({"v":"poison"})"));
  REQUIRE(ports.reclaims.size() == 1);
  CHECK(ports.abandoned == ports.started);
  coordinator.reclaimed("bad", claimed_row("bad", "'a'", 2));
  REQUIRE(ports.turns.size() == 1);
  CHECK_THAT(ports.turns[0].json, ContainsSubstring("a bad commit"));
}

}  // namespace durabled::test
