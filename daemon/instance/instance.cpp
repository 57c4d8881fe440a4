#include "daemon/instance/instance.hpp"

#include <algorithm>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {

using dsl::EventKind;
using State = Step::State;

namespace {

// An instance whose next timer is nearer than this is not put down for it.
constexpr std::chrono::milliseconds kStayAwake{100};

// The pause before a turn is sent again whose row was locked.
constexpr std::chrono::milliseconds kResendPause{50};

bool is_work(const dsl::Decision& decision) {
  return std::holds_alternative<dsl::RunSql>(decision) || std::holds_alternative<dsl::CallHttp>(decision);
}

}  // namespace

void Instance::become(Slot slot) {
  DURABLED_ASSERT(may_become(slot_, slot));
  slot_ = slot;
}

void Instance::leave(Leaving why) {
  DURABLED_ASSERT(leaving_ == Leaving::kNo);
  leaving_ = why;
}

bool Instance::is_live() const {
  return fold_.is_open() && slot_ != Slot::kReclaim && (leaving_ == Leaving::kNo || slot_ != Slot::kFree);
}

// From a row as it was claimed or reclaimed to a running instance.
void Instance::claimed(store::ClaimedInstance row, dsl::Time now) {
  now_ = now;
  row_ = std::move(row);
  paused_ = row_.request == "pause";
  fold_.inbox().add(std::exchange(row_.signals, {}), now_);
  fold_.follow(row_.history.empty() ? 0 : row_.history.back().seq);
  // One that was parked before it had begun begins when it is resumed.
  std::erase_if(row_.history, [](const auto& event) { return event.kind == EventKind::kInstanceParked; });
  begun_ = row_.history.empty() ? now_ : row_.history.front().at;
  if (fatal_ && row_.corrupt.empty()) return fail(*fatal_);
  open(open_row(row_, surroundings_->options.limits));
}

void Instance::open(Opening opening) {
  if (!opening.corrupt.empty()) return park(opening.corrupt);
  if (opening.failure) return fail(*opening.failure);
  prologue_.set_start(std::move(opening.start));
  if (opening.put_back) {
    leave(Leaving::kPutBack);
    return send_turn({});
  }
  if (opening.label && row_.label.empty()) row_.label = *opening.label;
  if (opening.database) row_.database = *opening.database;
  if (!row_.input) row_.input = std::move(opening.input);
  fold_.open(std::move(opening.graph), variables_of(row_), std::exchange(row_.input, {}), row_.role_id);
  const std::vector<dsl::Event> history = std::exchange(row_.history, {});
  row_.dsl = row_.vars = {};
  if (!history.empty()) {
    prologue_.committed();
    if (fits(fold_.replay(history))) proceed();
    return;
  }
  const dsl::Event& started =
      prologue_.set_started(make_event(EventKind::kInstanceStarted, {}, 0, std::move(opening.start_data)));
  if (fits(fold_.apply(started))) proceed();
}

// The instance waits for somebody to look at it: its history does not fit.
void Instance::park(const std::string& why) {
  emit(WriteLog{LogLevel::kError, "instance " + row_.id + " is parked: " + why});
  steps_.abandon_all(effects_);
  fold_.close();
  leave(Leaving::kParked);
  TurnDraft draft;
  draft.status = TurnDraft::Status::kPaused;
  draft.request = row_.request;
  draft.error = dsl::make_failure("corrupt_history", why, 0, 0,
                                  "Its history does not fit its workflow; look at df.history.")
                    .json();
  send_turn(std::move(draft));
}

// An instance that ends before it could begin.
void Instance::fail(const dsl::Failure& failure) {
  TurnDraft draft;
  draft.events.push_back(
      make_event(EventKind::kInstanceFailed, {}, 0, dsl::event_data::instance_failed(failure)));
  draft.status = TurnDraft::Status::kFailed;
  draft.error = failure.json();
  send_turn(std::move(draft));
}

void Instance::reclaimed(std::optional<store::ClaimedInstance> row, dsl::Time now) {
  if (!row) {  // another daemon has it, or it was cancelled
    emit(WriteLog{LogLevel::kDebug, "instance " + row_.id + " is not held here any more"});
    return gone();
  }
  steps_.abandon_all(effects_);
  fold_.close();
  Instance again(*surroundings_);
  again.effects_ = std::move(effects_);
  again.refused_ = std::move(refused_);
  again.fatal_ = std::move(fatal_);
  row->bytes = std::max(row->bytes, row_.bytes);
  *this = std::move(again);
  claimed(std::move(*row), now);
}

void Instance::broke(const std::string& why, dsl::Time now) {
  now_ = now;
  steps_.abandon_all(effects_);
  if (fatal_) {  // not even its failure can be handled: it is parked once this daemon's claim ends
    fold_.close();
    leaving_ = Leaving::kParked;
    return;
  }
  fatal_ = dsl::make_failure("internal_error", "the daemon could not handle the workflow: " + why, 0, 0,
                             "This is a defect of durabled, or it has too little memory; its log has more.");
  read_again();
}

// The folded state may hold what was never committed. What runs is stopped; it runs again.
void Instance::read_again() {
  steps_.abandon_all(effects_);
  become(Slot::kReclaim);
  emit(Reclaim{});
}

void Instance::gone(std::optional<InstanceEnd> end) {
  steps_.abandon_all(effects_);
  fold_.close();
  emit(Gone{std::move(end)});
}

void Instance::attention(const store::Attention& attention, dsl::Time now) {
  if (row_.token != attention.token) return;
  now_ = now;
  fold_.inbox().add(attention.signals, now);
  row_.request = attention.request;
  if (attention.request == "pause" || attention.request == "resume") paused_ = attention.request == "pause";
  proceed();
}

void Instance::signal_fetched(std::int64_t signal, std::string data, dsl::Time now) {
  now_ = now;
  if (fold_.inbox().fetched(signal, std::move(data))) proceed();
}

void Instance::committed(StepId id, store::CommitOutcome outcome, dsl::Time now) {
  using Kind = store::CommitOutcome::Kind;
  now_ = now;
  Step& step = steps_.at(id);
  const bool is_done = outcome.kind == Kind::kCommitted;
  if (step.state() == State::kForeign && outcome.kind != Kind::kInDoubt) {
    // In its own database the step has ended; now the instance's has to learn of it, before any other turn.
    if (!is_done) {
      step.outcome.result.reset();
      step.outcome.failure = std::move(outcome.failure);
    }
    become(Slot::kFree);
    step.become(State::kExecuted);
    step.open = false;
    emit(FinishStep{id});
    steps_.executed.push_front(id);
    proceed();
  } else if (!is_done) {
    // Reading it again tells whether it is gone. If it is not, the step has failed for a reason of its own.
    const bool has_reason = outcome.kind == Kind::kLeaseLost || outcome.kind == Kind::kRefused;
    refuse(id, has_reason ? std::move(outcome.failure) : std::nullopt);
  } else if (step.state() == State::kBeside) {
    --beside_;
    unfolded_.push_back(std::move(*step.event));
    steps_.finish(id, effects_);
    proceed();
  } else {
    steps_.finish(id, effects_);
    turn_committed();
  }
}

void Instance::refuse(StepId id, std::optional<dsl::Failure> failure) {
  const Step& step = steps_.at(id);
  if (failure) {
    failure->final = false;
    refused_ = RefusedCommit{step.address, step.attempt, step.outcome.took, std::move(*failure)};
  }
  steps_.finish(id, effects_);
  read_again();
}

void Instance::turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem,
                         dsl::Time now) {
  // One that was reclaimed meanwhile goes by what was read then.
  if (slot_ != Slot::kTurn || row_.token != turn.token) return;
  now_ = now;
  if (!problem) return turn_committed();
  switch (problem->kind) {
    case store::TurnProblem::Kind::kLost:
      return read_again();
    case store::TurnProblem::Kind::kBusy:
      resend_at_ = now_ + kResendPause;
      return;
    case store::TurnProblem::Kind::kRefused:
      emit(WriteLog{LogLevel::kError, "instance " + row_.id + ": its turn was refused: " + problem->what});
      if (fatal_) return gone();  // not even its failure is accepted
      fatal_ = dsl::make_failure("turn_refused", "the database refused to record it: " + problem->what, 0, 0,
                                 "Text that no database can hold (\\u0000) may be behind it.");
      return read_again();
  }
}

void Instance::drain(dsl::Time now, const IsQueued& is_queued) {
  now_ = now;
  unstarted_ |= steps_.stop_queued(is_queued, effects_);
  proceed();
}

void Instance::due(dsl::Time now, const IsQueued& is_queued) {
  now_ = now;
  if (resend_at_ && *resend_at_ <= now) {
    resend_at_.reset();
    emit(SendTurn{{row_.id, turn_json_, row_.token}});
  }
  while (steps_.next_mark() && *steps_.next_mark() <= now) mark_running(steps_.first_marked(), is_queued);
  proceed();
  if (!states_due_ || *states_due_ > now || !is_live()) return;
  if (is_free() && leaving_ == Leaving::kNo) return send_turn({});
  states_due_ = now + surroundings_->options.mark_running_after;
}

std::optional<dsl::Time> Instance::next_due() {
  std::optional<dsl::Time> next = resend_at_;
  const auto sooner = [&next](std::optional<dsl::Time> other) {
    if (other && (!next || *other < *next)) next = other;
  };
  sooner(steps_.next_mark());
  if (!is_live()) return next;
  // What people see of an instance that runs may be as old as a step may be that is not marked running.
  if (!states_due_ && fold_.run().node_states_changed())
    states_due_ = now_ + surroundings_->options.mark_running_after;
  sooner(states_due_);
  if (is_free() && !paused_) sooner(fold_.next_timer());
  return next;
}

bool Instance::fits(bool fitted) {
  if (!fitted) park(fold_.mismatch());
  return fitted;
}

void Instance::proceed() {
  if (!is_live()) return;
  if (!is_free()) return commit_beside();
  TurnDraft draft;
  if (!fold_beside() || !record_refusal(draft)) return;
  while (!steps_.executed.empty() && draft.status == TurnDraft::Status::kGoesOn) {
    const StepId id = steps_.executed.front();
    Step& step = steps_.at(id);
    if (!fold_.run().wants(step.address)) {
      steps_.finish(id, effects_);
      continue;
    }
    if (!step.commits_in_session()) {
      if (!conclude(step, draft)) return;
      continue;
    }
    if (!draft.empty()) break;  // it carries its own turn; this one goes first
    steps_.executed.pop_front();
    return step.foreign ? commit_foreign(step) : commit_in_slot(step);
  }
  if (!settle(draft)) return;
  if (!draft.empty()) return send_turn(std::move(draft));
  carry_out();
  if (!steps_.executed.empty()) proceed();  // calls that were refused at once
}

// What is folded next has a higher seq than what commits now beside the slot: it waits, so that events are folded
// in the order in which a replay would.
bool Instance::fold_beside() {
  std::sort(unfolded_.begin(), unfolded_.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  for (const dsl::Event& event : std::exchange(unfolded_, {})) {
    if (!fits(fold_.apply(event))) return false;
  }
  return true;
}

bool Instance::record_refusal(TurnDraft& draft) {
  if (!refused_) return true;
  const RefusedCommit refused = *std::exchange(refused_, std::nullopt);
  return fits(fold_.record_failure(draft, refused.address, refused.attempt, refused.why, refused.took, now_));
}

// Steps whose order does not matter commit their events side by side with the slot's turn.
void Instance::commit_beside() {
  if (!prologue_.is_committed() || leaving_ != Leaving::kNo) return;
  for (const StepId id : std::exchange(steps_.executed, {})) {
    Step& step = steps_.at(id);
    if (!step.commits_in_session() || step.foreign || fold_.run().is_ordered(step.address.node)) {
      steps_.executed.push_back(id);
      continue;
    }
    step.become(State::kBeside);
    step.event =
        make_event(EventKind::kStepCompleted, step.address, step.attempt, std::move(*step.outcome.result));
    ++beside_;
    emit(CommitStep{id, {row_.claim_key, row_.id, row_.token, *step.event, ""}, {}});
  }
}

void Instance::commit_in_slot(Step& step) {
  step.become(State::kCommitting);
  const StepId id = step.id;
  dsl::Event event =
      make_event(EventKind::kStepCompleted, step.address, step.attempt, std::move(*step.outcome.result));
  TurnDraft draft;
  if (!fits(fold_.apply(event)) || !settle(draft)) return;
  complete(draft);
  become(Slot::kStep);
  std::string turn = draft.for_step(event.at);
  steps_.has_recorded = true;  // where the next one runs, this has committed
  std::optional<NextStep> next = take_next();
  emit(CommitStep{id,
                  {row_.claim_key, row_.id, row_.token, std::move(event), std::move(turn), draft.plain()},
                  std::move(next)});
  commit_beside();
}

// The statement that follows the step in the slot, if it may be sent behind that one's commit: it is all that
// there is to do.
std::optional<NextStep> Instance::take_next() {
  if (!surroundings_->can_chain || surroundings_->draining || paused_ || leaving_ != Leaving::kNo) return {};
  if (row_.database != surroundings_->options.served_database) return {};
  if (steps_.size() != 1 || fold_.todo.size() != 1) return {};
  const auto* run = std::get_if<dsl::RunSql>(&fold_.todo.front());
  if (run == nullptr || run->is_template || !fold_.run().wants(run->address)) return {};
  const Step& step = steps_.add_sql(*run, row_, State::kChained);
  fold_.todo.clear();
  return NextStep{step.id, step.statement};
}

void Instance::commit_foreign(Step& step) {
  carry_out();
  step.become(State::kForeign);
  become(Slot::kForeignStep);
  emit(CommitForeign{step.id, *step.outcome.result});
}

// A step that ended without a transaction to commit in: it failed, ran alone, or was a call.
bool Instance::conclude(Step& step, TurnDraft& draft) {
  if (!fits(fold_.record_end(draft, step, now_))) return false;
  if (step.state() == State::kMarking) {
    steps_.executed.pop_front();
  } else {
    steps_.finish(step.id, effects_);
  }
  return true;
}

// Everything that follows without waiting for anything: into the draft, and into what is to be carried out.
bool Instance::settle(TurnDraft& draft) {
  const Fold::Settled settled = fold_.settle(draft, paused_, now_);
  if (!fits(settled != Fold::Settled::kDoesNotFit)) return false;
  if (const auto signal = fold_.take_wanted_signal()) emit(FetchSignal{*signal});
  if (settled == Fold::Settled::kAll && draft.status == TurnDraft::Status::kGoesOn) put_down_if_idle(draft);
  return true;
}

// What only waits needs no memory: it is given back until its time comes.
void Instance::put_down_if_idle(TurnDraft& draft) {
  if (beside_ > 0 || !steps_.are_committing()) return;
  const bool has_work = unstarted_ || std::any_of(fold_.todo.begin(), fold_.todo.end(), is_work);
  const bool must_leave = surroundings_->draining || paused_;
  if ((has_work || fold_.inbox().is_fetching()) && !must_leave) return;
  const auto timer = fold_.run().next_timer();
  if (!must_leave && timer && timer->fire_at < now_ + kStayAwake) return;
  draft.status = paused_ ? TurnDraft::Status::kPaused : TurnDraft::Status::kWaiting;
  draft.inbox = fold_.inbox().size();
  draft.request = row_.request;
  if (timer) draft.wake_at = timer->fire_at;
  if (has_work) draft.wake_at = now_;
  if (draft.wake_at) emit(PollAt{*draft.wake_at});
}

// A turn is about to be sent: what goes along with the first one and with some others, and what it makes of the
// instance.
void Instance::complete(TurnDraft& draft) {
  using Status = TurnDraft::Status;
  prologue_.add_to(draft);
  const bool is_due = states_due_ && *states_due_ <= now_;
  if (fold_.is_open() && (draft.status != Status::kGoesOn || is_due)) {
    draft.states = fold_.run().node_states();
    states_due_.reset();
  }
  if (leaving_ != Leaving::kNo || draft.status == Status::kGoesOn) return;
  const bool is_put_down = draft.status == Status::kWaiting || draft.status == Status::kPaused;
  leave(is_put_down ? Leaving::kPutDown : Leaving::kEnded);
  if (is_put_down) return;
  const auto seconds = std::chrono::duration<double>(now_ - begun_).count();
  end_ = InstanceEnd{row_.id, row_.label, role(), to_string(draft.status), draft.error, seconds, now_};
}

void Instance::send_turn(TurnDraft draft) {
  complete(draft);
  become(Slot::kTurn);
  turn_json_ = draft.for_batch(row_.id, row_.token, now_);
  emit(SendTurn{{row_.id, turn_json_, row_.token}});
}

void Instance::turn_committed() {
  become(Slot::kFree);
  prologue_.committed();
  steps_.has_recorded = true;
  turn_json_.clear();
  if (leaving_ == Leaving::kPutBack) emit(PollAt{now_});  // that poll finds it, or its time
  if (leaving_ != Leaving::kNo) return gone(std::move(end_));
  steps_.release_chained(now_);
  carry_out();
  unstarted_ |= steps_.start_recorded(fold_.run(), row_, effects_);
  proceed();
}

// A daemon that stops begins no step: what is left to do stays there for put_down_if_idle().
void Instance::carry_out() {
  for (dsl::Decision& decision : std::exchange(fold_.todo, {})) {
    if (surroundings_->draining && is_work(decision)) {
      fold_.todo.push_back(std::move(decision));
    } else if (const auto* run = std::get_if<dsl::RunSql>(&decision)) {
      if (!fold_.run().wants(run->address)) continue;
      steps_.start_sql(*run, row_, fold_.graph(), fold_.run().variables(), now_, effects_);
    } else if (auto* call = std::get_if<dsl::CallHttp>(&decision)) {
      if (!fold_.run().wants(call->address)) continue;
      steps_.call_http(std::move(*call), row_, fold_.graph(), fold_.run().variables(), now_, effects_);
    } else if (const auto* stop = std::get_if<dsl::StopStep>(&decision)) {
      steps_.stop(stop->address, effects_);
    }
  }
}

// A step lasts: its start goes into the history.
void Instance::mark_running(Step& step, const IsQueued& is_queued) {
  if (step.state() != State::kRunning || !is_live()) return steps_.unmark(step);
  if (!is_free() || is_queued(step.id)) return steps_.mark_later(step, now_);
  steps_.unmark(step);
  TurnDraft draft;
  if (fits(fold_.record(
          draft, make_event(EventKind::kStepStarted, step.address, step.attempt,
                            step.statement.alone ? dsl::event_data::step_started_at_least_once() : ""))))
    send_turn(std::move(draft));
}

}  // namespace durabled::daemon
