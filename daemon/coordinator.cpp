// Instances: how they come, what is asked of them, how they go. Their turns are in coordinator_turns.cpp.

#include "daemon/coordinator.hpp"

#include <algorithm>
#include <utility>

#include "daemon/instance.hpp"
#include "dsl/assert.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {

using dsl::EventKind;

namespace {

constexpr std::size_t kMaxDatabaseName = 63;

}  // namespace

void StepPort::commit_and_start(StepId, store::StepCommit, StepId, store::StepStatement) {
  DURABLED_ASSERT(!"this port cannot chain");
}

Coordinator::Coordinator(CoordinatorOptions options, StepPort& steps, HttpPort& http, TurnPort& turns,
                         std::function<dsl::Time()> now)
    : options_(std::move(options)),
      step_port_(steps),
      http_port_(http),
      turn_port_(turns),
      now_(std::move(now)),
      random_(options_.seed ? *options_.seed : std::random_device{}()) {}

Coordinator::~Coordinator() = default;

void Coordinator::reconfigure(const dsl::Policy& policy, std::size_t max_result_bytes,
                              std::chrono::milliseconds mark_running_after) {
  options_.policy = policy;
  options_.max_result_bytes = max_result_bytes;
  options_.mark_running_after = mark_running_after;
}

Coordinator::Instance* Coordinator::find(const std::string& id) {
  const auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : found->second.get();
}

void Coordinator::handle_claimed(store::ClaimedInstance claimed) {
  // It may be here still: a step's commit that put it down can be overtaken by the claim that followed it.
  drop(claimed.id);
  auto owned = std::make_unique<Instance>();
  Instance& instance = *owned;
  instance.id = claimed.id;
  instances_[claimed.id] = std::move(owned);
  begin(instance, std::move(claimed));
}

// From a row as it was claimed or reclaimed to a running instance.
void Coordinator::begin(Instance& instance, store::ClaimedInstance claimed) {
  instance.token = claimed.token;
  instance.claim_key = std::move(claimed.claim_key);
  instance.role = claimed.role.value_or("");
  instance.role_id = claimed.role_id;
  instance.bytes = std::max(instance.bytes, claimed.bytes);
  Held& held = held_by_role_[instance.role_id];
  ++held.instances;
  held.bytes += instance.bytes;
  instance.may_http = claimed.may_http;
  instance.database = claimed.database;
  instance.label = claimed.label;
  instance.request = claimed.request;
  instance.paused = claimed.request == "pause";
  for (store::Signal& signal : claimed.signals) {
    instance.known_signals.insert(signal.id);
    signal.sent_at = std::min(signal.sent_at, now_());  // the clocks may differ by some milliseconds
    instance.inbox.push_back(std::move(signal));
  }
  instance.next_seq = claimed.history.empty() ? 1 : claimed.history.back().seq + 1;
  // One that was parked before it had begun begins when it is resumed.
  std::erase_if(claimed.history, [](const auto& event) { return event.kind == EventKind::kInstanceParked; });
  instance.begun = claimed.history.empty() ? now_() : claimed.history.front().at;
  if (!claimed.corrupt.empty()) return park(instance, claimed.corrupt);
  if (instance.fatal) return fail(instance, *instance.fatal);
  if (!claimed.role) {
    return fail(instance, dsl::make_failure("role_dropped",
                                            "the role that submitted this instance no longer exists", 0, 0));
  }
  if (claimed.history.empty()) return begin_anew(instance, claimed);
  const bool started = claimed.history.front().kind == EventKind::kInstanceStarted;
  const auto json = dsl::json_member(claimed.history.front().data, "graph");
  if (!started || !json) return park(instance, "the history does not begin with InstanceStarted");
  auto graph = dsl::from_json(*json, options_.limits);
  if (!graph) return park(instance, "the graph in the history is not valid: " + graph.error().to_string());
  instance.graph = std::make_shared<const dsl::Graph>(std::move(*graph));
  instance.prologue_sent = instance.prologue_committed = true;
  set_variables(instance, claimed, claimed.label);
  if (replay(instance, claimed.history)) proceed(instance);
}

void Coordinator::fail_invalid(Instance& instance, const dsl::Diagnostic& problem) {
  dsl::Failure failure{"invalid_workflow", problem.to_string()};
  failure.hint = problem.hint;
  failure.add_text("reason", problem.code);
  failure.more.emplace_back("line", std::to_string(problem.line));
  failure.more.emplace_back("column", std::to_string(problem.column));
  fail(instance, failure);
}

void Coordinator::begin_anew(Instance& instance, const store::ClaimedInstance& claimed) {
  if (claimed.dsl.size() < claimed.dsl_bytes)
    return fail_invalid(instance, dsl::text_too_long(claimed.dsl_bytes, options_.limits));
  auto parsed = dsl::parse_workflow(claimed.dsl, options_.limits);
  if (!parsed) return fail_invalid(instance, parsed.error());
  if (parsed->database && parsed->database->size() > kMaxDatabaseName) {
    return fail(instance,
                dsl::make_failure("invalid_workflow", "database: the name of a database has at most 63 bytes",
                                  0, 0, "Give the name of a database of this server."));
  }
  instance.new_start = start_json(*parsed);
  if (starts_from_row(*parsed)) {
    instance.leaving = instance.put_back = true;
    return send_turn(instance, {});
  }
  if (parsed->label && instance.label.empty()) instance.label = *parsed->label;
  if (parsed->database) instance.database = *parsed->database;
  instance.graph = std::make_shared<const dsl::Graph>(std::move(parsed->graph));
  set_variables(instance, claimed, instance.label);
  std::vector<std::string> warnings;
  for (const dsl::Diagnostic& warning : parsed->warnings) warnings.push_back(warning.to_string());
  const dsl::Event started = make_event(instance, EventKind::kInstanceStarted, {}, 0,
                                        dsl::event_data::instance_started(*instance.graph, warnings));
  instance.prologue.push_back(started);
  if (apply(instance, started)) proceed(instance);
}

void Coordinator::set_variables(Instance& instance, const store::ClaimedInstance& claimed,
                                const std::string& label) {
  dsl::Variables variables;
  for (dsl::JsonWalker walker(claimed.vars); walker.next();)
    variables[walker.key()] = dsl::json_text(walker.value());
  variables["sys_instance_id"] = instance.id;
  variables["sys_label"] = label;
  instance.run = std::make_unique<dsl::Execution>(instance.graph, std::move(variables), options_.policy);
}

bool Coordinator::replay(Instance& instance, const std::vector<dsl::Event>& history) {
  dsl::Replay replay = dsl::replayable(*instance.graph, history);
  instance.run->add_superfluous(std::move(replay.superfluous));
  for (const dsl::Event* event : replay.events) {
    if (!apply(instance, *event)) return false;
  }
  return true;
}

void Coordinator::handle_attention(const store::Attention& attention) {
  Instance* instance = find(attention.id);
  if (instance == nullptr || instance->token != attention.token) return;
  for (const store::Signal& signal : attention.signals) {
    if (!instance->known_signals.insert(signal.id).second) continue;
    instance->inbox.push_back(signal);
    instance->inbox.back().sent_at = std::min(signal.sent_at, now_());
  }
  instance->request = attention.request;
  if (attention.request == "pause" || attention.request == "resume")
    instance->paused = attention.request == "pause";
  proceed(*instance);
}

void Coordinator::ended(const store::Ended& ended) {
  drop(ended.id);
  log_end({ended.id, ended.label, ended.role, ended.status, ended.error, ended.seconds});
}

// The instance waits for somebody to look at it: its history does not fit.
void Coordinator::park(Instance& instance, const std::string& why) {
  log(4, "instance " + instance.id + " is parked: " + why);
  TurnDraft draft;
  instance.run.reset();
  instance.leaving = true;
  draft.status = TurnDraft::Status::kPaused;
  draft.request = instance.request;
  draft.error = dsl::make_failure("corrupt_history", why, 0, 0,
                                  "Its history does not fit its workflow; look at df.history.")
                    .json();
  send_turn(instance, draft);
}

// An instance that ends before it could begin.
void Coordinator::fail(Instance& instance, const dsl::Failure& failure) {
  TurnDraft draft;
  draft.events.push_back(
      make_event(instance, EventKind::kInstanceFailed, {}, 0, dsl::event_data::instance_failed(failure)));
  draft.status = TurnDraft::Status::kFailed;
  draft.error = failure.json();
  instance.leaving = true;
  ends_with(instance, draft);
  send_turn(instance, draft);
}

void Coordinator::handle_executed(StepId id, store::StepOutcome outcome) {
  const auto found = steps_by_id_.find(id);
  if (found == steps_by_id_.end()) return step_port_.finish(id);
  Instance& instance = *found->second;
  Step& step = instance.steps.at(id);
  if (step.unmarked_since) unmarked_.erase({*step.unmarked_since, id});
  step.unmarked_since.reset();
  if (step.state == Step::State::kStopped) {
    end_step(instance, id);
    return proceed(instance);
  }
  step.outcome = std::move(outcome);
  step.state = Step::State::kExecuted;
  annotate(instance, step);
  if (step.outcome.failure && step.open) {
    step.open = false;
    step_port_.finish(id);
  }
  instance.executed.push_back(id);
  proceed(instance);
}

void Coordinator::http_done(StepId id, HttpResult result) {
  const auto found = steps_by_id_.find(id);
  if (found == steps_by_id_.end()) return;
  found->second->steps.at(id).retry_after = result.retry_after;
  store::StepOutcome outcome{std::move(result.result), std::move(result.failure)};
  outcome.took = result.took;
  executed(id, std::move(outcome));
}

void Coordinator::handle_committed(StepId id, store::CommitOutcome outcome) {
  const auto found = steps_by_id_.find(id);
  if (found == steps_by_id_.end()) return step_port_.finish(id);
  Instance& instance = *found->second;
  Step& step = instance.steps.at(id);
  if (step.state == Step::State::kCommittingThere) return committed_there(instance, step, std::move(outcome));
  const bool raw = step.state == Step::State::kCommittingAlone;
  switch (outcome.kind) {
    case store::CommitOutcome::Kind::kCommitted:
      if (raw) {
        --instance.raw_in_flight;
        instance.unfolded.push_back(std::move(*step.raw_event));
      }
      end_step(instance, id);
      return raw ? proceed(instance) : turn_committed(instance);
    // Reading it again tells whether it is gone. If it is not, the step has failed for a reason of its own.
    case store::CommitOutcome::Kind::kLeaseLost:
    case store::CommitOutcome::Kind::kRefused:
      return reload(instance, id, std::move(outcome.failure));
    case store::CommitOutcome::Kind::kBusy:
    case store::CommitOutcome::Kind::kInDoubt:
      return reload(instance, id, std::nullopt);
  }
}

// In its own database a step is done; now the instance's has to learn of it, while the slot is still the
// step's.
void Coordinator::committed_there(Instance& instance, Step& step, store::CommitOutcome outcome) {
  instance.slot_taken = false;
  if (outcome.kind == store::CommitOutcome::Kind::kInDoubt) return reload(instance, step.id, std::nullopt);
  if (outcome.kind != store::CommitOutcome::Kind::kCommitted) {
    step.outcome.result.reset();
    step.outcome.failure = std::move(outcome.failure);
  }
  step.state = Step::State::kExecuted;
  step.open = false;
  step_port_.finish(step.id);
  instance.executed.push_front(step.id);
  proceed(instance);
}

// The folded state may hold what was never committed: read it anew. What runs is stopped; it runs again.
void Coordinator::reload(Instance& instance, StepId refused_step, std::optional<dsl::Failure> failure) {
  instance.refusal = std::move(failure);
  if (instance.refusal) {
    const Step& step = instance.steps.at(refused_step);
    instance.refused = step.address;
    instance.refused_attempt = step.attempt;
    instance.refused_took = step.outcome.took;
    instance.refusal->final = false;
  }
  end_step(instance, refused_step);
  read_anew(instance);
}

void Coordinator::read_anew(Instance& instance) {
  orphan_steps(instance);
  instance.reloading = true;
  turn_port_.reclaim(instance.id);
}

void Coordinator::signal_fetched(const std::string& instance_id, std::int64_t signal_id, std::string data) {
  Instance* instance = find(instance_id);
  if (instance == nullptr || instance->fetching != signal_id) return;
  instance->fetching = 0;
  for (store::Signal& signal : instance->inbox) {
    if (signal.id == signal_id) signal.data = std::move(data);
  }
  guarded(instance_id, [&] { proceed(*instance); });
}

void Coordinator::handle_reclaimed(const std::string& instance_id,
                                   std::optional<store::ClaimedInstance> claimed) {
  Instance* old = find(instance_id);
  if (old == nullptr) return;
  if (!claimed) {  // another daemon has it, or it was cancelled
    log(1, "instance " + instance_id + " is not held here any more");
    return drop(instance_id);
  }
  auto owned = std::make_unique<Instance>();
  Instance& instance = *owned;
  instance.id = instance_id;
  instance.refused = old->refused;
  instance.refused_attempt = old->refused_attempt;
  instance.refused_took = old->refused_took;
  instance.refusal = std::move(old->refusal);
  instance.fatal = std::move(old->fatal);
  instance.bytes = old->bytes;
  drop(instance_id);
  instances_[instance_id] = std::move(owned);
  begin(instance, std::move(*claimed));
}

void Coordinator::handle_turn_done(const store::Turn& turn,
                                   const std::optional<store::TurnProblem>& problem) {
  Instance* instance = find(turn.instance_id);
  // One that was reclaimed meanwhile goes by what was read then.
  if (instance == nullptr || !instance->turn_pending || instance->reloading || instance->token != turn.token)
    return;
  if (!problem) {
    instance->turn_pending = false;
    return turn_committed(*instance);
  }
  switch (problem->kind) {
    case store::TurnProblem::Kind::kLost:
      return read_anew(*instance);
    case store::TurnProblem::Kind::kBusy:
      instance->resend_at = now_() + std::chrono::milliseconds(50);
      return schedule(*instance);
    case store::TurnProblem::Kind::kRefused:
      log(4, "instance " + turn.instance_id + ": its turn was refused: " + problem->what);
      if (instance->fatal) return drop(turn.instance_id);  // not even its failure is accepted
      instance->fatal =
          dsl::make_failure("turn_refused", "the database refused to record it: " + problem->what, 0, 0,
                            "Text that no database can hold (\\u0000) may be behind it.");
      return read_anew(*instance);
  }
}

// Steps that still run are stopped, and what they answer finds nobody.
void Coordinator::orphan_steps(Instance& instance) {
  for (auto& [id, step] : instance.steps) {
    if (step.unmarked_since) unmarked_.erase({*step.unmarked_since, id});
    steps_by_id_.erase(id);
    release_text(instance, step);
    if (step.is_http) {
      http_port_.stop(id);
    } else if (step.state == Step::State::kRunning) {
      step_port_.stop(id);
    } else if (step.state == Step::State::kExecuted && step.open) {  // nobody else will end it
      step_port_.finish(id);
    }
  }
  instance.steps.clear();
  instance.newest_step.clear();
  instance.executed.clear();
}

void Coordinator::drop(const std::string& id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return;
  orphan_steps(*found->second);
  found->second->run.reset();
  charge(*found->second);
  if (found->second->timer) timers_.erase({*found->second->timer, id});
  if (found->second->states_due) states_due_.erase({*found->second->states_due, id});
  if (const auto held = held_by_role_.find(found->second->role_id); held != held_by_role_.end()) {
    held->second.bytes -= found->second->bytes;
    if (--held->second.instances == 0) held_by_role_.erase(held);
  }
  instances_.erase(found);
}

std::set<std::string> Coordinator::roles() const {
  std::set<std::string> roles;
  for (const auto& [id, instance] : instances_) roles.insert(instance->role);
  return roles;
}

void Coordinator::set_http_rights(const std::set<std::string>& asked, const std::set<std::string>& allowed) {
  for (const auto& [id, instance] : instances_) {
    if (asked.count(instance->role) > 0) instance->may_http = allowed.count(instance->role) > 0;
  }
}

void Coordinator::drain() {
  draining_ = true;
  for (const auto& [id, instance] : steps_by_id_) {
    Step& step = instance->steps.at(id);
    if (step.state != Step::State::kRunning || !step_port_.queued(id)) continue;
    step.state = Step::State::kStopped;
    instance->unstarted = true;
    step_port_.stop(id);
  }
  std::vector<std::string> ids;
  for (const auto& [id, instance] : instances_) ids.push_back(id);
  for (const std::string& id : ids) {
    guarded(id, [&] {
      if (Instance* instance = find(id)) proceed(*instance);
    });
  }
}

std::optional<dsl::Time> Coordinator::take_earliest_wake() {
  return std::exchange(earliest_wake_, std::nullopt);
}

void Coordinator::schedule(Instance& instance) {
  if (instance.run && instance.run->node_states_changed() && !instance.states_due) {
    instance.states_due = now_() + options_.mark_running_after;
    states_due_.emplace(*instance.states_due, instance.id);
  }
  std::optional<dsl::Time> next = instance.resend_at;
  if (!next && instance.run && !instance.run->is_finished() && !instance.paused && !instance.awaits_data) {
    if (const auto timer = instance.run->next_timer()) next = timer->fire_at;
  }
  if (next == instance.timer) return;
  if (instance.timer) timers_.erase({*instance.timer, instance.id});
  instance.timer = next;
  if (next) timers_.emplace(*next, instance.id);
}

// What people see of an instance that runs may be as old as a step may be that is not marked running.
void Coordinator::add_node_states(Instance& instance, TurnDraft& draft) {
  const bool due = instance.states_due && *instance.states_due <= now_();
  if (!instance.run || (draft.status == TurnDraft::Status::kGoesOn && !due)) return;
  draft.states = instance.run->node_states();
  if (!instance.states_due) return;
  states_due_.erase({*instance.states_due, instance.id});
  instance.states_due.reset();
}

void Coordinator::write_due_node_states(dsl::Time now) {
  while (!states_due_.empty() && states_due_.begin()->first <= now) {
    const std::string id = states_due_.begin()->second;
    Instance& instance = *instances_.at(id);
    const bool free = !instance.slot_taken && instance.raw_in_flight == 0 && !instance.reloading;
    if (free && instance.run && !instance.leaving) {
      send_turn(instance, {});
      continue;
    }
    states_due_.erase(states_due_.begin());
    instance.states_due = now + options_.mark_running_after;
    states_due_.emplace(*instance.states_due, id);
  }
}

std::optional<dsl::Time> Coordinator::tick() {
  const dsl::Time now = now_();
  for (auto text = texts_.begin(); text != texts_.end();) substitute_next((text++)->first);
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const std::string id = timers_.begin()->second;
    timers_.erase(timers_.begin());
    Instance* instance = find(id);
    if (instance == nullptr) continue;
    instance->timer.reset();
    guarded(id, [&] {
      if (!instance->resend_at) return proceed(*instance);
      instance->resend_at.reset();
      turn_port_.commit({id, instance->turn_json, instance->token});
    });
  }
  while (!unmarked_.empty() && unmarked_.begin()->first <= now) {
    const StepId id = unmarked_.begin()->second;
    unmarked_.erase(unmarked_.begin());
    const auto found = steps_by_id_.find(id);
    if (found == steps_by_id_.end()) continue;
    Instance& instance = *found->second;
    const std::string instance_id = instance.id;
    guarded(instance_id, [&] { mark_running(instance, instance.steps.at(id), now); });
  }
  write_due_node_states(now);
  std::optional<dsl::Time> next;
  if (!timers_.empty()) next = timers_.begin()->first;
  if (!states_due_.empty() && (!next || states_due_.begin()->first < *next))
    next = states_due_.begin()->first;
  if (!unmarked_.empty() && (!next || unmarked_.begin()->first < *next)) next = unmarked_.begin()->first;
  return next;
}

// A step lasts: its start goes into the history.
void Coordinator::mark_running(Instance& instance, Step& step, dsl::Time now) {
  step.unmarked_since.reset();
  if (step.state != Step::State::kRunning || instance.reloading) return;
  if (instance.slot_taken || instance.raw_in_flight > 0 || step_port_.queued(step.id)) {  // later
    step.unmarked_since = now + options_.mark_running_after;
    unmarked_.emplace(*step.unmarked_since, step.id);
    return;
  }
  TurnDraft draft;
  if (record(instance, draft,
             make_event(instance, EventKind::kStepStarted, step.address, step.attempt,
                        step.alone ? dsl::event_data::step_started_at_least_once() : "")))
    send_turn(instance, draft);
}

}  // namespace durabled::daemon
