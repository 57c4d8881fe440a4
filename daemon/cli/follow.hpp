// Following an instance to its end.
#pragma once

#include <optional>
#include <string>

#include "daemon/cli/command.hpp"
#include "daemon/cli/patient_store.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

bool has_ended(const std::string& status);

// Whether a daemon was heard of lately.
bool is_served(store::ClientStore& store);
// "no daemon serves this database", and what to do.
std::string not_served(const Invocation& invocation);

// Waits until the instance has ended and prints how and with what; shows what it is at meanwhile, on a
// terminal. Goes on when the server restarts. kOk when it completed, kInstanceFailed when it failed or was
// cancelled, kTimedOut when the time ran out first, kInterrupted after Ctrl-C.
ExitCode wait_for(const Invocation& invocation, PatientStore& store, const std::string& id,
                  std::optional<double> timeout_seconds);

// Says after Ctrl-C that the instance goes on, and how to follow and how to cancel it.
ExitCode goes_on(const Invocation& invocation, const std::string& id);

// "waiting for signal 'approval' until 14:00", "waiting to try again until 14:00, attempt 2 of 5 failed: no route".
std::string describe(const store::WaitingFor& wait, std::optional<long long> most_attempts = {});

}  // namespace durabled::daemon::cli
