#include "daemon/dev_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/dev_access.hpp"
#include "daemon/server_process.hpp"
#include "store/dev_store.hpp"
#include "store/schema.hpp"

namespace durabled::daemon {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

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

// The number that a text begins with; 0 if it does not begin with one.
int number_in(const std::string& text) {
  int number = 0;
  std::istringstream in(text);
  in >> number;
  return in ? number : 0;
}

// `wanted`: 0 where none was asked for.
int choose_port(int wanted, int last) {
  constexpr int kHighest = 65'535;
  if (wanted != 0) {
    if (claim_port(wanted) != 0) return wanted;
    throw std::runtime_error("port " + std::to_string(wanted) +
                             " is taken; give another --port, or none for a free one");
  }
  const int port = last > 0 && last <= kHighest ? claim_port(last) : 0;
  const int chosen = port != 0 ? port : claim_port(0);
  if (chosen == 0) throw std::runtime_error("no free loopback port");
  return chosen;
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  std::string text;
  std::getline(in, text);
  return text;
}

// The programs that fit what is in the folder.
ServerPrograms programs_for(const fs::path& data) {
  const int made_by = number_in(text_of(data / "PG_VERSION"));
  if (made_by == 0) return find_server_programs(std::nullopt);
  try {
    return find_server_programs(made_by);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(data.parent_path().string() + " was made by PostgreSQL " +
                             std::to_string(made_by) + ": give another --dir, or its programs (" +
                             error.what() + ")");
  }
}

// The process of a server that runs on these files. A lock file is ignored when its process is gone or is
// by now another program.
std::optional<int> running_server(const fs::path& data) {
  const int process = number_in(text_of(data / "postmaster.pid"));
  if (process <= 0) return std::nullopt;
  return text_of("/proc/" + std::to_string(process) + "/comm") == "postgres" ? std::optional(process)
                                                                             : std::nullopt;
}

// For a part of a URI: all but letters, digits and what file names usually hold.
std::string percent_encoded(const std::string& text) {
  constexpr std::string_view kPlain = "-._~/", kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte) != 0) || kPlain.find(c) != std::string_view::npos;
    encoded += plain ? std::string(1, c) : std::string("%") + kHex[byte >> 4] + kHex[byte & 15];
  }
  return encoded;
}

// What dev itself puts into its folder.
const std::set<std::string>& known_files() {
  static const std::set<std::string> names{"data",       "data.new", "initdb.log",
                                           "server.log", "port",     "passfile"};
  return names;
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
  folder_.emplace(directory_, server_user(), known_files());
  port_ = choose_port(options.port, number_in(folder_->read("port")));
  check_entry();
  initialise();
  start();
  try {
    install();
  } catch (...) {
    stop();
    throw;
  }
  watcher_ = std::thread([this] { watch(); });
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
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + kOwner +
         "?passfile=" + percent_encoded((directory_ / "passfile").string());
}

// Single quotes for the shell, where a URI's ? would be a pattern.
std::string DevServer::greeting(const std::string& program) const {
  const std::string app = "'" + uri(kApp) + "'";
  std::string by_socket = "-h '";
  for (const char c : directory_.string()) by_socket += c == '\'' ? "'\\''" : std::string(1, c);
  by_socket += "' -p " + std::to_string(port_);
  return "\nPostgreSQL " + programs_.version + " (" + programs_.directory.string() + ") is in " +
         directory_.string() +
         ",\nand a daemon serves it. Ctrl-C stops both; the data stays. An ordinary role that may use the "
         "schema:\n\n"
         "  psql " +
         app + "\n\n  export DURABLED_DATABASE=" + app + "\n  " + program +
         " submit -e \"'SELECT 1' ~> 'SELECT 2'\" --wait\n\nThe role that owns the schema:\n\n  psql '" +
         uri(kOwner) + "'\n\nAnother role, by the socket, where you may be any role:\n\n  psql " + by_socket +
         " -U postgres -c 'CREATE ROLE alice LOGIN' -c \"SELECT df.grant_usage('alice')\" " + kOwner +
         "\n  psql " + by_socket + " -U alice " + kOwner + "\n\n";
}

// The server refuses to run as root; its user must be able to enter the folder.
void DevServer::check_entry() {
  const OpenFile log = folder_->open_to_append("initdb.log");
  if (run_as_server({"/usr/bin/test", "-x", directory_.string()}, log.number()) != 0) {
    throw std::runtime_error("user postgres, which runs the server, cannot enter " + directory_.string() +
                             "; give another --dir, e.g. --dir /var/lib/durabled-dev");
  }
}

// Made aside and then renamed: a folder of which the making was interrupted is made again.
void DevServer::initialise() {
  if (fs::exists(data() / "PG_VERSION")) return;
  const fs::path fresh = directory_ / "data.new";
  fs::remove_all(fresh);
  const OpenFile log = folder_->open_to_append("initdb.log");
  const std::uintmax_t before = folder_->size("initdb.log");
  const int status = run_as_server(
      {(programs_.directory / "initdb").string(), "--pgdata=" + fresh.string(), "--username=postgres",
       "--auth-local=peer", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--no-sync"},
      log.number());
  if (status != 0)
    throw std::runtime_error("initdb failed:\n" + last_messages(folder_->read("initdb.log", before)));
  fs::rename(fresh, data());
}

void DevServer::start() {
  folder_->write("pg_hba.conf", dev_hba(programs_.major));
  folder_->write("pg_ident.conf", dev_ident(programs_.major));
  const OpenFile log = folder_->open_to_append("server.log");
  log_begin_ = folder_->size("server.log");
  std::vector<std::string> command{(programs_.directory / "postgres").string(), "-D", data().string()};
  for (const std::string& setting :
       {"listen_addresses=127.0.0.1"s, "port=" + std::to_string(port_), "max_connections=100"s,
        "unix_socket_directories=" + directory_.string(), "unix_socket_permissions=0700"s,
        "hba_file=" + (directory_ / "pg_hba.conf").string(),
        "ident_file=" + (directory_ / "pg_ident.conf").string()}) {
    command.insert(command.end(), {"-c", setting});
  }
  process_ = start_as_server(std::move(command), log.number());
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const auto logged = [&] { return last_messages(folder_->read("server.log", log_begin_)); };
  while (!store::can_connect(conninfo("postgres", "postgres"))) {
    if (has_ended()) throw std::runtime_error("PostgreSQL did not start:\n" + logged());
    if (std::chrono::steady_clock::now() > deadline) {
      stop();
      throw std::runtime_error("PostgreSQL does not accept connections:\n" + logged());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  folder_->write("port", std::to_string(port_) + '\n');
}

void DevServer::install() {
  const auto passwords = dev_passwords(*folder_, {kOwner, kApp});
  store::prepare_server(conninfo("postgres", "postgres"), kOwner, kApp, passwords);
  store::migrate(conninfo(), {});
  store::admit(conninfo(), kApp);
}

// Waits without reaping, which stop() does.
void DevServer::watch() {
  siginfo_t ended{};
  while (waitid(P_PID, static_cast<id_t>(process_), &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  if (stopping_) return;
  died_ = true;
  kill(getpid(), SIGTERM);
}

std::optional<std::string> DevServer::death() const {
  if (!died_) return std::nullopt;
  return "PostgreSQL has ended:\n" + last_messages(folder_->read("server.log", log_begin_));
}

bool DevServer::has_ended() {
  if (process_ != 0 && waitpid(process_, nullptr, WNOHANG) == process_) process_ = 0;
  return process_ == 0;
}

void DevServer::stop() {
  stopping_ = true;
  if (process_ != 0) kill(process_, SIGINT);  // fast: sessions are ended, data is written
  if (watcher_.joinable()) watcher_.join();
  if (process_ == 0) return;
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = 0;
}

}  // namespace durabled::daemon
