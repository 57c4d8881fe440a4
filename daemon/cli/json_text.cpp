#include "daemon/cli/json_text.hpp"

#include <boost/json.hpp>

#include "daemon/plain_text.hpp"

namespace durabled::daemon::cli {

std::string json_quote(std::string_view text) {
  return json_with_escapes(boost::json::serialize(boost::json::string_view(text.data(), text.size())));
}

JsonObject& JsonObject::raw(std::string_view key, std::string_view json) {
  body_ += body_.empty() ? '{' : ',';
  body_ += json_quote(key);
  body_ += ':';
  body_ += json_with_escapes(json);
  return *this;
}

JsonObject& JsonObject::text(std::string_view key, const std::optional<std::string>& value) {
  return raw(key, value ? json_quote(*value) : "null");
}

JsonObject& JsonObject::raw_or_null(std::string_view key, const std::optional<std::string>& json) {
  return raw(key, json ? std::string_view(*json) : "null");
}

JsonObject& JsonObject::number(std::string_view key, const std::optional<long long>& value) {
  return raw(key, value ? std::to_string(*value) : "null");
}

void JsonList::add(std::string_view json) {
  body_ += body_.empty() ? '[' : ',';
  body_ += json;
}

}  // namespace durabled::daemon::cli
