// check --database: what the server says about each statement of a workflow.
#pragma once

#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::daemon::cli {

struct StatementFinding {
  std::string node, statement;          // the node's id and its text
  std::string message, sqlstate, hint;  // the server's
  std::vector<std::string> place;       // "line 1, column 8" and the line with a caret; may be empty
  bool is_certain = true;               // false where an earlier step may make what is missing
};

struct StatementReport {
  std::vector<StatementFinding> findings;
  int checked = 0;
  int skipped = 0;  // their text is known only when they run
};

// Has the server parse each statement whose text is known: one without references and variables, and one whose
// references all have a type ($n.id::int), with NULL in their place. Read-only, runs nothing. Throws StoreError.
StatementReport check_statements(const std::string& conninfo, const dsl::Graph& graph);

}  // namespace durabled::daemon::cli
