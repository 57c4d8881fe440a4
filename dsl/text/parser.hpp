// The text door: DSL text to graph. docs/language.md; the checks are those of graph/check.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/graph/diagnostic.hpp"
#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct ParsedWorkflow {
  Graph graph;
  std::vector<Diagnostic> errors;  // what can only fail when it runs; parse_workflow() gives none
  std::vector<Diagnostic> warnings, notes;
  // When the text was a df.start(…): the text of the workflow that it encloses, and its other arguments.
  std::string body;
  std::optional<std::string> label;
  std::optional<std::string> database;
  std::optional<int> priority;
  std::optional<std::string> start_at;  // timestamptz text
  std::optional<std::string> idempotency_key;
  std::optional<std::string> input;  // a JSON object
};

// Parses one expression, or a whole [SELECT] df.start(…)[;], or the JSON object of the SQL door (text that
// begins with
// '{'). Never throws; the time and stack it takes are bounded by `limits` whatever the input (NUL bytes,
// invalid UTF-8 and a mebibyte of parentheses included).
Expected<ParsedWorkflow, Diagnostic> parse_workflow(std::string_view text, const GraphLimits& limits);

// The same, but a workflow that can only fail when it runs is given with its `errors`, instead of the first of them.
Expected<ParsedWorkflow, Diagnostic> read_workflow(std::string_view text, const GraphLimits& limits);

// The diagnostic of parse_workflow() for a text of `bytes` bytes, more than `limits` allow.
Diagnostic text_too_long(std::size_t bytes, const GraphLimits& limits);

}  // namespace durabled::dsl
