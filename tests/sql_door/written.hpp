// Files of the tree that the schema writes and the tests compare.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {

// With DURABLED_WRITE_REFERENCE in the environment it writes the file first.
inline void compare_with_file(const std::string& name, const std::string& made) {
  const auto file = std::filesystem::path(kSourceDirectory) / name;
  if (std::getenv("DURABLED_WRITE_REFERENCE") != nullptr) write_file(file, made);
  std::istringstream have(read_file(file)), want(made);
  int number = 0;
  for (std::string have_line, want_line; std::getline(want, want_line);) {
    std::getline(have, have_line);
    INFO("line " << ++number << " of " << name << "; ./dev reference writes it");
    REQUIRE(have_line == want_line);
  }
}

}  // namespace durabled::test
