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
#include <cstdlib>
#include <fstream>
#include <sstream>
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

int free_port() {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = socket_fd >= 0 && bind(socket_fd, generic, length) == 0 &&
                     getsockname(socket_fd, generic, &length) == 0;
  if (socket_fd >= 0) close(socket_fd);
  if (!bound) throw std::runtime_error("no free loopback port");
  return ntohs(address.sin_port);
}

bool has_server(const fs::path& directory) {
  return access((directory / "initdb").c_str(), X_OK) == 0 &&
         access((directory / "postgres").c_str(), X_OK) == 0;
}

std::vector<fs::path> candidates() {
  std::vector<fs::path> all;
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string entry; std::getline(path, entry, ':');) {
    if (!entry.empty()) all.emplace_back(entry);
  }
  for (const char* version : {"17", "18", "16", "15"})
    all.push_back(fs::path("/usr/lib/postgresql") / version / "bin");
  return all;
}

}  // namespace

fs::path find_postgres() {
  if (const char* given = std::getenv("DURABLED_PG_BIN"); given != nullptr && *given != '\0') {
    if (has_server(given)) return given;
    throw std::runtime_error(std::string("DURABLED_PG_BIN is ") + given +
                             ", where initdb and postgres are not");
  }
  for (const fs::path& directory : candidates()) {
    if (has_server(directory)) return directory;
  }
  throw std::runtime_error(
      "no PostgreSQL server found in PATH or /usr/lib/postgresql: install one (apt install postgresql-17), "
      "or set "
      "DURABLED_PG_BIN to the directory of initdb and postgres");
}

DevServer::DevServer(const DevOptions& options)
    : directory_(fs::absolute(options.directory).lexically_normal()),
      programs_(find_postgres()),
      port_(options.port == 0 ? free_port() : options.port) {
  // The server's address of its socket must fit into sockaddr_un.
  if ((directory_ / ".s.PGSQL.65535.lock").string().size() >= sizeof(sockaddr_un::sun_path)) {
    throw std::runtime_error("the path " + directory_.string() +
                             " is too long for a socket; use a shorter --dir");
  }
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

std::string DevServer::greeting() const {
  return "\nPostgreSQL is in " + directory_.string() +
         ", and a daemon serves it. Ctrl-C stops both; the data stays.\n\n"
         "  psql " +
         uri(kApp) +
         "\n"
         "  export DURABLED_DATABASE=" +
         uri(kApp) +
         "\n"
         "  durabled submit -e \"'SELECT 1' ~> 'SELECT 2'\" --wait\n\n"
         "Role app is an ordinary role that may use the schema; role durabled owns it.\n\n";
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
  const fs::path data = directory_ / "data";
  if (fs::exists(data / "PG_VERSION")) return;
  const fs::path fresh = directory_ / "data.new";
  fs::remove_all(fresh);
  const fs::path log = directory_ / "initdb.log";
  const int status =
      run_as_server({(programs_ / "initdb").string(), "--pgdata=" + fresh.string(), "--username=postgres",
                     "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"},
                    log);
  if (status != 0) throw std::runtime_error("initdb failed:\n" + tail_of(log));
  fs::rename(fresh, data);
}

void DevServer::start() {
  process_ = start_as_server({(programs_ / "postgres").string(), "-D", (directory_ / "data").string(), "-c",
                              "listen_addresses=127.0.0.1", "-c", "port=" + std::to_string(port_), "-c",
                              "unix_socket_directories=" + directory_.string(), "-c", "max_connections=100"},
                             directory_ / "server.log");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!store::can_connect(conninfo("postgres", "postgres"))) {
    if (has_ended())
      throw std::runtime_error("PostgreSQL did not start:\n" + tail_of(directory_ / "server.log"));
    if (std::chrono::steady_clock::now() > deadline) {
      stop();
      throw std::runtime_error("PostgreSQL does not accept connections:\n" +
                               tail_of(directory_ / "server.log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
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
