// The workflows of tests/cases parse to the graphs they are meant to be.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"

namespace durabled::test {
namespace {

using namespace dsl;
namespace fs = std::filesystem;

const fs::path kCases = fs::path(kSourceDirectory) / "tests" / "cases";

ParsedWorkflow parse_case(const std::string& name) {
  std::ifstream file(kCases / name);
  REQUIRE(file);
  return parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace

TEST_CASE("every case parses, prints and reads back", "[L1.5]") {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(kCases)) {
    if (entry.path().extension() != ".df") continue;
    ++count;
    INFO(entry.path().filename().string());
    const ParsedWorkflow workflow = parse_case(entry.path().filename().string());
    // types.df passes a text with "$x" in it on purpose, sync.df is an endless loop without a df.catch, and approval.df
    // names a condition; every other case is free of warnings.
    const std::set<std::string> warned = {"types", "sync", "approval"};
    CHECK(workflow.warnings.size() == warned.count(entry.path().stem()));
    CHECK(workflow.errors.empty());
    CHECK(parse(print(workflow.graph)).graph == workflow.graph);
    const auto read = from_json(to_json(workflow.graph), {});
    CHECK((read && *read == workflow.graph));
  }
  CHECK(count >= 8);
}

TEST_CASE("the cases have the shapes they are meant to have") {
  CHECK(parse_case("dashboard.df").label == "refresh-dashboard");
  CHECK(print_tree(parse_case("dashboard.df").graph) ==
        "JOIN (3)\n"
        "  branch 1:\n    SQL: SELECT count(*) FROM users\n"
        "  branch 2:\n    SQL: SELECT count(*) FROM orders\n"
        "  branch 3:\n    SQL: SELECT sum(amount) FROM orders\n"
        "→ SQL: REFRESH MATERIALIZED VIEW metrics\n");
  CHECK(
      print_tree(parse_case("approval.df").graph) ==
      "IF\n"
      "  condition:\n    SQL |=> 'risky': SELECT amount > 10000 AS needs_review FROM invoices WHERE id = 42\n"
      "  then:\n    SIGNAL 'invoice-42'\n    → SQL: UPDATE invoices SET status = 'paid' WHERE id = 42\n"
      "  else:\n    SQL: UPDATE invoices SET status = 'paid' WHERE id = 42\n");
  CHECK(print_tree(parse_case("sync.df").graph) ==
        "LOOP\n  body:\n"
        "    HTTP GET {sync_url}/json |=> 'response'\n"
        "    → SQL: INSERT INTO external_data_sync (data) VALUES ($response::jsonb)\n"
        "    → WAIT '*/30 * * * *'\n");
}

}  // namespace durabled::test
