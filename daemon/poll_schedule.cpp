#include "daemon/poll_schedule.hpp"

#include <algorithm>

#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

// What is due by this daemon's estimate of the database's time need not be due there yet.
constexpr std::chrono::milliseconds kClocksDiffer{5};
constexpr std::chrono::milliseconds kRepeatPause{50};

}  // namespace

bool PollSchedule::is_due(Moment now) const {
  const auto at = next(now);
  return at && *at <= now.steady;
}

std::optional<PollSchedule::Time> PollSchedule::next(Moment now) const {
  if (is_under_way_) return std::nullopt;
  if (rang_) return now.steady;
  if (!wake_ || *wake_ - now.database >= latest_ - now.steady) return latest_;
  return std::max(now.steady, now.steady + (*wake_ - now.database));
}

void PollSchedule::sent() {
  DURABLED_ASSERT(!is_under_way_);
  is_under_way_ = true;
  rang_ = false;
  wake_.reset();
}

void PollSchedule::answered(const store::PollResult& result, Moment now) {
  is_under_way_ = false;
  const bool found = !result.claimed.empty() || !result.attention.empty() || !result.ended.empty();
  empty_ = found ? 0 : empty_ + 1;
  const bool relies_on_doorbell = intervals_.has_doorbell && empty_ >= 2;
  latest_ = now.steady + (relies_on_doorbell ? std::max(intervals_.busy, intervals_.idle) : intervals_.busy);
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
