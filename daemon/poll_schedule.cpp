#include "daemon/poll_schedule.hpp"

#include <algorithm>

#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

// What is due by this daemon's estimate of the database's time need not be due there yet.
constexpr std::chrono::milliseconds kClocksDiffer{5};
constexpr std::chrono::milliseconds kRepeatPause{50};
// Rings are frequent when this number of polls in a row came within this time of each other.
constexpr int kManyRings = 8;
constexpr std::chrono::milliseconds kQuickRing{10};
constexpr int kDeafPolls = 15;
constexpr std::chrono::milliseconds kDeafPause{20};

}  // namespace

bool PollSchedule::is_due(Moment now) const {
  const auto at = next(now);
  return at && *at <= now.steady;
}

std::optional<PollSchedule::Time> PollSchedule::next(Moment now) const {
  if (is_under_way_) return std::nullopt;
  if (rang_ && deaf_ == 0) return now.steady;
  if (!wake_ || *wake_ - now.database >= latest_ - now.steady) return latest_;
  return std::max(now.steady, now.steady + (*wake_ - now.database));
}

void PollSchedule::sent() {
  DURABLED_ASSERT(!is_under_way_);
  is_under_way_ = true;
  by_ring_ = rang_;
  rang_ = false;
  wake_.reset();
}

void PollSchedule::count_rings(Time now) {
  if (deaf_ > 0) {
    --deaf_;
  } else if (by_ring_ && now - answered_ < kQuickRing) {
    if (++quick_rings_ == kManyRings) deaf_ = kDeafPolls;
  } else {
    quick_rings_ = 0;
  }
  if (deaf_ > 0) quick_rings_ = 0;
  answered_ = now;
}

void PollSchedule::answered(const store::PollResult& result, Moment now) {
  is_under_way_ = false;
  const bool was_deaf = deaf_ > 0;
  count_rings(now.steady);
  const bool found = !result.claimed.empty() || !result.attention.empty() || !result.ended.empty();
  empty_ = found ? 0 : empty_ + 1;
  const bool relies_on_doorbell = intervals_.has_doorbell && empty_ >= 2;
  latest_ = now.steady + (relies_on_doorbell ? std::max(intervals_.busy, intervals_.idle) : intervals_.busy);
  if (was_deaf || deaf_ > 0) latest_ = std::min(latest_, now.steady + kDeafPause);
  if (!result.next_wake) return;
  if (*result.next_wake > now.database) {
    wake(*result.next_wake);
  } else {
    latest_ = now.steady + (found ? std::chrono::milliseconds(0) : kClocksDiffer);
  }
}

void PollSchedule::failed(Moment now) {
  is_under_way_ = false;
  latest_ = now.steady + kRepeatPause;
}

}  // namespace durabled::daemon
