#include "daemon/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>

#include "daemon/plain_text.hpp"
#include "dsl/value/json_writer.hpp"

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

constexpr std::size_t kMostBytes = 4 << 10;  // of a message; what others wrote may be far longer

// What follows the level in a line of JSON.
std::string json_members(const std::string& message, const std::vector<LogField>& fields) {
  std::string json = "\"message\":";
  dsl::append_json_string(json, cut_text(message, kMostBytes));
  for (const LogField& field : fields) json += ",\"" + field.name + "\":" + field.json;
  return json_with_escapes(json);
}

bool json_format = false;

std::array<std::atomic<std::uint64_t>, 5> lines{};  // by level

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

std::uint64_t log_lines(LogLevel level) {
  return lines[static_cast<std::size_t>(level)];
}

void log(LogLevel level, const std::string& message, const std::vector<LogField>& fields) {
  if (!spdlog::should_log(to_spdlog(level))) return;
  ++lines[static_cast<std::size_t>(level)];
  spdlog::default_logger_raw()->log(
      to_spdlog(level), json_format ? json_members(message, fields) : one_log_line(message, kMostBytes));
}

}  // namespace durabled::daemon
