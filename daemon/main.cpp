#include <malloc.h>
#include <pthread.h>

#include <cstddef>

#include "daemon/cli/app.hpp"

namespace {

// Dozens of threads only wait for a login; 8 MiB of addresses for each stack would count against `ulimit -v`.
constexpr std::size_t kThreadStack = std::size_t{2} << 20;

void limit_stacks() {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return;
  if (::pthread_attr_setstacksize(&attributes, kThreadStack) == 0) ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

}  // namespace

int main(int argc, char** argv) {
  // Each thread's arena would reserve 64 MiB of addresses and keep what it freed; few threads allocate much.
  ::mallopt(M_ARENA_MAX, 2);
  limit_stacks();
  return durabled::daemon::cli::run(argc, argv);
}
