// What holds an instance's slot, and whether the instance is about to go. The moves between the slot's states are
// the table on top of slot.cpp.
#pragma once

#include <cstdint>

namespace durabled::daemon {

enum class Slot : std::uint8_t {
  kFree,
  kStep,         // a step whose commit carries the turn
  kForeignStep,  // a step that commits in its own database first
  kTurn,         // a turn without a step
  kReclaim,      // nothing that is folded counts: the instance is being read again
};
bool may_become(Slot from, Slot to);

// Why the turn under way is the last one here; kNo: it is not. It is set once, and reset only by reading the
// instance again.
enum class Leaving : std::uint8_t {
  kNo,
  kPutDown,  // it only waits
  kPutBack,  // it returns to `pending`, and will be claimed again
  kEnded,
  kParked,  // its history does not fit. Where even its failure cannot be handled it stays here without a turn
};

}  // namespace durabled::daemon
