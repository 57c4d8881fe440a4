#include "daemon/keeper_thread.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace durabled::daemon {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kNoticeStop{200};
constexpr std::chrono::minutes kComplaints{1};  // between two of the same

}  // namespace

void KeeperThread::start(Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  thread_ = std::thread([this] {
    try {
      keep();
    } catch (const std::exception& e) {
      callbacks_.lost(e.what());
    }
  });
}

void KeeperThread::shut_down() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void KeeperThread::keep() {
  auto beat_at = Steady::now() + interval_;
  while (!stopping_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(beat_at - Steady::now());
    if (left.count() > 0) {
      if (keeper_->wait(std::min(left, kNoticeStop))) callbacks_.rang();
      continue;
    }
    beat_at = Steady::now() + interval_;
    if (callbacks_.is_suspicious()) look_for_locks();  // before the heartbeat, which may have to wait itself
    const dsl::Time before = Clock::local();
    const auto theirs = keeper_->heartbeat();
    if (!theirs) return callbacks_.lost("others have declared this worker dead");
    clock_.synchronise(*theirs, before, Clock::local());
  }
}

void KeeperThread::look_for_locks() {
  const std::string waiters = keeper_->lock_waiters();
  if (waiters.empty() || Steady::now() < complain_at_) return;
  complain_at_ = Steady::now() + kComplaints;
  callbacks_.blocked(waiters);
}

}  // namespace durabled::daemon
