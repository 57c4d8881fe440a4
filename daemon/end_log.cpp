#include "daemon/end_log.hpp"

#include <algorithm>
#include <cmath>

#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxText = 200;

// Cut between characters.
std::string bounded(std::string text) {
  if (text.size() <= kMaxText) return text;
  return std::string(dsl::utf8_prefix(text, kMaxText)) + "…";
}

std::string member(const std::string& json, const char* key) {
  const auto found = json.empty() ? std::nullopt : dsl::json_member(json, key);
  return found && *found != "null" ? dsl::json_text(*found) : "";
}

std::string quoted(const std::string& text) {
  std::string json;
  dsl::append_json_string(json, text);
  return json;
}

bool is_count(const std::string& text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string milliseconds(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0) * 1000));
  std::string digits = std::to_string(whole % 1000);
  digits.insert(0, 3 - digits.size(), '0');
  return std::to_string(whole / 1000) + '.' + digits;
}

}  // namespace

EndLine end_line(const InstanceEnd& end) {
  const std::string label = bounded(end.label), code = bounded(member(end.error, "code")),
                    seconds = milliseconds(end.seconds);
  std::string node = member(end.error, "node"), attempts = member(end.error, "attempts");
  if (!is_count(attempts) || attempts == "0") node = attempts = "";  // no step failed
  EndLine line;
  if (end.status == "failed") line.level = LogLevel::kWarn;
  line.message = "instance " + end.id + (label.empty() ? "" : " (" + label + ")") +
                 (end.role.empty() ? "" : " of " + end.role) + ' ' + end.status + " after " + seconds + " s";
  if (!code.empty()) {
    line.message += ": " + code;
    if (!node.empty()) line.message += " at node " + node + ", attempt " + attempts;
  }
  line.fields = {{"instance", quoted(end.id)},
                 {"label", label.empty() ? "null" : quoted(label)},
                 {"role", end.role.empty() ? "null" : quoted(end.role)},
                 {"status", quoted(end.status)},
                 {"code", code.empty() ? "null" : quoted(code)},
                 {"node", node.empty() ? "null" : quoted(node)},
                 {"attempts", attempts.empty() ? "null" : attempts},
                 {"seconds", seconds}};
  return line;
}

EndLine EndLog::ended(const InstanceEnd& end, Time now) {
  EndLine line = end_line(end);
  if (line.level != LogLevel::kWarn) return line;
  Minute& minute = roles_.try_emplace(end.role, Minute{now, 0}).first->second;
  if (++minute.failed > kWarnings) line.level = LogLevel::kDebug;
  return line;
}

std::vector<EndLine> EndLog::tidy(Time now) {
  std::vector<EndLine> lines;
  for (auto role = roles_.begin(); role != roles_.end();) {
    const auto& [name, minute] = *role;
    if (now - minute.begin < std::chrono::minutes(1)) {
      ++role;
      continue;
    }
    if (const int unlogged = minute.failed - kWarnings; unlogged > 0) {
      const std::string count = std::to_string(unlogged);
      lines.push_back({LogLevel::kWarn,
                       count + " more instances of " + name +
                           " failed within a minute; each is in df.list_instances('failed')",
                       {{"role", quoted(name)}, {"failed", count}}});
    }
    role = roles_.erase(role);
  }
  return lines;
}

}  // namespace durabled::daemon
