// What the command line does with many instances at once.
#include "store/client_filter.hpp"

namespace durabled::store {

std::vector<InstanceSummary> ClientStore::matching(const InstanceFilter& filter,
                                                   const std::vector<std::string>& statuses) {
  Parameters parameters{{"statuses", boost::json::value_from(statuses)}};
  const std::string condition = filter_condition(filter, parameters);
  return transaction(impl_->connection(), "find the instances", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(
        work,
        "select i.id, i.status, i.label, " + utc("i.created_at") +
            " from (select $1::jsonb as p) a, df.instances i where p -> 'statuses' ? i.status and " +
            condition + " order by i.created_at, i.id",
        boost::json::serialize(parameters));
    std::vector<InstanceSummary> found;
    for (const auto& row : rows) {
      InstanceSummary& instance = found.emplace_back();
      instance.id = row[0].c_str();
      instance.status = row[1].c_str();
      instance.label = optional_text(row[2]);
      instance.created_at = row[3].c_str();
    }
    return found;
  });
}

std::int64_t ClientStore::prunable(const std::string& age) {
  return transaction(impl_->connection(), "count what to prune", [&](pqxx::work& work) {
    // A role that may not prune would count what it can see; let it have the error of the real thing instead.
    if (!exec_params(work, "select has_function_privilege('df.prune(interval)', 'execute')")[0][0].as<bool>())
      exec_params(work, "select df.prune($1::interval)", age);
    return exec_params(work,
                       "select count(*) from df.instances i where i.completed_at < now() - $1::interval",
                       age)[0][0]
        .as<std::int64_t>();
  });
}

std::int64_t ClientStore::prune(const std::string& age) {
  return transaction(impl_->connection(), "prune", [&](pqxx::work& work) {
    return exec_params(work, "select df.prune($1::interval)", age)[0][0].as<std::int64_t>();
  });
}

}  // namespace durabled::store
