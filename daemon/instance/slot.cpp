#include "daemon/instance/slot.hpp"

#include <algorithm>
#include <iterator>

namespace durabled::daemon {
namespace {

struct Move {
  Slot from, to;
};
constexpr Move kMoves[] = {
    {Slot::kFree, Slot::kStep},            // a step's turn is folded, and commits
    {Slot::kFree, Slot::kForeignStep},     // a step commits in its own database
    {Slot::kFree, Slot::kTurn},            // a turn without a step is sent
    {Slot::kStep, Slot::kFree},            // committed
    {Slot::kForeignStep, Slot::kFree},     // committed or refused there; the instance's turn follows
    {Slot::kTurn, Slot::kFree},            // committed
    {Slot::kFree, Slot::kReclaim},         // a commit beside it was refused or is in doubt; an exception
    {Slot::kStep, Slot::kReclaim},         // its own commit too
    {Slot::kForeignStep, Slot::kReclaim},  // in doubt; an exception
    {Slot::kTurn, Slot::kReclaim},         // refused, or the instance may be another daemon's; an exception
    {Slot::kReclaim, Slot::kReclaim},      // an exception
};
// kReclaim is left by reading the instance again, which begins at kFree, or by its loss.

}  // namespace

bool may_become(Slot from, Slot to) {
  return std::any_of(std::begin(kMoves), std::end(kMoves),
                     [&](const Move& move) { return move.from == from && move.to == to; });
}

}  // namespace durabled::daemon
