// {name} variables: the first half of substitution. Their values are raw text that nothing scans for
// references later.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/value/names.hpp"
#include "dsl/value/result.hpp"

namespace durabled::dsl {

// No template becomes longer, in bytes: a few references could expand to more than fits in memory.
inline constexpr std::size_t kMaxSubstituted = 64 << 20;

// A template after its variables: what SQL's lexer sees, and which characters the template's author wrote.
struct ExpandedTemplate {
  std::string text;
  std::vector<bool> inserted;  // as long as `text`; true where the text is a variable's value
  bool is_too_long = false;    // the rest is not there

  // Whether the author wrote a character at `position`, which may be past the end.
  bool is_own(std::size_t position) const { return position < text.size() && !inserted[position]; }
  bool is_own(std::size_t position, char c) const { return is_own(position) && text[position] == c; }
};

// The place of an {identifier}.
struct VariablePlace {
  std::string_view name;  // a view of the text
  std::size_t begin = 0;  // of the brace
  // ${identifier}, which is a reference where a result has that name.
  bool is_reference = false;
};

// The first that begins at or after `from`. Linear in what it passes over.
std::optional<VariablePlace> next_variable(std::string_view text, std::size_t from);

// Replaces each {identifier} that `variables` knows, once. Everything else, {secret.X} and JSON's braces
// included, stays; so does ${identifier} when a result of that name is in `names`, because it is a reference.
ExpandedTemplate expand_variables(std::string_view text, const Variables& variables, const Names& names);

}  // namespace durabled::dsl
