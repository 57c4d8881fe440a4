// The one table of configuration keys. YAML, the environment, command-line flags, SIGHUP and the test that
// holds config/durabled.yaml to the defaults all read it, so a key is added in one line of keys.cpp and
// nowhere else.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace durabled::config {

// How a key's value is written.
enum class Shape {
  kScalar,  // one text: a number, a duration, a word …
  kRoles,   // identity.roles: a map of role to conninfo; read by structured.hpp
  kAllow,   // http.allow: a list of entries; read by structured.hpp
};

struct Key {
  std::string path;  // "steps.connections"
  Shape shape = Shape::kScalar;
  bool reloadable = false;  // SIGHUP applies it; otherwise it takes a restart

  // Scalars only: sets the value from `text`. Returns what is wrong ("expected a whole number, got 'many'"),
  // or nothing when it was set. On an error `config` is unchanged.
  std::function<std::optional<std::string>(Config& config, const std::string& text)> set;

  // The value as text; for scalars `set` reads it back as the same value. Equal texts mean equal values. The
  // text of `database` and `identity.roles` may hold passwords: compare it, do not log it.
  std::function<std::string(const Config& config)> print;

  // Copies the value of this key from one configuration to another.
  std::function<void(Config& to, const Config& from)> copy;
};

// "steps.connections" -> "DURABLED_STEPS_CONNECTIONS"
std::string environment_variable(std::string_view path);

// Every key, in the order of the file. Thread-safe; never changes.
const std::vector<Key>& keys();

// Null for an unknown key.
const Key* find_key(std::string_view path);

// The key that whoever wrote `path` most likely meant; empty when nothing is close.
std::string closest_key(std::string_view path);

// The nearest of `words` within a distance that grows with the length of `word`; empty when nothing is close.
std::string closest_word(std::string_view word, const std::vector<std::string>& words);

// The first rule between several keys that `config` breaks, or nothing.
struct BrokenRule {
  std::string path;  // of the key to blame
  std::string text;
};
std::optional<BrokenRule> check_rules(const Config& config);

}  // namespace durabled::config
