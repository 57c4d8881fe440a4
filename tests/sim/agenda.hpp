// Virtual time, and what is to happen when. Of what happens at one time, any may come first, as the seed has it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>

#include "dsl/engine/event.hpp"

namespace durabled::sim {

using Duration = std::chrono::microseconds;
using Steady = std::chrono::steady_clock::time_point;

class Agenda {
 public:
  explicit Agenda(std::uint64_t seed) : random_(seed) {}

  Steady now() const { return now_; }
  // The database server's clock, which may be set.
  dsl::Time database() const { return clock(offset_); }
  Duration offset() const { return offset_; }
  // What a clock shows that is ahead by so much.
  dsl::Time clock(Duration offset) const {
    return std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) +
           std::chrono::duration_cast<Duration>(now_.time_since_epoch()) + offset;
  }
  void set_clock(Duration change) { offset_ += change; }

  void after(Duration delay, std::function<void()> what) { agenda_.emplace(now_ + delay, std::move(what)); }
  void step() {
    const auto first = agenda_.begin();
    const auto last = agenda_.upper_bound(first->first);
    auto chosen = first;
    if (const auto many = std::distance(first, last); many > 1)
      std::advance(chosen, static_cast<std::ptrdiff_t>(below(static_cast<std::size_t>(many))));
    now_ = chosen->first;
    const std::function<void()> what = std::move(chosen->second);
    agenda_.erase(chosen);
    what();
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }
  // Mostly short.
  Duration delay() { return Duration(1 + below(below(10) == 0 ? 300'000 : 4'000)); }

 private:
  std::mt19937_64 random_;
  Steady now_{};
  Duration offset_{0};
  std::multimap<Steady, std::function<void()>> agenda_;
};

}  // namespace durabled::sim
