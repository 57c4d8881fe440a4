#include "daemon/coordinator.hpp"

#include <algorithm>
#include <exception>
#include <variant>
#include <vector>

#include "dsl/assert.hpp"

namespace durabled::daemon {

void StepPort::commit_and_start(StepId, store::StepCommit, StepId, store::StepStatement) {
  DURABLED_ASSERT(!"this port cannot chain");
}

Coordinator::Coordinator(CoordinatorOptions options, StepPort& steps, HttpPort& http, TurnPort& turns,
                         std::function<dsl::Time()> now)
    : step_port_(steps),
      http_port_(http),
      turn_port_(turns),
      now_(std::move(now)),
      templates_({[this](auto work, auto done) { offload(std::move(work), std::move(done)); },
                  [this](StepId id) { return by_step_.contains(id); },
                  [this](StepId id, TemplateQueue::Statement statement, std::vector<std::string> warnings) {
                    Entry& entry = *of_step(id);
                    handle(entry, [&] {
                      entry.instance.substituted(id, std::move(statement), std::move(warnings), now_());
                    });
                  }}) {
  shared_.options = std::move(options);
  shared_.can_chain = steps.can_chain();
  shared_.random.seed(shared_.options.seed ? *shared_.options.seed : std::random_device{}());
}

Coordinator::~Coordinator() = default;

void Coordinator::reconfigure(const dsl::Policy& policy, std::size_t max_result_bytes,
                              std::chrono::milliseconds mark_running_after) {
  shared_.options.policy = policy;
  shared_.options.max_result_bytes = max_result_bytes;
  shared_.options.mark_running_after = mark_running_after;
}

Coordinator::Entry* Coordinator::find(const std::string& id) {
  const auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : found->second.get();
}

Coordinator::Entry* Coordinator::of_step(StepId id) {
  const auto found = by_step_.find(id);
  return found == by_step_.end() ? nullptr : found->second;
}

// ------------------------------------------------------------------------------------------------- what happens

// What one instance throws, be it a bug or a want of memory, must end neither the daemon nor the work of others:
// the instance is read again, and fails.
template <typename Happening>
void Coordinator::handle(Entry& entry, const Happening& happening) {
  try {
    happening();
    if (carry_out(entry)) schedule(entry);
  } catch (const std::exception& e) {
    broke(entry, e.what());
  }
}

void Coordinator::broke(Entry& entry, const char* why) {
  log(static_cast<int>(LogLevel::kError),
      "instance " + entry.instance.id() + ": handling it threw an exception: " + why);
  entry.instance.broke(why, now_());
  if (carry_out(entry)) schedule(entry);
}

void Coordinator::claimed(store::ClaimedInstance row) {
  // It may be here still: a step's commit that put it down can be overtaken by the claim that followed it.
  if (Entry* old = find(row.id)) handle(*old, [&] { old->instance.lost(); });
  if (Entry* old = find(row.id)) {  // a port threw
    std::erase_if(by_step_, [&](const auto& step) { return step.second == old; });
    erase(*old);
  }
  auto owned = std::make_unique<Entry>(shared_);
  Entry& entry = *owned;
  entry.number = ++last_number_;
  instances_[row.id] = std::move(owned);
  handle(entry, [&] {
    entry.instance.claimed(std::move(row), now_());
    count(entry);
  });
}

void Coordinator::attention(const store::Attention& attention) {
  if (Entry* entry = find(attention.id))
    handle(*entry, [&] { entry->instance.attention(attention, now_()); });
}

void Coordinator::ended(const store::Ended& ended) {
  if (Entry* entry = find(ended.id)) handle(*entry, [&] { entry->instance.lost(); });
  log_end({ended.id, ended.label, ended.role, ended.status, ended.error, ended.seconds, ended.at});
}

void Coordinator::executed(StepId id, store::StepOutcome outcome) {
  Entry* entry = of_step(id);
  if (entry == nullptr) return step_port_.finish(id);
  handle(*entry, [&] { entry->instance.executed(id, std::move(outcome), now_()); });
}

void Coordinator::committed(StepId id, store::CommitOutcome outcome) {
  Entry* entry = of_step(id);
  if (entry == nullptr) return step_port_.finish(id);
  handle(*entry, [&] { entry->instance.committed(id, std::move(outcome), now_()); });
}

void Coordinator::http_done(StepId id, HttpResult result) {
  Entry* entry = of_step(id);
  if (entry == nullptr) return;
  by_step_.erase(id);
  handle(*entry, [&] { entry->instance.http_done(id, std::move(result), now_()); });
}

void Coordinator::turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem) {
  if (Entry* entry = find(turn.instance_id))
    handle(*entry, [&] { entry->instance.turn_done(turn, problem, now_()); });
}

void Coordinator::signal_fetched(const std::string& instance_id, std::int64_t signal_id, std::string data) {
  if (Entry* entry = find(instance_id))
    handle(*entry, [&] { entry->instance.signal_fetched(signal_id, std::move(data), now_()); });
}

void Coordinator::reclaimed(const std::string& instance_id, std::optional<store::ClaimedInstance> row) {
  Entry* entry = find(instance_id);
  if (entry == nullptr) return;
  handle(*entry, [&] {
    entry->instance.reclaimed(std::move(row), now_());
    count(*entry);
  });
}

std::optional<dsl::Time> Coordinator::tick() {
  const dsl::Time now = now_();
  templates_.pump();
  std::vector<Entry*> due;  // handling one takes away no other
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    due.push_back(timers_.begin()->second);
    due.back()->timer.reset();
    timers_.erase(timers_.begin());
  }
  for (Entry* entry : due) {
    handle(*entry, [&] { entry->instance.due(now, [this](StepId id) { return step_port_.queued(id); }); });
  }
  return timers_.empty() ? std::nullopt : std::optional(timers_.begin()->first.first);
}

void Coordinator::drain() {
  shared_.draining = true;
  std::vector<Entry*> all;
  for (const auto& [id, entry] : instances_) all.push_back(entry.get());
  for (Entry* entry : all) {
    handle(*entry,
           [&] { entry->instance.drain(now_(), [this](StepId id) { return step_port_.queued(id); }); });
  }
}

std::set<std::string> Coordinator::roles() const {
  std::set<std::string> roles;
  for (const auto& [id, entry] : instances_) roles.insert(entry->instance.role());
  return roles;
}

void Coordinator::set_http_rights(const std::set<std::string>& asked, const std::set<std::string>& allowed) {
  for (const auto& [id, entry] : instances_) {
    const std::string& role = entry->instance.role();
    if (asked.count(role) > 0) entry->instance.set_may_http(allowed.count(role) > 0);
  }
}

// ----------------------------------------------------------------------------------------------- what is asked for

bool Coordinator::carry_out(Entry& entry) {
  while (auto effect = entry.instance.effects().next()) {
    if (auto* gone = std::get_if<Gone>(&*effect)) {
      if (gone->end) log_end(*gone->end);
      erase(entry);
      return false;
    }
    std::visit(
        [&](auto& asked) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(asked)>, Gone>)
            carry_out(entry, std::move(asked));
        },
        *effect);
  }
  return true;
}

void Coordinator::carry_out(Entry& entry, StartSql effect) {
  by_step_[effect.step] = &entry;
  step_port_.start(effect.step, effect.target, std::move(effect.statement));
}

void Coordinator::carry_out(Entry& entry, SubstituteSql effect) {
  by_step_[effect.step] = &entry;
  templates_.add(std::move(effect));
}

void Coordinator::carry_out(Entry& entry, StartHttp effect) {
  by_step_[effect.step] = &entry;
  http_port_.start(effect.step, entry.instance.role(), entry.instance.id(),
                   (*effect.graph)[effect.call.address.node], effect.call, effect.variables,
                   effect.payload ? &*effect.payload : nullptr);
}

void Coordinator::carry_out(Entry& entry, CommitStep effect) {
  if (!effect.next) return step_port_.commit(effect.step, std::move(effect.commit));
  by_step_[effect.next->step] = &entry;
  step_port_.commit_and_start(effect.step, std::move(effect.commit), effect.next->step,
                              std::move(effect.next->statement));
}

void Coordinator::carry_out(Entry&, CommitForeign effect) {
  step_port_.commit_foreign(effect.step, effect.result);
}

void Coordinator::carry_out(Entry&, FinishStep effect) {
  no_longer_waits_for(effect.step);
  step_port_.finish(effect.step);
}

void Coordinator::carry_out(Entry&, StopStep effect) {
  step_port_.stop(effect.step);
}

void Coordinator::carry_out(Entry&, StopHttp effect) {
  no_longer_waits_for(effect.step);
  http_port_.stop(effect.step);
}

void Coordinator::carry_out(Entry&, AbandonStep effect) {
  no_longer_waits_for(effect.step);
  step_port_.abandon(effect.step);
}

void Coordinator::carry_out(Entry&, SendTurn effect) {
  turn_port_.commit(std::move(effect.turn));
}

void Coordinator::carry_out(Entry& entry, Reclaim) {
  turn_port_.reclaim(entry.instance.id());
}

void Coordinator::carry_out(Entry& entry, FetchSignal effect) {
  turn_port_.fetch_signal(entry.instance.id(), effect.signal);
}

void Coordinator::carry_out(Entry&, PollAt effect) {
  if (!earliest_wake_ || effect.at < *earliest_wake_) earliest_wake_ = effect.at;
}

void Coordinator::carry_out(Entry&, WriteLog effect) {
  log(static_cast<int>(effect.level), effect.text);
}

// ------------------------------------------------------------------------------------------------------ book-keeping

void Coordinator::no_longer_waits_for(StepId id) {
  by_step_.erase(id);
  templates_.forget(id);
}

// A timer that has become too early stays: the instance finds that nothing is due. So that an instance which goes on
// need not be moved in the order of times with every step.
void Coordinator::schedule(Entry& entry) {
  const auto next = entry.instance.next_due();
  if (!next || (entry.timer && *entry.timer <= *next)) return;
  if (entry.timer) timers_.erase({*entry.timer, entry.number});
  entry.timer = next;
  timers_[{*next, entry.number}] = &entry;
}

// What an instance takes is known only when it was read.
void Coordinator::count(Entry& entry) {
  Held& held = held_by_role_[entry.instance.role_id()];
  held.instances += 1 - entry.counted.instances;
  held.bytes += entry.instance.bytes() - entry.counted.bytes;
  entry.counted = {1, entry.instance.bytes()};
}

void Coordinator::erase(Entry& entry) {
  if (entry.timer) timers_.erase({*entry.timer, entry.number});
  if (const auto held = held_by_role_.find(entry.instance.role_id()); held != held_by_role_.end()) {
    held->second.bytes -= entry.counted.bytes;
    held->second.instances -= entry.counted.instances;
    if (held->second.instances == 0) held_by_role_.erase(held);
  }
  instances_.erase(std::string(entry.instance.id()));
}

}  // namespace durabled::daemon
