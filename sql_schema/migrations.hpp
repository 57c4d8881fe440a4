// The numbered migrations of the `df` schema, embedded at build time from sql_schema/NNNN_name.sql.
#pragma once

#include <string>
#include <vector>

namespace durabled::sql_schema {

struct Migration {
  int number;        // 1, 2, 3 …; the NNNN of the file
  std::string name;  // "0001_core"
  std::string sql;   // the file, as it is
};

// In order of their numbers, without gaps. Thread-safe.
const std::vector<Migration>& migrations();

}  // namespace durabled::sql_schema
