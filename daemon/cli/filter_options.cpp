#include "daemon/cli/filter_options.hpp"

#include <CLI/CLI.hpp>

namespace durabled::daemon::cli {

void add_filter_options(CLI::App& command, store::InstanceFilter& filter) {
  command
      .add_option("-s,--status", filter.status, "pending, running, completed, failed, cancelled or paused")
      ->check(CLI::IsMember({"pending", "running", "completed", "failed", "cancelled", "paused"},
                            CLI::ignore_case))
      ->type_name("STATUS");
  command.add_option("-l,--label", filter.label, "Only those with this label; a LIKE pattern with % and _")
      ->type_name("LABEL");
  command.add_option("--role", filter.role, "Only those that this role submitted")->type_name("ROLE");
  command
      .add_option("--code", filter.code, "Only those whose error has this code, e.g. 23505 or http_timeout")
      ->type_name("CODE");
  command.add_option("--since", filter.since, "Submitted at this time or later; 2h or 1d: that long ago")
      ->type_name("TIME");
  command.add_option("--until", filter.until, "Submitted before this time")->type_name("TIME");
}

bool is_given(const store::InstanceFilter& filter) {
  return filter.status || filter.label || filter.role || filter.code || filter.since || filter.until;
}

}  // namespace durabled::daemon::cli
