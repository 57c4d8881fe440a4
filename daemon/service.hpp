// `durabled run`: the daemon from start to SIGTERM.
#pragma once

#include <functional>

#include "config/config.hpp"

namespace durabled::daemon {

// Serves one database until SIGTERM or SIGINT; returns the exit code (0: stopped cleanly, 1: it cannot serve
// this database and says why in the log). A database that is not there yet, or goes away, is waited for.
// A second SIGTERM or SIGINT does not wait for running steps. SIGHUP calls `reload` (which may throw
// config::ConfigError) and takes over what can be changed while running. Blocks.
int run_service(config::Config config, std::function<config::Config()> reload = {});

}  // namespace durabled::daemon
