// Reading JSON text in place, without a tree: kinds, members and elements as slices of the text. Used where a
// value is handed on, because a slice keeps what a tree loses (digits of large numbers, key order, white
// space) and costs no memory.
//
// All functions require valid JSON text (a result's); on anything else they return less, but never read
// outside the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace durabled::dsl {

enum class JsonKind { kNull, kBool, kNumber, kString, kArray, kObject };

std::string_view trim_json(std::string_view json);
JsonKind json_kind(std::string_view json);

// The characters of a JSON string (quotes included in `json`); \u0000 gives a NUL, a lone surrogate U+FFFD.
std::string decode_json_string(std::string_view json);

// The text of a value: a string's characters, any other value's JSON.
std::string json_text(std::string_view json);

// Walks the elements of an array or the members of an object; empty for scalars. The slice must outlive the
// walker.
class JsonWalker {
 public:
  explicit JsonWalker(std::string_view json);
  // Moves to the first, then to the next one; false at the end.
  bool next();
  std::string_view value() const { return value_; }
  std::string_view raw_key() const { return key_; }  // objects: with its quotes
  std::string key() const { return decode_json_string(key_); }

 private:
  std::string_view json_, key_, value_;
  std::size_t position_ = 0;
  bool is_object_ = false;
};

// The last member of that name, as jsonb has it; nullopt when `json` has no such member or is not an object.
std::optional<std::string_view> json_member(std::string_view json, std::string_view key);
std::optional<std::string_view> json_element(std::string_view json, std::size_t index);

// Appends JSON that Postgres accepted, made acceptable to every other reader, jsonb and the json functions among them:
// invalid UTF-8, lone surrogate escapes and \u0000, which its json type lets pass, become U+FFFD.
void append_clean_json(std::string& out, std::string_view json);

}  // namespace durabled::dsl
