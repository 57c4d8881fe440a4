// Which waiting step gets which connection. Each target (a login and a database) has a queue of steps and its
// open connections; connections are bounded in total and for each role, and targets are served round-robin, so
// that no role waits behind another's thousand steps.
//
//   - A role has at most `per_role` connections, in all databases together.
//   - Beyond `connections` a role without a connection gets one of the `reserve`. The reserve's connections are closed
//     as soon as nobody waits for them.
//   - When all connections are open, a role that has at least two more than one that waits gives one up.
//   - When the reserve is used up too, roles without a connection take turns with those that have one: a role keeps its
//     last connection for a quarter of a second at least.
//   - A connection may serve several steps at once that its host lets join; they are the first of the queue, but for
//     those among them that do not join, which keep their places.
//   - A target whose login failed is tried again after growing pauses, with one connection at a time.
//
// Pure: it opens and closes nothing itself but asks its host to. It has no clock but `now`. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "daemon/admission.hpp"
#include "daemon/coordinator.hpp"
#include "store/conninfo.hpp"

namespace durabled::daemon {

using ConnectionId = std::uint64_t;

struct ConnectionLimits {
  int connections = 16, per_role = 12, reserve = 16;
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds max_pause{60'000};  // between attempts to log in
  std::size_t group = 1;                        // steps that a connection serves at once, at most
};

class ConnectionPool {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Carries out what the pool decides. Called from within the pool's functions; must not call them back.
  class Host {
   public:
    virtual ~Host() = default;
    // Begins to open a connection; opened() or refused() is called later.
    virtual void open(const store::StepTarget& target) = 0;
    // The connection is the step's, which waits no longer, until released() or closed().
    virtual void serve(ConnectionId connection, StepId step) = 0;
    // The same of several steps, which joins() has agreed to.
    virtual void serve_group(ConnectionId connection, std::vector<StepId> steps);
    // Whether the connection can serve this step together with `chosen`, which may be empty.
    virtual bool joins(ConnectionId, const std::vector<StepId>& /*chosen*/, StepId) { return false; }
    // The connection is idle, and the pool has forgotten it.
    virtual void close(ConnectionId connection) = 0;
  };

  ConnectionPool(Host& host, ConnectionLimits limits) : host_(host), limits_(limits) {}

  // Targets that pause are tried at once: whatever refused their logins may have been changed.
  void reconfigure(std::chrono::milliseconds idle_timeout, std::chrono::milliseconds max_pause, Time now);

  void enqueue(StepId step, const store::StepTarget& target, Time now);
  // Requires that the step waits for this target.
  void withdraw(StepId step, const store::StepTarget& target);
  // Takes away all steps that wait for the target.
  std::vector<StepId> withdraw_all(const store::StepTarget& target, Time now);

  void opened(ConnectionId connection, const store::StepTarget& target, Time now);
  // A connection that open() asked for cannot be had. `server_full`: an idle one is closed in exchange.
  // Returns how long the target pauses, if that is news and steps wait that no other connection serves.
  std::optional<std::chrono::milliseconds> refused(const store::StepTarget& target, bool server_full,
                                                   Time now);
  // The connection's step has ended.
  void released(ConnectionId connection, Time now);
  // The connection is gone, whether it was idle or served a step.
  void closed(ConnectionId connection, Time now);
  // As closed(), and its step goes back to the head of its queue, because the session was dead before it took
  // anything. One that never ran anything (`was_used` false) counts as refused; the result is refused()'s.
  std::optional<std::chrono::milliseconds> put_back(ConnectionId connection, StepId step, bool was_used,
                                                    Time now);
  // The connection has run something. True: the target's logins had failed before.
  bool works(ConnectionId connection);

  // Closes connections that were idle for too long and forgets targets without any; tries those whose pause is
  // over. Returns when the next pause ends.
  std::optional<Time> tick(Time now);

  // Whether a step waits that would get this connection, or one in its place, if it were free.
  bool is_wanted(ConnectionId connection) const;
  bool is_waited_for(const store::StepTarget& target) const;
  // The step that a connection to this target would serve next.
  std::optional<StepId> next_waiting(const store::StepTarget& target) const;
  bool knows(const store::StepTarget& target) const { return targets_.contains(target); }
  // How many steps of each role wait for a connection.
  const WaitingByRole& waiting_by_role() const { return waiting_by_role_; }
  // Connections that are open or being opened.
  int open() const { return open_; }
  int open_of(store::RoleId role) const;

 private:
  struct Target {
    std::deque<StepId> waiting;
    std::vector<ConnectionId> connections;
    int connecting = 0;
    int failures = 0;  // to connect, in a row
    Time retry_at{};
  };
  struct Connection {
    store::StepTarget target;
    Time opened_at{}, idle_since{};
    bool is_idle = true;
  };

  void count_waiting(store::RoleId role, int change);
  void count_open(store::RoleId role, int change);
  void dispatch(Time now);
  bool dispatch_one(const store::StepTarget& key, Target& target, Time now);
  void serve_next(ConnectionId connection, const store::StepTarget& key, Target& target);
  std::vector<StepId> take_group(ConnectionId connection, Target& target);
  bool has_place(const store::StepTarget& key);
  bool gives_way(const Connection& connection, Time now) const;
  bool evict_idle(std::optional<store::RoleId> role = std::nullopt);
  void forget(ConnectionId connection);
  void close(ConnectionId connection);
  std::optional<std::chrono::milliseconds> pause(const store::StepTarget& key, bool server_full, Time now);

  Host& host_;
  ConnectionLimits limits_;
  std::map<store::StepTarget, Target> targets_;
  std::map<ConnectionId, Connection> connections_;
  std::map<store::RoleId, int> open_by_role_;  // connections and attempts to connect, in all databases
  WaitingByRole waiting_by_role_;              // roles with at least one
  store::StepTarget last_served_;
  int open_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace durabled::daemon
