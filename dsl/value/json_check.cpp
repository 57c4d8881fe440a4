#include "dsl/value/json_check.hpp"

#include <algorithm>
#include <vector>

namespace durabled::dsl {
namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool run() {
    do {
      if (!value()) return false;
    } while (more_);
    return position_ == text_.size();
  }

 private:
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  void skip_space() {
    while (position_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos)
      ++position_;
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++position_;
    return true;
  }

  bool word(std::string_view expected) {
    if (text_.substr(position_, expected.size()) != expected) return false;
    position_ += expected.size();
    return true;
  }

  bool number() {
    const std::size_t end = std::min(text_.find_first_not_of("+-.0123456789Ee", position_), text_.size());
    const bool valid = is_json_number(text_.substr(position_, end - position_));
    position_ = end;
    return valid;
  }

  bool escape() {
    const char c = peek();
    ++position_;
    if (c != 'u') return c != '\0' && std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    const std::string_view digits = text_.substr(std::min(position_, text_.size()), 4);
    position_ += 4;
    return digits.size() == 4 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }

  bool string() {
    if (!take('"')) return false;
    while (position_ < text_.size()) {
      const char c = text_[position_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }

  bool key() {
    skip_space();
    if (!string()) return false;
    skip_space();
    return take(':');
  }

  // One scalar, or the beginning of an array or object, with all that closes after it. `more_`: a value follows.
  bool value() {
    skip_space();
    more_ = false;
    const char c = peek();
    if (c == '{' || c == '[') {
      ++position_;
      skip_space();
      const bool is_object = c == '{';
      if (!take(is_object ? '}' : ']')) {
        is_object_.push_back(is_object);
        more_ = true;
        return !is_object || key();
      }
    } else if (c == '"') {
      if (!string()) return false;
    } else if (c == 't' ? !word("true") : c == 'f' ? !word("false") : c == 'n' ? !word("null") : !number()) {
      return false;
    }
    return after_value();
  }

  bool after_value() {
    for (;;) {
      skip_space();
      if (is_object_.empty()) return true;
      if (take(',')) {
        more_ = true;
        return !is_object_.back() || key();
      }
      if (!take(is_object_.back() ? '}' : ']')) return false;
      is_object_.pop_back();
    }
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::vector<bool> is_object_;  // the open arrays and objects
  bool more_ = false;
};

}  // namespace

bool is_json(std::string_view text) {
  return Scanner(text).run();
}

bool is_json_number(std::string_view text) {
  const auto digits = [&text] {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(end);
    return end > 0;
  };
  const auto take = [&text](std::string_view any_of) {
    const bool matches = !text.empty() && any_of.find(text.front()) != std::string_view::npos;
    if (matches) text.remove_prefix(1);
    return matches;
  };
  take("-");
  const bool leading_zero = text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
  if (leading_zero || !digits()) return false;
  if (take(".") && !digits()) return false;
  if (take("eE")) {
    take("+-");
    if (!digits()) return false;
  }
  return text.empty();
}

}  // namespace durabled::dsl
