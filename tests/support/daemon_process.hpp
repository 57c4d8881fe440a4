// The real daemon as a test's child: `durabled run --config FILE` with the settings given.
#pragma once

#include <signal.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/child_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {

// Not thread-safe. Destruction kills the daemon (SIGKILL), stopped or not. Errors: std::runtime_error with
// the log.
class DaemonProcess {
 public:
  struct Options {
    std::string database = {};  // a conninfo string or URI
    // Key path -> YAML, e.g. {"steps.connections", "4"} or {"http.allow", "[{host: example.org}]"}.
    std::map<std::string, std::string> settings = {};
    std::map<std::string, std::string> environment = {};
    std::string binary = kBinary;
  };

  // Starts it and returns at once; see wait_until_ready().
  explicit DaemonProcess(Options options);
  // With default settings.
  explicit DaemonProcess(const std::string& database) : DaemonProcess(Options{.database = database}) {}
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  // Until it reports READY=1 as it would to systemd. Throws at once when it ends before. Blocks.
  void wait_until_ready(std::chrono::milliseconds timeout = kPatience);

  pid_t pid() const { return process_->pid(); }
  bool running() { return process_->running(); }
  void kill9();  // waits for its end
  void sigstop() { process_->signal(SIGSTOP); }
  void sigcont() { process_->signal(SIGCONT); }
  void sighup() { process_->signal(SIGHUP); }

  // Asks it to end and returns its exit code. Throws when `timeout` passes first. Blocks.
  int sigterm_and_wait(std::chrono::milliseconds timeout = std::chrono::seconds{60});

  // The exit code of a daemon that ends by itself, or nothing when `timeout` passes. Blocks.
  std::optional<int> wait(std::chrono::milliseconds timeout = kPatience) { return process_->wait(timeout); }

  // Everything it has written to stderr (and stdout) so far.
  std::string log() const { return read_file(directory_.path() / "log"); }

  // Replaces the settings in its file; sighup() makes it read them.
  void write_settings(const std::map<std::string, std::string>& settings);

 private:
  bool heard_ready();

  TemporaryDirectory directory_{"durabled-run"};
  std::string database_;
  int notify_socket_ = -1;  // what systemd's would be
  bool ready_ = false;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace durabled::test
