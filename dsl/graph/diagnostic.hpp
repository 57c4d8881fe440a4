// What the parser and the checks say about a text: errors (the text is refused), warnings (it runs, but most likely does
// not do what was meant), and notes (it may well be meant).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace durabled::dsl {

struct Diagnostic {
  enum class Severity { kError, kWarning, kNote };
  Severity severity = Severity::kError;
  std::string code;  // stable, e.g. "unbalanced_quote", "unknown_function", "unreachable", "named_compound",
                     // "unbound_name"
  std::string message;  // what was found and what was expected
  int line = 1;         // from 1
  int column = 1;       // from 1, in characters
  std::string excerpt;  // the source line, cut to a readable width, with a caret line under it
  std::string hint;     // what to write instead; empty when there is nothing to say

  // "line 3, column 7: message\n  excerpt\n  ^\nhint: …"
  std::string to_string() const;
};

}  // namespace durabled::dsl
