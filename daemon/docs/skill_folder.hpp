// The skill for assistants (docs/skill) as a folder of a project: docs/assistants.md.
#pragma once

#include <string>
#include <vector>

namespace durabled::daemon::docs {

struct Installed {
  std::vector<std::string> written;  // paths of the files that were new or of another version
  std::vector<std::string> refused;  // files with other contents than were installed; then nothing is written
};

// Writes SKILL.md and references/ into `directory`, which is made where it is not there. A file whose contents an earlier
// call wrote is brought up to date; any other that is in the way (a symbolic link, too) is left alone and `refused`,
// unless `force`. What was written is known from the file .installed in the folder. Throws std::filesystem_error and
// std::runtime_error.
Installed install_skill(const std::string& directory, bool force);

}  // namespace durabled::daemon::docs
