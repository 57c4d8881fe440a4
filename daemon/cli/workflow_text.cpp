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
#include "dsl/graph/bounded_json.hpp"

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

namespace {

std::string read_file(const std::string& name, const std::string& what) {
  std::ostringstream text;
  if (name == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  if (std::filesystem::is_directory(name))
    throw CommandError(ExitCode::kFailed, name + ": is a directory; expected a file with " + what);
  std::ifstream in(name, std::ios::binary);
  if (in) text << in.rdbuf();
  // An empty file sets failbit on `text`, which is not an error of reading.
  if (!in || in.bad()) throw CommandError(ExitCode::kFailed, name + ": " + std::strerror(errno));
  return text.str();
}

}  // namespace

std::string read_workflow(const WorkflowSource& source) {
  if (source.file.empty() != source.text.has_value()) {
    throw CommandError(ExitCode::kUsage, "give the workflow either as a FILE or with -e TEXT");
  }
  return source.text ? *source.text : read_file(source.file, "a workflow");
}

std::string read_input(const std::string& option) {
  constexpr std::size_t kDepth = 1'000;
  const std::size_t first = option.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && (option[first] == '{' || option[first] == '[');
  std::string text = is_json ? option : read_file(option, "a JSON object");
  const auto value = dsl::parse_json(text, kDepth);
  if (!value) throw CommandError(ExitCode::kUsage, "--input: " + value.error().message);
  if (!value->is_object()) {
    throw CommandError(ExitCode::kUsage, "--input: expected a JSON object such as {\"name\": 1}, found " +
                                             std::string(dsl::json_kind_name(*value)));
  }
  return text;
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
