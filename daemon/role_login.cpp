#include "daemon/role_login.hpp"

#include "daemon/secret_file.hpp"
#include "store/conninfo.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {

std::string role_login(const config::Config::Identity& identity, const std::string& role) {
  const auto entry = identity.roles.find(role);
  const std::string given = entry == identity.roles.end() ? "" : entry->second;
  if (identity.passwords_directory.empty() || !is_path_component(role) ||
      !store::conninfo_value(given, "password").empty())
    return given;
  const SecretFile file = read_secret_file(identity.passwords_directory + '/' + role);
  if (!file.problem.empty()) {
    throw store::StoreError(
        store::StoreError::Kind::kTransient, "log in",
        "the password of role " + role + " cannot be read from identity.passwords_directory: " + file.problem,
        "28P01");
  }
  if (!file.text) return given;
  store::ConnectParams params = store::conninfo_params(given).value_or(store::ConnectParams{});
  params.emplace_back("password", *file.text);
  return store::conninfo_text(params);
}

}  // namespace durabled::daemon
