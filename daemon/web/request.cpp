#include "daemon/web/request.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "daemon/web/reply.hpp"

namespace durabled::daemon::web {
namespace {

constexpr std::size_t kMostParameters = 32;

Refused bad(const std::string& message) {
  return {400, "bad_request", message};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Boost.JSON refuses a string that is not UTF-8.
bool is_utf8(const std::string& text) {
  boost::json::error_code error;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20)
      quoted += ' ';
    else
      quoted += c;
  }
  boost::json::parse(quoted + '"', error);
  return !error;
}

bool all_of(const std::string& text, std::size_t least, std::size_t most, const char* characters) {
  return text.size() >= least && text.size() <= most &&
         text.find_first_not_of(characters) == std::string::npos;
}

constexpr const char* kIdCharacters = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr const char* kHexCharacters = "0123456789abcdef";

}  // namespace

std::string decoded(std::string_view text, bool plus_is_space) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      plain += ' ';
    } else if (text[i] != '%') {
      plain += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) throw bad("the address has a malformed % escape");
      plain += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (plain.find('\0') != std::string::npos || !is_utf8(plain))
    throw bad("the address holds bytes that are not text");
  return plain;
}

Parameters Parameters::of_query(std::string_view query) {
  Parameters parameters;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string name = decoded(pair.substr(0, equals), true);
    std::string value = equals < pair.size() ? decoded(pair.substr(equals + 1), true) : "";
    if (!parameters.texts_.emplace(name, std::move(value)).second) throw bad("a parameter is given twice");
    if (parameters.texts_.size() > kMostParameters) throw bad("too many parameters");
  }
  return parameters;
}

Parameters Parameters::of_body(const std::string& body) {
  Parameters parameters;
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return parameters;
  boost::json::error_code error;
  boost::json::parse_options limits;
  limits.max_depth = 8;
  const boost::json::value value = boost::json::parse(body, error, {}, limits);
  if (error || !value.is_object()) throw bad("the body is not a JSON object");
  for (const auto& [key, member] : value.get_object()) {
    if (member.is_null()) continue;
    if (member.is_string()) {
      std::string text(member.get_string());
      if (text.find('\0') != std::string::npos) throw bad("a text cannot hold \\u0000");
      parameters.texts_[std::string(key)] = std::move(text);
    } else {
      parameters.json_[std::string(key)] = boost::json::serialize(member);
    }
  }
  return parameters;
}

void Parameters::require_known(const std::vector<std::string>& known) const {
  for (const auto* values : {&texts_, &json_}) {
    for (const auto& [name, value] : *values) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        throw bad("there is no parameter \"" + name.substr(0, 100) + '"');
    }
  }
}

std::optional<std::string> Parameters::text(const std::string& name) const {
  if (json_.contains(name)) throw bad(name + " must be a text");
  const auto found = texts_.find(name);
  return found == texts_.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
}

std::string Parameters::required(const std::string& name) const {
  auto value = text(name);
  if (!value) throw bad(name + " is missing");
  return *std::move(value);
}

std::optional<std::int64_t> Parameters::number(const std::string& name, std::int64_t least,
                                               std::int64_t most) const {
  const auto in_json = json_.find(name);
  const auto value = in_json != json_.end() ? std::optional(in_json->second) : text(name);
  if (!value) return std::nullopt;
  std::int64_t number = 0;
  const char* end = value->data() + value->size();
  const auto [at, error] = std::from_chars(value->data(), end, number);
  if (error != std::errc() || at != end || number < least || number > most)
    throw bad(name + " must be a number from " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

std::vector<std::string> Parameters::list(const std::string& name) const {
  std::vector<std::string> words;
  if (const auto found = json_.find(name); found != json_.end()) {
    const boost::json::value value = boost::json::parse(found->second);
    if (!value.is_array()) throw bad(name + " must be a list");
    for (const boost::json::value& item : value.get_array()) {
      if (!item.is_string() || item.get_string().find('\0') != std::string_view::npos)
        throw bad(name + " must be a list of texts");
      words.emplace_back(item.get_string());
    }
    return words;
  }
  std::string rest = text(name).value_or("");
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (comma > 0) words.push_back(rest.substr(0, comma));
    rest.erase(0, comma + 1);
  }
  return words;
}

bool Parameters::flag(const std::string& name) const {
  if (const auto found = json_.find(name); found != json_.end()) return found->second == "true";
  return text(name) == "1";
}

Parameters Parameters::object(const std::string& name) const {
  const auto found = json_.find(name);
  if (texts_.contains(name)) throw bad(name + " must be an object");
  return found == json_.end() ? Parameters() : of_body(found->second);
}

std::optional<Target> parse_target(std::string_view target, const std::string& base) {
  const std::size_t question = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, question);
  if (!path.starts_with(base)) return std::nullopt;
  path.remove_prefix(base.size());
  Target parsed;
  if (question < target.size()) parsed.query = std::string(target.substr(question + 1));
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    parsed.path.push_back(decoded(path.substr(0, slash), false));
    if (slash + 1 == path.size()) parsed.path.emplace_back();  // "x/" is not "x"
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parsed;
}

bool is_instance_id(const std::string& text) {
  return all_of(text, 8, 8, kIdCharacters);
}

bool is_node_id(const std::string& text) {
  return all_of(text, 8, 8, kHexCharacters);
}

bool is_cursor(const std::string& text) {
  const std::size_t dot = text.find('.');
  return dot != std::string::npos && all_of(text.substr(0, dot), 1, 15, kHexCharacters) &&
         all_of(text.substr(dot + 1), 0, 8, kIdCharacters);
}

}  // namespace durabled::daemon::web
