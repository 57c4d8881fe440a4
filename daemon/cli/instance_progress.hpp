// How far an instance has come: rows of its for_eachs, iterations of its loops, attempts of its retries.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {

// "6/12, 1 failed [3]" for a for_each outside of any loop, "iteration 4" for a loop, by the node's id. `completed`: so has
// the instance, and the failures of its rows were caught.
std::map<std::string, std::string> progress_of(store::ClientStore& store, const std::string& id,
                                               const dsl::Graph& graph, bool completed = false);

// The same in one line, for who waits: "for_each 6/12, 1 failed [3]"; "" when there is nothing to count.
std::string progress_line(store::ClientStore& store, const std::string& id, const dsl::Graph& graph);

// The attempts that the df.retry around a node allows; nothing where the daemon's configuration decides.
std::optional<long long> most_attempts(const std::optional<dsl::Graph>& graph, const std::string& node_id);

}  // namespace durabled::daemon::cli
