// durabled run and dev: the service, alone or with a private Postgres.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <memory>

#include "config/keys.hpp"
#include "config/loader.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/dev_server.hpp"
#include "daemon/service.hpp"

namespace durabled::daemon::cli {
namespace {

struct RunOptions {
  std::string config_file;
  std::map<std::string, std::string> flags;  // key path -> text; "" when the flag was not given
  std::vector<std::string> settings;         // --set KEY=VALUE
};

// The keys that have a flag of their own.
struct Flag {
  const char* name;
  const char* key;
  const char* type;
  const char* description;
};
constexpr Flag kFlags[] = {
    {"--log-level", "log.level", "LEVEL", "trace, debug, info, warn or error"},
    {"--log-format", "log.format", "FORMAT", "text or json"},
    {"--log-file", "log.file", "FILE", "Instead of stderr"},
    {"--worker-name", "worker.name", "NAME", "How this daemon appears in df.workers"},
    {"--poll-interval", "worker.poll_interval", "TIME", "How long work may lie unnoticed without a notification"},
    {"--max-instances", "worker.max_instances", "N", "Instances held in memory at once"},
    {"--connections", "steps.connections", "N", "Connections that run SQL steps"},
    {"--identity-mode", "identity.mode", "MODE", "Who steps run as: login or set_role"},
};

config::Sources sources(const Invocation& invocation, const RunOptions& options) {
  config::Sources sources;
  sources.environment = config::process_environment();
  if (!options.config_file.empty()) {
    sources.file = options.config_file;
  } else if (access(config::kDefaultFile, F_OK) == 0) {
    sources.file = config::kDefaultFile;
  }
  for (const auto& [key, value] : options.flags) {
    if (!value.empty()) sources.overrides[key] = value;
  }
  for (const std::string& setting : options.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos) throw CommandError(ExitCode::kUsage, "--set wants KEY=VALUE, not " + setting);
    sources.overrides[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  if (!invocation.database.empty()) sources.overrides["database"] = invocation.database;
  return sources;
}

void add_config_options(CLI::App& command, RunOptions& options) {
  command.add_option("-c,--config", options.config_file,
                     std::string("The configuration; default ") + config::kDefaultFile + " if it is there")
      ->type_name("FILE");
  for (const Flag& flag : kFlags) {
    command.add_option(flag.name, options.flags[flag.key], std::string(flag.description) + " (" + flag.key + ")")
        ->type_name(flag.type);
  }
  command.add_option("--set", options.settings, "Any other key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

// SIGHUP loads everything again; what the command line says stays.
ExitCode serve(const config::Sources& given) {
  const auto load = [given] {
    config::Sources sources = given;
    sources.environment = config::process_environment();
    return config::load(sources).config;
  };
  return run_service(load(), load) == 0 ? ExitCode::kOk : ExitCode::kFailed;
}

void add_run_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "run", "Run the service in the foreground until SIGTERM; SIGHUP reloads",
                                  "durabled run --config /etc/durabled/durabled.yaml\n"
                                  "durabled run --database postgresql://durabled@db1/app --log-level debug\n"
                                  "durabled run --set worker.listen=false --set worker.advisory_lock=false");
  auto options = std::make_shared<RunOptions>();
  add_config_options(command, *options);
  add_database_option(command, invocation);
  command.callback([&invocation, options] {
    invocation.action = [&invocation, options] { return serve(sources(invocation, *options)); };
  });
}

void add_dev_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "dev", "Run a private Postgres 17 with the schema and the service, for trying out",
                                  "durabled dev\n"
                                  "durabled dev --dir /tmp/try --port 5433 --log-level debug");
  auto options = std::make_shared<RunOptions>();
  auto dev = std::make_shared<DevOptions>();
  command.add_option("--dir", dev->directory, "Where it keeps its files")->type_name("DIR")->capture_default_str();
  command.add_option("--port", dev->port, "The loopback port; default: a free one")
      ->type_name("N")
      ->check(CLI::Range(1, 65535));
  add_config_options(command, *options);
  command.callback([&invocation, options, dev] {
    invocation.action = [&invocation, options, dev] {
      config::Sources config = sources(invocation, *options);
      if (options->config_file.empty()) config.file.reset();  // a service's file is not meant for this
      DevServer server(*dev);
      config.overrides["database"] = server.conninfo();
      std::cout << server.greeting() << std::flush;
      return serve(config);
    };
  });
}

}  // namespace

void add_service_commands(CLI::App& app, Invocation& invocation) {
  add_dev_command(app, invocation);
  add_run_command(app, invocation);
}

}  // namespace durabled::daemon::cli
