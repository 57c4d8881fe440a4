// A private PostgreSQL server for tests: made by initdb in a temporary directory, on a Unix socket there and
// on a free loopback port, trusting everybody, gone at the end. The programs come from $DURABLED_PG_BIN,
// which ./dev sets.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {

class PostgresServer;

// A database of a PostgresServer, dropped on destruction together with its sessions (if the server is up
// then).
class TestDatabase {
 public:
  TestDatabase(PostgresServer& server, std::string name) : server_(&server), name_(std::move(name)) {}
  ~TestDatabase();
  TestDatabase(TestDatabase&& other) noexcept
      : server_(std::exchange(other.server_, nullptr)), name_(std::move(other.name_)) {}
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  PostgresServer& server() const { return *server_; }

  // "host=… port=… dbname=… user=…". `durabled_owner` owns the database and its schema; `postgres` is the
  // superuser.
  std::string conninfo(const std::string& user = "durabled_owner") const;

 private:
  PostgresServer* server_;
  std::string name_;
};

// Owns the server's process and its data. Not thread-safe. Must be made on a thread that lives as long as the
// server is wanted, for the server ends with it. Errors: std::runtime_error with the server's log.
class PostgresServer {
 public:
  struct Options {
    bool durable = false;                    // true leaves fsync on, for tests that measure or cut the power
    std::vector<std::string> settings = {};  // lines for postgresql.conf, e.g. "max_connections = 20"
    std::filesystem::path programs = {};  // the directory of initdb and postgres; empty: postgres_programs()
  };

  // Creates the data directory and starts. Blocks for about a second.
  PostgresServer() : PostgresServer(Options{}) {}
  explicit PostgresServer(const Options& options);
  ~PostgresServer();  // as stop_immediate()

  void start();           // waits until it accepts connections; requires that it is stopped
  void stop_fast();       // rolls back what runs, writes a checkpoint; waits for the end
  void stop_immediate();  // as after a crash: recovers at the next start; waits for the end
  void restart();         // fast; the port stays
  bool running() { return process_ && process_->running(); }

  int port() const { return port_; }
  std::filesystem::path data_directory() const { return directory_.path() / "data"; }
  int version() const { return version_; }  // the major: 17
  std::string log() const { return read_file(directory_.path() / "server.log"); }

  // Through the Unix socket.
  std::string conninfo(const std::string& dbname = "postgres", const std::string& user = "postgres") const;
  // Through the loopback port: "postgresql://user@127.0.0.1:port/dbname".
  std::string uri(const std::string& dbname = "postgres", const std::string& user = "postgres") const;

  // With LOGIN; `attributes` such as "superuser" or "nologin" are added. Nothing happens when the role is
  // there.
  void create_role(const std::string& name, const std::string& attributes = "");

  // Empty, owned by `durabled_owner`, a role without any special right.
  TestDatabase empty_database();

  // As empty_database(), with the `df` schema as `durabled init` makes it when run by `durabled_owner`. A
  // copy of a template, so it takes some ten milliseconds after the first.
  TestDatabase fresh_database();

 private:
  void initialise(const Options& options);
  void stop(int signal_number);
  void make_template();
  TestDatabase create_database(const std::string& from);

  TemporaryDirectory directory_{"durabled-pg"};
  std::filesystem::path programs_;
  int port_ = 0;
  int version_ = 0;
  int databases_ = 0;  // made so far; numbers their names
  bool has_template_ = false;
  std::unique_ptr<ChildProcess> process_;
};

// One server a test binary, made on first use and left running: do not stop it, make one of your own for
// that. Call it first from the main thread.
PostgresServer& shared_server();

// shared_server().fresh_database()
TestDatabase fresh_database();

// The directory with initdb and postgres: $DURABLED_PG_BIN, or Debian's for version 17. Throws when there is
// none.
std::filesystem::path postgres_programs();

}  // namespace durabled::test
