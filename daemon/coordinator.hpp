// The instances that this daemon holds: what happens is handed to the one that it concerns, and what that asks
// for in return to the ports. What an instance does is in daemon/instance/.
//
// An exception that is thrown while an instance is handled fails that instance and nothing else.
//
// Not thread-safe: one thread owns it, its ports call back on that thread. It has no clock and does no I/O of its
// own, so tests drive it by hand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "daemon/admission.hpp"
#include "daemon/instance/instance.hpp"
#include "daemon/ports.hpp"
#include "daemon/template_queue.hpp"

namespace durabled::daemon {

class Coordinator {
 public:
  Coordinator(CoordinatorOptions options, StepPort& steps, HttpPort& http, TurnPort& turns,
              std::function<dsl::Time()> now);
  ~Coordinator();

  // For instances claimed, and steps started, from now on.
  void reconfigure(const dsl::Policy& policy, std::size_t max_result_bytes,
                   std::chrono::milliseconds mark_running_after);

  void claimed(store::ClaimedInstance row);
  void attention(const store::Attention& attention);
  // It has ended without this daemon, which may hold it: what runs of it is stopped.
  void ended(const store::Ended& ended);

  void executed(StepId id, store::StepOutcome outcome);
  void committed(StepId id, store::CommitOutcome outcome);
  void http_done(StepId id, HttpResult result);
  void turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem);
  void signal_fetched(const std::string& instance_id, std::int64_t signal_id, std::string data);
  void reclaimed(const std::string& instance_id, std::optional<store::ClaimedInstance> row);

  // Lets instances do what is due; returns when it wants to be called next.
  std::optional<dsl::Time> tick();

  // No new steps; instances are put down as their running steps end. For SIGTERM.
  void drain();

  std::size_t held() const { return instances_.size(); }
  const HeldByRole& held_by_role() const { return held_by_role_; }
  // The roles whose instances' results take more than `bytes`.
  std::set<store::RoleId> roles_over(std::size_t bytes) const { return shared_.role_bytes.over(bytes); }
  bool holds(const std::string& id) const { return instances_.count(id) > 0; }
  std::set<std::string> roles() const;  // of the instances that are held
  // Which of their roles may make HTTP calls from now on.
  void set_http_rights(const std::set<std::string>& asked, const std::set<std::string>& allowed);
  std::size_t steps_in_progress() const { return by_step_.size(); }
  // When the earliest of the instances put down lately becomes due; asked once.
  std::optional<dsl::Time> take_earliest_wake() { return std::exchange(earliest_wake_, std::nullopt); }
  // Does `work` on another thread, and then `done` on the coordinator's; never from within this call.
  TemplateQueue::Offload offload;
  // Log lines for people: (level, text) pairs go here.
  std::function<void(int level, const std::string& text)> log = [](int, const std::string&) {};
  // Called once for each instance that has ended here or that ended() tells of.
  std::function<void(const InstanceEnd& end)> log_end = [](const InstanceEnd&) {};

 private:
  struct Entry {
    explicit Entry(Surroundings& shared) : instance(shared) {}
    Instance instance;
    Held counted;                    // in held_by_role_
    std::uint64_t number = 0;        // tells entries apart whose time is the same, the same way in each run
    std::optional<dsl::Time> timer;  // as in timers_; it may be earlier than what the instance wants now
  };

  Entry* find(const std::string& id);
  Entry* of_step(StepId id);
  // Lets something happen to an instance and carries out what it asks for. The entry may be gone afterwards.
  template <typename Happening>
  void handle(Entry& entry, const Happening& happening);
  void broke(Entry& entry, const char* why);
  // False: the instance is gone, and its entry with it.
  bool carry_out(Entry& entry);
  void schedule(Entry& entry);
  void count(Entry& entry);
  void erase(Entry& entry);
  void no_longer_waits_for(StepId id);

  void carry_out(Entry& entry, StartSql effect);
  void carry_out(Entry& entry, SubstituteSql effect);
  void carry_out(Entry& entry, StartHttp effect);
  void carry_out(Entry& entry, CommitStep effect);
  void carry_out(Entry& entry, CommitForeign effect);
  void carry_out(Entry& entry, FinishStep effect);
  void carry_out(Entry& entry, StopStep effect);
  void carry_out(Entry& entry, StopHttp effect);
  void carry_out(Entry& entry, AbandonStep effect);
  void carry_out(Entry& entry, SendTurn effect);
  void carry_out(Entry& entry, Reclaim effect);
  void carry_out(Entry& entry, FetchSignal effect);
  void carry_out(Entry& entry, PollAt effect);
  void carry_out(Entry& entry, WriteLog effect);

  StepPort& step_port_;
  HttpPort& http_port_;
  TurnPort& turn_port_;
  std::function<dsl::Time()> now_;
  Surroundings shared_;
  TemplateQueue templates_;
  std::map<std::string, std::unique_ptr<Entry>> instances_;
  std::unordered_map<StepId, Entry*> by_step_;  // steps of which somebody wants to hear
  std::map<std::pair<dsl::Time, std::uint64_t>, Entry*> timers_;
  HeldByRole held_by_role_;
  std::optional<dsl::Time> earliest_wake_;
  std::uint64_t last_number_ = 0;
};

}  // namespace durabled::daemon
