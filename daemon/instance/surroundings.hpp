// What all instances of a daemon share: its options, whether it stops, what the results of each role take.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "daemon/instance/effect.hpp"
#include "dsl/engine/execution.hpp"
#include "dsl/graph/rules.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

struct CoordinatorOptions {
  store::WorkerId worker;
  dsl::Policy policy;
  dsl::GraphLimits limits;
  std::size_t max_result_bytes = 16 << 20;
  std::size_t role_bytes = std::size_t{1} << 40;  // that the results of a role's instances may take together
  std::string served_database;
  std::chrono::milliseconds mark_running_after{500};
  std::optional<std::uint64_t> seed;  // of the jitter of delays; for tests that must repeat
};

// What the results of each role's instances take together.
class RoleBytes {
 public:
  // Those of one instance took `before` and now take `after`.
  void change(store::RoleId role, std::size_t before, std::size_t after) {
    std::size_t& bytes = bytes_[role];
    bytes += after - before;  // modulo 2^64, so that it also goes down
    if (bytes == 0) bytes_.erase(role);
  }
  std::size_t of(store::RoleId role) const {
    const auto found = bytes_.find(role);
    return found == bytes_.end() ? 0 : found->second;
  }
  std::set<store::RoleId> over(std::size_t limit) const {
    std::set<store::RoleId> roles;
    for (const auto& [role, bytes] : bytes_) {
      if (bytes > limit) roles.insert(role);
    }
    return roles;
  }

 private:
  std::map<store::RoleId, std::size_t> bytes_;
};

struct Surroundings {
  CoordinatorOptions options;
  std::mt19937_64 random;  // jitter
  bool can_chain = false;  // CommitStep may have a next one
  bool draining = false;   // the daemon stops: no step begins
  RoleBytes role_bytes;
  StepId last_step = 0;
};

}  // namespace durabled::daemon
