#include "daemon/connection_pool.hpp"

#include <algorithm>
#include <utility>

#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{400};
constexpr std::size_t kLookAhead = 64;  // of waiting steps, for some that join
constexpr milliseconds kTurn{250};      // that a role keeps its last connection while others have none

}  // namespace

void ConnectionPool::Host::serve_group(ConnectionId, std::vector<StepId>) {
  DURABLED_ASSERT(!"this host lets no steps join");
}

void ConnectionPool::reconfigure(milliseconds idle_timeout, milliseconds max_pause, Time now) {
  limits_.idle_timeout = idle_timeout;
  limits_.max_pause = max_pause;
  for (auto& [key, target] : targets_) target.retry_at = {};
  dispatch(now);
}

void ConnectionPool::enqueue(StepId step, const store::StepTarget& target, Time now) {
  targets_[target].waiting.push_back(step);
  count_waiting(target.role_id, 1);
  dispatch(now);
}

void ConnectionPool::withdraw(StepId step, const store::StepTarget& target) {
  const auto removed = std::erase(targets_.at(target).waiting, step);
  DURABLED_ASSERT(removed == 1);
  count_waiting(target.role_id, -1);
}

std::vector<StepId> ConnectionPool::withdraw_all(const store::StepTarget& target, Time now) {
  const auto found = targets_.find(target);
  if (found == targets_.end()) return {};
  std::vector<StepId> all(found->second.waiting.begin(), found->second.waiting.end());
  found->second.waiting.clear();
  count_waiting(target.role_id, -static_cast<int>(all.size()));
  dispatch(now);  // others may have waited for the connection that this target could have had
  return all;
}

void ConnectionPool::opened(ConnectionId connection, const store::StepTarget& target, Time now) {
  Target& at = targets_.at(target);
  --at.connecting;
  at.connections.push_back(connection);
  connections_[connection] = {target, now, now};
  dispatch(now);
}

std::optional<milliseconds> ConnectionPool::refused(const store::StepTarget& target, bool server_full,
                                                    Time now) {
  --targets_.at(target).connecting;
  count_open(target.role_id, -1);
  return pause(target, server_full, now);
}

void ConnectionPool::released(ConnectionId connection, Time now) {
  Connection& one = connections_.at(connection);
  one.is_idle = true;
  one.idle_since = now;
  dispatch(now);
  while (open_ > limits_.connections && evict_idle()) {  // the reserve's
  }
}

void ConnectionPool::closed(ConnectionId connection, Time now) {
  forget(connection);
  dispatch(now);
}

std::optional<milliseconds> ConnectionPool::put_back(ConnectionId connection, StepId step, bool was_used,
                                                     Time now) {
  const store::StepTarget key = connections_.at(connection).target;
  targets_.at(key).waiting.push_front(step);
  count_waiting(key.role_id, 1);
  forget(connection);
  if (!was_used) return pause(key, false, now);
  dispatch(now);
  return std::nullopt;
}

// Lets the target pause before it is tried again, and serves the others.
std::optional<milliseconds> ConnectionPool::pause(const store::StepTarget& key, bool server_full, Time now) {
  Target& target = targets_.at(key);
  std::optional<milliseconds> news;
  if (target.failures == 0 || now >= target.retry_at) {  // else it is one of several that were tried together
    const auto longest = kFirstPause * (1 << std::min(target.failures++, 20));
    const milliseconds pause = std::min<milliseconds>(longest, limits_.max_pause);
    target.retry_at = now + pause;
    if (server_full) evict_idle();
    // While there are connections, more of them would be better, but no step is stuck.
    if (target.connections.empty() && !target.waiting.empty()) news = pause;
  }
  dispatch(now);
  return news;
}

bool ConnectionPool::works(ConnectionId connection) {
  return std::exchange(targets_.at(connections_.at(connection).target).failures, 0) > 0;
}

std::optional<ConnectionPool::Time> ConnectionPool::tick(Time now) {
  std::vector<ConnectionId> expired;
  for (const auto& [id, connection] : connections_) {
    if (connection.is_idle && now - connection.idle_since > limits_.idle_timeout) expired.push_back(id);
  }
  for (const ConnectionId id : expired) close(id);
  std::erase_if(targets_, [](const auto& entry) {
    return entry.second.connections.empty() && entry.second.waiting.empty() && entry.second.connecting == 0;
  });
  dispatch(now);
  std::optional<Time> next;
  for (const auto& [key, target] : targets_) {
    if (target.waiting.empty() || target.failures == 0 || target.retry_at <= now) continue;
    if (!next || target.retry_at < *next) next = target.retry_at;
  }
  return next;
}

bool ConnectionPool::is_wanted(ConnectionId connection) const {
  if (waiting_ == 0) return false;
  const store::StepTarget& key = connections_.at(connection).target;
  return is_waited_for(key) || open_ >= limits_.connections || open_of(key.role_id) >= limits_.per_role;
}

std::optional<StepId> ConnectionPool::next_waiting(const store::StepTarget& target) const {
  const auto found = targets_.find(target);
  if (found == targets_.end() || found->second.waiting.empty()) return std::nullopt;
  return found->second.waiting.front();
}

bool ConnectionPool::is_waited_for(const store::StepTarget& target) const {
  const auto found = targets_.find(target);
  return found != targets_.end() && !found->second.waiting.empty();
}

int ConnectionPool::open_of(store::RoleId role) const {
  const auto found = open_by_role_.find(role);
  return found == open_by_role_.end() ? 0 : found->second;
}

void ConnectionPool::count_open(store::RoleId role, int change) {
  open_ += change;
  int& open = open_by_role_[role];
  open += change;
  if (open == 0) open_by_role_.erase(role);
}

void ConnectionPool::count_waiting(store::RoleId role, int change) {
  waiting_ += static_cast<std::size_t>(change);  // modulo 2^64, so that it also goes down
  std::size_t& waiting = waiting_by_role_[role];
  waiting += static_cast<std::size_t>(change);
  if (waiting == 0) waiting_by_role_.erase(role);
}

// One step of each target in turn, beginning after the target that was served last.
void ConnectionPool::dispatch(Time now) {
  bool progress = true;
  while (progress && waiting_ > 0) {
    progress = false;
    auto at = targets_.upper_bound(last_served_);
    for (std::size_t i = 0; i < targets_.size() && waiting_ > 0; ++i) {
      if (at == targets_.end()) at = targets_.begin();
      const auto current = at++;
      if (current->second.waiting.empty() || !dispatch_one(current->first, current->second, now)) continue;
      last_served_ = current->first;
      progress = true;
    }
  }
}

bool ConnectionPool::dispatch_one(const store::StepTarget& key, Target& target, Time now) {
  for (const ConnectionId id : target.connections) {
    Connection& connection = connections_.at(id);
    if (!connection.is_idle) continue;
    if (gives_way(connection, now)) {
      close(id);
      return true;
    }
    connection.is_idle = false;
    serve_next(id, key, target);
    return true;
  }
  if (target.connecting >= static_cast<int>(target.waiting.size())) return false;
  if (open_of(key.role_id) >= limits_.per_role && !evict_idle(key.role_id)) return false;
  if (target.failures > 0 && (target.connecting > 0 || now < target.retry_at)) return false;
  if (!has_place(key)) return false;
  count_open(key.role_id, 1);
  ++target.connecting;
  host_.open(key);
  return true;
}

void ConnectionPool::serve_next(ConnectionId connection, const store::StepTarget& key, Target& target) {
  std::vector<StepId> steps = take_group(connection, target);
  if (steps.empty()) {
    steps.push_back(target.waiting.front());
    target.waiting.pop_front();
  }
  count_waiting(key.role_id, -static_cast<int>(steps.size()));
  if (steps.size() > 1) return host_.serve_group(connection, std::move(steps));
  host_.serve(connection, steps.front());
}

// Empty if the first one does not join.
std::vector<StepId> ConnectionPool::take_group(ConnectionId connection, Target& target) {
  std::vector<StepId> steps;
  std::deque<StepId>& waiting = target.waiting;
  if (limits_.group < 2 || waiting.size() < 2 || !host_.joins(connection, steps, waiting.front())) return {};
  std::size_t kept = 0, at = 0;
  for (; at < std::min(waiting.size(), kLookAhead) && steps.size() < limits_.group; ++at) {
    const StepId step = waiting[at];
    if (host_.joins(connection, steps, step)) {
      steps.push_back(step);
    } else {
      waiting[kept++] = step;
    }
  }
  waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(kept),
                waiting.begin() + static_cast<std::ptrdiff_t>(at));
  return steps;
}

// Whether one more connection may be opened; closes an idle one where that makes room.
bool ConnectionPool::has_place(const store::StepTarget& key) {
  if (open_ < limits_.connections) return true;
  const bool has_none = open_of(key.role_id) == 0;
  // Beyond the limit, the idle one may be all that another role has.
  if ((has_none || open_ == limits_.connections) && evict_idle()) return true;
  return has_none && open_ < limits_.connections + limits_.reserve;
}

// Whether a connection that has become free is better closed: no more may be opened, and another role waits that
// has at least two connections fewer than this one's, or no connection at all when this one has had its turn.
bool ConnectionPool::gives_way(const Connection& connection, Time now) const {
  if (open_ < limits_.connections) return false;
  const int own = open_of(connection.target.role_id);
  const bool turn_is_over =
      open_ >= limits_.connections + limits_.reserve && now - connection.opened_at >= kTurn;
  return std::any_of(targets_.begin(), targets_.end(), [&](const auto& entry) {
    const Target& other = entry.second;
    if (other.waiting.empty() || other.connecting > 0 || other.failures > 0) return false;
    const int open = open_of(entry.first.role_id);
    return own > 1 ? open + 2 <= own : turn_is_over && open == 0;
  });
}

// Closes the connection that was idle for longest and that nothing waits for, of this role only if one is given.
bool ConnectionPool::evict_idle(std::optional<store::RoleId> role) {
  auto oldest = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    const Connection& one = at->second;
    if (!one.is_idle || (role && one.target.role_id != *role) || is_waited_for(one.target)) continue;
    if (oldest == connections_.end() || one.idle_since < oldest->second.idle_since) oldest = at;
  }
  if (oldest == connections_.end()) return false;
  close(oldest->first);
  return true;
}

void ConnectionPool::forget(ConnectionId connection) {
  const auto found = connections_.find(connection);
  count_open(found->second.target.role_id, -1);
  std::erase(targets_.at(found->second.target).connections, connection);
  connections_.erase(found);
}

void ConnectionPool::close(ConnectionId connection) {
  forget(connection);
  host_.close(connection);
}

}  // namespace durabled::daemon
