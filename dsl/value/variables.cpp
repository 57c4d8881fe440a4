#include "dsl/value/variables.hpp"

#include "dsl/value/characters.hpp"

namespace durabled::dsl {

namespace {

// Whether the brace at `open` belongs to a "${": a '$' before it that is not the second of "$$".
bool opens_reference(std::string_view text, std::size_t open) {
  const bool has_dollar = open >= 1 && text[open - 1] == '$';
  return has_dollar && !(open >= 2 && text[open - 2] == '$');
}

}  // namespace

ExpandedTemplate expand_variables(std::string_view text, const Variables& variables, const Names& names) {
  ExpandedTemplate expanded;
  const auto append = [&expanded](std::string_view piece, bool is_inserted) {
    expanded.text += piece;
    expanded.inserted.resize(expanded.text.size(), is_inserted);
  };
  std::size_t copied = 0;
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    std::size_t end = open + 1;
    while (end < text.size() && is_name_char(text[end])) ++end;
    const bool is_candidate =
        end < text.size() && text[end] == '}' && end > open + 1 && is_name_start(text[open + 1]);
    if (!is_candidate) continue;
    const std::string_view name = text.substr(open + 1, end - open - 1);
    const auto variable = variables.find(name);
    if (variable == variables.end()) continue;
    if (opens_reference(text, open) && names.find(name) != nullptr) continue;
    append(text.substr(copied, open - copied), false);
    append(variable->second, true);
    copied = end + 1;
    if (expanded.text.size() > kMaxSubstituted) {
      expanded.is_too_long = true;
      return expanded;
    }
  }
  append(text.substr(copied), false);
  return expanded;
}

}  // namespace durabled::dsl
