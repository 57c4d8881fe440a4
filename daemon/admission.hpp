// How much of whose work a daemon claims next, so that no role, and no number of roles, takes all of it:
//
//   - A role that holds twice of what is free gets nothing more. Instances and bytes are counted alike.
//   - The last quarter is a reserve: from it each role gets one instance, and only while it holds none.
//   - A role whose steps wait for connections in great number gets nothing more.
//
// Pure: tests and the simulator use the same function as the daemon.
#pragma once

#include <cstddef>
#include <map>
#include <set>

#include "store/worker_store.hpp"

namespace durabled::daemon {

struct Held {
  std::size_t instances = 0;
  std::size_t bytes = 0;
};
using HeldByRole = std::map<store::RoleId, Held>;
using WaitingByRole = std::map<store::RoleId, std::size_t>;  // steps without a connection

struct AdmissionLimits {
  std::size_t instances = 2'000;
  std::size_t bytes = std::size_t{128} << 20;
  std::size_t claim_batch = 200;
  std::size_t claim_bytes = std::size_t{16} << 20;
};

// What is left of both; never below 0.
Held free_places(const AdmissionLimits& limits, const HeldByRole& held);

// The roles of which nothing more is claimed. `strictness` 2 when claiming; with 4 a role stays busy until it
// has come well below the bounds, so that not every step's end is worth a poll.
std::set<store::RoleId> busy_roles(const AdmissionLimits& limits, const HeldByRole& held,
                                   const WaitingByRole& waiting, std::size_t strictness);

// limit, each, bytes and busy of the next poll.
store::PollRequest admit(const AdmissionLimits& limits, const HeldByRole& held, const WaitingByRole& waiting);

}  // namespace durabled::daemon
