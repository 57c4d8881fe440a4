#include "daemon/cli/variable_check.hpp"

#include <algorithm>

#include "daemon/cli/command.hpp"
#include "dsl/graph/source.hpp"

namespace durabled::daemon::cli {
namespace {

constexpr auto kWarning = dsl::Diagnostic::Severity::kWarning;

dsl::Diagnostic unset_variable(const std::string& name, const std::string& text, bool knows_role) {
  const std::size_t at = text.find("{" + name + "}");
  const bool has_place = at != std::string::npos;
  const std::string option = "give it with --var " + name + "=VALUE";
  return dsl::make_diagnostic(kWarning, has_place ? text : std::string(),
                              has_place ? dsl::locate(text, at) : dsl::Position(), "unset_variable",
                              "nothing sets the variable {" + name + "}, so that it stays as it is",
                              knows_role ? option + ", or set it before with df.setvar"
                                         : option +
                                               ", here and to submit; check does not know what a role "
                                               "has set with df.setvar");
}

dsl::Diagnostic unused_variable(const std::string& name, const std::vector<std::string>& used) {
  std::vector<std::string> matches = dsl::close_matches(name, used);
  for (std::string& match : matches) match = "{" + match + "}";
  return dsl::make_diagnostic(kWarning, "", dsl::Position(), "unused_variable",
                              "--var gives " + name + ", but the workflow has no {" + name + "}",
                              dsl::did_you_mean(matches));
}

}  // namespace

std::map<std::string, std::string> read_variables(const std::vector<std::string>& settings) {
  std::map<std::string, std::string> all;
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw CommandError(ExitCode::kUsage, "--var wants NAME=VALUE, not " + setting);
    }
    all[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return all;
}

std::vector<dsl::Diagnostic> check_variables(const dsl::VariableUses& uses, const std::string& text,
                                             const std::map<std::string, std::string>& given,
                                             const std::optional<std::vector<std::string>>& of_role) {
  std::vector<dsl::Diagnostic> warnings;
  for (const std::string& name : uses.certain) {
    const bool is_set = given.contains(name) || name.starts_with("sys_") ||
                        (of_role && std::find(of_role->begin(), of_role->end(), name) != of_role->end());
    if (!is_set) warnings.push_back(unset_variable(name, text, of_role.has_value()));
  }
  const std::vector<std::string> used(uses.all.begin(), uses.all.end());
  for (const auto& [name, value] : given) {
    if (!uses.all.contains(name)) warnings.push_back(unused_variable(name, used));
  }
  return warnings;
}

}  // namespace durabled::daemon::cli
