// The numbered migrations of the `df` schema and of the `ai` schema, embedded at build time from
// sql_schema/NNNN_name.sql and sql_schema/ai/NNNN_name.sql.
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

// The same of AI pipelines. Written for a schema called `ai`; see store/ai_schema.hpp.
const std::vector<Migration>& ai_migrations();

}  // namespace durabled::sql_schema
