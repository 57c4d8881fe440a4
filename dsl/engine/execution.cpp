// Transitions between frames: what begins, what an end means to the parent.

#include "dsl/engine/execution.hpp"

#include <algorithm>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/engine/frame.hpp"
#include "dsl/graph/input_reads.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

// What a frame costs on the average, measured: with its row's item, its names, and its places in the maps.
constexpr std::size_t kFrameBytes = 4096;

const ResultPtr& null_result() {
  static const ResultPtr null = std::make_shared<const Result>("null");
  return null;
}

bool is_json(const std::string& text) {
  boost::json::parse_options options;
  options.max_depth = 1'000;
  boost::system::error_code error;
  boost::json::parse(text, error, {}, options);
  return !error;
}

// The error of a node all of whose branches failed: the last failure with a list of all of them, of each the
// code, the message and the node, and not the lists of its own branches, so that nested ones do not grow with
// every level.
Failure with_failures(Failure last, const std::vector<const Failure*>& branches) {
  JsonWriter list;
  list.list();
  for (const Failure* branch : branches) {
    list.object();
    if (!branch->code.empty()) list.member("code", branch->code);
    list.member("message", branch->message);
    if (!branch->node.empty()) list.member("node", branch->node);
    list.close();
  }
  std::erase_if(last.more, [](const auto& member) { return member.first == "failures"; });
  last.more.emplace_back("failures", list.close().take());
  return last;
}

// The names that `branch` bound, for the first time or again, since it began with `before`.
void merge_new_names(Names& into, const Names& branch, const Names& before) {
  branch.visit_changes(before,
                       [&](const std::string& name, const ResultPtr& result) { into.bind(name, result); });
}

}  // namespace

Execution::Execution(std::shared_ptr<const Graph> graph, Variables variables, Policy policy,
                     std::optional<std::string> input)
    : graph_(std::move(graph)), variables_(std::move(variables)), policy_(policy), states_(*graph_) {
  if (input) {
    given_.bind(std::string(kInputName), std::make_shared<const Result>(std::move(*input), meter_, true));
    may_take(0);
  } else if (may_read_input(*graph_)) {
    absent_input_ = std::make_shared<const Result>("null", meter_, true);
    given_.bind(std::string(kInputName), absent_input_);
  }
  const std::size_t count = graph_->nodes.size();
  for (const auto& [name, value] : variables_) variable_bytes_ += value.size();
  retry_of_.assign(count, kNoNode);
  ordered_.assign(count, false);
  for (NodeIndex parent = 0; parent < count; ++parent) {  // preorder: parents come before their children
    const NodeKind kind = (*graph_)[parent].kind;
    const bool orders = kind == NodeKind::kRace || kind == NodeKind::kAny || kind == NodeKind::kTimeout;
    if (orders) ordered_[parent] = abandons_ = true;
    for (const NodeIndex child : (*graph_)[parent].children) {
      retry_of_[child] = kind == NodeKind::kRetry ? parent : retry_of_[parent];
      ordered_[child] = ordered_[parent];
    }
  }
}

Execution::~Execution() = default;

bool Execution::is_ordered(NodeIndex node) const {
  return ordered_[node];
}

bool Execution::wants(const Address& address) const {
  const auto found = live_.find(address);
  return found != live_.end() && found->second->phase == Frame::Phase::kRunning;
}

// The frame begins when begin_fresh() comes to it: begins never nest, however many nodes end at once.
void Execution::activate(Frame* parent, std::size_t slot, NodeIndex node, std::string scope, Names names) {
  auto owned = std::make_unique<Frame>();
  Frame& frame = *owned;
  frame.node = node;
  frame.parent = parent;
  frame.slot = slot;
  frame.scope = std::move(scope);
  frame.names = std::move(names);
  // A million rows that only wait would be gigabytes.
  frame.cost = ByteCharge(meter_, kFrameBytes + 4 * frame.scope.size());
  may_take(0);
  if (parent == nullptr) {
    root_ = std::move(owned);
  } else {
    parent->children[slot] = std::move(owned);
  }
  live_[frame.address()] = &frame;
  fresh_.emplace_back(frame.address(), &frame);
}

void Execution::begin_fresh() {
  while (!fresh_.empty() && !exhausted_) {
    const auto [address, frame] = std::move(fresh_.front());
    fresh_.pop_front();
    const auto found = live_.find(address);
    if (found != live_.end() && found->second == frame && frame->phase == Frame::Phase::kFresh) begin(*frame);
  }
}

// May finish the frame, and with it its ancestors: the caller must not touch any of them afterwards.
void Execution::begin(Frame& frame) {
  const Node& node = (*graph_)[frame.node];
  frame.phase = Frame::Phase::kOpen;
  states_.begun(frame.node);
  switch (node.kind) {
    case NodeKind::kSql:
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
    case NodeKind::kSleep:
    case NodeKind::kWaitSchedule:
    case NodeKind::kWaitSignal:
    case NodeKind::kFail:
    case NodeKind::kLimit:
      frame.phase = Frame::Phase::kReady;
      push_ready(frame);
      return;
    case NodeKind::kTimeout:
      push_ready(frame);  // its timer
      activate(&frame, 0, node.children[0], frame.scope, frame.names);
      return;
    case NodeKind::kSequence:
    case NodeKind::kIf:
    case NodeKind::kRetry:
    case NodeKind::kCatch:
    case NodeKind::kForEach:
      activate(&frame, 0, node.children[0], frame.scope, frame.names);
      return;
    case NodeKind::kIfRows:
      begin_if_rows(frame);
      return;
    case NodeKind::kJoin:
    case NodeKind::kRace:
    case NodeKind::kAny:
      begin_branches(frame);
      return;
    case NodeKind::kLoop:
      frame.kept.emplace_back();
      frame.entered = frame.names;
      begin_iteration(frame);
      return;
    case NodeKind::kBreak:
      begin_break(frame);
      return;
  }
}

void Execution::begin_branches(Frame& frame) {
  const std::vector<NodeIndex>& branches = (*graph_)[frame.node].children;
  frame.open = branches.size();
  frame.outcomes.resize(branches.size());
  for (std::size_t i = 0; i < branches.size(); ++i)
    activate(&frame, i, branches[i], frame.scope, frame.names);
}

void Execution::begin_if_rows(Frame& frame) {
  const Node& node = (*graph_)[frame.node];
  const ResultPtr found = frame.names.find(node.text);
  if (found == nullptr) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::kFailed;
    outcome.failure = make_failure("undefined_name", "df.if_rows: no result is named \"" + node.text + "\"",
                                   frame.node, 1, "Name a step before with |=> '" + node.text + "'.");
    finish(frame, std::move(outcome));
    return;
  }
  const std::size_t branch = has_rows(*found) ? 0 : 1;
  if (branch < node.children.size()) {
    activate(&frame, branch, node.children[branch], frame.scope, frame.names);
    return;
  }
  Outcome outcome;
  outcome.result = null_result();
  outcome.names = frame.names;
  finish(frame, std::move(outcome));
}

void Execution::begin_break(Frame& frame) {
  const Node& node = (*graph_)[frame.node];
  Outcome outcome;
  outcome.kind = Outcome::Kind::kBroke;
  outcome.result = null_result();
  outcome.names = frame.names;
  if (auto lacking = lacks_input(frame)) {
    outcome.kind = Outcome::Kind::kFailed;
    outcome.failure = std::move(*lacking);
  } else if (node.has_text) {
    auto text = substitute_text(node.text, {frame.names, variables_, policy_.max_result_bytes});
    // Values that fail for their size take as long as those that do not, and no room that could be charged.
    copied_ += text ? text->size() : std::min(policy_.max_result_bytes, node.text.size() + bytes());
    exhausted_ = exhausted_ || copied_ > policy_.instance_bytes;
    if (!text) {
      outcome.kind = Outcome::Kind::kFailed;
      outcome.failure = make_failure("reference", text.error().message, frame.node, 1);
    } else if (is_json(*text)) {
      outcome.result = make_result(std::move(*text));
    } else {
      std::string json;
      append_json_string(json, *text);
      outcome.result = make_result(std::move(json));
    }
  }
  finish(frame, std::move(outcome));
}

// The units are there: what is limited begins, or is tried again.
void Execution::pass_limit(Frame& limit) {
  limit.phase = Frame::Phase::kOpen;
  limit.start_at.reset();
  limit.not_before.reset();
  if (limit.children.empty())
    return activate(&limit, 0, (*graph_)[limit.node].children[0], limit.scope, limit.names);
  Frame* held = limit.children.begin()->second.get();
  while ((*graph_)[held->node].kind == NodeKind::kRetry) held = held->children.begin()->second.get();
  held->phase = Frame::Phase::kReady;
  push_ready(*held);
}

// The outermost df.limit that counts each attempt of the step.
Execution::Frame* Execution::limit_around(const Frame& step) {
  Frame* found = nullptr;
  for (Frame* at = step.parent; at != nullptr; at = at->parent) {
    const NodeKind kind = (*graph_)[at->node].kind;
    if (kind == NodeKind::kLimit) found = at;
    if (kind != NodeKind::kLimit && kind != NodeKind::kRetry) break;
  }
  return found;
}

void Execution::hold(Frame& step, Frame& limit) {
  step.phase = Frame::Phase::kOpen;
  limit.phase = Frame::Phase::kReady;
  limit.attempt = 1;
  push_ready(limit);
}

void Execution::begin_iteration(Frame& loop) {
  loop.phase = Frame::Phase::kOpen;
  loop.iteration_started = now_;
  loop.worked = false;
  states_.begin_again_below(loop.node);
  if (loop.parent == nullptr) loop.names = given_;  // a loop that is the root begins each iteration afresh
  activate(&loop, 0, (*graph_)[loop.node].children[0], inner_scope(loop.scope, loop.iteration), loop.names);
}

// Begins as many rows as may run side by side; finishes the frame when there is nothing left to do.
void Execution::begin_rows(Frame& frame) {
  const Node& node = (*graph_)[frame.node];
  const auto& options = std::get<ForEachOptions>(node.options);
  while (!frame.failing && !exhausted_ && frame.next_row < frame.row_texts.size() &&
         frame.open < static_cast<std::size_t>(options.max_parallel)) {
    const std::size_t row = frame.next_row++;
    ++frame.open;
    Names names = frame.names;
    names.bind(options.item,
               make_result("{\"rows\":[" + std::string(frame.row_texts[row]) +
                           "],\"row_count\":1,\"columns\":" + frame.columns + ",\"affected\":1}"));
    activate(&frame, row + 1, node.children[1], inner_scope(frame.scope, static_cast<std::int64_t>(row)),
             std::move(names));
  }
  if (frame.open == 0 && !exhausted_) settle(frame);
}

void Execution::finish(Frame& frame, Outcome outcome) {
  const Node& node = (*graph_)[frame.node];
  if (outcome.kind == Outcome::Kind::kOk && !node.result_name.empty())
    outcome.names.bind(node.result_name, outcome.result);
  const bool timed_out = node.kind == NodeKind::kTimeout;  // else its only child has ended
  abandon_children(frame, timed_out ? StopReason::kTimedOut : StopReason::kLostRace);
  count_end(frame, outcome);
  Frame* const parent = frame.parent;
  const std::size_t slot = frame.slot;
  forget(frame);
  if (parent != nullptr) {
    parent->children.erase(slot);  // destroys frame
    child_finished(*parent, slot, std::move(outcome));
    return;
  }
  if (outcome.kind == Outcome::Kind::kBroke) {
    outcome.kind = Outcome::Kind::kFailed;
    outcome.failure = make_failure("break_outside_loop", "df.break() was called outside of a loop", 0, 1);
  }
  outcome_ = std::make_unique<Outcome>(std::move(outcome));
  root_.reset();
}

void Execution::child_finished(Frame& frame, std::size_t slot, Outcome outcome) {
  const Node& node = (*graph_)[frame.node];
  const bool ok = outcome.kind == Outcome::Kind::kOk;
  switch (node.kind) {
    case NodeKind::kSequence:
      if (!ok || slot + 1 == node.children.size()) return finish(frame, std::move(outcome));
      activate(&frame, slot + 1, node.children[slot + 1], frame.scope, std::move(outcome.names));
      return;
    case NodeKind::kIf: {
      if (!ok || slot > 0) return finish(frame, std::move(outcome));
      const std::size_t branch = is_true(*outcome.result) ? 1 : 2;
      if (branch < node.children.size()) {
        activate(&frame, branch, node.children[branch], frame.scope, std::move(outcome.names));
        return;
      }
      outcome.result = null_result();
      outcome.result_seq = 0;
      return finish(frame, std::move(outcome));
    }
    case NodeKind::kCatch: {
      if (slot == 1) {
        const ResultPtr outer = frame.names.find("error");
        if (outer == nullptr) {
          outcome.names.erase("error");
        } else {
          outcome.names.bind("error", outer);
        }
      }
      if (slot == 1 || outcome.kind != Outcome::Kind::kFailed) return finish(frame, std::move(outcome));
      Names names = frame.names;
      names.bind("error", std::make_shared<const Result>(outcome.failure->bound_json()));
      activate(&frame, 1, node.children[1], frame.scope, std::move(names));
      return;
    }
    case NodeKind::kIfRows:
    case NodeKind::kRace:
    case NodeKind::kRetry:
    case NodeKind::kTimeout:
    case NodeKind::kLimit:
      return finish(frame, std::move(outcome));
    case NodeKind::kJoin:
    case NodeKind::kAny:
      return branch_finished(frame, slot, std::move(outcome));
    case NodeKind::kForEach:
      return for_each_child_finished(frame, slot, std::move(outcome));
    case NodeKind::kLoop:
      return loop_child_finished(frame, slot, std::move(outcome));
    case NodeKind::kSql:
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
    case NodeKind::kSleep:
    case NodeKind::kWaitSchedule:
    case NodeKind::kWaitSignal:
    case NodeKind::kBreak:
    case NodeKind::kFail:
      DURABLED_ASSERT(false);  // these have no children
  }
}

void Execution::branch_finished(Frame& frame, std::size_t slot, Outcome outcome) {
  const bool any = (*graph_)[frame.node].kind == NodeKind::kAny;
  if (any && outcome.kind != Outcome::Kind::kFailed) return finish(frame, std::move(outcome));
  frame.outcomes[slot] = std::move(outcome);
  if (--frame.open > 0) return;
  if (!any) return settle(frame);
  // Every branch has failed. The last failure is the one that decided.
  Outcome last = std::move(frame.outcomes[slot]);
  frame.outcomes[slot].failure = last.failure;
  std::vector<const Failure*> failures;
  for (const Outcome& branch : frame.outcomes) failures.push_back(&*branch.failure);
  last.failure = with_failures(std::move(*last.failure), failures);
  finish(frame, std::move(last));
}

void Execution::for_each_child_finished(Frame& frame, std::size_t slot, Outcome outcome) {
  if (slot > 0) {
    frame.failing |= outcome.kind != Outcome::Kind::kOk;
    states_.row_ended(frame.node, slot - 1, outcome.kind != Outcome::Kind::kFailed);
    outcome.names = {};  // a row's names end with it
    frame.outcomes[slot - 1] = std::move(outcome);
    --frame.open;
    begin_rows(frame);
    return;
  }
  if (outcome.kind != Outcome::Kind::kOk) return finish(frame, std::move(outcome));
  if (!outcome.result->is_row_set()) {
    outcome.kind = Outcome::Kind::kFailed;
    outcome.failure = make_failure("not_a_row_set", "df.for_each: its first argument did not return rows",
                                   frame.node, 1, "Give it a SQL step.");
    return finish(frame, std::move(outcome));
  }
  frame.names = std::move(outcome.names);
  frame.rows = outcome.result;
  frame.columns = json_member(frame.rows->json(), "columns").value_or("[]");
  JsonWalker rows(json_member(frame.rows->json(), "rows").value_or("[]"));
  while (rows.next()) {
    frame.row_texts.push_back(rows.value());
    const bool is_page = frame.row_texts.size() % 1024 == 0;
    if (is_page && !may_take(frame.row_texts.size() * (sizeof(Outcome) + sizeof(std::string_view)))) return;
  }
  frame.charge = ByteCharge(meter_, frame.row_texts.size() * (sizeof(Outcome) + sizeof(std::string_view)));
  frame.outcomes.resize(frame.row_texts.size());
  states_.rows_begun(frame.node, frame.row_texts.size());
  begin_rows(frame);
}

// All branches have ended: the first that failed, in order, else the first that broke, else the array of
// results.
void Execution::settle(Frame& frame) {
  const NodeKind kind = (*graph_)[frame.node].kind;
  const Outcome* broke = nullptr;
  for (Outcome& outcome : frame.outcomes) {
    if (outcome.kind == Outcome::Kind::kFailed) return finish(frame, Outcome(std::move(outcome)));
    if (outcome.kind == Outcome::Kind::kBroke && broke == nullptr) broke = &outcome;
  }
  Outcome all;
  all.names = frame.names;
  if (kind == NodeKind::kJoin) {
    for (const Outcome& outcome : frame.outcomes) merge_new_names(all.names, outcome.names, frame.names);
  }
  if (broke != nullptr) {
    all.kind = Outcome::Kind::kBroke;
    all.result = broke->result;
    return finish(frame, std::move(all));
  }
  std::size_t size = 2;
  for (const Outcome& outcome : frame.outcomes)
    size += outcome.result ? outcome.result->json().size() + 1 : 5;
  if (!may_take(size)) return;
  std::string json = "[";
  json.reserve(size);
  for (const Outcome& outcome : frame.outcomes) {
    if (json.size() > 1) json += ',';
    json += outcome.result ? outcome.result->json() : "null";
  }
  all.result = make_result(std::move(json) + ']');
  finish(frame, std::move(all));
}

void Execution::loop_child_finished(Frame& loop, std::size_t slot, Outcome outcome) {
  const std::vector<NodeIndex>& children = (*graph_)[loop.node].children;
  if (outcome.kind == Outcome::Kind::kFailed) return finish(loop, std::move(outcome));
  if (outcome.kind == Outcome::Kind::kBroke) {
    outcome.kind = Outcome::Kind::kOk;
    states_.loop_result(loop.node, outcome.result->json());
    return finish(loop, std::move(outcome));
  }
  if (slot == 0) {
    loop.last = outcome;
    if (children.size() == 2) {
      activate(&loop, 1, children[1], inner_scope(loop.scope, loop.iteration), std::move(outcome.names));
      return;
    }
  } else if (!is_true(*outcome.result)) {
    loop.last.names = std::move(outcome.names);
    return finish(loop, std::move(loop.last));
  }
  loop.names = std::move(outcome.names);
  loop.phase = Frame::Phase::kEnded;  // decide() begins the next iteration
  push_ready(loop);
}

// Ends what is still active below `frame`, without a word to it.
void Execution::abandon_children(Frame& frame, StopReason reason) {
  for (auto& [slot, child] : frame.children) {
    abandon_children(*child, reason);
    if (child->phase != Frame::Phase::kFresh) states_.stopped(child->node, reason);
    if (child->phase == Frame::Phase::kRunning) stops_.push_back(child->address());
    forget(*child);
  }
  frame.children.clear();
}

// A break has completed, and with it what it leaves; one that no loop is around has failed.
void Execution::count_end(const Frame& frame, const Outcome& outcome) {
  bool ok = outcome.kind == Outcome::Kind::kOk;
  for (const Frame* at = frame.parent; outcome.kind == Outcome::Kind::kBroke && at != nullptr;
       at = at->parent)
    ok = ok || (*graph_)[at->node].kind == NodeKind::kLoop;
  ok ? states_.completed(frame.node) : states_.failed(frame.node);
}

std::string Execution::node_states() {
  constexpr std::size_t kMaxWaits = 10'000;
  std::vector<std::int64_t> waits;
  for (const auto& [address, frame] : live_) {
    if (!abandons_ || waits.size() == kMaxWaits) break;
    const Frame::Phase phase = frame->phase;
    if (phase == Frame::Phase::kDelayed || phase == Frame::Phase::kTiming || phase == Frame::Phase::kAwaiting)
      waits.push_back(frame->wait_seq);
  }
  return states_.json(last_seq_, abandons_ ? &waits : nullptr);
}

void Execution::forget(Frame& frame) {
  clear_timer(frame);
  if (frame.phase == Frame::Phase::kAwaiting) {
    const auto waits = waits_.find(frame.wait_name);
    waits->second.erase(frame.wait_seq);
    if (waits->second.empty()) waits_.erase(waits);
  }
  const auto found = live_.find(frame.address());
  if (found != live_.end() && found->second == &frame) live_.erase(found);
}

// Every result is made here, so that its bytes count.
ResultPtr Execution::make_result(std::string json) {
  auto result = std::make_shared<const Result>(std::move(json), meter_);
  may_take(0);
  return result;
}

bool Execution::may_take(std::size_t bytes) {
  exhausted_ = exhausted_ || *meter_ + bytes > policy_.instance_bytes;
  return !exhausted_;
}

// Whether replacing the references of `text` may take more than some milliseconds: each may insert all that
// there is.
bool Execution::is_heavy(const std::string& text) const {
  constexpr std::size_t kLongText = 32 << 10, kMuch = 4 << 20;
  const std::size_t available = *meter_ + variable_bytes_;
  return text.size() > kLongText || (text.size() / 4 + 1) * available > kMuch;
}

void Execution::push_ready(Frame& frame) {
  frame.ticket = ++last_ticket_;
  ready_.emplace_back(frame.ticket, frame.address());
}

void Execution::set_timer(Frame& frame, Time fire_at) {
  clear_timer(frame);
  frame.fire_at = fire_at;
  timers_.emplace(fire_at, frame.address());
}

void Execution::clear_timer(Frame& frame) {
  if (!frame.fire_at) return;
  timers_.erase({*frame.fire_at, frame.address()});
  frame.fire_at.reset();
}

std::optional<Execution::Timer> Execution::next_timer() const {
  if (timers_.empty()) return std::nullopt;
  return Timer{timers_.begin()->first, timers_.begin()->second};
}

std::optional<Address> Execution::waiter(const std::string& signal_name) const {
  const auto found = waits_.find(signal_name);
  if (found == waits_.end()) return std::nullopt;
  return found->second.begin()->second;
}

}  // namespace durabled::dsl
