#include "store/statistics.hpp"

#include <boost/json.hpp>

namespace durabled::store {
namespace {

template <typename Number>
std::map<std::string, Number> numbers(const boost::json::value& object) {
  std::map<std::string, Number> map;
  for (const auto& [name, number] : object.as_object()) map[std::string(name)] = number.template to_number<Number>();
  return map;
}

}  // namespace

Statistics statistics_from_json(const std::string& json) {
  const boost::json::value value = boost::json::parse(json);
  const auto number = [&](const char* name) { return value.at(name).to_number<std::int64_t>(); };
  Statistics statistics;
  statistics.unfinished = numbers<std::int64_t>(value.at("unfinished"));
  statistics.overdue = number("overdue");
  statistics.oldest_overdue_seconds = value.at("oldest_overdue").to_number<double>();
  statistics.parked = number("parked");
  statistics.workers = number("workers");
  statistics.relation_bytes = numbers<std::int64_t>(value.at("relation_bytes"));
  statistics.xmin_age = number("xmin_age");
  statistics.label_completed = numbers<double>(value.at("labels"));
  return statistics;
}

}  // namespace durabled::store
