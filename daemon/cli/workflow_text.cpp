#include "daemon/cli/workflow_text.hpp"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>

#include "daemon/cli/command.hpp"
#include "daemon/cli/json_output.hpp"

namespace durabled::daemon::cli {

void add_workflow_options(CLI::App& command, WorkflowSource& source) {
  command.add_option("file", source.file, "A file with the workflow; - is stdin")->type_name("FILE");
  // An optional would take -e "" for no text.
  command
      .add_option_function<std::string>(
          "-e,--expression", [&source](const std::string& text) { source.text = text; },
          "The workflow itself")
      ->type_name("TEXT");
}

std::string read_workflow(const WorkflowSource& source) {
  if (source.file.empty() != source.text.has_value()) {
    throw CommandError(ExitCode::kUsage, "give the workflow either as a FILE or with -e TEXT");
  }
  if (source.text) return *source.text;
  std::ostringstream text;
  if (source.file == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  if (std::filesystem::is_directory(source.file))
    throw CommandError(ExitCode::kFailed, source.file + ": is a directory; expected a file with a workflow");
  std::ifstream in(source.file, std::ios::binary);
  if (in) text << in.rdbuf();
  // An empty file sets failbit on `text`, which is not an error of reading.
  if (!in || in.bad()) throw CommandError(ExitCode::kFailed, source.file + ": " + std::strerror(errno));
  return text.str();
}

Expected<dsl::ParsedWorkflow, dsl::Diagnostic> check_workflow(const std::string& text,
                                                              const WorkflowSource& source) {
  dsl::GraphLimits limits;
  limits.nodes = std::numeric_limits<int>::max();
  limits.text_bytes = std::size_t{16} << 20;  // the schema takes no more
  auto workflow = dsl::parse_workflow(text, limits);
  if (!workflow || !source.text) return workflow;
  for (dsl::Diagnostic& warning : workflow->warnings) {
    if (warning.code == "unused_name")
      warning.hint += "; within double quotes the shell replaces that: use a file, or - <<'EOF'";
  }
  return workflow;
}

std::string to_text(const dsl::Diagnostic& diagnostic) {
  if (!diagnostic.excerpt.empty()) return diagnostic.to_string();
  return diagnostic.message + (diagnostic.hint.empty() ? "" : "\nhint: " + diagnostic.hint);
}

std::string to_json(const dsl::Diagnostic& diagnostic) {
  using Severity = dsl::Diagnostic::Severity;
  return JsonObject()
      .text("severity", std::string(diagnostic.severity == Severity::kError     ? "error"
                                    : diagnostic.severity == Severity::kWarning ? "warning"
                                                                                : "note"))
      .text("code", diagnostic.code)
      .text("message", diagnostic.message)
      .number("line", static_cast<long long>(diagnostic.line))
      .number("column", static_cast<long long>(diagnostic.column))
      .text("excerpt", diagnostic.excerpt)
      .text("hint", diagnostic.hint)
      .text();
}

}  // namespace durabled::daemon::cli
