// What a group of steps writes as its checkpoint: the parameters of df._commit_group. Private to store/.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "store/step_session.hpp"

namespace durabled::store {

class GroupCheckpoint {
 public:
  explicit GroupCheckpoint(const std::vector<StepCommit>& commits);

  // As long as this is there.
  std::vector<const char*> parameters() const;

 private:
  std::array<std::optional<std::string>, 18> values_;
};

}  // namespace durabled::store
