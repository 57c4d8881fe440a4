// The graph of a workflow: what both doors build and the engine runs. A tree, held as an arena in preorder,
// so that a node's index is stable for a given graph and gives the node its id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace durabled::dsl {

enum class NodeKind : std::uint8_t {
  kSql,
  kSequence,
  kIf,
  kIfRows,
  kJoin,
  kRace,
  kAny,
  kLoop,
  kBreak,
  kSleep,
  kWaitSchedule,
  kWaitSignal,
  kHttp,
  kHttpMultipart,
  kForEach,
  kRetry,
  kTimeout,
  kCatch,
  kFail,
  kLimit,
};

using NodeIndex = std::uint32_t;  // into Graph::nodes
inline constexpr NodeIndex kNoNode = UINT32_MAX;

// What a kind needs beside its text and children. Durations are seconds. Strings are templates unless said
// otherwise.
struct ScheduleOptions {
  std::string timezone = "UTC";
  bool operator==(const ScheduleOptions&) const = default;
};
struct SignalOptions {
  std::optional<double> timeout_seconds;
  bool operator==(const SignalOptions&) const = default;
};
struct HttpOptions {
  std::string method = "POST";         // upper case: GET POST PUT DELETE PATCH
  std::optional<std::string> body;     // kHttp only
  std::optional<std::string> headers;  // text of a JSON object
  std::optional<std::string>
      parts;  // kHttpMultipart only: text of a JSON array of {name, data_b64[, filename, content_type]}
  double timeout_seconds = 30;
  // Statuses ("404") and classes ("2xx") that are results; every other is a failure. Empty: all but those that
  // say "later" (5xx, 408, 429).
  std::vector<std::string> expect = {};
  // kHttp only, SQL statements: the first makes the body; the second takes the answer, as $response, in the commit
  // that completes the step.
  std::optional<std::string> request = {}, into = {};
  // The rows that `into` has of the answer as $rows; see answer_columns.hpp.
  std::optional<std::string> rows = {}, columns = {};
  bool operator==(const HttpOptions&) const = default;
};
// What HttpOptions::into calls the answer, and its rows.
inline constexpr std::string_view kResponseName = "response", kRowsName = "rows";
struct ForEachOptions {
  std::int64_t max_parallel = 10;
  std::string item = "item";  // an identifier
  bool operator==(const ForEachOptions&) const = default;
};
struct RetryOptions {
  std::int64_t max_attempts = 1;
  double delay = 1, backoff = 2, max_delay = 300;
  std::vector<std::string>
      on;  // SQLSTATEs ("40001"), classes ("53") or HTTP codes ("503"); empty: every failure
  bool operator==(const RetryOptions&) const = default;
};
struct TimeoutOptions {
  double seconds = 0;
  bool operator==(const TimeoutOptions&) const = default;
};
struct FailOptions {
  std::string code = "P0001";  // a SQLSTATE, or a name of letters, digits and _; no template
  bool operator==(const FailOptions&) const = default;
};
struct LimitOptions {
  std::string name;         // of a limit of the role, see df.set_limit; no template
  std::string units = "1";  // a number, or a template of one
  bool operator==(const LimitOptions&) const = default;
};
using NodeOptions = std::variant<std::monostate, ScheduleOptions, SignalOptions, HttpOptions, ForEachOptions,
                                 RetryOptions, TimeoutOptions, FailOptions, LimitOptions>;

// clang-format off
// kind                   text                      options
// kSql                   the statement             -
// kIfRows                name of a result          -
// kBreak                 value (see has_text)      -
// kSleep                 seconds ("30", "0.5")     -
// kWaitSchedule          cron                      ScheduleOptions
// kWaitSignal            signal's name             SignalOptions
// kHttp, kHttpMultipart  url                       HttpOptions
// kForEach               -                         ForEachOptions
// kRetry                 -                         RetryOptions
// kTimeout               -                         TimeoutOptions
// kFail                  message                   FailOptions
// kLimit                 -                         LimitOptions
// clang-format on
//
// The other kinds have neither. kinds.cpp has the children of each kind, in their order.
struct Node {
  NodeKind kind = NodeKind::kSql;
  std::string result_name;  // from |=>; empty: not named
  std::string text;
  // Tells df.break() from df.break(''); true for every other kind that takes a text.
  bool has_text = false;
  NodeOptions options;
  std::vector<NodeIndex> children;

  bool operator==(const Node&) const = default;
};

struct Graph {
  std::vector<Node> nodes;  // preorder; nodes[0] is the root; a node's descendants follow it directly

  const Node& operator[](NodeIndex index) const { return nodes[index]; }
  bool operator==(const Graph&) const = default;
};

// The name of a kind in the JSON form and in df.nodes ("SQL", "THEN", …). kIf and kIfRows are both "IF".
std::string_view node_type(NodeKind kind);

// A node's id: its index as 8 lower-case hex digits.
std::string node_id(NodeIndex index);
// The reverse; kNoNode when `id` is not one or is not in `graph`.
NodeIndex node_index(const Graph& graph, std::string_view id);

// What a graph may be at most; each limit has its key in the configuration (section limits).
struct GraphLimits {
  int depth = 256;
  int nodes = 10'000;
  std::size_t text_bytes = 1 << 20;
};

}  // namespace durabled::dsl
