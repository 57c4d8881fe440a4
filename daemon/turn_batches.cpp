#include "daemon/turn_batches.hpp"

#include <algorithm>
#include <iterator>

#include "dsl/assert.hpp"

namespace durabled::daemon {

std::vector<store::Turn> TurnBatches::take() {
  DURABLED_ASSERT(is_ready());
  is_under_way_ = true;
  std::vector<store::Turn> turns;
  if (!halves_.empty()) {
    turns = std::move(halves_.front());
    halves_.pop_front();
    return turns;
  }
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(limit_, waiting_.size()));
  turns.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  for (std::size_t bytes = 0; !large_.empty() && bytes < kLargeBytes && turns.size() < limit_ + 1;
       large_.pop_front()) {
    bytes += large_.front().json.size();
    turns.push_back(std::move(large_.front()));
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& a, const auto& b) { return a.instance_id < b.instance_id; });
  // Of an instance that was claimed again meanwhile the last one counts: nobody waits for the answer to another.
  std::vector<store::Turn> newest;
  for (store::Turn& turn : turns) {
    if (!newest.empty() && newest.back().instance_id == turn.instance_id) newest.pop_back();
    newest.push_back(std::move(turn));
  }
  return newest;
}

void TurnBatches::refused(std::vector<store::Turn> turns) {
  DURABLED_ASSERT(is_under_way_ && turns.size() > 1);
  is_under_way_ = false;
  const auto middle = turns.begin() + static_cast<std::ptrdiff_t>(turns.size() / 2);
  halves_.emplace_front(std::make_move_iterator(middle), std::make_move_iterator(turns.end()));
  halves_.emplace_front(std::make_move_iterator(turns.begin()), std::make_move_iterator(middle));
}

}  // namespace durabled::daemon
