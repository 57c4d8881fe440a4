// Keeps the values of secrets out of what servers send back, in whatever common form they echo them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::daemon {

// Replaces values of secrets by "{secret.NAME}". Messages of the client's own do not rely on this: they never
// show a part of a URL that was made with a secret (wire.hpp).
class SecretScrubber {
 public:
  void add(std::string_view name, std::string_view value);
  bool empty() const { return secrets_.empty(); }

  // `text` without the values: as they are or in another case, percent-encoded, escaped as in JSON or HTML, or
  // a mixture of these. A value of one to three bytes is replaced only where no letter or digit stands beside
  // it, because it would tear up every text otherwise.
  // Linear in the text but where it repeats the beginnings of secrets: an answer is some other server's text, and
  // the thread that carries all calls searches it.
  std::string scrub(std::string_view text) const;

 private:
  struct Secret {
    std::string value;
    std::string replacement;
  };
  // The secrets that may begin with this byte, in either case.
  const std::vector<std::size_t>& beginning_with(char byte) const;
  std::size_t find_at(std::string_view text, std::size_t at, const Secret*& found) const;

  std::vector<Secret> secrets_;  // longest first
  std::array<std::vector<std::size_t>, 256>
      by_first_;  // their places in secrets_, by their first byte in lower case
};

}  // namespace durabled::daemon
