// Checks on a whole graph: what must fail when it runs, which is an error, and the traps that are warnings.
#pragma once

#include <vector>

#include "dsl/graph/diagnostic.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/graph/source.hpp"

namespace durabled::dsl {

// In the order of the nodes they are about; linear in the size of the graph times its depth.
//
// - "unreachable": a step after one that never completes (an endless loop without a df.break of its own, a
//   df.break).
// - "lost_break": a df.break that no loop is around.
// - "named_compound": a name on a join, a race or an if where the writer likely meant its last branch. From
//   text: the name was put on the bare result of an operator (A & B |=> 'b'), not on parentheses or a call.
//   Without positions: the last branch has no name and an earlier one has. Sequences are not a trap: their
//   result is their last step's.
// - "two_names": a second name for a step, which replaces the first. Only from text.
// - "unbound_name": a name referenced, by $name or df.if_rows, but bound on no path before it. What a branch, a loop
//   or a for_each may have bound counts as bound after it. An error where it is in the code of a statement
//   or outside of strings in a JSON body, because that step can only fail; elsewhere it is text.
// - those of graph/habits.hpp and graph/result_uses.hpp.
//
// Without positions `line` and `column` are 1 and there is no excerpt.
struct GraphDiagnostics {
  std::vector<Diagnostic> errors, warnings, notes;
};
GraphDiagnostics check_graph(const Graph& graph, const SourceMap* source = nullptr);

}  // namespace durabled::dsl
