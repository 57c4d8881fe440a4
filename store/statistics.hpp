// What /metrics says of the database: counts of unfinished work, read by one query now and then.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace durabled::store {

struct Statistics {
  std::map<std::string, std::int64_t> unfinished;  // status -> instances, none counted beyond 10,000
  std::int64_t overdue = 0;  // due for more than ten seconds and not taken; at most 10,000
  double oldest_overdue_seconds = 0;
  std::int64_t parked = 0;  // paused because their daemons died with them
  std::int64_t workers = 0;
  std::map<std::string, std::int64_t> relation_bytes;  // table of df -> with its indexes and TOAST
  std::int64_t xmin_age = 0;                           // transactions that the oldest open snapshot is behind
  std::map<std::string, double> label_completed;       // label -> Unix time of its newest completed instance
};

// From what df._statistics() returns.
Statistics statistics_from_json(const std::string& json);

}  // namespace durabled::store
