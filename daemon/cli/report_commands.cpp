// durabled workers, waiting, metrics, prune: what an operator looks at, and the cleaning up.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <iostream>
#include <memory>

#include "config/config.hpp"
#include "daemon/cli/bulk.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

std::string decimal(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", seconds);
  return text.data();
}

bool is_alive(const store::WorkerRow& worker) {
  return worker.silent_seconds < std::chrono::duration<double>(config::Config{}.worker.lease_ttl).count();
}

std::string ago(double seconds) {
  return readable(std::chrono::microseconds(static_cast<long long>(seconds * 1e6))) + " ago";
}

ExitCode workers(const Invocation& invocation) {
  const auto rows = store::ClientStore(invocation.conninfo()).workers();
  if (invocation.json) {
    JsonList list;
    for (const store::WorkerRow& row : rows) {
      list.add(JsonObject()
                   .number("id", static_cast<long long>(row.id))
                   .text("name", row.name)
                   .text("host", row.host)
                   .number("pid", static_cast<long long>(row.pid))
                   .text("version", row.version)
                   .text("started_at", row.started_at)
                   .text("last_seen_at", row.last_seen_at)
                   .boolean("alive", is_alive(row))
                   .number("instances", static_cast<long long>(row.instances))
                   .text());
    }
    std::cout << list.text() << '\n';
    return ExitCode::kOk;
  }
  Table table({"ID", "STATE", "NAME", "HOST", "PID", "VERSION", "STARTED", "HOLDS", "LAST SEEN"});
  for (const store::WorkerRow& row : rows) {
    table.add({{std::to_string(row.id)},
               is_alive(row) ? Table::Cell{"alive", Colour::kGreen} : Table::Cell{"silent", Colour::kRed},
               {one_line(row.name, 32)},
               {one_line(row.host, 32)},
               {std::to_string(row.pid)},
               {row.version},
               {local_time(row.started_at)},
               {std::to_string(row.instances)},
               {ago(row.silent_seconds)}});
  }
  std::cout << (rows.empty() ? not_served(invocation) + '\n' : table.text());
  return ExitCode::kOk;
}

struct WaitingOptions {
  std::optional<std::string> kind;
  int limit = 100;
};

ExitCode waiting(const Invocation& invocation, const WaitingOptions& options) {
  auto rows = store::ClientStore(invocation.conninfo()).waiting(std::nullopt, options.limit);
  if (options.kind) std::erase_if(rows, [&](const auto& row) { return row.kind != *options.kind; });
  if (invocation.json) {
    JsonList list;
    for (const store::WaitingFor& row : rows) {
      list.add(JsonObject()
                   .text("instance_id", row.instance_id)
                   .text("label", row.label)
                   .text("node_id", row.node_id)
                   .text("kind", row.kind)
                   .text("name", row.name)
                   .text("since", row.since)
                   .text("until", row.until)
                   .number("attempt", row.attempt ? std::optional<long long>(*row.attempt) : std::nullopt)
                   .text("error", row.error)
                   .text());
    }
    std::cout << list.text() << '\n';
    return ExitCode::kOk;
  }
  Table table({"ID", "LABEL", "SINCE", "WAITING"});
  for (const store::WaitingFor& row : rows) {
    table.add({{row.instance_id},
               {one_line(row.label.value_or(""), 32)},
               {row.since ? local_time(*row.since) : ""},
               {describe(row)}});
  }
  std::cout << table.text();
  return ExitCode::kOk;
}

// The text format that Prometheus reads, e.g. by the textfile collector of its node exporter.
std::string prometheus(const store::MetricValues& values, int alive) {
  std::string text =
      "# HELP durabled_instances Instances by status, of those that this role may see\n"
      "# TYPE durabled_instances gauge\n";
  for (const auto& [status, count] : values.instances)
    text += "durabled_instances{status=\"" + status + "\"} " + std::to_string(count) + '\n';
  const auto gauge = [&](const std::string& name, const std::string& help, const std::string& value) {
    text += "# HELP " + name + ' ' + help + "\n# TYPE " + name + " gauge\n" + name + ' ' + value + '\n';
  };
  gauge("durabled_instances_due", "Instances that could run now and that no daemon holds",
        std::to_string(values.due));
  gauge("durabled_oldest_due_seconds", "How long the oldest of those has been due",
        decimal(values.oldest_due_seconds));
  gauge("durabled_failed_last_hour", "Instances that failed within the last hour",
        std::to_string(values.failed_last_hour));
  gauge("durabled_workers_alive", "Daemons that were heard of lately", std::to_string(alive));
  return text;
}

ExitCode metrics(const Invocation& invocation, bool as_prometheus) {
  store::ClientStore store(invocation.conninfo());
  const store::MetricValues values = store.metrics();
  int alive = 0;
  for (const store::WorkerRow& worker : store.workers()) alive += is_alive(worker) ? 1 : 0;
  if (as_prometheus) {
    std::cout << prometheus(values, alive);
  } else if (invocation.json) {
    JsonObject statuses;
    for (const auto& [status, count] : values.instances)
      statuses.number(status, static_cast<long long>(count));
    std::cout << JsonObject()
                     .raw("instances", statuses.text())
                     .number("due", static_cast<long long>(values.due))
                     .raw("oldest_due_seconds", decimal(values.oldest_due_seconds))
                     .number("failed_last_hour", static_cast<long long>(values.failed_last_hour))
                     .number("workers_alive", static_cast<long long>(alive))
                     .text()
              << '\n';
  } else {
    Table table({"METRIC", "VALUE"});
    for (const auto& [status, count] : values.instances)
      table.add({{"instances " + status}, {std::to_string(count)}});
    table.add({{"due, held by no daemon"}, {std::to_string(values.due)}});
    table.add(
        {{"due for"},
         {readable(std::chrono::microseconds(static_cast<long long>(values.oldest_due_seconds * 1e6)))}});
    table.add({{"failed in the last hour"}, {std::to_string(values.failed_last_hour)}});
    table.add({{"daemons alive"}, {std::to_string(alive)}});
    std::cout << table.text();
  }
  return ExitCode::kOk;
}

struct PruneOptions {
  std::string age;
  bool dry_run = false;
  bool yes = false;
};

ExitCode prune(const Invocation& invocation, const PruneOptions& options) {
  store::ClientStore store(invocation.conninfo());
  const std::int64_t found = store.prunable(options.age);
  const std::string what = std::to_string(found) + (found == 1 ? " instance" : " instances") +
                           " that ended more than " + options.age + " ago";
  if (!options.dry_run && found > 0 && !options.yes &&
      !confirmed("This would delete " + what + ", with their history."))
    return ExitCode::kFailed;
  const std::int64_t pruned = options.dry_run ? 0 : store.prune(options.age);
  if (invocation.json) {
    std::cout << JsonObject()
                     .boolean("dry_run", options.dry_run)
                     .number("matching", static_cast<long long>(found))
                     .number("pruned", static_cast<long long>(pruned))
                     .text()
              << '\n';
  } else {
    std::cout << (options.dry_run ? "would delete " + what : "deleted " + std::to_string(pruned)) << '\n';
  }
  return ExitCode::kOk;
}

void add_waiting_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      add_command(app, "waiting", "List what instances wait for: timers, schedules, signals, retries",
                  "durabled waiting\n"
                  "durabled waiting --kind signal\n"
                  "durabled waiting --json | jq '.[] | select(.kind == \"retry\")'");
  auto options = std::make_shared<WaitingOptions>();
  command
      .add_option("-k,--kind", options->kind,
                  "Only those that wait for this: timer, schedule, signal, retry …")
      ->type_name("KIND");
  command.add_option("-n,--limit", options->limit, "Look at N of them at most")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, options] { return waiting(invocation, *options); });
}

void add_prune_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(
      app, "prune", "Delete instances that ended long ago, with their history; for the schema's owner",
      "durabled prune --older-than '30 days' --dry-run\n"
      "durabled prune --older-than '30 days' --yes");
  auto options = std::make_shared<PruneOptions>();
  command.add_option("--older-than", options->age, "How long ago they ended, at least")
      ->required()
      ->type_name("INTERVAL");
  command.add_flag("--dry-run", options->dry_run, "Say how many there are, and delete nothing");
  command.add_flag("-y,--yes", options->yes, "Do not ask first");
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, options] { return prune(invocation, *options); });
}

}  // namespace

void add_report_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& daemons = add_command(app, "workers", "List the daemons that serve the database",
                                  "durabled workers\n"
                                  "durabled workers --json | jq '.[] | select(.alive | not)'");
  add_database_option(daemons, invocation);
  add_json_option(daemons, invocation);
  set_action(daemons, invocation, [&invocation] { return workers(invocation); });

  add_waiting_command(app, invocation);

  CLI::App& numbers = add_command(app, "metrics", "Count instances by status, and what is due",
                                  "durabled metrics\n"
                                  "durabled metrics --prometheus > /var/lib/node_exporter/durabled.prom\n"
                                  "durabled metrics --json | jq .due");
  auto as_prometheus = std::make_shared<bool>(false);
  numbers.add_flag("--prometheus", *as_prometheus, "Print the text format that Prometheus reads");
  add_database_option(numbers, invocation);
  add_json_option(numbers, invocation);
  set_action(numbers, invocation,
             [&invocation, as_prometheus] { return metrics(invocation, *as_prometheus); });

  add_prune_command(app, invocation);
}

}  // namespace durabled::daemon::cli
