// http_test_server [PORT [ADDRESS]]: the test server on its own, for demos and examples. Prints its URL, runs
// until SIGINT or SIGTERM. Routes: tests/support/http_server.hpp.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "tests/support/http_server.hpp"

int main(int argc, char** argv) {
  const long port = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
  const std::string address = argc > 2 ? argv[2] : "127.0.0.1";
  if (argc > 3 || port < 0 || port > 65535) {
    std::fprintf(stderr, "usage: %s [PORT [ADDRESS]]\n", argv[0]);
    return 2;
  }
  // Blocked before the server's threads start, so that only sigwait() sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    durabled::test::HttpTestServer server(static_cast<std::uint16_t>(port), address);
    server.add_standard_routes();
    server.add_example_routes();
    std::printf("%s\n", server.url("", address).c_str());
    std::fflush(stdout);
    int signal = 0;
    sigwait(&signals, &signal);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "http_test_server: %s\n", error.what());
    return 1;
  }
  return 0;
}
