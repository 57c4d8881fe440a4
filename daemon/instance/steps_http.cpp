// The calls among an instance's steps, and what statements do before and after them.

#include <utility>

#include "daemon/instance/steps.hpp"

namespace durabled::daemon {

using Part = Exchange::Part;
using State = Step::State;

// The text door takes any step from anybody; the right to call is that of the SQL door, df.http's own grant.
void Steps::call_http(dsl::CallHttp call, const store::ClaimedInstance& row,
                      std::shared_ptr<const dsl::Graph> graph, const dsl::Variables& variables, dsl::Time now,
                      Effects& effects) {
  const auto& options = std::get<dsl::HttpOptions>((*graph)[call.address.node].options);
  const bool asks = options.request && row.may_http;
  Step& step = add(call.address, call.attempt,
                   !row.may_http ? State::kExecuted
                   : asks        ? State::kSubstituting
                                 : State::kRunning);
  step.is_http = !asks;
  const std::string role = row.role.value_or("");
  if (!row.may_http) {
    step.outcome.failure = dsl::make_failure(
        "42501", "role \"" + role + "\" does not have EXECUTE privilege on df.http()", step.address.node,
        step.attempt, "Grant it with df.grant_usage('" + role + "', true).");
    executed.push_back(step.id);
    return;
  }
  if (asks || options.into) {
    step.exchange = Exchange{asks ? Part::kRequest : Part::kCall, call, {}, 0};
    describe(step, row);
  }
  if (asks) {
    step.statement.part = "request";
    return effects.add(SubstituteSql{step.id, role, std::move(graph), step.address.node,
                                     std::move(call.names), variables, Part::kRequest});
  }
  mark_later(step, now);
  effects.add(StartHttp{step.id, std::move(graph), std::move(call), variables});
}

bool Steps::goes_on(Step& step, const dsl::ResultPtr& answer, const store::ClaimedInstance& row,
                    const std::shared_ptr<const dsl::Graph>& graph, const dsl::Variables& variables,
                    Effects& effects) {
  if (!step.exchange) return false;
  Exchange& exchange = *step.exchange;
  const bool has_failed = step.outcome.failure.has_value();
  switch (exchange.part) {
    case Part::kRequest:
      step.outcome.needs_to_run_alone = false;  // it could not be rolled back
      // Another database may remember that the whole step is done.
      return !has_failed && !step.outcome.already_committed &&
             goes_on_to_call(step, graph, variables, effects);
    case Part::kCall: {
      if (has_failed || answer == nullptr) return false;
      exchange.part = Part::kInto;
      step.is_http = false;
      step.statement.part = "into";
      step.outcome = {};
      dsl::Names names = exchange.call.names;
      names.bind(std::string(dsl::kResponseName), answer);
      step.become(State::kSubstituting);
      effects.add(SubstituteSql{step.id, row.role.value_or(""), graph, step.address.node, std::move(names),
                                variables, Part::kInto});
      return true;
    }
    case Part::kInto:
      if (!has_failed || !step.outcome.failure->transient || step.statement.alone ||
          ++exchange.into_tries >= Exchange::kIntoTries)
        return false;
      step.outcome = {};
      effects.add(FinishStep{step.id});
      send(step, row, effects);
      return true;
  }
  return false;
}

// What the statement did, which is nothing, is rolled back before the call.
bool Steps::goes_on_to_call(Step& step, const std::shared_ptr<const dsl::Graph>& graph,
                            const dsl::Variables& variables, Effects& effects) {
  auto payload = payload_of(*step.outcome.result, step.address, step.attempt);
  step.outcome = {};
  step.open = false;
  effects.add(FinishStep{step.id});
  if (!payload) {
    step.outcome.failure = std::move(payload.error());
    return false;
  }
  if (!*payload) {
    step.outcome.result = "null";
    return false;
  }
  step.exchange->part = Part::kCall;
  step.is_http = true;
  effects.add(StartHttp{step.id, graph, step.exchange->call, variables, std::move(*payload)});
  return true;
}

}  // namespace durabled::daemon
