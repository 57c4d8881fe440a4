#include "dsl/value/json_slice.hpp"
#include "dsl/value/utf8.hpp"

#include <cstdint>

namespace durabled::dsl {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::size_t skip_space(std::string_view json, std::size_t position) {
  while (position < json.size() && is_space(json[position])) ++position;
  return position;
}

// Past the string that begins at `position`.
std::size_t skip_string(std::string_view json, std::size_t position) {
  for (++position; position < json.size(); ++position) {
    if (json[position] == '"') return position + 1;
    if (json[position] == '\\') ++position;
  }
  return json.size();
}

// Past the value that begins at `position`. A loop, not a recursion: JSON may be nested arbitrarily deep.
std::size_t skip_value(std::string_view json, std::size_t position) {
  std::size_t depth = 0;
  while (position < json.size()) {
    const char c = json[position];
    if (c == '"') {
      position = skip_string(json, position);
      if (depth == 0) return position;
      continue;
    }
    const bool closes = c == ']' || c == '}';
    if (depth == 0 && (closes || c == ',' || is_space(c))) return position;
    ++position;
    if (c == '[' || c == '{') ++depth;
    if (closes && --depth == 0) return position;
  }
  return position;
}

std::optional<std::uint32_t> hex4(std::string_view text, std::size_t position) {
  if (position + 4 > text.size()) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(position, 4)) {
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
      digit = static_cast<std::uint32_t>((c | 0x20) - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value * 16 + digit;
  }
  return value;
}

bool is_high_surrogate(std::uint32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low_surrogate(std::uint32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

// The character that the \uXXXX at `position` means; `length` is what it takes, with the second half of a pair.
struct EscapedUnit {
  std::uint32_t code_point = 0xFFFD;
  std::size_t length = 6;
  bool is_lone = false;
};
EscapedUnit read_unicode_escape(std::string_view json, std::size_t position) {
  const auto first = hex4(json, position + 2);
  if (!first) return {0xFFFD, 2, true};
  if (is_low_surrogate(*first)) return {0xFFFD, 6, true};
  if (!is_high_surrogate(*first)) return {*first, 6, false};
  const bool has_next = json.substr(position + 6, 2) == "\\u";
  const auto second = has_next ? hex4(json, position + 8) : std::nullopt;
  if (!second || !is_low_surrogate(*second)) return {0xFFFD, 6, true};
  return {0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00), 12, false};
}

// The character of a two-character escape such as \n.
char simple_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:  // the quote, the backslash and the slash mean themselves
      return c;
  }
}

}  // namespace

std::string_view trim_json(std::string_view json) {
  json.remove_prefix(skip_space(json, 0));
  while (!json.empty() && is_space(json.back())) json.remove_suffix(1);
  return json;
}

JsonKind json_kind(std::string_view json) {
  const std::size_t position = skip_space(json, 0);
  if (position >= json.size()) return JsonKind::kNull;
  const char c = json[position];
  if (c == '{') return JsonKind::kObject;
  if (c == '[') return JsonKind::kArray;
  if (c == '"') return JsonKind::kString;
  if (c == 't' || c == 'f') return JsonKind::kBool;
  return c == '-' || (c >= '0' && c <= '9') ? JsonKind::kNumber : JsonKind::kNull;
}

std::string decode_json_string(std::string_view json) {
  json = trim_json(json);
  if (json.size() < 2) return {};
  json = json.substr(1, json.size() - 2);
  std::string text;
  text.reserve(json.size());
  for (std::size_t i = 0; i < json.size();) {
    const std::size_t end = std::min(json.find('\\', i), json.size());
    text.append(json, i, end - i);
    i = end;
    if (i + 1 >= json.size()) break;
    if (json[i + 1] == 'u') {
      const EscapedUnit unit = read_unicode_escape(json, i);
      append_utf8(text, unit.code_point);
      i += unit.length;
    } else {
      text += simple_escape(json[i + 1]);
      i += 2;
    }
  }
  return text;
}

std::string json_text(std::string_view json) {
  return json_kind(json) == JsonKind::kString ? decode_json_string(json) : std::string(trim_json(json));
}

JsonWalker::JsonWalker(std::string_view json) : json_(trim_json(json)) {
  const JsonKind kind = json_kind(json_);
  is_object_ = kind == JsonKind::kObject;
  position_ = is_object_ || kind == JsonKind::kArray ? 1 : json_.size();
}

bool JsonWalker::next() {
  position_ = skip_space(json_, position_);
  if (position_ < json_.size() && json_[position_] == ',') position_ = skip_space(json_, position_ + 1);
  if (position_ >= json_.size() || json_[position_] == ']' || json_[position_] == '}') return false;
  if (is_object_) {
    const std::size_t end = skip_string(json_, position_);
    key_ = json_.substr(position_, end - position_);
    position_ = skip_space(json_, end);
    if (position_ < json_.size() && json_[position_] == ':') position_ = skip_space(json_, position_ + 1);
  }
  const std::size_t end = skip_value(json_, position_);
  value_ = json_.substr(position_, end - position_);
  // Only in text that is not JSON can a value be empty; a walk must end there too.
  if (value_.empty()) return false;
  position_ = end;
  return true;
}

std::optional<std::string_view> json_member(std::string_view json, std::string_view key) {
  if (json_kind(json) != JsonKind::kObject) return std::nullopt;
  std::optional<std::string_view> found;
  for (JsonWalker walker(json); walker.next();) {
    const std::string_view raw = walker.raw_key();
    const bool is_plain = raw.find('\\') == std::string_view::npos && raw.size() >= 2;
    const bool matches = is_plain ? raw.substr(1, raw.size() - 2) == key : walker.key() == key;
    if (matches) found = walker.value();
  }
  return found;
}

std::optional<std::string_view> json_element(std::string_view json, std::size_t index) {
  if (json_kind(json) != JsonKind::kArray) return std::nullopt;
  JsonWalker walker(json);
  while (walker.next()) {
    if (index-- == 0) return walker.value();
  }
  return std::nullopt;
}

void append_clean_json(std::string& out, std::string_view json) {
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] != '\\') {
      const std::size_t length = utf8_length(json, i);
      out.append(length > 0 ? json.substr(i, length) : kReplacement);
      i += length > 0 ? length : 1;
    } else if (i + 1 < json.size() && json[i + 1] == 'u') {
      const EscapedUnit unit = read_unicode_escape(json, i);
      const bool fits = !unit.is_lone && unit.code_point != 0;
      out.append(fits ? json.substr(i, unit.length) : "\\ufffd");
      i += unit.length;
    } else {
      out.append(json.substr(i, 2));
      i += 2;
    }
  }
}

}  // namespace durabled::dsl
