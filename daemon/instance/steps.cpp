#include "daemon/instance/steps.hpp"

#include <algorithm>

namespace durabled::daemon {

using State = Step::State;

Step& Steps::add(const dsl::Address& address, int attempt, State state) {
  const StepId id = ++surroundings_->last_step;
  newest_[address] = id;
  return steps_.try_emplace(id, id, address, attempt, state).first->second;
}

std::vector<StepId> Steps::in(State state) const {
  std::vector<StepId> ids;
  for (const auto& [id, step] : steps_) {
    if (step.state() == state) ids.push_back(id);
  }
  return ids;
}

bool Steps::are_committing() const {
  return std::all_of(steps_.begin(), steps_.end(),
                     [](const auto& entry) { return entry.second.state() == State::kCommitting; });
}

// What its statement has beside the text.
void Steps::describe(Step& step, const store::ClaimedInstance& row) const {
  if (step.database.empty()) step.database = row.database;
  step.foreign = step.database != surroundings_->options.served_database;
  step.statement.instance_id = row.id;
  step.statement.label = row.label;
  step.statement.node_id = dsl::node_id(step.address.node);
  step.statement.scope = step.address.scope;
  step.statement.attempt = step.attempt;
  step.statement.is_first = !has_recorded;
  step.statement.max_result_bytes = surroundings_->options.max_result_bytes;
}

Step& Steps::add_sql(const dsl::RunSql& run, const store::ClaimedInstance& row, State state) {
  Step& step = add(run.address, run.attempt, state);
  if (run.at_home) step.database = surroundings_->options.served_database;
  describe(step, row);
  step.warnings = run.warnings;
  step.statement.may_group = !run.is_ordered && run.attempt == 1;
  step.statement.sql = run.statement;
  return step;
}

void Steps::start_sql(const dsl::RunSql& run, const store::ClaimedInstance& row,
                      const std::shared_ptr<const dsl::Graph>& graph, const dsl::Variables& variables,
                      dsl::Time now, Effects& effects) {
  Step& step = add_sql(run, row, run.is_template ? State::kSubstituting : State::kRunning);
  if (run.is_template) {
    return effects.add(
        SubstituteSql{step.id, row.role.value_or(""), graph, run.address.node, run.names, variables});
  }
  mark_later(step, now);
  send(step, row, effects);
}

bool Steps::start_recorded(const dsl::Execution& run, const store::ClaimedInstance& row, Effects& effects) {
  const std::vector<StepId> recorded = in(State::kMarking);
  for (const StepId id : recorded) {
    Step& step = at(id);
    if (surroundings_->draining || !run.wants(step.address)) {
      finish(id, effects);
    } else {
      step.become(State::kRunning);
      send(step, row, effects);
    }
  }
  return surroundings_->draining && !recorded.empty();
}

void Steps::wait_for_turn(Step& step, Effects& effects) {
  step.become(State::kExecuted);
  if (step.outcome.failure && std::exchange(step.open, false)) effects.add(FinishStep{step.id});
  executed.push_back(step.id);
}

void Steps::send(Step& step, const store::ClaimedInstance& row, Effects& effects) {
  step.open = true;
  effects.add(StartSql{step.id, {row.role.value_or(""), step.database, row.role_id}, step.statement});
}

void Steps::release_chained(dsl::Time now) {
  for (const StepId id : in(State::kChained)) {
    Step& step = at(id);
    step.become(State::kRunning);
    step.open = true;
    mark_later(step, now);
  }
}

void Steps::stop(const dsl::Address& address, Effects& effects) {
  const auto found = newest_.find(address);
  if (found == newest_.end()) return;
  Step& step = at(found->second);
  if (step.is_http) {
    effects.add(StopHttp{step.id});
    finish(step.id, effects);
  } else if (step.state() == State::kRunning) {
    step.become(State::kStopped);
    effects.add(StopStep{step.id});
  } else if (step.state() == State::kSubstituting) {
    finish(step.id, effects);
  }  // else it has ended, and whoever comes to its turn finds that nobody wants it
}

bool Steps::stop_queued(const std::function<bool(StepId)>& is_queued, Effects& effects) {
  bool any = false;
  for (auto& [id, step] : steps_) {
    if (step.state() != State::kRunning || step.is_http || !is_queued(id)) continue;
    // The daemon waits for what was answered already, so that no call is repeated.
    if (step.exchange && step.exchange->part == Exchange::Part::kInto) continue;
    step.become(State::kStopped);
    effects.add(StopStep{id});
    any = true;
  }
  return any;
}

void Steps::finish(StepId id, Effects& effects) {
  Step& step = at(id);
  unmark(step);
  if (step.state() == State::kExecuted) std::erase(executed, id);
  if (step.open || step.state() == State::kSubstituting) effects.add(FinishStep{id});
  const auto newest = newest_.find(step.address);
  if (newest != newest_.end() && newest->second == id) newest_.erase(newest);
  steps_.erase(id);
}

void Steps::abandon_all(Effects& effects) {
  for (const auto& [id, step] : steps_) {
    if (step.is_http) {
      effects.add(StopHttp{id});
    } else {
      effects.add(AbandonStep{id});
    }
  }
  steps_.clear();
  newest_.clear();
  marks_.clear();
  executed.clear();
}

void Steps::mark_later(Step& step, dsl::Time now) {
  unmark(step);
  step.mark_at = now + surroundings_->options.mark_running_after;
  marks_.emplace(*step.mark_at, step.id);
}

void Steps::unmark(Step& step) {
  if (step.mark_at) marks_.erase({*step.mark_at, step.id});
  step.mark_at.reset();
}

std::optional<dsl::Time> Steps::next_mark() const {
  return marks_.empty() ? std::nullopt : std::optional(marks_.begin()->first);
}

}  // namespace durabled::daemon
