// How the results of steps are read, where that is more often a mistake than meant: warnings for graph/check.hpp. A name
// counts for what every step that may have bound it returns; where that is not known, nothing is found.
#pragma once

#include <vector>

#include "dsl/graph/graph.hpp"
#include "dsl/graph/habits.hpp"

namespace durabled::dsl {

// - "signal_field": $sig.key or $sig::jsonb ->> 'key' of a wait for a signal, whose data is in $sig.data.
// - "missing_column": $n.col of a statement that returns no such column, or of an INSERT, UPDATE, DELETE or MERGE without
//   RETURNING. Not with '?', which allows it.
// - "first_column": $n in a JSON body, of a statement that returns more columns than one.
// - "unread_status": an HTTP call without `expect` whose body is read, and neither ok nor status.
// - "unread_call", a note: the same where nothing of the answer is read.
//
// At most one of a code a node, in the order of the nodes of each code.
std::vector<Finding> find_result_uses(const Graph& graph);

}  // namespace durabled::dsl
