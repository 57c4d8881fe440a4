// docs/contract-map.md lists the rules, and the tests that hold a rule carry its number as a tag. Both must
// agree: no rule without a test, no tag without a rule.
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

const std::filesystem::path kSource = kSourceDirectory;

// Rule -> where its tests are, for messages.
using Tags = std::map<std::string, std::string>;

// Adds the rules that the tags of the test cases in `source` name.
void add_tags(Tags& tags, const std::string& source, const std::string& where) {
  static const std::regex test(R"re(TEST_CASE\(\s*(?:"(?:[^"\\]|\\.)*"\s*)+,\s*"((?:\[[^\]]*\])+)"\s*\))re");
  static const std::regex rule(R"re(\[([LS]\d+\.\d+[a-z]?)\])re");
  for (std::sregex_iterator at(source.begin(), source.end(), test), end; at != end; ++at) {
    const std::string list = (*at)[1];
    for (std::sregex_iterator tag(list.begin(), list.end(), rule); tag != end; ++tag) tags[(*tag)[1]] = where;
  }
}

Tags tags_of_all_tests() {
  Tags tags;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSource / "tests")) {
    if (entry.path().extension() == ".cpp") add_tags(tags, read_file(entry.path()), entry.path().string());
  }
  return tags;
}

// What is wrong with the map, one line for each fault.
std::string faults(const std::string& map, const Tags& tags) {
  static const std::regex row(R"re(\| ([LS]\d+\.\d+[a-z]?) \| (.+) \|)re");
  std::string wrong;
  std::set<std::string> rules;
  std::istringstream lines(map);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| L") && !line.starts_with("| S")) continue;
    std::smatch cells;
    if (!std::regex_match(line, cells, row)) {
      wrong += "not of the form | number | rule |: " + line + "\n";
    } else if (!rules.insert(cells[1]).second) {
      wrong += cells[1].str() + " is there twice\n";
    } else if (!tags.contains(cells[1])) {
      wrong += cells[1].str() + ": no test has the tag [" + cells[1].str() + "]\n";
    }
  }
  for (const auto& [rule, where] : tags) {
    if (!rules.contains(rule)) wrong += where + ": the tag [" + rule + "] names no rule\n";
  }
  if (rules.empty()) wrong += "no rules\n";
  return wrong;
}

}  // namespace

TEST_CASE("each rule of the contract map has a test, and each tag names a rule") {
  CHECK(faults(read_file(kSource / "docs/contract-map.md"), tags_of_all_tests()) == "");
}

TEST_CASE("faults of a contract map are reported line by line") {
  Tags tags;
  // Split, so that this file itself does not carry the tag.
  add_tags(tags, std::string("TEST_") + "CASE(\"a \\\"b\\\" \"\n    \"c\",\n \"[smoke][L1.1]\") {}\n",
           "a.cpp");
  CHECK(tags == Tags{{"L1.1", "a.cpp"}});
  CHECK(faults("| L1.1 | Text, `a | b` |\n", tags) == "");
  CHECK(faults("| L1.1 | Text |\n| L1.1 | More |\n", tags) == "L1.1 is there twice\n");
  CHECK(faults("| L1.1 | Text |\n| S1.1 | More |\n", tags) == "S1.1: no test has the tag [S1.1]\n");
  CHECK(faults("| S1.1 | Text |\n", {{"S1.1", "b.cpp"}, {"L1.1", "a.cpp"}}) ==
        "a.cpp: the tag [L1.1] names no rule\n");
  CHECK(faults("| L1.1 |\n", tags).starts_with("not of the form | number | rule |"));
  CHECK(faults("", {}) == "no rules\n");
}
