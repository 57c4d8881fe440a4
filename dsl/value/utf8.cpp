#include "dsl/value/utf8.hpp"

namespace durabled::dsl {

std::size_t utf8_length(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto is_tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(position), second = byte(position + 1);
  if (position >= text.size()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return is_tail(position + 1) ? 2 : 0;
  if (!is_tail(position + 1) || !is_tail(position + 2)) return 0;
  if (first >= 0xE0 && first < 0xF0) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second >= 0xA0;
    return is_overlong || is_surrogate ? 0 : 3;
  }
  const bool in_range = (first > 0xF0 || second >= 0x90) && (first < 0xF4 || second < 0x90);
  return first >= 0xF0 && first <= 0xF4 && in_range && is_tail(position + 3) ? 4 : 0;
}

std::uint32_t utf8_code_point(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first;
  std::uint32_t point = first & (0xFFU >> (character.size() + 1));
  for (const char byte : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  return point;
}

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  const auto put_tail = [&](int shift) { put(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6)), put_tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12)), put_tail(6), put_tail(0);
  } else {
    put(0xF0 | (code_point >> 18)), put_tail(12), put_tail(6), put_tail(0);
  }
}

std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  while (max_bytes > 0 && !begins_character(text[max_bytes])) --max_bytes;
  return text.substr(0, max_bytes);
}

std::size_t utf8_offset(std::string_view text, std::size_t index) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && seen++ == index) return i;
  }
  return text.size();
}

}  // namespace durabled::dsl
