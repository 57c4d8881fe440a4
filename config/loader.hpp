// Loads the configuration: defaults, then the file, then the environment, then what the command line gave;
// each wins over those before it. Nothing here is kept between calls, so SIGHUP simply loads again.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace durabled::config {

// What is wrong, for a person: "/etc/durabled/durabled.yaml:12: key 'steps.conections': unknown key (did you
// mean 'steps.connections'?)". Values of `database` and `identity.roles` are never part of the text.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr const char* kDefaultFile = "/etc/durabled/durabled.yaml";

struct Sources {
  // Must exist and be readable when given.
  std::optional<std::string> file = {};
  // Variables named DURABLED_<SECTION>_<KEY> are read, e.g. DURABLED_STEPS_CONNECTIONS; identity.roles and
  // http.allow are YAML in flow form. One that begins with a section's name but is not a key is an error; others
  // are left alone.
  std::map<std::string, std::string> environment = {};
  // Key path -> text, as in the environment; for flags.
  std::map<std::string, std::string> overrides = {};
};

struct Loaded {
  Config config;
  // Key path -> where its value came from: "durabled.yaml:12", "environment DURABLED_LOG_LEVEL" or "command
  // line". Keys with their default are not in it.
  std::map<std::string, std::string> origin;
};

// Errors: ConfigError, for the first thing that is wrong. Blocks on reading the file only.
Loaded load(const Sources& sources);

// As load(), from YAML text in place of a file; `name` is the file's name in messages.
Loaded load_text(const std::string& yaml, const std::string& name, const Sources& others = {});

// This process's variables that begin with DURABLED_.
std::map<std::string, std::string> process_environment();

// Key paths that differ between the two and take a restart, in the order of the file.
std::vector<std::string> changed_but_not_reloadable(const Config& old, const Config& fresh);

// Takes over from `fresh` every key that SIGHUP may change, and leaves the others. Not synchronised: call it
// where no other thread reads `to`.
void apply_reloadable(Config& to, const Config& fresh);

}  // namespace durabled::config
