// UTF-8, byte by byte: what is a valid character, where characters begin, and how they are written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace durabled::dsl {

// Whether `byte` begins a character, which every byte but a continuation (10xxxxxx) does.
inline bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// The length of the valid character at `position`; 0 when the bytes there are not one (overlong forms,
// surrogates and the end of the text included). NUL is a character of one byte.
std::size_t utf8_length(std::string_view text, std::size_t position);

// The code point of `character`, one valid character.
std::uint32_t utf8_code_point(std::string_view character);

void append_utf8(std::string& out, std::uint32_t code_point);

// The longest beginning of `text` that is at most `max_bytes` long and does not end within a character.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

// The offset of character `index`, counted from 0; the text's size when it has fewer.
std::size_t utf8_offset(std::string_view text, std::size_t index);

}  // namespace durabled::dsl
