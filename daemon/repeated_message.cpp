#include "daemon/repeated_message.hpp"

#include <utility>

#include "config/units.hpp"

namespace durabled::daemon {
namespace {

constexpr std::chrono::minutes kInterval{1};

}  // namespace

std::optional<std::string> RepeatedMessage::again(const std::string& text, Time now) {
  if (++count_ == 1) since_ = now;
  ++unlogged_;
  const bool changed = text != text_;
  if (!changed && now - logged_ < kInterval) return std::nullopt;
  const int times = std::exchange(unlogged_, 0);
  logged_ = now;
  text_ = text;
  return changed ? text : text + " (" + std::to_string(times) + " times since the last line about it)";
}

std::optional<std::string> RepeatedMessage::over(Time now) {
  if (count_ == 0) return std::nullopt;
  const auto lasted = std::chrono::round<std::chrono::seconds>(now - since_);
  *this = {};
  return config::print_duration(lasted);
}

}  // namespace durabled::daemon
