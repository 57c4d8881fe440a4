// Text that may refer to secrets, which are put in only at the moment of the call. References are found in
// the template and kept apart from what is inserted into it, so that a value from a table or from another
// call's response that reads
// "{secret.X}" is just text: inserted values are never scanned (docs/language.md, "References").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"

namespace durabled::daemon {

class SecretText {
 public:
  struct Piece {
    bool is_secret = false;
    std::string text;  // a secret's name, or literal text
  };

  SecretText() = default;
  // Literal text: not scanned.
  SecretText(std::string literal) : pieces_{{false, std::move(literal)}} {}
  SecretText(const char* literal) : SecretText(std::string(literal)) {}

  // Finds each {secret.NAME} in `text`. Error: a name that is not [A-Za-z_][A-Za-z0-9_]*.
  static Expected<SecretText, std::string> parse(std::string_view text);

  std::vector<Piece>& pieces() { return pieces_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  bool has_secrets() const;
  // With the references as they were written: safe to show.
  std::string display() const;

 private:
  std::vector<Piece> pieces_;
};

}  // namespace durabled::daemon
