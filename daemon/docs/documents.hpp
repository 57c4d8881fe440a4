// The pages of docs/ that are about using durabled, embedded at build time, so that they match the program.
#pragma once

#include <string_view>
#include <vector>

namespace durabled::daemon::docs {

struct Document {
  std::string_view path;  // below docs/: "language.md", "skill/references/patterns.md"
  std::string_view text;  // the file, as it is
};

// In the order in which daemon/CMakeLists.txt lists them. Thread-safe.
const std::vector<Document>& documents();

}  // namespace durabled::daemon::docs
