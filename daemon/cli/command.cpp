#include "daemon/cli/command.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <utility>

namespace durabled::daemon::cli {

std::string Invocation::conninfo() const {
  if (!database.empty()) return database;
  const char* variable = std::getenv("DURABLED_DATABASE");
  return variable == nullptr ? "" : variable;
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
