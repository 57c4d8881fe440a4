// The daemon's work connection, and the thread on which it blocks.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "daemon/work_port.hpp"

namespace durabled::daemon {

class WorkThread : public WorkPort, public std::enable_shared_from_this<WorkThread> {
 public:
  // Opens a connection; blocks, throws StoreError. Called on the work thread when one was lost.
  using Open = std::function<std::unique_ptr<store::WorkDatabase>()>;
  // `now` and `answered`, which follows each answer, are called on the event loop's thread.
  WorkThread(boost::asio::io_context& io, Open open, std::unique_ptr<store::WorkDatabase> store,
             std::function<Moment()> now, std::function<void()> answered);

  void run(Work work, Then then) override;
  // How long the database has not answered; 0: it has nothing to do. Any thread.
  std::chrono::milliseconds busy_for() const;
  // Waits for what runs; nothing is called back after this.
  void shut_down();

 private:
  void reconnect();

  boost::asio::io_context& io_;
  const Open open_;
  std::unique_ptr<store::WorkDatabase> store_;  // used on the work thread only
  bool is_lost_ = false;                        // the same
  std::function<Moment()> now_;
  std::function<void()> answered_;
  std::atomic<std::int64_t> busy_since_{0};  // nanoseconds of the steady clock
  std::atomic<bool> stopping_{false};
  boost::asio::thread_pool thread_{1};
};

}  // namespace durabled::daemon
