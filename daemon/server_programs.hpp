// The PostgreSQL server programs of this machine: which there are, of which version, and which to take.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace durabled::daemon {

struct ServerPrograms {
  std::filesystem::path directory;  // of initdb and postgres
  int major = 0;
  std::string version;  // "17.4"
};

// Whether `one` is the better choice of the two: PostgreSQL 17, which this is tested with most, before others,
// and newer ones before older ones.
bool is_preferred(const ServerPrograms& one, const ServerPrograms& other);

// $DURABLED_PG_BIN and nothing else where that is set; otherwise the preferred of: pgNN/bin in .durabled beside
// the directory of this program and in /var/cache/durabled (where ./dev puts them),
// /usr/lib/postgresql/NN/bin, and PATH. With `major`, only
// those of that version. What the user that runs the server cannot execute does not count. Throws
// std::runtime_error, saying where it looked.
ServerPrograms find_server_programs(std::optional<int> major);

}  // namespace durabled::daemon
