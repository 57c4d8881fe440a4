// durabled cancel, pause, resume, signal, rerun: steering an instance.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "daemon/cli/bulk.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/filter_options.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/json_output.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

struct Options {
  std::string id;
  std::optional<std::string> reason, from_node;
  BulkOptions many;
  std::string signal, data = "{}";
};

// The functions of df return a text and no error when the instance has ended already; a script wants to know.
ExitCode print(const Invocation& invocation, const Options& options, const store::Answer& answer) {
  const bool too_late = has_ended(answer.status_before);
  if (invocation.json) {
    std::cout << JsonObject()
                     .text("id", options.id)
                     .boolean("ok", !too_late)
                     .text("status_before", answer.status_before)
                     .text("message", answer.message)
                     .text()
              << '\n';
  }
  if (too_late) return report(invocation.json, ExitCode::kFailed, answer.message);
  if (!invocation.json) std::cout << answer.message << '\n';
  return ExitCode::kOk;
}

ExitCode cancel(const Invocation& invocation, const Options& options) {
  const store::Answer answer = store::ClientStore(invocation.conninfo()).cancel(options.id, options.reason);
  return print(invocation, options, answer);
}

ExitCode pause(const Invocation& invocation, const Options& options) {
  return print(invocation, options, store::ClientStore(invocation.conninfo()).pause(options.id));
}

ExitCode resume(const Invocation& invocation, const Options& options) {
  return print(invocation, options, store::ClientStore(invocation.conninfo()).resume(options.id));
}

ExitCode signal(const Invocation& invocation, const Options& options) {
  store::ClientStore store(invocation.conninfo());
  return print(invocation, options, store.signal(options.id, options.signal, options.data));
}

ExitCode rerun(const Invocation& invocation, const Options& options) {
  const std::string id = store::ClientStore(invocation.conninfo()).rerun(options.id, options.from_node);
  std::cout << (invocation.json ? JsonObject().text("id", id).text("rerun_of", options.id).text() : id)
            << '\n';
  return ExitCode::kOk;
}

using Function = ExitCode (*)(const Invocation&, const Options&);

std::shared_ptr<Options> add(CLI::App& command, Invocation& invocation, Function function) {
  auto options = std::make_shared<Options>();
  add_id_argument(command, options->id);
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation,
             [&invocation, options, function] { return function(invocation, *options); });
  return options;
}

// A command that steers one instance, or with filters all that match.
std::shared_ptr<Options> add_with_many(CLI::App& command, Invocation& invocation, Function one,
                                       BulkAction action) {
  auto options = std::make_shared<Options>();
  command.add_option("id", options->id, "The instance")->type_name("ID");
  add_bulk_options(command, options->many);
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, &command, options, one, action] {
    if (is_given(options->many.filter) != options->id.empty()) {
      throw CommandError(
          ExitCode::kUsage,
          std::string(options->id.empty() ? "id is required, or filters that say which instances"
                                          : "give either an id or filters") +
              "\nTry: " + invocation.program + ' ' + command.get_name() + " --help");
    }
    return options->id.empty() ? steer_many(invocation, action, options->many, options->reason)
                               : one(invocation, *options);
  });
  return options;
}

}  // namespace

void add_control_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& cancelling = add_command(
      app, "cancel", "Cancel an instance, or all that match: what runs is stopped and rolled back",
      "durabled cancel 4k2m9xpq --reason \"ordered twice\"\n"
      "durabled cancel --label 'import %' --dry-run     # how many, and which\n"
      "durabled cancel --label 'import %' --since 1h --yes");
  cancelling
      .add_option("-r,--reason", add_with_many(cancelling, invocation, cancel, BulkAction::kCancel)->reason,
                  "Kept as its error's message")
      ->type_name("TEXT");

  add_with_many(add_command(app, "pause",
                            "Pause an instance, or all that match: running steps finish, nothing new begins",
                            "durabled pause 4k2m9xpq\n"
                            "durabled pause --role importer --yes"),
                invocation, pause, BulkAction::kPause);
  add_with_many(add_command(app, "resume", "Resume a paused instance, or all that match",
                            "durabled resume 4k2m9xpq\n"
                            "durabled resume --role importer --yes"),
                invocation, resume, BulkAction::kResume);

  CLI::App& signalling =
      add_command(app, "signal", "Send a signal to an instance",
                  "durabled signal 4k2m9xpq approval\n"
                  "durabled signal 4k2m9xpq approval '{\"approved\": true, \"by\": \"ada\"}'");
  const auto options = add(signalling, invocation, signal);
  signalling.add_option("name", options->signal, "The signal")->required()->type_name("NAME");
  signalling
      .add_option("data", options->data, "What comes with it; text that is not JSON becomes a JSON string")
      ->type_name("JSON")
      ->capture_default_str();

  CLI::App& rerunning = add_command(
      app, "rerun", "Start an instance's workflow again, or those of all that match; prints the new ids",
      "durabled rerun 4k2m9xpq\n"
      "durabled rerun 4k2m9xpq --from 00000003   # keeps the results of what came before\n"
      "durabled rerun --status failed --code 28P01 --since 1d --yes");
  rerunning
      .add_option("--from", add_with_many(rerunning, invocation, rerun, BulkAction::kRerun)->from_node,
                  "The node to begin at (see durabled show --ids)")
      ->type_name("NODE");
}

}  // namespace durabled::daemon::cli
