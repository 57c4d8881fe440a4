// Connection strings: the daemon's own, and those of the steps, which differ by role and database.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace durabled::store {

// Keywords and values for PQconnectdbParams, the later ones overriding; the first is an expandable dbname.
using ConnectParams = std::vector<std::pair<std::string, std::string>>;

// A role by its oid: names change, and another role may take one over. 0: not known.
using RoleId = std::uint32_t;

struct StepTarget {
  std::string role;  // who the step runs as
  std::string database;
  RoleId role_id = 0;
  auto operator<=>(const StepTarget&) const = default;
};

// `base`: URI or conninfo of the daemon. `own_role`: whom that logs in as; for another role its password is
// left out, so that the passfile or `extra` (conninfo of identity.roles) gives one. `pooled`: behind a
// transaction pooler, which passes no startup options on. `lease_ttl`: a session in which nothing was heard of the daemon for
// so long ends itself, so that its locks are not kept while another daemon takes over.
ConnectParams step_params(const std::string& base, const StepTarget& target, const std::string& login,
                          const std::string& own_role, const std::string& extra, bool pooled,
                          std::chrono::milliseconds lease_ttl);

// Why libpq cannot read the string, or would read it in another way than it seems to be meant, as with a / or @
// in a password that is not percent-encoded; "" when it can. Shows nothing of the string: libpq's own messages
// repeat it, its password included.
std::string conninfo_problem(const std::string& conninfo);

// "user" or "dbname" as libpq would use it, or "" when only the environment or a default says it.
std::string conninfo_value(const std::string& conninfo, const std::string& key);

// What a URI or conninfo string says, without defaults; nullopt: it cannot be parsed.
std::optional<ConnectParams> conninfo_params(const std::string& conninfo);
// The conninfo string that says it, later values winning; every value is quoted.
std::string conninfo_text(const ConnectParams& params);

// The string without its password, for messages.
std::string redacted(const std::string& conninfo);

}  // namespace durabled::store
