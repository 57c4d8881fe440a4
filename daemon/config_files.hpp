// Whether the files that hold passwords and secrets are open to others.
#pragma once

#include <string>
#include <vector>

#include "config/loader.hpp"

namespace durabled::daemon {

// Warnings about `file`, which the configuration came from ("": none did): that others may write to it, or that
// everybody may read it although a password is in it. And about http.secrets_directory and the files in it and in
// the directories of roles. Never throws; what cannot be looked at is left out.
std::vector<std::string> file_warnings(const config::Loaded& loaded, const std::string& file);

}  // namespace durabled::daemon
