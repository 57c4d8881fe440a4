// Where the program under test and its sources are. Not macros for every file, because the compiler cache would then
// keep an object for each clone of the repository.
#pragma once

namespace durabled::test {

extern const char* const kBinary;           // build/durabled
extern const char* const kSourceDirectory;  // the root of the repository

}  // namespace durabled::test
