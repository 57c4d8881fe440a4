// A message that would repeat for as long as something is wrong: logged when it begins, then once a minute with a count, then
// how long it lasted. Not thread-safe; has no clock of its own.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace durabled::daemon {

class RepeatedMessage {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // It went wrong again, because of `text`. What to log: the first time the text, and whenever it is another one; else
  // after a minute the text with how often it came since the last line; else nothing.
  std::optional<std::string> again(const std::string& text, Time now);

  // It goes well again: how long it did not ("40 s"); nothing when it went well before.
  std::optional<std::string> over(Time now);

  bool lasts() const { return count_ > 0; }

 private:
  std::string text_;
  Time since_{}, logged_{};
  int count_ = 0, unlogged_ = 0;
};

}  // namespace durabled::daemon
