// Ctrl-C while something is waited for: the wait ends, and the command has a last word.
#pragma once

#include <csignal>

namespace durabled::daemon::cli {

// While it lives, the first SIGINT or SIGTERM is noted instead of ending the program; a second one ends it.
// One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  static bool interrupted();

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace durabled::daemon::cli
