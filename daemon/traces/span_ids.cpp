#include "daemon/traces/span_ids.hpp"

#include <boost/uuid/string_generator.hpp>
#include <cstdint>

namespace durabled::daemon {
namespace {

// The bytes of `id` from `first` on, in hexadecimal.
std::string hex(const boost::uuids::uuid& id, std::size_t first) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = first; i < 16; ++i) {
    const std::uint8_t byte = *(id.begin() + i);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

SpanIds::SpanIds(const std::string& installation)
    : generator_(boost::uuids::string_generator{}(installation)) {}

// The version and the variant of a UUID are in its bytes 6 and 8: no id is all zeros, which the protocol forbids.
std::string SpanIds::trace(const std::string& instance) const {
  return hex(hash("trace/" + instance), 0);
}

std::string SpanIds::span(const std::string& name) const {
  return hex(hash("span/" + name), 8);
}

std::string SpanIds::root(const std::string& instance) const {
  return span(instance);
}

std::string SpanIds::step(const std::string& instance, const std::string& node, const std::string& scope,
                          int attempt) const {
  return span(instance + '/' + node + '/' + scope + '/' + std::to_string(attempt));
}

// The rule of OpenTelemetry's samplers: the last 56 bits of the id are a random number, and the highest are kept.
bool is_sampled(const std::string& trace, double share) {
  constexpr auto kAll = std::uint64_t{1} << 56;
  const auto kept = static_cast<std::uint64_t>(share * static_cast<double>(kAll));
  return std::stoull(trace.substr(trace.size() - 14), nullptr, 16) >= kAll - kept;
}

}  // namespace durabled::daemon
