#include "tests/support/paths.hpp"

namespace durabled::test {

const char* const kBinary = DURABLED_BINARY;
const char* const kSourceDirectory = DURABLED_SOURCE_DIR;

}  // namespace durabled::test
