// Turns: from what has ended to what is committed and carried out next. The rules of the slot are in
// coordinator.hpp.

#include <algorithm>
#include <utility>

#include "daemon/coordinator.hpp"
#include "daemon/instance.hpp"
#include "dsl/assert.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {

using dsl::EventKind;

namespace {

// An instance whose next timer is nearer than this is not put down for it.
constexpr std::chrono::milliseconds kStayAwake{100};

// After so many events a turn is committed, whatever else could follow at once: a loop that waits for nothing
// must hold up neither the daemon nor its memory.
constexpr std::size_t kTurnEvents = 1'000;

bool is_work(const dsl::Decision& decision) {
  return std::holds_alternative<dsl::RunSql>(decision) || std::holds_alternative<dsl::CallHttp>(decision);
}

}  // namespace

dsl::Event Coordinator::make_event(Instance& instance, EventKind kind, dsl::Address address, int attempt,
                                   std::string data) {
  return {instance.next_seq++, now_(), kind, std::move(address), attempt, std::move(data)};
}

// False: the event does not fit; the instance is parked and must not be touched any more.
bool Coordinator::apply(Instance& instance, const dsl::Event& event) {
  const auto mismatch = instance.run->apply(event);
  charge(instance);
  if (!mismatch) return true;
  park(instance, mismatch->what);
  return false;
}

bool Coordinator::record(Instance& instance, TurnDraft& draft, dsl::Event event) {
  if (!apply(instance, event)) return false;
  finish_draft(instance, draft, event);
  draft.events.push_back(std::move(event));
  return true;
}

// What the end of the instance means for its row.
void Coordinator::finish_draft(Instance& instance, TurnDraft& draft, const dsl::Event& last) {
  const auto error = dsl::json_member(last.data, "error");
  if (last.kind == EventKind::kInstanceCompleted) {
    draft.status = TurnDraft::Status::kCompleted;
    const auto seq = dsl::json_member(last.data, "result_seq");
    draft.result_seq = seq ? std::stoll(std::string(*seq)) : last.seq;
  } else if (last.kind == EventKind::kInstanceFailed || last.kind == EventKind::kInstanceCancelled) {
    draft.status =
        last.kind == EventKind::kInstanceFailed ? TurnDraft::Status::kFailed : TurnDraft::Status::kCancelled;
    draft.error = std::string(error.value_or("null"));
  } else {
    return;
  }
  instance.leaving = true;
  ends_with(instance, draft);
}

void Coordinator::ends_with(Instance& instance, const TurnDraft& draft) {
  const auto seconds = std::chrono::duration<double>(now_() - instance.begun).count();
  instance.end = {instance.id, instance.label, instance.role, to_string(draft.status), draft.error, seconds};
}

// The next turn of an instance, if there is anything to do and the slot allows it.
void Coordinator::proceed(Instance& instance) {
  if (instance.reloading || !instance.run || (instance.leaving && !instance.slot_taken)) return;
  // What is folded next has a higher seq than what commits now beside the slot: it waits, so that events are
  // folded in the order in which a replay would.
  if (instance.slot_taken || instance.raw_in_flight > 0) {
    if (!instance.prologue_committed || instance.leaving) return;
    std::deque<StepId> waiting;
    waiting.swap(instance.executed);
    for (const StepId id : waiting) {
      Step& step = instance.steps.at(id);
      const bool beside = step.outcome.result && step.open && !step.alone && !step.foreign &&
                          !instance.run->is_ordered(step.address.node);
      if (!beside) {
        instance.executed.push_back(id);
        continue;
      }
      step.raw_event = make_event(instance, EventKind::kStepCompleted, step.address, step.attempt,
                                  std::move(*step.outcome.result));
      step.state = Step::State::kCommittingAlone;
      ++instance.raw_in_flight;
      step_port_.commit(id, {instance.claim_key, instance.id, instance.token, *step.raw_event, ""});
    }
    return;
  }
  std::sort(instance.unfolded.begin(), instance.unfolded.end(),
            [](const auto& a, const auto& b) { return a.seq < b.seq; });
  for (const dsl::Event& event : std::exchange(instance.unfolded, {})) {
    if (!apply(instance, event)) return;
  }
  TurnDraft draft;
  if (instance.refusal) {
    const dsl::Failure why = *std::exchange(instance.refusal, std::nullopt);
    dsl::Event failed = make_failed(instance, instance.refused, instance.refused_attempt, why, std::nullopt);
    failed.took = instance.refused_took;
    if (!record(instance, draft, std::move(failed))) return;
  }
  while (!instance.executed.empty() && !instance.leaving) {
    const StepId id = instance.executed.front();
    Step& step = instance.steps.at(id);
    if (!instance.run->wants(step.address)) {
      instance.executed.pop_front();
      end_step(instance, id);
      continue;
    }
    const bool in_session =
        step.outcome.result && step.open && !step.alone && !step.outcome.already_committed;
    if (in_session && !draft.empty()) break;  // it carries its own turn; this one goes first
    instance.executed.pop_front();
    if (in_session && step.foreign) {
      if (!instance.todo.empty()) carry_out(instance);
      step.state = Step::State::kCommittingThere;
      instance.slot_taken = true;
      return step_port_.commit_foreign(id, *step.outcome.result);
    }
    if (in_session) {
      step.state = Step::State::kCommitting;
      dsl::Event event = make_event(instance, EventKind::kStepCompleted, step.address, step.attempt,
                                    std::move(*step.outcome.result));
      if (!apply(instance, event) || !settle(instance, draft)) {
        step.state = Step::State::kExecuted;  // parked: it is rolled back when the instance goes
        return;
      }
      draft.open_with(instance.prologue);
      instance.prologue_sent = true;
      draft.start = instance.new_start;
      add_node_states(instance, draft);
      instance.slot_taken = true;
      std::string turn = draft.for_step(event.at);
      step_port_.commit(id,
                        {instance.claim_key, instance.id, instance.token, std::move(event), std::move(turn)});
      return proceed(instance);
    }
    if (!conclude(instance, step, draft)) return;
  }
  if (!settle(instance, draft)) return;
  if (!draft.empty()) return send_turn(instance, draft);
  carry_out(instance);
  if (!instance.executed.empty()) proceed(instance);  // calls that were refused at once
}

// Everything that follows without waiting for anything: into the draft, and into instance.todo.
bool Coordinator::settle(Instance& instance, TurnDraft& draft) {
  bool more = true;
  while (more && !instance.leaving) {
    if (!instance.run->is_finished()) {
      if (const auto why = over_budget(instance)) {
        return record(instance, draft,
                      make_event(instance, EventKind::kInstanceFailed, {}, 0,
                                 dsl::event_data::instance_failed(*why))) &&
               settle(instance, draft);
      }
    }
    if (instance.paused) break;
    if (draft.events.size() >= kTurnEvents) return true;  // its commit asks again
    bool ok = true;
    more = take_signal(instance, draft, ok) || (ok && fire_timer(instance, draft, ok)) ||
           (ok && take_decisions(instance, draft, ok));
    if (!ok) return false;
  }
  if (instance.leaving && instance.run->is_finished()) {
    for (dsl::Decision& decision : instance.run->decide(now_()))
      instance.todo.push_back(std::move(decision));  // stops
  }
  put_down_if_idle(instance, draft);
  return true;
}

// What was due before a signal was sent has happened first, even if no daemon was there to see it.
bool Coordinator::take_signal(Instance& instance, TurnDraft& draft, bool& ok) {
  instance.awaits_data = false;
  const auto timer = instance.run->next_timer();
  const bool is_due = timer && timer->fire_at <= now_();
  for (auto signal = instance.inbox.begin(); signal != instance.inbox.end(); ++signal) {
    const auto waiter = instance.run->waiter(signal->name);
    if (!waiter) continue;
    if (is_due && timer->fire_at < signal->sent_at) return false;
    if (!signal->data) {
      instance.awaits_data = true;
      if (std::exchange(instance.fetching, signal->id) != signal->id)
        turn_port_.fetch_signal(instance.id, signal->id);
      return false;
    }
    dsl::Event event = make_event(instance, EventKind::kSignalReceived, *waiter, 0,
                                  dsl::event_data::signal_received(signal->name, *signal->data));
    draft.signals.push_back({signal->id, event.at});
    instance.inbox.erase(signal);
    ok = record(instance, draft, std::move(event));
    return true;
  }
  return false;
}

bool Coordinator::fire_timer(Instance& instance, TurnDraft& draft, bool& ok) {
  if (instance.awaits_data) return false;  // of a signal that was sent before the timer was due
  const auto timer = instance.run->next_timer();
  if (!timer || timer->fire_at > now_()) return false;
  ok = record(instance, draft, make_event(instance, EventKind::kTimerFired, timer->address, 0, ""));
  return true;
}

bool Coordinator::take_decisions(Instance& instance, TurnDraft& draft, bool& ok) {
  std::vector<dsl::Decision> decisions = instance.run->decide(now_());
  for (dsl::Decision& decision : decisions) {
    auto* wanted = std::get_if<dsl::Record>(&decision);
    if (wanted == nullptr) {
      instance.todo.push_back(std::move(decision));
      continue;
    }
    dsl::Event& event = wanted->event;
    draft.prune.insert(draft.prune.end(), wanted->prune.begin(), wanted->prune.end());
    ok = record(instance, draft,
                make_event(instance, event.kind, event.address, event.attempt, std::move(event.data)));
    if (!ok) return true;
  }
  return !decisions.empty();
}

// What only waits needs no memory: it is given back until its time comes.
void Coordinator::put_down_if_idle(Instance& instance, TurnDraft& draft) {
  if (instance.leaving || instance.raw_in_flight > 0) return;
  // The step that is just being committed is the only one that may be left.
  for (const auto& [id, step] : instance.steps) {
    if (step.state != Step::State::kCommitting) return;
  }
  const bool has_work =
      instance.unstarted || std::any_of(instance.todo.begin(), instance.todo.end(), is_work);
  if ((has_work || instance.fetching != 0) && !draining_ && !instance.paused) return;
  const auto timer = instance.run->next_timer();
  if (!draining_ && !instance.paused && timer && timer->fire_at < now_() + kStayAwake) return;
  draft.status = instance.paused ? TurnDraft::Status::kPaused : TurnDraft::Status::kWaiting;
  draft.inbox = instance.inbox.size();
  draft.request = instance.request;
  if (timer) draft.wake_at = timer->fire_at;
  if (has_work) draft.wake_at = now_();
  if (draft.wake_at && (!earliest_wake_ || *draft.wake_at < *earliest_wake_)) earliest_wake_ = draft.wake_at;
  instance.leaving = true;
}

void Coordinator::send_turn(Instance& instance, const TurnDraft& draft) {
  TurnDraft whole = draft;
  add_node_states(instance, whole);
  if (!instance.prologue_sent) {
    whole.open_with(instance.prologue);
    whole.start = instance.new_start;
    instance.prologue_sent = true;
  }
  instance.slot_taken = instance.turn_pending = true;
  instance.turn_json = whole.for_batch(instance.id, instance.token, now_());
  turn_port_.commit({instance.id, instance.turn_json, instance.token});
}

void Coordinator::turn_committed(Instance& instance) {
  instance.slot_taken = false;
  instance.prologue.clear();
  instance.prologue_committed = true;
  instance.new_start.clear();
  instance.turn_json.clear();
  if (instance.put_back) earliest_wake_ = now_();  // the poll after this finds it, or its time
  if (instance.leaving) {
    if (instance.end) log_end(*instance.end);
    return drop(instance.id);
  }
  const std::string id = instance.id;
  carry_out(instance);
  std::vector<StepId> marked;
  for (const auto& [step_id, step] : instance.steps) {
    if (step.state == Step::State::kMarking) marked.push_back(step_id);
  }
  for (const StepId step_id : marked) {
    Step& step = instance.steps.at(step_id);
    instance.unstarted |= draining_;
    if (draining_ || !instance.run->wants(step.address)) {
      end_step(instance, step_id);
      continue;
    }
    step.state = Step::State::kRunning;
    step.open = true;
    step_port_.start(step_id, {instance.role, instance.database, instance.role_id}, step.statement);
  }
  if (Instance* still = find(id)) proceed(*still);
}

// A daemon that stops begins no step: what is left to do stays there for put_down_if_idle().
void Coordinator::carry_out(Instance& instance) {
  for (dsl::Decision& decision : std::exchange(instance.todo, {})) {
    if (draining_ && is_work(decision)) {
      instance.todo.push_back(std::move(decision));
    } else if (const auto* run = std::get_if<dsl::RunSql>(&decision)) {
      start_step(instance, *run);
    } else if (const auto* call = std::get_if<dsl::CallHttp>(&decision)) {
      start_http(instance, *call);
    } else if (const auto* stop = std::get_if<dsl::StopStep>(&decision)) {
      stop_step(instance, stop->address);
    }
  }
  schedule(instance);
}

Coordinator::Step& Coordinator::add_step(Instance& instance, const dsl::Address& address, int attempt) {
  const StepId id = next_step_++;
  Step& step = instance.steps[id];
  step.id = id;
  step.address = address;
  step.attempt = attempt;
  instance.newest_step[address] = id;
  steps_by_id_[id] = &instance;
  return step;
}

void Coordinator::mark_later(Step& step) {
  step.unmarked_since = now_() + options_.mark_running_after;
  unmarked_.emplace(*step.unmarked_since, step.id);
}

void Coordinator::start_step(Instance& instance, const dsl::RunSql& run) {
  if (!instance.run->wants(run.address)) return;
  Step& step = add_step(instance, run.address, run.attempt);
  step.statement.sql = run.statement;
  step.statement.instance_id = instance.id;
  step.statement.label = instance.label;
  step.statement.node_id = dsl::node_id(run.address.node);
  step.statement.scope = run.address.scope;
  step.foreign = instance.database != options_.served_database;
  step.statement.attempt = run.attempt;
  step.statement.max_result_bytes = options_.max_result_bytes;
  if (run.is_template) return substitute_later(instance, step, run);
  step.open = true;
  step.warnings = run.warnings;
  mark_later(step);
  step_port_.start(step.id, {instance.role, instance.database, instance.role_id}, step.statement);
}

void Coordinator::start_http(Instance& instance, const dsl::CallHttp& call) {
  if (!instance.run->wants(call.address)) return;
  Step& step = add_step(instance, call.address, call.attempt);
  step.is_http = true;
  if (!instance.may_http) return refuse_http(instance, step);
  mark_later(step);
  http_port_.start(step.id, instance.role, instance.id, (*instance.graph)[call.address.node], call,
                   instance.run->variables());
}

// The text door takes any step from anybody; the right to call is that of the SQL door, df.http's own grant.
void Coordinator::refuse_http(Instance& instance, Step& step) {
  dsl::Failure failure = dsl::make_failure(
      "42501", "role \"" + instance.role + "\" does not have EXECUTE privilege on df.http()",
      step.address.node, step.attempt, "Grant it with df.grant_usage('" + instance.role + "', true).");
  failure.final = true;
  step.outcome.failure = std::move(failure);
  step.state = Step::State::kExecuted;
  instance.executed.push_back(step.id);
}

void Coordinator::stop_step(Instance& instance, const dsl::Address& address) {
  const auto found = instance.newest_step.find(address);
  if (found == instance.newest_step.end()) return;
  const StepId id = found->second;
  Step& step = instance.steps.at(id);
  if (step.is_http) {
    http_port_.stop(id);
    end_step(instance, id);
  } else if (step.state == Step::State::kRunning) {
    step.state = Step::State::kStopped;
    step_port_.stop(id);
  } else if (step.state == Step::State::kSubstituting) {
    end_step(instance, id);
  }  // else it has ended; proceed() finds that nobody wants it
}

// The failure with the engine's verdict on trying again; `retry_after`: seconds that a server asked for.
dsl::Event Coordinator::make_failed(Instance& instance, const dsl::Address& address, int attempt,
                                    const dsl::Failure& failure, std::optional<double> retry_after) {
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random_);
  auto retry = instance.run->retry_at(address, failure, now_(), jitter);
  if (retry && retry_after) {
    retry =
        std::max(*retry, now_() + std::chrono::microseconds(static_cast<std::int64_t>(*retry_after * 1e6)));
  }
  return make_event(instance, EventKind::kStepFailed, address, attempt,
                    dsl::event_data::step_failed(failure, retry));
}

// A step that ended without a transaction to commit in: it failed, ran alone, or was a call. Into the draft.
bool Coordinator::conclude(Instance& instance, Step& step, TurnDraft& draft) {
  const StepId id = step.id;
  if (step.outcome.needs_to_run_alone) {
    step.alone = step.statement.alone = true;
    step.outcome = {};
    step.state = Step::State::kMarking;
    return record(instance, draft,
                  make_event(instance, EventKind::kStepStarted, step.address, step.attempt,
                             dsl::event_data::step_started_at_least_once()));
  }
  dsl::Event event;
  if (step.outcome.result) {
    if (step.outcome.at_least_once &&
        !record(instance, draft,
                make_event(instance, EventKind::kStepStarted, step.address, step.attempt,
                           dsl::event_data::step_started_at_least_once()))) {
      return false;
    }
    event = make_event(instance, EventKind::kStepCompleted, step.address, step.attempt,
                       std::move(*step.outcome.result));
  } else {
    event = make_failed(instance, step.address, step.attempt, *step.outcome.failure, step.retry_after);
  }
  if (!step.outcome.already_committed) event.took = step.outcome.took;
  end_step(instance, id);
  return record(instance, draft, std::move(event));
}

void Coordinator::end_step(Instance& instance, StepId id) {
  const auto found = instance.steps.find(id);
  if (found == instance.steps.end()) return;
  if (found->second.unmarked_since) unmarked_.erase({*found->second.unmarked_since, id});
  if (found->second.state == Step::State::kExecuted) std::erase(instance.executed, id);
  if (found->second.open) step_port_.finish(id);
  steps_by_id_.erase(id);
  release_text(instance, found->second);
  const auto newest = instance.newest_step.find(found->second.address);
  if (newest != instance.newest_step.end() && newest->second == id) instance.newest_step.erase(newest);
  instance.steps.erase(found);
}

}  // namespace durabled::daemon
