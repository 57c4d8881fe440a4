#include "daemon/work_loop.hpp"

#include <algorithm>
#include <utility>

#include "daemon/retry_policy.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kTurnBatch = 500;
constexpr milliseconds kRepeatPause{50};
constexpr milliseconds kOthersInterval{1'000};  // between two looks for dead daemons
constexpr milliseconds kAloneInterval{10'000};  // the same while no other daemon is there
constexpr milliseconds kPruneInterval{1'000}, kPruneIdleInterval{10'000};
constexpr milliseconds kRightsInterval{1'000};
constexpr milliseconds kReconcileInterval{15'000};

}  // namespace

WorkLoop::WorkLoop(WorkLoopOptions options, WorkPort& port, Callbacks callbacks)
    : options_(std::move(options)),
      port_(port),
      callbacks_(std::move(callbacks)),
      polls_(options_.polls),
      turns_(kTurnBatch) {}

void WorkLoop::attach(Coordinator& coordinator, const WaitingByRole& waiting) {
  coordinator_ = &coordinator;
  waiting_ = &waiting;
}

void WorkLoop::reconfigure(WorkLoopOptions options) {
  options_ = std::move(options);
  polls_.reconfigure(options_.polls);
}

WorkLoop::Time WorkLoop::tick(Moment now) {
  const auto timer = coordinator_->tick();
  if (const auto wake = coordinator_->take_earliest_wake()) polls_.wake(*wake);
  if (life_ == Life::kDraining && (coordinator_->held() == 0 || now.steady >= *give_back_at_)) give_back();
  send_repeats(now.steady);
  flush_turns();
  if (life_ == Life::kServing || life_ == Life::kDraining) {
    if (has_room_again()) polls_.ring();
    if (polls_.is_due(now)) poll();
  }
  if (life_ == Life::kServing) do_chores(now.steady);

  Time next = now.steady + seconds(1);
  const auto earlier = [&](Time at) { next = std::min(next, at); };
  if (timer) earlier(now.steady + std::max(*timer - now.database, dsl::Time::duration(0)));
  if (const auto at = polls_.next(now); at && life_ <= Life::kDraining) earlier(*at);
  if (life_ == Life::kDraining) earlier(*give_back_at_);
  if (life_ == Life::kServing) {
    for (const Chore* chore : {&dead_, &reconcile_}) earlier(chore->next);
  }
  for (const Repeat& one : repeats_) earlier(one.at);
  return next;
}

// Requests: what is asked of the database, and again where it failed and asking again can help.

template <typename Work, typename Done>
void WorkLoop::ask(Work work, Done done, std::function<bool(Moment, const store::StoreError&)> failed) {
  using Result = decltype(work(std::declval<store::WorkDatabase&>()));
  const auto result = std::make_shared<std::optional<Result>>();
  send(std::make_shared<Request>(Request{
      [result, work = std::move(work)](store::WorkDatabase& database) { *result = work(database); },
      [result, done = std::move(done)](Moment now) { done(std::move(**result), now); }, std::move(failed)}));
}

void WorkLoop::send(const std::shared_ptr<Request>& request) {
  port_.run(request->work, [this, request](Moment now, const std::optional<store::StoreError>& error) {
    if (!error) return request->done(now);
    if (request->failed && request->failed(now, *error)) return;
    switch (after(*error)) {
      case Next::kRepeat:
      case Next::kLook:  // everything that has no handler of its own for this is safe to repeat
        repeats_.push_back({now.steady + kRepeatPause, request});
        return;
      case Next::kGiveUp:
        return callbacks_.lost(error->what());
    }
  });
}

void WorkLoop::send_repeats(Time now) {
  std::vector<Repeat> due;
  for (Repeat& one : repeats_) {
    if (one.at <= now) due.push_back(one);
  }
  std::erase_if(repeats_, [&](const Repeat& one) { return one.at <= now; });
  for (const Repeat& one : due) send(one.request);
}

// Polls.

std::set<store::RoleId> WorkLoop::busy(std::size_t strictness) const {
  auto roles = busy_roles(options_.admission, coordinator_->held_by_role(), *waiting_, strictness);
  roles.merge(coordinator_->roles_over(options_.role_bytes / 2));
  return roles;
}

// Whether a poll could now take what the last one had to leave.
bool WorkLoop::has_room_again() const {
  if (polls_.is_under_way()) return false;
  if (left_over_) {
    const AdmissionLimits& limits = options_.admission;
    const Held free = free_places(limits, coordinator_->held_by_role());
    const std::size_t batch = std::min(limits.claim_batch, limits.instances);
    if (free.instances >= std::max<std::size_t>(1, batch / 2) &&
        free.bytes >= std::min(limits.claim_bytes, limits.bytes) / 2)
      return true;
  }
  return !skipped_.empty() && busy(4).size() < skipped_.size();
}

void WorkLoop::poll() {
  store::PollRequest request = admit(options_.admission, coordinator_->held_by_role(), *waiting_);
  if (life_ != Life::kServing) request.limit = 0;
  request.after = served_;
  request.longest_text = options_.longest_text;
  request.busy.merge(coordinator_->roles_over(options_.role_bytes / 2));
  skipped_ = request.busy;
  request.listen = polls_.listens();
  polls_.sent();
  const bool claims = request.limit > 0;
  ask([request = std::move(request),
       worker = options_.worker](store::WorkDatabase& database) { return database.poll(worker, request); },
      [this, claims](store::PollResult result, Moment now) { polled(std::move(result), claims, now); },
      [this](Moment now, const store::StoreError& error) {
        if (after(error) == Next::kGiveUp) return false;
        polls_.failed(now);
        if (after(error) == Next::kLook) reconcile_.next = now.steady;  // it may have claimed something
        return true;
      });
}

void WorkLoop::polled(store::PollResult result, bool claims, Moment now) {
  polls_.answered(result, now);
  if (claims) {
    left_over_ = result.more;
    served_ = result.served;
  }
  for (const store::Ended& ended : result.ended) coordinator_->ended(ended);
  for (const store::Attention& attention : result.attention) coordinator_->attention(attention);
  for (store::ClaimedInstance& claimed : result.claimed) coordinator_->claimed(std::move(claimed));
}

// Turns, and what else the coordinator asks for.

void WorkLoop::commit(store::Turn turn) {
  turns_.add(std::move(turn));
  callbacks_.wake();  // once this round of events is through, so that its turns share a transaction
}

void WorkLoop::flush_turns() {
  if (!turns_.is_ready()) return;
  const auto turns = std::make_shared<const std::vector<store::Turn>>(turns_.take());
  ask([turns,
       worker = options_.worker](store::WorkDatabase& database) { return database.commit(worker, *turns); },
      [this, turns](const std::vector<store::TurnProblem>& problems, Moment) {
        turns_.done();
        turns_answered(*turns, problems);
      },
      [this, turns](Moment, const store::StoreError& error) { return turns_failed(*turns, error); });
}

void WorkLoop::turns_answered(const std::vector<store::Turn>& turns,
                              const std::vector<store::TurnProblem>& problems) {
  for (const store::Turn& turn : turns) {
    std::optional<store::TurnProblem> problem;
    for (const store::TurnProblem& one : problems) {
      if (one.instance_id == turn.instance_id) problem = one;
    }
    coordinator_->turn_done(turn, problem);
  }
}

bool WorkLoop::turns_failed(const std::vector<store::Turn>& turns, const store::StoreError& error) {
  auto kind = store::TurnProblem::Kind::kBusy;
  switch (after(error)) {
    case Next::kRepeat:
      break;
    case Next::
        kLook:  // as if another daemon had the instances: they are claimed again, and their histories tell
      kind = store::TurnProblem::Kind::kLost;
      break;
    case Next::kGiveUp:
      if (turns.size() > 1) {
        turns_.refused(turns);
        return true;
      }
      kind = store::TurnProblem::Kind::kRefused;
      break;
  }
  turns_.done();
  for (const store::Turn& turn : turns)
    coordinator_->turn_done(turn, {{turn.instance_id, kind, error.what()}});
  return true;
}

void WorkLoop::reclaim(const std::string& instance_id) {
  ask([instance_id, worker = options_.worker](
          store::WorkDatabase& database) { return database.reclaim(worker, {instance_id}); },
      [this, instance_id](std::vector<store::ClaimedInstance> instances, Moment) {
        std::optional<store::ClaimedInstance> instance;
        if (!instances.empty()) instance = std::move(instances.front());
        coordinator_->reclaimed(instance_id, std::move(instance));
      },
      [this, instance_id](Moment, const store::StoreError& error) {
        if (after(error) != Next::kGiveUp) return false;
        reclaim_failed(instance_id, error);
        return true;
      });
  callbacks_.wake();
}

// The instance is forgotten here, and given back when the rows are next compared with what is held.
void WorkLoop::reclaim_failed(const std::string& instance_id, const store::StoreError& error) {
  callbacks_.log(4, "instance " + instance_id + " cannot be read: " + error.what());
  coordinator_->reclaimed(instance_id, std::nullopt);
}

void WorkLoop::fetch_signal(const std::string& instance_id, std::int64_t signal_id) {
  ask([=](store::WorkDatabase& database) { return database.signal_data(instance_id, signal_id); },
      [this, instance_id, signal_id](std::string data, Moment) {
        coordinator_->signal_fetched(instance_id, signal_id, std::move(data));
      },
      [this, instance_id](Moment, const store::StoreError& error) {
        if (after(error) != Next::kGiveUp) return false;
        reclaim_failed(instance_id, error);
        return true;
      });
}

void WorkLoop::login_failed(const store::LoginProblem& problem,
                            std::function<void(std::optional<std::string>)> hopeless) {
  ask([problem, worker = options_.worker](
          store::WorkDatabase& database) { return database.login_failed(worker, problem); },
      [hopeless = std::move(hopeless)](std::optional<std::string> why, Moment) { hopeless(std::move(why)); });
}

void WorkLoop::login_works(const store::StepTarget& target) {
  ask(
      [target, worker = options_.worker](store::WorkDatabase& database) {
        database.login_works(worker, target.role, target.database);
        return true;
      },
      [](bool, Moment) {});
}

// Chores.

void WorkLoop::do_chores(Time now) {
  if (dead_.begin(now)) look_for_dead();
  if (options_.keep_finished.count() > 0 && prune_.begin(now)) prune();
  if (options_.http && coordinator_->held() > 0 && rights_.begin(now)) renew_http_rights();
  if (reconcile_.next == Time{}) reconcile_.next = now + kReconcileInterval;
  if (reconcile_.begin(now)) reconcile();
}

void WorkLoop::look_for_dead() {
  ask([worker = options_.worker, ttl = options_.lease_ttl, locks = options_.advisory_lock](
          store::WorkDatabase& database) { return database.release_dead(worker, ttl, locks); },
      [this](const store::Released& released, Moment now) {
        dead_.next = now.steady + (released.others == 0 ? kAloneInterval : kOthersInterval);
        if (released.instances == 0) return;
        callbacks_.log(2, "took over " + std::to_string(released.instances) + " instances of a dead worker");
        for (const std::string& id : released.parked)
          callbacks_.log(4,
                         "instance " + id + " is parked: daemons have died three times while they held it");
        polls_.ring();
      });
}

void WorkLoop::prune() {
  ask([keep = options_.keep_finished,
       batch = options_.prune_batch](store::WorkDatabase& database) { return database.prune(keep, batch); },
      [this](int pruned, Moment now) {
        prune_.next = now.steady + (pruned > 0 ? kPruneInterval : kPruneIdleInterval);
      });
}

// A right to df.http that was taken away counts within about two seconds, also for instances that are held.
void WorkLoop::renew_http_rights() {
  const std::set<std::string> roles = coordinator_->roles();
  ask([roles](store::WorkDatabase& database) { return database.may_http(roles); },
      [this, roles](const std::set<std::string>& allowed, Moment now) {
        rights_.next = now.steady + kRightsInterval;
        coordinator_->set_http_rights(roles, allowed);
      });
}

// What the rows say this worker holds, and the coordinator knows nothing of, would wait for ever: it is given back.
void WorkLoop::reconcile() {
  using Rows = std::vector<std::pair<std::string, std::int64_t>>;
  ask([worker = options_.worker](store::WorkDatabase& database) { return database.held(worker); },
      [this](Rows held, Moment now) {
        reconcile_.next = now.steady + kReconcileInterval;
        std::erase_if(held, [&](const auto& one) { return coordinator_->holds(one.first); });
        if (held.empty() || life_ != Life::kServing) return;
        ask([held = std::move(held), worker = options_.worker](
                store::WorkDatabase& database) { return database.give_back(worker, held); },
            [this](int given_back, Moment) {
              if (given_back == 0) return;
              callbacks_.log(3, "instances were held without being run, and are taken up again: " +
                                    std::to_string(given_back));
              polls_.ring();
            });
      });
}

// Stopping.

void WorkLoop::drain(Time now, milliseconds grace) {
  if (life_ != Life::kServing) return;
  life_ = Life::kDraining;
  give_back_at_ = now + grace;
  coordinator_->drain();
  callbacks_.wake();
}

void WorkLoop::give_back() {
  DURABLED_ASSERT(life_ != Life::kServing);
  if (life_ != Life::kDraining) return;
  life_ = Life::kGivingBack;
  if (const std::size_t held = coordinator_->held(); held > 0)
    callbacks_.log(3, std::to_string(held) + " instances had steps running; they are given back");
  ask(
      [worker = options_.worker](store::WorkDatabase& database) {
        database.release_all(worker);
        return true;
      },
      [this](bool, Moment) {
        life_ = Life::kStopped;
        callbacks_.stopped();
      });
}

}  // namespace durabled::daemon
