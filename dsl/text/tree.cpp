// print_tree(): the rules are in printer.hpp.
#include <algorithm>

#include "dsl/assert.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/text/printer.hpp"
#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

std::string one_line(std::string_view text) {
  std::string line;
  bool space = false;
  for (const char c : text) {
    if (is_sql_space(c)) {
      space = !line.empty();
      continue;
    }
    if (space) line += ' ';
    space = false;
    line += c;
  }
  return line;
}

std::string quoted(std::string_view text) {
  return "'" + one_line(text) + "'";
}

// The kind with its arguments, as far as a name comes after them.
std::string describe_kind(const Node& node) {
  switch (node.kind) {
    case NodeKind::kSql:
      return "SQL";
    case NodeKind::kSequence:
      return "THEN";
    case NodeKind::kIf:
      return "IF";
    case NodeKind::kIfRows:
      return "IF ROWS " + quoted(node.text);
    case NodeKind::kJoin:
      return "JOIN (" + std::to_string(node.children.size()) + ")";
    case NodeKind::kRace:
      return "RACE";
    case NodeKind::kAny:
      return "ANY (" + std::to_string(node.children.size()) + ")";
    case NodeKind::kLoop:
      return "LOOP";
    case NodeKind::kBreak:
      return "BREAK";
    case NodeKind::kSleep:
      return "SLEEP " + one_line(node.text) + (has_reference(node.text) ? "" : "s");
    case NodeKind::kWaitSchedule: {
      const std::string& timezone = std::get<ScheduleOptions>(node.options).timezone;
      return "WAIT " + quoted(node.text) + (timezone == "UTC" ? "" : " (" + one_line(timezone) + ")");
    }
    case NodeKind::kWaitSignal: {
      const auto& timeout = std::get<SignalOptions>(node.options).timeout_seconds;
      return "SIGNAL " + quoted(node.text) + (timeout ? " (" + format_seconds(*timeout) + "s)" : "");
    }
    case NodeKind::kHttp:
    case NodeKind::kHttpMultipart: {
      const auto& options = std::get<HttpOptions>(node.options);
      std::string line = std::string(node_type(node.kind)) + " " + options.method + " " + one_line(node.text);
      if (options.request) line += " request " + quoted(*options.request);
      if (options.into) line += " into " + quoted(*options.into);
      return line;
    }
    case NodeKind::kForEach: {
      const auto& options = std::get<ForEachOptions>(node.options);
      return "FOR EACH " + options.item + " (max " + std::to_string(options.max_parallel) + ")";
    }
    case NodeKind::kRetry:
      return "RETRY " + std::to_string(std::get<RetryOptions>(node.options).max_attempts) + "x";
    case NodeKind::kTimeout:
      return "TIMEOUT " + format_seconds(std::get<TimeoutOptions>(node.options).seconds) + "s";
    case NodeKind::kCatch:
      return "CATCH";
    case NodeKind::kFail: {
      const std::string& code = std::get<FailOptions>(node.options).code;
      return "FAIL " + quoted(node.text) + (code == FailOptions().code ? "" : " (" + code + ")");
    }
    case NodeKind::kLimit: {
      const auto& limit = std::get<LimitOptions>(node.options);
      return "LIMIT " + limit.name + (limit.units == "1" ? "" : " (" + one_line(limit.units) + ")");
    }
  }
  DURABLED_ASSERT(!"a node kind that is not in the enum");
}

// The line above child `i`; empty for none.
std::string heading(const Node& node, std::size_t i) {
  const KindInfo& kind = info(node.kind);
  if (kind.flow == Flow::kBranches) return "branch " + std::to_string(i + 1) + ":";
  return std::string(kind.slots[std::min<std::size_t>(i, 2)].title);
}

class TreePrinter {
 public:
  TreePrinter(const Graph& graph, const std::function<std::string(NodeIndex)>& annotate)
      : graph_(graph), annotate_(annotate) {}

  std::string run() {
    print_node(0, 0, false);
    return std::move(out_);
  }

 private:
  // `follows`: it comes after another step of a chain, which an arrow shows.
  void print_node(NodeIndex index, std::size_t indent, bool follows) {
    const Node& node = graph_[index];
    const bool has_line = node.kind != NodeKind::kSequence || !node.result_name.empty();
    if (has_line) print_line(index, indent, follows);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const std::string title = heading(node, i);
      if (!title.empty()) out_.append(indent + 2, ' ').append(title).append("\n");
      const bool is_next = node.kind == NodeKind::kSequence && (i > 0 || (!has_line && follows));
      print_node(node.children[i], indent + (!title.empty() ? 4 : has_line ? 2 : 0), is_next);
    }
  }

  void print_line(NodeIndex index, std::size_t indent, bool follows) {
    const Node& node = graph_[index];
    out_.append(indent, ' ').append(follows ? "→ " : "");
    if (annotate_) out_ += annotate_(index);
    out_ += describe_kind(node);
    if (!node.result_name.empty()) out_.append(" |=> '").append(node.result_name).append("'");
    const bool shows_text = node.kind == NodeKind::kSql || (node.kind == NodeKind::kBreak && node.has_text);
    if (shows_text) out_.append(": ").append(one_line(node.text));
    out_ += '\n';
  }

  const Graph& graph_;
  const std::function<std::string(NodeIndex)>& annotate_;
  std::string out_;
};

}  // namespace

std::string print_tree(const Graph& graph, const std::function<std::string(NodeIndex)>& annotate) {
  return TreePrinter(graph, annotate).run();
}

}  // namespace durabled::dsl
