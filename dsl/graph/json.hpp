// The JSON form of a graph: what the SQL door builds, what the history stores. One object a node; absent
// means none.
//
// clang-format off
// kind            query (always a JSON string)
// kSql            the statement
// kIfRows         {"if_rows":"name"}
// kBreak          value; absent for df.break()
// kSleep          seconds
// kWaitSchedule   cron, or {"cron","timezone"} when not UTC
// kWaitSignal     {"signal_name"[,"timeout_seconds"]}
// kHttp           {"url","method"[,"body","headers"],"timeout_seconds"[,"expect","request","into","rows","columns"]}
// kHttpMultipart  {"url","method","parts"[,"headers"],"timeout_seconds"[,"expect"]}
// kForEach        {"max_parallel","name"}
// kRetry          {"max_attempts","delay","backoff","max_delay"[,"on"]}
// kLimit          {"name","units"}
// kTimeout        {"seconds"}
// kFail           {"message"[,"code"]}
// clang-format on
//
// The node_type and the place of each child (left_node, right_node, condition_node, extra_nodes) are in kinds.cpp.
// `query` of the kinds with {…} is JSON text in a string. "headers" is an object, "parts" an array, "on" a
// string of codes separated by spaces. A key order is kept: node_type, query, result_name, condition_node,
// left_node, right_node, extra_nodes; unused keys are left out when written and may be null when read.
// Operators flatten: `a ~> b ~> c`, like df.seq(a, b, c), is one THEN with an extra node (when the left side
// is an unnamed THEN); `&` and `|` likewise.
#pragma once

#include <string>
#include <string_view>

#include "dsl/expected.hpp"
#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct GraphError {
  std::string path;               // "root", "root.left_node.extra_nodes[2]"
  std::string message;            // "Unknown node_type 'X'", …
  std::string to_string() const;  // "Invalid durable function graph: root: …"
};

// Compact JSON text, byte for byte the same for the same graph.
std::string to_json(const Graph& graph);

// Reads and checks (limits, node types, shapes, names, arguments). A JSON string or text that is no such
// object is not accepted here; the caller decides what is a SQL step.
Expected<Graph, GraphError> from_json(std::string_view json, const GraphLimits& limits);

}  // namespace durabled::dsl
