// The thread on which the keeper blocks: it renews the lease, follows the database's clock and waits for the
// doorbell.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "daemon/clock.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

class KeeperThread {
 public:
  // All are called on the keeper's thread.
  struct Callbacks {
    std::function<void()> rang;
    std::function<void(const std::string& why)> lost;  // last of all
    // Sessions hold a lock for which everybody else waits, in words. At most once a minute.
    std::function<void(const std::string& waiters)> blocked;
    // Whether work seems to wait for something: only then locks are looked at.
    std::function<bool()> is_suspicious;
  };
  KeeperThread(std::unique_ptr<store::Keeper> keeper, Clock& clock, std::chrono::milliseconds interval)
      : keeper_(std::move(keeper)), clock_(clock), interval_(interval) {}
  ~KeeperThread() { shut_down(); }

  const store::WorkerId& id() const { return keeper_->id(); }
  void start(Callbacks callbacks);
  void shut_down();

 private:
  void keep();
  void look_for_locks();

  std::unique_ptr<store::Keeper> keeper_;  // used on the thread only, once it has started
  Clock& clock_;
  const std::chrono::milliseconds interval_;
  Callbacks callbacks_;
  std::chrono::steady_clock::time_point complain_at_{};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace durabled::daemon
