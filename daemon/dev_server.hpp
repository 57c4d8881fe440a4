// A private PostgreSQL for trying things out: everything in one folder, on a Unix socket there and on a
// loopback port, trusting everybody who can reach these. The schema is installed and owned by an ordinary
// role, as it would be anywhere.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

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
  // by another version gets the programs of that one. Blocks for some seconds the first time. Throws
  // std::runtime_error, with what the server logged where it does not start, or store::StoreError.
  explicit DevServer(const DevOptions& options);
  // Stops the server and waits for it.
  ~DevServer();
  DevServer(const DevServer&) = delete;
  DevServer& operator=(const DevServer&) = delete;

  // For the service: as the role that owns the schema, through the socket.
  std::string conninfo() const { return conninfo("durabled", "durabled"); }

  // What to tell whoever started it: how to connect and what to try; `program`: how this program is called.
  std::string greeting(const std::string& program) const;

 private:
  std::string conninfo(const std::string& database, const std::string& user) const;
  std::string uri(const std::string& user) const;
  void make_directory();
  void initialise();
  void start();
  void stop();
  void install();
  bool has_ended();

  std::filesystem::path data() const { return directory_ / "data"; }
  std::filesystem::path directory_;
  ServerPrograms programs_;
  int port_ = 0;
  pid_t process_ = 0;
};

}  // namespace durabled::daemon
