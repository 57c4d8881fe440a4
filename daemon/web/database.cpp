#include "daemon/web/database.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "daemon/web/reply.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;
using Timer = asio::steady_timer;

namespace {

constexpr std::size_t kMostWaiting = 200;

// Until somebody cancels the timer.
asio::awaitable<void> sleep_on(std::shared_ptr<Timer> timer) {
  boost::system::error_code ignored;
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

std::shared_ptr<Timer> endless(asio::io_context& io) {
  return std::make_shared<Timer>(io, Timer::time_point::max());
}

}  // namespace

// The I/O thread alone touches the timer: what cancels it is posted there, and runs once this has begun to wait.
asio::awaitable<void> run_on(asio::thread_pool& threads, asio::io_context& io,
                             const std::function<void()>& work) {
  struct Job {
    std::function<void()> work;
    std::exception_ptr failure;
  };
  auto job = std::make_shared<Job>();
  job->work = work;
  auto done = endless(io);
  asio::post(threads, [job, done, &io] {
    try {
      job->work();
    } catch (...) {
      job->failure = std::current_exception();
    }
    asio::post(io, [done, job] { done->cancel(); });
  });
  co_await sleep_on(done);
  if (job->failure) std::rethrow_exception(job->failure);
}

Database::Database(asio::io_context& io, asio::thread_pool& threads, std::unique_ptr<store::WebStore> only)
    : io_(io), threads_(threads), free_(1) {
  idle_.push_back(std::move(only));
}

asio::awaitable<void> Database::wait_for_turn() {
  while (free_ == 0) {
    if (waiting_.size() >= kMostWaiting)
      throw Refused(429, "slow_down", "too many requests wait for the database");
    auto turn = endless(io_);
    waiting_.push_back(turn);
    co_await sleep_on(turn);
  }
  --free_;
}

void Database::give_back(std::unique_ptr<store::WebStore> store) {
  if (store && !store->is_broken())
    idle_.push_back(std::move(store));
  else
    is_lost_ = true;
  ++free_;
  if (waiting_.empty()) return;
  waiting_.front()->cancel();
  waiting_.pop_front();
}

asio::awaitable<void> Database::run(const std::string& role, bool sees_own_only, const Work& work) {
  const auto self = shared_from_this();
  co_await wait_for_turn();
  auto store = std::make_shared<std::unique_ptr<store::WebStore>>();
  if (!idle_.empty()) {
    *store = std::move(idle_.back());
    idle_.pop_back();
  } else if (!open_) {
    give_back(nullptr);
    throw Refused(401, "no_session", "the connection to the database was lost; log in again");
  }
  std::exception_ptr failure;
  try {
    const std::function<void()> job = [this, store, &role, sees_own_only, &work] {
      if (!*store) *store = open_();
      (*store)->act_as(role, sees_own_only);
      work(**store);
    };
    co_await run_on(threads_, io_, job);
  } catch (...) {
    failure = std::current_exception();
  }
  give_back(std::move(*store));
  if (failure) std::rethrow_exception(failure);
}

}  // namespace durabled::daemon::web
