#include "daemon/cli/json_output.hpp"

#include "daemon/plain_text.hpp"

namespace durabled::daemon::cli {
namespace {

std::string shown(dsl::JsonWriter json) {
  return json_with_escapes(json.close().take());
}

}  // namespace

std::string json_quote(std::string_view text) {
  return json_with_escapes(dsl::JsonWriter().text(text).take());
}

JsonObject& JsonObject::raw(std::string_view key, std::string_view json) {
  json_.raw(key, json);
  return *this;
}

JsonObject& JsonObject::text(std::string_view key, const std::string& value) {
  json_.member(key, value);
  return *this;
}

JsonObject& JsonObject::text(std::string_view key, const std::optional<std::string>& value) {
  return value ? text(key, *value) : raw(key, "null");
}

JsonObject& JsonObject::raw_or_null(std::string_view key, const std::optional<std::string>& json) {
  return raw(key, json ? std::string_view(*json) : "null");
}

JsonObject& JsonObject::number(std::string_view key, const std::optional<long long>& value) {
  return raw(key, value ? std::to_string(*value) : "null");
}

std::string JsonObject::text() const {
  return shown(json_);
}

std::string JsonList::text() const {
  return shown(json_);
}

}  // namespace durabled::daemon::cli
