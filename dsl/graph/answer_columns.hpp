// The rows that an HTTP step takes out of its answer: where they are, and their columns. docs/language.md, "Rows of an
// answer".
//
//   rows      $, then any number of .member, ."member", [*] and [n]: '$.data[*]'
//   columns   name type, name? type, name type path '$.x', name for ordinality; separated by commas, as in JSON_TABLE
//
// The SQL door has the same grammar as a regular expression: df._rows_problem.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"

namespace durabled::dsl {

struct PathStep {
  enum class Kind { kMember, kIndex, kAll };  // .name, [n], [*]
  Kind kind = Kind::kMember;
  std::string member;
  std::size_t index = 0;
};
using JsonPath = std::vector<PathStep>;

struct AnswerColumn {
  std::string name;
  bool may_be_null = false;    // with ?: null, or not there
  bool is_ordinality = false;  // the number of the row, from 1
  std::string type;            // as format_type() calls it, where it has another name
  JsonPath path;               // within the row
};

// Error: what is wrong, beginning with "rows" or "columns".
Expected<JsonPath, std::string> parse_row_path(std::string_view text);
Expected<std::vector<AnswerColumn>, std::string> parse_answer_columns(std::string_view text);

}  // namespace durabled::dsl
