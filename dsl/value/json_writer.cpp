#include "dsl/value/json_writer.hpp"

#include <cstdio>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t length = utf8_length(text, i);
    if (length > 1) {
      out.append(text.substr(i, length));
    } else if (length == 0 || c == '\0') {
      out.append(kReplacement);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape;
    } else {
      out += c;
    }
    i += length > 0 ? length : 1;
  }
  out += '"';
}

JsonWriter JsonWriter::extending(std::string object) {
  const std::size_t brace = object.rfind('}');
  DURABLED_ASSERT(brace != std::string::npos);
  object.erase(brace);
  JsonWriter writer;
  writer.out_ = std::move(object);
  writer.open_ = "}";
  return writer;
}

// A value never ends in an opening bracket or a colon, so the character before tells whether a comma is due.
void JsonWriter::separate() {
  if (open_.empty()) return;
  const char last = out_.back();
  if (last != '{' && last != '[' && last != ':') out_ += ',';
}

JsonWriter& JsonWriter::open(char bracket, char closing) {
  separate();
  out_ += bracket;
  open_ += closing;
  return *this;
}

JsonWriter& JsonWriter::close() {
  out_ += open_.back();
  open_.pop_back();
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += ':';
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  append_json_string(out_, value);
  return *this;
}

JsonWriter& JsonWriter::number(std::int64_t value) {
  return raw(std::to_string(value));
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::cleaned(std::string_view json) {
  separate();
  append_clean_json(out_, json);
  return *this;
}

std::string JsonWriter::take() {
  DURABLED_ASSERT(open_.empty());
  return std::move(out_);
}

}  // namespace durabled::dsl
