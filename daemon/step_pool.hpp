// The connections that steps run on: pooled by role and database, bounded in total and for each, served
// round-robin so that no role waits behind another's thousand. Lives on the io_context's thread; connecting
// and cancelling, which block, happen on a small pool of threads of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/coordinator.hpp"
#include "daemon/repeated_message.hpp"
#include "store/conninfo.hpp"
#include "store/step_session.hpp"
#include "store/store_error.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

struct StepPoolOptions {
  std::string conninfo;
  std::string own_role;
  std::string served_database;
  bool set_role = false;                     // one login, SET LOCAL ROLE
  std::map<std::string, std::string> roles;  // conninfo that is added for a role's login
  int connections = 16, connections_per_role = 12, connections_reserve = 16;
  std::chrono::milliseconds timeout{0};  // 0: a step may run for ever
  std::chrono::milliseconds idle_timeout{60'000}, lease_ttl{15'000};
  std::chrono::milliseconds max_connect_pause{60'000};  // between tries to log in, after growing ones
  bool prepared_statements = true;
  std::string installation;  // see store::WorkerId
};

class StepPool : public StepPort, public std::enable_shared_from_this<StepPool> {
 public:
  struct Callbacks {
    std::function<void(StepId, store::StepOutcome)> executed;
    std::function<void(StepId, store::CommitOutcome)> committed;
    std::function<void(int level, const std::string&)> log;
    // Steps wait because nobody could log in. `hopeless` is called later: with the reason when trying again is of no use.
    std::function<void(const store::LoginProblem&, std::function<void(std::optional<std::string>)> hopeless)>
        login_failed;
    std::function<void(const store::StepTarget&)> login_works;  // or is not tried any more
  };
  StepPool(boost::asio::io_context& io, StepPoolOptions options);
  ~StepPool() override;

  void set_callbacks(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

  // For connections opened from now on.
  void reconfigure(std::map<std::string, std::string> roles, std::chrono::milliseconds idle_timeout,
                   std::chrono::milliseconds timeout, std::chrono::milliseconds max_connect_pause);

  void start(StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(StepId id, store::StepCommit commit) override;
  void commit_foreign(StepId id, const std::string& result) override;
  void finish(StepId id) override;
  void stop(StepId id) override;
  void abandon(StepId id) override;
  bool queued(StepId id) const override;

  // How many steps of each role wait for a connection.
  const WaitingByRole& waiting_by_role() const { return waiting_by_role_; }
  void close_idle(std::chrono::steady_clock::time_point now);
  // Makes the server stop the steps that have run longer than the timeout.
  void stop_overdue(std::chrono::steady_clock::time_point now);
  // Makes the server stop what runs, on the pool's own threads; shut_down() waits for them.
  void cancel_running();
  // Nothing is called back after this; open connections are closed.
  void shut_down();

 private:
  struct Session;
  struct Job {
    store::RoleId role = 0;    // whose step it is
    store::StepTarget target;  // who logs in, and where
    dsl::NodeIndex node = 0;
    store::StepStatement statement;
    Session* session = nullptr;  // nullptr: waits for one, or has lost it
    bool queued = true;
  };
  struct Target {
    std::deque<StepId> waiting;
    std::list<std::unique_ptr<Session>> sessions;
    int connecting = 0;
    int failures = 0;  // to connect, in a row
    std::chrono::steady_clock::time_point retry_at{};
    RepeatedMessage problem;
    bool reported = false;  // by login_failed
  };

  void enqueue(StepId id);
  void dequeued(const Job& job);
  void dispatch();
  bool dispatch_one(const store::StepTarget& key, Target& target);
  void connect(const store::StepTarget& key);
  void connected(const store::StepTarget& key, std::unique_ptr<store::StepSession> session);
  void connect_failed(const store::StepTarget& key, const store::StoreError& error);
  // Lets the target pause before it is tried again.
  void failed_to_connect(const store::StepTarget& key, Target& target, const store::StoreError& error);
  // Gives the job of a session that died before it took anything to another one.
  void put_back(Session& session);
  int open_of(store::RoleId role) const;
  void count_open(store::RoleId role, int change);
  bool gives_way(store::RoleId role) const;
  void explain_overdue(std::optional<dsl::Failure>& failure, const Session& session) const;
  void report(const store::StepTarget& key, Target& target, const store::StoreError& error);
  void works_again(const store::StepTarget& key, Target& target);
  void retry_later();
  // Closes a connection that nothing waits for, of this role only if one is given.
  bool evict_idle(std::optional<store::RoleId> role = std::nullopt);
  void cancel(Session& session);
  void assign(Session& session, StepId id);
  void begin_exchange(Session& session);
  void pump(Session& session);
  void watch(Session& session);
  void exchange_over(Session& session);
  void release(Session& session);
  void close(Session& session);
  void fail_waiting(const store::StepTarget& key, const std::string& why);

  boost::asio::io_context& io_;
  StepPoolOptions options_;
  Callbacks callbacks_;
  // Connecting blocks, for as long as connect_timeout allows; each of as many connections as there may be can
  // do so without holding up another. Cancelling must not wait for that.
  boost::asio::thread_pool connect_threads_;
  boost::asio::thread_pool cancel_threads_{2};
  boost::asio::steady_timer retry_timer_;
  std::map<store::StepTarget, Target> targets_;
  std::map<store::RoleId, int> open_by_role_;  // sessions and connects under way, in all databases
  std::map<StepId, Job> jobs_;
  store::StepTarget last_served_;
  int open_ = 0;  // sessions and connects under way
  std::size_t waiting_ = 0;
  WaitingByRole waiting_by_role_;  // those that have any
  bool closed_ = false;
  bool dispatching_ = false;
};

}  // namespace durabled::daemon
