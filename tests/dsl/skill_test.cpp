// What the skill for assistants (docs/skill) claims about the language, against the parser.
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

using namespace dsl;
namespace fs = std::filesystem;

const fs::path kDocs = fs::path(kSourceDirectory) / "docs";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string skill() {
  return read_file(kDocs / "skill/SKILL.md");
}

std::vector<fs::path> pages() {
  std::vector<fs::path> all{kDocs / "llms.txt", kDocs / "assistants.md"};
  for (const auto& entry : fs::recursive_directory_iterator(kDocs / "skill")) {
    if (entry.path().extension() == ".md") all.push_back(entry.path());
  }
  return all;
}

// The cells of a row of a table, whose '|' are written as "\|"; without the backquotes around a whole cell.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (std::size_t i = 1; i + 1 < line.size(); ++i) {
    if (line[i] == '\\' && line[i + 1] == '|') {
      cells.back() += line[++i];
    } else if (line[i] == '|') {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  for (std::string& cell : cells) {
    cell.erase(0, cell.find_first_not_of(' '));
    cell.erase(cell.find_last_not_of(' ') + 1);
    if (cell.size() > 1 && cell.front() == '`' && cell.back() == '`') cell = cell.substr(1, cell.size() - 2);
  }
  return cells;
}

// The rows of the table below a heading, without its head.
std::vector<std::vector<std::string>> table_below(const std::string& page, const std::string& heading) {
  std::vector<std::vector<std::string>> rows;
  bool is_inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with("## ")) is_inside = line == heading;
    if (is_inside && line.starts_with("|")) rows.push_back(cells_of(line));
  }
  REQUIRE(rows.size() > 2);
  rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

// All that the parser says about a text.
std::string diagnostics(const std::string& text) {
  const auto workflow = parse_workflow(text, {});
  if (!workflow) return workflow.error().message + "\n" + workflow.error().hint;
  std::string all;
  for (const auto* list : {&workflow->warnings, &workflow->notes}) {
    for (const Diagnostic& each : *list) all += each.message + "\n" + each.hint + "\n";
  }
  return all;
}

// The names that the parser's table has.
std::set<std::string> known_functions() {
  const std::string hint = parse_error("df.frobnicate()").hint;
  const std::string begin = "the functions are df.";
  REQUIRE(hint.starts_with(begin));
  std::set<std::string> names;
  std::istringstream in(hint.substr(begin.size()));
  for (std::string name; in >> name;) {
    if (name.ends_with(',')) name.pop_back();
    names.insert(name);
  }
  return names;
}

std::set<std::string> all_matches(const std::string& text, const char* pattern) {
  std::set<std::string> found;
  const std::regex expression(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

// "a, b, c" of "it is df.f(a, b, c)".
std::string parameters_of(const std::string& name) {
  std::string call = "df." + name + "('A'";
  for (int i = 0; i < 30; ++i) call += ", 'A'";
  const std::string hint = parse_error(call + ")").hint, begin = "it is df." + name + "(";
  INFO(hint);
  REQUIRE(hint.starts_with(begin));
  return std::regex_replace(hint.substr(begin.size(), hint.rfind(')') - begin.size()), std::regex(R"(\[|\])"),
                            "");
}

}  // namespace

TEST_CASE("every row of the skill's table of mistakes gives its text") {
  const auto rows = table_below(skill(), "## Mistakes");
  CHECK(rows.size() >= 25);
  for (const auto& row : rows) {
    REQUIRE(row.size() == 3);
    INFO(row[0]);
    CHECK_THAT(diagnostics(row[0]), ContainsSubstring(row[1]));
  }
}

TEST_CASE("the skill names every function that the parser knows, with its parameters, and no other") {
  const std::string page = skill();
  std::set<std::string> named;
  for (const auto& row : table_below(page, "## Signatures")) {
    static const std::regex signature(R"(df\.([a-z_0-9]+)\(([^`]*)\))");
    for (std::sregex_iterator at(row[0].begin(), row[0].end(), signature), end; at != end; ++at) {
      const std::string name = (*at)[1];
      INFO(name);
      named.insert(name);
      const std::string parameters =
          std::regex_replace((*at)[2].str(), std::regex(" = ('[^']*'|[A-Za-z0-9]+)"), "");
      if (parameters.find("…") == std::string::npos && name != "start")
        CHECK(parameters == parameters_of(name));
    }
  }
  CHECK(named == known_functions());
  // Functions that are called from SQL, and not of a workflow.
  const std::set<std::string> of_sql = {"status",  "result",         "error",       "signal",
                                        "cancel",  "await_instance", "explain",     "setvar",
                                        "submit",  "list_instances", "grant_usage", "grant_signal",
                                        "waiting", "history",        "set_limit"};
  for (const fs::path& path : pages()) {
    INFO(path);
    for (const std::string& name : all_matches(read_file(path), R"(\bdf\.([a-z_0-9]+)\()")) {
      INFO("df." << name);
      const bool is_mistake = name == "foreach";
      CHECK((named.contains(name) || of_sql.contains(name) || is_mistake));
    }
  }
}

TEST_CASE("the blocks of the skill and the pages beside it are read without an error and without a warning") {
  for (const fs::path& path : pages()) {
    std::string block;
    bool is_inside = false;
    for (const std::string& line : lines_of(read_file(path))) {
      if (is_inside && line == "```") {
        INFO(path << "\n" << block);
        CHECK(parse(block).warnings.empty());
        is_inside = false;
      } else if (is_inside) {
        block += line + "\n";
      } else if (line == "```df") {
        is_inside = true;
        block.clear();
      }
    }
    CHECK_FALSE(is_inside);
  }
}

TEST_CASE("the skill keeps to the limits of the convention of agent skills") {
  const std::string page = skill();
  const auto lines = lines_of(page);
  REQUIRE(lines.size() > 4);
  CHECK(lines[0] == "---");
  CHECK(lines[1] == "name: durabled");
  REQUIRE(lines[2].starts_with("description: "));
  const std::string description = lines[2].substr(13);
  CHECK(description.size() <= 1'024);
  CHECK(description.find(": ") == std::string::npos);  // it would be a mapping in YAML
  CHECK(lines[3] == "---");
  CHECK(page.size() <= 20'000);
  CHECK(lines.size() <= 500);
  CHECK(read_file(kDocs / "skill/agents.md").size() <= 2'048);
}

TEST_CASE("every link of the skill and the pages beside it leads to a file") {
  int count = 0;
  for (const fs::path& path : pages()) {
    for (const std::string& link : all_matches(read_file(path), R"(\]\(([^)#]+)[^)]*\))")) {
      if (link.starts_with("https://")) continue;
      INFO(path << ": " << link);
      CHECK(fs::exists(path.parent_path() / link));
      ++count;
    }
  }
  CHECK(count >= 15);
}

}  // namespace durabled::test
