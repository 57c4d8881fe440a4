#include "daemon/dev_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "daemon/server_process.hpp"
#include "store/dev_store.hpp"
#include "store/schema.hpp"

namespace durabled::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience{60};
constexpr const char* kOwner = "durabled";
constexpr const char* kApp = "app";

// Listens for a moment; 0: any port that is free. Returns the port, 0 when it is taken.
int claim_port(int port) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;  // as the server does: connections of its earlier life do not matter
  setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = socket_fd >= 0 && bind(socket_fd, generic, length) == 0 && listen(socket_fd, 1) == 0 &&
                     getsockname(socket_fd, generic, &length) == 0;
  if (socket_fd >= 0) close(socket_fd);
  return bound ? ntohs(address.sin_port) : 0;
}

// The first number in a file; 0 when there is none.
int number_in(const fs::path& file) {
  int number = 0;
  std::ifstream in(file);
  in >> number;
  return in ? number : 0;
}

int choose_port(const fs::path& remembered) {
  constexpr int kHighest = 65'535;
  const int last = number_in(remembered);
  const int port = last > 0 && last <= kHighest ? claim_port(last) : 0;
  const int chosen = port != 0 ? port : claim_port(0);
  if (chosen == 0) throw std::runtime_error("no free loopback port");
  return chosen;
}

// The programs that fit what is in the folder.
ServerPrograms programs_for(const fs::path& data) {
  const int made_by = number_in(data / "PG_VERSION");
  if (made_by == 0) return find_server_programs(std::nullopt);
  try {
    return find_server_programs(made_by);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(data.parent_path().string() + " was made by PostgreSQL " +
                             std::to_string(made_by) + ": give another --dir, or its programs (" +
                             error.what() + ")");
  }
}

// The process of a server that runs on these files. A lock file whose process is gone, or is another
// program's by now, is none.
std::optional<int> running_server(const fs::path& data) {
  const int process = number_in(data / "postmaster.pid");
  if (process <= 0) return std::nullopt;
  std::ifstream in("/proc/" + std::to_string(process) + "/comm");
  std::string program;
  in >> program;
  return program == "postgres" ? std::optional(process) : std::nullopt;
}

std::uintmax_t size_of(const fs::path& file) {
  std::error_code none;
  const std::uintmax_t size = fs::file_size(file, none);
  return none ? 0 : size;
}

}  // namespace

DevServer::DevServer(const DevOptions& options)
    : directory_(fs::absolute(options.directory).lexically_normal()) {
  // The server's address of its socket must fit into sockaddr_un.
  if ((directory_ / ".s.PGSQL.65535.lock").string().size() >= sizeof(sockaddr_un::sun_path)) {
    throw std::runtime_error("the path " + directory_.string() +
                             " is too long for a socket; use a shorter --dir");
  }
  if (const auto process = running_server(data())) {
    throw std::runtime_error("a server runs in " + directory_.string() + " already (process " +
                             std::to_string(*process) +
                             "): stop the other durabled dev, or give another --dir");
  }
  programs_ = programs_for(data());
  port_ = options.port == 0 ? choose_port(directory_ / "port") : options.port;
  make_directory();
  initialise();
  start();
  try {
    install();
  } catch (...) {
    stop();
    throw;
  }
}

DevServer::~DevServer() {
  stop();
}

std::string DevServer::conninfo(const std::string& database, const std::string& user) const {
  std::string quoted;
  for (const char c : directory_.string())
    quoted += (c == '\'' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return "host='" + quoted + "' port=" + std::to_string(port_) + " dbname=" + database + " user=" + user;
}

std::string DevServer::uri(const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + kOwner;
}

std::string DevServer::greeting(const std::string& program) const {
  return "\nPostgreSQL " + programs_.version + " (" + programs_.directory.string() + ") is in " +
         directory_.string() +
         ",\nand a daemon serves it. Ctrl-C stops both; the data stays.\n\n"
         "  psql " +
         uri(kApp) + "        # an ordinary role that may use the schema\n  psql " + uri(kOwner) +
         "   # the role that owns the schema\n\n"
         "  export DURABLED_DATABASE=" +
         uri(kApp) + "\n  " + program + " submit -e \"'SELECT 1' ~> 'SELECT 2'\" --wait\n\n";
}

// The server refuses to run as root, so that its user must be able to enter the folder.
void DevServer::make_directory() {
  fs::create_directories(directory_);
  if (const auto user = server_user()) {
    if (chown(directory_.c_str(), user->uid, user->gid) != 0)
      throw std::runtime_error("chown " + directory_.string());
  }
  if (chmod(directory_.c_str(), 0755) != 0) throw std::runtime_error("chmod " + directory_.string());
  if (run_as_server({"/usr/bin/test", "-x", directory_.string()}, directory_ / "initdb.log") != 0) {
    throw std::runtime_error("user postgres, which runs the server, cannot enter " + directory_.string() +
                             "; give another --dir, e.g. --dir /tmp/durabled-dev");
  }
}

// Made aside and then renamed: a folder of which the making was interrupted is made again.
void DevServer::initialise() {
  if (fs::exists(data() / "PG_VERSION")) return;
  const fs::path fresh = directory_ / "data.new";
  fs::remove_all(fresh);
  const fs::path log = directory_ / "initdb.log";
  const std::uintmax_t before = size_of(log);
  const int status =
      run_as_server({(programs_.directory / "initdb").string(), "--pgdata=" + fresh.string(),
                     "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"},
                    log);
  if (status != 0) throw std::runtime_error("initdb failed:\n" + tail_of(log, before));
  fs::rename(fresh, data());
}

void DevServer::start() {
  const fs::path log = directory_ / "server.log";
  const std::uintmax_t before = size_of(log);
  process_ = start_as_server({(programs_.directory / "postgres").string(), "-D", data().string(), "-c",
                              "listen_addresses=127.0.0.1", "-c", "port=" + std::to_string(port_), "-c",
                              "unix_socket_directories=" + directory_.string(), "-c", "max_connections=100"},
                             log);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!store::can_connect(conninfo("postgres", "postgres"))) {
    if (has_ended()) throw std::runtime_error("PostgreSQL did not start:\n" + tail_of(log, before));
    if (std::chrono::steady_clock::now() > deadline) {
      stop();
      throw std::runtime_error("PostgreSQL does not accept connections:\n" + tail_of(log, before));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  std::ofstream(directory_ / "port") << port_ << '\n';
}

void DevServer::install() {
  store::prepare_server(conninfo("postgres", "postgres"), kOwner, kApp);
  store::migrate(conninfo(), {});
  store::admit(conninfo(), kApp);
}

bool DevServer::has_ended() {
  if (process_ != 0 && waitpid(process_, nullptr, WNOHANG) == process_) process_ = 0;
  return process_ == 0;
}

void DevServer::stop() {
  if (has_ended()) return;
  kill(process_, SIGINT);  // fast: sessions are ended, data is written
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = 0;
}

}  // namespace durabled::daemon
