// durabled ui: the web page.
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "daemon/cli/command.hpp"
#include "daemon/web/page_server.hpp"

namespace durabled::daemon::cli {

void add_ui_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(
      app, "ui", "Serve a web page that shows and steers instances, with the rights of whoever uses it",
      "durabled ui --open\n"
      "durabled ui --port 8080 --read-only\n"
      "durabled ui --login --database 'host=db1 dbname=app' --host flows.example.org "
      "--trusted-proxy 127.0.0.1/32 --port 8080\n"
      "durabled ui --user-header X-Forwarded-User --trusted-proxy unix --listen "
      "unix:/run/durabled-ui/socket");
  auto options = std::make_shared<web::Options>();
  auto login = std::make_shared<bool>(false);
  add_database_option(command, invocation);
  command.add_option("--port", options->port, "The port; by default a free one")
      ->type_name("N")
      ->check(CLI::Range(0, 65535));
  command.add_option("--listen", options->address, "The address, or unix:PATH")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command
      .add_option("--host", options->hosts,
                  "A name by which people reach it, with the port where they give one")
      ->type_name("NAME");
  command.add_option("--base-path", options->base_path, "The path below which a proxy serves it")
      ->type_name("PATH")
      ->capture_default_str();
  command.add_flag("--login", *login, "Each person gives the name and password of a database role");
  command
      .add_option("--user-header", options->user_header,
                  "Each request has the name of a role in this header; the proxy sets it")
      ->type_name("NAME");
  command
      .add_option("--trusted-proxy", options->trusted,
                  "Who alone may connect: a range of addresses, or unix for a Unix socket")
      ->type_name("CIDR");
  command.add_flag("--read-only", options->read_only, "Refuse every action");
  command.add_flag("--open", options->open, "Open the link in a browser");
  set_action(command, invocation, [&invocation, options, login] {
    if (*login && !options->user_header.empty())
      throw CommandError(ExitCode::kUsage, "--login and --user-header exclude each other");
    options->mode = *login                         ? web::Mode::kLogin
                    : options->user_header.empty() ? web::Mode::kPersonal
                                                   : web::Mode::kProxy;
    options->conninfo = invocation.conninfo();
    prctl(PR_SET_DUMPABLE, 0);  // its memory holds tokens and passwords
    const auto say = [](const std::string& text) { std::cout << text << std::flush; };
    return web::serve(*options, say) == 0 ? ExitCode::kOk : ExitCode::kFailed;
  });
}

}  // namespace durabled::daemon::cli
