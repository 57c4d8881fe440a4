#include "daemon/instance/fold.hpp"

#include <algorithm>
#include <utility>

#include "dsl/engine/event_data.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {

using dsl::EventKind;

namespace {

// After this number of events a turn is committed, whatever else could follow at once: a loop that waits for nothing
// must hold up neither the daemon nor its memory.
constexpr std::size_t kTurnEvents = 1'000;

// What the end of the instance means for its row.
void end_draft(TurnDraft& draft, const dsl::Event& last) {
  using Status = TurnDraft::Status;
  if (last.kind == EventKind::kInstanceCompleted) {
    draft.status = Status::kCompleted;
    const auto seq = dsl::json_member(last.data, "result_seq");
    draft.result_seq = seq ? std::stoll(std::string(*seq)) : last.seq;
  } else if (last.kind == EventKind::kInstanceFailed || last.kind == EventKind::kInstanceCancelled) {
    draft.status = last.kind == EventKind::kInstanceFailed ? Status::kFailed : Status::kCancelled;
    draft.error = std::string(dsl::json_member(last.data, "error").value_or("null"));
  }
}

}  // namespace

void Fold::open(std::shared_ptr<const dsl::Graph> graph, dsl::Variables variables,
                std::optional<std::string> input, store::RoleId role) {
  graph_ = std::move(graph);
  role_ = role;
  run_ = std::make_unique<dsl::Execution>(graph_, std::move(variables), surroundings_->options.policy,
                                          std::move(input));
}

void Fold::close() {
  run_.reset();
  charge();
}

dsl::Event Fold::make_event(EventKind kind, dsl::Address address, int attempt, std::string data,
                            dsl::Time now) {
  return {next_seq_++, now, kind, std::move(address), attempt, std::move(data)};
}

bool Fold::replay(const std::vector<dsl::Event>& history) {
  dsl::Replay replay = dsl::replayable(*graph_, history);
  run_->add_superfluous(std::move(replay.superfluous));
  return std::all_of(replay.events.begin(), replay.events.end(),
                     [&](const dsl::Event* event) { return apply(*event); });
}

bool Fold::apply(const dsl::Event& event) {
  const auto mismatch = run_->apply(event);
  charge();
  if (mismatch) mismatch_ = mismatch->what;
  return !mismatch;
}

dsl::ResultPtr Fold::hold(std::string json) {
  dsl::ResultPtr held = run_->hold(std::move(json));
  charge();
  return held;
}

bool Fold::record(TurnDraft& draft, dsl::Event event) {
  if (!apply(event)) return false;
  end_draft(draft, event);
  draft.events.push_back(std::move(event));
  return true;
}

bool Fold::record_end(TurnDraft& draft, Step& step, dsl::Time now) {
  const store::StepOutcome& outcome = step.outcome;
  if (outcome.needs_to_run_alone || (outcome.result && outcome.at_least_once)) {
    dsl::Event started = make_event(EventKind::kStepStarted, step.address, step.attempt,
                                    dsl::event_data::step_started_at_least_once(), now);
    if (!record(draft, std::move(started))) return false;
  }
  if (outcome.needs_to_run_alone) {
    step.statement.alone = true;
    step.outcome = {};
    step.become(Step::State::kMarking);
    return true;
  }
  const auto took = outcome.already_committed ? std::nullopt : outcome.took;
  if (!outcome.result)
    return record_failure(draft, step.address, step.attempt, *outcome.failure, took, now, step.retry_after);
  dsl::Event event =
      make_event(EventKind::kStepCompleted, step.address, step.attempt, std::move(*step.outcome.result), now);
  event.took = took;
  return record(draft, std::move(event));
}

// `retry_after`: seconds that a server asked for.
bool Fold::record_failure(TurnDraft& draft, const dsl::Address& address, int attempt,
                          const dsl::Failure& failure, std::optional<std::chrono::microseconds> took,
                          dsl::Time now, std::optional<double> retry_after) {
  const double jitter = std::uniform_real_distribution<double>(0, 1)(surroundings_->random);
  auto retry = run_->retry_at(address, failure, now, jitter);
  if (retry && retry_after)
    retry = std::max(*retry, now + std::chrono::microseconds(static_cast<std::int64_t>(*retry_after * 1e6)));
  dsl::Event event =
      make_event(EventKind::kStepFailed, address, attempt, dsl::event_data::step_failed(failure, retry), now);
  event.took = took;
  return record(draft, std::move(event));
}

Fold::Settled Fold::settle(TurnDraft& draft, bool paused, dsl::Time now) {
  for (bool more = true; more && draft.status == TurnDraft::Status::kGoesOn;) {
    if (const auto why = over_budget()) {
      std::string data = dsl::event_data::instance_failed(*why);
      dsl::Event failed = make_event(EventKind::kInstanceFailed, {}, 0, std::move(data), now);
      return record(draft, std::move(failed)) ? Settled::kAll : Settled::kDoesNotFit;
    }
    if (paused) break;
    if (draft.events.size() >= kTurnEvents) return Settled::kMore;
    more = take_signal(draft, now) || fire_timer(draft, now) || take_decisions(draft, now);
    if (!mismatch_.empty()) return Settled::kDoesNotFit;
  }
  return Settled::kAll;
}

// What was due before a signal was sent has happened first, even if no daemon was there to see it.
bool Fold::take_signal(TurnDraft& draft, dsl::Time now) {
  awaits_data_ = false;
  const auto timer = run_->next_timer();
  const bool is_due = timer && timer->fire_at <= now;
  for (auto signal = inbox_.begin(); signal != inbox_.end(); ++signal) {
    const auto waiter = run_->waiter(signal->name);
    if (!waiter) continue;
    if (is_due && timer->fire_at < signal->sent_at) return false;
    if (!signal->data) {
      awaits_data_ = true;
      if (inbox_.want(*signal)) wanted_signal_ = signal->id;
      return false;
    }
    dsl::Event event = make_event(EventKind::kSignalReceived, *waiter, 0,
                                  dsl::event_data::signal_received(signal->name, *signal->data), now);
    draft.signals.push_back({signal->id, event.at});
    inbox_.take(signal);
    return record(draft, std::move(event));
  }
  return false;
}

bool Fold::fire_timer(TurnDraft& draft, dsl::Time now) {
  // A signal that was sent before the timer was due comes before it.
  if (awaits_data_ || !mismatch_.empty()) return false;
  const auto timer = run_->next_timer();
  if (!timer || timer->fire_at > now) return false;
  return record(draft, make_event(EventKind::kTimerFired, timer->address, 0, "", now));
}

bool Fold::take_decisions(TurnDraft& draft, dsl::Time now) {
  if (!mismatch_.empty()) return false;
  std::vector<dsl::Decision> decisions = run_->decide(now);
  for (dsl::Decision& decision : decisions) {
    auto* wanted = std::get_if<dsl::Record>(&decision);
    if (wanted == nullptr) {
      todo.push_back(std::move(decision));
      continue;
    }
    dsl::Event& event = wanted->event;
    draft.prune.insert(draft.prune.end(), wanted->prune.begin(), wanted->prune.end());
    if (!record(draft, make_event(event.kind, event.address, event.attempt, std::move(event.data), now)))
      return false;
  }
  return !decisions.empty();
}

std::optional<dsl::Time> Fold::next_timer() const {
  if (run_->is_finished() || awaits_data_) return std::nullopt;
  const auto timer = run_->next_timer();
  return timer ? std::optional(timer->fire_at) : std::nullopt;
}

void Fold::charge() {
  const std::size_t bytes = run_ ? run_->bytes() + inbox_.bytes() : 0;
  if (bytes == charged_) return;
  surroundings_->role_bytes.change(role_, charged_, bytes);
  charged_ = bytes;
}

// Why an instance may not go on: what it, or all of its role, holds in memory.
std::optional<dsl::Failure> Fold::over_budget() {
  charge();
  constexpr std::size_t kSmall = 1 << 20;
  const auto mib = [](std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  const CoordinatorOptions& options = surroundings_->options;
  if (run_->is_finished()) return std::nullopt;
  if (run_->is_exhausted() || charged_ > options.policy.instance_bytes) {
    return dsl::make_failure(
        "instance_bytes",
        "the results and signals that this instance holds take more than limits.instance_bytes (" +
            mib(options.policy.instance_bytes) + ")",
        0, 0,
        "Return less, give fewer results names, send less, keep rows in a table; or raise "
        "limits.instance_bytes in the "
        "daemon's configuration.");
  }
  if (charged_ < kSmall || surroundings_->role_bytes.of(role_) <= options.role_bytes) return std::nullopt;
  return dsl::make_failure(
      "role_bytes",
      "the results and signals that the instances of this role hold take more than limits.role_bytes (" +
          mib(options.role_bytes) + ")",
      0, 0,
      "Start fewer at a time, return less, keep rows in a table; or raise limits.role_bytes in the daemon's "
      "configuration.");
}

}  // namespace durabled::daemon
