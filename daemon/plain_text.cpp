#include "daemon/plain_text.hpp"
#include "dsl/value/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace durabled::daemon {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

struct Character {
  std::uint32_t point = 0;
  std::size_t length = 1;
  bool valid = false;
};

Character character_at(std::string_view text) {
  const std::size_t length = dsl::utf8_length(text, 0);
  if (length == 0) return {static_cast<unsigned char>(text[0]), 1, false};
  return {dsl::utf8_code_point(text.substr(0, length)), length, true};
}

bool is_hidden(std::uint32_t point) {
  struct Range {
    std::uint32_t first, last;
  };
  constexpr Range kHidden[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x61C, 0x61C},
                               {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x2069},
                               {0xFFF9, 0xFFFB}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE007F}};
  return std::any_of(std::begin(kHidden), std::end(kHidden),
                     [&](const Range& range) { return range.first <= point && point <= range.last; });
}

std::string hexadecimal(std::uint32_t number, std::size_t least) {
  std::string digits;
  for (; number > 0 || digits.size() < least; number >>= 4) digits.insert(digits.begin(), kHex[number & 15]);
  return digits;
}

std::string json_escape(std::uint32_t point) {
  if (point < 0x10000) return "\\u" + hexadecimal(point, 4);
  point -= 0x10000;
  return "\\u" + hexadecimal(0xD800 + (point >> 10), 4) + "\\u" + hexadecimal(0xDC00 + (point & 0x3FF), 4);
}

}  // namespace

std::size_t hidden_character(std::string_view text) {
  const Character character = character_at(text);
  return !character.valid || is_hidden(character.point) ? character.length : 0;
}

std::string with_escapes(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = character_at(text);
    const bool is_kept = character.length == 1 && kept.find(text.front()) != std::string_view::npos;
    if (is_kept || (character.valid && !is_hidden(character.point))) {
      out += text.substr(0, character.length);
    } else {
      out += character.point < 0x100 ? "\\x" + hexadecimal(character.point, 2)
                                     : "\\u{" + hexadecimal(character.point, 4) + "}";
    }
    text.remove_prefix(character.length);
  }
  return out;
}

std::string json_with_escapes(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const Character character = character_at(json);
    const bool is_space = character.point == '\n' || character.point == '\r' || character.point == '\t';
    if (is_space || (character.valid && !is_hidden(character.point))) {
      out += json.substr(0, character.length);
    } else {
      out += json_escape(character.valid ? character.point : 0xFFFD);
    }
    json.remove_prefix(character.length);
  }
  return out;
}

std::string cut_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  const std::string_view cut = dsl::utf8_prefix(text, most);
  return std::string(cut) + "… (" + std::to_string(text.size() - cut.size()) + " bytes more)";
}

std::string one_log_line(std::string_view text, std::size_t most) {
  const std::string cut = cut_text(text, most);
  std::string line;
  for (std::string_view rest = cut; !rest.empty();) {
    const std::size_t line_break = rest.find('\n');
    line += with_escapes(rest.substr(0, line_break));
    if (line_break == std::string_view::npos) break;
    rest.remove_prefix(line_break + 1);
    line += rest.empty() ? "" : " | ";
  }
  return line;
}

}  // namespace durabled::daemon
