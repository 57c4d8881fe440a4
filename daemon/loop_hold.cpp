#include "daemon/loop_hold.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <string>

#include "daemon/log.hpp"

namespace durabled::daemon {
namespace {

thread_local const char* current_kind = "";

// This thread's use of the processor, so that waiting for the next handler does not count.
double thread_milliseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

void name_loop_work(const char* kind) {
  current_kind = kind;
}

void run_measured(boost::asio::io_context& io) {
  constexpr double kLong = 10;
  double longest = 0, before = thread_milliseconds();
  current_kind = "another handler";
  while (io.run_one() > 0) {
    const double now = thread_milliseconds(), held = now - before;
    if (held > kLong) {
      longest = std::max(longest, held);
      log_debug("the event loop was held for " + std::to_string(std::llround(held)) + " ms by " +
                current_kind + "; the longest so far: " + std::to_string(std::llround(longest)) + " ms");
    }
    current_kind = "another handler";
    before = thread_milliseconds();
  }
}

}  // namespace durabled::daemon
