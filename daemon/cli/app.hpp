// The command `durabled`: its subcommands, their options and help, and what each exits with (SURFACE, "The
// command").
#pragma once

#include "daemon/cli/command.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace durabled::daemon::cli {

// The whole program behind main(). Never throws; returns an ExitCode. Blocks as long as the subcommand does.
int run(int argc, char** argv);

// Adds every subcommand to `app`. `invocation` must outlive the parse.
void add_commands(CLI::App& app, Invocation& invocation);

// A script for `shell` (bash, zsh, fish) that completes the subcommands and options of `app`.
// Throws CommandError (kUsage) for another shell.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace durabled::daemon::cli
