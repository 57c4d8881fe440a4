#include "daemon/admission.hpp"

#include <algorithm>

namespace durabled::daemon {
namespace {

std::size_t left(std::size_t all, std::size_t used) {
  return used < all ? all - used : 0;
}

bool only_reserve_is_left(const AdmissionLimits& limits, const Held& free) {
  return free.instances <= limits.instances / 4 || free.bytes <= limits.bytes / 4;
}

}  // namespace

Held free_places(const AdmissionLimits& limits, const HeldByRole& held) {
  Held used;
  for (const auto& [role, one] : held) {
    used.instances += one.instances;
    used.bytes += one.bytes;
  }
  return {left(limits.instances, used.instances), left(limits.bytes, used.bytes)};
}

std::set<store::RoleId> busy_roles(const AdmissionLimits& limits, const HeldByRole& held,
                                   const WaitingByRole& waiting, std::size_t strictness) {
  const Held free = free_places(limits, held);
  const bool reserve = only_reserve_is_left(limits, free);
  std::set<store::RoleId> busy;
  for (const auto& [role, one] : held) {
    if (one.instances > 0 && (reserve || one.instances * strictness >= 4 * free.instances ||
                              one.bytes * strictness >= 4 * free.bytes))
      busy.insert(role);
  }
  for (const auto& [role, steps] : waiting) {
    if (steps >= std::max<std::size_t>(1, limits.claim_batch / strictness)) busy.insert(role);
  }
  return busy;
}

store::PollRequest admit(const AdmissionLimits& limits, const HeldByRole& held,
                         const WaitingByRole& waiting) {
  const Held free = free_places(limits, held);
  store::PollRequest request;
  request.busy = busy_roles(limits, held, waiting, 2);
  if (free.instances == 0 || free.bytes == 0) return request;
  // Half of what is left at most: the next poll may find it busy.
  request.limit = static_cast<int>(
      std::clamp<std::size_t>(free.instances / 2, 1, std::max<std::size_t>(1, limits.claim_batch)));
  request.bytes = std::max<std::size_t>(1, std::min(limits.claim_bytes, free.bytes / 2));
  if (only_reserve_is_left(limits, free)) request.each = 1;
  return request;
}

}  // namespace durabled::daemon
