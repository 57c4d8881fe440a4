// What an instance hears of its steps before they commit.

#include <utility>

#include "daemon/instance/instance.hpp"

namespace durabled::daemon {

using Part = Exchange::Part;
using State = Step::State;

void Instance::substituted(StepId id, Expected<std::string, dsl::SubstitutionError> statement,
                           std::vector<std::string> warnings, dsl::Time now) {
  now_ = now;
  Step& step = steps_.at(id);
  if (statement) {
    step.statement.sql = std::move(*statement);
    step.warnings = std::move(warnings);
    step.become(State::kRunning);
    const bool is_first_part = !step.exchange || step.exchange->part != Part::kInto;
    if (is_first_part) steps_.mark_later(step, now_);
    return steps_.send(step, row_, effects_);
  }
  const dsl::SubstitutionError& error = statement.error();
  step.outcome.failure =
      dsl::make_failure(error.code, error.message, step.address.node, step.attempt, error.hint);
  step.outcome.failure->final = error.code == "reference";  // another answer may have the rows
  step.annotate("");
  steps_.wait_for_turn(step, effects_);
  proceed();
}

void Instance::executed(StepId id, store::StepOutcome outcome, dsl::Time now) {
  step_ended(id, std::move(outcome), nullptr, now);
}

void Instance::http_done(StepId id, HttpResult result, dsl::Time now) {
  Step& step = steps_.at(id);
  step.retry_after = result.retry_after;
  dsl::ResultPtr answer;
  const auto& options = std::get<dsl::HttpOptions>((*fold_.graph())[step.address.node].options);
  if (result.result && options.into) {
    step.exchange->facts = std::move(result.facts);
    answer = fold_.hold(std::move(*result.result));
    result.result.emplace();
  }
  store::StepOutcome outcome{std::move(result.result), std::move(result.failure)};
  outcome.took = result.took;
  step_ended(id, std::move(outcome), answer, now);
}

void Instance::step_ended(StepId id, store::StepOutcome outcome, const dsl::ResultPtr& answer,
                          dsl::Time now) {
  now_ = now;
  Step& step = steps_.at(id);
  const bool is_unstarted = step.exchange && step.exchange->part == Part::kRequest && surroundings_->draining;
  if (step.state() == State::kStopped || is_unstarted) {
    unstarted_ |= is_unstarted;
    steps_.finish(id, effects_);
    return proceed();
  }
  step.outcome = std::move(outcome);
  const bool goes_on = steps_.goes_on(step, answer, row_, fold_.graph(), fold_.run().variables(), effects_);
  if (!goes_on) {
    steps_.unmark(step);
    step.annotate(text_of((*fold_.graph())[step.address.node], step.part()));
    steps_.wait_for_turn(step, effects_);
  }
  proceed();
}

}  // namespace durabled::daemon
