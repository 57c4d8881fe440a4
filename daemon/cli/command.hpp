// What the subcommands share: exit codes, the options common to all, and the way from a parsed command line
// to what is then done.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace durabled::daemon::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kUnreachable = 3,     // the database cannot be reached
  kNotFound = 4,        // no such instance, or not this role's
  kInstanceFailed = 5,  // it was waited for, and it failed or was cancelled
  kTimedOut = 6,        // it was waited for, and the time ran out first
  kInterrupted = 130,   // by Ctrl-C, as a shell has it
};

// Ends the command with a message on stderr.
class CommandError : public std::runtime_error {
 public:
  CommandError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// One command line. The parser fills it in; `action` is what the chosen subcommand does, called after the
// parse.
struct Invocation {
  std::string program = "durabled";  // how to call this program again
  std::string database;              // --database; empty: see conninfo()
  bool json = false;
  std::function<ExitCode()> action;

  // --database, else $DURABLED_DATABASE, else $DATABASE_URL, else "" (libpq's own environment).
  std::string conninfo() const;
};

// A subcommand with its help; `examples` are lines without indentation.
CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& examples);
void add_database_option(CLI::App& command, Invocation& invocation);
void add_json_option(CLI::App& command, Invocation& invocation);
void add_id_argument(CLI::App& command, std::string& id);
// What `command` does when it is the one that was given.
void set_action(CLI::App& command, Invocation& invocation, std::function<ExitCode()> action);

// The groups of subcommands, one file each. Options live as long as the app that they are added to.
void add_schema_commands(CLI::App& app, Invocation& invocation);    // init upgrade uninstall
void add_service_commands(CLI::App& app, Invocation& invocation);   // run dev
void add_workflow_commands(CLI::App& app, Invocation& invocation);  // submit check
void add_inspect_commands(CLI::App& app, Invocation& invocation);   // list show history
void add_logs_command(CLI::App& app, Invocation& invocation);
void add_control_commands(CLI::App& app, Invocation& invocation);  // cancel pause resume signal rerun
void add_report_commands(CLI::App& app, Invocation& invocation);   // workers waiting metrics prune
void add_pipelines_command(CLI::App& app, Invocation& invocation);
void add_doctor_command(CLI::App& app, Invocation& invocation);
void add_ui_command(CLI::App& app, Invocation& invocation);
void add_mcp_command(CLI::App& app, Invocation& invocation);
void add_docs_commands(CLI::App& app, Invocation& invocation);  // docs skill

}  // namespace durabled::daemon::cli
