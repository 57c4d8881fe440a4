#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <utility>

#include "tests/sim/sim_daemon.hpp"

namespace durabled::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kTrouble{12};    // for which things go wrong
constexpr seconds kPatience{900};  // then everything that can end has ended
constexpr int kEvents = 600'000;
constexpr std::size_t kLongestHistory = 1'500;

}  // namespace

const std::map<std::string, Fault>& faults_by_name() {
  static const std::map<std::string, Fault> all = {
      {"crash", Fault::kCrash},   {"pause", Fault::kPause},   {"cut_off", Fault::kCutOff},
      {"stop", Fault::kStop},     {"clock", Fault::kClock},   {"session", Fault::kSession},
      {"commit", Fault::kCommit}, {"work", Fault::kWork},     {"login", Fault::kLogin},
      {"slow", Fault::kSlow},     {"client", Fault::kClient},
  };
  return all;
}

std::set<Fault> all_faults() {
  std::set<Fault> all;
  for (const auto& [name, fault] : faults_by_name()) all.insert(fault);
  return all;
}

Simulation::Simulation(Scenario scenario) : scenario_(std::move(scenario)), agenda_(scenario_.seed) {}

Simulation::~Simulation() = default;

FakeStore& Simulation::server() {
  store_.now = agenda_.database();
  return store_;
}

void Simulation::violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
  throw Violation(what);
}

void Simulation::step() {
  agenda_.step();
  if (!violation_.empty()) throw Violation(violation_);
}

Duration Simulation::delay() {
  if (chance(Fault::kSlow, 5)) return milliseconds(below(3'000));
  return agenda_.delay();
}

bool Simulation::all_ended() const {
  return std::all_of(store_.rows().begin(), store_.rows().end(),
                     [](const auto& row) { return row.second.ended(); });
}

void Simulation::submit_all() {
  const std::size_t window = scenario_.faults.empty() ? 1 : 5'000;
  for (const Workload& one : scenario_.workloads)
    after(milliseconds(below(window)), [this, &one] { submit(one); });
}

// Something that a client or fate does, now and then.
void Simulation::disturb() {
  if (calm_ || scenario_.faults.empty()) return;
  auto fault = scenario_.faults.begin();
  std::advance(fault, static_cast<std::ptrdiff_t>(below(scenario_.faults.size())));
  SimDaemon& daemon = *daemons_[below(daemons_.size())];
  switch (*fault) {
    case Fault::kCrash:
      daemon.crash();
      break;
    case Fault::kPause:
      daemon.pause(milliseconds(below(6'000)));
      break;
    case Fault::kCutOff:
      daemon.cut_off();
      break;
    case Fault::kStop:
      daemon.stop();
      break;
    case Fault::kClock:
      agenda_.set_clock(milliseconds(below(4'000)) - milliseconds(2'000));
      break;
    case Fault::kClient: {
      const Workload& one = scenario_.workloads[below(scenario_.workloads.size())];
      const std::size_t what = below(5);
      if (what == 4 && one.deterministic) break;
      server().request(one.id, what == 4 ? "cancel" : what < 2 ? "pause" : "resume");
      break;
    }
    case Fault::kSession:
    case Fault::kCommit:
    case Fault::kWork:
    case Fault::kLogin:
    case Fault::kSlow:
      break;  // these happen on their own
  }
  after(milliseconds(below(600)), [this] { disturb(); });
}

// What people do in the end: resume what is paused, send the signal that is waited for.
void Simulation::help() {
  std::vector<std::string> paused, open;
  for (const auto& [id, row] : store_.rows()) {
    if (row.ended()) continue;
    open.push_back(id);
    if (row.request == "pause") paused.push_back(id);
  }
  for (const std::string& id : paused) server().request(id, "resume");
  for (const std::string& id : open) server().signal(id, "go", "{\"n\":1}");
}

std::string Simulation::unfinished() const {
  std::string text;
  for (const auto& [id, row] : store_.rows()) {
    if (row.ended()) continue;
    text += "\n  " + id + ": " + row.status + ", held by " + std::to_string(row.worker) +
            (row.wake_at ? ", wakes " + dsl::format_time(*row.wake_at) : ", sleeps") + ", request " +
            row.request + ", events:";
    for (const auto& [seq, event] : row.events)
      text += ' ' + std::to_string(seq) + std::string(to_string(event.kind)) + '/' +
              (event.address.node == dsl::kNoNode ? "" : dsl::node_id(event.address.node)) + '@' +
              event.address.scope;
  }
  for (const auto& daemon : daemons_) text += "\n  " + daemon->description();
  return text + "\n  it is " + dsl::format_time(database());
}

void Simulation::check_bounds() const {
  for (const auto& [id, row] : store_.rows()) {
    if (row.events.size() > kLongestHistory)
      throw Violation("a history of " + std::to_string(row.events.size()) + " events: " + id);
  }
  for (const auto& daemon : daemons_) {
    if (const std::string excess = daemon->excess(); !excess.empty()) throw Violation(excess);
  }
}

void Simulation::begin() {
  submit_all();
  for (int i = 0; i < scenario_.daemons; ++i) daemons_.push_back(std::make_unique<SimDaemon>(*this));
}

void Simulation::pass(Duration time) {
  for (const Steady end = now() + time; now() < end;) step();
  check_bounds();
}

void Simulation::run() {
  begin();
  const Steady calm = now() + kTrouble, end = calm + kPatience;
  after(seconds(5), [this] { disturb(); });  // not before all of them are submitted
  Steady helped = calm;
  bool stopped = false;
  for (int i = 0; i < kEvents && now() < end; ++i) {
    step();
    calm_ = now() >= calm;
    if (now() < helped) continue;
    if (all_ended()) break;
    helped = now() + seconds(5);
    help();
    check_bounds();
    if (now() < calm + seconds(20) || std::exchange(stopped, true)) continue;
    for (const Workload& one : scenario_.workloads) {
      if (one.endless) server().request(one.id, "cancel");
    }
  }
  if (!all_ended()) throw Violation("not everything ends:" + unfinished());
  settle();
}

// Nothing is held any more, and nothing leaks.
void Simulation::settle() {
  const Steady end = now() + seconds(60);
  while (now() < end) {
    if (std::all_of(daemons_.begin(), daemons_.end(),
                    [](const auto& daemon) { return daemon->held() == 0 && daemon->leaks().empty(); }))
      return;
    step();
  }
  for (const auto& daemon : daemons_) {
    if (daemon->held() > 0) throw Violation("a daemon keeps instances that have ended");
    if (!daemon->leaks().empty()) throw Violation(daemon->leaks());
  }
}

}  // namespace durabled::sim
