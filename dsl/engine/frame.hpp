// The engine's working memory: a frame for each node that is active now. Private to dsl/engine.
//
// Life of a frame, by kind:
//   sql, http           ready -> running -> finish
//                                running -> delayed -> ready    after a failure that is retried
//   sleep, schedule     ready -> timing -> finish
//   signal              ready -> awaiting -> finish             a timer runs beside it if there is a time limit
//   break               finish
//   sequence, if        child after child -> finish
//   join, any, for_each children side by side -> settle -> finish
//   race                children side by side; the first to end -> finish
//   loop                body [-> condition] -> ended [-> pacing] -> next iteration | finish
//   timeout             child beside a timer -> finish
//   retry               child -> finish                         its policy works at the leaves
//   limit               ready -> running -> ready -> timing -> child -> finish
//                         taking units; without waiting for them from running to the child. Before the child is
//                         tried again it is held (open), and the limit ready
//   catch               step [-> handler] -> finish
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dsl/engine/execution.hpp"

namespace durabled::dsl {

struct Execution::Outcome {
  enum class Kind { kOk, kFailed, kBroke };
  Kind kind = Kind::kOk;
  ResultPtr result;                // kOk; kBroke: the break's value
  std::int64_t result_seq = 0;     // the event whose data `result` is; 0: none
  std::optional<Failure> failure;  // kFailed
  Names names;                     // as they are afterwards
};

struct Execution::Frame {
  enum class Phase { kFresh, kReady, kRunning, kDelayed, kTiming, kAwaiting, kOpen, kEnded, kPacing };

  NodeIndex node = kNoNode;
  Frame* parent = nullptr;
  std::size_t slot = 0;  // which child of the parent this is
  std::string scope;
  Names names;  // bound on the way here
  Phase phase = Phase::kFresh;
  std::uint64_t ticket = 0;  // of its place in ready_; an entry with another one is out of date
  int attempt = 1;           // leaves
  std::optional<Time> fire_at;
  std::int64_t wait_seq = 0;  // of the event by which a timer, a wait or the pause before a retry began
  std::string wait_name;
  double seconds = 0;              // sleep
  std::optional<Time> start_at;    // limit: when the units that were taken are there
  std::optional<Time> not_before;  // limit: a server wants no call before

  std::map<std::size_t, std::unique_ptr<Frame>> children;  // active ones, by slot
  std::vector<Outcome> outcomes;                           // join, any: of each branch; for_each: of each row
  std::size_t open = 0;      // join, any, for_each: branches that have not ended
  std::size_t next_row = 0;  // for_each
  ResultPtr rows;            // for_each, and slices of its text:
  std::vector<std::string_view> row_texts;
  std::string columns;
  ByteCharge charge;     // of both
  bool failing = false;  // for_each: a row has failed, no more rows are begun

  std::int64_t iteration = 0;  // loop
  Names entered;               // loop: names before its first iteration
  Time iteration_started{};    // loop
  bool worked = false;         // loop: a step has ended or a signal has come in this iteration
  Outcome last;                // loop: of the body
  std::deque<std::set<std::int64_t>>
      kept;  // loop: seqs of the history of each kept iteration, the current one last

  ByteCharge cost;  // of the frame itself

  Address address() const { return {node, scope}; }
};

inline std::string inner_scope(const std::string& scope, std::int64_t number) {
  return scope.empty() ? std::to_string(number) : scope + '.' + std::to_string(number);
}

}  // namespace durabled::dsl
