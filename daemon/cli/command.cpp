#include "daemon/cli/command.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "daemon/cli/printable.hpp"
#include "store/conninfo.hpp"
#include "store/quiet_login.hpp"

namespace durabled::daemon::cli {

std::string Invocation::conninfo() const {
  std::string given = database, from = "--database";
  for (const char* name : {"DURABLED_DATABASE", "DATABASE_URL"}) {
    const char* value = std::getenv(name);
    if (given.empty() && value != nullptr) {
      given = value;
      from = name;
    }
  }
  if (const std::string problem = store::conninfo_problem(given); !problem.empty())
    throw CommandError(ExitCode::kUsage, from + ' ' + problem);
  const store::QuietLogin login = store::quiet_login(given, false);
  static bool told = false;
  if (login.warning && !std::exchange(told, true))
    std::cerr << "warning: " << printable(*login.warning) << '\n';
  return login.conninfo;
}

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& examples) {
  CLI::App& command = *app.add_subcommand(name, description);
  std::string footer = "Examples:\n  ";
  for (const char c : examples) footer += c == '\n' ? std::string("\n  ") : std::string(1, c);
  command.footer(footer);
  return command;
}

void add_database_option(CLI::App& command, Invocation& invocation) {
  command.add_option("-d,--database", invocation.database, "URI or conninfo string of the database")
      ->type_name("URI");
}

void add_json_option(CLI::App& command, Invocation& invocation) {
  command.add_flag("--json", invocation.json, "Print JSON, for programs");
}

void add_id_argument(CLI::App& command, std::string& id) {
  command.add_option("id", id, "The instance")->required()->type_name("ID");
}

void set_action(CLI::App& command, Invocation& invocation, std::function<ExitCode()> action) {
  command.callback([&invocation, action = std::move(action)] { invocation.action = action; });
}

}  // namespace durabled::daemon::cli
