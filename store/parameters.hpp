// Values that are sent as text where a statement wants an array: the one place that quotes them. Private to store/.
#pragma once

#include <string>
#include <string_view>

namespace durabled::store {

// {"…","…"} for any element type whose delimiter is a comma; an element may hold anything.
template <typename Texts>
std::string array_parameter(const Texts& elements) {
  std::string text = "{";
  for (const std::string_view element : elements) {
    text += text.size() > 1 ? ",\"" : "\"";
    for (const char c : element) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + '}';
}

}  // namespace durabled::store
