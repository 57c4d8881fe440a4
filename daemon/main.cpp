#include "daemon/cli/app.hpp"

int main(int argc, char** argv) {
  return durabled::daemon::cli::run(argc, argv);
}
