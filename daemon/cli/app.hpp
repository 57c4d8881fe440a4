// The command `durabled`: its subcommands, their options and help, and what each exits with.
#pragma once

#include <string>
#include <vector>

#include "daemon/cli/command.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace durabled::daemon::cli {

// The whole program behind main(). Never throws; returns an ExitCode. Blocks as long as the subcommand does.
int run(int argc, char** argv);

// What a subcommand prints, where another one runs it.
struct Captured {
  ExitCode code = ExitCode::kOk;
  std::string out, err;
};

// Runs one subcommand within this process, in place of what runs: `words` are its name and its arguments, `database` is
// used where the subcommand takes one and is empty for the environment's. Never throws. Not thread-safe: std::cout and
// std::cerr go elsewhere meanwhile.
Captured run_captured(const std::vector<std::string>& words, const std::string& database);

// Adds every subcommand to `app`. `invocation` must outlive the parse.
void add_commands(CLI::App& app, Invocation& invocation);

// A script for `shell` (bash, zsh, fish) that completes the subcommands and options of `app`.
// Throws CommandError (kUsage) for another shell.
std::string completion_script(const CLI::App& app, const std::string& shell);

// The manual page, in groff's man macros, of the program (`command` is null) or of one of its subcommands.
std::string manual_page(const CLI::App& app, const CLI::App* command);
// Writes all of them, durabled.1 and durabled-COMMAND.1, into a directory that is made where it is missing.
// Throws std::ios_base::failure or std::filesystem::filesystem_error.
void write_manual(const CLI::App& app, const std::string& directory);

}  // namespace durabled::daemon::cli
