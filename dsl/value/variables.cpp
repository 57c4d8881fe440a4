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

std::optional<VariablePlace> next_variable(std::string_view text, std::size_t from) {
  for (std::size_t open = text.find('{', from); open != std::string_view::npos;
       open = text.find('{', open + 1)) {
    std::size_t end = open + 1;
    while (end < text.size() && is_name_char(text[end])) ++end;
    const bool is_name =
        end < text.size() && text[end] == '}' && end > open + 1 && is_name_start(text[open + 1]);
    if (is_name)
      return VariablePlace{text.substr(open + 1, end - open - 1), open, opens_reference(text, open)};
  }
  return std::nullopt;
}

ExpandedTemplate expand_variables(std::string_view text, const Variables& variables, const Names& names) {
  ExpandedTemplate expanded;
  const auto append = [&expanded](std::string_view piece, bool is_inserted) {
    expanded.text += piece;
    expanded.inserted.resize(expanded.text.size(), is_inserted);
  };
  std::size_t copied = 0;
  for (auto place = next_variable(text, 0); place; place = next_variable(text, place->begin + 1)) {
    const auto variable = variables.find(place->name);
    if (variable == variables.end()) continue;
    if (place->is_reference && names.find(place->name) != nullptr) continue;
    append(text.substr(copied, place->begin - copied), false);
    append(variable->second, true);
    copied = place->begin + place->name.size() + 2;
    if (expanded.text.size() > kMaxSubstituted) {
      expanded.is_too_long = true;
      return expanded;
    }
  }
  append(text.substr(copied), false);
  return expanded;
}

}  // namespace durabled::dsl
