// The two settings that are more than one value: identity.roles and http.allow. Reading from YAML, and
// printing in YAML's flow form, so that the same text also works in an environment variable.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace YAML {
class Node;
}  // namespace YAML

namespace durabled::config {

// What is wrong with one key, and on which line of the YAML text (from 1). The loader turns it into a
// ConfigError.
class KeyProblem : public std::runtime_error {
 public:
  KeyProblem(int line, std::string path, const std::string& text)
      : std::runtime_error(text), line_(line), path_(std::move(path)) {}
  int line() const { return line_; }
  const std::string& path() const { return path_; }

 private:
  int line_;
  std::string path_;
};

// The line of `node`, from 1; `fallback` where yaml-cpp knows none (an empty value).
int line_of(const YAML::Node& node, int fallback);

// The text of a scalar. Throws KeyProblem when `node` is a map, a list or empty. `what` says what was
// expected.
std::string scalar_text(const YAML::Node& node, int line, const std::string& path, const std::string& what);

// A map's keys and values in the order of the file. Throws KeyProblem when `node` is not a map, when a key is
// not a plain word, or when a key comes twice. An empty value counts as an empty map.
struct MapEntry;
std::vector<MapEntry> map_entries(const YAML::Node& node, int line, const std::string& path);

// Throw KeyProblem; an empty value is an empty map or list.
std::map<std::string, std::string> read_roles(const YAML::Node& node, int line, const std::string& path);
std::vector<Config::Http::Allow> read_allow(const YAML::Node& node, int line, const std::string& path);

// "{}" and "[]" when empty.
std::string print_roles(const std::map<std::string, std::string>& roles);
std::string print_allow(const std::vector<Config::Http::Allow>& allow);

}  // namespace durabled::config
