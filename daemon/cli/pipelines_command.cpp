// durabled pipelines: what AI pipelines are doing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "daemon/cli/command.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"
#include "store/pipeline_reads.hpp"

namespace durabled::daemon::cli {
namespace {

struct Options {
  std::string what = "list", name, schema;
};

using Row = std::vector<std::optional<std::string>>;

std::string cell(const store::TextTable& table, const Row& row, const std::string& column) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), column);
  if (found == table.columns.end()) return "";
  return row[static_cast<std::size_t>(found - table.columns.begin())].value_or("");
}

std::string json(const store::TextTable& table, const Row& row) {
  JsonObject object;
  for (std::size_t i = 0; i < table.columns.size(); ++i) object.text(table.columns[i], row[i]);
  return object.text();
}

ExitCode print_json(const store::TextTable& table) {
  JsonList list;
  for (const Row& row : table.rows) list.add(json(table, row));
  std::cout << list.text() << '\n';
  return ExitCode::kOk;
}

Colour colour_of(const std::string& state) {
  if (state.starts_with("stopped")) return Colour::kRed;
  if (state.starts_with("waiting") || state == "paused") return Colour::kYellow;
  return Colour::kGreen;
}

ExitCode list(const Invocation& invocation, const Options& options) {
  const store::TextTable table = store::pipelines(invocation.conninfo(), options.schema);
  if (invocation.json) return print_json(table);
  Table shown({"NAME", "OWNER", "TRIGGER", "PUBLISHED", "WAITING", "FAILED", "STATE"});
  for (const Row& row : table.rows) {
    const std::string state = cell(table, row, "state");
    const std::string documents = cell(table, row, "documents");
    shown.add({{one_line(cell(table, row, "name"), 40)},
               {one_line(cell(table, row, "owner"), 32)},
               {cell(table, row, "trigger")},
               {documents.empty() ? "" : cell(table, row, "published") + " of " + documents},
               {cell(table, row, "waiting")},
               {cell(table, row, "failed")},
               {one_line(state, 2000), colour_of(state)}});
  }
  std::cout << shown.text();
  return ExitCode::kOk;
}

ExitCode status(const Invocation& invocation, const Options& options) {
  const store::TextTable table = store::pipeline_status(invocation.conninfo(), options.schema, options.name);
  if (invocation.json) return print_json(table);
  for (const Row& row : table.rows) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      std::string title = table.columns[i];
      title.resize(16, ' ');
      std::cout << title << one_line(row[i].value_or(""), 2000) << '\n';
    }
  }
  return ExitCode::kOk;
}

ExitCode failures(const Invocation& invocation, const Options& options) {
  const store::TextTable table =
      store::pipeline_failures(invocation.conninfo(), options.schema, options.name);
  if (invocation.json) return print_json(table);
  Table shown({"KEY", "ATTEMPTS", "SINCE", "ERROR"});
  for (const Row& row : table.rows) {
    shown.add({{one_line(cell(table, row, "key"), 60)},
               {cell(table, row, "attempts")},
               {cell(table, row, "failed_at")},
               {one_line(cell(table, row, "error"), 2000)}});
  }
  std::cout << shown.text();
  return ExitCode::kOk;
}

ExitCode show(const Invocation& invocation, const Options& options) {
  if (options.what == "list") return list(invocation, options);
  if (options.name.empty())
    throw CommandError(ExitCode::kUsage, "which pipeline? durabled pipelines " + options.what + " NAME");
  return options.what == "status" ? status(invocation, options) : failures(invocation, options);
}

}  // namespace

void add_pipelines_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "pipelines", "Show AI pipelines and what they are doing",
                                  "durabled pipelines\n"
                                  "durabled pipelines status docs\n"
                                  "durabled pipelines failures docs --json");
  auto options = std::make_shared<Options>();
  command
      .add_option(
          "what", options->what,
          "list, status or failures: of one pipeline all that is known, or the documents that were set aside")
      ->check(CLI::IsMember({"list", "status", "failures"}))
      ->capture_default_str();
  command.add_option("name", options->name, "The pipeline");
  command.add_option("--ai-schema", options->schema, "The schema of AI pipelines, where there are several")
      ->type_name("NAME");
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, options] { return show(invocation, *options); });
}

}  // namespace durabled::daemon::cli
