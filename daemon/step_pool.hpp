// The steps that wait for a connection or have one, and what each connection does for its step. Which step gets
// which connection is ConnectionPool's affair; how a connection speaks to the server is StepLink's.
//
// A step that is started together with the commit of the one before it keeps that one's connection, and spares a
// round trip. While others wait for the connection it can be kept so for a limited number of steps and time only;
// then the next step waits for its turn like any other.
//
// No threads, no I/O and no clock of its own: the simulator drives it over links of its own. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/connection_pool.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/login_watch.hpp"
#include "daemon/short_statements.hpp"
#include "daemon/step_link.hpp"

namespace durabled::daemon {

struct StepPoolOptions {
  std::string own_role;
  bool set_role = false;  // one login, SET LOCAL ROLE
  ConnectionLimits limits;
  std::chrono::milliseconds timeout{0};  // 0: a step may run for ever
  // Of a chain of steps that keeps a connection for which others wait.
  int chain_steps = 16;
  std::chrono::milliseconds chain_time{100};
  // A group of steps that share a transaction and take longer fall apart: each runs by itself.
  std::chrono::milliseconds group_time{300};
  std::function<ShortStatements::Shape(std::string_view)> shape_of = ShortStatements::shape_of;
};

class StepPool : public StepPort, private ConnectionPool::Host, private StepLink::Owner {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Callbacks {
    std::function<void(StepId, store::StepOutcome)> executed;
    std::function<void(StepId, store::CommitOutcome)> committed;
    LoginWatch::Callbacks logins;
    std::function<void(std::size_t)> grouped = {};  // so many steps were committed as one
  };
  // `connector` outlives the pool and calls nothing back once the pool is gone.
  StepPool(StepConnector& connector, StepPoolOptions options);
  ~StepPool() override;

  void set_callbacks(Callbacks callbacks);
  void reconfigure(std::chrono::milliseconds idle_timeout, std::chrono::milliseconds timeout,
                   std::chrono::milliseconds max_connect_pause);

  void start(StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(StepId id, store::StepCommit commit) override;
  void commit_and_start(StepId id, store::StepCommit commit, StepId next,
                        store::StepStatement statement) override;
  bool can_chain() const override { return true; }
  void commit_foreign(StepId id, const std::string& result) override;
  void finish(StepId id) override;
  void stop(StepId id) override;
  void abandon(StepId id) override;
  bool queued(StepId id) const override;

  const WaitingByRole& waiting_by_role() const { return pool_.waiting_by_role(); }
  int open_connections() const { return static_cast<int>(sessions_.size()); }
  int busy_connections() const;
  std::size_t steps() const { return jobs_.size(); }  // that have not ended
  // Stops steps that have run longer than the timeout, closes connections that nobody needs, tries logins again.
  // To be called once; then the pool wakes itself about once a second.
  void tick();
  // Makes the server stop what runs.
  void cancel_running();
  // Closes all connections; nothing is called back after this.
  void shut_down();

 private:
  struct Session;
  struct Member;
  struct Job {
    enum class State {
      kWaiting,   // for a connection
      kBehind,    // the step before it is being committed
      kServed,    // it has a connection
      kAnswered,  // it has failed without a connection, or its connection has gone on to the next step
      kUngrouped  // its group fell apart while its instance considered what to commit
    };
    State state = State::kWaiting;
    store::StepTarget target;  // who logs in, and where
    std::string role;          // for StepStatement::role
    dsl::NodeIndex node = 0;
    int attempt = 1;
    store::StepStatement statement;  // until a connection takes it
    Session* session = nullptr;      // kServed
    bool is_stopped = false;         // by stop(), while it could not be cancelled yet
    ShortStatements::Shape shape = ShortStatements::kNone;
    bool may_join = false;  // kWaiting: a group, if its shape may
  };

  void open(const store::StepTarget& target) override;
  void serve(ConnectionId connection, StepId step) override;
  void serve_group(ConnectionId connection, std::vector<StepId> steps) override;
  bool joins(ConnectionId connection, const std::vector<StepId>& chosen, StepId step) override;
  void close(ConnectionId connection) override;
  void answered(std::uint64_t link, StepLink::Answer answer) override;

  void opened(const store::StepTarget& target, std::unique_ptr<StepLink> link);
  void refused(const store::StepTarget& target, const store::StoreError& error);
  void report(const store::StepTarget& target, const store::StoreError& error,
              std::optional<std::chrono::milliseconds> next_try);
  // Every step that waits for this target fails, for good.
  void fail_waiting(const store::StepTarget& target, const std::string& why);
  void answer_later(StepId id, Job& job, dsl::Failure failure);
  Job& add_job(StepId id, const store::StepTarget& target, const std::string& role,
               store::StepStatement& statement);
  void enqueue(StepId id);
  Session& executed_session(StepId id);
  bool may_chain(const Session& session) const;
  void exchange_over(Session& session);
  void run_over(Session& session);
  void commit_over(Session& session);
  void go_on(Session& session);
  bool was_cancelled_by_mistake(const Session& session, const store::StepOutcome& outcome) const;
  void run_again(Session& session);
  void put_back(Session& session);
  void put_back(Session& session, Job& job);
  void wait_or_answer(StepId id);
  void stop_served(Job& job);
  void roll_back(Session& session);
  void release(Session& session);
  void lose(Session& session);
  void cancel(Session& session);
  void stop_overdue(Time now);
  void explain_overdue(std::optional<dsl::Failure>& failure, const Session& session) const;
  void wake_at(Time time);

  bool may_join(const Job& job) const;
  void group_ran(Session& session);
  void fall_apart(Session& session);
  void tell_group(Session& session, std::vector<store::StepOutcome> outcomes);
  void dissolve(Session& session);
  void answer_group(Session& session, store::CommitOutcome::Kind kind);
  // Whether the step was told of and can be committed no more; it is answered then.
  bool is_ungrouped(StepId id);
  Member* member(StepId id);

  StepConnector& connector_;
  StepPoolOptions options_;
  Callbacks callbacks_;
  LoginWatch logins_;
  ConnectionPool pool_;
  std::map<ConnectionId, std::unique_ptr<Session>> sessions_;
  std::map<StepId, Job> jobs_;
  std::map<store::StepTarget, ShortStatements> short_;
  ConnectionId next_connection_ = 1;
  Time next_tick_{};
};

}  // namespace durabled::daemon
