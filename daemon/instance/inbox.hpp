// The signals of one instance that nobody has taken, oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/worker_store.hpp"

namespace durabled::daemon {

class Inbox {
 public:
  using Signals = std::deque<store::Signal>;

  // Adds those that it never had; their ids do not come in order. `now` bounds when they were sent, because the
  // clocks may differ by some milliseconds.
  void add(const std::vector<store::Signal>& signals, dsl::Time now);

  std::size_t size() const { return signals_.size(); }
  Signals::iterator begin() { return signals_.begin(); }
  Signals::iterator end() { return signals_.end(); }
  void take(Signals::iterator signal);
  // What the names and the data that are here take, by about.
  std::size_t bytes() const { return bytes_; }

  // A wait wants this signal, whose data is not here: true if it has to be asked for.
  bool want(const store::Signal& signal);
  // Its data has come; false: nobody asked for it.
  bool fetched(std::int64_t id, std::string data);
  bool is_fetching() const { return fetching_ != 0; }

 private:
  Signals signals_;
  std::size_t bytes_ = 0;
  std::set<std::int64_t> known_;  // every one that was ever here
  std::int64_t fetching_ = 0;     // the one whose data is being read; 0: none
};

}  // namespace durabled::daemon
