// durabled mcp: the tools of daemon/mcp/ over stdin and stdout.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "daemon/cli/app.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/mcp/server.hpp"

namespace durabled::daemon::cli {
namespace {

// Reads up to the line feed, which is left out. What is longer than `most` is passed over and `is_too_long`; false: the
// end of the input.
bool read_line(std::string& line, std::size_t most, bool& is_too_long) {
  line.clear();
  is_too_long = false;
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c == '\n') return true;
    if (line.size() == most) is_too_long = true;
    if (!is_too_long) line += static_cast<char>(c);
  }
  return !line.empty();
}

// Past std::cout, which does not let every character of a JSON text through.
void write_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  if (std::fflush(stdout) != 0) throw CommandError(ExitCode::kFailed, "the output could not be written");
}

ExitCode serve(const Invocation& invocation, const std::vector<std::string>& allowed) {
  const auto run = [&invocation](const mcp::CommandLine& words) {
    // Of these two --database means something else, or nothing.
    const bool needs_database = words[0] != "check" && words[0] != "docs";
    Captured captured = run_captured(words, needs_database ? invocation.database : "");
    return mcp::Printed{std::move(captured.out), std::move(captured.err)};
  };
  mcp::Server server(run, {allowed.begin(), allowed.end()});
  std::string line;
  for (bool is_too_long = false; read_line(line, mcp::kMaxLine, is_too_long);) {
    if (is_too_long) {
      write_line(mcp::Server::too_long());
    } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
      if (const auto answer = server.answer(line)) write_line(*answer);
    }
  }
  return ExitCode::kOk;
}

}  // namespace

void add_mcp_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      add_command(app, "mcp", "Serve tools for assistants over stdin and stdout (Model Context Protocol)",
                  "durabled mcp --database postgresql://reader@db1/app     # reads only\n"
                  "durabled mcp --allow submit,signal\n\n"
                  "Tools: check, docs, list, show, waiting, doctor; with --allow also submit, signal, steer\n"
                  "(cancel, pause, resume) and redrive. What they see and may do is what the role of the\n"
                  "connection does.");
  auto allowed = std::make_shared<std::vector<std::string>>();
  command.add_option("--allow", *allowed, "Tools that change something: submit, signal, steer, redrive")
      ->type_name("TOOL,…")
      ->delimiter(',')
      ->expected(1)
      ->take_all()
      ->check(CLI::IsMember(mcp::writing_tools()));
  add_database_option(command, invocation);
  set_action(command, invocation, [&invocation, allowed] { return serve(invocation, *allowed); });
}

}  // namespace durabled::daemon::cli
