#include "dsl/graph/rules.hpp"

#include <algorithm>
#include <cmath>

#include "dsl/assert.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules_http.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "dsl/value/cron.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {
namespace {

using Problem = std::optional<std::string>;

constexpr std::int64_t kMaxAttempts = 1'000'000;
constexpr std::int64_t kMaxParallel = 10'000;
constexpr double kMaxBackoff = 1'000;

Problem check_range(std::int64_t value, std::int64_t min, std::int64_t max, const std::string& what) {
  if (value >= min && value <= max) return std::nullopt;
  return what + " must be between " + std::to_string(min) + " and " + std::to_string(max) + ", found " +
         std::to_string(value);
}

Problem apply_seconds(double& seconds, std::string_view what) {
  auto problem = check_seconds(seconds, what);
  if (!problem) seconds = round_seconds(seconds);
  return problem;
}

Problem apply_sleep(std::string& text) {
  if (has_reference(text)) return std::nullopt;  // known, and checked, when the step runs
  auto seconds = parse_seconds(text);
  if (!seconds) return "seconds must be a number of seconds or an interval, found '" + shorten(text) + "'";
  if (auto problem = apply_seconds(*seconds, "seconds")) return problem;
  text = format_seconds(*seconds);
  return std::nullopt;
}

Problem check_schedule(const std::string& cron, const std::string& timezone) {
  // A reference is known only when the step runs; what is beside it is still checked.
  const bool later_cron = has_reference(cron), later_zone = has_reference(timezone);
  if (later_cron && later_zone) return std::nullopt;
  const auto parsed =
      CronSchedule::parse(later_cron ? "* * * * *" : cron, later_zone ? std::string_view("UTC") : timezone);
  if (!parsed) return parsed.error();
  if (!later_cron && !parsed->next(Time{})) {
    return "cron: the schedule \"" + shorten(cron) + "\" never comes: no month of it has such a day";
  }
  return std::nullopt;
}

Problem apply_retry(RetryOptions& options) {
  if (auto problem = check_range(options.max_attempts, 1, kMaxAttempts, "max_attempts")) return problem;
  if (auto problem = apply_seconds(options.delay, "delay")) return problem;
  if (auto problem = apply_seconds(options.max_delay, "max_delay")) return problem;
  if (!std::isfinite(options.backoff) || options.backoff < 1 || options.backoff > kMaxBackoff) {
    return "backoff must be between 1 and " + format_seconds(kMaxBackoff);
  }
  options.backoff = round_seconds(options.backoff);
  std::string codes;
  for (const std::string& code : options.on) codes += code + ' ';
  auto parsed = parse_retry_codes(codes);
  if (!parsed) return parsed.error();
  options.on = std::move(*parsed);
  return std::nullopt;
}

Problem apply_for_each(ForEachOptions& options) {
  if (auto problem = check_name(options.item)) return problem;
  return check_range(options.max_parallel, 1, kMaxParallel, "max_parallel");
}

Problem apply_signal(const std::string& name, SignalOptions& options) {
  if (name.find_first_not_of(" \t\r\n") == std::string::npos) return "the signal's name must not be empty";
  if (!options.timeout_seconds) return std::nullopt;
  return apply_seconds(*options.timeout_seconds, "timeout_seconds");
}

Problem apply_timeout(TimeoutOptions& options) {
  if (auto problem = apply_seconds(options.seconds, "seconds")) return problem;
  if (options.seconds <= 0) return "seconds must be greater than 0";
  return std::nullopt;
}

Problem apply_fail(const std::string& message, const std::string& code) {
  constexpr std::size_t kMaxCode = 64;
  if (message.find_first_not_of(" \t\r\n") == std::string::npos) return "message must not be empty";
  const bool is_code =
      !code.empty() && code.size() <= kMaxCode && std::all_of(code.begin(), code.end(), is_name_char);
  if (is_code) return std::nullopt;
  return "code must be a SQLSTATE such as 'P0001' or a name of letters, digits and _, found '" +
         shorten(code) + "'";
}

Problem apply_limit(LimitOptions& options) {
  constexpr std::size_t kMaxName = 200;
  constexpr double kMaxUnits = 1e9;
  const auto is_allowed = [](char c) {
    return is_name_char(c) || c == '.' || c == ':' || c == '/' || c == '-';
  };
  if (options.name.empty() || options.name.size() > kMaxName ||
      !std::all_of(options.name.begin(), options.name.end(), is_allowed)) {
    return "the limit's name must have 1 to 200 letters, digits and _ . : / -, found '" +
           shorten(options.name) + "'";
  }
  if (has_reference(options.units)) return std::nullopt;
  const auto units = parse_number(options.units);
  if (!units || *units < 0 || *units > kMaxUnits)
    return "units must be a number from 0 to 1000000000, found '" + shorten(options.units) + "'";
  options.units = format_seconds(round_seconds(*units));
  return std::nullopt;
}

Problem apply_kind_rules(Node& node) {
  switch (node.kind) {
    case NodeKind::kSql:
      return check_sql_step(node.text);
    case NodeKind::kIfRows:
      return check_name(node.text);
    case NodeKind::kSleep:
      return apply_sleep(node.text);
    case NodeKind::kWaitSchedule:
      return check_schedule(node.text, std::get<ScheduleOptions>(node.options).timezone);
    case NodeKind::kWaitSignal:
      return apply_signal(node.text, std::get<SignalOptions>(node.options));
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart:
      return apply_http_rules(node);
    case NodeKind::kForEach:
      return apply_for_each(std::get<ForEachOptions>(node.options));
    case NodeKind::kRetry:
      return apply_retry(std::get<RetryOptions>(node.options));
    case NodeKind::kTimeout:
      return apply_timeout(std::get<TimeoutOptions>(node.options));
    case NodeKind::kFail:
      return apply_fail(node.text, std::get<FailOptions>(node.options).code);
    case NodeKind::kLimit:
      return apply_limit(std::get<LimitOptions>(node.options));
    case NodeKind::kSequence:
    case NodeKind::kIf:
    case NodeKind::kJoin:
    case NodeKind::kRace:
    case NodeKind::kAny:
    case NodeKind::kLoop:
    case NodeKind::kBreak:
    case NodeKind::kCatch:
      return std::nullopt;
  }
  DURABLED_ASSERT(!"a node kind that is not in the enum");
}

}  // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && is_name_start(text[0]) && std::all_of(text.begin(), text.end(), is_name_char);
}

std::optional<std::string> check_name(std::string_view name) {
  if (is_identifier(name)) return std::nullopt;
  return "'" + shorten(name) +
         "' is not a valid identifier: a name is a letter or _, then letters, digits and _";
}

std::optional<std::string> apply_rules(Node& node) {
  if (!node.result_name.empty()) {
    if (auto problem = check_name(node.result_name)) return problem;
  }
  if (node.text.find('\0') != std::string::npos) return "the text holds a NUL character";
  return apply_kind_rules(node);
}

namespace {

// The words between spaces and commas.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (!is_sql_space(c) && c != ',') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

Expected<std::vector<std::string>, std::string> parse_expected_statuses(std::string_view text) {
  std::vector<std::string> statuses = split_words(text);
  for (std::string& each : statuses) {
    std::replace(each.begin(), each.end(), 'X', 'x');
    const bool is_class = each.size() == 3 && each.ends_with("xx");
    const bool is_status = each.size() == 3 && std::all_of(each.begin(), each.end(), is_digit);
    if ((!is_class && !is_status) || each[0] < '1' || each[0] > '5') {
      return Unexpected{"expect must list HTTP statuses (404) and classes of them (2xx), found '" +
                        shorten(each) + "'"};
    }
  }
  return statuses;
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Expected<std::vector<std::string>, std::string> parse_retry_codes(std::string_view text) {
  std::vector<std::string> codes = split_words(text);
  for (std::string& code : codes) {
    for (char& c : code) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  for (const std::string& each : codes) {
    const bool is_code =
        std::all_of(each.begin(), each.end(), [](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); });
    const bool is_http = each.size() == 3 && std::all_of(each.begin(), each.end(), is_digit) &&
                         each[0] >= '1' && each[0] <= '5';
    if (!is_http && !(is_code && (each.size() == 5 || each.size() == 2))) {
      return Unexpected{"on must list SQLSTATEs (40001), their classes (53) or HTTP codes (503), found '" +
                        shorten(each) + "'"};
    }
  }
  return codes;
}

std::string shorten(std::string_view text, std::size_t max_bytes) {
  std::string result(utf8_prefix(text, max_bytes));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return result.size() < text.size() ? result + "…" : result;
}

}  // namespace durabled::dsl
