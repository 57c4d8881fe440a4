// Following an instance to its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/cli/command.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

bool has_ended(const std::string& status);

// Waits until the instance has ended and prints how and with what; shows what it is at meanwhile, on a
// terminal. kOk when it completed, kInstanceFailed when it failed or was cancelled, kFailed when the time ran
// out first.
ExitCode wait_for(store::ClientStore& store, const std::string& id, std::optional<double> timeout_seconds,
                  bool json);

// "waiting for signal approval, until 14:00", or "" when it waits for nothing.
std::string describe(const store::WaitingFor& wait);

// The message in an error's JSON; the text itself when there is none.
std::string error_message(const std::string& error_json);

// The rest of it, a line each: "sqlstate: 22012", "hint: …".
std::vector<std::string> error_details(const std::string& error_json);

}  // namespace durabled::daemon::cli
