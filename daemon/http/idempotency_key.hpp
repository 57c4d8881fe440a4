// The Idempotency-Key of an HTTP step.
#pragma once

#include <string>

#include "dsl/engine/event.hpp"

namespace durabled::daemon {

// The same for every attempt of a step, through retries, crashes and takeovers by another daemon, and different
// from that of every other step, in other databases too: the UUID (version 5) of the step's address, with the
// installation's UUID as its namespace. Throws std::runtime_error when `installation` is not a UUID.
std::string idempotency_key(const std::string& installation, const std::string& instance_id,
                            const dsl::Address& address);

}  // namespace durabled::daemon
