// The Idempotency-Key of an HTTP step.
#include "daemon/http/idempotency_key.hpp"

#include <set>

#include "tests/support/catch.hpp"

using durabled::daemon::idempotency_key;

TEST_CASE(
    "a step's idempotency key differs from that of every other step and installation, and never changes",
    "[L6.7]") {
  const std::string here = "5c62ee62-0e45-4d28-af10-a8cef78e04b0";
  const std::string there = "5c62ee62-0e45-4d28-af10-a8cef78e04b1";
  // Computed by Python's uuid.uuid5: a key must survive an upgrade of the daemon.
  CHECK(idempotency_key(here, "j8fe02fk", {2, "1.3"}) == "7f1bbc8a-b56a-59b2-8c19-5b385e041b51");
  const std::set<std::string> keys{
      idempotency_key(here, "j8fe02fk", {2, "1.3"}), idempotency_key(there, "j8fe02fk", {2, "1.3"}),
      idempotency_key(here, "avn9tp3m", {2, "1.3"}), idempotency_key(here, "j8fe02fk", {3, "1.3"}),
      idempotency_key(here, "j8fe02fk", {2, "1"})};
  CHECK(keys.size() == 5);
}
