// Places in a text: where the lexer, the parser and the warnings found something.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/graph/diagnostic.hpp"

namespace durabled::dsl {

struct Position {
  std::size_t offset = 0;  // in bytes, from 0
  int line = 1;
  int column = 1;  // in characters
};

// Where a graph's nodes came from; the vectors are indexed by NodeIndex.
struct SourceMap {
  struct Entry {
    Position at;       // the node's first character
    Position name_at;  // its |=>; the same as `at` for a node without a name
    // The name was put on the unparenthesised result of an operator, so it may have been meant for the last
    // operand.
    bool bare_name = false;
    std::string lost_name;  // the name that the node had before; empty: it was named once at most
  };
  std::string_view text;  // must outlive the map
  std::vector<Entry> entries;
};

// The offset of the first NUL byte or byte that is not valid UTF-8.
std::optional<std::size_t> find_invalid_byte(std::string_view text);

// The position of byte `offset`. Linear; the lexer keeps its own count.
Position locate(std::string_view text, std::size_t offset);

// The same, counted from a place before it.
Position advance(std::string_view text, Position from, std::size_t offset);

// Where the value of the '…' or $$…$$ that begins at `offset` begins; `offset` itself when none does.
std::size_t string_body(std::string_view text, std::size_t offset);

// The line at `at`, cut to a readable width, and a caret under the place. Takes time bounded by that width.
std::string make_excerpt(std::string_view text, const Position& at);

// A diagnostic about the place `at` in `text`.
Diagnostic make_diagnostic(Diagnostic::Severity severity, std::string_view text, const Position& at,
                           std::string code, std::string message, std::string hint);

// Of `candidates`, those that `word` may be a misspelling of, best first, three at most. What is as short as
// a letter is taken for another only when the case alone differs.
std::vector<std::string> close_matches(std::string_view word, const std::vector<std::string>& candidates);
// "did you mean df.sleep, df.sql?"; empty for none.
std::string did_you_mean(const std::vector<std::string>& matches);

}  // namespace durabled::dsl
