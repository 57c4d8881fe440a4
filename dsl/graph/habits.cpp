#include "dsl/graph/habits.hpp"

#include <boost/json.hpp>
#include <set>

#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/input_reads.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/name_scopes.hpp"
#include "dsl/graph/returned_columns.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "dsl/value/cron.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

// Properties of a node that its children decide.
struct Traits {
  bool breaks = false;    // holds a df.break that leaves the loop around it
  bool may_fail = false;  // with a failure that no df.catch in it catches
  bool waits = false;     // holds a timer, a schedule or a wait for a signal
};

Traits traits_of(const Node& node, const std::vector<Traits>& all) {
  const KindInfo& kind = info(node.kind);
  Traits traits{node.kind == NodeKind::kBreak, kind.may_fail, kind.waits};
  for (const NodeIndex child : node.children) {
    traits.breaks |= all[child].breaks && node.kind != NodeKind::kLoop;
    traits.may_fail |= all[child].may_fail && node.kind != NodeKind::kCatch;
    traits.waits |= all[child].waits;
  }
  return traits;
}

void find_loops(const Graph& graph, std::vector<Finding>& found) {
  std::vector<Traits> all(graph.nodes.size());
  for (std::size_t i = all.size(); i-- > 0;) all[i] = traits_of(graph.nodes[i], all);  // children come later
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const Node& node = graph[index];
    if (node.kind != NodeKind::kLoop || node.children.size() > 1) continue;
    const Traits& body = all[node.children[0]];
    if (!body.breaks && body.may_fail) {
      found.push_back({index, "fragile_loop",
                       "this loop repeats for ever, but the first step in it that fails ends the workflow",
                       "put df.catch(step, handler) around what may fail, inside of the loop"});
    }
    if (!body.waits) {
      found.push_back({index, "busy_loop", "nothing in this loop waits, so that it repeats every second",
                       "add df.sleep(…), df.wait_for_schedule(…) or df.wait_for_signal(…)"});
    }
  }
}

void find_odd_schedules(const Graph& graph, std::vector<Finding>& found) {
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const Node& node = graph[index];
    if (node.kind != NodeKind::kWaitSchedule || has_reference(node.text)) continue;
    const auto odd = CronSchedule::find_odd_step(node.text);
    if (!odd) continue;
    found.push_back({index, "odd_schedule",
                     "the step of \"" + odd->element + "\" in the schedule \"" + node.text +
                         "\" is longer than its range, so that only " + std::to_string(odd->first) +
                         " matches",
                     "for every 90 minutes or the like use a loop with df.sleep"});
  }
}

void find_parameters(const Graph& graph, std::vector<Finding>& found) {
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    std::string parameter;
    visit_templates(graph[index], [&](std::string_view text, bool is_sql) {
      if (is_sql && parameter.empty()) parameter = unbound_parameter(text);
    });
    if (parameter.empty()) continue;
    found.push_back({index, "parameter",
                     shorten(parameter, 20) + " is a parameter, and a SQL step has no parameters",
                     "refer to an earlier result by its name, as in $name.column"});
  }
}

void find_server_files(const Graph& graph, std::vector<Finding>& found) {
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    if (graph[index].kind != NodeKind::kSql || !copies_to_server(graph[index].text)) continue;
    found.push_back({index, "server_file",
                     "COPY TO a file or a program writes on the database server's host, where no rollback "
                     "takes it back",
                     "insert into a table, or send the rows with df.http"});
  }
}

// The name of the first header for credentials whose value holds a variable; empty for none.
std::string open_credential(const Node& node) {
  const auto* http = std::get_if<HttpOptions>(&node.options);
  const auto headers = http != nullptr && http->headers ? parse_json(*http->headers) : parse_json("{}");
  if (!headers || !headers->is_object()) return "";
  for (const auto& header : headers->get_object()) {
    std::string name(header.key());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool is_credential =
        name == "authorization" || name == "proxy-authorization" || name == "x-api-key" || name == "api-key";
    if (is_credential && header.value().is_string() && !variable_names(header.value().get_string()).empty())
      return std::string(header.key());
  }
  return "";
}

void find_header_variables(const Graph& graph, std::vector<Finding>& found) {
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const std::string header = open_credential(graph[index]);
    if (header.empty()) continue;
    found.push_back({index, "header_variable",
                     "the header " + shorten(header) +
                         " holds a variable, whose value is stored with the instance for all who may see it",
                     "write {secret.NAME}, which is known to the daemon alone"});
  }
}

void find_endless_waits(const Graph& graph, std::vector<Finding>& found) {
  std::vector<bool> is_bounded(graph.nodes.size(), false);
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const Node& node = graph[index];
    const bool bounds =
        node.kind == NodeKind::kTimeout || node.kind == NodeKind::kRace || node.kind == NodeKind::kAny;
    for (const NodeIndex child : node.children) is_bounded[child] = is_bounded[index] || bounds;
    const auto* signal = std::get_if<SignalOptions>(&node.options);
    if (signal == nullptr || signal->timeout_seconds || is_bounded[index]) continue;
    found.push_back({index, "endless_wait", "this wait for a signal has no timeout",
                     "give it timeout_seconds, and ask $name.timed_out afterwards", true});
  }
}

void find_hidden_input(const Graph& graph, std::vector<Finding>& found) {
  for (NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const auto* rows = std::get_if<ForEachOptions>(&graph[index].options);
    if (graph[index].result_name != kInputName && (rows == nullptr || rows->item != kInputName)) continue;
    found.push_back({index, "hidden_input", "the name 'input' hides the input that the instance is given",
                     "give the result another name"});
  }
}

void find_unused_names(const Graph& graph, std::vector<Finding>& found) {
  std::set<std::string> used;
  for (const Node& node : graph.nodes) {
    bool open = false;
    visit_templates(node, [&](std::string_view text, bool) { open = open || !variable_names(text).empty(); });
    if (open) return;
    for (const auto& [name, offset] : names_used_by(node)) used.insert(name);
  }
  const Node& root = graph[0];
  const NodeIndex last = root.kind == NodeKind::kSequence ? root.children.back() : 0;
  for (NodeIndex index = 1; index < graph.nodes.size(); ++index) {
    const std::string& name = graph[index].result_name;
    if (name.empty() || index == last || used.contains(name)) continue;
    found.push_back({index, "unused_name", "the name '" + name + "' is never used",
                     "a later step refers to it as $" + name});
  }
}

}  // namespace

std::vector<Finding> find_habits(const Graph& graph) {
  std::vector<Finding> found;
  find_loops(graph, found);
  find_odd_schedules(graph, found);
  find_parameters(graph, found);
  find_server_files(graph, found);
  find_header_variables(graph, found);
  find_endless_waits(graph, found);
  find_hidden_input(graph, found);
  find_unused_names(graph, found);
  return found;
}

}  // namespace durabled::dsl
