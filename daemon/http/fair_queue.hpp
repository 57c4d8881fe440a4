// Whose call is next when not all can run at once: of the roles that wait, the one with the fewest calls in
// flight (the last quarter of the places is for roles that have none); among equals, the one whose turn is longest ago. Within a role, first come, first served. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace durabled::daemon {

class FairQueue {
 public:
  void push(const std::string& role, std::uint64_t id) {
    roles_[role].waiting.push_back(id);
    ++waiting_;
  }

  // `places`: how many calls may be in flight. Takes the next one out and counts it as in flight for its role until finished(role). Linear in the number
  // of roles that wait or run.
  std::optional<std::uint64_t> pop(std::size_t places) {
    if (in_flight_ >= places) return std::nullopt;
    auto best = roles_.end();
    for (auto it = roles_.begin(); it != roles_.end(); ++it) {
      if (!it->second.waiting.empty() && (best == roles_.end() || comes_before(it->second, best->second)))
        best = it;
    }
    if (best == roles_.end()) return std::nullopt;
    Role& role = best->second;
    if (role.in_flight > 0 && in_flight_ >= places - places / 4) return std::nullopt;
    const std::uint64_t id = role.waiting.front();
    role.waiting.pop_front();
    --waiting_;
    ++role.in_flight;
    ++in_flight_;
    role.last_turn = ++turn_;
    return id;
  }

  void finished(const std::string& role) {
    const auto it = roles_.find(role);
    if (it == roles_.end()) return;
    --it->second.in_flight;
    --in_flight_;
    forget_if_idle(it);
  }

  // A queued call that is not wanted any more. Linear in its role's queue.
  bool erase(const std::string& role, std::uint64_t id) {
    const auto it = roles_.find(role);
    if (it == roles_.end()) return false;
    auto& waiting = it->second.waiting;
    const auto found = std::find(waiting.begin(), waiting.end(), id);
    if (found == waiting.end()) return false;
    waiting.erase(found);
    --waiting_;
    forget_if_idle(it);
    return true;
  }

  std::size_t waiting() const { return waiting_; }
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Role {
    std::deque<std::uint64_t> waiting;
    int in_flight = 0;
    std::uint64_t last_turn = 0;
  };
  using Roles = std::map<std::string, Role>;

  static bool comes_before(const Role& left, const Role& right) {
    return left.in_flight != right.in_flight ? left.in_flight < right.in_flight
                                             : left.last_turn < right.last_turn;
  }
  void forget_if_idle(Roles::iterator it) {
    if (it->second.waiting.empty() && it->second.in_flight == 0) roles_.erase(it);
  }

  Roles roles_;
  std::uint64_t turn_ = 0;
  std::size_t waiting_ = 0;
  std::size_t in_flight_ = 0;
};

}  // namespace durabled::daemon
