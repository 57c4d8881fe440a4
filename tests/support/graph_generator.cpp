#include "tests/support/graph_generator.hpp"

#include <array>
#include <string>
#include <utility>

#include "dsl/graph/duration.hpp"

namespace durabled::test {
namespace {

using dsl::Graph;
using dsl::Node;
using dsl::NodeIndex;
using dsl::NodeKind;

class Generator {
 public:
  Generator(std::uint64_t seed, const GraphShape& shape) : random_(seed), shape_(shape) {}

  Graph run() {
    add_node(1);
    return std::move(graph_);
  }

 private:
  // Not std::uniform_int_distribution: it may differ from library to library, and seeds are printed to be
  // used again.
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }
  template <typename T, std::size_t N>
  const T& pick(const std::array<T, N>& values) {
    return values[below(N)];
  }

  NodeIndex add_node(int depth) {
    const auto index = static_cast<NodeIndex>(graph_.nodes.size());
    graph_.nodes.emplace_back();
    const bool must_be_leaf =
        depth >= shape_.max_depth || static_cast<int>(graph_.nodes.size()) >= shape_.max_nodes;
    Node node = must_be_leaf || chance(30) ? make_leaf() : make_parent(depth);
    if (chance(30)) node.result_name = name();
    graph_.nodes[index] = std::move(node);
    return index;
  }

  Node make_parent(int depth) {
    static constexpr std::array<NodeKind, 12> kKinds = {
        NodeKind::kLimit, NodeKind::kSequence, NodeKind::kIf,    NodeKind::kIfRows,
        NodeKind::kJoin,  NodeKind::kRace,     NodeKind::kAny,   NodeKind::kLoop,
        NodeKind::kRetry, NodeKind::kForEach,  NodeKind::kCatch, NodeKind::kTimeout};
    Node node;
    node.kind = pick(kKinds);
    std::uint64_t min = 2, max = 2;
    switch (node.kind) {
      case NodeKind::kSequence:
      case NodeKind::kJoin:
      case NodeKind::kRace:
      case NodeKind::kAny:
        max = static_cast<std::uint64_t>(shape_.max_width);
        break;
      case NodeKind::kIf:
        max = 3;
        break;
      case NodeKind::kIfRows:
        min = 1;
        node.text = name();
        node.has_text = true;
        break;
      case NodeKind::kLoop:
        min = 1;
        break;
      case NodeKind::kForEach:
        node.options = dsl::ForEachOptions{whole(1, 50), chance(50) ? "item" : name()};
        break;
      case NodeKind::kRetry:
        min = max = 1;
        node.options = retry_options();
        break;
      case NodeKind::kTimeout:
        min = max = 1;
        node.options = dsl::TimeoutOptions{dsl::round_seconds(seconds() + 1)};
        break;
      case NodeKind::kLimit:
        min = max = 1;
        node.options = dsl::LimitOptions{"limit:" + name(), chance(50)   ? "1"
                                                            : chance(50) ? "2.5"
                                                                         : "$" + name() + ".n"};
        break;
      case NodeKind::kCatch:
        break;
      case NodeKind::kSql:
      case NodeKind::kBreak:
      case NodeKind::kSleep:
      case NodeKind::kWaitSchedule:
      case NodeKind::kWaitSignal:
      case NodeKind::kHttp:
      case NodeKind::kHttpMultipart:
      case NodeKind::kFail:
        min = max = 0;
        break;
    }
    const std::uint64_t count = min + below(max - min + 1);
    for (std::uint64_t i = 0; i < count; ++i) node.children.push_back(add_node(depth + 1));
    return node;
  }

  Node make_leaf() {
    static constexpr std::array<NodeKind, 11> kKinds = {
        NodeKind::kSql,   NodeKind::kSql,           NodeKind::kSql,          NodeKind::kSql,
        NodeKind::kBreak, NodeKind::kSleep,         NodeKind::kWaitSchedule, NodeKind::kWaitSignal,
        NodeKind::kHttp,  NodeKind::kHttpMultipart, NodeKind::kFail};
    static const std::array<std::string, 4> kSleeps = {"30", "0.5", "$delay", "{delay}"};
    static const std::array<std::string, 4> kCrons = {"*/5 * * * *", "0 9 * * mon-fri", "@hourly",
                                                      "{minute} * * * *"};
    Node node;
    node.kind = pick(kKinds);
    node.has_text = true;
    if (node.kind == NodeKind::kSql) node.text = sql();
    if (node.kind == NodeKind::kSleep) node.text = pick(kSleeps);
    if (node.kind == NodeKind::kBreak && chance(50)) node.has_text = false;
    if (node.kind == NodeKind::kBreak && node.has_text) node.text = text();
    if (node.kind == NodeKind::kWaitSchedule) {
      node.text = pick(kCrons);
      node.options = dsl::ScheduleOptions{chance(70) ? "UTC" : "Europe/Berlin"};
    }
    if (node.kind == NodeKind::kWaitSignal) {
      node.text = "signal " + text();
      node.options = chance(50) ? dsl::SignalOptions{} : dsl::SignalOptions{seconds()};
    }
    if (node.kind == NodeKind::kFail) {
      node.text = "failed: " + text();
      node.options = chance(50) ? dsl::FailOptions{} : dsl::FailOptions{"out_of_stock"};
    }
    if (node.kind == NodeKind::kHttp || node.kind == NodeKind::kHttpMultipart) fill_http(node);
    return node;
  }

  void fill_http(Node& node) {
    static const std::array<std::string, 5> kMethods = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    static const std::array<std::string, 3> kHeaders = {"{}", R"({"Accept":"a/b","X-It's":"$x \"q\""})",
                                                        R"({"B":"2","A":"é"})"};
    static const std::array<std::string, 2> kParts = {
        R"([{"name":"f","data_b64":"aGVsbG8="}])",
        R"([{"data_b64":"$file.data","name":"it's","filename":"a b"},{"name":"g","data_b64":""}])"};
    dsl::HttpOptions options;
    node.text = "https://example.com/" + text();
    options.method = pick(kMethods);
    if (node.kind == NodeKind::kHttp && chance(50)) options.body = text();
    if (node.kind == NodeKind::kHttp && !options.body && chance(50)) options.request = sql();
    if (node.kind == NodeKind::kHttp && chance(30)) options.into = sql();
    if (node.kind == NodeKind::kHttpMultipart) options.parts = pick(kParts);
    if (chance(40)) options.headers = pick(kHeaders);
    if (chance(50)) options.timeout_seconds = dsl::round_seconds(seconds() + 0.5);
    if (chance(30)) options.expect = {"2xx"};
    if (chance(10)) options.expect = {"200", "404", "5xx"};
    node.options = std::move(options);
  }

  dsl::RetryOptions retry_options() {
    dsl::RetryOptions options;
    options.max_attempts = whole(1, 20);
    if (chance(50)) options.delay = seconds();
    if (chance(50)) options.backoff = 1.5;
    if (chance(50)) options.max_delay = seconds();
    if (chance(50)) options.on = {"40001", "53", "503"};
    return options;
  }

  std::int64_t whole(std::uint64_t min, std::uint64_t max) {
    return static_cast<std::int64_t>(min + below(max - min + 1));
  }
  // Halves to microseconds, exact as doubles of a decimal text.
  double seconds() { return static_cast<double>(below(4'000'000'000)) / (chance(50) ? 1e6 : 1e3); }

  std::string name() {
    static const std::array<std::string, 6> kNames = {"a", "b2", "Row", "_x", "result", "item"};
    return pick(kNames);
  }

  // Anything but NUL: quotes, dollars, backslashes, comments, operators, control characters, several scripts.
  std::string text() {
    static const std::array<std::string, 24> kPieces = {
        "a",    "B",   "7",  " ",  "'",  "''", "\"", "\\", "$", "$$",   "$q$", "$text$",
        "$a.b", "{v}", "--", "/*", "*/", ";",  "\n", "\t", "é", "日本", "😀",   "{\"node_type\":\"SQL\"}"};
    std::string result;
    for (std::uint64_t i = below(8); i > 0; --i) result += pick(kPieces);
    return result;
  }

  // One statement, and no transaction command.
  std::string sql() {
    static const std::array<std::string, 10> kStatements = {
        "SELECT 1",
        "SELECT 'it''s'",
        " SELECT '$a.b' -- why;\n",
        "{statement}",
        "SELECT $$;$$, '$a', \"q;\"",
        "DO $do$ BEGIN PERFORM 1; END $do$",
        "SELECT E'\\'' || $q$x$q$",
        "{\"a\": 1}",
        "SELECT 日本 /* ; */ ;",
        "{\"node_type\": \"SQL\", \"query\": \"SELECT 1\"}"};
    return pick(kStatements) + (chance(30) ? " -- " + std::to_string(below(1000)) + "'$" : "");
  }

  std::mt19937_64 random_;
  GraphShape shape_;
  Graph graph_;
};

}  // namespace

Graph random_graph(std::uint64_t seed, const GraphShape& shape) {
  return Generator(seed, shape).run();
}

}  // namespace durabled::test
