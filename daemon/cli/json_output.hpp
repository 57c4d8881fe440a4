// What commands print as JSON. Results and other JSON of the database keep their digits and the order of their
// keys. Characters that would act on a terminal are written as \uNNNN, so that it is JSON there too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dsl/value/json_writer.hpp"

namespace durabled::daemon::cli {

// A JSON string.
std::string json_quote(std::string_view text);

class JsonObject {
 public:
  JsonObject() { json_.object(); }
  JsonObject& raw(std::string_view key, std::string_view json);  // `json` is JSON already
  JsonObject& text(std::string_view key, const std::string& value);
  JsonObject& number(std::string_view key, long long value) { return raw(key, std::to_string(value)); }
  JsonObject& boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  // Without a value: null.
  JsonObject& text(std::string_view key, const std::optional<std::string>& value);
  JsonObject& raw_or_null(std::string_view key, const std::optional<std::string>& json);
  JsonObject& number(std::string_view key, const std::optional<long long>& value);

  std::string text() const;

 private:
  dsl::JsonWriter json_;
};

class JsonList {
 public:
  JsonList() { json_.list(); }
  void add(std::string_view json) { json_.raw(json); }
  std::string text() const;

 private:
  dsl::JsonWriter json_;
};

}  // namespace durabled::daemon::cli
