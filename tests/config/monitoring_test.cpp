// The alerts, their tests, and the dashboard in config/monitoring.
#include <boost/json.hpp>
#include <cctype>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

const std::string kMonitoring = std::string(kSourceDirectory) + "/config/monitoring/";

// The exit code of promtool, and what it wrote.
std::pair<int, std::string> promtool(std::vector<std::string> arguments) {
  const TemporaryDirectory directory("durabled-promtool");
  std::vector<std::string> argv{"/usr/bin/promtool"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto log = directory.path() / "log";
  const auto code = ChildProcess({.argv = std::move(argv), .output = log}).wait();
  return {code.value_or(-1), read_file(log)};
}

}  // namespace

TEST_CASE("the alerts are valid, fire when they should, and do not when they should not") {
  const auto [rules_code, rules] = promtool({"check", "rules", kMonitoring + "durabled.rules.yml"});
  INFO(rules);
  CHECK(rules_code == 0);
  const auto [tests_code, tests] =
      promtool({"test", "rules", std::string(kSourceDirectory) + "/tests/config/durabled.rules.test.yml"});
  INFO(tests);
  CHECK(tests_code == 0);
}

TEST_CASE("every alert links to a heading of docs/operations.md and has a case in which it fires") {
  const std::string rules = read_file(kMonitoring + "durabled.rules.yml");
  const std::string operations = read_file(std::string(kSourceDirectory) + "/docs/operations.md");
  const std::string tests =
      read_file(std::string(kSourceDirectory) + "/tests/config/durabled.rules.test.yml");
  int alerts = 0;
  for (auto at = rules.find("- alert: "); at != rules.npos; at = rules.find("- alert: ", at + 1)) {
    const std::string name = rules.substr(at + 9, rules.find('\n', at) - at - 9);
    CAPTURE(name);
    std::string anchor = name;
    for (char& c : anchor) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    CHECK_THAT(rules, ContainsSubstring("runbook_url: docs/operations.md#" + anchor + "\n"));
    CHECK_THAT(operations, ContainsSubstring("\n#### " + name + "\n"));
    const auto line = rules.rfind('\n', at) + 1;
    const bool is_comment = rules.find('#', line) < at;  // the rule for a label is an example
    if (!is_comment) CHECK_THAT(tests, ContainsSubstring("alertname: " + name + "\n"));
    ++alerts;
  }
  CHECK(alerts == 11);
}

// The rules of Grafana's dashboard linter that concern a dashboard like this one.
TEST_CASE(
    "each panel of the dashboard has a title, a description, a unit and the data source that one chooses") {
  const auto dashboard = boost::json::parse(read_file(kMonitoring + "grafana.json")).as_object();
  std::set<std::string> variables;
  for (const auto& variable : dashboard.at("templating").at("list").as_array())
    variables.insert(std::string(variable.at("name").as_string()));
  CHECK(variables == std::set<std::string>{"datasource", "instance", "job"});
  std::set<std::int64_t> ids;
  for (const auto& panel : dashboard.at("panels").as_array()) {
    CHECK(ids.insert(panel.at("id").as_int64()).second);
    const std::string title(panel.at("title").as_string());
    CAPTURE(title);
    CHECK_FALSE(title.empty());
    if (panel.at("type") == "row") continue;
    CHECK_FALSE(panel.at("description").as_string().empty());
    CHECK_FALSE(panel.at("fieldConfig").at("defaults").at("unit").as_string().empty());
    for (const auto& target : panel.at("targets").as_array()) {
      CHECK(target.at("datasource").at("uid") == "${datasource}");
      const std::string expression(target.at("expr").as_string());
      CAPTURE(expression);
      CHECK_THAT(expression, ContainsSubstring("job=~\"$job\",instance=~\"$instance\""));
      if (expression.find("rate(") != expression.npos)
        CHECK_THAT(expression, ContainsSubstring("[$__rate_interval]"));
    }
  }
}

}  // namespace durabled::test
