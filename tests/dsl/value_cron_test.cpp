#include <date/date.h>

#include <chrono>
#include <sstream>
#include <string>

#include "dsl/value/cron.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

Time utc(const std::string& text) {
  std::istringstream in(text);
  date::sys_time<std::chrono::microseconds> time;
  in >> date::parse("%Y-%m-%dT%H:%M:%S", time);
  REQUIRE_FALSE(in.fail());
  return time;
}

std::string next(std::string_view cron, const std::string& after, std::string_view zone = "UTC") {
  const auto schedule = CronSchedule::parse(cron, zone);
  if (!schedule) return schedule.error();
  const auto time = schedule->next(utc(after));
  return time ? date::format("%Y-%m-%dT%H:%M", std::chrono::floor<std::chrono::minutes>(*time)) : "never";
}

std::string error_of(std::string_view cron, std::string_view zone = "UTC") {
  const auto schedule = CronSchedule::parse(cron, zone);
  return schedule ? "" : schedule.error();
}

}  // namespace

TEST_CASE("the next match is strictly later and has no seconds", "[L3.3]") {
  CHECK(next("* * * * *", "2026-11-20T12:00:00") == "2026-11-20T12:01");
  CHECK(next("* * * * *", "2026-11-20T12:00:59.999999") == "2026-11-20T12:01");
  CHECK(next("0 12 * * *", "2026-11-20T12:00:00") == "2026-11-21T12:00");
  CHECK(next("0 12 * * *", "2026-11-20T11:59:59.999999") == "2026-11-20T12:00");
  CHECK(*CronSchedule::parse("* * * * *")->next(utc("2026-11-20T12:00:30.5")) == utc("2026-11-20T12:01:00"));
}

TEST_CASE("fields take numbers, names, ranges, lists and steps", "[L3.3]") {
  const std::string friday = "2026-11-20T12:00:00";
  const struct {
    const char* cron;
    const char* expected;
  } cases[] = {
      {"*/30 * * * *", "2026-11-20T12:30"},     {"5,50-52 * * * *", "2026-11-20T12:05"},
      {"10-40/15 * * * *", "2026-11-20T12:10"}, {"0 0 1 JAN *", "2027-01-01T00:00"},
      {"0 0 1 mar-apr *", "2027-03-01T00:00"},  {"0 9 * * mon-fri", "2026-11-23T09:00"},
      {"0 9 * * Sun", "2026-11-22T09:00"},      {"0 9 * * 0", "2026-11-22T09:00"},
      {"0 9 * * 7", "2026-11-22T09:00"},        {"0 9 * * 6-7", "2026-11-21T09:00"},
      {"  0\t9  29 2 * ", "2028-02-29T09:00"},  {"0 0 31 * *", "2026-12-31T00:00"},
      {"59 23 31 12 *", "2026-12-31T23:59"},    {"0 */23 * * *", "2026-11-20T23:00"},
      {"*/70 * * * *", "2026-11-20T13:00"},
  };
  for (const auto& item : cases) {
    INFO(item.cron);
    CHECK(next(item.cron, friday) == item.expected);
  }
}

TEST_CASE("day of month or day of week is enough when both are restricted", "[L3.3]") {
  CHECK(next("0 0 25 * mon", "2026-11-20T12:00:00") == "2026-11-23T00:00");
  CHECK(next("0 0 22 * mon", "2026-11-20T12:00:00") == "2026-11-22T00:00");
  CHECK(next("0 0 25 * *", "2026-11-20T12:00:00") == "2026-11-25T00:00");
  // A field that begins with a star counts as unrestricted, and both have to match.
  CHECK(next("0 0 */2 * mon", "2026-11-20T12:00:00") == "2026-11-23T00:00");
  CHECK(next("0 0 */10 * mon", "2026-11-20T12:00:00") == "2026-12-21T00:00");
  CHECK(next("0 0 13 * */5", "2026-11-20T12:00:00") == "2026-12-13T00:00");
}

TEST_CASE("macros stand for their five fields", "[L3.3]") {
  const std::string friday = "2026-11-20T12:34:00";
  CHECK(next("@hourly", friday) == "2026-11-20T13:00");
  CHECK(next("@daily", friday) == "2026-11-21T00:00");
  CHECK(next("@midnight", friday) == "2026-11-21T00:00");
  CHECK(next("@weekly", friday) == "2026-11-22T00:00");
  CHECK(next("@monthly", friday) == "2026-12-01T00:00");
  CHECK(next("@yearly", friday) == "2027-01-01T00:00");
  CHECK(next(" @ANNUALLY ", friday) == "2027-01-01T00:00");
}

TEST_CASE("a schedule that never matches says so soon") {
  CHECK(next("0 0 31 2 *", "2026-11-20T12:00:00") == "never");
  CHECK(next("0 0 30 2 *", "2026-11-20T12:00:00") == "never");
  CHECK(next("0 0 31 4,6,9,11 *", "2026-11-20T12:00:00") == "never");
  CHECK(next("0 0 29 2 *", "2096-03-01T00:00:00") == "2104-02-29T00:00");
}

TEST_CASE("times are local to the zone", "[L3.3]") {
  CHECK(next("0 9 * * *", "2026-11-20T12:00:00", "America/New_York") == "2026-11-20T14:00");
  CHECK(next("0 9 * * *", "2026-07-01T00:00:00", "Europe/Berlin") == "2026-07-01T07:00");
  CHECK(next("0 0 * * *", "2026-11-20T12:00:00", "Asia/Kolkata") == "2026-11-20T18:30");
  CHECK(next("0 9 * * *", "2026-07-01T00:00:00", "europe/berlin") == "2026-07-01T07:00");
  CHECK(next("0 0 1 * *", "2026-11-30T23:30:00", "Asia/Tokyo") == "2026-12-31T15:00");
}

TEST_CASE("a local time that is skipped runs at the next valid instant, once", "[L3.3]") {
  // Berlin: 02:00 -> 03:00 local on 29 March 2026, 01:00 UTC.
  CHECK(next("30 2 * * *", "2026-03-28T12:00:00", "Europe/Berlin") == "2026-03-29T01:00");
  CHECK(next("30 2 * * *", "2026-03-29T01:00:00", "Europe/Berlin") == "2026-03-30T00:30");
  CHECK(next("*/20 2 * * *", "2026-03-29T00:30:00", "Europe/Berlin") == "2026-03-29T01:00");
  CHECK(next("*/20 2 * * *", "2026-03-29T01:00:00", "Europe/Berlin") == "2026-03-30T00:00");
  CHECK(next("0 3 * * *", "2026-03-29T00:30:00", "Europe/Berlin") == "2026-03-29T01:00");
  // Samoa left out a whole day, 30 December 2011.
  CHECK(next("0 12 30 12 *", "2011-12-29T12:00:00", "Pacific/Apia") == "2011-12-30T10:00");
}

TEST_CASE("a local time that comes twice runs once, the first time", "[L3.3]") {
  // Berlin: 03:00 -> 02:00 local on 25 October 2026, 01:00 UTC.
  CHECK(next("30 2 * * *", "2026-10-24T12:00:00", "Europe/Berlin") == "2026-10-25T00:30");
  CHECK(next("30 2 * * *", "2026-10-25T00:30:00", "Europe/Berlin") == "2026-10-26T01:30");
  CHECK(next("30 2 * * *", "2026-10-25T01:10:00", "Europe/Berlin") == "2026-10-26T01:30");
  CHECK(next("0 3 * * *", "2026-10-25T00:30:00", "Europe/Berlin") == "2026-10-25T02:00");
}

TEST_CASE(
    "a schedule that names no hour runs through both of two equal hours, and through none that is skipped",
    "[L3.3]") {
  CHECK(next("*/5 * * * *", "2026-10-25T00:50:00", "Europe/Berlin") == "2026-10-25T00:55");
  CHECK(next("*/5 * * * *", "2026-10-25T00:55:00", "Europe/Berlin") == "2026-10-25T01:00");
  CHECK(next("*/5 * * * *", "2026-10-25T01:55:00", "Europe/Berlin") == "2026-10-25T02:00");
  CHECK(next("30 * * * *", "2026-10-25T00:30:00", "Europe/Berlin") == "2026-10-25T01:30");
  CHECK(next("30 * * * *", "2026-03-29T00:30:00", "Europe/Berlin") == "2026-03-29T01:30");
  CHECK(next("30 * 1 1 *", "2026-10-25T00:30:00", "Europe/Berlin") == "2026-12-31T23:30");
}

TEST_CASE("a wrong expression is refused with the field and what it allows", "[L3.3]") {
  CHECK_THAT(error_of("60 * * * *"), ContainsSubstring("minute \"60\"") && ContainsSubstring("0-59"));
  CHECK_THAT(error_of("* 24 * * *"), ContainsSubstring("hour") && ContainsSubstring("0-23"));
  CHECK_THAT(error_of("* * 0 * *"), ContainsSubstring("day of month") && ContainsSubstring("1-31"));
  CHECK_THAT(error_of("* * * 13 *"), ContainsSubstring("month") && ContainsSubstring("jan-dec"));
  CHECK_THAT(error_of("* * * * 8"), ContainsSubstring("day of week") && ContainsSubstring("sun-sat"));
  CHECK_THAT(error_of("* * * mon *"), ContainsSubstring("\"mon\" is not allowed"));
  CHECK_THAT(error_of("5-1 * * * *"), ContainsSubstring("backwards"));
  CHECK_THAT(error_of("*/0 * * * *"), ContainsSubstring("step"));
  CHECK_THAT(error_of("*/x * * * *"), ContainsSubstring("step"));
  CHECK_THAT(error_of("5/15 * * * *"), ContainsSubstring("5-59/15"));
  for (const char* cron : {",* * * * *", "1, * * * *", "1--2 * * * *", "- * * * *", "? * * * *", "* * L * *",
                           "-1 * * * *", "1.5 * * * *", "99999999999 * * * *", "** * * * *"}) {
    INFO(cron);
    CHECK_FALSE(error_of(cron).empty());
  }
  CHECK_THAT(error_of("* * * *"), ContainsSubstring("has 4 fields"));
  CHECK_THAT(error_of("0 * * * * *"), ContainsSubstring("has 6 fields"));
  CHECK_THAT(error_of(""), ContainsSubstring("has 0 fields"));
  CHECK_THAT(error_of("@reboot"), ContainsSubstring("@hourly"));
}

TEST_CASE("a time zone that does not exist is named", "[L3.3]") {
  CHECK_THAT(error_of("* * * * *", "Europe/Atlantis"),
             ContainsSubstring("\"Europe/Atlantis\" does not exist"));
  CHECK_THAT(error_of("* * * * *", ""), ContainsSubstring("does not exist"));
  CHECK_THAT(error_of("* * * * *", "../etc/passwd"), ContainsSubstring("does not exist"));
}
