#include "dsl/graph/duration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_sql_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_sql_space(text.back())) text.remove_suffix(1);
  return text;
}

enum class Unit { kSecond, kDay, kMonth };
struct UnitName {
  std::string_view name;  // without a plural s
  Unit unit;
  double factor;
};

constexpr std::array<UnitName, 30> kUnits = {{
    {"us", Unit::kSecond, 1e-6},
    {"usec", Unit::kSecond, 1e-6},
    {"microsecond", Unit::kSecond, 1e-6},
    {"ms", Unit::kSecond, 1e-3},
    {"msec", Unit::kSecond, 1e-3},
    {"millisecond", Unit::kSecond, 1e-3},
    {"s", Unit::kSecond, 1},
    {"sec", Unit::kSecond, 1},
    {"second", Unit::kSecond, 1},
    {"m", Unit::kSecond, 60},
    {"min", Unit::kSecond, 60},
    {"minute", Unit::kSecond, 60},
    {"h", Unit::kSecond, 3600},
    {"hr", Unit::kSecond, 3600},
    {"hour", Unit::kSecond, 3600},
    {"d", Unit::kDay, 1},
    {"day", Unit::kDay, 1},
    {"w", Unit::kDay, 7},
    {"week", Unit::kDay, 7},
    {"mon", Unit::kMonth, 1},
    {"month", Unit::kMonth, 1},
    {"y", Unit::kMonth, 12},
    {"yr", Unit::kMonth, 12},
    {"year", Unit::kMonth, 12},
    {"dec", Unit::kMonth, 120},
    {"decade", Unit::kMonth, 120},
    {"c", Unit::kMonth, 1200},
    {"century", Unit::kMonth, 1200},
    {"mil", Unit::kMonth, 12000},
    {"millennium", Unit::kMonth, 12000},
}};

const UnitName* find_unit(std::string word) {
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (word == "centuries") word = "century";
  if (word == "millennia") word = "millennium";
  for (const UnitName& unit : kUnits) {
    if (word == unit.name ||
        (word.size() == unit.name.size() + 1 && word.back() == 's' && word.starts_with(unit.name))) {
      return &unit;
    }
  }
  return nullptr;
}

class IntervalParser {
 public:
  explicit IntervalParser(std::string_view text) : text_(trim(text)) {}

  std::optional<double> run() {
    if (!text_.empty() && text_[0] == '@') ++pos_;
    skip_spaces();
    if (at_end()) return std::nullopt;
    if (text_[pos_] == 'P') {
      ++pos_;
      return parse_iso() ? std::optional(total()) : std::nullopt;
    }
    while (!at_end()) {
      if (text_.substr(pos_) == "ago") {
        months_ = -months_, days_ = -days_, seconds_ = -seconds_;
        break;
      }
      if (!parse_field()) return std::nullopt;
      skip_spaces();
    }
    return total();
  }

 private:
  bool at_end() const { return pos_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[pos_]; }
  void skip_spaces() {
    while (!at_end() && is_sql_space(text_[pos_])) ++pos_;
  }

  // Digits with an optional fraction; no sign.
  std::optional<double> read_magnitude() {
    const std::size_t begin = pos_;
    while (is_digit(peek()) || peek() == '.') ++pos_;
    const std::string_view digits = text_.substr(begin, pos_ - begin);
    if (digits.find_first_of("0123456789") == std::string_view::npos) return std::nullopt;
    return parse_number(digits);
  }

  double read_sign() {
    const double sign = peek() == '-' ? -1 : 1;
    if (peek() == '-' || peek() == '+') ++pos_;
    return sign;
  }

  // Each unit may be given once. A number of seconds with a fraction gives those below it as well.
  bool claim(const UnitName& unit, double value) {
    unsigned bits = 1U << static_cast<unsigned>(&unit - kUnits.data());
    for (const UnitName& other : kUnits) {
      const bool same = other.unit == unit.unit && other.factor == unit.factor;
      const bool below = unit.unit == Unit::kSecond && unit.factor == 1 && value != std::trunc(value) &&
                         other.unit == Unit::kSecond && other.factor < 1;
      if (same || below) bits |= 1U << static_cast<unsigned>(&other - kUnits.data());
    }
    const bool is_free = (given_ & bits) == 0;
    given_ |= bits;
    return is_free;
  }
  bool add_once(const UnitName& unit, double value) {
    if (!claim(unit, value)) return false;
    add(unit, value);
    return true;
  }

  std::string read_word() {
    const std::size_t begin = pos_;
    while (!at_end() && is_identifier_start(text_[pos_])) ++pos_;
    return std::string(text_.substr(begin, pos_ - begin));
  }

  // One of: [+-]hh:mm[:ss[.f]], [+-]years-months, quantity unit, or a bare number (days before a time, else
  // seconds).
  bool parse_field() {
    const double sign = read_sign();
    const auto value = read_magnitude();
    if (!value) return false;
    if (peek() == ':') return parse_time(sign, *value);
    if (peek() == '-') {
      ++pos_;
      const auto months = read_magnitude();
      if (!months || *months >= 12) return false;
      return add_once(*find_unit("month"), sign * (*value * 12 + *months));
    }
    skip_spaces();
    const std::string word = read_word();
    if (!word.empty()) {
      const UnitName* unit = find_unit(word);
      return unit != nullptr && add_once(*unit, sign * *value);
    }
    if (at_end()) return add_once(*find_unit("second"), sign * *value);
    return add_once(*find_unit("day"), sign * *value) && text_.find(':', pos_) != std::string_view::npos;
  }

  bool parse_time(double sign, double hours) {
    double seconds = hours * 3600;
    for (const double factor : {60.0, 1.0}) {
      if (peek() != ':') break;
      ++pos_;
      const auto part = read_magnitude();
      if (!part || *part >= 60) return false;
      seconds += *part * factor;
    }
    for (const char* unit : {"hour", "minute", "second", "ms", "us"}) {
      if (!claim(*find_unit(unit), 0)) return false;
    }
    seconds_ += sign * seconds;
    return peek() != ':';
  }

  // After the P: 1Y2M3W4DT5H6M7S.
  bool parse_iso() {
    bool time = false, any = false;
    while (!at_end()) {
      if (!time && peek() == 'T') {
        time = true;
        ++pos_;
        continue;
      }
      const double sign = read_sign();
      const auto value = read_magnitude();
      if (!value || at_end() || !add_iso(text_[pos_++], time, sign * *value)) return false;
      any = true;
    }
    return any;
  }

  bool add_iso(char designator, bool time, double value) {
    static constexpr std::pair<char, UnitName> kDate[] = {{'Y', {"", Unit::kMonth, 12}},
                                                          {'M', {"", Unit::kMonth, 1}},
                                                          {'W', {"", Unit::kDay, 7}},
                                                          {'D', {"", Unit::kDay, 1}}};
    static constexpr std::pair<char, UnitName> kTime[] = {
        {'H', {"", Unit::kSecond, 3600}}, {'M', {"", Unit::kSecond, 60}}, {'S', {"", Unit::kSecond, 1}}};
    const auto add_from = [&](const auto& units) {
      for (const auto& [letter, unit] : units) {
        if (letter == designator) return add(unit, value), true;
      }
      return false;
    };
    return time ? add_from(kTime) : add_from(kDate);
  }

  // A fraction of a year becomes whole months, a fraction of a month becomes days: PostgreSQL's rule.
  void add(const UnitName& unit, double value) {
    switch (unit.unit) {
      case Unit::kSecond:
        seconds_ += value * unit.factor;
        break;
      case Unit::kDay:
        days_ += value * unit.factor;
        break;
      case Unit::kMonth:
        if (unit.factor > 1) {
          months_ += std::nearbyint(value * unit.factor);
        } else {
          months_ += std::trunc(value);
          days_ += (value - std::trunc(value)) * 30;
        }
        break;
    }
  }

  double total() const {
    const double years = std::trunc(months_ / 12);
    return years * 365.25 * 86400 + (months_ - years * 12) * 30 * 86400 + days_ * 86400 + seconds_;
  }

  std::string_view text_;
  std::size_t pos_ = 0;
  double months_ = 0, days_ = 0, seconds_ = 0;
  unsigned given_ = 0;  // a bit for each of kUnits
};

}  // namespace

bool has_reference(std::string_view text) {
  return text.find_first_of("${") != std::string_view::npos;
}

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  if (digits.empty() || (!is_digit(digits[0]) && digits[0] != '.'))
    return std::nullopt;  // no "inf", no "nan"
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too small is nothing; too large is refused by whoever asks whether it is finite.
    value = digits.find("e-") == std::string_view::npos && digits.find("E-") == std::string_view::npos
                ? std::numeric_limits<double>::infinity()
                : 0;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return text[0] == '-' ? -value : value;
}

std::optional<double> parse_interval(std::string_view text) {
  return IntervalParser(text).run();
}

std::optional<double> parse_seconds(std::string_view text) {
  const auto number = parse_number(text);
  return number ? number : parse_interval(text);
}

double round_seconds(double seconds) {
  return std::round(seconds * 1e6) / 1e6;
}

std::string format_seconds(double seconds) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.6f", round_seconds(seconds));
  std::string text(buffer);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::optional<std::string> check_seconds(double seconds, std::string_view what) {
  const std::string name(what);
  if (!std::isfinite(seconds)) return name + " must be finite";
  if (seconds < 0)
    return name + " must not be negative, found " + format_seconds(std::max(seconds, -kMaxSeconds));
  if (seconds > kMaxSeconds)
    return name + " must be at most " + format_seconds(kMaxSeconds) + " seconds (100 years)";
  return std::nullopt;
}

}  // namespace durabled::dsl
