#include "daemon/random_bytes.hpp"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace durabled::daemon {

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (getrandom(bytes.data(), count, 0) != static_cast<ssize_t>(count))
    throw std::system_error(errno, std::generic_category(), "getrandom");
  return bytes;
}

std::string random_hex(std::size_t count) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : random_bytes(count)) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace durabled::daemon
