// What made an instance fail, for people: the lines under the message of its error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::daemon::cli {

// The message in an error's JSON; the text itself when it has no message.
std::string error_message(const std::string& error_json);

// The rest of it, a line each: the failed node with its text, the place that the server named (with a caret
// where the statement ran exactly as in the graph), "sqlstate: 22012", "hint: …".
std::vector<std::string> error_details(const std::string& error_json, const std::optional<dsl::Graph>& graph);

}  // namespace durabled::daemon::cli
