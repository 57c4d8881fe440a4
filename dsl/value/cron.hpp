// Cron expressions, Vixie's rules, with time zones. docs/language.md, df.wait_for_schedule.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dsl/expected.hpp"

namespace durabled::dsl {

using Time = std::chrono::sys_time<std::chrono::microseconds>;

class CronSchedule {
 public:
  // Errors: text for people, naming the field and what it allows, or the time zone that does not exist.
  static Expected<CronSchedule, std::string> parse(std::string_view expression,
                                                   std::string_view timezone = "UTC");

  // An element of a field whose step is longer than its range, such as */90 in the minutes.
  struct OddStep {
    std::string element;
    int first = 0;  // the only value that it matches
  };
  // Requires: parse() accepts `expression`.
  static std::optional<OddStep> find_odd_step(std::string_view expression);

  // `time` in the schedule's time zone: "2026-11-22 09:00 CET".
  std::string local_text(Time time) const;

  // The first match strictly after `after`; nullopt when nothing matches within 30 years ("0 0 31 2 *").
  // DST: a local time that is skipped runs at the next valid instant, one that is repeated runs once.
  std::optional<Time> next(Time after) const;

 private:
  bool matches(std::chrono::year_month_day date) const;

  std::uint64_t minutes_ = 0;
  std::uint32_t hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;  // bit n: value n matches
  bool any_hour_ = true, any_day_ = true, any_weekday_ = true;      // the field was '*'
  std::string timezone_;
};

}  // namespace durabled::dsl
