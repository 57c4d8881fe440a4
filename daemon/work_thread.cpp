#include "daemon/work_thread.hpp"

#include <boost/asio/post.hpp>
#include <thread>
#include <utility>

#include "daemon/retry_policy.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReconnectPause{100};

}  // namespace

WorkThread::WorkThread(asio::io_context& io, Open open, std::unique_ptr<store::WorkDatabase> store,
                       std::function<Moment()> now, std::function<void()> answered)
    : io_(io),
      open_(std::move(open)),
      store_(std::move(store)),
      now_(std::move(now)),
      answered_(std::move(answered)) {}

void WorkThread::run(Work work, Then then) {
  asio::post(thread_, [weak = weak_from_this(), work = std::move(work), then = std::move(then)]() mutable {
    const auto self = weak.lock();
    if (!self || self->stopping_) return;
    std::optional<store::StoreError> error;
    self->busy_since_ = Steady::now().time_since_epoch().count();
    try {
      if (self->is_lost_) self->reconnect();
      if (self->stopping_) return;
      work(*self->store_);
    } catch (const store::StoreError& e) {
      error = e;
      self->is_lost_ |= after(e) == Next::kLook;
    } catch (const std::exception& e) {  // no memory for what was read, say
      error.emplace(store::StoreError::Kind::kPermanent, "work", e.what());
    }
    self->busy_since_ = 0;
    asio::post(self->io_, [weak, error = std::move(error), then = std::move(then)] {
      const auto owner = weak.lock();
      if (!owner || owner->stopping_) return;
      then(owner->now_(), error);
      owner->answered_();
    });
    // This may be the last owner, and a thread cannot wait for itself.
    asio::post(self->io_, [self] {});
  });
}

// The keeper notices when the server itself is gone, and the tenure ends with it.
void WorkThread::reconnect() {
  store_.reset();
  while (!stopping_) {
    try {
      store_ = open_();
      is_lost_ = false;
      return;
    } catch (const store::StoreError& e) {
      if (after(e) == Next::kGiveUp) throw;
      std::this_thread::sleep_for(kReconnectPause);
    }
  }
}

std::chrono::milliseconds WorkThread::busy_for() const {
  const std::int64_t since = busy_since_;
  if (since == 0) return std::chrono::milliseconds(0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now().time_since_epoch() -
                                                               Steady::duration(since));
}

void WorkThread::shut_down() {
  stopping_ = true;
  thread_.join();
}

}  // namespace durabled::daemon
