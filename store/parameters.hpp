// Values that are sent as text where a statement wants an array: the one place that quotes them. Private to store/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace durabled::store {

// An array that is put together element by element.
class ArrayParameter {
 public:
  void add(std::string_view element) {
    text_ += text_.size() > 1 ? ",\"" : "\"";
    for (const char c : element) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }
  void add(std::int64_t number) { add_plain(std::to_string(number)); }
  void add_null() { add_plain("null"); }
  bool empty() const { return text_.size() == 1; }
  std::string take() { return std::move(text_) + '}'; }

 private:
  void add_plain(std::string_view element) {
    if (!empty()) text_ += ',';
    text_ += element;
  }

  std::string text_ = "{";
};

// {"…","…"} for any element type whose delimiter is a comma; an element may hold anything.
template <typename Texts>
std::string array_parameter(const Texts& elements) {
  ArrayParameter array;
  for (const std::string_view element : elements) array.add(element);
  return array.take();
}

}  // namespace durabled::store
