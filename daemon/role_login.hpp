// What a role's own login adds to the connection string of the daemon's database.
#pragma once

#include <string>

#include "config/config.hpp"

namespace durabled::daemon {

// The role's entry of identity.roles, and the password from the role's file in identity.passwords_directory unless the
// entry has one. Reads the file each time, so that a rotated password counts at once; blocks shortly.
// Throws store::StoreError (kTransient) when the file is there and cannot be read.
std::string role_login(const config::Config::Identity& identity, const std::string& role);

}  // namespace durabled::daemon
