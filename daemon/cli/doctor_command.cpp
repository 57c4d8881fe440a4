// durabled doctor: looks at everything that must be right, and says what is not and what to do.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

#include "daemon/cli/command.hpp"
#include "daemon/cli/config_options.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"
#include "daemon/role_login.hpp"
#include "store/doctor_store.hpp"
#include "store/schema.hpp"

namespace durabled::daemon::cli {
namespace {

// From this share of the server's NOTIFY queue on, df._ring_doorbell rings no more.
constexpr double kFullQueue = 0.5;

enum class Verdict { kOk, kWarning, kWrong };

struct Finding {
  std::string check;
  Verdict verdict = Verdict::kOk;
  std::string text;
  std::string advice;  // what to do; empty when nothing is
};

// Collects findings; each check adds one or more.
class Doctor {
 public:
  // `source`: where the configuration was read, for people.
  Doctor(config::Config config, std::string source)
      : config_(std::move(config)), source_(std::move(source)), conninfo_(config_.database) {}

  // The checks build upon each other: without a server or a schema there is nothing more to look at.
  std::vector<Finding> examine() {
    good("settings", "by the configuration read here, " + source_ + "; a daemon may have others");
    server_ = store::server_facts(conninfo_);
    check_server();
    check_clock();
    if (!check_schema_version()) return findings_;
    schema_ = store::schema_facts(conninfo_);
    if (!check_rights()) return findings_;
    check_grantees();
    check_operators();
    check_locks();
    check_notifications();
    check_identity();
    check_pooler();
    check_workers();
    check_http();
    return findings_;
  }

 private:
  void add(const std::string& check, Verdict verdict, const std::string& text,
           const std::string& advice = "") {
    findings_.push_back({check, verdict, text, advice});
  }
  void good(const std::string& check, const std::string& text) { add(check, Verdict::kOk, text); }
  void odd(const std::string& check, const std::string& text, const std::string& advice) {
    add(check, Verdict::kWarning, text, advice);
  }
  void wrong(const std::string& check, const std::string& text, const std::string& advice) {
    add(check, Verdict::kWrong, text, advice);
  }

  void check_server();
  void check_clock();
  bool check_schema_version();
  bool check_rights();
  void check_grantees();
  void check_operators();
  void check_locks();
  void check_notifications();
  void check_identity();
  void check_login(const store::StepTarget& target);
  std::optional<std::string> login_problem(const store::StepTarget& target, const std::string& login) const;
  void check_pooler();
  void check_listen();
  void check_pooled(const std::string& check, bool enabled, const std::string& key,
                    const std::string& enabled_text, const std::string& disabled_text);
  void check_workers();
  void check_http();

  config::Config config_;
  std::string source_;
  std::string conninfo_;
  store::ServerFacts server_;
  store::SchemaFacts schema_;
  std::vector<Finding> findings_;
};

void Doctor::check_server() {
  constexpr int kOldest = 150'000;
  constexpr int kNewer = 190'000;
  const std::string what =
      "PostgreSQL " + server_.version + ", database " + server_.database + ", role " + server_.role;
  if (server_.version_number < kOldest) {
    wrong("server", what, "PostgreSQL 15 to 18 are supported: upgrade the server.");
  } else if (server_.version_number >= kNewer) {
    odd("server", what, "This durabled was tested with PostgreSQL 15 to 18.");
  } else {
    good("server", what);
  }
  if (server_.in_recovery) {
    wrong("server", "it is a standby, where nothing can be written",
          "Name all hosts in the URI and add target_session_attrs=read-write.");
  }
  if (server_.is_superuser) {
    odd("role", server_.role + " is a superuser; the daemon needs no such rights",
        "Make an ordinary role, let it own the schema, and use it here.");
  }
  constexpr int kOfTheDaemonItself = 3;
  if (config_.steps.connections + kOfTheDaemonItself > server_.max_connections) {
    wrong("connections",
          "steps.connections is " + std::to_string(config_.steps.connections) + ", and the server takes " +
              std::to_string(server_.max_connections) + " connections from everybody",
          "Lower steps.connections, or raise max_connections.");
  }
}

void Doctor::check_clock() {
  constexpr std::chrono::seconds kTolerated{2};
  const auto off = std::chrono::abs(server_.clock_ahead);
  const std::string text = "the server's clock is " + readable(off) +
                           (server_.clock_ahead.count() < 0 ? " behind" : " ahead of") + " this machine's";
  if (off > kTolerated) {
    odd("clock", text, "Timers follow the server's clock; synchronise both with NTP.");
  } else {
    good("clock", text);
  }
}

bool Doctor::check_schema_version() {
  store::SchemaState state;
  try {
    state = store::schema_state(conninfo_);
  } catch (const store::StoreError& error) {
    if (!is_denied(error)) throw;
    wrong("schema", "role " + server_.role + " may not use the schema df",
          "A daemon has to log in as its owner, " + server_.schema_owner +
              ". To let the role submit, as that owner: select df.grant_usage('" + server_.role + "');");
    return false;
  }
  const std::string installed = std::to_string(state.installed);
  if (state.installed == 0) {
    wrong("schema", "the schema df is not installed in database " + server_.database, "Run: durabled init");
    return false;
  }
  if (state.installed < state.known) {
    wrong("schema", "version " + installed + "; this durabled needs " + std::to_string(state.known),
          "Run: durabled upgrade");
  } else if (state.installed > state.known) {
    wrong("schema", "version " + installed + "; this durabled knows " + std::to_string(state.known),
          "Install a newer durabled.");
  } else {
    good("schema", "version " + installed + ", as this durabled needs it");
  }
  return state.installed == state.known;
}

bool Doctor::check_rights() {
  if (!schema_.usable) {
    wrong("rights", "role " + server_.role + " may not use the schema df",
          "A daemon has to log in as its owner, " + server_.schema_owner +
              ". To let the role submit, as that owner: select df.grant_usage('" + server_.role + "');");
  } else if (schema_.owner) {
    good("rights", "role " + server_.role + " owns the schema");
  } else {
    good("rights", "role " + server_.role + " may submit; a daemon has to log in as the schema's owner, " +
                       server_.schema_owner);
  }
  return schema_.usable;
}

void Doctor::check_grantees() {
  if (!schema_.owner) return;
  if (schema_.grantees.empty()) {
    odd("grants", "no role but the owner may submit", "Let roles in with: select df.grant_usage('ROLE');");
  }
  for (const store::GranteeFacts& grantee : schema_.grantees) {
    if (grantee.missing_functions > 0) {
      odd("grants",
          "role " + grantee.role + " lacks " + std::to_string(grantee.missing_functions) +
              " functions of the schema",
          "They came with an upgrade; grant again: select df.grant_usage('" + grantee.role + "');");
    } else {
      good("grants", "role " + grantee.role + " may submit" +
                         (grantee.may_login ? "" : " (through roles that log in)"));
    }
  }
}

void Doctor::check_operators() {
  if (!schema_.owner) return;
  const std::string adopt = "as the owner of the schema: select df.grant_usage('df_operator');";
  if (schema_.operator_known) {
    good("operators", "members of df_operator see and manage everybody's instances");
  } else if (schema_.operator_exists) {
    odd("operators",
        "there is a role df_operator, which was not made for this schema: its members see their own only",
        "If they shall see everybody's instances, " + adopt);
  } else {
    good("operators",
         "there is no role df_operator; to have one: create role df_operator nologin; and then, " + adopt);
  }
}

void Doctor::check_locks() {
  if (schema_.lock_waiters.empty()) return good("locks", "nobody holds up others by waiting for a lock");
  odd("locks", schema_.lock_waiters,
      "Everybody else waits behind it. To end it: select pg_terminate_backend(PID);");
}

void Doctor::check_notifications() {
  if (server_.notification_queue < kFullQueue)
    return good("queue", "the server's queue of notifications has room");
  const int percent = static_cast<int>(server_.notification_queue * 100);
  odd("queue",
      "the server's queue of notifications is " + std::to_string(percent) +
          "% full; from 50% on nobody rings for the daemons, and they find work by polling. Oldest "
          "transactions: " +
          (server_.oldest_transactions.empty() ? "none that role " + server_.role + " may see"
                                               : server_.oldest_transactions),
      "A session that listens in an open transaction keeps the queue. The server's log names its process "
      "(\"among those with the oldest transactions\"). To end it: select pg_terminate_backend(PID);");
}

std::optional<std::string> Doctor::login_problem(const store::StepTarget& target,
                                                 const std::string& login) const {
  try {
    return store::login_problem(
        store::step_params(conninfo_, target, login, server_.role, role_login(config_.identity, target.role),
                           !config_.steps.prepared_statements, config_.worker.lease_ttl));
  } catch (const store::StoreError& e) {
    return e.what();
  }
}

void Doctor::check_login(const store::StepTarget& target) {
  const std::string who = target.role + " in database " + target.database;
  const bool set_role = config_.identity.mode == "set_role";
  const std::string login = set_role ? server_.role : target.role;
  const auto problem = login_problem(target, login);
  if (problem) {
    wrong("identity", "steps cannot log in as " + login + " in database " + target.database + ": " + *problem,
          "Give libpq a way in: a line of the passfile, a certificate, pg_ident, a file in "
          "identity.passwords_directory, or an entry of identity.roles.");
  } else if (set_role && target.role != server_.role && !store::may_set_role(conninfo_, target.role)) {
    wrong("identity", "role " + server_.role + " may not SET ROLE " + target.role,
          "Run: grant \"" + target.role + "\" to \"" + server_.role + "\";");
  } else {
    good("identity", "steps can run as " + who + (set_role ? " (set_role)" : ""));
  }
}

void Doctor::check_identity() {
  if (schema_.recent_targets.empty()) good("identity", "nobody submitted within a day, so no role was tried");
  for (const store::StepTarget& target : schema_.recent_targets) check_login(target);
  for (const std::string& login : schema_.waiting_logins) {
    wrong("identity", "steps wait because the daemon cannot log in as " + login,
          "The daemon's log has the reason. It tries again by itself.");
  }
  for (const std::string& id : schema_.dropped) {
    odd("identity", "instance " + id + " cannot go on: the role that submitted it was dropped",
        "Run: durabled cancel " + id);
  }
}

// Behind a pooler in transaction mode the three keys about sessions must be false, and something is given up
// for each.
void Doctor::check_pooler() {
  if (store::sessions_are_kept(conninfo_)) {
    good("pooler", "none in transaction mode: connections keep their sessions");
    return check_listen();
  }
  odd("pooler", "connections go through a pooler in transaction mode: they do not keep their sessions",
      "Everything works, with the limits below. A direct connection for the daemon lifts them.");
  check_pooled("listen", config_.worker.listen, "worker.listen", "notifications do not arrive",
               "no notifications: new work is found by polling, within worker.poll_interval, " +
                   readable(config_.worker.poll_interval));
  check_pooled(
      "locks", config_.worker.advisory_lock, "worker.advisory_lock",
      "a session lock says nothing about the daemon: others may take over what it holds while it lives",
      "no session lock: others take over from a dead daemon after worker.lease_ttl, " +
          readable(config_.worker.lease_ttl));
  check_pooled("prepared", config_.steps.prepared_statements, "steps.prepared_statements",
               "prepared statements and session settings get lost between transactions",
               "no prepared statements: the statements around each step are parsed each time");
}

void Doctor::check_pooled(const std::string& check, bool enabled, const std::string& key,
                          const std::string& enabled_text, const std::string& disabled_text) {
  if (enabled) {
    wrong(check, enabled_text, "Set " + key + " to false, or connect directly.");
  } else {
    good(check, disabled_text);
  }
}

void Doctor::check_listen() {
  if (server_.notification_queue >= kFullQueue) return;  // a full one would refuse ours
  const bool arrive = store::notifications_arrive(conninfo_);
  if (arrive) {
    good("listen", "notifications arrive");
  } else if (config_.worker.listen) {
    odd("listen", "notifications do not arrive",
        "Polling finds the work meanwhile. Connect directly, or set worker.listen to false.");
  } else {
    good("listen", "notifications do not arrive, and worker.listen is false");
  }
}

void Doctor::check_workers() {
  bool alive = false;
  for (const store::WorkerFacts& worker : schema_.workers) {
    const std::string who = worker.name + " on " + worker.host + " (" + worker.version + "), last heard of " +
                            readable(worker.silent_for) + " ago";
    if (worker.silent_for <= config_.worker.lease_ttl) {
      alive = true;
      good("workers", who);
    } else {
      odd("workers", who, "It is dead or cut off; another daemon takes over what it held.");
    }
  }
  if (!alive)
    wrong("workers", "no daemon serves this database",
          "Start one: durabled run, or systemctl start durabled");
  for (const auto& [id, why] : schema_.parked) {
    odd("workers", "instance " + id + " is parked: " + why,
        "Run: durabled resume " + id + ", or durabled cancel " + id);
  }
  if (schema_.overdue > 0) {
    odd("workers",
        std::to_string(schema_.overdue) + " instances wait to be taken up for more than ten seconds",
        alive ? "The daemons have enough to do: add one, or raise steps.connections."
              : "They go on once a daemon runs.");
  }
}

void Doctor::check_http() {
  const config::Config::Http& http = config_.http;
  if (http.allow.empty()) {
    good("http", "every HTTP step is refused: http.allow is empty in the configuration read here");
  } else {
    good("http", std::to_string(http.allow.size()) + " entries allow HTTP steps");
  }
  if (!http.secrets_directory.empty() && !std::filesystem::is_directory(http.secrets_directory)) {
    wrong("http",
          "http.secrets_directory is " + http.secrets_directory +
              ", which is not a directory that this user can read",
          "Make it, or leave the key out.");
  }
}

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kWrong:
      return "wrong";
  }
  return "";
}

std::string mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return paint(Colour::kGreen, "✓");
    case Verdict::kWarning:
      return paint(Colour::kYellow, "!");
    case Verdict::kWrong:
      return paint(Colour::kRed, "✗");
  }
  return "";
}

void print(const std::vector<Finding>& findings, bool healthy, bool json) {
  if (!json) {
    for (const Finding& finding : findings) {
      std::cout << mark(finding.verdict) << ' ' << finding.check
                << std::string(12 - finding.check.size(), ' ') << finding.text << '\n';
      if (!finding.advice.empty()) std::cout << std::string(14, ' ') << "-> " << finding.advice << '\n';
    }
    return;
  }
  JsonList list;
  for (const Finding& finding : findings) {
    list.add(JsonObject()
                 .text("check", finding.check)
                 .text("verdict", std::string(word(finding.verdict)))
                 .text("text", finding.text)
                 .text("advice", finding.advice)
                 .text());
  }
  std::cout << JsonObject().boolean("ok", healthy).raw("findings", list.text()).text() << '\n';
}

ExitCode examine(const Invocation& invocation, const ConfigOptions& options) {
  const config::Sources sources = config_sources(invocation, options);
  const config::Config config = load_config(sources).config;
  std::vector<Finding> findings;
  ExitCode unhealthy = ExitCode::kFailed;
  try {
    findings = Doctor(config, sources.file.value_or("defaults and environment")).examine();
  } catch (const store::StoreError& error) {
    if (exit_code(error) == ExitCode::kUnreachable) unhealthy = ExitCode::kUnreachable;
    const bool unreachable = unhealthy == ExitCode::kUnreachable;
    findings.push_back(
        {"database", Verdict::kWrong, explain(error),
         unreachable ? "Is the server up, and is the address right? durabled --help says where it comes from."
                     : ""});
  }
  bool healthy = true;
  for (const Finding& finding : findings) healthy = healthy && finding.verdict != Verdict::kWrong;
  print(findings, healthy, invocation.json);
  return healthy ? ExitCode::kOk : unhealthy;
}

}  // namespace

void add_doctor_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(
      app, "doctor", "Look at server, schema, grants, identity, LISTEN, clock, daemons and HTTP policy",
      "durabled doctor --config /etc/durabled/durabled.yaml\n"
      "sudo -u durabled durabled doctor          # with the eyes of the service\n"
      "durabled doctor --database postgresql://app@db1/app --json\n\n"
      "Exits with 0 when nothing is wrong, 1 when something is, 3 when the database cannot be reached.");
  auto options = std::make_shared<ConfigOptions>();
  add_config_option(command, *options);
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, options] { return examine(invocation, *options); });
}

}  // namespace durabled::daemon::cli
