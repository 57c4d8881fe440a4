#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <utility>

#include "tests/sim/sim_daemon.hpp"

namespace durabled::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kTrouble{12};    // so long things go wrong
constexpr seconds kPatience{900};  // then everything that can end has ended
constexpr int kEvents = 400'000;

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool faults) : seed_(seed), random_(seed), faults_(faults) {
  store_.now = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1);
}

Simulation::~Simulation() = default;

microseconds Simulation::delay() {
  return microseconds(1 + below(below(10) == 0 ? 300'000 : 4'000));
}

void Simulation::after(microseconds delay, std::function<void()> what) {
  agenda_.emplace(store_.now + delay, std::move(what));
}

void Simulation::step() {
  const auto first = agenda_.begin();
  // Of what happens at one time, any may come first.
  const auto last = agenda_.upper_bound(first->first);
  auto chosen = first;
  if (const auto many = std::distance(first, last); many > 1)
    std::advance(chosen, static_cast<std::ptrdiff_t>(below(static_cast<std::size_t>(many))));
  store_.now = chosen->first;
  const std::function<void()> what = std::move(chosen->second);
  agenda_.erase(chosen);
  what();
}

bool Simulation::all_ended() const {
  return std::all_of(store_.rows().begin(), store_.rows().end(),
                     [](const auto& row) { return row.second.ended(); });
}

// Something that a client or fate does, now and then.
void Simulation::disturb(const std::vector<Workload>& workloads) {
  if (calm_) return;
  const Workload& one = workloads[below(workloads.size())];
  SimDaemon& daemon = *daemons_[below(daemons_.size())];
  switch (faults_ ? below(9) : 9) {
    case 0:
      daemon.crash();
      break;
    case 1:
      daemon.cut_off();
      break;
    case 2:
    case 3:
      store_.request(one.id, "pause");
      break;
    case 4:
    case 5:
      store_.request(one.id, "resume");
      break;
    case 6:
      if (!one.deterministic) store_.request(one.id, "cancel");
      break;
    default:
      break;
  }
  after(milliseconds(below(700)), [this, &workloads] { disturb(workloads); });
}

// What people do in the end: resume what is paused, send the signal that is waited for, end what never ends.
void Simulation::help() {
  for (const auto& [id, row] : store_.rows()) {
    if (row.ended()) continue;
    if (row.request == "pause") store_.request(id, "resume");
    store_.signal(id, "go", "{\"n\":1}");
  }
}

std::string Simulation::unfinished() const {
  std::string text;
  for (const auto& [id, row] : store_.rows()) {
    if (row.ended()) continue;
    text += "\n  " + id + ": " + row.status + ", held by " + std::to_string(row.worker) +
            (row.wake_at ? ", wakes" : ", sleeps") + ", events:";
    for (const auto& [seq, event] : row.events)
      text += ' ' + std::to_string(seq) + std::string(to_string(event.kind)) + '/' +
              (event.address.node == dsl::kNoNode ? "" : dsl::node_id(event.address.node)) + '@' +
              event.address.scope;
  }
  return text;
}

void Simulation::run(const std::vector<Workload>& workloads) {
  for (const Workload& one : workloads)
    after(milliseconds(below(faults_ ? 5'000 : 1)), [this, one] { store_.submit(one.id, one.dsl); });
  for (int i = 0; i < 2; ++i) daemons_.push_back(std::make_unique<SimDaemon>(*this));
  const dsl::Time calm = now() + kTrouble, end = calm + kPatience;
  // Not before all of them are submitted.
  after(milliseconds(5'000), [this, &workloads] { disturb(workloads); });
  dsl::Time helped = calm;
  bool stopped = false;
  for (int i = 0; i < kEvents && now() < end; ++i) {
    step();
    calm_ = now() >= calm;
    if (now() < helped) continue;
    if (all_ended()) break;
    helped = now() + seconds(5);
    help();
    if (now() < calm + seconds(20) || std::exchange(stopped, true)) continue;
    for (const Workload& one : workloads) {
      if (one.endless) store_.request(one.id, "cancel");
    }
  }
  if (!all_ended()) throw Violation("not everything ends:" + unfinished());
  for (int i = 0; i < 100'000 && now() < end + seconds(60); ++i) {
    bool quiet = true;
    for (const auto& daemon : daemons_) quiet &= daemon->held() == 0 && daemon->leaks().empty();
    if (quiet) return;
    step();
  }
  for (const auto& daemon : daemons_) {
    if (daemon->held() > 0) throw Violation("a daemon keeps instances that have ended");
    if (!daemon->leaks().empty()) throw Violation(daemon->leaks());
  }
}

}  // namespace durabled::sim
