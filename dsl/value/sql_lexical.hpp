// PostgreSQL's lexical rules (scan.l), as far as the reader of workflow texts, the check of statements and the search
// for references need them: where a quoted thing, a comment or an operator ends. Assumes
// standard_conforming_strings = on.
#pragma once

#include <cstddef>
#include <string_view>

#include "dsl/value/characters.hpp"

namespace durabled::dsl {

inline bool is_sql_newline(char c) {
  return c == '\n' || c == '\r';
}
// A letter, '_' or any byte of a multi-byte character.
inline bool is_identifier_start(char c) {
  return is_name_start(c) || static_cast<unsigned char>(c) >= 0x80;
}
// Those, digits and '$'.
inline bool is_identifier_part(char c) {
  return is_identifier_start(c) || is_digit(c) || c == '$';
}
bool is_operator_char(char c);

// The skip functions take the offset at which the construct begins and return the offset just past it; npos
// when the text ends before it does. All of them are linear.
inline constexpr std::size_t kUnclosed = std::string_view::npos;

// A '…' or "…" whose quote is text[pos]; a doubled quote does not end it. `backslashes`: E'…' rules.
std::size_t skip_quoted(std::string_view text, std::size_t pos, bool backslashes);
// A "--" comment, up to the newline or the end of the text; never npos.
std::size_t skip_line_comment(std::string_view text, std::size_t pos);
// A "/*" comment; they nest.
std::size_t skip_block_comment(std::string_view text, std::size_t pos);
// The length of the "$$" or "$tag$" that begins at text[pos] (a '$'); 0 when none does.
std::size_t dollar_tag_length(std::string_view text, std::size_t pos);
// A dollar-quoted string. Requires: dollar_tag_length(text, pos) > 0.
std::size_t skip_dollar_quoted(std::string_view text, std::size_t pos);

// White space and comments; a comment that is not closed ends with the text. Never npos.
std::size_t skip_sql_space(std::string_view text, std::size_t pos);

bool starts_comment(std::string_view text, std::size_t pos);

// The length of the operator at text[pos]: the longest run of operator characters, cut before a comment, and
// without a trailing + or - unless it contains one of ~ ! @ # ^ & | ` ? %. Requires: an operator
// character, no comment.
std::size_t operator_length(std::string_view text, std::size_t pos);

}  // namespace durabled::dsl
