#include "daemon/cli/app.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "config/keys.hpp"
#include "config/loader.hpp"
#include "daemon/cli/address_hint.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/printable.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon::cli {
namespace {

constexpr const char* kFooter =
    R"(Where the database is: --database (a URI or conninfo string), else $DURABLED_DATABASE, else $DATABASE_URL, else
libpq's own environment (PGHOST, PGSERVICE, the passfile, …), as in psql.

Exit codes:
  0  ok
  1  failed; the reason is on stderr
  2  wrong usage, a configuration that cannot be used, or a workflow that check refuses
  3  the database cannot be reached
  4  no such instance, or not one of yours
  5  the instance that was waited for failed or was cancelled
  6  the time ran out before the instance that was waited for had ended

Examples:
  durabled dev                                     a private Postgres with the schema and a daemon, in this folder
  durabled check flow.df                           what a workflow looks like, and what is wrong with it
  durabled submit -e "'SELECT 1' ~> 'SELECT 2'" --wait
  durabled submit - --wait <<'END'                 quoted like this, so that the shell leaves every $ alone
    'SELECT 41 AS n' |=> 'x' ~> 'SELECT $x + 1 AS answer'
  END
  durabled list --status failed
  durabled show 4k2m9xpq

Every command has --help with examples.)";

void add_completion_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "completion", "Print a completion script for bash, zsh or fish",
                                  "source <(durabled completion bash)\n"
                                  "durabled completion zsh > \"${fpath[1]}/_durabled\"\n"
                                  "durabled completion fish > ~/.config/fish/completions/durabled.fish");
  auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  set_action(command, invocation, [&app, shell] {
    std::cout << completion_script(app, *shell);
    return ExitCode::kOk;
  });
}

void add_manual_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "manual", "Print the manual page of the program or of a command",
                                  "durabled manual submit | man -l -\n"
                                  "durabled manual --directory ~/.local/share/man/man1");
  struct Options {
    std::string command, directory;
  };
  auto options = std::make_shared<Options>();
  command.add_option("command", options->command, "A command; the program itself by default");
  command
      .add_option("--directory", options->directory,
                  "Write the pages of all commands into this directory instead")
      ->type_name("DIR")
      ->excludes("command");
  set_action(command, invocation, [&app, options] {
    if (!options->directory.empty()) {
      write_manual(app, options->directory);
      return ExitCode::kOk;
    }
    const CLI::App* shown = nullptr;
    if (!options->command.empty()) {
      const auto found =
          app.get_subcommands([&](const CLI::App* one) { return one->get_name() == options->command; });
      if (found.empty()) throw CommandError(ExitCode::kUsage, "unknown command '" + options->command + "'");
      shown = found.front();
    }
    std::cout << manual_page(app, shown);
    return ExitCode::kOk;
  });
}

ExitCode perform(const Invocation& invocation) {
  try {
    const ExitCode code = invocation.action();
    std::cout.flush();
    if (!std::cout) throw CommandError(ExitCode::kFailed, "the output could not be written");
    return code;
  } catch (const CommandError& error) {
    return report(invocation.json, error.code(), error.what());
  } catch (const store::StoreError& error) {
    const ExitCode code = exit_code(error);
    const std::string hint = code == ExitCode::kUnreachable ? address_hint(invocation) : "";
    return report(invocation.json, code, explain(error) + hint);
  } catch (const config::ConfigError& error) {
    return report(invocation.json, ExitCode::kUsage, error.what());
  } catch (const std::exception& error) {
    return report(invocation.json, ExitCode::kFailed, error.what());
  }
}

// CLI11 has exit codes of its own; help and version are not errors.
int usage_exit(const CLI::App& app, const CLI::ParseError& error, const std::string& program, bool json) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const auto chosen = app.get_subcommands();
  const std::string command = chosen.empty() ? "" : chosen.front()->get_name() + " ";
  return static_cast<int>(report(json, ExitCode::kUsage,
                                 std::string(error.what()) + "\nTry: " + program + ' ' + command + "--help"));
}

// For errors of a command line that is not parsed.
bool wants_json(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
}

// "durabled" where that is found in PATH and is this program, else as it was called.
std::string program_name(const std::string& called) {
  std::error_code none;
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string entry; std::getline(path, entry, ':');) {
    const auto found = std::filesystem::path(entry) / "durabled";
    if (access(found.c_str(), X_OK) != 0) continue;
    return std::filesystem::equivalent(found, "/proc/self/exe", none) ? "durabled" : called;
  }
  return called;
}

// CLI11 would say only that a subcommand is missing.
std::string unknown_command(const CLI::App& app, const std::string& program, int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "-";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  if (word.starts_with('-') || std::find(names.begin(), names.end(), word) != names.end()) return "";
  // What other programs call it.
  static const std::map<std::string, std::string> kElsewhere = {{"status", "show"},
                                                                {"ps", "list"},
                                                                {"ls", "list"},
                                                                {"start", "submit, or run for the daemon"},
                                                                {"stop", "cancel"},
                                                                {"history", "logs"},
                                                                {"run-workflow", "submit"},
                                                                {"serve", "run"},
                                                                {"web", "ui"},
                                                                {"retry", "rerun"},
                                                                {"migrate", "upgrade"}};
  const auto other = kElsewhere.find(word);
  const std::string near = other != kElsewhere.end() ? other->second : config::closest_word(word, names);
  return "unknown command '" + word + "'" + (near.empty() ? "" : "; did you mean " + near + "?") +
         "\nTry: " + program + " --help";
}

}  // namespace

void add_commands(CLI::App& app, Invocation& invocation) {
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("durabled ") + DURABLED_VERSION);
  app.require_subcommand(1);
  add_database_option(app, invocation);
  add_service_commands(app, invocation);
  add_schema_commands(app, invocation);
  add_workflow_commands(app, invocation);
  add_inspect_commands(app, invocation);
  add_logs_command(app, invocation);
  add_control_commands(app, invocation);
  add_report_commands(app, invocation);
  add_pipelines_command(app, invocation);
  add_doctor_command(app, invocation);
  add_ui_command(app, invocation);
  add_docs_commands(app, invocation);
  add_mcp_command(app, invocation);
  add_completion_command(app, invocation);
  add_manual_command(app, invocation);
}

Captured run_captured(const std::vector<std::string>& words, const std::string& database) {
  std::ostringstream out, err;
  std::streambuf* const outer_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const outer_err = std::cerr.rdbuf(err.rdbuf());
  Captured result;
  {
    const PrintableOutput printable_out(std::cout), printable_err(std::cerr);
    Invocation invocation;
    CLI::App app("", "durabled");
    add_commands(app, invocation);
    try {
      app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      invocation.database = database;
      result.code = perform(invocation);
    } catch (const CLI::ParseError& error) {
      result.code = report(false, ExitCode::kUsage, error.what());
    }
  }
  std::cout.rdbuf(outer_out);
  std::cerr.rdbuf(outer_err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

int run(int argc, char** argv) {
  // What is piped reaches a terminal too, by way of grep or head. JSON has escapes of its own.
  const bool escapes_itself = wants_json(argc, argv);
  std::optional<PrintableOutput> out, err;
  if (!escapes_itself || isatty(STDOUT_FILENO) == 1) out.emplace(std::cout);
  if (!escapes_itself || isatty(STDERR_FILENO) == 1) err.emplace(std::cerr);
  Invocation invocation;
  if (argc > 0) invocation.program = program_name(argv[0]);
  CLI::App app("Durable workflows in SQL, for any PostgreSQL", "durabled");
  add_commands(app, invocation);
  if (const std::string problem = unknown_command(app, invocation.program, argc, argv); !problem.empty()) {
    return static_cast<int>(report(wants_json(argc, argv), ExitCode::kUsage, problem));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_exit(app, error, invocation.program, wants_json(argc, argv));
  }
  // Nobody waits for ever for a host that does not answer; libpq by default waits without a limit.
  constexpr int kKeepGiven = 0;
  setenv("PGCONNECT_TIMEOUT", "10", kKeepGiven);
  return static_cast<int>(perform(invocation));
}

}  // namespace durabled::daemon::cli
