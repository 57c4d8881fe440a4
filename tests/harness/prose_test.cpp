// The documents' lines are short enough to be read beside code.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"

namespace durabled::test {
namespace {

namespace fs = std::filesystem;

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Lines of prose of more than 110 columns. Code, tables, comments, links and the front matter of a skill may
// be longer.
std::vector<std::string> long_lines(const fs::path& file) {
  std::vector<std::string> found;
  std::ifstream in(file);
  bool code = false;
  bool front_matter = false;  // lines of YAML between two lines "---" at the top
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line == "---" && (number == 1 || front_matter)) front_matter = !front_matter;
    if (front_matter) continue;
    const auto begin = line.find_first_not_of(' ');
    const std::string text = begin == std::string::npos ? "" : line.substr(begin);
    if (text.starts_with("```")) code = !code;
    const bool is_unbreakable = text.find("](") != std::string::npos || text.find('`') != std::string::npos;
    if (code || text.starts_with("|") || text.starts_with("<!--") || is_unbreakable || columns(line) <= 110)
      continue;
    found.push_back(fs::relative(file, kSourceDirectory).string() + ':' + std::to_string(number));
  }
  return found;
}

}  // namespace

TEST_CASE("lines of the documents have at most 110 columns") {
  const fs::path root = kSourceDirectory;
  std::vector<std::string> found = long_lines(root / "README.md");
  int documents = 0;
  for (const char* folder : {"docs", "examples"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".md") continue;
      ++documents;
      for (std::string& line : long_lines(entry.path())) found.push_back(std::move(line));
    }
  }
  CHECK(documents > 20);
  CHECK(found == std::vector<std::string>{});
}

}  // namespace durabled::test
