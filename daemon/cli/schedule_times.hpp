// When the schedules of a workflow come next, for durabled check.
#pragma once

#include <string>

#include "dsl/graph/graph.hpp"

namespace durabled::daemon::cli {

// A line for each schedule that is known before it runs, with its next three times in its zone; empty when there is
// none. Each line has an empty one before it.
std::string next_times_text(const dsl::Graph& graph);

// The same as a JSON array: [{"cron","timezone","next":[RFC 3339 in UTC, …]}].
std::string next_times_json(const dsl::Graph& graph);

}  // namespace durabled::daemon::cli
