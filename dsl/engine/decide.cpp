// Deciding: state -> what to do next.

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/engine/execution.hpp"
#include "dsl/engine/frame.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/input_reads.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/cron.hpp"
#include "dsl/value/sql_literal.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

// A duration, a schedule, the name of a signal.
constexpr std::size_t kMaxShortText = 64 << 10;

Record record(EventKind kind, Address address, std::string data, int attempt = 0) {
  Record made;
  made.event.kind = kind;
  made.event.address = std::move(address);
  made.event.data = std::move(data);
  made.event.attempt = attempt;
  return made;
}

// A step that fails before it runs; nothing retries it, because it would fail the same way.
Record fail_step(const Address& address, int attempt, const std::string& code, const std::string& message,
                 const std::string& hint = {}) {
  const Failure failure = make_failure(code, message, address.node, attempt, hint);
  return record(EventKind::kStepFailed, address, event_data::step_failed(failure), attempt);
}

Time after(Time now, double seconds) {
  return now + std::chrono::microseconds(std::llround(std::clamp(seconds, 0.0, kMaxSeconds) * 1e6));
}

// Applying one of these may end or begin other nodes, and with them what decide() would say of those.
bool changes_others(const Decision& decision) {
  const auto* made = std::get_if<Record>(&decision);
  return made != nullptr &&
         (made->event.kind == EventKind::kStepFailed || made->event.kind == EventKind::kIterationCompleted);
}

bool matches(const RetryOptions& options, const std::string& code) {
  if (options.on.empty()) return true;
  return std::any_of(options.on.begin(), options.on.end(), [&](const std::string& wanted) {
    const bool http = code.starts_with("http_") && code.substr(5) == wanted;
    return http || code == wanted || (wanted.size() == 2 && code.size() == 5 && code.starts_with(wanted));
  });
}

}  // namespace

std::vector<Decision> Execution::decide(Time now) {
  std::vector<Decision> decisions;
  for (Address& address : stops_) decisions.emplace_back(StopStep{std::move(address)});
  stops_.clear();
  if (exhausted_ && !finished_) return decisions;
  if (outcome_ && !finished_) {
    decisions.emplace_back(decide_finish());
    return decisions;
  }
  while (!ready_.empty() && !exhausted_) {
    const auto [ticket, address] = std::move(ready_.front());
    ready_.pop_front();
    const auto found = live_.find(address);
    if (found == live_.end() || found->second->ticket != ticket) continue;  // abandoned, or ready again since
    Frame& frame = *found->second;
    const bool timer_only = (*graph_)[frame.node].kind == NodeKind::kTimeout;
    if (timer_only ? frame.fire_at.has_value()
                   : frame.phase != Frame::Phase::kReady && frame.phase != Frame::Phase::kEnded) {
      continue;  // the history has gone past this point
    }
    decisions.push_back(decide_ready(frame, now));
    if (changes_others(decisions.back())) break;
  }
  return decisions;
}

// A step that reads the input of an instance that was given none.
std::optional<Failure> Execution::lacks_input(const Frame& frame) const {
  if (absent_input_ == nullptr || frame.names.find(kInputName) != absent_input_) return std::nullopt;
  const auto what = needed_input((*graph_)[frame.node]);
  if (!what) return std::nullopt;
  return make_failure(
      "no_input", "this workflow reads " + *what + "; the instance has no input", frame.node, frame.attempt,
      "Give one: the column input of df.submit, input => '{…}' of df.start, or durabled submit "
      "--input. With a ? behind the reference the step runs without it.");
}

Decision Execution::decide_ready(Frame& frame, Time now) {
  const Node& node = (*graph_)[frame.node];
  if (const auto lacking = lacks_input(frame)) {
    return record(EventKind::kStepFailed, frame.address(), event_data::step_failed(*lacking), frame.attempt);
  }
  switch (node.kind) {
    case NodeKind::kSql: {
      if (is_heavy(node.text)) {
        frame.phase = Frame::Phase::kRunning;
        return RunSql{frame.address(), frame.attempt, {}, true, frame.names, {}, is_ordered(frame.node)};
      }
      Notes notes;
      auto statement = substitute_sql(node.text, {frame.names, variables_}, &notes);
      if (!statement)
        return fail_step(frame.address(), frame.attempt, "reference", statement.error().message,
                         statement.error().hint);
      frame.phase = Frame::Phase::kRunning;
      return RunSql{frame.address(),           frame.attempt,         std::move(*statement), false, {},
                    std::move(notes.warnings), is_ordered(frame.node)};
    }
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
      frame.phase = Frame::Phase::kRunning;
      return CallHttp{frame.address(), frame.attempt, frame.names};
    case NodeKind::kSleep:
      return decide_sleep(frame, now);
    case NodeKind::kWaitSchedule:
      return decide_schedule(frame, now);
    case NodeKind::kWaitSignal:
      return decide_signal(frame, now);
    case NodeKind::kTimeout:
      return record(
          EventKind::kTimerStarted, frame.address(),
          event_data::timer_started("timeout", after(now, std::get<TimeoutOptions>(node.options).seconds)));
    case NodeKind::kLoop:
      return decide_iteration(frame, now);
    case NodeKind::kFail:
      return decide_fail(frame);
    case NodeKind::kLimit:
      return decide_limit(frame);
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
      break;
  }
  DURABLED_ASSERT(false);  // never put on ready_
}

Decision Execution::decide_sleep(Frame& frame, Time now) {
  const auto text = substitute_text((*graph_)[frame.node].text, {frame.names, variables_, kMaxShortText});
  if (!text)
    return fail_step(frame.address(), frame.attempt, "reference", text.error().message, text.error().hint);
  const auto seconds = parse_seconds(*text);
  if (!seconds) {
    return fail_step(frame.address(), frame.attempt, "22023",
                     "df.sleep: \"" + *text + "\" is neither a number of seconds nor an interval",
                     "Give seconds (0.5) or an interval (1 day 02:00:00).");
  }
  if (const auto wrong = check_seconds(*seconds, "df.sleep: the duration"))
    return fail_step(frame.address(), frame.attempt, "22023", *wrong);
  return record(EventKind::kTimerStarted, frame.address(),
                event_data::sleep_started(*seconds, after(now, *seconds)));
}

Decision Execution::decide_schedule(Frame& frame, Time now) {
  const Node& node = (*graph_)[frame.node];
  const Bindings bindings{frame.names, variables_, kMaxShortText};
  const auto cron = substitute_text(node.text, bindings);
  if (!cron)
    return fail_step(frame.address(), frame.attempt, "reference", cron.error().message, cron.error().hint);
  const auto zone = substitute_text(std::get<ScheduleOptions>(node.options).timezone, bindings);
  if (!zone)
    return fail_step(frame.address(), frame.attempt, "reference", zone.error().message, zone.error().hint);
  const auto schedule = CronSchedule::parse(*cron, *zone);
  if (!schedule) return fail_step(frame.address(), frame.attempt, "22023", schedule.error());
  const auto next = schedule->next(now);
  if (!next) {
    return fail_step(frame.address(), frame.attempt, "22023",
                     "the schedule \"" + *cron + "\" matches no time", "Check its day and month.");
  }
  return record(EventKind::kTimerStarted, frame.address(), event_data::schedule_started(*cron, *next));
}

Decision Execution::decide_signal(Frame& frame, Time now) {
  const Node& node = (*graph_)[frame.node];
  const auto name = substitute_text(node.text, {frame.names, variables_, kMaxShortText});
  if (!name)
    return fail_step(frame.address(), frame.attempt, "reference", name.error().message, name.error().hint);
  if (name->empty())
    return fail_step(frame.address(), frame.attempt, "22023", "df.wait_for_signal: the name is empty");
  std::optional<Time> until;
  if (const auto& timeout = std::get<SignalOptions>(node.options).timeout_seconds)
    until = after(now, *timeout);
  return record(EventKind::kSignalAwaited, frame.address(), event_data::signal_awaited(*name, until));
}

Decision Execution::decide_fail(Frame& frame) {
  const Node& node = (*graph_)[frame.node];
  const auto message = substitute_text(node.text, {frame.names, variables_});
  if (!message)
    return fail_step(frame.address(), frame.attempt, "reference", message.error().message,
                     message.error().hint);
  return fail_step(frame.address(), frame.attempt, std::get<FailOptions>(node.options).code, *message);
}

// The units are taken by a step of the role's own, in the database that is served: its commit is what is recorded.
Decision Execution::decide_limit(Frame& frame) {
  const auto& options = std::get<LimitOptions>((*graph_)[frame.node].options);
  if (frame.start_at)
    return record(EventKind::kTimerStarted, frame.address(),
                  event_data::limit_started(options.name, *frame.start_at));
  const auto text = substitute_text(options.units, {frame.names, variables_, kMaxShortText});
  if (!text)
    return fail_step(frame.address(), frame.attempt, "reference", text.error().message, text.error().hint);
  const auto units = parse_number(*text);
  if (!units || *units < 0) {
    return fail_step(frame.address(), frame.attempt, "22023",
                     "df.limit: units must be a number that is not negative, not \"" + shorten(*text) + "\"",
                     "Where there may be none, write coalesce in the step that counts them.");
  }
  const auto quoted = [](std::string_view value) { return quote_literal(value, Place::kStatement); };
  std::string statement =
      "select df._take_units(" + quoted(options.name) + ", " + quoted(format_seconds(*units));
  if (frame.not_before) statement += ", " + quoted(format_time(*frame.not_before));
  frame.phase = Frame::Phase::kRunning;
  RunSql run{frame.address(), frame.attempt, std::move(statement) + ") as start_at"};
  run.at_home = true;
  run.is_ordered =
      true;  // alone in its transaction, so that two that take from two limits never wait for each other
  return run;
}

Decision Execution::decide_iteration(Frame& loop, Time now) {
  const bool endless = (*graph_)[loop.node].children.size() == 1;
  // A condition that no step and no signal has a say in never changes: without a pace such a loop would spin.
  const bool idle = !loop.worked;
  const Time earliest = loop.iteration_started + policy_.loop_min_interval;
  if ((endless || idle) && now < earliest) {
    return record(EventKind::kTimerStarted, loop.address(), event_data::timer_started("pace", earliest));
  }
  const Names* names = loop.parent != nullptr ? &loop.names : nullptr;
  Record next = record(EventKind::kIterationCompleted, loop.address(),
                       event_data::iteration_completed(loop.iteration + 1, names, loop.entered));
  while (loop.kept.size() > static_cast<std::size_t>(std::max(policy_.keep_iterations, 1))) {
    const std::set<std::int64_t>& oldest = loop.kept.front();
    next.prune.insert(next.prune.end(), oldest.begin(), oldest.end());
    for (Frame* outer = loop.parent; outer != nullptr; outer = outer->parent) {
      for (std::set<std::int64_t>& kept : outer->kept) {
        for (const std::int64_t seq : oldest) kept.erase(seq);
      }
    }
    loop.kept.pop_front();
  }
  return next;
}

Record Execution::decide_finish() const {
  if (outcome_->kind == Outcome::Kind::kFailed) {
    return record(EventKind::kInstanceFailed, {}, event_data::instance_failed(*outcome_->failure));
  }
  if (outcome_->result_seq > 0) {
    return record(EventKind::kInstanceCompleted, {}, event_data::completed_by_event(outcome_->result_seq));
  }
  return record(EventKind::kInstanceCompleted, {}, event_data::completed_with(outcome_->result->json()));
}

std::optional<Time> Execution::retry_at(const Address& address, const Failure& failure, Time now,
                                        double jitter) const {
  const auto found = live_.find(address);
  if (found == live_.end() || failure.final) return std::nullopt;
  const int attempt = found->second->attempt;
  const NodeIndex retry = retry_of_[address.node];
  double delay = policy_.delay, backoff = policy_.backoff, most = policy_.max_delay;
  std::int64_t attempts = failure.transient ? policy_.max_attempts : 1;
  if (retry != kNoNode) {
    const auto& options = std::get<RetryOptions>((*graph_)[retry].options);
    if (matches(options, failure.code)) {
      attempts = options.max_attempts;
      delay = options.delay, backoff = options.backoff, most = options.max_delay;
    }
  }
  if (attempt >= attempts) return std::nullopt;
  if (delay <= 0) return now;  // and not 0 times infinity
  const double seconds = std::min(delay * std::pow(backoff, attempt - 1), most);
  return after(now, std::min(seconds * (0.75 + 0.5 * jitter), most));
}

}  // namespace durabled::dsl
