#include "daemon/server_programs.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "daemon/server_process.hpp"

namespace durabled::daemon {
namespace {

namespace fs = std::filesystem;

constexpr int kReferenceMajor = 17;

// From "postgres (PostgreSQL) 17.4 (Debian 17.4-1)"; nullopt when these are no programs that run.
std::optional<ServerPrograms> programs_in(const fs::path& directory) {
  if (access((directory / "initdb").c_str(), X_OK) != 0) return std::nullopt;
  std::istringstream words(output_as_server({(directory / "postgres").string(), "--version"}));
  ServerPrograms programs{directory, 0, ""};
  std::string name, product;
  words >> name >> product >> programs.version;
  const char* end = programs.version.data() + programs.version.size();
  std::from_chars(programs.version.data(), end, programs.major);
  return product == "(PostgreSQL)" && programs.major > 0 ? std::optional(programs) : std::nullopt;
}

void add_versions(std::vector<fs::path>& all, const fs::path& parent, const std::string& prefix) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(parent, none)) {
    if (entry.path().filename().string().starts_with(prefix)) all.push_back(entry.path() / "bin");
  }
}

std::vector<fs::path> candidates() {
  std::vector<fs::path> all;
  std::error_code none;
  const fs::path own = fs::read_symlink("/proc/self/exe", none);
  if (!own.empty()) add_versions(all, own.parent_path().parent_path() / ".durabled", "pg");
  add_versions(all, "/var/cache/durabled", "pg");
  add_versions(all, "/usr/lib/postgresql", "");
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string entry; std::getline(path, entry, ':');) {
    if (!entry.empty()) all.emplace_back(entry);
  }
  return all;
}

}  // namespace

bool is_preferred(const ServerPrograms& one, const ServerPrograms& other) {
  if (one.major == other.major) return false;
  return one.major == kReferenceMajor || (other.major != kReferenceMajor && one.major > other.major);
}

ServerPrograms find_server_programs(std::optional<int> major) {
  const std::string wanted = major ? "PostgreSQL " + std::to_string(*major) : "PostgreSQL";
  if (const char* given = std::getenv("DURABLED_PG_BIN"); given != nullptr && *given != '\0') {
    const auto programs = programs_in(given);
    if (!programs) {
      throw std::runtime_error(std::string("DURABLED_PG_BIN is ") + given +
                               ", where no initdb and postgres are that can be run");
    }
    if (!major || programs->major == *major) return *programs;
    throw std::runtime_error(wanted + " is needed, and DURABLED_PG_BIN has " + programs->version);
  }
  std::optional<ServerPrograms> best;
  std::set<std::string> found;
  for (const fs::path& directory : candidates()) {
    const auto programs = programs_in(directory);
    if (!programs) continue;
    found.insert(programs->version);
    if (major && programs->major != *major) continue;
    if (!best || is_preferred(*programs, *best)) best = programs;
  }
  if (best) return *best;
  std::string others;
  for (const std::string& version : found) others += (others.empty() ? "; found " : ", ") + version;
  throw std::runtime_error("no " + wanted + " server in PATH or /usr/lib/postgresql" + others +
                           ": install it (apt install postgresql-" +
                           std::to_string(major.value_or(kReferenceMajor)) +
                           "), or set DURABLED_PG_BIN to the directory of its initdb and postgres");
}

}  // namespace durabled::daemon
