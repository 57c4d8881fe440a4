// PostgreSQL's lexical rules, as far as workflow texts have them (docs/language.md, "Text"): text to tokens, one at a time.
#pragma once

#include <string>
#include <string_view>

#include "dsl/graph/source.hpp"

namespace durabled::dsl {

// What is wrong with a text and where. Thrown inside this room only, because a recursive-descent parser reads
// far better with it; parse_workflow() turns it into a Diagnostic.
struct SyntaxError {
  std::string code;
  std::string message;
  std::string hint;
  Position at;
};

enum class TokenKind { kEnd, kString, kNumber, kIdentifier, kOperator, kPunctuation };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  // The string's value; the number as written; the identifier folded; the operator; one of ( ) , ; . [ ] : ::
  // := =>
  std::string text;
  bool quoted = false;  // an identifier in double quotes
  Position at;

  bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
};

class Lexer {
 public:
  // Requires: `text` is valid UTF-8 without NUL, and outlives the lexer.
  explicit Lexer(std::string_view text);

  // The next token; kEnd again and again at the end. Throws SyntaxError. The whole text takes linear time.
  Token next();

  // A token as messages name it: `'SELECT 1'`, `the operator ~>`, `the end of the text`.
  static std::string describe(const Token& token);

 private:
  void skip_space_and_comments();
  void move_to(std::size_t offset);
  Position ahead(std::size_t offset) const;
  Token read_word();
  Token read_quoted_identifier();
  enum class Quoting { kPlain, kEscapes, kUnicode };
  Token read_string(Quoting quoting);
  Token read_dollar();
  Token read_number();
  Token read_integer_of_base(int base);
  Token read_operator();
  std::size_t find_continuation() const;

  std::string_view text_;
  Position at_;
};

}  // namespace durabled::dsl
