// Quantities as people write them in durabled.yaml: durations ("500ms", "2s", "5m", "1h", "7d", or a plain
// number of seconds) and sizes ("16MiB", "8MB", or a plain number of bytes), and the way back for printing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace durabled::config {

// The longest duration accepted: a hundred years, so that adding one to any clock's time cannot overflow.
inline constexpr std::chrono::milliseconds kLongestDuration = std::chrono::hours{24 * 365 * 100};

// A whole number, a minus in front allowed. Nothing when `text` is anything else or does not fit.
std::optional<std::int64_t> parse_integer(std::string_view text);

// A decimal number such as "2", "1.5" or "-0.5"; no exponent, no infinity. The point is a point in every
// locale.
std::optional<double> parse_decimal(std::string_view text);

// Nothing when `text` is not a duration, is negative, longer than kLongestDuration, or finer than a
// millisecond.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// Nothing when `text` is not a size or does not fit. KiB, MiB, GiB count in 1024s; kB, MB, GB in 1000s.
std::optional<std::uint64_t> parse_size(std::string_view text);

// The shortest form that parse_duration and parse_size read back as the same value: 60'000 ms is "1m", 2^20
// "1MiB".
std::string print_duration(std::chrono::milliseconds duration);
std::string print_size(std::uint64_t bytes);

// A decimal as parse_decimal reads it: 2 is "2", 1.5 is "1.5".
std::string print_decimal(double number);

}  // namespace durabled::config
