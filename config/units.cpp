#include "config/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace durabled::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Longest first: printing takes the first that divides the value.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kBinaryUnits{
    {{"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"", 1}}};
constexpr std::array<Unit, 3> kDecimalUnits{{{"GB", 1'000'000'000}, {"MB", 1'000'000}, {"kB", 1'000}}};

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  const auto found =
      std::find_if(units.begin(), units.end(), [&](const Unit& unit) { return unit.name == name; });
  if (found == units.end()) return std::nullopt;
  return found->factor;
}

struct Quantity {
  double number;
  std::string_view unit;
};

// "1.5h" -> 1.5 and "h"; blanks between the two are allowed.
std::optional<Quantity> split_quantity(std::string_view text) {
  const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = parse_decimal(text.substr(0, end));
  if (!number) return std::nullopt;
  const auto unit = std::min(text.find_first_not_of(' ', end), text.size());
  return Quantity{*number, text.substr(unit)};
}

template <std::size_t N>
std::string print_with(const std::array<Unit, N>& units, std::uint64_t value) {
  const auto fits =
      std::find_if(units.begin(), units.end(), [&](const Unit& unit) { return value % unit.factor == 0; });
  return std::to_string(value / fits->factor) + std::string(fits->name);
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> parse_decimal(std::string_view text) {
  // from_chars alone would take "inf", "nan" and ".5".
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789.") != std::string_view::npos)
    return std::nullopt;
  if (digits.front() == '.' || digits.back() == '.') return std::nullopt;
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) return std::nullopt;
  const auto factor = factor_of(kDurationUnits, quantity->unit.empty() ? "s" : quantity->unit);
  if (!factor) return std::nullopt;
  const double count = quantity->number * static_cast<double>(*factor);
  if (count > static_cast<double>(kLongestDuration.count())) return std::nullopt;
  // 0.1 s is not a whole number of milliseconds in binary, hence the tolerance.
  if (std::abs(count - std::round(count)) > 1e-3) return std::nullopt;
  return std::chrono::milliseconds{std::llround(count)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  // A plain number is bytes, exactly; before a unit it may be a fraction ("1.5MiB").
  if (const auto bytes = parse_integer(text)) {
    return *bytes < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(*bytes));
  }
  const auto quantity = split_quantity(text);
  if (!quantity || quantity->unit.empty()) return std::nullopt;
  auto factor = factor_of(kBinaryUnits, quantity->unit);
  if (!factor) factor = factor_of(kDecimalUnits, quantity->unit);
  if (!factor && quantity->unit == "B") factor = 1;
  if (!factor) return std::nullopt;
  const double bytes = quantity->number * static_cast<double>(*factor);
  if (bytes > 9e15 || bytes != std::round(bytes)) return std::nullopt;  // beyond 2^53 a double is not exact
  return static_cast<std::uint64_t>(bytes);
}

std::string print_duration(std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "0s";
  return print_with(kDurationUnits, static_cast<std::uint64_t>(duration.count()));
}

std::string print_size(std::uint64_t bytes) {
  return bytes == 0 ? "0" : print_with(kBinaryUnits, bytes);
}

std::string print_decimal(double number) {
  std::array<char, 64> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed);
  return error == std::errc{} ? std::string(buffer.data(), end) : std::string("?");
}

}  // namespace durabled::config
