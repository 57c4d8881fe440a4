#include "daemon/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "dsl/value/pg_types.hpp"

namespace durabled::daemon {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Control characters in UTF-8: DEL, C1, and those that change the direction of what follows.
constexpr std::string_view kDropped[] = {"\x7f",         "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac",
                                         "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa7",
                                         "\xe2\x81\xa8", "\xe2\x81\xa9"};

// The length of what must not come to a terminal at the beginning of `text`; 0 for none.
std::size_t dropped(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < 0x20) return 1;
  if (text[0] == '\xc2' && text.size() > 1 && static_cast<unsigned char>(text[1]) < 0xa0) return 2;
  for (const std::string_view one : kDropped) {
    if (text.starts_with(one)) return one.size();
  }
  return 0;
}

// A line break in a message must not look like a new entry, and nothing in it is to steer a terminal.
std::string one_line(std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  std::string line;
  line.reserve(message.size());
  while (!message.empty()) {
    const std::size_t drop = dropped(message);
    if (message[0] == '\n') line += " | ";
    if (drop == 0) line += message[0];
    message.remove_prefix(std::max<std::size_t>(drop, 1));
  }
  return line;
}

// What follows the level in a line of JSON.
std::string json_members(const std::string& message, const std::vector<LogField>& fields) {
  std::string json = "\"message\":";
  dsl::append_json_string(json, message);
  for (const LogField& field : fields) json += ",\"" + field.name + "\":" + field.json;
  return json;
}

bool json_format = false;

}  // namespace

void configure_log(const config::Config::Log& config) {
  std::shared_ptr<spdlog::logger> logger;
  if (config.file.empty()) {
    logger = std::make_shared<spdlog::logger>("durabled", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  } else {
    logger = std::make_shared<spdlog::logger>(
        "durabled", std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file));
  }
  json_format = config.format == "json";
  logger->set_pattern(
      json_format ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v",
      spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(config.level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void log(LogLevel level, const std::string& whole, const std::vector<LogField>& fields) {
  if (!spdlog::should_log(to_spdlog(level))) return;
  constexpr std::size_t kMost = 4096;
  const std::string message = whole.size() <= kMost ? whole
                                                    : whole.substr(0, kMost) + "… (" +
                                                          std::to_string(whole.size()) + " bytes in all)";
  spdlog::default_logger_raw()->log(to_spdlog(level),
                                    json_format ? json_members(message, fields) : one_line(message));
}

}  // namespace durabled::daemon
