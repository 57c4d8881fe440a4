// What goes along with the first turn of an instance that begins: InstanceStarted, and what the text says of itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "daemon/turn.hpp"

namespace durabled::daemon {

class Prologue {
 public:
  void set_start(std::string start) { start_ = std::move(start); }
  const dsl::Event& set_started(dsl::Event event) { return started_.emplace(std::move(event)); }

  // Into the turn that is about to be sent, if it is the first.
  void add_to(TurnDraft& draft) {
    if (state_ != State::kUnsent) return;
    if (started_) draft.open_with(*started_);
    draft.start = start_;
    state_ = State::kSent;
  }
  // That turn is committed, or the history has it.
  void committed() {
    state_ = State::kCommitted;
    started_.reset();
    start_.clear();
  }
  bool is_committed() const { return state_ == State::kCommitted; }

 private:
  enum class State : std::uint8_t { kUnsent, kSent, kCommitted };
  State state_ = State::kUnsent;
  std::optional<dsl::Event> started_;
  std::string start_;  // JSON, see start_json()
};

}  // namespace durabled::daemon
