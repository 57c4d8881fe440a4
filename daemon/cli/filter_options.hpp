// The options that say which instances: those of list and of the commands that steer many.
#pragma once

#include "daemon/cli/command.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

// --status --label --role --code --since --until
void add_filter_options(CLI::App& command, store::InstanceFilter& filter);

// Whether any of them was given.
bool is_given(const store::InstanceFilter& filter);

}  // namespace durabled::daemon::cli
