#include "dsl/value/cron.hpp"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <utility>
#include <vector>

namespace durabled::dsl {
namespace {

constexpr int kYearsAhead = 30;

struct FieldRule {
  std::string_view name;
  int low, high;
  std::vector<std::string_view> names;  // names[0] is `low`
};

const std::array<FieldRule, 5>& field_rules() {
  static const std::array<FieldRule, 5> rules = {{
      {"minute", 0, 59, {}},
      {"hour", 0, 23, {}},
      {"day of month", 1, 31, {}},
      {"month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      {"day of week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
  }};
  return rules;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string field_error(const FieldRule& rule, std::string_view field, const std::string& problem) {
  std::string message = "cron: " + std::string(rule.name) + " \"" + std::string(field) + "\": " + problem;
  message += "; allowed: " + std::to_string(rule.low) + "-" + std::to_string(rule.high);
  if (!rule.names.empty()) {
    message += " or ";
    message.append(rule.names.front()).append("-").append(rule.names.back());
  }
  return message + ", *, lists a,b, ranges a-b, steps */n and a-b/n";
}

std::optional<int> read_number(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// A number or a name of the field; nullopt when it is neither or out of range.
std::optional<int> read_value(const FieldRule& rule, std::string_view text) {
  const std::string folded = lower(text);
  const auto name = std::find(rule.names.begin(), rule.names.end(), folded);
  if (name != rule.names.end()) return rule.low + static_cast<int>(name - rule.names.begin());
  const auto number = read_number(text);
  return number && *number >= rule.low && *number <= rule.high ? number : std::nullopt;
}

// One element of a list: *, a, a-b, each range with an optional /step. Error: what is wrong with it.
Expected<std::uint64_t, std::string> read_element(const FieldRule& rule, std::string_view element) {
  const std::size_t slash = element.find('/');
  const std::string_view range = element.substr(0, slash);
  int step = 1;
  if (slash != std::string_view::npos) {
    const auto number = read_number(element.substr(slash + 1));
    if (!number || *number == 0) return Unexpected{std::string("a step is a number from 1")};
    step = *number;
  }
  int first = rule.low, last = rule.high;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto from = read_value(rule, range.substr(0, dash));
    if (!from) return Unexpected{"\"" + std::string(range.substr(0, dash)) + "\" is not allowed here"};
    first = last = *from;
    if (dash == std::string_view::npos) {
      if (slash != std::string_view::npos) {
        return Unexpected{std::string("a step needs a range, such as ") + std::string(range) + "-" +
                          std::to_string(rule.high) + "/" + std::to_string(step)};
      }
    } else {
      const auto to = read_value(rule, range.substr(dash + 1));
      if (!to) return Unexpected{"\"" + std::string(range.substr(dash + 1)) + "\" is not allowed here"};
      if (*to < first) return Unexpected{std::string("the range runs backwards")};
      last = *to;
    }
  }
  std::uint64_t bits = 0;
  for (int value = first; value <= last; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Expected<std::uint64_t, std::string> read_field(const FieldRule& rule, std::string_view field) {
  std::uint64_t bits = 0;
  for (std::size_t begin = 0; begin <= field.size();) {
    const std::size_t end = std::min(field.find(',', begin), field.size());
    const auto element = read_element(rule, field.substr(begin, end - begin));
    if (!element) return Unexpected{field_error(rule, field, element.error())};
    bits |= *element;
    begin = end + 1;
  }
  return bits;
}

Expected<std::string, std::string> expand_macro(std::string_view macro) {
  static constexpr std::pair<std::string_view, std::string_view> kMacros[] = {
      {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
      {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
      {"@annually", "0 0 1 1 *"},
  };
  const std::string folded = lower(macro);
  for (const auto& [name, fields] : kMacros) {
    if (folded == name) return std::string(fields);
  }
  return Unexpected{
      "cron: \"" + std::string(macro) +
      "\" is not known; there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"};
}

std::vector<std::string_view> split(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

// The zone by its name, in upper or lower case, as in PostgreSQL; nullptr for an unknown name.
const date::time_zone* find_zone(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::runtime_error&) {
    const std::string folded = lower(name);
    const auto& zones = date::get_tzdb().zones;
    const auto found = std::find_if(zones.begin(), zones.end(),
                                    [&folded](const auto& zone) { return lower(zone.name()) == folded; });
    return found == zones.end() ? nullptr : &*found;
  }
}

// The instant of a local time: the first of two when clocks go back, the next valid one when they go forward.
date::sys_seconds to_instant(const date::time_zone& zone, date::local_seconds local) {
  const date::local_info info = zone.get_info(local);
  if (info.result == date::local_info::nonexistent) return info.first.end;
  return date::sys_seconds{local.time_since_epoch()} - info.first.offset;
}

bool has_bit(std::uint64_t bits, unsigned value) {
  return ((bits >> value) & 1U) != 0;
}

}  // namespace

Expected<CronSchedule, std::string> CronSchedule::parse(std::string_view expression,
                                                        std::string_view timezone) {
  std::vector<std::string_view> fields = split(expression);
  std::string expanded;
  if (fields.size() == 1 && fields[0].front() == '@') {
    auto macro = expand_macro(fields[0]);
    if (!macro) return Unexpected{macro.error()};
    expanded = *macro;
    fields = split(expanded);
  }
  const auto& rules = field_rules();
  if (fields.size() != rules.size()) {
    return Unexpected{"cron: \"" + std::string(expression) + "\" has " + std::to_string(fields.size()) +
                      " fields; it takes five: minute hour day-of-month month day-of-week"};
  }
  std::array<std::uint64_t, 5> bits{};
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto field = read_field(rules[i], fields[i]);
    if (!field) return Unexpected{field.error()};
    bits[i] = *field;
  }
  CronSchedule schedule;
  schedule.minutes_ = bits[0];
  schedule.hours_ = static_cast<std::uint32_t>(bits[1]);
  schedule.days_ = static_cast<std::uint32_t>(bits[2]);
  schedule.months_ = static_cast<std::uint32_t>(bits[3]);
  schedule.weekdays_ = static_cast<std::uint32_t>((bits[4] & 0x7F) | (has_bit(bits[4], 7) ? 1U : 0U));
  schedule.any_hour_ = fields[1] == "*";
  schedule.any_day_ = fields[2].front() == '*';
  schedule.any_weekday_ = fields[4].front() == '*';
  const auto words = split(timezone);
  const auto* zone = words.size() == 1 ? find_zone(std::string(words[0])) : nullptr;
  if (zone == nullptr) return Unexpected{"time zone \"" + std::string(timezone) + "\" does not exist"};
  schedule.timezone_ = zone->name();
  return schedule;
}

std::optional<CronSchedule::OddStep> CronSchedule::find_odd_step(std::string_view expression) {
  const std::vector<std::string_view> fields = split(expression);
  const auto& rules = field_rules();
  for (std::size_t i = 0; i < fields.size() && fields.size() == rules.size(); ++i) {
    std::string_view rest = fields[i];
    while (!rest.empty()) {
      const std::string_view element = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), element.size() + 1));
      const std::size_t slash = element.find('/'), dash = element.find('-');
      if (slash == std::string_view::npos) continue;
      int first = rules[i].low, last = rules[i].high;
      if (dash < slash) {
        first = read_value(rules[i], element.substr(0, dash)).value_or(first);
        last = read_value(rules[i], element.substr(dash + 1, slash - dash - 1)).value_or(last);
      }
      if (read_number(element.substr(slash + 1)).value_or(1) > last - first)
        return OddStep{std::string(element), first};
    }
  }
  return std::nullopt;
}

std::string CronSchedule::local_text(Time time) const {
  const date::time_zone* zone = find_zone(timezone_);
  if (zone == nullptr) return "";
  return date::format("%F %H:%M %Z", date::make_zoned(zone, std::chrono::floor<std::chrono::seconds>(time)));
}

bool CronSchedule::matches(std::chrono::year_month_day date) const {
  const bool day = has_bit(days_, static_cast<unsigned>(date.day()));
  const bool weekday = has_bit(weekdays_, std::chrono::weekday{std::chrono::sys_days{date}}.c_encoding());
  // Vixie: with both fields restricted either is enough; a field that begins with '*' is not restricted, but
  // still counts.
  return any_day_ || any_weekday_ ? day && weekday : day || weekday;
}

std::optional<Time> CronSchedule::next(Time after) const {
  const date::time_zone* zone = find_zone(timezone_);
  if (zone == nullptr) return std::nullopt;
  using std::chrono::seconds;
  if (any_hour_) {
    // A schedule that names no hour counts minutes as they pass: through both of two equal hours when clocks go
    // back, and through none that is skipped.
    auto instant = std::chrono::floor<std::chrono::minutes>(std::chrono::floor<seconds>(after));
    for (int i = 0; i < 26 * 60; ++i) {
      instant += std::chrono::minutes{1};
      const auto local = zone->to_local(instant).time_since_epoch();
      const std::chrono::sys_days day{std::chrono::floor<std::chrono::days>(local)};
      const auto minute =
          std::chrono::duration_cast<std::chrono::minutes>(local - day.time_since_epoch()).count();
      const std::chrono::year_month_day date{day};
      if (has_bit(minutes_, static_cast<unsigned>(minute % 60)) &&
          has_bit(months_, static_cast<unsigned>(date.month())) && matches(date))
        return Time{instant};
    }
    after = Time{instant};
  }
  const auto after_seconds = std::chrono::floor<seconds>(after);
  const auto local = zone->to_local(after_seconds).time_since_epoch();
  const auto first_minute = std::chrono::floor<std::chrono::minutes>(local);
  const std::chrono::sys_days today{std::chrono::floor<std::chrono::days>(local)};
  const std::chrono::year last_year =
      std::chrono::year_month_day{today}.year() + std::chrono::years{kYearsAhead};
  for (auto day = today;; day += std::chrono::days{1}) {
    std::chrono::year_month_day date{day};
    if (!has_bit(months_, static_cast<unsigned>(date.month()))) {
      // One step to the month's last day, and the loop's own to the next month.
      day = std::chrono::sys_days{date.year() / date.month() / std::chrono::last};
      if (date.year() > last_year) return std::nullopt;
      continue;
    }
    if (date.year() > last_year) return std::nullopt;
    if (!matches(date)) continue;
    for (unsigned minute = 0; minute < 24 * 60; ++minute) {
      if (!has_bit(hours_, minute / 60)) {
        minute += 59;
        continue;
      }
      if (!has_bit(minutes_, minute % 60)) continue;
      const auto candidate = day.time_since_epoch() + std::chrono::minutes{minute};
      if (candidate < first_minute) continue;
      const auto instant = to_instant(*zone, date::local_seconds{candidate});
      // Not later: the current minute itself, or the second pass through an hour that repeats.
      if (instant > after) return Time{instant};
    }
  }
}

}  // namespace durabled::dsl
