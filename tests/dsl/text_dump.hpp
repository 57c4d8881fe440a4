// Compact one-line dumps of graphs, for tables of expectations: THEN(SQL[a], SLEEP[5])=name.
#pragma once

#include <string>

#include "dsl/graph/graph.hpp"
#include "dsl/text/parser.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {

inline std::string dump(const dsl::Graph& graph, dsl::NodeIndex index = 0) {
  const dsl::Node& node = graph[index];
  std::string text(dsl::node_type(node.kind));
  if (node.has_text) text += "[" + node.text + "]";
  if (!node.children.empty()) {
    text += "(";
    for (std::size_t i = 0; i < node.children.size(); ++i)
      text += (i > 0 ? ", " : "") + dump(graph, node.children[i]);
    text += ")";
  }
  return node.result_name.empty() ? text : text + "=" + node.result_name;
}

inline dsl::ParsedWorkflow parse(const std::string& text) {
  auto workflow = dsl::read_workflow(text, {});
  INFO(text);
  if (!workflow) FAIL(workflow.error().to_string());
  return *workflow;
}

inline dsl::Diagnostic parse_error(const std::string& text) {
  auto workflow = dsl::parse_workflow(text, {});
  INFO(text);
  if (workflow) FAIL("parsed as " + dump(workflow->graph));
  return workflow.error();
}

}  // namespace durabled::test
