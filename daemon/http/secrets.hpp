// Where {secret.NAME} comes from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/scrubber.hpp"
#include "daemon/http/secret_text.hpp"
#include "dsl/expected.hpp"

namespace durabled::daemon {

// [A-Za-z_][A-Za-z0-9_]*
bool is_secret_name(std::string_view name);

// Looks a secret up, in this order: DIRECTORY/ROLE/NAME (that role's own), DIRECTORY/NAME, the environment
// variable DURABLED_SECRET_NAME, $CREDENTIALS_DIRECTORY/NAME (systemd's LoadCredential). Reads at every call,
// so that a rotated secret counts at once. Thread-safe as long as nobody changes the environment.
class SecretStore {
 public:
  // `directory` empty: the first two places are skipped.
  explicit SecretStore(std::string directory) : directory_(std::move(directory)) {}

  // Errors name the secret and the kinds of places that were looked at, without paths: the submitting role reads
  // them. One line end at the end of a file is not part
  // of the secret. Reads small files (at most 64 KiB): blocks shortly.
  Expected<std::string, std::string> find(std::string_view name, std::string_view role) const;

 private:
  std::string directory_;
};

// `text` with its secrets put in; each is added to `scrubber`. Error: what SecretStore::find says.
Expected<std::string, std::string> reveal(const SecretText& text, std::string_view role,
                                          const SecretStore& store, SecretScrubber& scrubber);

}  // namespace durabled::daemon
