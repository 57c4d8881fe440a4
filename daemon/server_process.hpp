// Programs of a PostgreSQL server as children: as user `postgres` when this runs as root, because they refuse
// root.
#pragma once

#include <sys/types.h>

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

// Starts a program by its path, with its output written to the descriptor `log`, in a process group of its own
// (Ctrl-C is for this process alone) and with SIGINT when the calling thread ends. Throws std::system_error.
pid_t start_as_server(std::vector<std::string> argv, int log);

// The same, to its end; returns the exit code, 128 + number for a signal.
int run_as_server(std::vector<std::string> argv, int log);

// The same; returns what it wrote, which must not be much: "" when it could not be started or failed.
std::string output_as_server(std::vector<std::string> argv);

// The last messages of a log that PostgreSQL's programs wrote, for people: without the statements and contexts
// that the server adds to a message, each of which may be many lines long.
std::string last_messages(const std::string& log);

}  // namespace durabled::daemon
