#include "dsl/value/pg_time.hpp"

#include <array>
#include <chrono>
#include <cstdio>

namespace durabled::dsl {
namespace {

// Reads the fields of a text from the left; every step fails when the text has another form.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool at_end() const { return text_.empty(); }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Exactly `digits` digits.
  std::optional<int> number(std::size_t digits) {
    if (text_.size() < digits) return std::nullopt;
    int value = 0;
    for (const char c : text_.substr(0, digits)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }
  std::string_view digits() {
    const std::size_t end = std::min(text_.find_first_not_of("0123456789"), text_.size());
    const std::string_view found = text_.substr(0, end);
    text_.remove_prefix(end);
    return found;
  }

 private:
  std::string_view text_;
};

struct LocalTime {
  std::chrono::sys_seconds seconds;
  std::string_view fraction;  // digits after the point
};

std::optional<LocalTime> read_local(Reader& reader) {
  std::array<int, 6> fields{};
  constexpr std::array<char, 6> kAfter = {'-', '-', ' ', ':', ':', '\0'};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto field = reader.number(i == 0 ? 4 : 2);
    if (!field || (kAfter[i] != '\0' && !reader.take(kAfter[i]))) return std::nullopt;
    fields[i] = *field;
  }
  const auto [year, month, day, hour, minute, second] = fields;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  LocalTime local;
  local.seconds = std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
                  std::chrono::seconds{second};
  if (reader.take('.')) local.fraction = reader.digits();
  return local;
}

// "+05", "-03:30", "-00:01:15"
std::optional<std::chrono::seconds> read_offset(Reader& reader) {
  const bool is_negative = reader.take('-');
  if (!is_negative && !reader.take('+')) return std::nullopt;
  const auto hours = reader.number(2);
  if (!hours) return std::nullopt;
  std::chrono::seconds offset = std::chrono::hours{*hours};
  for (const int unit : {60, 1}) {
    if (!reader.take(':')) break;
    const auto part = reader.number(2);
    if (!part) return std::nullopt;
    offset += std::chrono::seconds{*part * unit};
  }
  return is_negative ? -offset : offset;
}

std::optional<std::string> print(const LocalTime& local) {
  const auto day = std::chrono::floor<std::chrono::days>(local.seconds);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{local.seconds - day};
  const int year = static_cast<int>(date.year());
  if (year < 1 || year > 9999) return std::nullopt;
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d", year,
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  std::string text(buffer.data());
  if (!local.fraction.empty()) text.append(".").append(local.fraction);
  return text;
}

}  // namespace

std::optional<std::string> rfc3339_local(std::string_view text) {
  Reader reader(text);
  const auto local = read_local(reader);
  if (!local || !reader.at_end()) return std::nullopt;
  return print(*local);
}

std::optional<std::string> rfc3339_utc(std::string_view text) {
  Reader reader(text);
  auto local = read_local(reader);
  if (!local) return std::nullopt;
  const auto offset = read_offset(reader);
  if (!offset || !reader.at_end()) return std::nullopt;
  local->seconds -= *offset;
  auto printed = print(*local);
  if (printed) *printed += 'Z';
  return printed;
}

}  // namespace durabled::dsl
