#include "daemon/metrics/metered_steps.hpp"

#include <algorithm>
#include <utility>

namespace durabled::daemon {
namespace {

std::chrono::microseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

void MeteredSteps::executed(StepId id, const store::StepOutcome& outcome) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Step& step = found->second;
  const auto took = outcome.took.value_or(std::chrono::microseconds(0));
  metrics_.step_started(step.kind, std::max(since(step.started) - took, std::chrono::microseconds(0)));
  metrics_.step_finished(step.kind, outcome.failure ? &*outcome.failure : nullptr, outcome.took);
}

void MeteredSteps::committed(StepId id, const store::CommitOutcome& outcome) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  switch (outcome.kind) {
    case store::CommitOutcome::Kind::kCommitted:
      metrics_.committed(CommitKind::kStep, since(found->second.committing));
      break;
    case store::CommitOutcome::Kind::kLeaseLost:
      metrics_.refused(Refusal::kLeaseLost);
      break;
    case store::CommitOutcome::Kind::kBusy:
    case store::CommitOutcome::Kind::kRefused:
      metrics_.refused(Refusal::kRefused);
      break;
    case store::CommitOutcome::Kind::kNotGrouped:  // it runs again by itself
      break;
    case store::CommitOutcome::Kind::kInDoubt:
      metrics_.refused(Refusal::kInDoubt);
      break;
  }
  if (outcome.kind != store::CommitOutcome::Kind::kCommitted)
    running_.erase(found->second.next);  // it never ran
  running_.erase(found);
}

void MeteredSteps::start(StepId id, const store::StepTarget& target, store::StepStatement statement) {
  running_[id] = {.kind = target.database == served_database_ ? StepKind::kSql : StepKind::kForeign,
                  .started = Clock::now()};
  steps_.start(id, target, std::move(statement));
}

void MeteredSteps::begin_commit(StepId id) {
  if (const auto found = running_.find(id); found != running_.end()) found->second.committing = Clock::now();
}

void MeteredSteps::commit(StepId id, store::StepCommit commit) {
  begin_commit(id);
  steps_.commit(id, std::move(commit));
}

void MeteredSteps::commit_and_start(StepId id, store::StepCommit commit, StepId next,
                                    store::StepStatement statement) {
  begin_commit(id);
  if (const auto found = running_.find(id); found != running_.end()) found->second.next = next;
  running_[next] = {.started = Clock::now()};
  steps_.commit_and_start(id, std::move(commit), next, std::move(statement));
}

void MeteredSteps::commit_foreign(StepId id, const std::string& result) {
  begin_commit(id);
  steps_.commit_foreign(id, result);
}

void MeteredSteps::finish(StepId id) {
  running_.erase(id);
  steps_.finish(id);
}

void MeteredSteps::abandon(StepId id) {
  running_.erase(id);
  steps_.abandon(id);
}

}  // namespace durabled::daemon
