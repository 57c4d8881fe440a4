// durabled submit and check: a workflow from its text.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "config/units.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/patient_store.hpp"
#include "daemon/cli/schedule_times.hpp"
#include "daemon/cli/statement_check.hpp"
#include "daemon/cli/terminal.hpp"
#include "daemon/cli/variable_check.hpp"
#include "daemon/cli/workflow_text.hpp"
#include "dsl/engine/event.hpp"
#include "dsl/graph/input_reads.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"
#include "dsl/value/json_slice.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

struct SubmitOptions {
  WorkflowSource source;
  std::optional<std::string> label, database_name, start_at, idempotency_key;
  std::optional<int> priority;
  std::optional<std::string> input;  // JSON, or a file
  std::vector<std::string> vars;     // "name=value"
  bool unseen = false;
  bool replace = false;
  bool wait = false;
  std::optional<double> timeout_seconds;
};

// What the text says in an enclosing df.start(…) counts where no option says otherwise. The row gets what
// df.start encloses, so that nothing is reported twice.
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
  fill(submission.input, parsed.input);
}

store::Submission checked_key(store::Submission submission) {
  if (submission.replace && !submission.idempotency_key)
    throw CommandError(ExitCode::kUsage, "--replace needs an idempotency key: --idempotency-key KEY");
  return submission;
}

// A text, and what it says.
struct ReadText {
  std::string text;
  dsl::ParsedWorkflow workflow;
};

// Fields that the workflow reads and the input lacks: the step that comes to one of them fails.
void warn_of_input(const Invocation& invocation, const dsl::InputReads& reads,
                   const std::optional<std::string>& input) {
  if (!input && (reads.whole || !reads.needed.empty()))
    return warn(invocation.json,
                "the workflow reads its input (" + reads.text() + "), and none is given; use --input");
  for (const std::string& field : reads.needed) {
    if (input && !dsl::json_member(*input, field))
      warn(invocation.json, "the workflow reads $input." + field + ", and the input has no such field");
  }
}

// "+90m" is from now on, by this machine's clock; everything else is PostgreSQL's to read.
std::optional<std::string> start_time(const std::optional<std::string>& text) {
  if (!text || !text->starts_with('+')) return text;
  const auto duration = config::parse_duration(std::string_view(*text).substr(1));
  if (!duration)
    throw CommandError(ExitCode::kUsage,
                       "--start-at: expected a duration after +, as in +90m, got '" + *text + "'");
  return dsl::format_time(
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now() + *duration));
}

// `read` stays empty with --no-check.
store::Submission submission(const Invocation& invocation, const SubmitOptions& options,
                             std::optional<ReadText>& read) {
  store::Submission result;
  result.dsl = read_workflow(options.source);
  result.label = options.label;
  result.database = options.database_name;
  result.start_at = start_time(options.start_at);
  result.idempotency_key = options.idempotency_key;
  result.priority = options.priority;
  if (options.input) result.input = read_input(*options.input);
  result.vars = read_variables(options.vars);
  result.replace = options.replace;
  if (options.unseen) return checked_key(result);
  const auto parsed = check_workflow(result.dsl, options.source);
  if (!parsed) throw CommandError(ExitCode::kFailed, parsed.error().to_string());
  for (const dsl::Diagnostic& warning : parsed->warnings) warn(invocation.json, warning.to_string());
  read = ReadText{result.dsl, *parsed};
  take_over(result, *parsed);
  warn_of_input(invocation, dsl::input_reads(parsed->graph), result.input);
  return checked_key(result);
}

// The key is known, so nothing was started; says which instance holds it, and what it has come to.
void tell_of_holder(const Invocation& invocation, const store::Submitted& submitted) {
  warn(invocation.json,
       "instance " + submitted.id + " has this idempotency key and exists since " +
           local_time(submitted.created_at) + ", " + submitted.status +
           (submitted.same_text ? "" : "; its text differs from this one") +
           "; nothing was started. With --replace it is cancelled unless it has ended, and this "
           "workflow starts under the key");
}

void warn_of_variables(const Invocation& invocation, const ReadText& read,
                       const std::map<std::string, std::string>& given, store::ClientStore& store) {
  const dsl::VariableUses uses = dsl::find_variables(read.workflow.graph);
  std::vector<std::string> of_role;
  if (!uses.certain.empty()) of_role = store.variables();
  for (const dsl::Diagnostic& warning : check_variables(uses, read.text, given, of_role))
    warn(invocation.json, to_text(warning));
}

ExitCode submit(const Invocation& invocation, const SubmitOptions& options) {
  std::optional<ReadText> read;
  const store::Submission workflow = submission(invocation, options, read);
  PatientStore store(invocation);
  if (read) warn_of_variables(invocation, *read, workflow.vars, store.store());
  const store::Submitted submitted = store.store().submit(workflow);
  if (!submitted.started) tell_of_holder(invocation, submitted);
  if (options.wait) return wait_for(invocation, store, submitted.id, options.timeout_seconds);
  if (!invocation.json) {
    std::cout << submitted.id << '\n';
    return ExitCode::kOk;
  }
  std::cout << JsonObject()
                   .text("id", submitted.id)
                   .boolean("started", submitted.started)
                   .text("status", submitted.status)
                   .text("created_at", submitted.created_at)
                   .boolean("same_text", submitted.same_text)
                   .text("replaced", submitted.replaced)
                   .text()
            << '\n';
  return ExitCode::kOk;
}

struct CheckOptions {
  WorkflowSource source;
  std::vector<std::string> vars;  // "name=value"
  bool strict = false;
};

std::string finding_json(const StatementFinding& finding) {
  JsonList place;
  for (const std::string& line : finding.place) place.add(json_quote(line));
  return JsonObject()
      .text("node", finding.node)
      .text("statement", finding.statement)
      .text("message", finding.message)
      .text("sqlstate", finding.sqlstate)
      .text("hint", finding.hint)
      .raw("place", place.text())
      .boolean("certain", finding.is_certain)
      .text();
}

// The fields that the workflow reads, and whether it needs them.
std::string input_json(const dsl::InputReads& reads) {
  JsonObject fields;
  for (const std::string& field : reads.needed) fields.text(field, std::string("needed"));
  for (const std::string& field : reads.optional) fields.text(field, std::string("optional"));
  return JsonObject().boolean("whole", reads.whole).raw("fields", fields.text()).text();
}

void print_check_json(const dsl::ParsedWorkflow& workflow, const std::optional<StatementReport>& report,
                      bool ok) {
  JsonList warnings, notes, findings;
  for (const dsl::Diagnostic& warning : workflow.warnings) warnings.add(to_json(warning));
  for (const dsl::Diagnostic& note : workflow.notes) notes.add(to_json(note));
  JsonObject object;
  object.boolean("ok", ok)
      .raw("warnings", warnings.text())
      .raw("notes", notes.text())
      .raw("schedules", next_times_json(workflow.graph))
      .raw("input", input_json(dsl::input_reads(workflow.graph)))
      .text("label", workflow.label)
      .text("database", workflow.database)
      .text("tree", dsl::print_tree(workflow.graph))
      .raw("graph", dsl::to_json(workflow.graph));
  if (report) {
    for (const StatementFinding& finding : report->findings) findings.add(finding_json(finding));
    object.raw("statements", JsonObject()
                                 .number("checked", static_cast<long long>(report->checked))
                                 .number("skipped", static_cast<long long>(report->skipped))
                                 .raw("findings", findings.text())
                                 .text());
  }
  std::cout << object.text() << '\n';
}

void print_finding(const StatementFinding& finding) {
  std::cout << '\n'
            << (finding.is_certain ? paint(Colour::kRed, "error: ") : paint(Colour::kYellow, "warning: "))
            << "node " << finding.node << ": " << finding.message << " (" << finding.sqlstate << ')'
            << (finding.is_certain ? "" : "; an earlier step may make it") << '\n';
  for (const std::string& line : finding.place) std::cout << "  " << line << '\n';
  if (!finding.hint.empty()) std::cout << "  hint: " << finding.hint << '\n';
}

void print_check(const dsl::ParsedWorkflow& workflow, const std::optional<StatementReport>& report) {
  std::cout << dsl::print_tree(workflow.graph) << next_times_text(workflow.graph);
  if (const dsl::InputReads reads = dsl::input_reads(workflow.graph); reads.any())
    std::cout << "\nInput: " << reads.text() << '\n';
  for (const dsl::Diagnostic& warning : workflow.warnings) {
    std::cout << '\n' << paint(Colour::kYellow, "warning: ") << to_text(warning) << '\n';
  }
  for (const dsl::Diagnostic& note : workflow.notes) std::cout << "\nnote: " << to_text(note) << '\n';
  if (!report) return;
  for (const StatementFinding& finding : report->findings) print_finding(finding);
  std::cout << '\n'
            << report->checked << " of " << report->checked + report->skipped
            << " SQL steps were checked by the server";
  if (report->skipped > 0) std::cout << "; the text of the others is known only when they run";
  std::cout << '\n';
}

ExitCode check(const Invocation& invocation, const CheckOptions& options) {
  const auto given = read_variables(options.vars);
  const std::string text = read_workflow(options.source);
  auto parsed = check_workflow(text, options.source);
  if (!parsed) {
    if (invocation.json) {
      std::cout << JsonObject().boolean("ok", false).raw("error", to_json(parsed.error())).text() << '\n';
    }
    throw CommandError(ExitCode::kUsage, parsed.error().to_string());
  }
  for (dsl::Diagnostic& warning :
       check_variables(dsl::find_variables(parsed->graph), text, given, std::nullopt))
    parsed->warnings.push_back(std::move(warning));
  std::optional<StatementReport> report;
  if (!invocation.database.empty()) report = check_statements(invocation.database, parsed->graph);
  bool fails = false, warns = !parsed->warnings.empty();
  for (const StatementFinding& finding : report ? report->findings : std::vector<StatementFinding>()) {
    fails = fails || finding.is_certain;
    warns = warns || !finding.is_certain;
  }
  const bool ok = !fails && !(options.strict && warns);
  if (invocation.json) {
    print_check_json(*parsed, report, ok);
  } else {
    print_check(*parsed, report);
  }
  return ok ? ExitCode::kOk : ExitCode::kUsage;
}

void add_variable_option(CLI::App& command, std::vector<std::string>& vars) {
  command.add_option("--var", vars, "A variable {NAME} of the workflow; may be repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

void add_submit_options(CLI::App& command, SubmitOptions& options) {
  add_workflow_options(command, options.source);
  command.add_option("-l,--label", options.label, "A name for people; need not be unique")->type_name("TEXT");
  command
      .add_option("-i,--input", options.input,
                  "What the workflow reads as $input: a JSON object, or a file with one; - is stdin")
      ->type_name("FILE|JSON");
  add_variable_option(command, options.vars);
  command.add_option("--database-name", options.database_name, "The database that its SQL steps run in")
      ->type_name("NAME");
  command.add_option("-p,--priority", options.priority, "Higher goes first; default 0")
      ->type_name("N")
      ->check(CLI::Range(-32'768, 32'767));
  command
      .add_option("--start-at", options.start_at,
                  "Not before this time: as PostgreSQL reads it (\"2026-12-24 18:00+01\", \"tomorrow "
                  "06:00\"), or from now "
                  "on (+90m)")
      ->type_name("TIME");
  command
      .add_option("-k,--idempotency-key", options.idempotency_key,
                  "With a key that an earlier instance has, prints that one's id and starts nothing")
      ->type_name("KEY");
  command.add_flag("--replace", options.replace,
                   "Cancel the instance that has the key, unless it has ended, and start this one");
  command.add_flag("--no-check", options.unseen, "Submit the text without looking at it; the daemon does");
  CLI::Option* wait = command.add_flag("-w,--wait", options.wait, "Wait for its end and print its result");
  command.add_option("--timeout", options.timeout_seconds, "Wait at most this long; exits with 6 then")
      ->type_name("SECONDS")
      ->transform(CLI::Validator(
          [](std::string& text) {
            const auto number = config::parse_decimal(text);
            if (number && *number >= 0) return std::string();
            const auto duration = config::parse_duration(text);
            if (!duration)
              return "expected a number of seconds or a duration such as 90s or 5m, got '" + text + "'";
            text = std::to_string(std::chrono::duration<double>(*duration).count());
            return std::string();
          },
          ""))
      ->needs(wait);
}

}  // namespace

void add_workflow_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& checking =
      add_command(app, "check", "Parse a workflow and show its tree and its traps, without a database",
                  "durabled check flow.df\n"
                  "durabled check -e \"'SELECT 1' ~> df.sleep(5) ~> 'SELECT 2'\"\n"
                  "durabled check --strict flow.df                 # exits with 2 for warnings as well\n"
                  "durabled check --database postgresql://app@db1/app flow.df   # asks the server about each "
                  "statement\n"
                  "durabled check --json - < flow.df\n\n"
                  "Exits with 2 when the workflow would fail, or with --strict when there is a warning.");
  auto check_options = std::make_shared<CheckOptions>();
  add_workflow_options(checking, check_options->source);
  add_variable_option(checking, check_options->vars);
  checking.add_flag("--strict", check_options->strict, "Exit with 2 when there is a warning, too");
  checking
      .add_option("-d,--database", invocation.database,
                  "Have this database parse each statement whose text is known; nothing is run")
      ->type_name("URI");
  add_json_option(checking, invocation);
  set_action(checking, invocation,
             [&invocation, check_options] { return check(invocation, *check_options); });

  CLI::App& submitting = add_command(
      app, "submit", "Submit a workflow; prints the id of the new instance",
      "durabled submit flow.df --label nightly\n"
      "durabled submit -e \"'SELECT {n} + 1 AS next'\" --var n=41 --wait --timeout 30\n"
      "durabled submit refund.df --input '{\"order\": 17, \"amount\": \"12.50\"}'\n"
      "id=$(durabled submit flow.df -k order-17)      # the same id when repeated\n"
      "durabled submit nightly.df -k nightly --replace   # instead of the one that runs\n\n"
      "A text with $name goes into a file or a quoted here-document, because the shell replaces $name\n"
      "within double quotes:\n"
      "durabled submit - --wait <<'END'\n"
      "  'SELECT 41 AS n' |=> 'x' ~> 'SELECT $x + 1 AS answer'\n"
      "END");
  auto options = std::make_shared<SubmitOptions>();
  add_submit_options(submitting, *options);
  add_database_option(submitting, invocation);
  add_json_option(submitting, invocation);
  set_action(submitting, invocation, [&invocation, options] { return submit(invocation, *options); });
}

}  // namespace durabled::daemon::cli
