// What to try when the database cannot be reached and nobody said where it is.
#pragma once

#include <string>

#include "daemon/cli/command.hpp"

namespace durabled::daemon::cli {

// "\nhint: …" when neither an option nor the environment names a database, else "". Names the server of a
// `durabled dev` that runs in the current folder.
std::string address_hint(const Invocation& invocation);

}  // namespace durabled::daemon::cli
