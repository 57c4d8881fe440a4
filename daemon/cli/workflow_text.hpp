// The workflow that a command is given: from a file, from stdin, or on the command line; and its check,
// without a database.
#pragma once

#include <optional>
#include <string>

#include "dsl/text/parser.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace durabled::daemon::cli {

struct WorkflowSource {
  std::string file;                 // "-": stdin
  std::optional<std::string> text;  // -e
};

void add_workflow_options(CLI::App& command, WorkflowSource& source);

// Throws CommandError: kUsage unless exactly one of the two was given, kFailed when the file cannot be read.
std::string read_workflow(const WorkflowSource& source);

// What --input gives: a JSON object, or the file that holds one, - is stdin. Throws CommandError as read_workflow() does,
// and kUsage for what is not a JSON object.
std::string read_input(const std::string& option);

// The check of a client: it refuses what no daemon would take, whatever that one's limits are. `source` is where `text`
// came from, for hints.
Expected<dsl::ParsedWorkflow, dsl::Diagnostic> check_workflow(const std::string& text,
                                                              const WorkflowSource& source = {});

// For people; without line and column when it has no place.
std::string to_text(const dsl::Diagnostic& diagnostic);
// JSON of a diagnostic: severity, code, message, line, column, hint.
std::string to_json(const dsl::Diagnostic& diagnostic);

}  // namespace durabled::daemon::cli
