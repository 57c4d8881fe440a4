// cancel, pause, resume and rerun of all instances that match a filter.
#pragma once

#include <optional>
#include <string>

#include "daemon/cli/command.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

enum class BulkAction { kCancel, kPause, kResume, kRerun };

struct BulkOptions {
  store::InstanceFilter filter;
  bool dry_run = false;
  bool yes = false;
};

// The filters, --dry-run and --yes.
void add_bulk_options(CLI::App& command, BulkOptions& options);

// Counts the instances that match and that the action can change, asks on a terminal unless --yes was given (without
// a terminal --yes is required), and acts on each, in a transaction of its own. kFailed when some could not be changed.
ExitCode steer_many(const Invocation& invocation, BulkAction action, const BulkOptions& options,
                    const std::optional<std::string>& reason);

// "yes" or "y" on a terminal; throws CommandError (kUsage) when stdin is not a terminal.
bool confirmed(const std::string& question);

}  // namespace durabled::daemon::cli
