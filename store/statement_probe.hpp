// What a server says about a statement without running it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace durabled::store {

struct StatementProblem {
  std::string message, sqlstate, hint;
  std::size_t position = 0;  // in characters, from 1; 0: none was given
};

// One connection, in a read-only transaction that is rolled back at the end. Blocks. Not thread-safe.
class StatementProbe {
 public:
  explicit StatementProbe(const std::string& conninfo);  // throws StoreError
  ~StatementProbe();
  StatementProbe(const StatementProbe&) = delete;
  StatementProbe& operator=(const StatementProbe&) = delete;

  // Has the server parse and analyse the statement; nothing when it finds no fault. Throws StoreError when the
  // connection breaks.
  std::optional<StatementProblem> problem(const std::string& statement);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::store
