// config/durabled.yaml is documentation: it must hold every key, with its default, and say which ones a
// reload applies.
#include <fstream>

#include "config/keys.hpp"
#include "config/loader.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"

using namespace durabled::config;

namespace {

const std::string kFile = std::string(durabled::test::kSourceDirectory) + "/config/durabled.yaml";

std::vector<std::string> lines_of_file() {
  std::ifstream in(kFile);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The number of the line, from 1, that `origin` ("…/durabled.yaml:12") names.
std::size_t line_number(const std::string& origin) {
  return std::stoul(origin.substr(origin.rfind(':') + 1));
}

// The comment lines right above line `number`, joined.
std::string comment_above(const std::vector<std::string>& lines, std::size_t number) {
  std::string comment;
  for (std::size_t i = number - 1; i-- > 0;) {
    const auto text = lines[i].find_first_not_of(' ');
    if (text == std::string::npos || lines[i][text] != '#') break;
    comment = lines[i].substr(text) + "\n" + comment;
  }
  return comment;
}

}  // namespace

TEST_CASE("config/durabled.yaml holds every key with exactly its default", "[S5.4]") {
  const Loaded loaded = load({.file = kFile});
  const auto lines = lines_of_file();
  for (const auto& key : keys()) {
    INFO(key.path);
    REQUIRE(loaded.origin.contains(key.path));
    const std::string text = key.print(Config{});
    CHECK(key.print(loaded.config) == text);
    const std::string& line = lines.at(line_number(loaded.origin.at(key.path)) - 1);
    CHECK(line.substr(line.find(':') + 2) == (text.empty() ? "\"\"" : text));
  }
}

TEST_CASE("config/durabled.yaml explains every key and marks the reloadable ones", "[S5.4]") {
  const Loaded loaded = load({.file = kFile});
  const auto lines = lines_of_file();
  for (const auto& key : keys()) {
    INFO(key.path);
    REQUIRE(loaded.origin.contains(key.path));
    const std::string comment = comment_above(lines, line_number(loaded.origin.at(key.path)));
    CHECK_FALSE(comment.empty());
    CHECK((comment.rfind("# [reload]", 0) == 0) == key.reloadable);
  }
}

TEST_CASE("config/durabled.yaml keeps the order of the table") {
  const Loaded loaded = load({.file = kFile});
  std::size_t before = 0;
  for (const auto& key : keys()) {
    INFO(key.path);
    const std::size_t line = line_number(loaded.origin.at(key.path));
    CHECK(line > before);
    before = line;
  }
}
