// libpq writes to stderr by itself what it has to say while it logs in: that a passfile may be read by others, and the
// server's notices, which may be texts of a role's. Connection strings with which it has nothing to say.
#pragma once

#include <optional>
#include <string>

namespace durabled::store {

struct QuietLogin {
  std::string conninfo;
  std::optional<std::string> warning;  // for people: why the passfile is not used
};

// `conninfo`: a URI or conninfo string; one that cannot be parsed is returned as it is. `send_options`: the connection goes
// to a server, not to a pooler that passes no startup options on.
QuietLogin quiet_login(const std::string& conninfo, bool send_options);

// Why libpq would not use a passfile: it is not a file, or others may read it. nullopt if libpq would use it, or if it does not exist.
std::optional<std::string> passfile_problem(const std::string& path);

// Where no passfile is.
inline constexpr const char* kNoPassfile = "/dev/null/none";

}  // namespace durabled::store
