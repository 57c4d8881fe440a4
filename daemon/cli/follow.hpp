// Following an instance to its end.
#pragma once

#include <optional>
#include <string>

#include "daemon/cli/command.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

bool has_ended(const std::string& status);

// Whether a daemon was heard of lately.
bool is_served(store::ClientStore& store);
// "no daemon serves this database", and what to do.
std::string not_served(const Invocation& invocation);

// Waits until the instance has ended and prints how and with what; shows what it is at meanwhile, on a
// terminal. kOk when it completed, kInstanceFailed when it failed or was cancelled, kFailed when the time ran
// out first.
ExitCode wait_for(const Invocation& invocation, store::ClientStore& store, const std::string& id,
                  std::optional<double> timeout_seconds);

// "waiting for signal approval, until 14:00", or "" when it waits for nothing.
std::string describe(const store::WaitingFor& wait);

}  // namespace durabled::daemon::cli
