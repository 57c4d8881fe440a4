#include "tests/support/daemon_process.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace durabled::test {
namespace {

// A datagram socket at `path`, as systemd's NOTIFY_SOCKET.
int listen_for_notifications(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (fd >= 0) close(fd);
    throw std::runtime_error("cannot listen on " + path);
  }
  return fd;
}

std::string double_quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return quoted + "\"";
}

// One section a line, in flow form: "steps: {connections: 4, idle_timeout: 1s}".
std::string to_yaml(const std::string& database, const std::map<std::string, std::string>& settings) {
  std::map<std::string, std::string> sections;
  for (const auto& [path, value] : settings) {
    const auto dot = path.find('.');
    if (dot == std::string::npos) throw std::runtime_error("not a section's key: " + path);
    std::string& section = sections[path.substr(0, dot)];
    section += (section.empty() ? "" : ", ") + path.substr(dot + 1) + ": " + value;
  }
  std::string yaml = "database: " + double_quoted(database) + "\n";
  for (const auto& [name, entries] : sections) yaml += name + ": {" + entries + "}\n";
  return yaml;
}

}  // namespace

DaemonProcess::DaemonProcess(Options options) : database_(std::move(options.database)) {
  write_settings(options.settings);
  const std::string notify = (directory_.path() / "notify").string();
  notify_socket_ = listen_for_notifications(notify);
  Command command{.argv = {options.binary, "run", "--config", (directory_.path() / "durabled.yaml").string()},
                  .environment = std::move(options.environment),
                  .output = directory_.path() / "log",
                  .directory = directory_.path()};
  command.environment.emplace("NOTIFY_SOCKET", notify);
  process_ = std::make_unique<ChildProcess>(std::move(command));
}

DaemonProcess::~DaemonProcess() {
  process_.reset();
  if (notify_socket_ >= 0) close(notify_socket_);
}

void DaemonProcess::write_settings(const std::map<std::string, std::string>& settings) {
  auto all = settings;
  all.emplace("metrics.listen", "\"\"");  // many run at a time
  // ./dev test runs whole rooms with and without it.
  if (const char* group = std::getenv("DURABLED_TEST_GROUP_COMMIT")) all.emplace("steps.group_commit", group);
  write_file(directory_.path() / "durabled.yaml", to_yaml(database_, all));
}

bool DaemonProcess::heard_ready() {
  std::array<char, 4'096> buffer{};
  while (!ready_ && notify_socket_ >= 0) {
    const ssize_t length = recv(notify_socket_, buffer.data(), buffer.size(), 0);
    if (length < 0) break;
    // Assignments, one a line.
    const std::string text = "\n" + std::string(buffer.data(), static_cast<std::size_t>(length)) + "\n";
    ready_ = text.find("\nREADY=1\n") != std::string::npos;
  }
  return ready_;
}

void DaemonProcess::wait_until_ready(std::chrono::milliseconds timeout) {
  try {
    wait_until(
        "the daemon is ready",
        [&] {
          if (heard_ready()) return true;
          if (!running()) throw std::runtime_error("the daemon ended");
          return false;
        },
        timeout);
    // Nobody reads it any more, and a full socket would block the daemon.
    if (notify_socket_ >= 0) close(std::exchange(notify_socket_, -1));
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string(error.what()) + ":\n" + log());
  }
}

void DaemonProcess::kill9() {
  process_->signal(SIGKILL);
  process_->wait();
}

int DaemonProcess::sigterm_and_wait(std::chrono::milliseconds timeout) {
  process_->signal(SIGTERM);
  const auto code = process_->wait(timeout);
  if (!code) throw std::runtime_error("the daemon did not end after SIGTERM:\n" + log());
  return *code;
}

}  // namespace durabled::test
