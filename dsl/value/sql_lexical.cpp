#include "dsl/value/sql_lexical.hpp"

#include <algorithm>

namespace durabled::dsl {

bool is_operator_char(char c) {
  return c != '\0' && std::string_view("~!@#^&|`?+-*/%<>=").find(c) != std::string_view::npos;
}

std::size_t skip_quoted(std::string_view text, std::size_t pos, bool backslashes) {
  const char quote = text[pos];
  for (std::size_t i = pos + 1; i < text.size(); ++i) {
    if (backslashes && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (i + 1 == text.size() || text[i + 1] != quote) return i + 1;
      ++i;
    }
  }
  return kUnclosed;
}

std::size_t skip_line_comment(std::string_view text, std::size_t pos) {
  while (pos < text.size() && !is_sql_newline(text[pos])) ++pos;
  return pos;
}

std::size_t skip_block_comment(std::string_view text, std::size_t pos) {
  std::size_t depth = 0;
  while (pos + 1 < text.size()) {
    const std::string_view two = text.substr(pos, 2);
    if (two == "/*") {
      ++depth;
      pos += 2;
    } else if (two == "*/") {
      pos += 2;
      if (--depth == 0) return pos;
    } else {
      ++pos;
    }
  }
  return kUnclosed;
}

std::size_t dollar_tag_length(std::string_view text, std::size_t pos) {
  std::size_t end = pos + 1;
  if (end < text.size() && is_identifier_start(text[end])) {
    // A '$' ends the tag although identifiers may hold one.
    while (end < text.size() && text[end] != '$' && is_identifier_part(text[end])) ++end;
  }
  return end < text.size() && text[end] == '$' ? end + 1 - pos : 0;
}

std::size_t skip_dollar_quoted(std::string_view text, std::size_t pos) {
  const std::size_t length = dollar_tag_length(text, pos);
  const std::size_t end = text.find(text.substr(pos, length), pos + length);
  return end == std::string_view::npos ? kUnclosed : end + length;
}

std::size_t skip_sql_space(std::string_view text, std::size_t pos) {
  while (pos < text.size()) {
    if (is_sql_space(text[pos])) {
      ++pos;
    } else if (text.substr(pos, 2) == "--") {
      pos = skip_line_comment(text, pos);
    } else if (text.substr(pos, 2) == "/*") {
      pos = std::min(skip_block_comment(text, pos), text.size());
    } else {
      break;
    }
  }
  return pos;
}

bool starts_comment(std::string_view text, std::size_t pos) {
  const std::string_view two = text.substr(pos, 2);
  return two == "--" || two == "/*";
}

std::size_t operator_length(std::string_view text, std::size_t pos) {
  std::size_t length = 1;
  while (pos + length < text.size() && is_operator_char(text[pos + length]) &&
         !starts_comment(text, pos + length)) {
    ++length;
  }
  const auto is_sign = [&](std::size_t i) { return text[pos + i] == '+' || text[pos + i] == '-'; };
  const std::string_view before_last = text.substr(pos, length - 1);
  if (length > 1 && is_sign(length - 1) &&
      before_last.find_first_of("~!@#^&|`?%") == std::string_view::npos) {
    while (length > 1 && is_sign(length - 1)) --length;
  }
  return length;
}

}  // namespace durabled::dsl
