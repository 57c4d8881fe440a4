// Bytes that nobody can guess, for passwords, keys and marks.
#pragma once

#include <cstddef>
#include <string>

namespace durabled::daemon {

// At most 256. Throws std::system_error when the kernel gives none.
std::string random_bytes(std::size_t count);
// The same in hexadecimal: twice as many digits.
std::string random_hex(std::size_t count);

}  // namespace durabled::daemon
