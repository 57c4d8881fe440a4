// durabled run and dev: the service, alone or with a private Postgres.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "config/loader.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/config_options.hpp"
#include "daemon/config_files.hpp"
#include "daemon/dev_server.hpp"
#include "daemon/log.hpp"
#include "daemon/service.hpp"
#include "daemon/web/page_server.hpp"

namespace durabled::daemon::cli {
namespace {

// SIGHUP loads everything again; what the command line says stays.
ExitCode serve(const config::Sources& given) {
  const auto load = [given] {
    config::Sources sources = given;
    sources.environment = config::process_environment();
    config::Loaded loaded = load_config(sources);
    const std::vector<std::string> warnings = file_warnings(loaded, sources.file.value_or(""));
    if (!warnings.empty()) configure_log(loaded.config.log);  // the service does it later
    for (const std::string& warning : warnings) log_warn(warning);
    return std::move(loaded.config);
  };
  return run_service(load(), load) == 0 ? ExitCode::kOk : ExitCode::kFailed;
}

void add_run_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      add_command(app, "run", "Run the service in the foreground until SIGTERM; SIGHUP reloads",
                  "durabled run --config /etc/durabled/durabled.yaml\n"
                  "durabled run --database postgresql://durabled@db1/app --log-level debug\n"
                  "durabled run --set worker.listen=false --set worker.advisory_lock=false");
  auto options = std::make_shared<ConfigOptions>();
  add_config_option(command, *options);
  add_config_flags(command, *options);
  add_database_option(command, invocation);
  set_action(command, invocation, [&invocation, options] {
    // Its memory holds passwords, secrets and the keys of its worker.
    prctl(PR_SET_DUMPABLE, 0);
    return serve(config_sources(invocation, *options));
  });
}

// durabled ui as a child, which ends with this process.
class PageProcess {
 public:
  explicit PageProcess(const std::string& database) {
    const std::vector<const char*> arguments{"durabled", "ui", "--database", database.c_str(), nullptr};
    process_ = fork();
    if (process_ != 0) return;
    // Between fork and exec only what is safe beside other threads.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execv("/proc/self/exe", const_cast<char* const*>(arguments.data()));
    _exit(127);
  }
  ~PageProcess() {
    if (process_ <= 0) return;
    kill(process_, SIGTERM);
    while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  PageProcess(const PageProcess&) = delete;
  PageProcess& operator=(const PageProcess&) = delete;

 private:
  pid_t process_ = 0;
};

void add_dev_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      add_command(app, "dev", "Run a private Postgres with the schema and the service, for trying out",
                  "durabled dev\n"
                  "durabled dev --dir ~/try --port 5433 --log-level debug\n"
                  "DURABLED_PG_BIN=/usr/lib/postgresql/16/bin durabled dev --dir ~/try16");
  auto options = std::make_shared<ConfigOptions>();
  auto dev = std::make_shared<DevOptions>();
  command.add_option("--dir", dev->directory, "Its folder, which only this user can enter")
      ->type_name("DIR")
      ->capture_default_str();
  command
      .add_option("--port", dev->port,
                  "The loopback port; default: the last one if it is free, else a free one")
      ->type_name("N")
      ->check(CLI::Range(1, 65535));
  add_config_option(command, *options);
  add_config_flags(command, *options);
  set_action(command, invocation, [&invocation, options, dev] {
    // The file of a service on this machine is not meant for this.
    config::Sources config = config_sources(invocation, *options, false);
    load_config(config);  // report a bad configuration before creating any files
    DevServer server(*dev);
    config.overrides["database"] = server.conninfo();
    config.overrides.emplace("metrics.listen", "");  // nobody monitors it, and a service may have the port
    std::cout << server.greeting(invocation.program) << std::flush;
    std::optional<PageProcess> page;
    if (web::is_included()) {
      std::cout << "The web page for that role:\n\n  " << std::flush;
      page.emplace(server.conninfo("durabled", "app"));
    }
    const ExitCode code = serve(config);
    if (const auto death = server.death()) throw std::runtime_error(*death);
    return code;
  });
}

}  // namespace

void add_service_commands(CLI::App& app, Invocation& invocation) {
  add_dev_command(app, invocation);
  add_run_command(app, invocation);
}

}  // namespace durabled::daemon::cli
