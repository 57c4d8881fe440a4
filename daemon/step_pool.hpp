// The steps that wait for a connection or have one, and what each connection does for its step. Which step gets
// which connection is ConnectionPool's affair; how a connection speaks to the server is StepLink's.
//
// No threads, no I/O and no clock of its own: the simulator drives it over links of its own. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/connection_pool.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/login_watch.hpp"
#include "daemon/step_link.hpp"

namespace durabled::daemon {

struct StepPoolOptions {
  std::string own_role;
  bool set_role = false;  // one login, SET LOCAL ROLE
  ConnectionLimits limits;
  std::chrono::milliseconds timeout{0};  // 0: a step may run for ever
};

class StepPool : public StepPort, private ConnectionPool::Host, private StepLink::Owner {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Callbacks {
    std::function<void(StepId, store::StepOutcome)> executed;
    std::function<void(StepId, store::CommitOutcome)> committed;
    LoginWatch::Callbacks logins;
  };
  // `connector` outlives the pool and calls nothing back once the pool is gone.
  StepPool(StepConnector& connector, StepPoolOptions options);
  ~StepPool() override;

  void set_callbacks(Callbacks callbacks);
  void reconfigure(std::chrono::milliseconds idle_timeout, std::chrono::milliseconds timeout,
                   std::chrono::milliseconds max_connect_pause);

  void start(StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(StepId id, store::StepCommit commit) override;
  void commit_foreign(StepId id, const std::string& result) override;
  void finish(StepId id) override;
  void stop(StepId id) override;
  void abandon(StepId id) override;
  bool queued(StepId id) const override;

  const WaitingByRole& waiting_by_role() const { return pool_.waiting_by_role(); }
  // Stops steps that have run longer than the timeout, closes connections that nobody needs, tries logins again.
  // To be called about once a second.
  void tick();
  // Makes the server stop what runs.
  void cancel_running();
  // Closes all connections; nothing is called back after this.
  void shut_down();

 private:
  struct Session;
  struct Job {
    store::StepTarget target;  // who logs in, and where
    dsl::NodeIndex node = 0;
    store::StepStatement statement;  // until a connection takes it
    Session* session = nullptr;      // nullptr: waits for one, or has been answered without one
    bool queued = true;
  };

  void open(const store::StepTarget& target) override;
  void serve(ConnectionId connection, StepId step) override;
  void close(ConnectionId connection) override;
  void answered(std::uint64_t link, StepLink::Answer answer) override;

  void opened(const store::StepTarget& target, std::unique_ptr<StepLink> link);
  void refused(const store::StepTarget& target, const store::StoreError& error);
  void report(const store::StepTarget& target, const store::StoreError& error,
              std::optional<std::chrono::milliseconds> next_try);
  // Every step that waits for this target fails, for good.
  void fail_waiting(const store::StepTarget& target, const std::string& why);
  void answer_later(StepId id, dsl::Failure failure);
  void exchange_over(Session& session);
  void run_over(Session& session);
  void put_back(Session& session);
  void roll_back(Session& session);
  void release(Session& session);
  void lose(Session& session);
  void cancel(Session& session);
  void stop_overdue(Time now);
  void explain_overdue(std::optional<dsl::Failure>& failure, const Session& session) const;

  StepConnector& connector_;
  StepPoolOptions options_;
  Callbacks callbacks_;
  LoginWatch logins_;
  ConnectionPool pool_;
  std::map<ConnectionId, std::unique_ptr<Session>> sessions_;
  std::map<StepId, Job> jobs_;
  ConnectionId next_connection_ = 1;
};

}  // namespace durabled::daemon
