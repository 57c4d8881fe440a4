// The bound of docs/decisions/0013: whoever holds little is claimed soon, whatever others hold for ever.
#include "daemon/admission.hpp"

#include <algorithm>
#include <vector>

#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::AdmissionLimits;
using daemon::HeldByRole;

// A poll of a database where each of `roles` has more than enough due work; as df._poll divides it.
void poll(const AdmissionLimits& limits, HeldByRole& held, const std::vector<store::RoleId>& roles,
          std::size_t bytes) {
  const store::PollRequest request = daemon::admit(limits, held, {});
  std::vector<store::RoleId> served;
  std::copy_if(roles.begin(), roles.end(), std::back_inserter(served),
               [&](store::RoleId role) { return request.busy.count(role) == 0; });
  if (served.empty()) return;
  std::size_t spent = 0;
  for (int i = 0; i < request.limit && (spent == 0 || spent + bytes <= request.bytes); ++i) {
    const int turn = i / static_cast<int>(served.size());
    if (request.each && turn >= *request.each) return;
    daemon::Held& one = held[served[static_cast<std::size_t>(i) % served.size()]];
    ++one.instances;
    one.bytes += bytes;
    spent += bytes;
  }
}

}  // namespace

TEST_CASE("however many roles hold all that they are given for ever, a new one is claimed at once",
          "[S3.9]") {
  const AdmissionLimits limits;
  const std::size_t bytes = GENERATE(1, 100'000, 1 << 20);
  const store::RoleId hostile = GENERATE(1, 2, 3, 10, 25);
  INFO(hostile << " roles with instances of " << bytes << " bytes");
  HeldByRole held;
  std::vector<store::RoleId> roles;
  for (store::RoleId role = 1; role <= hostile; ++role) {  // they come one after the other, the worst case
    roles.push_back(role);
    for (int i = 0; i < 200; ++i) poll(limits, held, roles, bytes);
    REQUIRE(held[role].instances > 0);
  }
  for (int i = 0; i < 200; ++i) poll(limits, held, roles, bytes);
  roles.push_back(1000);
  poll(limits, held, roles, bytes);
  CHECK(held[1000].instances > 0);
  daemon::Held all;
  for (const auto& [role, one] : held) {
    all.instances += one.instances;
    all.bytes += one.bytes;
  }
  CHECK(all.instances <= limits.instances);
  CHECK(all.bytes <= limits.bytes);
}

TEST_CASE("one role alone has most of a daemon") {
  const AdmissionLimits limits;
  HeldByRole held;
  for (int i = 0; i < 200; ++i) poll(limits, held, {1}, 100);
  CHECK(held[1].instances > limits.instances / 2);
}

TEST_CASE("of a role whose steps wait in great number nothing more is claimed") {
  const AdmissionLimits limits;
  CHECK(daemon::admit(limits, {}, {{1, limits.claim_batch / 2}, {2, 3}}).busy == std::set<store::RoleId>{1});
}

}  // namespace durabled::test
