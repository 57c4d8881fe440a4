// Variables that a workflow has and nothing sets, and those that are given although it does not have them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsl/graph/diagnostic.hpp"
#include "dsl/graph/variable_uses.hpp"

namespace durabled::daemon::cli {

// NAME=VALUE of each --var. Throws CommandError (kUsage) for what has another form.
std::map<std::string, std::string> read_variables(const std::vector<std::string>& settings);

// `given` with --var; `of_role`: the names that the submitting role has set, nullopt where they are not known. A
// warning is at the first use of the variable in `text`; one about --var has no place and no excerpt.
std::vector<dsl::Diagnostic> check_variables(const dsl::VariableUses& uses, const std::string& text,
                                             const std::map<std::string, std::string>& given,
                                             const std::optional<std::vector<std::string>>& of_role);

}  // namespace durabled::daemon::cli
