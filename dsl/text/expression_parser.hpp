// The grammar: tokens to nodes. docs/language.md, "Text" and "Operators".
#pragma once

#include <deque>

#include "dsl/text/functions.hpp"
#include "dsl/text/parser.hpp"

namespace durabled::dsl {

// text      := [select] df.start '(' arguments ')' [;]  |  expression [;]
// expression:= prefix { infix prefix }                     every infix operator alike, from the left, as
// PostgreSQL does prefix    := '@>' prefix | [+-] number | primary { '::' type } primary   := '(' expression
// ')' | literal | type string | df.name '(' [ [name =>] expression {, …} ] ')'
//
// Recursion is bounded by limits.depth. Throws SyntaxError.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, const GraphLimits& limits)
      : text_(text), lexer_(text), builder_(limits), limits_(limits) {}

  // The whole text; fills all of `workflow` but the graph, and returns its root in builder().
  NodeIndex parse_text(ParsedWorkflow& workflow);
  GraphBuilder& builder() { return builder_; }

 private:
  class DepthGuard;

  NodeIndex parse_start(ParsedWorkflow& workflow);
  Operand parse_expression();
  Operand parse_prefix();
  Operand parse_number_sign();
  Operand parse_primary();
  Operand parse_parenthesis();
  Operand parse_name();
  Operand parse_casts(Operand operand);
  void cut_to_length(Operand& operand, const std::string& type);
  Operand parse_typed_string(const std::string& type, const Position& at);
  std::optional<std::string> parse_type_name(const Token& first);
  FunctionCall parse_call(const std::string& name, const Position& at);
  Argument parse_argument();

  Operand combine(const Token& op, const Operand& left, const Operand& right);
  Operand name_result(const Token& op, const Operand& left, const Operand& right);
  Operand add_else(const Token& op, const Operand& left, const Operand& right);

  const Token& peek(std::size_t ahead = 0);
  Token take();
  bool accept(std::string_view punctuation);
  // For a token after an operand that is not an operator.
  [[noreturn]] void fail_after_operand(const std::string& expected);
  [[noreturn]] void fail_expected(const std::string& expected, const Token& found);
  [[noreturn]] void fail_word(const Token& word);
  std::string quote_hint(const Token& found) const;
  [[noreturn]] void fail_operator(const Token& op);

  std::string_view text_;
  Lexer lexer_;
  std::deque<Token> lookahead_;
  GraphBuilder builder_;
  const GraphLimits& limits_;
  std::optional<Position> string_at_;  // of the token taken last, if it is a string
  int depth_ = 0;
};

}  // namespace durabled::dsl
