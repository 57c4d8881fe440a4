#include "tests/support/postgres_server.hpp"
#include "tests/support/paths.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "tests/support/sql.hpp"

namespace durabled::test {
namespace {

constexpr std::chrono::milliseconds kStart = std::chrono::seconds{60};
constexpr const char* kOwner = "durabled_owner";
constexpr const char* kTemplate = "df_template";

// A port that was free a moment ago. Whoever takes it before the server does makes the server's start fail,
// loudly.
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

std::string identifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::filesystem::path postgres_programs() {
  const char* given = std::getenv("DURABLED_PG_BIN");
  std::filesystem::path programs = given != nullptr ? given : "/usr/lib/postgresql/17/bin";
  if (std::filesystem::exists(programs / "initdb")) return programs;
  throw std::runtime_error(
      "no PostgreSQL server in " + programs.string() +
      ": set DURABLED_PG_BIN to the directory of initdb and postgres, or use ./dev test");
}

PostgresServer::PostgresServer(const Options& options)
    : programs_(options.programs.empty() ? postgres_programs() : options.programs), port_(free_port()) {
  initialise(options);
  start();
  Sql sql(conninfo());
  version_ = static_cast<int>(sql.number("select current_setting('server_version_num')::int / 10000"));
}

PostgresServer::~PostgresServer() {
  try {
    stop_immediate();
  } catch (const std::exception&) {
    process_.reset();  // kills it
  }
}

void PostgresServer::initialise(const Options& options) {
  const auto& path = directory_.path();
  if (const auto user = postgres_user_when_root()) {
    if (chown(path.c_str(), user->uid, user->gid) != 0) throw std::runtime_error("chown " + path.string());
  }
  run({.argv = {(programs_ / "initdb").string(), "--pgdata=" + data_directory().string(),
                "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"},
       .output = path / "initdb.log",
       .directory = path,
       .as_postgres_user = true});
  std::string settings = "listen_addresses = '127.0.0.1'\nunix_socket_directories = '" + path.string() +
                         "'\nport = " + std::to_string(port_) +
                         "\nmax_connections = 200\nshared_buffers = 64MB\n"
                         "log_line_prefix = '%m [%p] %u@%d '\ntimezone = 'UTC'\n";
  if (!options.durable) settings += "fsync = off\nfull_page_writes = off\n";
  for (const auto& line : options.settings) settings += line + "\n";
  write_file(data_directory() / "postgresql.auto.conf", settings);
}

void PostgresServer::start() {
  if (running()) throw std::runtime_error("the server runs already");
  process_ = std::make_unique<ChildProcess>(
      Command{.argv = {(programs_ / "postgres").string(), "-D", data_directory().string()},
              .output = directory_.path() / "server.log",
              .directory = directory_.path(),
              .as_postgres_user = true,
              .signal_with_parent = SIGQUIT});
  const std::string target = conninfo();
  wait_until(
      "the server accepts connections",
      [&] {
        if (!process_->running()) throw std::runtime_error("the server did not start:\n" + log());
        return PQping(target.c_str()) == PQPING_OK;
      },
      kStart);
}

void PostgresServer::stop(int signal_number) {
  if (!process_) return;
  process_->signal(signal_number);
  if (!process_->wait(kStart)) throw std::runtime_error("the server did not stop:\n" + log());
  process_.reset();
}

void PostgresServer::stop_fast() {
  stop(SIGINT);
}

void PostgresServer::stop_immediate() {
  stop(SIGQUIT);
}

void PostgresServer::restart() {
  stop_fast();
  start();
}

std::string PostgresServer::conninfo(const std::string& dbname, const std::string& user) const {
  return "host=" + directory_.path().string() + " port=" + std::to_string(port_) + " dbname=" + dbname +
         " user=" + user;
}

std::string PostgresServer::uri(const std::string& dbname, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + dbname;
}

void PostgresServer::create_role(const std::string& name, const std::string& attributes) {
  Sql sql(conninfo());
  if (!sql.exec("select from pg_roles where rolname = $1", name).empty()) return;
  sql.exec("create role " + identifier(name) + " login");
  if (!attributes.empty()) sql.exec("alter role " + identifier(name) + " " + attributes);
}

TestDatabase PostgresServer::create_database(const std::string& from) {
  create_role(kOwner);
  const std::string name = "test_" + std::to_string(++databases_);
  Sql(conninfo()).exec("create database " + name + " template " + from + " owner " + kOwner);
  return {*this, name};
}

void PostgresServer::make_template() {
  create_role(kOwner);
  Sql(conninfo()).exec(std::string("create database ") + kTemplate + " owner " + kOwner);
  run({.argv = {kBinary, "init", "--database", conninfo(kTemplate, kOwner)},
       .output = directory_.path() / "init.log",
       .directory = directory_.path()});
  has_template_ = true;
}

TestDatabase PostgresServer::empty_database() {
  return create_database("template0");
}

TestDatabase PostgresServer::fresh_database() {
  if (!has_template_) make_template();
  return create_database(kTemplate);
}

TestDatabase::~TestDatabase() {
  if (server_ == nullptr || !server_->running()) return;
  try {
    Sql(server_->conninfo()).exec("drop database if exists " + name_ + " with (force)");
  } catch (const SqlError&) {
    // It goes with the server at the latest.
  }
}

std::string TestDatabase::conninfo(const std::string& user) const {
  return server_->conninfo(name_, user);
}

PostgresServer& shared_server() {
  static PostgresServer server;
  return server;
}

TestDatabase fresh_database() {
  return shared_server().fresh_database();
}

}  // namespace durabled::test
