#include "dsl/text/parser.hpp"

#include <algorithm>
#include <limits>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/check.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/expression_parser.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {
namespace {

Diagnostic make_error(std::string_view text, SyntaxError error) {
  return make_diagnostic(Diagnostic::Severity::kError, text, error.at, std::move(error.code),
                         std::move(error.message), std::move(error.hint));
}

SyntaxError too_long(std::size_t bytes, const GraphLimits& limits) {
  return {"text_too_long",
          "the text has " + std::to_string(bytes) + " bytes; at most " + std::to_string(limits.text_bytes) +
              " are allowed",
          "",
          {}};
}

std::optional<SyntaxError> check_text(std::string_view text, const GraphLimits& limits) {
  if (text.size() > limits.text_bytes) return too_long(text.size(), limits);
  if (const auto bad = find_invalid_byte(text)) {
    const bool is_nul = text[*bad] == '\0';
    return SyntaxError{"invalid_text", is_nul ? "found a NUL byte" : "found a byte that is not valid UTF-8",
                       "", locate(text, *bad)};
  }
  return std::nullopt;
}

bool begins_object(std::string_view text) {
  const auto first = std::find_if_not(text.begin(), text.end(), is_sql_space);
  return first != text.end() && *first == '{';
}

Expected<ParsedWorkflow, Diagnostic> parse_json_door(std::string_view text, const GraphLimits& limits) {
  auto graph = from_json(text, limits);
  if (!graph) return Unexpected{make_error({}, {"invalid_graph", graph.error().to_string(), "", {}})};
  ParsedWorkflow workflow;
  GraphDiagnostics found = check_graph(*graph);
  workflow.errors = std::move(found.errors);
  workflow.warnings = std::move(found.warnings);
  workflow.notes = std::move(found.notes);
  workflow.graph = std::move(*graph);
  return workflow;
}

// As long as the columns of df.submit take it.
std::optional<std::string> short_text(const BoundCall& bound, std::size_t i, const std::string& what) {
  constexpr int kCharacters = 1'000;
  auto text = bound.optional_text(i);
  if (text && std::count_if(text->begin(), text->end(), begins_character) > kCharacters) {
    throw SyntaxError{"bad_argument", what + " has at most " + std::to_string(kCharacters) + " characters",
                      "", bound.find(i)->at};
  }
  return text;
}

// As df.submit takes it.
std::optional<std::string> json_object(const BoundCall& bound, std::size_t i) {
  constexpr std::size_t kBytes = 1 << 20, kDepth = 1'000;
  auto text = bound.optional_text(i);
  if (!text) return text;
  const auto fail = [&](const char* what, const char* hint) {
    throw SyntaxError{"bad_argument", std::string("input ") + what, hint, bound.find(i)->at};
  };
  if (text->size() > kBytes) fail("is longer than 1 MiB", "put what is large into a table");
  const auto value = parse_json(*text, kDepth);
  if (!value || !value->is_object()) fail("must be a JSON object", "write input => '{\"name\": value}'");
  std::string clean;
  append_clean_json(clean, *text);
  return clean;
}

}  // namespace

NodeIndex ExpressionParser::parse_text(ParsedWorkflow& workflow) {
  const auto is_word = [&](std::size_t ahead, std::string_view word) {
    return peek(ahead).is(TokenKind::kIdentifier, word) && !peek(ahead).quoted;
  };
  if (peek().kind == TokenKind::kEnd) {
    throw SyntaxError{"empty_text", "the text is empty; expected a workflow",
                      "a workflow may be as small as 'SELECT 1'", peek().at};
  }
  const bool select = is_word(0, "select") && is_word(1, "df");
  if (select) take();
  const bool is_start = is_word(0, "df") && peek(1).is(TokenKind::kPunctuation, ".") && is_word(2, "start");
  if (select && !is_start) {
    throw SyntaxError{"unexpected_token", "expected df.start after SELECT, found another function",
                      "leave SELECT out, or write SELECT df.start(…)", peek().at};
  }
  const NodeIndex root = is_start ? parse_start(workflow) : builder_.step(parse_expression());
  const bool semicolon = accept(";");
  if (peek().kind != TokenKind::kEnd) {
    if (semicolon) {
      throw SyntaxError{"unexpected_token",
                        "expected the end of the text after ;, found " + Lexer::describe(peek()),
                        "a text is one workflow", peek().at};
    }
    if (is_start) fail_expected("the end of the text", peek());
    fail_after_operand("an operator or the end of the text");
  }
  return root;
}

NodeIndex ExpressionParser::parse_start(ParsedWorkflow& workflow) {
  const Position at = take().at;
  take();
  const std::string name = take().text;
  if (!peek().is(TokenKind::kPunctuation, "(")) fail_expected("( after df.start", peek());
  const FunctionCall call = parse_call(name, at);
  const BoundCall bound(call, start_parameters());
  const auto body = std::find_if(call.arguments.begin(), call.arguments.end(),
                                 [&](const Argument& argument) { return &argument.value == bound.find(0); });
  workflow.body = text_.substr(body->begin, body->end - body->begin);
  workflow.label = short_text(bound, 1, "a label");
  workflow.database = bound.optional_text(2);
  const std::string mode = bound.text(3, "caller");
  if (mode != "caller" && mode != "new") {
    throw SyntaxError{"bad_argument", "invalid transaction_mode: it is 'caller' or 'new'", "",
                      bound.find(3)->at};
  }
  if (bound.find(4) != nullptr) {
    const std::int64_t priority = bound.integer(4, 0);
    if (priority < std::numeric_limits<std::int16_t>::min() ||
        priority > std::numeric_limits<std::int16_t>::max()) {
      throw SyntaxError{"bad_argument", "priority must be between -32768 and 32767", "", bound.find(4)->at};
    }
    workflow.priority = static_cast<int>(priority);
  }
  workflow.start_at = bound.optional_text(5);
  workflow.idempotency_key = short_text(bound, 6, "an idempotency key");
  workflow.input = json_object(bound, 7);
  return builder_.step(*bound.find(0));
}

Expected<ParsedWorkflow, Diagnostic> parse_workflow(std::string_view text, const GraphLimits& limits) {
  auto workflow = read_workflow(text, limits);
  if (workflow && !workflow->errors.empty()) return Unexpected{std::move(workflow->errors.front())};
  return workflow;
}

Expected<ParsedWorkflow, Diagnostic> read_workflow(std::string_view text, const GraphLimits& limits) {
  if (auto error = check_text(text, limits)) return Unexpected{make_error(text, std::move(*error))};
  if (begins_object(text)) return parse_json_door(text, limits);
  try {
    ParsedWorkflow workflow;
    ExpressionParser parser(text, limits);
    const NodeIndex root = parser.parse_text(workflow);
    SourceMap map{text, {}};
    workflow.graph = parser.builder().finish(root, map);
    GraphDiagnostics found = check_graph(workflow.graph, &map);
    workflow.errors = std::move(found.errors);
    workflow.warnings = std::move(found.warnings);
    workflow.notes = std::move(found.notes);
    return workflow;
  } catch (SyntaxError& error) {
    return Unexpected{make_error(text, std::move(error))};
  }
}

Diagnostic text_too_long(std::size_t bytes, const GraphLimits& limits) {
  return make_error("", too_long(bytes, limits));
}

}  // namespace durabled::dsl
