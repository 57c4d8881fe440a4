#include "store/quiet_login.hpp"

#include <libpq-fe.h>
#include <sys/stat.h>

#include <cstdlib>

#include "store/conninfo.hpp"

namespace durabled::store {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// As libpq finds it; "" for none.
std::string passfile_of(const std::string& conninfo) {
  for (std::string path : {conninfo_value(conninfo, "passfile"), environment("PGPASSFILE")}) {
    if (!path.empty()) return path;
  }
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.pgpass";
}

}  // namespace

std::optional<std::string> passfile_problem(const std::string& path) {
  struct stat file = {};
  if (path.empty() || ::stat(path.c_str(), &file) != 0) return std::nullopt;
  if (!S_ISREG(file.st_mode)) return "the passfile " + path + " is not used, because it is not a plain file";
  if ((file.st_mode & (S_IRWXG | S_IRWXO)) == 0) return std::nullopt;
  return "the passfile " + path + " is not used, because others may read it; run: chmod 600 " + path;
}

QuietLogin quiet_login(const std::string& conninfo, bool send_options) {
  auto params = conninfo_params(conninfo);
  if (!params) return {conninfo, std::nullopt};
  QuietLogin quiet;
  const bool has_password =
      !conninfo_value(conninfo, "password").empty() || !environment("PGPASSWORD").empty();
  if (!has_password) quiet.warning = passfile_problem(passfile_of(conninfo));
  if (quiet.warning) params->emplace_back("passfile", kNoPassfile);
  if (send_options) {
    const std::string given = conninfo_value(conninfo, "options"), fallback = environment("PGOPTIONS");
    params->emplace_back("options", (given.empty() ? fallback : given) + " -c client_min_messages=error");
  }
  quiet.conninfo = conninfo_text(*params);
  return quiet;
}

}  // namespace durabled::store
