#include "daemon/login_watch.hpp"

#include <utility>

#include "daemon/log.hpp"

namespace durabled::daemon {

void LoginWatch::failed(const store::StepTarget& target, const store::StoreError& error,
                        std::chrono::milliseconds next_try, Time now,
                        std::function<void(const std::string&)> hopeless) {
  Problem& problem = problems_[target];
  const auto line = problem.message.again(
      "steps wait: cannot log in as " + target.role + " to " + target.database + ": " + error.what(), now);
  if (line && callbacks_.log) callbacks_.log(3, *line);
  if (!callbacks_.failed) return;
  problem.is_reported = true;
  callbacks_.failed(
      {set_role_ ? "" : target.role, target.role, target.database, error.sqlstate(), error.what(), next_try},
      [hopeless = std::move(hopeless)](const std::optional<std::string>& why) {
        if (why) hopeless(*why);
      });
}

void LoginWatch::works(const store::StepTarget& target, Time now) {
  const auto found = problems_.find(target);
  if (found == problems_.end()) return;
  if (const auto lasted = found->second.message.over(now); lasted && callbacks_.log) {
    callbacks_.log(
        2, "logging in as " + target.role + " to " + target.database + " works again, after " + *lasted);
  }
  const bool was_reported = found->second.is_reported;
  problems_.erase(found);
  if (was_reported && callbacks_.works) callbacks_.works(target);
}

void LoginWatch::tidy(const ConnectionPool& pool) {
  for (auto& [target, problem] : problems_) {
    if (!pool.is_waited_for(target) && std::exchange(problem.is_reported, false) && callbacks_.works)
      callbacks_.works(target);
  }
  std::erase_if(problems_, [&](const auto& entry) { return !pool.knows(entry.first); });
}

}  // namespace durabled::daemon
