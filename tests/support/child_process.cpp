#include "tests/support/child_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (name.starts_with("PG") || name.starts_with("DURABLED_") || name.starts_with("OTEL_") ||
        name == "DATABASE_URL" || name == "NOTIFY_SOCKET")
      continue;
    if (!command.environment.contains(name)) all.emplace_back(text);
  }
  for (const auto& [name, value] : command.environment) all.push_back(name + "=" + value);
  return all;
}

// Everything was prepared before the fork: between fork and exec only system calls are safe, for the test may
// have threads.
[[noreturn]] void become(const Command& command, const std::optional<User>& user, char** argv, char** envp,
                         pid_t parent) {
  constexpr int kCannotStart = 127;
  const int out = open(command.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(kCannotStart);
  if (chdir(command.directory.c_str()) != 0) _exit(kCannotStart);
  if (user && (setgroups(0, nullptr) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0))
    _exit(kCannotStart);
  // After the change of user, which clears it. The parent may have gone before it was set.
  prctl(PR_SET_PDEATHSIG, command.signal_with_parent);
  if (getppid() != parent) _exit(kCannotStart);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(argv[0], argv, envp);
  _exit(kCannotStart);
}

}  // namespace

std::optional<User> postgres_user_when_root() {
  if (geteuid() != 0) return std::nullopt;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) throw std::runtime_error("running as root needs a user `postgres` for the server");
  return User{entry->pw_uid, entry->pw_gid};
}

ChildProcess::ChildProcess(Command command) {
  if (access(command.argv.at(0).c_str(), X_OK) != 0) fail(command.argv[0]);
  std::vector<std::string> environment = environment_of(command);
  const auto user = command.as_postgres_user ? postgres_user_when_root() : std::nullopt;
  std::vector<char*> argv = pointers(command.argv);
  std::vector<char*> envp = pointers(environment);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) become(command, user, argv.data(), envp.data(), parent);
}

ChildProcess::~ChildProcess() {
  signal(SIGKILL);
  reap(0);
}

void ChildProcess::reap(int options) {
  if (exit_code_) return;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(pid_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended == pid_) exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool ChildProcess::running() {
  reap(WNOHANG);
  return !exit_code_;
}

void ChildProcess::signal(int number) {
  if (running()) kill(pid_, number);
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (running() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return exit_code_;
}

void run(const Command& command, std::chrono::milliseconds timeout) {
  ChildProcess child(command);
  const auto code = child.wait(timeout);
  if (code == 0) return;
  throw std::runtime_error(command.argv.at(0) +
                           (code ? " ended with " + std::to_string(*code) : " took too long") + ":\n" +
                           read_file(command.output));
}

}  // namespace durabled::test
