// What a workflow reads of the input that an instance is given: docs/language.md, "Input".
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

inline constexpr std::string_view kInputName = "input";

struct InputReads {
  bool whole = false;                      // $input
  std::set<std::string> needed, optional;  // fields: $input.needed, $input.optional?; none is in both

  bool any() const { return whole || !needed.empty() || !optional.empty(); }
  // For people: "customer_id, note?"; "all of it" where the whole object is read.
  std::string text() const;
};

// Of what no name of the workflow's own hides.
InputReads input_reads(const Graph& graph);

// Whether a template of the graph may refer to the name; false is certain.
bool may_read_input(const Graph& graph);

// The node's first reference to the input without a "?", as it is written: "$input.customer_id".
std::optional<std::string> needed_input(const Node& node);

}  // namespace durabled::dsl
