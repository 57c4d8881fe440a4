// One instance's state, folded from its events, and the decisions that follow from it. Pure: the same graph
// and the same events give the same decisions, byte for byte; time comes in with events and with decide().
//
//   Execution run(graph, variables, policy);
//   for (const Event* event : replayable(*graph, history).events) run.apply(*event);
//   for (Decision& decision : run.decide(now)) …carry it out, record what comes of it, apply that…
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dsl/engine/decision.hpp"
#include "dsl/engine/event.hpp"
#include "dsl/engine/node_states.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/value/byte_meter.hpp"
#include "dsl/value/names.hpp"
#include "dsl/value/result.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {

// The standing policies, from the configuration.
struct Policy {
  int max_attempts = 5;                           // of a step that fails transiently
  double delay = 1, backoff = 2, max_delay = 60;  // seconds
  std::chrono::microseconds loop_min_interval{1'000'000};
  int keep_iterations = 10;
  // What an instance's results may take together; see Execution::is_exhausted().
  std::size_t instance_bytes = std::size_t{1} << 40;
  std::size_t max_result_bytes = kMaxSubstituted;  // of a break's value
};

// Iterations that a later IterationCompleted has folded, but whose events the history still holds: of each
// loop, oldest first, the seqs of each.
using FoldedIterations = std::map<Address, std::deque<std::set<std::int64_t>>>;

// A history that does not fit its graph; `what` says where. The instance is parked, never guessed at.
struct HistoryMismatch {
  std::string what;
};

class Execution {
 public:
  // `input`: the JSON object that the instance was given.
  Execution(std::shared_ptr<const Graph> graph, Variables variables, Policy policy,
            std::optional<std::string> input = {});
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // Folds one event. After a mismatch the execution is of no further use.
  std::optional<HistoryMismatch> apply(const Event& event);

  // What the history holds beside the events to be applied, so that folds to come prune it as they would
  // have done in the run that wrote it. Before the first apply().
  void add_superfluous(FoldedIterations folded);

  // What to do now. Each decision is given once. Records must be applied, in order, then decide() asked
  // again, until it gives nothing more; the others are carried out only after the records before them are
  // committed.
  std::vector<Decision> decide(Time now);

  // When a step that has failed may be tried again: nullopt, not at all. `jitter` in [0, 1) spreads the
  // delays.
  std::optional<Time> retry_at(const Address& address, const Failure& failure, Time now, double jitter) const;

  // The earliest timer; it is the daemon's to fire it, by a TimerFired event.
  struct Timer {
    Time fire_at{};
    Address address;
  };
  std::optional<Timer> next_timer() const;
  // The oldest wait for a signal of that name.
  std::optional<Address> waiter(const std::string& signal_name) const;

  // Whether turns at this node must be committed one at a time and in order, because which comes first
  // decides what happens (it is inside a race, any or timeout). Others of an instance may commit side by
  // side.
  bool is_ordered(NodeIndex node) const;
  // Whether the step at `address` still wants to run.
  bool wants(const Address& address) const;
  bool is_finished() const { return finished_; }
  // The results that are held take more than Policy::instance_bytes: nothing more is begun or decided. The
  // instance is to be failed; no df.catch sees it, so that a history reads the same under another limit.
  bool is_exhausted() const { return exhausted_; }
  std::size_t bytes() const { return *meter_; }
  // A result that is bound to nothing, and counts with the others while somebody has it.
  ResultPtr hold(std::string json) { return make_result(std::move(json)); }

  // What has become of each node, as JSON for people; see NodeStates. `changed`: since this was last asked.
  std::string node_states();
  bool node_states_changed() const { return states_.changed(); }

  const Graph& graph() const { return *graph_; }
  const Variables& variables() const { return variables_; }

 private:
  struct Frame;
  struct Outcome;

  void activate(Frame* parent, std::size_t slot, NodeIndex node, std::string scope, Names names);
  void begin_fresh();
  void begin(Frame& frame);
  void begin_branches(Frame& frame);
  void begin_if_rows(Frame& frame);
  void begin_break(Frame& frame);
  void pass_limit(Frame& limit);
  Frame* limit_around(const Frame& step);
  void hold(Frame& step, Frame& limit);
  void begin_iteration(Frame& loop);
  void begin_rows(Frame& frame);
  void finish(Frame& frame, Outcome outcome);
  void child_finished(Frame& frame, std::size_t slot, Outcome outcome);
  void branch_finished(Frame& frame, std::size_t slot, Outcome outcome);
  void loop_child_finished(Frame& loop, std::size_t slot, Outcome outcome);
  void for_each_child_finished(Frame& frame, std::size_t slot, Outcome outcome);
  void settle(Frame& frame);
  void abandon_children(Frame& frame, StopReason reason);
  void count_end(const Frame& frame, const Outcome& outcome);
  void forget(Frame& frame);
  ResultPtr make_result(std::string json);
  bool may_take(std::size_t bytes);
  bool is_heavy(const std::string& text) const;
  void push_ready(Frame& frame);
  void set_timer(Frame& frame, Time fire_at);
  void clear_timer(Frame& frame);

  std::optional<HistoryMismatch> fold(const Event& event);
  std::optional<HistoryMismatch> apply_step_failed(Frame& frame, const Event& event);
  std::optional<HistoryMismatch> apply_units_taken(Frame& limit, const Event& event);
  std::optional<HistoryMismatch> apply_timer_started(Frame& frame, const Event& event);
  std::optional<HistoryMismatch> apply_timer_fired(Frame& frame, const Event& event);
  std::optional<HistoryMismatch> apply_iteration(Frame& frame, const Event& event);
  std::optional<HistoryMismatch> apply_to_frame(Frame& frame, const Event& event);
  void attribute(Frame* frame, std::int64_t seq, bool works);

  Decision decide_ready(Frame& frame, Time now);
  std::optional<Failure> lacks_input(const Frame& frame) const;
  Decision decide_sleep(Frame& frame, Time now);
  Decision decide_schedule(Frame& frame, Time now);
  Decision decide_signal(Frame& frame, Time now);
  Decision decide_fail(Frame& frame);
  Decision decide_limit(Frame& frame);
  Decision decide_iteration(Frame& loop, Time now);
  Record decide_finish() const;

  std::shared_ptr<const Graph> graph_;
  Variables variables_;
  Policy policy_;
  std::vector<NodeIndex> retry_of_;  // the nearest enclosing df.retry of each node
  std::vector<bool> ordered_;
  std::unique_ptr<Frame> root_;
  std::unique_ptr<Outcome> outcome_;              // of the root, once it has ended
  std::map<Address, Frame*> live_;                // every frame that events may address
  std::deque<std::pair<Address, Frame*>> fresh_;  // frames that have not begun
  // Frames that decide() has to look at, in the order in which they became ready, with their tickets.
  std::deque<std::pair<std::uint64_t, Address>> ready_;
  std::uint64_t last_ticket_ = 0;
  std::vector<Address> stops_;
  FoldedIterations superfluous_;
  std::set<std::pair<Time, Address>> timers_;
  NodeStates states_;
  bool abandons_ = false;      // some node of the graph can end others without an event of theirs
  std::int64_t last_seq_ = 0;  // of the events applied
  std::map<std::string, std::map<std::int64_t, Address>> waits_;  // signal name -> seq of the wait -> where
  Time now_{};                                                    // of the event being applied
  std::shared_ptr<ByteMeter> meter_ = std::make_shared<ByteMeter>(0);
  Names given_;             // $input
  ResultPtr absent_input_;  // what it is bound to in an instance without one
  std::size_t variable_bytes_ = 0;
  std::size_t copied_ = 0;  // into the values of breaks, while the event is applied
  bool exhausted_ = false;
  bool started_ = false;
  bool finished_ = false;
};

// What a replay needs of a history.
struct Replay {
  std::vector<const Event*> events;  // to be applied, in order
  FoldedIterations superfluous;
};
Replay replayable(const Graph& graph, const std::vector<Event>& history);

}  // namespace durabled::dsl
