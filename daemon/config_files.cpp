#include "daemon/config_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "store/conninfo.hpp"

namespace durabled::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 1'000;  // of a secrets directory
constexpr std::size_t kMostWarnings = 10;

// The permissions of whoever is neither the owner nor, for reading, in the group; 0 when it is not there.
mode_t open_to_others(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & (S_IRWXO | S_IWGRP) : 0;
}

bool holds_password(const config::Loaded& loaded, const std::string& file) {
  const auto is_from_file = [&](const char* key) {
    const auto origin = loaded.origin.find(key);
    return origin != loaded.origin.end() && origin->second.starts_with(file + ':');
  };
  const auto has_password = [](const std::string& conninfo) {
    return !store::conninfo_value(conninfo, "password").empty() ||
           !store::conninfo_value(conninfo, "sslpassword").empty();
  };
  const auto& roles = loaded.config.identity.roles;
  return (is_from_file("database") && has_password(loaded.config.database)) ||
         (is_from_file("identity.roles") && std::any_of(roles.begin(), roles.end(), [&](const auto& role) {
            return has_password(role.second);
          }));
}

void warn_of_secret(std::vector<std::string>& warnings, const fs::path& path) {
  const mode_t mode = open_to_others(path);
  if (mode == 0) return;
  warnings.push_back((mode & (S_IWGRP | S_IWOTH)) != 0
                         ? "others may write to " + path.string() + ", which holds secrets: chmod go-w,o= it"
                         : "everybody may read " + path.string() + ", which holds secrets: chmod o= it");
}

void look_at_secrets(std::vector<std::string>& warnings, const fs::path& directory) {
  warn_of_secret(warnings, directory);
  std::error_code none;
  std::size_t seen = 0;
  // Where others cannot enter the directory, what the files in it allow does not matter to them.
  const bool is_closed = (open_to_others(directory) & S_IXOTH) == 0;
  for (fs::recursive_directory_iterator at(directory, none), end; !is_closed && !none && at != end;
       at.increment(none)) {
    if (++seen > kMostFiles || warnings.size() >= kMostWarnings) return;
    if (at.depth() > 0) at.disable_recursion_pending();
    warn_of_secret(warnings, at->path());
  }
}

}  // namespace

std::vector<std::string> file_warnings(const config::Loaded& loaded, const std::string& file) {
  std::vector<std::string> warnings;
  if (!file.empty()) {
    const mode_t mode = open_to_others(file);
    if ((mode & (S_IWGRP | S_IWOTH)) != 0)
      warnings.push_back("others may write to " + file +
                         ", and so decide what the daemon does: chmod go-w it");
    if ((mode & S_IROTH) != 0 && holds_password(loaded, file))
      warnings.push_back("everybody may read " + file + ", which holds a password: chmod o= it");
  }
  if (!loaded.config.http.secrets_directory.empty())
    look_at_secrets(warnings, loaded.config.http.secrets_directory);
  return warnings;
}

}  // namespace durabled::daemon
