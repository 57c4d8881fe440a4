// What a workflow may well mean, but is more often an oversight: loops that spin or that the first failure ends,
// schedules with a step that is never reached, names that nothing refers to. Warnings and notes for graph/check.hpp.
#pragma once

#include <string>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct Finding {
  NodeIndex node = 0;
  std::string code;
  std::string message;
  std::string hint;
  bool is_note = false;
};

// - "fragile_loop": an endless loop without a df.break, with a step that may fail outside of any df.catch in it.
// - "busy_loop": a loop without a condition in which nothing waits.
// - "odd_schedule": a step of a cron field that is longer than its range (*/90 in the minutes).
// - "parameter": a parameter such as $1 in a statement, which nothing binds.
// - "server_file": a COPY TO a file or program of the server's host, which no rollback takes back.
// - "header_variable": a {variable} in a header that holds a key or a password.
// - "endless_wait", a note: a wait for a signal without a timeout, its own or one around it.
// - "hidden_input": a result or the rows of a df.for_each named 'input', as the instance's input is.
// - "unused_name": a name that nothing refers to, but for that of the workflow's own result. Not where a {variable}
//   is in a template, because it may hold a reference.
//
// In that order, and each in the order of the nodes. Linear in the size of the graph.
std::vector<Finding> find_habits(const Graph& graph);

}  // namespace durabled::dsl
