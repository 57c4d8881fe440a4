#include "daemon/cli/config_options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "store/conninfo.hpp"

namespace durabled::daemon::cli {
namespace {

// The keys that have a flag of their own.
struct Flag {
  const char* name;
  const char* key;
  const char* type;
  const char* description;
};
constexpr Flag kFlags[] = {
    {"--log-level", "log.level", "LEVEL", "trace, debug, info, warning or error"},
    {"--log-format", "log.format", "FORMAT", "text or json"},
    {"--log-file", "log.file", "FILE", "Instead of stderr"},
    {"--worker-name", "worker.name", "NAME", "How this daemon appears in df.workers"},
    {"--poll-interval", "worker.poll_interval", "TIME",
     "How long work may lie unnoticed without a notification"},
    {"--max-instances", "worker.max_instances", "N", "Instances held in memory at once"},
    {"--connections", "steps.connections", "N", "Connections that run SQL steps"},
    {"--identity-mode", "identity.mode", "MODE", "Who steps run as: login or set_role"},
};

}  // namespace

void add_config_option(CLI::App& command, ConfigOptions& options) {
  command
      .add_option("-c,--config", options.file,
                  std::string("The configuration; default ") + config::kDefaultFile + " if it is there")
      ->type_name("FILE");
}

void add_config_flags(CLI::App& command, ConfigOptions& options) {
  for (const Flag& flag : kFlags) {
    command
        .add_option(flag.name, options.flags[flag.key], std::string(flag.description) + " (" + flag.key + ")")
        ->type_name(flag.type);
  }
  command.add_option("--set", options.settings, "Any other key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

config::Sources config_sources(const Invocation& invocation, const ConfigOptions& options,
                               bool default_file) {
  config::Sources sources;
  sources.environment = config::process_environment();
  if (!options.file.empty()) {
    sources.file = options.file;
  } else if (default_file && access(config::kDefaultFile, F_OK) == 0) {
    sources.file = config::kDefaultFile;
  }
  for (const auto& [key, value] : options.flags) {
    if (!value.empty()) sources.overrides[key] = value;
  }
  for (const std::string& setting : options.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos)
      throw CommandError(ExitCode::kUsage, "--set wants KEY=VALUE, not " + setting);
    sources.overrides[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  if (!invocation.database.empty()) sources.overrides["database"] = invocation.database;
  return sources;
}

config::Loaded load_config(const config::Sources& sources) {
  config::Loaded loaded = config::load(sources);
  const auto check = [&](const std::string& key, const std::string& path, const std::string& conninfo) {
    const std::string problem = store::conninfo_problem(conninfo);
    const auto origin = loaded.origin.find(key);
    if (problem.empty()) return;
    throw config::ConfigError((origin == loaded.origin.end() ? "default" : origin->second) + ": key '" +
                              path + "': " + problem);
  };
  check("database", "database", loaded.config.database);
  for (const auto& [role, conninfo] : loaded.config.identity.roles)
    check("identity.roles", "identity.roles." + role, conninfo);
  return loaded;
}

}  // namespace durabled::daemon::cli
