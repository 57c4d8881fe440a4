// From an error to what a person reads and a program sees.
#pragma once

#include <string>

#include "daemon/cli/command.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon::cli {

// kUnreachable for a connection that failed or broke, kNotFound for an instance that is not there, else
// kFailed.
ExitCode exit_code(const store::StoreError& error);

// Whether the server said that this role may not do that.
bool is_denied(const store::StoreError& error);

// The server's own words without its decoration (severity, context), and what to do about it where that is
// known.
std::string explain(const store::StoreError& error);

// Writes "durabled: message" to stderr, with --json {"error":{"message","exit_code"}} in a line of its own;
// returns `code`.
ExitCode report(bool json, ExitCode code, const std::string& message);

// The same for what does not end the command: "warning: text", {"warning":{"message"}}.
void warn(bool json, const std::string& message);

}  // namespace durabled::daemon::cli
