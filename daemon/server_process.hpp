// Programs of a PostgreSQL server as children: as user `postgres` when this runs as root, because they refuse
// root.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace durabled::daemon {

struct ServerUser {
  uid_t uid;
  gid_t gid;
};

// Who runs the server; nothing: whoever runs this. Throws std::runtime_error when root and there is no
// `postgres`.
std::optional<ServerUser> server_user();

// Starts a program by its path, with its output appended to `log`, in a process group of its own (Ctrl-C is
// for this process alone) and with SIGINT when the calling thread ends. Throws std::system_error.
pid_t start_as_server(std::vector<std::string> argv, const std::filesystem::path& log);

// The same, to its end; returns the exit code, 128 + number for a signal.
int run_as_server(std::vector<std::string> argv, const std::filesystem::path& log);

// The last lines of a file, for messages.
std::string tail_of(const std::filesystem::path& file);

}  // namespace durabled::daemon
