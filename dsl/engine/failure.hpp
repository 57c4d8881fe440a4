// Why a step or an instance failed: what df.explain shows, what $error is bound to, what retries look at.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

struct Failure {
  std::string code;  // the SQLSTATE, or a word of our own ("http_503", "timeout")
  std::string message;
  std::string detail = {}, hint = {};  // "": not known
  // Further members, each with its JSON: context, position, statement, failures, …
  std::vector<std::pair<std::string, std::string>> more = {};
  std::string node = {};   // 8 hex digits; "": it is not the failure of a node
  int attempts = 0;        // of that node's step
  bool transient = false;  // retried by the standing policy without being asked
  bool final = false;      // the same again however often it is tried: no policy retries it

  void add_text(std::string name, std::string_view text);  // to `more`

  // {"message","code","sqlstate"?,"detail"?,"hint"?, …more…, "node","attempts"}
  std::string json() const;
  // The same for $error: fields that the language promises are there, as null where the failure lacks them.
  std::string bound_json() const;
  // From what json() wrote, or a trigger of the schema. Requires: valid JSON; what is not an object gives an
  // empty failure. Neither transient nor final.
  static Failure parse(std::string_view json);

 private:
  std::string write(bool all_fields) const;
};

// A failure that would come again: final, not transient.
Failure make_failure(std::string code, std::string message, NodeIndex node, int attempts,
                     std::string hint = {});

}  // namespace durabled::dsl
