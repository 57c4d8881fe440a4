// A private PostgreSQL for trying things out: everything in one folder that only its user can enter, on a Unix
// socket there and on a loopback port that asks for a password from a file there (dev_access.hpp). The schema
// is installed and owned by an ordinary role, as it would be anywhere.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "daemon/private_folder.hpp"
#include "daemon/server_programs.hpp"

namespace durabled::daemon {

struct DevOptions {
  std::string directory = ".durabled/dev";
  int port = 0;  // 0: the one of the last time if it is free, else a free one
};

// Owns the server's process. Not thread-safe; to be made by a thread that lives as long as the server shall.
class DevServer {
 public:
  // Makes the folder on first use, starts the server, installs or upgrades the schema. A folder that was made
  // by another version gets the programs of that one. Blocks for some seconds the first time. When the server
  // ends by itself later, this process gets SIGTERM. Throws std::runtime_error, with what the server logged
  // where it does not start, or store::StoreError.
  explicit DevServer(const DevOptions& options);
  // Stops the server and waits for it.
  ~DevServer();
  DevServer(const DevServer&) = delete;
  DevServer& operator=(const DevServer&) = delete;

  // For the service: as the role that owns the schema, through the socket.
  std::string conninfo() const { return conninfo("durabled", "durabled"); }
  std::string conninfo(const std::string& database, const std::string& user) const;

  // What to say when the server has ended by itself; nothing: it has not.
  std::optional<std::string> death() const;

  // What to tell whoever started it: how to connect and what to try; `program`: how this program is called.
  std::string greeting(const std::string& program) const;

 private:
  std::string uri(const std::string& user) const;
  void check_entry();
  void initialise();
  void start();
  void stop();
  void install();
  void watch();
  bool has_ended();

  std::filesystem::path data() const { return directory_ / "data"; }
  std::filesystem::path directory_;
  ServerPrograms programs_;
  std::optional<PrivateFolder> folder_;
  int port_ = 0;
  pid_t process_ = 0;
  std::uintmax_t log_begin_ = 0;  // of this run, in server.log
  std::thread watcher_;
  std::atomic<bool> stopping_ = false, died_ = false;
};

}  // namespace durabled::daemon
