// What has become of each node of an instance, for people who look at it: counted while events are applied,
// and written with the turns that end an instance or put it down, and now and then while it runs. The engine
// itself never reads it, so it cannot change a decision.
//
// A node inside a loop or a df.for_each begins many times. Its state is that of the current iteration, or of
// all rows together: running while any of them runs, else failed if any failed, else stopped, else completed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// Why a node that had begun was stopped.
enum class StopReason : std::uint8_t {
  kLostRace,       // another branch of the race or any ended first
  kTimedOut,       // the df.timeout around it ran out
  kInstanceEnded,  // the instance failed or was cancelled
  kReplaced,       // a replay has gone past it: it counts as not begun
};

class NodeStates {
 public:
  explicit NodeStates(const Graph& graph);

  // A node begins, and then ends in exactly one of three ways.
  void begun(NodeIndex node);
  void completed(NodeIndex node);
  void failed(NodeIndex node);
  void stopped(NodeIndex node, StopReason reason);

  // The nodes below `node` begin again: earlier ends of theirs no longer count.
  void begin_again_below(NodeIndex node);

  // Of a df.for_each.
  void rows_begun(NodeIndex node, std::size_t total);
  void row_ended(NodeIndex node, std::size_t row, bool ok);
  // A df.break ended this loop with this value (JSON). Values over 64 KiB are not kept.
  void loop_result(NodeIndex node, const std::string& value);

  // Whether anything changed since the last json().
  bool changed() const { return changed_; }

  // {"seq","nodes"[,"rows"][,"results"][,"waits"]}, see docs/events.md. `seq`: of the last event that was
  // counted; `waits`: the events of the waits that go on, or nullptr where the history alone tells them.
  std::string json(std::int64_t seq, const std::vector<std::int64_t>* waits);

 private:
  struct Counts {
    std::uint32_t running = 0, completed = 0, failed = 0, stopped = 0;
    StopReason reason = StopReason::kInstanceEnded;  // of the last one that was stopped
  };
  struct Rows {
    std::size_t total = 0, done = 0, failed = 0;
    std::vector<std::size_t> first_failed;
  };

  char letter(NodeIndex node) const;
  std::string letters() const;

  const Graph& graph_;
  std::vector<NodeIndex> end_;  // of each node: the first node behind its subtree
  std::vector<Counts> counts_;
  std::map<NodeIndex, Rows> rows_;
  std::map<NodeIndex, std::string> results_;
  bool changed_ = true;
};

}  // namespace durabled::dsl
