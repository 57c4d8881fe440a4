#include "dsl/text/lexer.hpp"

#include <cstdint>
#include <optional>

#include "dsl/graph/rules.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {
namespace {

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// The inside of E'…', escapes replaced. Error: what is wrong with one.
class EscapeDecoder {
 public:
  explicit EscapeDecoder(std::string_view body) : body_(body) {}

  // nullopt: see problem().
  std::optional<std::string> run() {
    while (pos_ < body_.size()) {
      const char c = body_[pos_++];
      if (c == '\\' && pos_ < body_.size()) {
        if (!decode_escape(body_[pos_++])) return std::nullopt;
      } else {
        if (high_ != 0) return fail("a \\u escape of a surrogate must be followed by its second half");
        out_ += c;
        if (c == '\'') ++pos_;  // doubled
      }
    }
    if (high_ != 0) return fail("a \\u escape of a surrogate must be followed by its second half");
    return std::move(out_);
  }
  // The inside of U&'…', quotes already undoubled: \XXXX, \+XXXXXX and \\.
  std::optional<std::string> run_unicode() {
    while (pos_ < body_.size()) {
      const char c = body_[pos_++];
      const bool is_escape = c == '\\' && !(pos_ < body_.size() && body_[pos_] == '\\');
      if (is_escape) {
        const bool is_long = pos_ < body_.size() && body_[pos_] == '+';
        pos_ += is_long ? 1 : 0;
        if (!decode_unicode(is_long ? 6 : 4)) return std::nullopt;
        continue;
      }
      if (high_ != 0) return fail("an escape of a surrogate must be followed by its second half");
      out_ += c;
      if (c == '\\') ++pos_;
    }
    if (high_ != 0) return fail("an escape of a surrogate must be followed by its second half");
    return std::move(out_);
  }
  const std::string& problem() const { return problem_; }

 private:
  bool decode_escape(char c) {
    if (high_ != 0 && c != 'u' && c != 'U') {
      return fail("a \\u escape of a surrogate must be followed by its second half").has_value();
    }
    switch (c) {
      case 'b':
        out_ += '\b';
        return true;
      case 'f':
        out_ += '\f';
        return true;
      case 'n':
        out_ += '\n';
        return true;
      case 'r':
        out_ += '\r';
        return true;
      case 't':
        out_ += '\t';
        return true;
      case 'v':
        out_ += '\v';
        return true;
      case 'u':
        return decode_unicode(4);
      case 'U':
        return decode_unicode(8);
      case 'x':
        if (pos_ < body_.size() && digit_value(body_[pos_]) < 16)
          out_ += static_cast<char>(read_digits(2, 16));
        else
          out_ += 'x';
        return true;
      default:
        break;
    }
    if (c >= '0' && c <= '7') {
      --pos_;
      out_ += static_cast<char>(static_cast<unsigned char>(read_digits(3, 8)));
    } else {
      out_ += c;
    }
    return true;
  }

  std::uint32_t read_digits(int max, int base) {
    std::uint32_t value = 0;
    for (int i = 0; i < max && pos_ < body_.size() && digit_value(body_[pos_]) < base; ++i) {
      value =
          value * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit_value(body_[pos_++]));
    }
    return value;
  }

  bool decode_unicode(int digits) {
    const std::size_t begin = pos_;
    const std::uint32_t code = read_digits(digits, 16);
    if (pos_ != begin + static_cast<std::size_t>(digits)) {
      return fail(
                 "a Unicode escape is \\uXXXX or \\UXXXXXXXX, in U&'…' \\XXXX or \\+XXXXXX, with hexadecimal "
                 "digits")
          .has_value();
    }
    const bool is_low = code >= 0xDC00 && code < 0xE000;
    if (is_low != (high_ != 0)) return fail("a \\u escape of a surrogate without its other half").has_value();
    if (code >= 0xD800 && code < 0xDC00) {
      high_ = code;
      return true;
    }
    if (code == 0 || code > 0x10FFFF)
      return fail("a Unicode escape must be between 1 and 10FFFF").has_value();
    append_utf8(out_, is_low ? 0x10000 + ((high_ - 0xD800) << 10) + (code - 0xDC00) : code);
    high_ = 0;
    return true;
  }

  std::optional<std::string> fail(std::string problem) {
    problem_ = std::move(problem);
    return std::nullopt;
  }

  std::string_view body_;
  std::size_t pos_ = 0;
  std::uint32_t high_ = 0;  // the first half of a surrogate pair
  std::string out_;
  std::string problem_;
};

std::string undouble(std::string_view body, char quote) {
  std::string value;
  for (std::size_t i = 0; i < body.size(); ++i) {
    value += body[i];
    if (body[i] == quote) ++i;
  }
  return value;
}

}  // namespace

Lexer::Lexer(std::string_view text) : text_(text) {
  if (text.starts_with("\xEF\xBB\xBF")) at_.offset = 3;  // an editor's byte order mark
}

Token Lexer::next() {
  skip_space_and_comments();
  Token token;
  token.at = at_;
  if (at_.offset == text_.size()) return token;
  const char c = text_[at_.offset];
  const char following = at_.offset + 1 < text_.size() ? text_[at_.offset + 1] : '\0';
  if (c == '\'') return read_string(Quoting::kPlain);
  if ((c == 'e' || c == 'E') && following == '\'') return read_string(Quoting::kEscapes);
  if ((c == 'u' || c == 'U') && text_.substr(at_.offset + 1, 2) == "&'")
    return read_string(Quoting::kUnicode);
  if (c == '"') return read_quoted_identifier();
  if (c == '$') return read_dollar();
  if (is_digit(c) || (c == '.' && is_digit(following))) return read_number();
  if (is_identifier_start(c)) return read_word();
  if (is_operator_char(c)) return read_operator();
  std::size_t length = 1;
  if (c == ':' && (following == ':' || following == '=')) length = 2;
  if (std::string_view("(),;.[]:").find(c) == std::string_view::npos) {
    throw SyntaxError{"unexpected_character",
                      "found " + shorten(text_.substr(at_.offset, 1)) + ", which begins nothing",
                      c == '{' ? "a template such as {name} stands inside a string: '{name}'" : "", at_};
  }
  token.kind = TokenKind::kPunctuation;
  token.text = text_.substr(at_.offset, length);
  move_to(at_.offset + length);
  return token;
}

void Lexer::move_to(std::size_t offset) {
  at_ = ahead(offset);
}

Position Lexer::ahead(std::size_t offset) const {
  return advance(text_, at_, offset);
}

void Lexer::skip_space_and_comments() {
  while (at_.offset < text_.size()) {
    const std::string_view two = text_.substr(at_.offset, 2);
    if (is_sql_space(text_[at_.offset])) {
      move_to(at_.offset + 1);
    } else if (two == "--") {
      move_to(skip_line_comment(text_, at_.offset));
    } else if (two == "/*") {
      const std::size_t end = skip_block_comment(text_, at_.offset);
      if (end == kUnclosed) throw SyntaxError{"unbalanced_comment", "this /* comment is not closed", "", at_};
      move_to(end);
    } else {
      return;
    }
  }
}

Token Lexer::read_word() {
  Token token{TokenKind::kIdentifier, "", false, at_};
  std::size_t end = at_.offset;
  while (end < text_.size() && is_identifier_part(text_[end])) ++end;
  const std::string_view word = text_.substr(at_.offset, end - at_.offset);
  for (const char* mark : {"\xE2\x80\x98", "\xE2\x80\x99", "\xE2\x80\x9C", "\xE2\x80\x9D"}) {
    if (word.starts_with(mark)) {
      throw SyntaxError{"typographic_quote", "found the typographic quote " + std::string(mark),
                        "use straight quotes: 'SELECT 1'", at_};
    }
  }
  if (end < text_.size() && (text_[end] == '\'' || text_.substr(end, 2) == "&\"") &&
      (word.size() == 1 && std::string_view("bBxXnNuU").find(word[0]) != std::string_view::npos) &&
      ((text_[end] == '&') == (word[0] == 'u' || word[0] == 'U'))) {
    throw SyntaxError{"unsupported_literal",
                      "strings that begin with " + std::string(word) + "… are not supported",
                      "write '…', E'…' or $$…$$", at_};
  }
  for (const char c : word) token.text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  move_to(end);
  return token;
}

Token Lexer::read_quoted_identifier() {
  Token token{TokenKind::kIdentifier, "", true, at_};
  const std::size_t end = skip_quoted(text_, at_.offset, false);
  if (end == kUnclosed) throw SyntaxError{"unbalanced_quote", "this double quote is not closed", "", at_};
  token.text = undouble(text_.substr(at_.offset + 1, end - at_.offset - 2), '"');
  move_to(end);
  return token;
}

Token Lexer::read_string(Quoting quoting) {
  const bool escapes = quoting == Quoting::kEscapes;
  Token token{TokenKind::kString, "", false, at_};
  if (quoting != Quoting::kPlain) move_to(at_.offset + (escapes ? 1 : 2));
  while (true) {
    const std::size_t end = skip_quoted(text_, at_.offset, escapes);
    if (end == kUnclosed) {
      throw SyntaxError{"unbalanced_quote", "this quote is not closed",
                        "a quote inside a string is doubled (''), or the string is written $$…$$", at_};
    }
    const std::string_view body = text_.substr(at_.offset + 1, end - at_.offset - 2);
    if (escapes) {
      EscapeDecoder decoder(body);
      const auto value = decoder.run();
      if (!value) throw SyntaxError{"bad_escape", decoder.problem(), "", token.at};
      token.text += *value;
    } else {
      token.text += undouble(body, '\'');
    }
    move_to(end);
    const std::size_t next = find_continuation();
    if (next == kUnclosed) break;
    move_to(next);
  }
  if (quoting == Quoting::kUnicode) {
    EscapeDecoder decoder(token.text);
    auto value = decoder.run_unicode();
    if (!value) throw SyntaxError{"bad_escape", decoder.problem(), "", token.at};
    token.text = std::move(*value);
  }
  if (quoting != Quoting::kPlain && find_invalid_byte(token.text)) {
    throw SyntaxError{"invalid_text", "the escapes of this string give a NUL byte or invalid UTF-8", "",
                      token.at};
  }
  return token;
}

// Where a string that joins the one just read begins: '…' after white space with a newline in it.
std::size_t Lexer::find_continuation() const {
  bool newline = false;
  for (std::size_t pos = at_.offset; pos < text_.size();) {
    if (is_sql_space(text_[pos])) {
      newline = newline || is_sql_newline(text_[pos]);
      ++pos;
    } else if (text_.substr(pos, 2) == "--") {
      pos = skip_line_comment(text_, pos);
    } else {
      return newline && text_[pos] == '\'' ? pos : kUnclosed;
    }
  }
  return kUnclosed;
}

Token Lexer::read_dollar() {
  Token token{TokenKind::kString, "", false, at_};
  const std::size_t tag = dollar_tag_length(text_, at_.offset);
  if (tag == 0) {
    throw SyntaxError{
        "unexpected_character", "found $ outside a string",
        "a reference such as $name stands inside a string; a dollar quote is $$…$$ or $tag$…$tag$", at_};
  }
  const std::size_t end = skip_dollar_quoted(text_, at_.offset);
  if (end == kUnclosed) {
    const std::string quote(text_.substr(at_.offset, tag));
    throw SyntaxError{"unbalanced_quote", "the string that begins with " + shorten(quote) + " is not closed",
                      "", at_};
  }
  token.text = text_.substr(at_.offset + tag, end - at_.offset - 2 * tag);
  move_to(end);
  return token;
}

// 0x1F, 0o17, 0b11, as a decimal number.
Token Lexer::read_integer_of_base(int base) {
  constexpr std::size_t kMostDigits = 200;
  Token token{TokenKind::kNumber, "", false, at_};
  std::string decimal = "0";  // the lowest digit first
  std::size_t end = at_.offset + 2;
  for (bool begun = false; end < text_.size(); ++end) {
    if (text_[end] == '_' && end + 1 < text_.size() && digit_value(text_[end + 1]) < base) continue;
    int carry = digit_value(text_[end]);
    if (carry >= base || decimal.size() > kMostDigits) break;
    begun = true;
    for (char& digit : decimal) {
      carry += (digit - '0') * base;
      digit = static_cast<char>('0' + carry % 10);
      carry /= 10;
    }
    for (; carry > 0; carry /= 10) decimal += static_cast<char>('0' + carry % 10);
    if (begun) token.text = text_.substr(at_.offset, end + 1 - at_.offset);
  }
  if (token.text.empty() || (end < text_.size() && is_identifier_part(text_[end]))) {
    throw SyntaxError{"bad_number",
                      "found letters right after the number " + shorten(text_.substr(at_.offset, 40)),
                      "a number is written in digits: 31, 0x1F, 0o37, 0b11111", ahead(end)};
  }
  token.text.assign(decimal.rbegin(), decimal.rend());
  move_to(end);
  return token;
}

Token Lexer::read_number() {
  if (text_[at_.offset] == '0' && at_.offset + 1 < text_.size()) {
    const char mark = static_cast<char>(text_[at_.offset + 1] | 0x20);  // lower case
    if (mark == 'x' || mark == 'o' || mark == 'b')
      return read_integer_of_base(mark == 'x' ? 16 : mark == 'o' ? 8 : 2);
  }
  Token token{TokenKind::kNumber, "", false, at_};
  std::size_t end = at_.offset;
  // An underscore may separate two digits.
  const auto digits = [&] {
    while (end < text_.size() &&
           (is_digit(text_[end]) || (text_[end] == '_' && end > at_.offset && is_digit(text_[end - 1]) &&
                                     end + 1 < text_.size() && is_digit(text_[end + 1])))) {
      ++end;
    }
  };
  digits();
  if (end < text_.size() && text_[end] == '.') ++end, digits();
  if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
    const std::size_t sign =
        end + 1 < text_.size() && (text_[end + 1] == '+' || text_[end + 1] == '-') ? 1 : 0;
    if (end + 1 + sign < text_.size() && is_digit(text_[end + 1 + sign])) end += 1 + sign, digits();
  }
  for (const char c : text_.substr(at_.offset, end - at_.offset)) {
    if (c != '_') token.text += c;
  }
  if (end < text_.size() && is_identifier_part(text_[end])) {
    throw SyntaxError{"bad_number", "found letters right after the number " + shorten(token.text),
                      "an interval is a string: '30 seconds'", ahead(end)};
  }
  move_to(end);
  return token;
}

Token Lexer::read_operator() {
  Token token{TokenKind::kOperator, "", false, at_};
  const std::size_t length = operator_length(text_, at_.offset);
  token.text = text_.substr(at_.offset, length);
  if (token.text == "=>") token.kind = TokenKind::kPunctuation;
  move_to(at_.offset + length);
  return token;
}

std::string Lexer::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the end of the text";
    case TokenKind::kString:
      return "the string '" + shorten(token.text, 40) + "'";
    case TokenKind::kNumber:
      return "the number " + shorten(token.text, 40);
    case TokenKind::kIdentifier:
      return (token.quoted ? "\"" : "") + shorten(token.text, 40) + (token.quoted ? "\"" : "");
    case TokenKind::kOperator:
      return "the operator " + shorten(token.text, 40);
    case TokenKind::kPunctuation:
      return token.text;
  }
  return "";
}

}  // namespace durabled::dsl
