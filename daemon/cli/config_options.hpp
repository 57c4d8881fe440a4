// The configuration as commands get it: --config and a flag for each of the common keys.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/loader.hpp"
#include "daemon/cli/command.hpp"

namespace durabled::daemon::cli {

struct ConfigOptions {
  std::string file;
  std::map<std::string, std::string> flags;  // key path -> text; "" when the flag was not given
  std::vector<std::string> settings;         // --set KEY=VALUE
};

void add_config_option(CLI::App& command, ConfigOptions& options);  // --config
void add_config_flags(CLI::App& command, ConfigOptions& options);   // those of the common keys, and --set

// Where the configuration comes from. Without --config: the default file, if it is there and wanted.
// Throws CommandError (kUsage) for a --set without a value.
config::Sources config_sources(const Invocation& invocation, const ConfigOptions& options,
                               bool default_file = true);

// Loads it, and checks what config::load() leaves to libpq: that connection strings are such. Throws
// config::ConfigError, whose text shows nothing of them.
config::Loaded load_config(const config::Sources& sources);

}  // namespace durabled::daemon::cli
