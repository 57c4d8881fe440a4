// DURABLED_ASSERT: for bugs only, and in release builds too. A wrong daemon must stop; it restarts and
// replays.
#pragma once

#include <cstdio>
#include <cstdlib>

#define DURABLED_ASSERT(condition)                                                             \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::fprintf(stderr, "assertion failed: %s at %s:%d\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)
