#include "daemon/instance/inbox.hpp"

#include <algorithm>
#include <utility>

namespace durabled::daemon {
namespace {

std::size_t bytes_of(const store::Signal& signal) {
  return sizeof(store::Signal) + signal.name.size() + (signal.data ? signal.data->size() : 0);
}

}  // namespace

void Inbox::add(const std::vector<store::Signal>& signals, dsl::Time now) {
  for (const store::Signal& signal : signals) {
    if (!known_.insert(signal.id).second) continue;
    signals_.push_back(signal);
    signals_.back().sent_at = std::min(signal.sent_at, now);
    bytes_ += bytes_of(signal);
  }
}

void Inbox::take(Signals::iterator signal) {
  bytes_ -= bytes_of(*signal);
  signals_.erase(signal);
}

bool Inbox::want(const store::Signal& signal) {
  return std::exchange(fetching_, signal.id) != signal.id;
}

bool Inbox::fetched(std::int64_t id, std::string data) {
  if (fetching_ != id) return false;
  fetching_ = 0;
  for (store::Signal& signal : signals_) {
    if (signal.id != id) continue;
    bytes_ -= bytes_of(signal);
    signal.data = std::move(data);
    bytes_ += bytes_of(signal);
  }
  return true;
}

}  // namespace durabled::daemon
