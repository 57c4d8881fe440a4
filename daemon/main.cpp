#include <malloc.h>

#include "daemon/cli/app.hpp"

int main(int argc, char** argv) {
  // Each thread's arena would reserve 64 MiB of addresses and keep what it freed; few threads allocate much.
  ::mallopt(M_ARENA_MAX, 2);
  return durabled::daemon::cli::run(argc, argv);
}
