#include "dsl/text/expression_parser.hpp"

#include <algorithm>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {
namespace {

constexpr std::string_view kInfix[] = {"~>", "|=>", "&", "|", "?>", "!>"};

bool is_infix(const Token& token) {
  return token.kind == TokenKind::kOperator &&
         std::find(std::begin(kInfix), std::end(kInfix), token.text) != std::end(kInfix);
}

Operand make_operand(NodeIndex node, const Position& at, bool bare) {
  return Operand{node, at, bare};
}
Operand make_operand(Literal::Kind kind, std::string text, const Position& at) {
  return Operand{Literal{kind, std::move(text), 0}, at, false};
}

// "~>@>" and the like: operators that the lexer reads as one because no space separates them.
bool is_run_of_operators(std::string_view text) {
  while (!text.empty()) {
    const auto begins = [&](std::string_view op) { return text.starts_with(op); };
    const auto* found = std::find_if(std::begin(kInfix), std::end(kInfix), begins);
    if (found == std::end(kInfix) && !begins("@>")) return false;
    text.remove_prefix(found == std::end(kInfix) ? 2 : found->size());
  }
  return true;
}

}  // namespace

// Counts parentheses, calls and prefix operators that are open at once.
class ExpressionParser::DepthGuard {
 public:
  DepthGuard(ExpressionParser& parser, const Position& at) : parser_(parser) {
    if (++parser_.depth_ > std::min(parser_.limits_.depth, kHardDepth)) {
      throw SyntaxError{"nesting_depth",
                        "maximum nesting depth of " + std::to_string(parser_.limits_.depth) + " exceeded", "",
                        at};
    }
  }
  ~DepthGuard() { --parser_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  ExpressionParser& parser_;
};

const Token& ExpressionParser::peek(std::size_t ahead) {
  while (lookahead_.size() <= ahead) lookahead_.push_back(lexer_.next());
  return lookahead_[ahead];
}

Token ExpressionParser::take() {
  peek();
  Token token = std::move(lookahead_.front());
  lookahead_.pop_front();
  string_at_ = token.kind == TokenKind::kString ? std::optional(token.at) : std::nullopt;
  return token;
}

bool ExpressionParser::accept(std::string_view punctuation) {
  if (!peek().is(TokenKind::kPunctuation, punctuation)) return false;
  take();
  return true;
}

Operand ExpressionParser::parse_expression() {
  Operand left = parse_prefix();
  while (peek().kind == TokenKind::kOperator) {
    const Token op = take();
    if (!is_infix(op)) fail_operator(op);
    if (op.text == "|=>" && peek().kind == TokenKind::kIdentifier &&
        !peek(1).is(TokenKind::kPunctuation, ".")) {
      throw SyntaxError{"bad_argument",
                        "expected a name in quotes after |=>, found " + Lexer::describe(peek()),
                        "write |=> 'name'", peek().at};
    }
    const Operand right = parse_prefix();
    left = combine(op, left, right);
  }
  return left;
}

Operand ExpressionParser::combine(const Token& op, const Operand& left, const Operand& right) {
  if (op.text == "|=>") return name_result(op, left, right);
  if (op.text == "!>") return add_else(op, left, right);
  const NodeIndex a = builder_.step(left), b = builder_.step(right);
  if (op.text == "?>") {
    Node node;
    node.kind = NodeKind::kIf;
    node.children = {a, b};
    return make_operand(builder_.add(std::move(node), left.at), left.at, true);
  }
  const NodeKind kind = op.text == "~>"  ? NodeKind::kSequence
                        : op.text == "&" ? NodeKind::kJoin
                                         : NodeKind::kRace;
  return make_operand(builder_.append(kind, a, b, left.at), left.at, true);
}

Operand ExpressionParser::name_result(const Token& op, const Operand& left, const Operand& right) {
  if (right.is_node() || right.literal().kind != Literal::Kind::kString) {
    const std::string found = right.is_node() ? "a step" : right.literal().describe();
    throw SyntaxError{"bad_argument", "expected a name in quotes after |=>, found " + found,
                      "write |=> 'name'", right.at};
  }
  const NodeIndex named = builder_.step(left);
  builder_.note_lost_name(named, right.literal().text);
  builder_.set_name(named, right.literal().text, op.at, left.is_bare_result);
  return make_operand(named, left.at, left.is_bare_result);
}

Operand ExpressionParser::add_else(const Token& op, const Operand& left, const Operand& right) {
  const NodeIndex condition = builder_.step(left);
  const NodeKind kind = builder_[condition].kind;
  const std::size_t without_else = kind == NodeKind::kIf ? 2 : 1;
  if (kind != NodeKind::kIf && kind != NodeKind::kIfRows) {
    throw SyntaxError{
        "else_without_if", "!> must follow c ?> t; on its left is " + std::string(node_type(kind)),
        "all operators bind alike, from the left: put the then-branch in parentheses, c ?> (a ~> b) !> d",
        op.at};
  }
  if (builder_[condition].children.size() > without_else) {
    throw SyntaxError{"else_without_if", "this IF has an else-branch already",
                      "put the inner IF in parentheses", op.at};
  }
  const NodeIndex branch = builder_.step(right);
  builder_[condition].children.push_back(branch);
  return make_operand(condition, left.at, true);
}

Operand ExpressionParser::parse_prefix() {
  const Token& token = peek();
  if (token.kind != TokenKind::kOperator) return parse_casts(parse_primary());
  if (token.text == "-" || token.text == "+") return parse_number_sign();
  if (token.text != "@>") {
    if (is_infix(token)) fail_expected("a step", token);
    fail_operator(token);
  }
  const Token op = take();
  const DepthGuard guard(*this, op.at);
  Node node;
  node.kind = NodeKind::kLoop;
  node.children = {builder_.step(parse_prefix())};
  return make_operand(builder_.add(std::move(node), op.at), op.at, false);
}

Operand ExpressionParser::parse_number_sign() {
  const Token sign = take();
  if (peek().kind != TokenKind::kNumber) fail_operator(sign);
  const Token number = take();
  const std::string text = sign.text == "-" ? "-" + number.text : number.text;
  return parse_casts(make_operand(Literal::Kind::kNumber, text, sign.at));
}

Operand ExpressionParser::parse_primary() {
  switch (peek().kind) {
    case TokenKind::kString: {
      Token token = take();
      if (peek().kind == TokenKind::kString) {
        throw SyntaxError{
            "missing_operator", "found a second string right after a string; expected an operator",
            "put ~> between two steps; strings join only when a line break stands between them", peek().at};
      }
      return make_operand(Literal::Kind::kString, std::move(token.text), token.at);
    }
    case TokenKind::kNumber: {
      Token token = take();
      return make_operand(Literal::Kind::kNumber, std::move(token.text), token.at);
    }
    case TokenKind::kIdentifier:
      return parse_name();
    case TokenKind::kPunctuation:
      if (peek().text == "(") return parse_parenthesis();
      break;
    case TokenKind::kOperator:
    case TokenKind::kEnd:
      break;
  }
  fail_expected("a step", peek());
}

Operand ExpressionParser::parse_parenthesis() {
  const Token open = take();
  const DepthGuard guard(*this, open.at);
  Operand operand = parse_expression();
  if (peek().kind == TokenKind::kEnd) {
    throw SyntaxError{"unbalanced_parenthesis", "this parenthesis is not closed", "", open.at};
  }
  if (!accept(")")) fail_after_operand("an operator or )");
  operand.is_bare_result = false;
  return operand;
}

Operand ExpressionParser::parse_name() {
  const Token word = take();
  if (!word.quoted && (word.text == "true" || word.text == "false")) {
    return make_operand(Literal::Kind::kBool, word.text, word.at);
  }
  if (!word.quoted && word.text == "null") return make_operand(Literal::Kind::kNull, "NULL", word.at);
  if (accept(".")) {
    if (peek().kind != TokenKind::kIdentifier) fail_expected("a function's name", peek());
    const Token name = take();
    if (!peek().is(TokenKind::kPunctuation, "("))
      fail_word(Token{TokenKind::kIdentifier, word.text + "." + name.text, false, word.at});
    if (word.text != "df") fail_unknown_function(word.text, name.text, word.at);
    const FunctionCall call = parse_call(name.text, word.at);
    return make_operand(build_call(builder_, call), word.at, false);
  }
  if (!word.quoted) {
    const auto type = parse_type_name(word);
    if (type && peek().kind == TokenKind::kString) return parse_typed_string(*type, word.at);
  }
  if (peek().is(TokenKind::kPunctuation, "(")) fail_unknown_function("", word.text, word.at);
  fail_word(word);
}

// interval '1 day', json '{}': a cast written before its string.
Operand ExpressionParser::parse_typed_string(const std::string& type, const Position& at) {
  Token string = take();
  std::string text = std::move(string.text);
  const bool is_unit = type == "interval" && peek().kind == TokenKind::kIdentifier;
  if (is_unit && text.find_first_not_of(" +-.0123456789") == std::string::npos)
    text += " " + take().text;  // '5' minute
  const Literal literal{Literal::Kind::kString, std::move(text), 0};
  auto cast = cast_literal(literal, type);
  if (!cast) throw SyntaxError{"bad_cast", cast.error(), "", at};
  return Operand{std::move(*cast), at, false};
}

Operand ExpressionParser::parse_casts(Operand operand) {
  while (accept("::")) {
    const Token type = take();
    const auto name = type.kind == TokenKind::kIdentifier ? parse_type_name(type) : std::nullopt;
    if (!name) {
      throw SyntaxError{"unknown_type", "cannot cast to " + Lexer::describe(type),
                        "a literal may be cast to json, jsonb, text, interval, numeric, int or bool",
                        type.at};
    }
    if (operand.is_node())
      throw SyntaxError{"bad_cast", "only a literal can be cast, found a step", "", operand.at};
    auto cast = cast_literal(operand.literal(), *name);
    if (!cast) throw SyntaxError{"bad_cast", cast.error(), "", operand.at};
    operand.value = std::move(*cast);
    if (peek().is(TokenKind::kPunctuation, "(")) cut_to_length(operand, *name);
  }
  return operand;
}

// varchar(n): as many characters. No other type takes a length here.
void ExpressionParser::cut_to_length(Operand& operand, const std::string& type) {
  const Token open = take();
  const bool is_number = peek().kind == TokenKind::kNumber && peek().text.size() < 10 &&
                         peek().text.find_first_not_of("0123456789") == std::string::npos;
  if ((type != "varchar" && type != "character varying") || !is_number) {
    throw SyntaxError{"unknown_type", "a cast to " + type + "(…) is not read in a workflow",
                      "write the value as it is to be, or cast it to " + type, open.at};
  }
  const std::size_t most = std::stoul(take().text);
  if (!accept(")")) fail_expected(")", peek());
  if (operand.literal().kind == Literal::Kind::kNull) return;
  std::string text = operand.literal().text;
  text.resize(utf8_offset(text, most));
  operand.value = Literal{Literal::Kind::kString, std::move(text), 0};
}

// `first` and the words after it that make the type's name with it; nullopt, taking nothing, when there is no
// such type.
std::optional<std::string> ExpressionParser::parse_type_name(const Token& first) {
  std::string name = first.text;
  const auto second = [&](std::string_view word) { return peek().is(TokenKind::kIdentifier, word); };
  if ((name == "double" && second("precision")) || (name == "character" && second("varying"))) {
    name += " " + take().text;
  } else if ((name == "timestamp" || name == "time") && (second("with") || second("without"))) {
    for (int i = 0; i < 3 && peek().kind == TokenKind::kIdentifier; ++i) name += " " + take().text;
  }
  return is_known_type(name) ? std::optional(name) : std::nullopt;
}

FunctionCall ExpressionParser::parse_call(const std::string& name, const Position& at) {
  const DepthGuard guard(*this, at);
  const Token open = take();
  FunctionCall call{name, {}, at};
  if (accept(")")) return call;
  do {
    call.arguments.push_back(parse_argument());
  } while (accept(","));
  if (peek().kind == TokenKind::kEnd) {
    throw SyntaxError{"unbalanced_parenthesis", "the parenthesis of df." + name + " is not closed", "",
                      open.at};
  }
  if (!accept(")")) fail_after_operand("an operator, a comma or )");
  return call;
}

Argument ExpressionParser::parse_argument() {
  Argument argument{"", {}, peek().at};
  if (peek().kind == TokenKind::kIdentifier) {
    const Token& next = peek(1);
    if (next.is(TokenKind::kPunctuation, "=>") || next.is(TokenKind::kPunctuation, ":=")) {
      argument.name = take().text;
      take();
    }
  }
  argument.begin = peek().at.offset;
  argument.value = parse_expression();
  argument.end = peek().at.offset;
  return argument;
}

void ExpressionParser::fail_after_operand(const std::string& expected) {
  const Token found = peek();
  const bool is_call = found.is(TokenKind::kIdentifier, "df") && peek(1).is(TokenKind::kPunctuation, ".");
  const bool is_step = is_call || found.kind == TokenKind::kString || found.is(TokenKind::kPunctuation, "(");
  if (is_step && quote_hint(found).empty()) {
    throw SyntaxError{"missing_operator",
                      "found " + (is_call ? "a function" : Lexer::describe(found)) +
                          " right after a step; expected " + expected,
                      "an operator is missing between two steps; for \"and then\" write ~>", found.at};
  }
  if (found.is(TokenKind::kPunctuation, "=>")) {
    throw SyntaxError{"unexpected_token", "expected " + expected + ", found =>",
                      "to name a step's result write |=> 'name'", found.at};
  }
  fail_expected(expected, found);
}

// A token right behind a closing quote: the string has likely ended too early.
std::string ExpressionParser::quote_hint(const Token& found) const {
  const bool is_behind = string_at_ && found.at.offset > 0 && text_[found.at.offset - 1] == '\'';
  if (!is_behind || found.kind == TokenKind::kPunctuation) return "";
  const std::string line =
      string_at_->line == found.at.line ? "" : "line " + std::to_string(string_at_->line) + ", ";
  return "the string that began at " + line + "column " + std::to_string(string_at_->column) +
         " ended before here; is a quote missing, or not doubled ('')?";
}

void ExpressionParser::fail_expected(const std::string& expected, const Token& found) {
  if (found.kind == TokenKind::kIdentifier) fail_word(found);
  const bool closes = found.is(TokenKind::kPunctuation, ")");
  throw SyntaxError{closes && depth_ == 0 ? "unbalanced_parenthesis" : "unexpected_token",
                    "expected " + expected + ", found " + Lexer::describe(found), quote_hint(found),
                    found.at};
}

void ExpressionParser::fail_word(const Token& word) {
  static constexpr std::string_view kStatements[] = {"select", "insert",  "update", "delete", "with",
                                                     "create", "call",    "drop",   "alter",  "values",
                                                     "merge",  "refresh", "vacuum", "copy"};
  std::string hint = "put SQL in a string, 'SELECT …' or $$ SELECT … $$; functions are written df.name(…)";
  std::string code = "unexpected_name";
  if (std::find(std::begin(kStatements), std::end(kStatements), word.text) != std::end(kStatements)) {
    code = "unquoted_sql";
    hint =
        "a SQL step is a string: 'SELECT …' or $$ SELECT … $$; of INSERT INTO df.submit … $$ … $$ or "
        "SELECT df.start(…) only the workflow itself is read here";
  } else if (word.quoted) {
    hint = "double quotes are for identifiers; write a string in single quotes";
  }
  if (const std::string quote = quote_hint(word); !quote.empty()) hint = quote;
  throw SyntaxError{code, "found " + Lexer::describe(word) + "; there is no SQL outside of quotes", hint,
                    word.at};
}

void ExpressionParser::fail_operator(const Token& op) {
  std::string hint = "the operators are ~> |=> & | ?> !> and @>";
  if (op.text == "||")
    hint = "for a race write |; to join texts, do it in SQL";
  else if (op.text == "&&")
    hint = "for a join write &";
  else if (op.text == "->" || op.text == ">" || op.text == ">>" || op.text == "->>")
    hint = "for \"and then\" write ~>";
  else if (op.text == "=")
    hint = "a named argument is name => value";
  else if (op.text == "@>")
    hint = "@> stands before a step: put an operator before it";
  else if (op.text.size() < 100 && is_run_of_operators(op.text))
    hint = "put spaces between operators";
  throw SyntaxError{"unknown_operator",
                    op.text == "@>"
                        ? "expected an infix operator, found the operator @>"
                        : "unknown operator " + shorten(op.text, 40) + "; there is no SQL outside of quotes",
                    hint, op.at};
}

}  // namespace durabled::dsl
