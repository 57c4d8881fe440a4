// Waiting for a condition, so that no test sleeps for luck.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace durabled::test {

inline constexpr std::chrono::milliseconds kPatience{10'000};  // far more than any condition should take

// Calls `predicate` every few milliseconds until it returns something true, and returns that. Throws, naming
// `what` and the time waited, when `timeout` passes first. What `predicate` throws comes through at once.
template <typename Predicate>
auto wait_until(const std::string& what, Predicate predicate, std::chrono::milliseconds timeout = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    // The clock is read before the predicate, so that one last look happens after the deadline.
    const bool last = std::chrono::steady_clock::now() >= deadline;
    if (auto result = predicate()) return result;
    if (last) {
      throw std::runtime_error("waited " + std::to_string(timeout.count()) + " ms in vain until " + what);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{3});
  }
}

}  // namespace durabled::test
