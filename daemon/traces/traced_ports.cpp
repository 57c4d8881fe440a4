#include "daemon/traces/traced_ports.hpp"

#include <algorithm>
#include <utility>

namespace durabled::daemon {
namespace {

// When an attempt began that ends now: its wait for a connection or for its turn is not part of it.
dsl::Time beginning(dsl::Time started, dsl::Time end, std::optional<std::chrono::microseconds> took) {
  return took ? std::max(started, end - *took) : started;
}

}  // namespace

void TracedSteps::add(StepId id, store::StepStatement& statement, bool is_foreign,
                      std::optional<dsl::Time> started) {
  const std::string node = statement.node_id + (statement.part.empty() ? "" : "/" + statement.part);
  TracedAttempt attempt{statement.instance_id, node, statement.scope, statement.attempt};
  if (!tracer_.traces(attempt.instance)) return;
  statement.traceparent = tracer_.traceparent(attempt);
  Step step;
  step.attempt = std::move(attempt);
  step.is_foreign = is_foreign;
  step.is_alone = statement.alone;
  step.is_rolled_back = statement.reads_only();
  step.started = started;
  running_[id] = std::move(step);
}

void TracedSteps::start(StepId id, const store::StepTarget& target, store::StepStatement statement) {
  add(id, statement, target.database != served_database_, now_());
  steps_.start(id, target, std::move(statement));
}

void TracedSteps::executed(StepId id, const store::StepOutcome& outcome) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Step& step = found->second;
  if (outcome.needs_to_run_alone && !step.is_stopped) {  // the same attempt begins once more
    running_.erase(found);
    return;
  }
  EndedAttempt how;
  how.end = now_();
  how.start = beginning(step.started.value_or(how.end), how.end, outcome.took);
  how.kind = step.is_foreign ? "foreign_sql" : "sql";
  how.guarantee = step.is_alone || outcome.at_least_once ? "at-least-once" : "exactly-once";
  step.ended = std::move(how);
  const bool is_certain = outcome.failure || step.is_alone || outcome.already_committed;
  if (!is_certain) return;
  if (step.is_stopped)
    send(step, "stopped");
  else if (outcome.failure)
    send(step, "failed", outcome.failure->code);
  else
    send(step, "completed");
  running_.erase(found);
}

void TracedSteps::committed(StepId id, const store::CommitOutcome& outcome) {
  using Kind = store::CommitOutcome::Kind;
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Step& step = found->second;
  const auto next = running_.find(step.next);
  if (outcome.kind == Kind::kCommitted) {
    send(step, "completed");
    if (next != running_.end()) next->second.started = now_();
  } else {
    if (outcome.kind == Kind::kRefused) send(step, "failed", outcome.failure ? outcome.failure->code : "");
    if (next != running_.end()) running_.erase(next);  // it never ran
  }
  running_.erase(id);
}

void TracedSteps::begin_commit(StepId id) {
  if (const auto found = running_.find(id); found != running_.end()) found->second.is_committing = true;
}

void TracedSteps::commit(StepId id, store::StepCommit commit) {
  begin_commit(id);
  steps_.commit(id, std::move(commit));
}

void TracedSteps::commit_and_start(StepId id, store::StepCommit commit, StepId next,
                                   store::StepStatement statement) {
  begin_commit(id);
  if (const auto found = running_.find(id); found != running_.end()) found->second.next = next;
  add(next, statement, false, std::nullopt);
  steps_.commit_and_start(id, std::move(commit), next, std::move(statement));
}

void TracedSteps::commit_foreign(StepId id, const std::string& result) {
  begin_commit(id);
  steps_.commit_foreign(id, result);
}

void TracedSteps::finish(StepId id) {
  if (const auto found = running_.find(id); found != running_.end()) {
    if (found->second.ended) send(found->second, found->second.is_rolled_back ? "completed" : "stopped");
    running_.erase(found);
  }
  steps_.finish(id);
}

void TracedSteps::stop(StepId id) {
  if (const auto found = running_.find(id); found != running_.end()) {
    if (steps_.queued(id))
      running_.erase(found);
    else
      found->second.is_stopped = true;
  }
  steps_.stop(id);
}

// A commit that is under way goes on, and its answer tells.
void TracedSteps::abandon(StepId id) {
  if (const auto found = running_.find(id); found != running_.end() && !found->second.is_committing) {
    Step& step = found->second;
    if (step.started && !steps_.queued(id)) {
      if (!step.ended) {
        step.ended.emplace();
        step.ended->start = *step.started;
        step.ended->end = now_();
        step.ended->kind = step.is_foreign ? "foreign_sql" : "sql";
      }
      send(step, "stopped");
    }
    running_.erase(found);
  }
  steps_.abandon(id);
}

void TracedSteps::send(const Step& step, const std::string& status, const std::string& code) {
  EndedAttempt how = step.ended.value_or(EndedAttempt{});
  how.status = status;
  how.code = code;
  tracer_.ended(step.attempt, how);
}

void TracedHttp::start(StepId id, const std::string& role, const std::string& instance_id,
                       const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables,
                       const HttpPayload* payload) {
  if (tracer_.traces(instance_id)) {
    const auto* options = std::get_if<dsl::HttpOptions>(&node.options);
    calls_[id] = {{instance_id, dsl::node_id(call.address.node), call.address.scope, call.attempt},
                  options == nullptr ? "" : options->method,
                  now_()};
  }
  http_.start(id, role, instance_id, node, call, variables, payload);
}

void TracedHttp::done(StepId id, const HttpResult& result) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  EndedAttempt how;
  how.end = now_();
  how.start = beginning(found->second.started, how.end, result.took);
  how.status = result.failure ? "failed" : "completed";
  if (result.failure) how.code = result.failure->code;
  how.http_status = result.facts.status;
  send(found->second, std::move(how));
  calls_.erase(found);
}

void TracedHttp::stop(StepId id) {
  if (const auto found = calls_.find(id); found != calls_.end()) {
    EndedAttempt how;
    how.start = found->second.started;
    how.end = now_();
    how.status = "stopped";
    send(found->second, std::move(how));
    calls_.erase(found);
  }
  http_.stop(id);
}

void TracedHttp::send(const Call& call, EndedAttempt how) {
  how.kind = "http";
  how.guarantee = "at-least-once";
  how.http_method = call.method;
  tracer_.ended(call.attempt, how);
}

}  // namespace durabled::daemon
