// Conditions on JSON in tests, judged by PostgreSQL.
#pragma once

#include <string>

#include "tests/support/sql.hpp"

namespace durabled::test {

// Whether the SQL condition holds for the JSON, which it calls j. NULL is false.
inline bool holds(Sql& sql, const std::string& json, const std::string& condition) {
  return sql.text("select coalesce(" + condition + ", false)::text from (select $1::jsonb as j) t", json) ==
         "true";
}

}  // namespace durabled::test
