// Durations: numbers of seconds and PostgreSQL intervals, as text. docs/language.md, df.sleep.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::dsl {

// A hundred years: what any duration of a workflow may be at most. Below it a double holds every microsecond
// exactly.
inline constexpr double kMaxSeconds = 100 * 365.25 * 86400;

// Whether a template may hold a reference, so that its value is known only when the step runs.
bool has_reference(std::string_view text);

// A decimal number ("30", "-0.5", "1e3"), spaces around it allowed. One that a double cannot hold is
// infinite.
std::optional<double> parse_number(std::string_view text);

// PostgreSQL's interval input ("1 day 02:03:04", "1h 30m", "P1DT2H", "1-2", "-5 minutes", "3 days ago") as
// the seconds of extract(epoch …): a month is 30 days, twelve of them are 365.25. nullopt when the text is not an interval.
std::optional<double> parse_interval(std::string_view text);

// A number or an interval.
std::optional<double> parse_seconds(std::string_view text);

// Rounded to the microsecond, PostgreSQL's own resolution, so that text and JSON give the same number back.
double round_seconds(double seconds);

// Canonical text: no exponent, no trailing zeros ("30", "0.5"). Requires: finite, of at most kMaxSeconds.
std::string format_seconds(double seconds);

// Why `seconds` is not a duration: negative, not finite, too long. `what` names it ("timeout_seconds").
std::optional<std::string> check_seconds(double seconds, std::string_view what);

}  // namespace durabled::dsl
