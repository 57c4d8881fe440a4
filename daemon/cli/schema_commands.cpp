// durabled init, upgrade, renew-installation, uninstall: the df schema, and the schema of AI pipelines.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "daemon/cli/command.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/json_output.hpp"
#include "store/ai_schema.hpp"
#include "store/schema.hpp"

namespace durabled::daemon::cli {
namespace {

struct Options {
  bool print = false;
  bool yes = false;
  bool with_ai = false;
  std::string ai_schema;  // empty: the usual name
  store::SchemaOptions schema;
};

void add_operator_schema_option(CLI::App& command, Options& options) {
  command
      .add_option("--operator-schema", options.schema.operator_schema,
                  "The schema that the operators ~> and the others live in")
      ->type_name("NAME")
      ->capture_default_str();
}

ExitCode print(const Options& options, int installed) {
  std::cout << store::print_schema(options.schema, installed);
  return ExitCode::kOk;
}

ExitCode migrate(const Invocation& invocation, const Options& options,
                 const std::vector<std::string>& ai_schemas) {
  std::vector<std::string> applied = store::migrate(invocation.conninfo(), options.schema);
  const bool df_changed = !applied.empty();
  for (const std::string& schema : ai_schemas) {
    const auto more = store::install_ai_schema(invocation.conninfo(), schema);
    applied.insert(applied.end(), more.begin(), more.end());
  }
  if (invocation.json) {
    JsonList names;
    for (const std::string& name : applied) names.add(json_quote(name));
    std::cout << JsonObject().raw("applied", names.text()).text() << '\n';
    return ExitCode::kOk;
  }
  for (const std::string& name : applied) std::cout << "applied " << name << '\n';
  if (df_changed) {
    std::cout << "The schema df is ready. Let a role use it with: select df.grant_usage('ROLE');\n";
  } else {
    std::cout << "The schema df is up to date.\n";
  }
  for (const std::string& schema : ai_schemas)
    std::cout << "The schema " << schema << " is ready for AI pipelines.\n";
  return ExitCode::kOk;
}

// What is not an error, but would be missed later.
void mention_roles(const Invocation& invocation) {
  const store::InstallFacts facts = store::install_facts(invocation.conninfo());
  if (facts.is_superuser) {
    warn(invocation.json, "the schema df now belongs to " + facts.role +
                              ", a superuser, as whom the daemon must log in; it needs no such rights.\n"
                              "To change that: durabled uninstall --yes, and init as an ordinary role.");
  }
  if (facts.operator_known) return;
  const std::string adopt = "select df.grant_usage('df_operator');";
  if (facts.operator_exists) {
    warn(invocation.json,
         "there was a role df_operator already. If its members shall see and manage everybody's instances "
         "here, "
         "run as " +
             facts.role + ": " + adopt);
  } else {
    warn(invocation.json,
         "role " + facts.role +
             " may not create roles, so there is no df_operator, whose members see and manage "
             "everybody's instances.\nIf you want it: create role df_operator nologin; and then, "
             "as " +
             facts.role + ": " + adopt);
  }
}

ExitCode init(const Invocation& invocation, const Options& options) {
  std::vector<std::string> ai;
  if (options.with_ai || !options.ai_schema.empty())
    ai.push_back(options.ai_schema.empty() ? store::kAiSchema : options.ai_schema);
  if (options.print) {
    const ExitCode code = print(options, 0);
    for (const std::string& schema : ai) std::cout << store::print_ai_schema(schema);
    return code;
  }
  const bool is_new = store::schema_state(invocation.conninfo()).installed == 0;
  const ExitCode code = migrate(invocation, options, ai);
  if (is_new) mention_roles(invocation);
  return code;
}

ExitCode upgrade(const Invocation& invocation, const Options& options) {
  const int installed = store::schema_state(invocation.conninfo()).installed;
  if (installed == 0) {
    throw CommandError(ExitCode::kFailed,
                       "the schema df is not installed in this database; run: durabled init");
  }
  if (options.print) return print(options, installed);
  return migrate(invocation, options, store::ai_schemas(invocation.conninfo()));
}

ExitCode uninstall(const Invocation& invocation, const Options& options) {
  if (options.print) {
    std::cout << store::print_uninstall();
    return ExitCode::kOk;
  }
  if (!options.yes) {
    throw CommandError(
        ExitCode::kUsage,
        "this drops the schema df with every workflow and its history; add --yes if you mean it");
  }
  store::uninstall(invocation.conninfo());
  std::cout << (invocation.json ? "{\"uninstalled\":true}\n" : "The schema df is gone.\n");
  if (!invocation.json && store::install_facts(invocation.conninfo()).operator_exists) {
    std::cout << "The role df_operator stays, because other databases of the server may use it. "
                 "To remove it: drop role df_operator;\n";
  }
  return ExitCode::kOk;
}

ExitCode renew(const Invocation& invocation, const Options& options) {
  if (options.print) {
    std::cout << "select * from df._renew_installation();\n";
    return ExitCode::kOk;
  }
  const store::RenewedInstallation renewed = store::renew_installation(invocation.conninfo());
  if (invocation.json) {
    std::cout << JsonObject()
                     .text("before", renewed.before)
                     .text("after", renewed.after)
                     .number("daemons", renewed.daemons)
                     .text()
              << '\n';
    return ExitCode::kOk;
  }
  std::cout
      << "This installation is now " << renewed.after << "; it was " << renewed.before << ".\n"
      << "HTTP steps send new Idempotency-Keys from now on, and new instances get ids that the original "
         "does not use.\n";
  if (renewed.daemons > 0) {
    std::cout << renewed.daemons << " daemons register again and run again what was under way.\n";
  }
  return ExitCode::kOk;
}

using Function = ExitCode (*)(const Invocation&, const Options&);

std::shared_ptr<Options> add(CLI::App& command, Invocation& invocation, Function function) {
  auto options = std::make_shared<Options>();
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  command.add_flag("--print", options->print, "Print the SQL and do nothing");
  set_action(command, invocation,
             [&invocation, options, function] { return function(invocation, *options); });
  return options;
}

}  // namespace

void add_schema_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& install =
      add_command(app, "init", "Install the df schema, as the role that shall own it",
                  "durabled init --database postgresql://durabled@db1/app\n"
                  "durabled init --operator-schema df_operators\n"
                  "durabled init --with-ai               # docs/pipelines.md\n"
                  "durabled init --print > df.sql        # for a DBA to read and run with psql");
  Options& options = *add(install, invocation, init);
  add_operator_schema_option(install, options);
  install.add_flag("--with-ai", options.with_ai, "Install AI pipelines too, in a schema ai");
  install.add_option("--ai-schema", options.ai_schema, "Another name for that schema; implies --with-ai")
      ->type_name("NAME");

  CLI::App& up = add_command(app, "upgrade", "Bring the df schema to the version that this program knows",
                             "durabled upgrade --database postgresql://durabled@db1/app\n"
                             "durabled upgrade --print | less       # what it would run");
  add_operator_schema_option(up, *add(up, invocation, upgrade));

  CLI::App& again = add_command(
      app, "renew-installation",
      "Give a restored copy of a database its own identity (new idempotency keys and ids)",
      "durabled renew-installation --database postgresql://durabled@db1/restored\n\n"
      "Run it, as the owner of the schema, before a daemon serves a restored backup that runs beside its\n"
      "original, or that goes back in time. docs/operations.md says more.");
  add(again, invocation, renew);

  CLI::App& down = add_command(app, "uninstall", "Drop the df schema with everything in it",
                               "durabled uninstall --yes --database postgresql://durabled@db1/app\n"
                               "durabled uninstall --print");
  down.add_flag("-y,--yes", add(down, invocation, uninstall)->yes, "Yes, every workflow and its history");
}

}  // namespace durabled::daemon::cli
