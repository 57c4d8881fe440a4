// Folding: event -> state.

#include <algorithm>
#include <charconv>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/engine/execution.hpp"
#include "dsl/engine/frame.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

HistoryMismatch mismatch(const Event& event, const std::string& why) {
  std::string where = "event " + std::to_string(event.seq) + " (" + std::string(to_string(event.kind));
  if (event.address.node != kNoNode) {
    where += " of node " + node_id(event.address.node);
    if (!event.address.scope.empty()) where += " in iteration " + event.address.scope;
  }
  return {where + ") does not fit the workflow: " + why};
}

const boost::json::object* parse_object(const std::string& text, boost::json::value& into) {
  boost::json::parse_options options;
  options.max_depth = 1'000;
  boost::system::error_code error;
  into = boost::json::parse(text, error, {}, options);
  return error ? nullptr : into.if_object();
}

std::optional<std::string> string_field(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<Time> time_field(const boost::json::object& object, std::string_view key) {
  const auto text = string_field(object, key);
  return text ? parse_time(*text) : std::nullopt;
}

bool is_step(NodeKind kind) {
  return kind == NodeKind::kSql || kind == NodeKind::kHttp || kind == NodeKind::kHttpMultipart;
}

bool is_of_instance(EventKind kind) {
  return kind == EventKind::kInstanceStarted || kind == EventKind::kInstanceCompleted ||
         kind == EventKind::kInstanceFailed || kind == EventKind::kInstanceCancelled ||
         kind == EventKind::kInstanceParked;
}

}  // namespace

std::optional<HistoryMismatch> Execution::apply(const Event& event) {
  now_ = event.at;
  last_seq_ = event.seq;
  copied_ = 0;
  auto wrong = fold(event);
  if (!wrong) begin_fresh();
  return wrong;
}

std::optional<HistoryMismatch> Execution::fold(const Event& event) {
  if (is_of_instance(event.kind) && event.address != Address{})
    return mismatch(event, "the instance's own events have no node");
  if (finished_) return mismatch(event, "the instance has ended already");
  switch (event.kind) {
    case EventKind::kInstanceStarted:
      if (started_) return mismatch(event, "the instance has started already");
      started_ = true;
      activate(nullptr, 0, 0, "", given_);
      return std::nullopt;
    case EventKind::kInstanceParked:
      return std::nullopt;
    case EventKind::kInstanceCompleted:
    case EventKind::kInstanceFailed:
    case EventKind::kInstanceCancelled:
      if (event.kind == EventKind::kInstanceCompleted && !outcome_)
        return mismatch(event, "there is still something to do");
      finished_ = true;
      if (root_) {
        if (root_->phase == Frame::Phase::kRunning) stops_.push_back(root_->address());
        abandon_children(*root_, StopReason::kInstanceEnded);
        if (event.kind == EventKind::kInstanceCancelled) {
          states_.stopped(0, StopReason::kInstanceEnded);
        } else {
          states_.failed(0);
        }
        forget(*root_);
        root_.reset();
      }
      return std::nullopt;
    case EventKind::kStepStarted:
    case EventKind::kStepCompleted:
    case EventKind::kStepFailed:
    case EventKind::kTimerStarted:
    case EventKind::kTimerFired:
    case EventKind::kSignalAwaited:
    case EventKind::kSignalReceived:
    case EventKind::kIterationCompleted:
      break;
  }
  const auto found = live_.find(event.address);
  if (found == live_.end()) return mismatch(event, "nothing is active there");
  Frame& frame = *found->second;
  const bool fold = event.kind == EventKind::kIterationCompleted;
  const bool works = fold || event.kind == EventKind::kStepCompleted ||
                     event.kind == EventKind::kStepFailed || event.kind == EventKind::kSignalReceived;
  attribute(fold ? frame.parent : &frame, event.seq, works);
  return apply_to_frame(frame, event);
}

std::optional<HistoryMismatch> Execution::apply_to_frame(Frame& frame, const Event& event) {
  const NodeKind kind = (*graph_)[frame.node].kind;
  const bool leaf = is_step(kind);
  const bool active = frame.phase == Frame::Phase::kReady || frame.phase == Frame::Phase::kRunning;
  boost::json::value parsed;
  switch (event.kind) {
    case EventKind::kStepStarted:
      return (leaf || kind == NodeKind::kLimit) && active
                 ? std::nullopt
                 : std::optional(mismatch(event, "no step is to run there"));
    case EventKind::kStepCompleted: {
      if (kind == NodeKind::kLimit && active) return apply_units_taken(frame, event);
      if (!leaf || !active) return mismatch(event, "no step is to run there");
      if (event.data.empty()) return mismatch(event, "it has no result");
      Outcome outcome;
      outcome.result = make_result(event.data);
      outcome.result_seq = event.seq;
      outcome.names = std::move(frame.names);
      frame.phase = Frame::Phase::kOpen;
      finish(frame, std::move(outcome));
      return std::nullopt;
    }
    case EventKind::kStepFailed:
      if (!active) return mismatch(event, "no step is to run there");
      return apply_step_failed(frame, event);
    case EventKind::kTimerStarted:
      return apply_timer_started(frame, event);
    case EventKind::kTimerFired:
      if (!frame.fire_at) return mismatch(event, "no timer runs there");
      return apply_timer_fired(frame, event);
    case EventKind::kSignalAwaited: {
      const boost::json::object* data = parse_object(event.data, parsed);
      const auto name = data ? string_field(*data, "name") : std::nullopt;
      if (!name || kind != NodeKind::kWaitSignal || !active)
        return mismatch(event, "no wait for a signal is there");
      frame.phase = Frame::Phase::kAwaiting;
      frame.wait_seq = event.seq;
      frame.wait_name = *name;
      waits_[*name][event.seq] = frame.address();
      if (const auto until = time_field(*data, "until")) set_timer(frame, *until);
      return std::nullopt;
    }
    case EventKind::kSignalReceived: {
      if (frame.phase != Frame::Phase::kAwaiting) return mismatch(event, "no wait for a signal is there");
      if (event.data.empty()) return mismatch(event, "it has no result");
      Outcome outcome;
      outcome.result = make_result(event.data);
      outcome.result_seq = event.seq;
      outcome.names = std::move(frame.names);
      finish(frame, std::move(outcome));
      return std::nullopt;
    }
    case EventKind::kIterationCompleted:
      if (kind != NodeKind::kLoop) return mismatch(event, "no loop is there");
      return apply_iteration(frame, event);
    case EventKind::kInstanceStarted:
    case EventKind::kInstanceCompleted:
    case EventKind::kInstanceFailed:
    case EventKind::kInstanceCancelled:
    case EventKind::kInstanceParked:
      break;
  }
  DURABLED_ASSERT(false);  // apply() has dealt with those
}

std::optional<HistoryMismatch> Execution::apply_step_failed(Frame& frame, const Event& event) {
  boost::json::value parsed;
  const boost::json::object* data = parse_object(event.data, parsed);
  const boost::json::value* error = data ? data->if_contains("error") : nullptr;
  if (error == nullptr || !error->is_object()) return mismatch(event, "its data has no error");
  if (const auto retry_at = time_field(*data, "retry_at")) {
    const NodeKind kind = (*graph_)[frame.node].kind;
    if (!is_step(kind) && kind != NodeKind::kLimit)
      return mismatch(event, "that kind of node is not tried again");
    Frame* limit = is_step(kind) && error->get_object().contains("code") ? limit_around(frame) : nullptr;
    if (limit != nullptr && error->get_object().at("code") == "http_429") {
      // The server has had enough of everybody who shares the limits, and they are told before this step waits.
      frame.attempt = event.attempt + 1;
      for (Frame* at = frame.parent; at != limit->parent; at = at->parent) at->not_before = retry_at;
      hold(frame, *limit);
      return std::nullopt;
    }
    frame.phase = Frame::Phase::kDelayed;
    frame.attempt = event.attempt + 1;
    frame.wait_seq = event.seq;
    set_timer(frame, *retry_at);
    return std::nullopt;
  }
  Outcome outcome;
  outcome.kind = Outcome::Kind::kFailed;
  outcome.failure = Failure::parse(json_member(event.data, "error").value_or("{}"));
  if (!frame.scope.empty()) outcome.failure->add_text("scope", frame.scope);
  outcome.names = std::move(frame.names);
  frame.phase = Frame::Phase::kOpen;
  finish(frame, std::move(outcome));
  return std::nullopt;
}

// The result of df._take_units: when they are there, or null for at once.
std::optional<HistoryMismatch> Execution::apply_units_taken(Frame& limit, const Event& event) {
  const auto rows = json_member(event.data, "rows");
  const auto row = rows ? json_element(*rows, 0) : std::nullopt;
  const auto start = row ? json_member(*row, "start_at") : std::nullopt;
  const bool waits = start && json_kind(*start) == JsonKind::kString;
  const auto at = waits ? parse_time(decode_json_string(*start)) : std::nullopt;
  if (waits && !at) return mismatch(event, "the time of its units is no time");
  limit.phase = Frame::Phase::kReady;
  if (!at || *at <= event.at) {
    pass_limit(limit);
  } else {
    limit.start_at = at;
    push_ready(limit);
  }
  return std::nullopt;
}

std::optional<HistoryMismatch> Execution::apply_timer_started(Frame& frame, const Event& event) {
  const NodeKind kind = (*graph_)[frame.node].kind;
  const bool waits = kind == NodeKind::kSleep || kind == NodeKind::kWaitSchedule ||
                     (kind == NodeKind::kLimit && frame.start_at);
  const bool fits = waits                     ? frame.phase == Frame::Phase::kReady
                    : kind == NodeKind::kLoop ? frame.phase == Frame::Phase::kEnded
                                              : kind == NodeKind::kTimeout && !frame.fire_at;
  if (!fits) return mismatch(event, "no timer is to start there");
  boost::json::value parsed;
  const boost::json::object* data = parse_object(event.data, parsed);
  const auto fire_at = data ? time_field(*data, "fire_at") : std::nullopt;
  if (!fire_at) return mismatch(event, "its data has no fire_at");
  if (const auto* seconds = data->if_contains("seconds"); seconds != nullptr && seconds->is_number()) {
    frame.seconds = seconds->to_number<double>();
    if (check_seconds(frame.seconds, "seconds")) return mismatch(event, "its seconds are no duration");
  }
  if (kind == NodeKind::kLoop) frame.phase = Frame::Phase::kPacing;
  if (waits) {
    frame.phase = Frame::Phase::kTiming;
    frame.wait_seq = event.seq;
  }
  set_timer(frame, *fire_at);
  return std::nullopt;
}

std::optional<HistoryMismatch> Execution::apply_timer_fired(Frame& frame, const Event& event) {
  clear_timer(frame);
  Outcome outcome;
  outcome.names = frame.names;
  switch ((*graph_)[frame.node].kind) {
    case NodeKind::kSql:
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:  // the delay before the next attempt is over
      if (Frame* limit = limit_around(frame)) {
        hold(frame, *limit);
        return std::nullopt;
      }
      frame.phase = Frame::Phase::kReady;
      push_ready(frame);
      return std::nullopt;
    case NodeKind::kLimit:
      if (frame.start_at) {
        pass_limit(frame);
        return std::nullopt;
      }
      frame.phase = Frame::Phase::kReady;
      push_ready(frame);
      return std::nullopt;
    case NodeKind::kLoop:
      frame.phase = Frame::Phase::kEnded;
      frame.iteration_started = Time{};  // the pace is kept
      push_ready(frame);
      return std::nullopt;
    case NodeKind::kSleep:
      outcome.result = make_result("{\"slept\":true,\"seconds\":" + format_seconds(frame.seconds) + "}");
      break;
    case NodeKind::kWaitSchedule:
      outcome.result = make_result("{\"scheduled\":true}");
      break;
    case NodeKind::kWaitSignal: {
      outcome.result = make_result(event_data::signal_received(frame.wait_name, std::nullopt));
      break;
    }
    case NodeKind::kTimeout: {
      const double seconds = std::get<TimeoutOptions>((*graph_)[frame.node].options).seconds;
      outcome.kind = Outcome::Kind::kFailed;
      outcome.failure =
          make_failure("timeout", "timed out after " + format_seconds(seconds) + " s", frame.node, 1);
      break;
    }
    case NodeKind::kSequence:
    case NodeKind::kIf:
    case NodeKind::kIfRows:
    case NodeKind::kJoin:
    case NodeKind::kRace:
    case NodeKind::kAny:
    case NodeKind::kBreak:
    case NodeKind::kForEach:
    case NodeKind::kRetry:
    case NodeKind::kCatch:
    case NodeKind::kFail:
      return mismatch(event, "that kind of node has no timer");
  }
  finish(frame, std::move(outcome));
  return std::nullopt;
}

// The next iteration begins. In a history whose older events are pruned this is the loop's first event, and
// whatever the fold has begun in its place is let go.
std::optional<HistoryMismatch> Execution::apply_iteration(Frame& loop, const Event& event) {
  const auto number = json_member(event.data, "iteration");
  const auto names = json_member(event.data, "names");
  std::int64_t iteration = 0;
  if (!number || !names || json_kind(*names) != JsonKind::kObject ||
      std::from_chars(number->data(), number->data() + number->size(), iteration).ec != std::errc()) {
    return mismatch(event, "its data has no iteration or no names");
  }
  if (iteration <= loop.iteration)
    return mismatch(event, "iteration " + std::to_string(loop.iteration) + " has begun already");
  abandon_children(loop, StopReason::kReplaced);
  clear_timer(loop);
  if (const auto earlier = superfluous_.find(loop.address()); earlier != superfluous_.end()) {
    for (const std::set<std::int64_t>& seqs : earlier->second) {
      for (const std::int64_t seq : seqs) attribute(loop.parent, seq, true);
    }
    loop.kept = std::move(earlier->second);
    superfluous_.erase(earlier);
  }
  while (!loop.kept.empty() && loop.kept.front().empty()) loop.kept.pop_front();  // pruned, or of no events
  for (JsonWalker walker(*names); walker.next();) {
    loop.names.bind(std::string(walker.key()), make_result(std::string(walker.value())));
  }
  loop.iteration = iteration;
  loop.kept.emplace_back();
  loop.kept.back().insert(event.seq);
  begin_iteration(loop);
  return std::nullopt;
}

// Notes in every enclosing loop that this event belongs to its current iteration.
void Execution::attribute(Frame* frame, std::int64_t seq, bool works) {
  for (; frame != nullptr; frame = frame->parent) {
    if (frame->kept.empty()) continue;
    frame->kept.back().insert(seq);
    frame->worked |= works;
  }
}

namespace {

// The loops around each node, and how long their scopes are.
class LoopsAround {
 public:
  explicit LoopsAround(const Graph& graph)
      : graph_(graph), enclosing_(graph.nodes.size(), kNoNode), depth_(graph.nodes.size(), 0) {
    for (NodeIndex parent = 0; parent < graph.nodes.size(); ++parent) {  // preorder
      const Node& node = graph[parent];
      const bool loop = node.kind == NodeKind::kLoop;
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        const NodeIndex child = node.children[i];
        enclosing_[child] = loop ? parent : enclosing_[parent];
        depth_[child] = depth_[parent] + (loop || (node.kind == NodeKind::kForEach && i == 1) ? 1 : 0);
      }
    }
  }

  // The outermost loop at or around `event` that has been folded later.
  std::optional<Address> folded_by(const Event& event, const std::map<Address, std::int64_t>& folds) const {
    std::optional<Address> found;
    if (event.address.node >= graph_.nodes.size()) return found;
    for (NodeIndex node = event.address.node; node != kNoNode; node = enclosing_[node]) {
      if (graph_[node].kind != NodeKind::kLoop) continue;
      Address loop{node, prefix(event.address.scope, depth_[node])};
      const auto fold = folds.find(loop);
      if (fold != folds.end() && event.seq < fold->second) found = std::move(loop);
    }
    return found;
  }

 private:
  static std::string prefix(const std::string& scope, std::size_t components) {
    std::size_t end = 0;
    for (; components > 0 && end != std::string::npos; --components) {
      end = scope.find('.', end == 0 ? 0 : end + 1);
    }
    return scope.substr(0, end);
  }

  const Graph& graph_;
  std::vector<NodeIndex> enclosing_;
  std::vector<std::size_t> depth_;
};

}  // namespace

Replay replayable(const Graph& graph, const std::vector<Event>& history) {
  std::map<Address, std::int64_t> folds;  // the last fold of each loop
  for (const Event& event : history) {
    if (event.kind == EventKind::kIterationCompleted) folds[event.address] = event.seq;
  }
  const LoopsAround loops(graph);
  Replay replay;
  for (const Event& event : history) {
    const auto loop = folds.empty() ? std::nullopt : loops.folded_by(event, folds);
    if (!loop) {
      replay.events.push_back(&event);
      continue;
    }
    auto& iterations = replay.superfluous[*loop];
    const bool begins = event.kind == EventKind::kIterationCompleted && event.address == *loop;
    if (begins || iterations.empty()) iterations.emplace_back();
    iterations.back().insert(event.seq);
  }
  return replay;
}

void Execution::add_superfluous(FoldedIterations folded) {
  superfluous_ = std::move(folded);
}

}  // namespace durabled::dsl
