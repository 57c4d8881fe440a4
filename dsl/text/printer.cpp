// print(): every level of the graph costs one level of parentheses or calls at most, so that a graph of the
// greatest depth still parses. Operators are used where they say the same; calls where an operator would
// flatten, or name what it should not.
#include "dsl/text/printer.hpp"

#include <algorithm>

#include "dsl/assert.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/text/builder.hpp"
#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

// A string literal of `text`: '…', or a dollar quote when the text holds quotes.
std::string quoted(std::string_view text) {
  if (text.find('\'') != std::string_view::npos) {
    for (const std::string_view tag : {"$$", "$q$", "$text$"}) {
      // What the text ends with must not become part of the closing tag.
      const bool is_safe = text.find(tag) == std::string_view::npos &&
                           !text.ends_with(tag.substr(0, tag.size() - 1)) && !text.ends_with('$');
      if (is_safe) return std::string(tag).append(text).append(tag);
    }
  }
  std::string literal = "'";
  for (const char c : text) literal.append(c == '\'' ? 2 : 1, c);
  return literal + "'";
}

bool begins_object(std::string_view text) {
  const auto first = std::find_if_not(text.begin(), text.end(), is_sql_space);
  return first != text.end() && *first == '{';
}

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph) {}

  std::string run() {
    print_node(0);
    return std::move(out_);
  }

 private:
  // As a whole expression: the top level, or an argument.
  void print_node(NodeIndex index) {
    const Node& node = graph_[index];
    if (uses_operator(node))
      print_with_operator(node);
    else if (node.kind == NodeKind::kSql && !begins_object(node.text))
      out_ += quoted(node.text);
    else
      print_call(node);
    if (!node.result_name.empty()) out_.append(" |=> '").append(node.result_name).append("'");
  }

  bool uses_operator(const Node& node) const {
    if (info(node.kind).symbol.empty() || !node.result_name.empty()) return false;
    if (node.kind == NodeKind::kLoop) return node.children.size() == 1 && may_be_operand(node.children[0]);
    const Node& first = graph_[node.children[0]];
    // An unnamed left side of the same kind would be joined with this one.
    if (first.kind == node.kind && first.result_name.empty() && node.kind != NodeKind::kIf) return false;
    return std::all_of(node.children.begin() + 1, node.children.end(),
                       [&](NodeIndex child) { return may_be_operand(child); });
  }

  // Whether the node can be put in parentheses without costing two levels: a named compound or call would.
  bool may_be_operand(NodeIndex index) const {
    const Node& node = graph_[index];
    return node.result_name.empty() || (node.kind == NodeKind::kSql && !begins_object(node.text));
  }

  void print_with_operator(const Node& node) {
    if (node.kind == NodeKind::kLoop) {
      out_.append(info(node.kind).symbol).append(" ");
      print_operand(node.children[0], false);
      return;
    }
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0)
        out_.append(" ")
            .append(node.kind == NodeKind::kIf && i == 2 ? "!>" : info(node.kind).symbol)
            .append(" ");
      print_operand(node.children[i], i == 0);
    }
  }

  // Operators bind from the left, so a name may be bare at the far left; everything else that is infix is
  // parenthesised.
  void print_operand(NodeIndex index, bool leftmost) {
    const Node& node = graph_[index];
    const bool is_infix = uses_operator(node) && node.kind != NodeKind::kLoop;
    const bool is_named = !node.result_name.empty();
    const bool parentheses = is_infix || (is_named && !leftmost);
    if (parentheses) out_ += '(';
    print_node(index);
    if (parentheses) out_ += ')';
  }

  void print_call(const Node& node) {
    out_.append("df.").append(info(node.kind).function).append("(");
    first_argument_ = true;
    if (node.kind == NodeKind::kSleep && !has_reference(node.text))
      argument(node.text);
    else if (node.has_text)
      argument(quoted(node.text));
    for (const NodeIndex child : node.children) {
      separate();
      print_node(child);
      first_argument_ = false;
    }
    print_options(node);
    out_ += ')';
    first_argument_ = false;
  }

  void print_options(const Node& node) {
    if (const auto* schedule = std::get_if<ScheduleOptions>(&node.options)) {
      if (schedule->timezone != "UTC") argument(quoted(schedule->timezone));
    } else if (const auto* signal = std::get_if<SignalOptions>(&node.options)) {
      if (signal->timeout_seconds) argument(format_seconds(*signal->timeout_seconds));
    } else if (const auto* http = std::get_if<HttpOptions>(&node.options)) {
      print_http_options(*http);
    } else if (const auto* each = std::get_if<ForEachOptions>(&node.options)) {
      if (each->max_parallel != 10) argument("max_parallel => " + std::to_string(each->max_parallel));
      if (each->item != "item") argument("name => " + quoted(each->item));
    } else if (const auto* retry = std::get_if<RetryOptions>(&node.options)) {
      print_retry_options(*retry);
    } else if (const auto* timeout = std::get_if<TimeoutOptions>(&node.options)) {
      argument(format_seconds(timeout->seconds));
    } else if (const auto* fail = std::get_if<FailOptions>(&node.options)) {
      if (fail->code != FailOptions().code) argument(quoted(fail->code));
    } else if (const auto* limit = std::get_if<LimitOptions>(&node.options)) {
      argument(quoted(limit->name));
      if (limit->units != LimitOptions().units) argument(quoted(limit->units));
    }
  }

  void print_http_options(const HttpOptions& options) {
    if (options.method != "POST") argument(quoted(options.method));
    if (options.body) argument("body => " + quoted(*options.body));
    if (options.parts) argument("parts => " + quoted(*options.parts));
    if (options.headers) argument("headers => " + quoted(*options.headers));
    if (options.timeout_seconds != 30)
      argument("timeout_seconds => " + format_seconds(options.timeout_seconds));
    if (!options.expect.empty()) argument("expect => " + quoted(joined_words(options.expect)));
    if (options.request) argument("request => " + quoted(*options.request));
    if (options.into) argument("\"into\" => " + quoted(*options.into));  // a keyword in SQL as well
    if (options.rows) argument("rows => " + quoted(*options.rows));
    if (options.columns) argument("columns => " + quoted(*options.columns));
  }

  void print_retry_options(const RetryOptions& options) {
    argument(std::to_string(options.max_attempts));
    if (options.delay != 1) argument("delay => " + format_seconds(options.delay));
    if (options.backoff != 2) argument("backoff => " + format_seconds(options.backoff));
    if (options.max_delay != 300) argument("max_delay => " + format_seconds(options.max_delay));
    std::string codes;
    for (const std::string& code : options.on) codes += (codes.empty() ? "" : " ") + code;
    if (!codes.empty()) argument("\"on\" => " + quoted(codes));  // quoted, because it is a keyword in SQL
  }

  void argument(const std::string& text) {
    separate();
    out_ += text;
    first_argument_ = false;
  }
  void separate() {
    if (!first_argument_) out_ += ", ";
  }

  const Graph& graph_;
  std::string out_;
  bool first_argument_ = true;
};

}  // namespace

std::string print(const Graph& graph) {
  return Printer(graph).run();
}

}  // namespace durabled::dsl
