// docs/contract-map.md names the tests that hold each rule: every name in it must be a test's.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

const std::filesystem::path kSource = DURABLED_SOURCE_DIR;

std::string unescaped(const std::string& literals) {
  std::string text;
  bool inside = false;
  for (std::size_t i = 0; i < literals.size(); ++i) {
    if (literals[i] == '"') {
      inside = !inside;
    } else if (inside) {
      if (literals[i] == '\\') ++i;
      text += literals[i];
    }
  }
  return text;
}

// The names of the test cases in a source; adjacent literals are one name.
std::set<std::string> test_names(const std::string& source) {
  static const std::regex pattern(R"re(TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+))re");
  std::set<std::string> names;
  for (std::sregex_iterator match(source.begin(), source.end(), pattern), end; match != end; ++match)
    names.insert(unescaped((*match)[1]));
  return names;
}

// "room/file" -> names, where the file is tests/room/file.cpp or tests/room/file_test.cpp.
const std::set<std::string>& tests_of(const std::string& place) {
  static std::map<std::string, std::set<std::string>> known;
  if (const auto found = known.find(place); found != known.end()) return found->second;
  std::set<std::string> names;
  for (const char* ending : {".cpp", "_test.cpp"}) {
    const auto file = kSource / "tests" / (place + ending);
    if (std::filesystem::exists(file)) names.merge(test_names(read_file(file)));
  }
  return known[place] = std::move(names);
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.find(separator, begin)) != std::string::npos;
       begin = at + separator.size())
    parts.push_back(text.substr(begin, at - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

// What is wrong with the map, a line each.
std::string faults(const std::string& map) {
  static const std::regex row(R"re(\| ([LS]\d+\.\d+[a-z]?) \| (.+) \| (.+) \|)re");
  static const std::regex entry(R"re(`([a-z0-9_]+/[a-z0-9_]+)`: (.+))re");
  std::string wrong;
  std::set<std::string> rules;
  std::istringstream lines(map);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| L") && !line.starts_with("| S")) continue;
    std::smatch cells;
    if (!std::regex_match(line, cells, row)) {
      wrong += "not of the form | rule | text | tests |: " + line + "\n";
      continue;
    }
    const std::string rule = cells[1], tests = cells[3];
    if (!rules.insert(rule).second) wrong += rule + " is there twice\n";
    for (const std::string& test : split(tests, "<br>")) {
      std::smatch parts;
      if (!std::regex_match(test, parts, entry))
        wrong += rule + ": not of the form `room/file`: name: " + test + "\n";
      else if (!tests_of(parts[1]).contains(parts[2]))
        wrong += rule + ": no such test: " + test + "\n";
    }
  }
  if (rules.empty()) wrong += "no rules\n";
  return wrong;
}

}  // namespace

TEST_CASE("every test that the contract map names is there") {
  CHECK(faults(read_file(kSource / "docs/contract-map.md")) == "");
}

TEST_CASE("a contract map that names what is not there is told of, line by line") {
  const std::string good = "`harness/contract_map`: every test that the contract map names is there";
  CHECK(faults("| L1.1 | Text, `a | b` | " + good + "<br>" + good + " |\n") == "");
  CHECK(faults("| L1.1 | Text | " + good + ". |\n") == "L1.1: no such test: " + good + ".\n");
  CHECK(faults("| L1.1 | Text | `harness/nothing`: " + good + " |\n") ==
        "L1.1: no such test: `harness/nothing`: " + good + "\n");
  CHECK(faults("| S1.1 | Text | " + good + "<br> |\n") == "S1.1: not of the form `room/file`: name: \n");
  CHECK(faults("| L1.1 | Text | " + good + " |\n| L1.1 | More | " + good + " |\n") ==
        "L1.1 is there twice\n");
  CHECK_THAT(faults("| L1.1 | Text |\n"), ContainsSubstring("not of the form | rule"));
  CHECK(faults("") == "no rules\n");
  CHECK(test_names("TEST_CASE(\n    \"a \\\"b\\\" \"\n    \"c\",\n \"[tag]\") {}\nTEST_CASE(\"d\")") ==
        std::set<std::string>{"a \"b\" c", "d"});
}
