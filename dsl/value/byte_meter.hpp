// How many bytes one instance's results take at present.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace durabled::dsl {

// Thread-safe: a result may be let go on another thread than the one that made it.
using ByteMeter = std::atomic<std::size_t>;

// Bytes that count from its making to its end.
class ByteCharge {
 public:
  ByteCharge() = default;
  ByteCharge(std::shared_ptr<ByteMeter> meter, std::size_t bytes) : meter_(std::move(meter)), bytes_(bytes) {
    if (meter_ != nullptr) *meter_ += bytes_;
  }
  ByteCharge(ByteCharge&& other) noexcept
      : meter_(std::exchange(other.meter_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  ByteCharge& operator=(ByteCharge&& other) noexcept {
    std::swap(meter_, other.meter_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~ByteCharge() {
    if (meter_ != nullptr) *meter_ -= bytes_;
  }

 private:
  std::shared_ptr<ByteMeter> meter_;
  std::size_t bytes_ = 0;
};

}  // namespace durabled::dsl
