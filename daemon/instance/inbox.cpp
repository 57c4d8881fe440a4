#include "daemon/instance/inbox.hpp"

#include <algorithm>
#include <utility>

namespace durabled::daemon {

void Inbox::add(const std::vector<store::Signal>& signals, dsl::Time now) {
  for (const store::Signal& signal : signals) {
    if (!known_.insert(signal.id).second) continue;
    signals_.push_back(signal);
    signals_.back().sent_at = std::min(signal.sent_at, now);
  }
}

bool Inbox::want(const store::Signal& signal) {
  return std::exchange(fetching_, signal.id) != signal.id;
}

bool Inbox::fetched(std::int64_t id, std::string data) {
  if (fetching_ != id) return false;
  fetching_ = 0;
  for (store::Signal& signal : signals_) {
    if (signal.id == id) signal.data = std::move(data);
  }
  return true;
}

}  // namespace durabled::daemon
