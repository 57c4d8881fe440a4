// JSON output, written as text: results and other JSON of the database go through untouched, digits and key
// order included. Characters that would act on a terminal are \uNNNN, so that it is JSON there too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::daemon::cli {

// A JSON string.
std::string json_quote(std::string_view text);

class JsonObject {
 public:
  JsonObject& raw(std::string_view key, std::string_view json);  // `json` is JSON already
  JsonObject& text(std::string_view key, const std::string& value) { return raw(key, json_quote(value)); }
  JsonObject& number(std::string_view key, long long value) { return raw(key, std::to_string(value)); }
  JsonObject& boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  // null when there is none
  JsonObject& text(std::string_view key, const std::optional<std::string>& value);
  JsonObject& raw_or_null(std::string_view key, const std::optional<std::string>& json);
  JsonObject& number(std::string_view key, const std::optional<long long>& value);

  std::string text() const { return body_.empty() ? "{}" : body_ + '}'; }

 private:
  std::string body_;
};

class JsonList {
 public:
  void add(std::string_view json);
  std::string text() const { return body_.empty() ? "[]" : body_ + ']'; }

 private:
  std::string body_;
};

}  // namespace durabled::daemon::cli
