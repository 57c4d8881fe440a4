// Graph to text: DSL text that parses to the same graph, and the tree that people read.
#pragma once

#include <functional>
#include <string>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// Canonical DSL text: read_workflow(print(g)).graph == g.
std::string print(const Graph& graph);

// The tree of df.explain; `annotate`, when given, returns what is printed right before a node's line (a
// status mark with its space). Lines end in a newline. Rules, the same as those of df.explain in SQL:
//
// clang-format off
// kind            line                                          children: heading, or none (right below the line)
// kSql            SQL: text                                     -
// kSequence       none, or THEN when named                      no heading; without a line the steps take its place;
//                                                               "→ " stands before each after the first
// kIf             IF                                            condition: then: else:
// kIfRows         IF ROWS 'name'                                then: else:
// kJoin           JOIN (n)                                      branch 1: branch 2: …
// kRace           RACE                                          branch 1: branch 2: …
// kAny            ANY (n)                                       branch 1: branch 2: …
// kLoop           LOOP                                          body: while:
// kBreak          BREAK, or BREAK: value                        -
// kSleep          SLEEP 30s, or SLEEP $x for a template         -
// kWaitSchedule   WAIT 'cron', or WAIT 'cron' (timezone)        -
// kWaitSignal     SIGNAL 'name', or SIGNAL 'name' (Ns)          -
// kHttp           HTTP GET url, then request '…' into '…'       -
// kHttpMultipart  HTTP_MULTIPART POST url                       -
// kForEach        FOR EACH item (max 10)                        rows: body:
// kRetry          RETRY 5x                                      body:
// kTimeout        TIMEOUT 30s                                   body:
// kCatch          CATCH                                         body: handler:
// kFail           FAIL 'message', or FAIL 'message' (code)      -
// clang-format on
//
// A heading is indented by two spaces more than its node's line, and the lines under it by two more than
// the heading. A branch that is not there has no heading; a time zone is shown unless it is UTC. " |=>
// 'name'" comes right after the kind: before the colon of SQL and BREAK (SQL |=> 'rows': SELECT 1), at the
// end of every other line (JOIN (2) |=> 'both'). Texts are printed on one line: runs of white space become one
// space, none at the ends; nothing is cut. Numbers have no trailing zeros.
std::string print_tree(const Graph& graph, const std::function<std::string(NodeIndex)>& annotate = {});

}  // namespace durabled::dsl
