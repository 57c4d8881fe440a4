// Where events reach the coordinator. What one instance throws, be it a bug or a want of memory, must end
// neither the daemon nor the work of others: the instance is read again, and fails.

#include <exception>
#include <utility>

#include "daemon/coordinator.hpp"
#include "daemon/instance.hpp"

namespace durabled::daemon {

void Coordinator::guarded(const std::string& id, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& e) {
    break_off(id, e.what());
  }
}

void Coordinator::guarded_step(StepId id, const std::function<void()>& work) {
  const auto found = steps_by_id_.find(id);
  if (found == steps_by_id_.end()) return work();
  const std::string instance_id = found->second->id;  // the instance may be gone when it throws
  guarded(instance_id, work);
}

void Coordinator::break_off(const std::string& id, const char* why) {
  log(4, "instance " + id + ": handling it threw an exception: " + why);
  Instance* instance = find(id);
  if (instance == nullptr) return;
  for (auto& [step_id, step] : instance->steps) {
    if (step.unmarked_since) unmarked_.erase({*step.unmarked_since, step_id});
    steps_by_id_.erase(step_id);
    release_text(*instance, step);
    if (step.is_http) {
      http_port_.stop(step_id);
    } else {
      step_port_.abandon(step_id);
    }
  }
  instance->steps.clear();
  instance->newest_step.clear();
  instance->executed.clear();
  if (instance->fatal) {  // not even its failure can be handled: it is parked once this daemon's claim ends
    instance->run.reset();
    return;
  }
  instance->fatal =
      dsl::make_failure("internal_error", std::string("the daemon could not handle the workflow: ") + why, 0,
                        0, "This is a defect of durabled, or it has too little memory; its log has more.");
  read_anew(*instance);
}

void Coordinator::claimed(store::ClaimedInstance claimed) {
  const std::string id = claimed.id;
  guarded(id, [&] { handle_claimed(std::move(claimed)); });
}

void Coordinator::attention(const store::Attention& attention) {
  guarded(attention.id, [&] { handle_attention(attention); });
}

void Coordinator::executed(StepId id, store::StepOutcome outcome) {
  guarded_step(id, [&] { handle_executed(id, std::move(outcome)); });
}

void Coordinator::committed(StepId id, store::CommitOutcome outcome) {
  guarded_step(id, [&] { handle_committed(id, std::move(outcome)); });
}

void Coordinator::reclaimed(const std::string& instance_id, std::optional<store::ClaimedInstance> claimed) {
  guarded(instance_id, [&] { handle_reclaimed(instance_id, std::move(claimed)); });
}

void Coordinator::turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem) {
  guarded(turn.instance_id, [&] { handle_turn_done(turn, problem); });
}

}  // namespace durabled::daemon
