// What tests of the command line without a daemon begin with.
#pragma once

#include <set>

#include "tests/e2e/cli_run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

// A database with the schema and an ordinary role that may use it.
struct CliFixture {
  TestDatabase database = fresh_database();
  std::string app = admit();

  std::string admit() {
    database.server().create_role("cli_app");
    Sql(database.conninfo()).exec("select df.grant_usage('cli_app')");
    return database.conninfo("cli_app");
  }
  CliOutcome run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--database", app});
    return cli(arguments, {}, input);
  }
  std::string submit(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "submit");
    const CliOutcome outcome = run(arguments);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome.out.substr(0, outcome.out.find('\n'));
  }
  Sql sql() { return Sql(database.conninfo()); }
};

inline std::set<std::string> keys(const boost::json::value& object) {
  std::set<std::string> all;
  for (const auto& entry : object.as_object()) all.emplace(entry.key());
  return all;
}

}  // namespace durabled::test
