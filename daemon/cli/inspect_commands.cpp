// durabled list, show, history: reading what instances are and were.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <limits>
#include <map>
#include <memory>

#include "config/units.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/cli/error_text.hpp"
#include "daemon/cli/filter_options.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/instance_progress.hpp"
#include "daemon/cli/instance_tree.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"
#include "dsl/engine/event.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

// The output of a command's rows as one JSON array.
template <typename Row, typename Function>
void print_list(const std::vector<Row>& rows, Function&& object) {
  JsonList list;
  for (const Row& row : rows) list.add(object(row).text());
  std::cout << list.text() << '\n';
}

std::string took(const std::string& from, const std::optional<std::string>& until) {
  const auto begin = dsl::parse_time(from);
  const auto end = until ? dsl::parse_time(*until) : std::nullopt;
  return begin && end ? readable(*end - *begin) : "";
}

JsonObject to_object(const store::InstanceSummary& row) {
  return JsonObject()
      .text("id", row.id)
      .text("label", row.label)
      .text("status", row.status)
      .text("submitted_by", row.submitted_by)
      .number("executions", static_cast<long long>(row.executions))
      .text("created_at", row.created_at)
      .text("completed_at", row.completed_at)
      .raw_or_null("output", row.status == "completed" || !row.output
                                 ? row.output
                                 : std::optional(json_quote(*row.output)))
      .text("code", row.code);
}

// What each of the unfinished instances waits for, by id; of the first ones, because each costs a look at its history.
std::map<std::string, std::string> activities(store::ClientStore& store,
                                              const std::vector<store::InstanceSummary>& rows) {
  constexpr std::size_t kMost = 50;
  std::vector<std::string> ids;
  for (const store::InstanceSummary& row : rows) {
    if (row.status == "running" && ids.size() < kMost) ids.push_back(row.id);
  }
  std::map<std::string, std::string> all;
  for (const store::WaitingFor& wait : store.waits_of(ids)) all.insert({wait.instance_id, describe(wait)});
  return all;
}

void print_table(const std::vector<store::InstanceSummary>& rows,
                 const std::map<std::string, std::string>& doing) {
  const bool several_roles = std::any_of(rows.begin(), rows.end(), [&](const store::InstanceSummary& row) {
    return row.submitted_by != rows.front().submitted_by;
  });
  std::vector<std::string> titles{"ID", "STATUS", "LABEL", "CREATED", "TOOK", "OUTPUT"};
  if (several_roles) titles.insert(titles.begin() + 2, "ROLE");
  Table table(titles);
  constexpr std::size_t kLabel = 32;
  for (const store::InstanceSummary& row : rows) {
    const auto activity = doing.find(row.id);
    std::vector<Table::Cell> cells{{row.id},
                                   {row.status, status_colour(row.status)},
                                   {one_line(row.label.value_or(""), kLabel)},
                                   {local_time(row.created_at)},
                                   {took(row.created_at, row.completed_at)},
                                   {row.output.value_or(activity == doing.end() ? "" : activity->second)}};
    if (several_roles) cells.insert(cells.begin() + 2, {row.submitted_by.value_or("(dropped)")});
    table.add(cells);
  }
  std::cout << table.text();
}

ExitCode list(const Invocation& invocation, const store::ListFilter& filter) {
  store::ClientStore store(invocation.conninfo());
  const auto rows = store.list(filter);
  if (invocation.json) {
    print_list(rows, to_object);
    return ExitCode::kOk;
  }
  print_table(rows, activities(store, rows));
  if (rows.size() == static_cast<std::size_t>(filter.limit)) {
    std::cout.flush();
    std::cerr << "there may be more: repeat the command with --after " << rows.back().id << '\n';
  }
  return ExitCode::kOk;
}

struct ShowOptions {
  std::string id;
  bool ids = false;
};

struct Shown {
  store::InstanceDetail instance;
  std::optional<dsl::Graph> graph;
  std::vector<store::NodeState> nodes;
  std::map<std::string, std::string> progress;  // by node
  std::vector<store::NodeWarning> warnings;
  std::vector<store::WaitingFor> waits;
  std::vector<store::SentSignal> signals;  // that nothing has taken yet
  bool served = true;                      // false: it is due, and no daemon is there
};

std::optional<std::string> found(const std::map<std::string, std::string>& values, const std::string& key) {
  const auto value = values.find(key);
  return value == values.end() ? std::nullopt : std::optional(value->second);
}

std::string to_json(const Shown& shown) {
  const store::InstanceDetail& instance = shown.instance;
  JsonList nodes;
  for (const store::NodeState& node : shown.nodes) {
    nodes.add(JsonObject()
                  .text("node_id", node.node_id)
                  .text("status", node.status)
                  .text("progress", found(shown.progress, node.node_id))
                  .number("took_us", node.took ? std::optional<long long>(node.took->count()) : std::nullopt)
                  .raw_or_null("error", node.error)
                  .text());
  }
  JsonList waits;
  for (const store::WaitingFor& wait : shown.waits) {
    waits.add(JsonObject()
                  .text("node_id", wait.node_id)
                  .text("kind", wait.kind)
                  .text("name", wait.name)
                  .text("until", wait.until)
                  .number("attempt", wait.attempt ? std::optional<long long>(*wait.attempt) : std::nullopt)
                  .text("error", wait.error)
                  .text());
  }
  JsonList signals;
  for (const store::SentSignal& signal : shown.signals) {
    signals.add(JsonObject()
                    .text("name", signal.name)
                    .raw("data", signal.data)
                    .text("sent_at", signal.sent_at)
                    .text());
  }
  return JsonObject()
      .text("id", instance.id)
      .text("label", instance.label)
      .text("status", instance.status)
      .text("submitted_by", instance.submitted_by)
      .text("database", instance.database)
      .number("priority", static_cast<long long>(instance.priority))
      .text("created_at", instance.created_at)
      .text("started_at", instance.started_at)
      .text("updated_at", instance.updated_at)
      .text("completed_at", instance.completed_at)
      .text("wake_at", instance.wake_at)
      .text("request", instance.request)
      .text("dsl", instance.dsl)
      .raw_or_null("input", instance.input)
      .raw_or_null("graph", instance.graph)
      .raw("nodes", nodes.text())
      .raw("waiting", waits.text())
      .raw("signals", signals.text())
      .raw_or_null("result", instance.result)
      .raw_or_null("error", instance.error)
      .text();
}

void print_field(const std::string& name, const std::string& value) {
  constexpr std::size_t kColumn = 10;
  std::cout << paint(Colour::kBold, name) << std::string(kColumn - name.size(), ' ');
  // A line of the value must not look like a field.
  for (const char c : value) {
    std::cout << c;
    if (c == '\n') std::cout << std::string(kColumn, ' ');
  }
  std::cout << '\n';
}

void print_times(const store::InstanceDetail& instance) {
  print_field("Created:", local_time(instance.created_at));
  if (instance.started_at) {
    const std::string after = took(instance.created_at, instance.started_at);
    print_field("Started:", local_time(*instance.started_at) + " (after " + after + ')');
  }
  if (instance.completed_at) {
    const std::string lasted = took(instance.started_at.value_or(instance.created_at), instance.completed_at);
    print_field("Ended:", local_time(*instance.completed_at) + " (took " + lasted + ')');
  } else if (instance.wake_at && instance.status == "pending") {
    print_field("Due:", local_time(*instance.wake_at));
  }
}

// What the tree says behind each node: how far it has come, what HTTP answered, and how long it took.
std::map<std::string, std::string> notes(const Shown& shown) {
  std::map<std::string, std::string> notes = shown.progress;
  for (const store::NodeState& node : shown.nodes) {
    if (!node.took || (node.status != "completed" && node.status != "failed")) continue;
    std::string& note = notes[node.node_id];
    if (node.http_status) note += (note.empty() ? "" : ", ") + *node.http_status;
    note += (note.empty() ? "" : ", ") + readable(*node.took);
  }
  return notes;
}

void print_instance(const Invocation& invocation, const Shown& shown, bool with_ids) {
  const store::InstanceDetail& instance = shown.instance;
  print_field("Instance:", instance.id + (instance.label ? " (" + one_line(*instance.label, 0) + ')' : ""));
  const bool is_under_way = instance.request && !has_ended(instance.status) &&
                            !(*instance.request == "pause" && instance.status == "paused");
  print_field("Status:", paint(status_colour(instance.status), instance.status) +
                             (is_under_way ? " (" + *instance.request + " requested)" : ""));
  print_field("Role:", instance.submitted_by.value_or("(dropped)") + ", database " + instance.database +
                           (instance.priority == 0 ? "" : ", priority " + std::to_string(instance.priority)));
  print_times(instance);
  if (instance.input) print_field("Input:", one_line(*instance.input, 0));
  for (const store::WaitingFor& wait : shown.waits)
    print_field("Now:", describe(wait, most_attempts(shown.graph, wait.node_id)));
  if (!shown.served) print_field("Now:", paint(Colour::kYellow, not_served(invocation)));
  for (const store::SentSignal& signal : shown.signals) {
    print_field("Signal:", '\'' + signal.name + "' " + one_line(signal.data, 60) + ", sent " +
                               local_time(signal.sent_at) + ", not taken yet");
  }
  if (shown.graph) {
    std::cout << '\n' << marked_tree(*shown.graph, shown.nodes, notes(shown), with_ids);
  } else {
    std::cout << '\n' << instance.dsl << '\n';
  }
  for (const store::NodeWarning& warning : shown.warnings)
    print_field("Warning:", paint(Colour::kYellow, "node " + warning.node_id + ": " + warning.text));
  if (instance.error) {
    std::cout << '\n';
    print_field("Error:", paint(Colour::kRed, error_message(*instance.error)));
    for (const std::string& line : error_details(*instance.error, shown.graph)) print_field("", line);
  }
  if (instance.result) {
    std::cout << '\n';
    print_field("Result:", *instance.result);
  }
}

ExitCode show(const Invocation& invocation, const ShowOptions& options) {
  store::ClientStore store(invocation.conninfo());
  Shown shown;
  shown.instance = store.instance(options.id);
  shown.graph = graph_of(shown.instance);
  shown.nodes = store.nodes(options.id);
  constexpr int kWarnings = 10;
  shown.warnings = store.warnings(options.id, kWarnings);
  if (shown.graph)
    shown.progress = progress_of(store, options.id, *shown.graph, shown.instance.status == "completed");
  if (!has_ended(shown.instance.status)) {
    constexpr int kSignals = 20;
    shown.waits = store.waiting(options.id);
    shown.signals = store.untaken_signals(options.id, kSignals);
    shown.served = shown.instance.status != "pending" || is_served(store);
  }
  if (invocation.json) {
    std::cout << to_json(shown) << '\n';
  } else {
    print_instance(invocation, shown, options.ids);
  }
  return ExitCode::kOk;
}

JsonObject to_object(const store::HistoryEvent& event) {
  const auto attempt = event.attempt ? std::optional<long long>(*event.attempt) : std::nullopt;
  return JsonObject()
      .number("seq", static_cast<long long>(event.seq))
      .text("at", event.at)
      .text("kind", event.kind)
      .text("node", event.node)
      .text("scope", event.scope)
      .number("attempt", attempt)
      .raw_or_null("data", event.data);
}

ExitCode history(const Invocation& invocation, const std::string& id) {
  const auto events = store::ClientStore(invocation.conninfo()).history(id);
  if (invocation.json) {
    print_list(events, [](const store::HistoryEvent& event) { return to_object(event); });
    return ExitCode::kOk;
  }
  Table table({"SEQ", "AT", "EVENT", "NODE", "SCOPE", "TRY", "DATA"});
  for (const store::HistoryEvent& event : events) {
    table.add({{std::to_string(event.seq)},
               {local_time(event.at, true)},
               {event.kind},
               {event.node.value_or("")},
               {event.scope.value_or("")},
               {event.attempt ? std::to_string(*event.attempt) : ""},
               {event.data.value_or("")}});
  }
  std::cout << table.text();
  return ExitCode::kOk;
}

// CLI11's own range has the largest double in its message.
CLI::Validator whole_number_from_1() {
  return {[](const std::string& text) {
            const auto number = config::parse_integer(text);
            return number && *number >= 1 && *number <= std::numeric_limits<int>::max()
                       ? std::string()
                       : "expected a whole number from 1, got '" + text + "'";
          },
          ""};
}

void add_list_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = add_command(app, "list", "List instances, newest first",
                                  "durabled list\n"
                                  "durabled list --status failed --since 1d\n"
                                  "durabled list --label 'import %' --role alice --limit 20\n"
                                  "durabled list --after 4k2m9xpq              # the next page\n"
                                  "durabled list --label nightly --json | jq '.[].id'");
  auto filter = std::make_shared<store::ListFilter>();
  add_filter_options(command, *filter);
  command.add_option("-n,--limit", filter->limit, "List at most N")
      ->type_name("N")
      ->check(whole_number_from_1())
      ->capture_default_str();
  command.add_option("--after", filter->after, "Go on after this instance, the last one of the page before")
      ->type_name("ID");
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, filter] { return list(invocation, *filter); });
}

}  // namespace

void add_inspect_commands(CLI::App& app, Invocation& invocation) {
  add_list_command(app, invocation);

  CLI::App& showing =
      add_command(app, "show", "Show an instance: its tree with what each node has come to, result, error",
                  "durabled show 4k2m9xpq\n"
                  "durabled show 4k2m9xpq --ids          # with node ids, e.g. for rerun --from\n"
                  "durabled show 4k2m9xpq --json | jq .error\n\n"
                  "Marks: ✓ completed, ✗ failed, ⏳ running, ○ pending, ⊘ skipped");
  auto options = std::make_shared<ShowOptions>();
  add_id_argument(showing, options->id);
  showing.add_flag("--ids", options->ids, "Show the ids of the nodes, too");
  add_database_option(showing, invocation);
  add_json_option(showing, invocation);
  set_action(showing, invocation, [&invocation, options] { return show(invocation, *options); });

  CLI::App& past =
      add_command(app, "history", "Print the events of an instance",
                  "durabled history 4k2m9xpq\n"
                  "durabled history 4k2m9xpq --json | jq '.[] | select(.kind == \"StepFailed\")'");
  auto id = std::make_shared<std::string>();
  add_id_argument(past, *id);
  add_database_option(past, invocation);
  add_json_option(past, invocation);
  set_action(past, invocation, [&invocation, id] { return history(invocation, *id); });
}

}  // namespace durabled::daemon::cli
