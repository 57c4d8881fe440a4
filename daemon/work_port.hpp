// How the work loop reaches the database. The daemon's is WorkThread; the simulator has its own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "dsl/engine/event.hpp"
#include "store/store_error.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

// A moment by two clocks: one that only ever advances, and the database's, which may be set.
struct Moment {
  std::chrono::steady_clock::time_point steady;
  dsl::Time database;
};

class WorkPort {
 public:
  using Work = std::function<void(store::WorkDatabase&)>;
  using Then = std::function<void(Moment now, const std::optional<store::StoreError>& error)>;

  virtual ~WorkPort() = default;
  // Runs `work`, and `then` with what it threw, never from within this call. Works run one at a time in the order
  // of the calls, and so do the answers. A connection that one of them lost is replaced before the next.
  virtual void run(Work work, Then then) = 0;
};

}  // namespace durabled::daemon
