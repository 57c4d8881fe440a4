// DURABLED_ASSERT: for bugs only, and in release builds too. A wrong daemon must stop; it restarts and
// replays.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace durabled {
[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "assertion failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}
}  // namespace durabled

#define DURABLED_ASSERT(condition) \
  ((condition) ? void() : ::durabled::assertion_failed(#condition, __FILE__, __LINE__))
