#include "daemon/server_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace durabled::daemon {
namespace {

constexpr int kCannotStart = 127;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Between fork and exec: system calls only.
[[noreturn]] void become(char** argv, int log, const std::optional<ServerUser>& user, pid_t parent) {
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in < 0 || dup2(in, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) _exit(kCannotStart);
  if (chdir("/") != 0 || setpgid(0, 0) != 0) _exit(kCannotStart);
  if (user && (setgroups(0, nullptr) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0))
    _exit(kCannotStart);
  // After the change of user, which clears it. The parent may be gone already.
  prctl(PR_SET_PDEATHSIG, SIGINT);
  if (getppid() != parent) _exit(kCannotStart);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(argv[0], argv);
  _exit(kCannotStart);
}

}  // namespace

std::optional<ServerUser> server_user() {
  if (geteuid() != 0) return std::nullopt;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) {
    throw std::runtime_error("PostgreSQL refuses to run as root, and there is no user postgres to run it as");
  }
  return ServerUser{entry->pw_uid, entry->pw_gid};
}

pid_t start_as_server(std::vector<std::string> argv, int log) {
  const auto user = server_user();
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) become(pointers.data(), log, user, parent);
  return child;
}

int run_as_server(std::vector<std::string> argv, int log) {
  const pid_t child = start_as_server(std::move(argv), log);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string output_as_server(std::vector<std::string> argv) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
  const int status = run_as_server(std::move(argv), ends[1]);
  close(ends[1]);
  std::array<char, 1'024> text{};
  const ssize_t size = status == 0 ? read(ends[0], text.data(), text.size()) : 0;
  close(ends[0]);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "";
}

std::string last_messages(const std::string& log) {
  constexpr std::size_t kMessages = 20;
  std::istringstream in(log);
  std::deque<std::string> messages;
  for (std::string line; std::getline(in, line);) {
    const bool goes_on = !line.empty() && line[0] == '\t';  // as the server writes the second line of anything
    const bool is_added = line.find("] STATEMENT:  ") != line.npos || line.find("] CONTEXT:  ") != line.npos;
    if (goes_on || is_added) continue;
    messages.push_back(line);
    if (messages.size() > kMessages) messages.pop_front();
  }
  std::string last;
  for (const std::string& message : messages) last += message + '\n';
  return last;
}

}  // namespace durabled::daemon
