// durabled submit and check: a workflow from its text.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "config/units.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/json_text.hpp"
#include "daemon/cli/schedule_times.hpp"
#include "daemon/cli/terminal.hpp"
#include "daemon/cli/workflow_text.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

struct SubmitOptions {
  WorkflowSource source;
  std::optional<std::string> label, database_name, start_at, idempotency_key;
  std::optional<int> priority;
  std::vector<std::string> vars;  // "name=value"
  bool unseen = false;
  bool wait = false;
  std::optional<double> timeout_seconds;
};

std::map<std::string, std::string> variables(const std::vector<std::string>& settings) {
  std::map<std::string, std::string> all;
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw CommandError(ExitCode::kUsage, "--var wants NAME=VALUE, not " + setting);
    }
    all[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return all;
}

// What the text says in an enclosing df.start(…) counts where no option says otherwise. The row gets what
// df.start encloses, so that nothing of it is said twice.
void take_over(store::Submission& submission, const dsl::ParsedWorkflow& parsed) {
  if (!parsed.body.empty()) submission.dsl = parsed.body;
  const auto fill = [](auto& to, const auto& from) {
    if (!to && from) to = from;
  };
  fill(submission.label, parsed.label);
  fill(submission.database, parsed.database);
  fill(submission.priority, parsed.priority);
  fill(submission.start_at, parsed.start_at);
  fill(submission.idempotency_key, parsed.idempotency_key);
}

store::Submission submission(const Invocation& invocation, const SubmitOptions& options) {
  store::Submission result;
  result.dsl = read_workflow(options.source);
  result.label = options.label;
  result.database = options.database_name;
  result.start_at = options.start_at;
  result.idempotency_key = options.idempotency_key;
  result.priority = options.priority;
  result.vars = variables(options.vars);
  if (options.unseen) return result;
  const auto parsed = check_workflow(result.dsl);
  if (!parsed) throw CommandError(ExitCode::kFailed, parsed.error().to_string());
  for (const dsl::Diagnostic& warning : parsed->warnings) warn(invocation.json, warning.to_string());
  take_over(result, *parsed);
  return result;
}

ExitCode submit(const Invocation& invocation, const SubmitOptions& options) {
  const store::Submission workflow = submission(invocation, options);
  store::ClientStore store(invocation.conninfo());
  const std::string id = store.submit(workflow);
  if (options.wait) return wait_for(invocation, store, id, options.timeout_seconds);
  std::cout << (invocation.json ? JsonObject().text("id", id).text() : id) << '\n';
  return ExitCode::kOk;
}

void print_check(const dsl::ParsedWorkflow& workflow, bool json) {
  const std::string tree = dsl::print_tree(workflow.graph);
  if (!json) {
    std::cout << tree << next_times_text(workflow.graph);
    for (const dsl::Diagnostic& warning : workflow.warnings) {
      std::cout << '\n' << paint(Colour::kYellow, "warning: ") << warning.to_string() << '\n';
    }
    return;
  }
  JsonList warnings;
  for (const dsl::Diagnostic& warning : workflow.warnings) warnings.add(to_json(warning));
  std::cout << JsonObject()
                   .boolean("ok", true)
                   .raw("warnings", warnings.text())
                   .raw("schedules", next_times_json(workflow.graph))
                   .text("label", workflow.label)
                   .text("database", workflow.database)
                   .text("tree", tree)
                   .raw("graph", dsl::to_json(workflow.graph))
                   .text()
            << '\n';
}

ExitCode check(const Invocation& invocation, const WorkflowSource& source) {
  const auto parsed = check_workflow(read_workflow(source));
  if (!parsed) {
    if (invocation.json) {
      std::cout << JsonObject().boolean("ok", false).raw("error", to_json(parsed.error())).text() << '\n';
    }
    throw CommandError(ExitCode::kFailed, parsed.error().to_string());
  }
  print_check(*parsed, invocation.json);
  return ExitCode::kOk;
}

void add_submit_options(CLI::App& command, SubmitOptions& options) {
  add_workflow_options(command, options.source);
  command.add_option("-l,--label", options.label, "A name for people; need not be unique")->type_name("TEXT");
  command.add_option("--var", options.vars, "A variable {NAME} of the workflow; may be repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command.add_option("--database-name", options.database_name, "The database that its SQL steps run in")
      ->type_name("NAME");
  command.add_option("-p,--priority", options.priority, "Higher goes first; default 0")
      ->type_name("N")
      ->check(CLI::Range(-32'768, 32'767));
  command.add_option("--start-at", options.start_at, "Not before this time")->type_name("TIME");
  command
      .add_option("-k,--idempotency-key", options.idempotency_key,
                  "A key that was used before gives the instance of then, and starts nothing")
      ->type_name("KEY");
  command.add_flag("--no-check", options.unseen, "Submit the text unseen; the daemon judges it");
  CLI::Option* wait = command.add_flag("-w,--wait", options.wait, "Wait for its end and print its result");
  command.add_option("--timeout", options.timeout_seconds, "Wait at most so long")
      ->type_name("SECONDS")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const auto number = config::parse_decimal(text);
            return number && *number >= 0 ? std::string()
                                          : "expected a number of seconds, got '" + text + "'";
          },
          ""))
      ->needs(wait);
}

}  // namespace

void add_workflow_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& checking =
      add_command(app, "check", "Parse a workflow and show its tree and its traps; needs no database",
                  "durabled check flow.df\n"
                  "durabled check -e \"'SELECT 1' ~> df.sleep(5) ~> 'SELECT 2'\"\n"
                  "durabled check --json - < flow.df");
  auto source = std::make_shared<WorkflowSource>();
  add_workflow_options(checking, *source);
  add_json_option(checking, invocation);
  set_action(checking, invocation, [&invocation, source] { return check(invocation, *source); });

  CLI::App& submitting =
      add_command(app, "submit", "Submit a workflow; prints the id of the new instance",
                  "durabled submit flow.df --label nightly\n"
                  "durabled submit -e \"'SELECT {n} + 1 AS next'\" --var n=41 --wait --timeout 30\n"
                  "id=$(durabled submit flow.df -k order-17)   # the same id when repeated");
  auto options = std::make_shared<SubmitOptions>();
  add_submit_options(submitting, *options);
  add_database_option(submitting, invocation);
  add_json_option(submitting, invocation);
  set_action(submitting, invocation, [&invocation, options] { return submit(invocation, *options); });
}

}  // namespace durabled::daemon::cli
