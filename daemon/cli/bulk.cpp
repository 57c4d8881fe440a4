#include "daemon/cli/bulk.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <vector>

#include "daemon/cli/failure.hpp"
#include "daemon/cli/filter_options.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon::cli {
namespace {

struct ActionFacts {
  const char* verb;
  const char* past;
  std::vector<std::string> statuses;  // which instances it can change
};

ActionFacts facts(BulkAction action) {
  switch (action) {
    case BulkAction::kCancel:
      return {"cancel", "cancelled", {"pending", "running", "paused"}};
    case BulkAction::kPause:
      return {"pause", "paused", {"pending", "running"}};
    case BulkAction::kResume:
      return {"resume", "resumed", {"paused"}};
    case BulkAction::kRerun:
      return {"rerun", "rerun", {"completed", "failed", "cancelled"}};
  }
  return {};
}

std::string by_status(const std::vector<store::InstanceSummary>& instances) {
  std::map<std::string, int> counts;
  for (const store::InstanceSummary& instance : instances) ++counts[instance.status];
  std::string text = std::to_string(instances.size()) + (instances.size() == 1 ? " instance" : " instances");
  for (const auto& [status, count] : counts)
    text += (status == counts.begin()->first ? " (" : ", ") + std::to_string(count) + ' ' + status;
  return counts.empty() ? text : text + ')';
}

// What became of one instance.
struct Outcome {
  std::string id, new_id, error;
};

Outcome steer(store::ClientStore& store, BulkAction action, const std::string& id,
              const std::optional<std::string>& reason) {
  Outcome outcome;
  outcome.id = id;
  try {
    switch (action) {
      case BulkAction::kCancel:
        store.cancel(id, reason);
        break;
      case BulkAction::kPause:
        store.pause(id);
        break;
      case BulkAction::kResume:
        store.resume(id);
        break;
      case BulkAction::kRerun:
        outcome.new_id = store.rerun(id, std::nullopt);
        break;
    }
  } catch (const store::StoreError& error) {
    if (exit_code(error) == ExitCode::kUnreachable) throw;
    outcome.error = explain(error);
  }
  return outcome;
}

void print_matching(const Invocation& invocation, const std::vector<store::InstanceSummary>& instances,
                    const ActionFacts& action) {
  if (invocation.json) {
    JsonList ids;
    for (const store::InstanceSummary& instance : instances) ids.add(json_quote(instance.id));
    std::cout << JsonObject()
                     .text("action", std::string(action.verb))
                     .boolean("dry_run", true)
                     .number("matching", static_cast<long long>(instances.size()))
                     .raw("ids", ids.text())
                     .text()
              << '\n';
    return;
  }
  Table table({"ID", "STATUS", "CREATED", "LABEL"});
  for (const store::InstanceSummary& instance : instances) {
    table.add({{instance.id},
               {instance.status, status_colour(instance.status)},
               {local_time(instance.created_at)},
               {instance.label.value_or("")}});
  }
  std::cout << table.text() << action.verb << " would change " << by_status(instances) << '\n';
}

void print_outcomes(const Invocation& invocation, const std::vector<Outcome>& outcomes,
                    const ActionFacts& action) {
  JsonList done, failed;
  std::size_t failures = 0;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.error.empty()) {
      ++failures;
      failed.add(JsonObject().text("id", outcome.id).text("error", outcome.error).text());
    } else if (outcome.new_id.empty()) {
      done.add(JsonObject().text("id", outcome.id).text());
    } else {
      done.add(JsonObject().text("id", outcome.new_id).text("rerun_of", outcome.id).text());
    }
    if (invocation.json) continue;
    if (!outcome.error.empty()) {
      warn(false, outcome.id + ": " + outcome.error);
    } else {
      std::cout << (outcome.new_id.empty() ? outcome.id : outcome.new_id + " (of " + outcome.id + ')')
                << '\n';
    }
  }
  if (invocation.json) {
    std::cout << JsonObject()
                     .text("action", std::string(action.verb))
                     .boolean("dry_run", false)
                     .raw("done", done.text())
                     .raw("failed", failed.text())
                     .text()
              << '\n';
  } else {
    std::cout << outcomes.size() - failures << ' ' << action.past << '\n';
  }
}

}  // namespace

void add_bulk_options(CLI::App& command, BulkOptions& options) {
  add_filter_options(command, options.filter);
  command.add_flag("--dry-run", options.dry_run,
                   "Say how many instances match, and which, and change nothing");
  command.add_flag("-y,--yes", options.yes, "Do not ask first");
}

bool confirmed(const std::string& question) {
  if (isatty(STDIN_FILENO) != 1) {
    throw CommandError(ExitCode::kUsage, question + " Nothing was done: add --yes, or --dry-run to see more");
  }
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

ExitCode steer_many(const Invocation& invocation, BulkAction action, const BulkOptions& options,
                    const std::optional<std::string>& reason) {
  store::ClientStore store(invocation.conninfo());
  const ActionFacts known = facts(action);
  const auto instances = store.matching(options.filter, known.statuses);
  if (options.dry_run) {
    print_matching(invocation, instances, known);
    return ExitCode::kOk;
  }
  if (!instances.empty() && !options.yes &&
      !confirmed(std::string("This would ") + known.verb + ' ' + by_status(instances) + '.'))
    return ExitCode::kFailed;
  std::vector<Outcome> outcomes;
  bool all_done = true;
  for (const store::InstanceSummary& instance : instances) {
    outcomes.push_back(steer(store, action, instance.id, reason));
    all_done = all_done && outcomes.back().error.empty();
  }
  print_outcomes(invocation, outcomes, known);
  return all_done ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace durabled::daemon::cli
