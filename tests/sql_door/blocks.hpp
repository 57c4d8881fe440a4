// Files of expressions: blocks of text with blank lines between, and comments.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"

namespace durabled::test {

// The blocks of tests/sql_door/NAME without those that begin with #.
inline std::vector<std::string> read_blocks(const std::string& name) {
  std::ifstream file(std::string(kSourceDirectory) + "/tests/sql_door/" + name);
  REQUIRE(file);
  std::vector<std::string> blocks;
  std::string block;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) {
      block += (block.empty() ? "" : "\n") + line;
      continue;
    }
    if (!block.empty() && !block.starts_with('#')) blocks.push_back(block);
    block.clear();
  }
  if (!block.empty() && !block.starts_with('#')) blocks.push_back(block);
  return blocks;
}

}  // namespace durabled::test
