#include "daemon/web/sessions.hpp"

#include <algorithm>

#include "daemon/random_bytes.hpp"

namespace durabled::daemon::web {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kFreeOfRole = 5, kFreeOfAddress = 20;
constexpr std::size_t kMostFailures = 10'000;

std::string of_both(const std::string& role, const std::string& address) {
  return address + '\n' + role;
}

}  // namespace

std::string random_key() {
  return random_hex(32);
}

bool same_key(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return different == 0;
}

bool is_over(const Session& session, Clock::time_point now) {
  const bool is_idle = session.streams == 0 && now - session.used > minutes(30);
  return session.has_ended || is_idle || now - session.created > hours(8) || session.database->is_gone();
}

void Sessions::sweep(Clock::time_point now) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    const bool over = is_over(*it->second, now);
    if (over) it->second->has_ended = true;
    it = over ? sessions_.erase(it) : std::next(it);
  }
}

bool Sessions::is_full(Clock::time_point now) {
  sweep(now);
  return sessions_.size() >= kMost;
}

bool Sessions::is_full(const std::string& role, Clock::time_point now) {
  sweep(now);
  return std::count_if(sessions_.begin(), sessions_.end(),
                       [&](const auto& entry) { return entry.second->role == role; }) >= kMostOfRole;
}

std::string Sessions::add(std::shared_ptr<Session> session) {
  std::string key = random_key();
  sessions_[key] = std::move(session);
  return key;
}

// The map's order is that of random keys, which an outsider cannot walk by timing.
std::shared_ptr<Session> Sessions::find(const std::string& key, Clock::time_point now) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return nullptr;
  if (!is_over(*found->second, now)) return found->second;
  found->second->has_ended = true;
  sessions_.erase(found);
  return nullptr;
}

void Sessions::end(const std::string& key) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return;
  found->second->has_ended = true;
  sessions_.erase(found);
}

int LoginDelays::wait_of(const std::string& key, int free, Clock::time_point now) {
  const auto found = failures_.find(key);
  if (found == failures_.end() || found->second.count < free) return 0;
  const seconds delay = std::min(seconds(300), seconds(5) * (1 << std::min(found->second.count - free, 10)));
  const auto left = found->second.last + delay - now;
  return left.count() <= 0 ? 0 : static_cast<int>(std::chrono::ceil<seconds>(left).count());
}

int LoginDelays::wait_for(const std::string& role, const std::string& address, Clock::time_point now) {
  return std::max(wait_of(of_both(role, address), kFreeOfRole, now), wait_of(address, kFreeOfAddress, now));
}

void LoginDelays::count(const std::string& key, Clock::time_point now) {
  if (failures_.size() >= kMostFailures)
    std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.last > minutes(15); });
  if (failures_.size() >= kMostFailures) failures_.clear();
  Failures& failures = failures_[key];
  if (now - failures.last > minutes(15)) failures.count = 0;
  ++failures.count;
  failures.last = now;
}

void LoginDelays::failed(const std::string& role, const std::string& address, Clock::time_point now) {
  count(of_both(role, address), now);
  count(address, now);
}

void LoginDelays::succeeded(const std::string& role, const std::string& address) {
  failures_.erase(of_both(role, address));
}

void LoginDelays::take_back(const std::string& role, const std::string& address) {
  for (const std::string& key : {of_both(role, address), address}) {
    const auto found = failures_.find(key);
    if (found != failures_.end() && --found->second.count <= 0) failures_.erase(found);
  }
}

}  // namespace durabled::daemon::web
