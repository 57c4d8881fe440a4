// Where {secret.NAME} comes from, and how its value is kept out of everything that is written down.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

  // Errors name the secret and every place that was looked at. One line end at the end of a file is not part
  // of the secret. Reads small files (at most 64 KiB): blocks shortly.
  Expected<std::string, std::string> find(std::string_view name, std::string_view role) const;

 private:
  std::string directory_;
};

// Replaces values of secrets by "{secret.NAME}".
class SecretScrubber {
 public:
  void add(std::string_view name, std::string_view value);
  bool empty() const { return needles_.empty(); }

  // For messages: every value, in its plain, JSON-escaped and percent-encoded forms.
  std::string scrub_message(std::string_view text) const { return scrub(text, 1); }
  // For responses, which may echo what was sent: values shorter than 4 bytes are left, they would tear up the
  // text.
  std::string scrub_response(std::string_view text) const { return scrub(text, 4); }

 private:
  struct Needle {
    std::string value;
    std::string replacement;
  };
  std::string scrub(std::string_view text, std::size_t min_length) const;
  void add_needle(std::string value, const std::string& replacement);

  std::vector<Needle> needles_;  // longest first
};

// `text` with its secrets put in; each is added to `scrubber`. Error: what SecretStore::find says.
Expected<std::string, std::string> reveal(const SecretText& text, std::string_view role,
                                          const SecretStore& store, SecretScrubber& scrubber);

}  // namespace durabled::daemon
