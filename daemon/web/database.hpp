// Connections for persons: blocking work on a thread pool, awaited on the I/O thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/web_store.hpp"

namespace durabled::daemon::web {

// At most `most` connections, opened when they are needed. Belongs to the I/O thread; only `work` runs elsewhere.
// Must be held by a shared_ptr. The contexts outlive it.
class Database : public std::enable_shared_from_this<Database> {
 public:
  using Open = std::function<std::unique_ptr<store::WebStore>()>;
  using Work = std::function<void(store::WebStore&)>;

  Database(boost::asio::io_context& io, boost::asio::thread_pool& threads, int most, Open open)
      : io_(io), threads_(threads), open_(std::move(open)), free_(most) {}
  // One connection that exists already and cannot be opened again.
  Database(boost::asio::io_context& io, boost::asio::thread_pool& threads,
           std::unique_ptr<store::WebStore> only);

  // Runs `work` as `role` (see WebStore::act_as). Throws what it throws; Refused (429) when too many wait;
  // Refused (401) when the only connection is gone.
  boost::asio::awaitable<void> run(const std::string& role, bool sees_own_only, const Work& work);

  bool is_gone() const { return !open_ && is_lost_; }

 private:
  boost::asio::awaitable<void> wait_for_turn();
  void give_back(std::unique_ptr<store::WebStore> store);

  boost::asio::io_context& io_;
  boost::asio::thread_pool& threads_;
  Open open_;
  int free_;
  bool is_lost_ = false;
  std::vector<std::unique_ptr<store::WebStore>> idle_;
  std::deque<std::shared_ptr<boost::asio::steady_timer>> waiting_;
};

// Awaits blocking work on the pool. Throws what it throws.
boost::asio::awaitable<void> run_on(boost::asio::thread_pool& threads, boost::asio::io_context& io,
                                    const std::function<void()>& work);

}  // namespace durabled::daemon::web
