#include "tests/sim/sim_work.hpp"

#include <utility>

namespace durabled::sim {

using std::chrono::milliseconds;
using Kind = store::StoreError::Kind;

store::PollResult SimDatabase::poll(int worker, const store::PollRequest& request) {
  FakeStore& store = sim_.server();
  if (!store.is_registered(worker))
    throw store::StoreError(Kind::kPermanent, "poll", "not registered", "DF003");
  return store.poll(worker, request);
}

std::string SimDatabase::signal_data(const std::string&, std::int64_t signal_id) {
  return sim_.server().signal_data(signal_id);
}

std::vector<store::TurnProblem> SimDatabase::commit(int worker, const std::vector<store::Turn>& turns) {
  std::vector<store::TurnProblem> problems;
  for (const store::Turn& turn : turns) {
    if (sim_.chance(Fault::kWork, 50)) {
      problems.push_back({turn.instance_id, store::TurnProblem::Kind::kBusy, ""});
    } else if (auto problem = sim_.server().commit(worker, turn)) {
      problems.push_back(*problem);
    }
  }
  return problems;
}

std::vector<store::ClaimedInstance> SimDatabase::reclaim(int worker, const std::vector<std::string>& ids) {
  if (sim_.chance(Fault::kWork, 50)) throw store::StoreError(Kind::kTransient, "reclaim", "locked", "55P03");
  std::vector<store::ClaimedInstance> result;
  for (const std::string& id : ids) {
    if (auto instance = sim_.server().reclaim(worker, id)) result.push_back(std::move(*instance));
  }
  return result;
}

std::vector<std::pair<std::string, std::int64_t>> SimDatabase::held(int worker) {
  return sim_.server().held(worker);
}

int SimDatabase::give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) {
  return sim_.server().give_back(worker, instances);
}

store::Released SimDatabase::release_dead(int worker, milliseconds lease_ttl, bool) {
  store::Released released;
  released.instances = sim_.server().release_dead(worker, lease_ttl);
  released.others = sim_.server().others(worker);
  return released;
}

void SimDatabase::release_all(int worker) {
  sim_.server().release(worker);
}

void SimWorkPort::run(Work work, Then then) {
  queue_.emplace_back(std::move(work), std::move(then));
  if (!std::exchange(working_, true)) next();
}

void SimWorkPort::next() {
  auto [work, then] = std::move(queue_.front());
  queue_.pop_front();
  Simulation& sim = host_.sim();
  const bool deadlock = sim.chance(Fault::kWork, 20), lost = !deadlock && sim.chance(Fault::kWork, 20);
  const bool lands = !deadlock && (!lost || sim.below(2) == 0);
  const Duration way = sim.delay(),
                 back = sim.delay() + (lost ? milliseconds(sim.below(1'000)) : Duration(0));
  const auto error = std::make_shared<std::optional<store::StoreError>>();
  sim.after(way, [work = std::move(work), database = database_, error, lands] {
    if (!lands) return;
    try {
      work(*database);
    } catch (const store::StoreError& e) {
      *error = e;
    }
  });
  if (deadlock) error->emplace(Kind::kTransient, "work", "made up", "40P01");
  const Kind loss = sim.below(2) == 0 ? Kind::kInDoubt : Kind::kTransient;
  host_.later(way + back, [this, then = std::move(then), error, lost, loss] {
    if (lost) error->emplace(loss, "work", "connection lost", "");
    working_ = !queue_.empty();
    if (working_) next();
    then(now_(), *error);  // the next one is on its way only: answers keep the order of the works
  });
}

}  // namespace durabled::sim
