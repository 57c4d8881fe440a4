// The database's time as this daemon knows it: the local clock, corrected at each heartbeat. Several daemons
// on hosts whose clocks differ agree on it. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>

#include "dsl/engine/event.hpp"

namespace durabled::daemon {

class Clock {
 public:
  static dsl::Time local() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
  dsl::Time now() const {
    return local() + std::chrono::microseconds(offset_.load(std::memory_order_relaxed));
  }
  // `theirs` was the database's time at some moment between `before` and `after`. A slow answer proves
  // little: what it allows stays.
  void synchronise(dsl::Time theirs, dsl::Time before, dsl::Time after) {
    const std::int64_t least = (theirs - after).count(), most = (theirs - before).count();
    const std::int64_t offset = offset_.load(std::memory_order_relaxed);
    if (offset < least || offset > most) offset_.store(least + (most - least) / 2, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t> offset_{0};
};

}  // namespace durabled::daemon
