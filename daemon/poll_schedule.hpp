// When to poll: at once when the doorbell rings, when something that sleeps becomes due, and at the latest after
// an interval, because polling is the truth and the doorbell only shortens the wait. Pure.
#pragma once

#include <chrono>
#include <optional>

#include "daemon/work_port.hpp"

namespace durabled::daemon {

struct PollIntervals {
  std::chrono::milliseconds busy{1'000};
  // With the doorbell, once two polls in a row have found nothing: whoever submits then sees that this daemon waits.
  std::chrono::milliseconds idle{5'000};
  bool has_doorbell = true;
};

class PollSchedule {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit PollSchedule(PollIntervals intervals) : intervals_(intervals) {}
  void reconfigure(PollIntervals intervals) { intervals_ = intervals; }

  // As soon as possible; after the poll that is under way, which may have missed what this is about.
  void ring() { rang_ = true; }
  // Something becomes due then.
  void wake(dsl::Time at) {
    if (!wake_ || at < *wake_) wake_ = at;
  }

  // Whether the daemon is to be notified of new work. Not while notifications come one upon the other: each holds up
  // every commit of the server, so that polls at a short interval are cheaper for everybody.
  bool listens() const { return deaf_ <= kListensAgain; }

  bool is_due(Moment now) const;
  // The first time at which it is due, if nothing else happens; nullopt while a poll is under way.
  std::optional<Time> next(Moment now) const;
  bool is_under_way() const { return is_under_way_; }

  // A poll was sent; requires that none is under way.
  void sent();
  void answered(const store::PollResult& result, Moment now);
  // It failed, and is due again.
  void failed(Moment now);

 private:
  // Of the polls without notifications the last ones ask for them again: who submits while the first of these is under
  // way may not see that yet.
  static constexpr int kListensAgain = 2;

  void count_rings(Time now);

  PollIntervals intervals_;
  bool is_under_way_ = false;
  bool rang_ = true;      // since the last poll was sent
  bool by_ring_ = false;  // the last poll was sent because of that
  int quick_rings_ = 0;   // polls in a row that a ring has caused soon after the one before
  int deaf_ = 0;          // polls that are still to be made without notifications
  Time answered_{};
  Time latest_{};
  std::optional<dsl::Time> wake_;
  int empty_ = 0;  // polls in a row that found nothing
};

}  // namespace durabled::daemon
