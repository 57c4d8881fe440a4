// Small files that hold one secret each, in directories where a file's name is that of a role or of the secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::daemon {

// A role's name is the database's to choose, so it becomes part of a path only when it cannot lead anywhere else.
bool is_path_component(std::string_view role);

struct SecretFile {
  std::optional<std::string> text;  // without one line end at its end
  std::string problem;              // why it cannot be read; "": there is no such file
};

// At most 64 KiB. Blocks shortly.
SecretFile read_secret_file(const std::string& path);

}  // namespace durabled::daemon
