// Programs that tests start: in a clean environment, never outliving the test, their output in a file.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/await.hpp"

namespace durabled::test {

struct Command {
  std::vector<std::string> argv = {};  // the program's path first; no shell, no search
  // Added to the environment of the test, from which PG… and DURABLED_… are taken out first: what happens to
  // be set around a test must not reach what it starts.
  std::map<std::string, std::string> environment = {};
  std::filesystem::path output = {};  // stdout and stderr are appended here
  std::filesystem::path directory = "/";
  bool as_postgres_user =
      false;  // when the test runs as root: as user `postgres`, because the server refuses root
  int signal_with_parent = 9;  // sent when the thread that started it ends, so that nothing is left behind
};

struct User {
  uid_t uid;
  gid_t gid;
};

// User `postgres` when the test runs as root; nothing otherwise. Throws std::runtime_error when root
// and that user does not exist.
std::optional<User> postgres_user_when_root();

// One running program. Not thread-safe. Destruction kills it (SIGKILL) and waits for it.
class ChildProcess {
 public:
  // Throws std::system_error when it cannot be started.
  explicit ChildProcess(Command command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running();

  // Nothing happens when it has ended.
  void signal(int number);

  // The exit code once it has ended (128 + number for a signal), or nothing when `timeout` passes. Blocks.
  std::optional<int> wait(std::chrono::milliseconds timeout = kPatience);

 private:
  void reap(int options);

  pid_t pid_ = 0;
  std::optional<int> exit_code_;
};

// Runs to the end. Throws std::runtime_error with the output when it fails or takes longer than `timeout`.
// Blocks.
void run(const Command& command, std::chrono::milliseconds timeout = std::chrono::seconds{60});

}  // namespace durabled::test
