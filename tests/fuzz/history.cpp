// A history is folded or does not fit: whatever the events, the engine neither stops the daemon nor runs
// away, and what it has accepted it accepts again on a replay, which decides the same.
#include <fuzzer/FuzzedDataProvider.h>

#include <iostream>

#include "dsl/assert.hpp"
#include "dsl/text/parser.hpp"
#include "tests/support/engine_driver.hpp"

using namespace durabled;
using dsl::EventKind;

namespace {

constexpr int kMostEvents = 32;

const std::shared_ptr<const dsl::Graph>& pick_graph(FuzzedDataProvider& input) {
  static const std::vector<std::shared_ptr<const dsl::Graph>> graphs = [] {
    std::vector<std::shared_ptr<const dsl::Graph>> parsed;
    for (const char* text : {
             "'a' |=> 'n' ~> 'SELECT $n' ~> df.sleep('$n') ~> df.http('u/$n', 'GET')",
             "df.loop('a' |=> 'n' ~> df.loop(df.if('b', df.break('$n'), 'c'), 'd'), 'e')",
             "@> (df.if_rows('n', 'a' ~> df.break(), 'b' |=> 'n') & df.wait_for_signal('s', 5))",
             "df.for_each('a', df.loop('SELECT $item.v' ~> df.wait_for_signal('s'), 'b'), 2)",
             "df.any('a', df.timeout('b' | df.sleep(3), 5), df.wait_for_schedule('0 * * * *'))",
             "df.catch(df.retry(df.seq('a', df.http('u')), 3, 0.5), 'SELECT $error.message') & 'b'",
         }) {
      auto workflow = dsl::read_workflow(text, {});
      DURABLED_ASSERT(workflow);
      parsed.push_back(std::make_shared<const dsl::Graph>(std::move(workflow->graph)));
    }
    return parsed;
  }();
  return graphs[input.ConsumeIntegralInRange<std::size_t>(0, graphs.size() - 1)];
}

std::string some_data(FuzzedDataProvider& input) {
  static const std::string kData[] = {
      "",
      "{}",
      "null",
      test::one("1", "integer"),
      test::one("\"x\""),
      test::no_rows(),
      test::rows({"1", "2", "3"}),
      R"({"error":{"message":"m","code":"40001"}})",
      R"({"error":{"message":"m","code":"40001"},"retry_at":"2026-03-01T00:00:01.000000Z"})",
      R"({"kind":"timer","seconds":3,"fire_at":"2026-03-01T00:00:03.000000Z"})",
      R"({"name":"s","until":"2026-03-01T00:00:05.000000Z"})",
      R"({"signal_name":"s","timed_out":false,"data":{}})",
      R"({"iteration":1,"names":{"n":[1]}})",
      R"({"iteration":2,"names":{}})",
  };
  const auto chosen = input.ConsumeIntegralInRange<std::size_t>(0, std::size(kData));
  return chosen < std::size(kData) ? kData[chosen] : input.ConsumeRandomLengthString(256);
}

// Of any kind, at any place, with any data.
dsl::Event some_event(const dsl::Graph& graph, FuzzedDataProvider& input) {
  static const std::string kScopes[] = {"", "0", "1", "2", "0.0", "0.1", "1.0", "1.2.3", "x"};
  dsl::Event event;
  event.kind = static_cast<EventKind>(
      input.ConsumeIntegralInRange<int>(0, static_cast<int>(EventKind::kInstanceParked)));
  const auto nodes = static_cast<dsl::NodeIndex>(graph.nodes.size());
  const auto node = input.ConsumeIntegralInRange<dsl::NodeIndex>(0, nodes + 1);
  event.address = {node > nodes ? dsl::kNoNode : node, input.PickValueInArray(kScopes)};
  event.attempt = input.ConsumeIntegral<int>();
  event.data = some_data(input);
  return event;
}

// What a daemon would report, or some event.
void happen(test::EngineDriver& run, FuzzedDataProvider& input) {
  if (input.ConsumeBool() && !run.running().empty()) {
    const auto step = input.ConsumeIntegralInRange<std::size_t>(0, run.running().size() - 1);
    const dsl::Address address = run.running()[step].address;
    if (input.ConsumeBool()) return run.complete(address, some_data(input));
    return run.fail(address, "40001", true);
  }
  if (input.ConsumeBool() && run.engine().next_timer()) return run.fire();
  const dsl::Event event = some_event(run.engine().graph(), input);
  run.feed(event.kind, event.address, event.data, event.attempt);
}

// A history that is read at once, as after a daemon's restart.
void read(const test::EngineDriver& run, FuzzedDataProvider& input) {
  test::EngineDriver::Checkpoint read{run.history(), run.now(), {}};
  for (int i = 0; i < kMostEvents && input.remaining_bytes() > 0; ++i) {
    dsl::Event event = some_event(run.engine().graph(), input);
    event.seq = read.history.empty() ? 1 : read.history.back().seq + 1;
    read.history.push_back(std::move(event));
  }
  (void)run.replay(read);
}

void check_replay(const test::EngineDriver& run, const test::EngineDriver::Checkpoint& checkpoint) {
  const std::vector<std::string> decided = run.replay(checkpoint);
  if (decided == checkpoint.expected) return;
  for (const dsl::Event& event : checkpoint.history) {
    std::cerr << "event " << event.seq << ' ' << dsl::to_string(event.kind) << ' '
              << test::address_text(event.address) << ' ' << event.data << '\n';
  }
  for (const auto& line : checkpoint.expected) std::cerr << "expected: " << line << '\n';
  for (const auto& line : decided) std::cerr << "replayed: " << line << '\n';
  DURABLED_ASSERT(decided == checkpoint.expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  dsl::Policy policy;
  policy.keep_iterations = input.ConsumeIntegralInRange(1, 3);
  test::EngineDriver run(pick_graph(input), policy, {{"v", "x"}});
  run.keep_checkpoints();
  if (input.ConsumeBool()) run.start();
  const int most = input.ConsumeIntegralInRange(0, kMostEvents);
  for (int i = 0; i < most && input.remaining_bytes() > 0 && !run.is_over(); ++i) happen(run, input);
  DURABLED_ASSERT(!run.ran_away());
  for (const auto& checkpoint : run.checkpoints()) check_replay(run, checkpoint);
  read(run, input);
  return 0;
}
