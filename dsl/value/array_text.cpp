#include "dsl/value/array_text.hpp"

#include <algorithm>
#include <cctype>

#include "dsl/value/characters.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

bool is_null_word(std::string_view text) {
  return text.size() == 4 &&
         std::equal(text.begin(), text.end(), "null", [](char a, char b) { return (a | 0x20) == b; });
}

// Quoted unless nothing in it can mean anything to the reader of an array.
void append_element(std::string& out, std::string_view text) {
  const bool is_plain =
      !text.empty() && !is_null_word(text) && std::all_of(text.begin(), text.end(), [](char c) {
        return is_name_char(c) || c == '-' || c == '.' || c == ':' || c == '+';
      });
  if (is_plain) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// Here an empty text needs quotes, since without them it is NULL.
void append_field(std::string& out, std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_name_char)) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  out += '"';
}

}  // namespace

std::vector<std::string_view> elements_of(std::string_view json_array) {
  std::vector<std::string_view> elements;
  for (JsonWalker walker(json_array); walker.next();) elements.push_back(walker.value());
  return elements;
}

std::string array_text(const std::vector<std::string_view>& values, const SqlType& element, int depth) {
  const char delimiter = element.cast == "box" ? ';' : ',';
  const bool is_json = element.kind == SqlType::Kind::kJson;
  std::string out = "{";
  for (const std::string_view value : values) {
    if (out.size() > 1) out += delimiter;
    const JsonKind kind = json_kind(value);
    if (kind == JsonKind::kNull) {
      out += "NULL";
    } else if (is_json) {
      append_element(out, trim_json(value));
    } else if (kind == JsonKind::kArray && depth < kMaxArrayDepth) {
      out += array_text(elements_of(value), element, depth + 1);
    } else if (kind == JsonKind::kObject) {
      append_element(out, row_text(value));
    } else {
      append_element(out, json_text(value));
    }
  }
  return out + "}";
}

std::string row_text(std::string_view object) {
  std::string out = "(";
  bool is_first = true;
  for (JsonWalker walker(object); walker.next(); is_first = false) {
    if (!is_first) out += ',';
    if (json_kind(walker.value()) != JsonKind::kNull) append_field(out, json_text(walker.value()));
  }
  return out + ")";
}

bool holds_object(const std::vector<std::string_view>& values, int depth) {
  return std::any_of(values.begin(), values.end(), [depth](std::string_view value) {
    const JsonKind kind = json_kind(value);
    if (kind == JsonKind::kArray && depth < kMaxArrayDepth)
      return holds_object(elements_of(value), depth + 1);
    return kind == JsonKind::kObject;
  });
}

}  // namespace durabled::dsl
