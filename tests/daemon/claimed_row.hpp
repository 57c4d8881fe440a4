// An instance as a poll hands it over for the first time: alice's, in the database that is served.
#pragma once

#include <string>

#include "store/worker_store.hpp"

namespace durabled::test {

inline store::ClaimedInstance claimed_row(const std::string& id, const std::string& dsl,
                                          std::int64_t token = 1) {
  store::ClaimedInstance row;
  row.id = id;
  row.token = token;
  row.dsl = dsl;
  row.dsl_bytes = dsl.size();
  row.vars = "{}";
  row.role = "alice";
  row.role_id = 10;
  row.may_http = true;
  row.database = "here";
  return row;
}

}  // namespace durabled::test
