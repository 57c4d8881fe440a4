// Turns that wait to be committed. Those that come while a batch is under way make up the next one, and one that
// the database refuses is found by halving its batch, so that the others do not suffer for it. Large turns, such as
// those of thousands of parallel waits, share a budget of bytes a batch, and small ones never queue behind them. Pure.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "store/worker_store.hpp"

namespace durabled::daemon {

class TurnBatches {
 public:
  explicit TurnBatches(std::size_t limit) : limit_(limit) {}

  static constexpr std::size_t kLarge = std::size_t{16} << 10;  // bytes of a turn
  static constexpr std::size_t kLargeBytes = std::size_t{512}
                                             << 10;  // of the large turns of a batch, or one of them

  void add(store::Turn turn) { (turn.json.size() > kLarge ? large_ : waiting_).push_back(std::move(turn)); }
  bool is_ready() const { return !is_under_way_ && !(waiting_.empty() && large_.empty() && halves_.empty()); }

  // At most `limit` small ones and some large ones, ordered by instance, one of each; they are under way until done() or refused().
  // Requires: is_ready().
  std::vector<store::Turn> take();
  void done() { is_under_way_ = false; }
  // Puts the halves of what was under way in front; requires at least two turns.
  void refused(std::vector<store::Turn> turns);

 private:
  const std::size_t limit_;
  bool is_under_way_ = false;
  std::deque<store::Turn> waiting_, large_;
  std::deque<std::vector<store::Turn>> halves_;
};

}  // namespace durabled::daemon
