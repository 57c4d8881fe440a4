// The examples of a page of docs/: blocks fenced as df, with comments above that say what is needed and what must come
// of them. The last section of docs/language.md defines the comments.
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/http_world.hpp"

namespace durabled::test {

struct Example {
  int line = 0;  // of its first line
  std::string text, expect = "completed", warning;
  std::vector<std::string> setup, check;
};

// Throws std::runtime_error for a comment that the convention does not know.
std::vector<Example> examples_of(const std::string& document);

// Submits each as the session's role, and checks what comes of it. Requires: a daemon that may call the server of `world`.
void run_examples(const std::string& page, const std::vector<Example>& examples, Sql& session);

}  // namespace durabled::test
