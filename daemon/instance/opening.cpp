#include "daemon/instance/opening.hpp"

#include <utility>
#include <vector>

#include "daemon/turn.hpp"
#include "dsl/engine/event_data.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxDatabaseName = 63;

dsl::Failure invalid(const dsl::Diagnostic& problem) {
  dsl::Failure failure{"invalid_workflow", problem.to_string()};
  failure.hint = problem.hint;
  failure.add_text("reason", problem.code);
  failure.more.emplace_back("line", std::to_string(problem.line));
  failure.more.emplace_back("column", std::to_string(problem.column));
  failure.final = true;
  return failure;
}

Opening fails(dsl::Failure failure) {
  Opening opening;
  opening.failure = std::move(failure);
  return opening;
}

Opening does_not_fit(std::string why) {
  Opening opening;
  opening.corrupt = std::move(why);
  return opening;
}

Opening open_text(const store::ClaimedInstance& row, const dsl::GraphLimits& limits) {
  if (row.dsl.size() < row.dsl_bytes) return fails(invalid(dsl::text_too_long(row.dsl_bytes, limits)));
  auto parsed = dsl::parse_workflow(row.dsl, limits);
  if (!parsed) return fails(invalid(parsed.error()));
  if (parsed->database && parsed->database->size() > kMaxDatabaseName) {
    return fails(dsl::make_failure("invalid_workflow",
                                   "database: the name of a database has at most 63 bytes", 0, 0,
                                   "Give the name of a database of this server."));
  }
  Opening opening;
  opening.start = start_json(*parsed);
  opening.put_back = starts_from_row(*parsed);
  if (opening.put_back) return opening;
  opening.label = std::move(parsed->label);
  opening.database = std::move(parsed->database);
  opening.input = std::move(parsed->input);
  opening.graph = std::make_shared<const dsl::Graph>(std::move(parsed->graph));
  std::vector<std::string> warnings;
  for (const dsl::Diagnostic& warning : parsed->warnings) warnings.push_back(warning.to_string());
  opening.start_data = dsl::event_data::instance_started(*opening.graph, warnings);
  return opening;
}

Opening open_history(const store::ClaimedInstance& row, const dsl::GraphLimits& limits) {
  const dsl::Event& first = row.history.front();
  const auto json = dsl::json_member(first.data, "graph");
  if (first.kind != dsl::EventKind::kInstanceStarted || !json)
    return does_not_fit("the history does not begin with InstanceStarted");
  auto graph = dsl::from_json(*json, limits);
  if (!graph) return does_not_fit("the graph in the history is not valid: " + graph.error().to_string());
  Opening opening;
  opening.graph = std::make_shared<const dsl::Graph>(std::move(*graph));
  return opening;
}

}  // namespace

Opening open_row(const store::ClaimedInstance& row, const dsl::GraphLimits& limits) {
  if (!row.corrupt.empty()) return does_not_fit(row.corrupt);
  if (!row.role) {
    return fails(
        dsl::make_failure("role_dropped", "the role that submitted this instance no longer exists", 0, 0));
  }
  return row.history.empty() ? open_text(row, limits) : open_history(row, limits);
}

dsl::Variables variables_of(const store::ClaimedInstance& row) {
  dsl::Variables variables;
  for (dsl::JsonWalker walker(row.vars); walker.next();)
    variables[walker.key()] = dsl::json_text(walker.value());
  variables["sys_instance_id"] = row.id;
  variables["sys_label"] = row.label;
  return variables;
}

}  // namespace durabled::daemon
