// What a request asks, taken apart: path, parameters, body.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::daemon::web {

// Parameters of a query string, or members of a body; a value that is not a string (a list, true, an object) is JSON.
class Parameters {
 public:
  // Both throw Refused (400): malformed escapes, bytes that are not UTF-8, NUL, a name twice, JSON that is not an object.
  static Parameters of_query(std::string_view query);
  static Parameters of_body(const std::string& body);

  // Throws Refused (400) for a name that is not among `known`.
  void require_known(const std::vector<std::string>& known) const;

  std::optional<std::string> text(const std::string& name) const;  // nullopt: absent or ""
  std::string required(const std::string& name) const;
  // Throws Refused (400) unless it is a number from `least` to `most`.
  std::optional<std::int64_t> number(const std::string& name, std::int64_t least, std::int64_t most) const;
  std::vector<std::string> list(
      const std::string& name) const;        // separated by commas, or a JSON list of strings
  bool flag(const std::string& name) const;  // "1" or true
  // A member that is an object.
  Parameters object(const std::string& name) const;

 private:
  std::map<std::string, std::string> texts_, json_;
};

// A part of a path or query without its percent escapes. Throws Refused (400).
std::string decoded(std::string_view text, bool plus_is_space);

struct Target {
  std::vector<std::string> path;  // of the base path; empty: the page
  std::string query;
};

// nullopt: outside of `base`, which begins and ends with a slash.
std::optional<Target> parse_target(std::string_view target, const std::string& base);

// What clients send as identifiers; others cannot exist, so nothing is asked of the database.
bool is_instance_id(const std::string& text);
bool is_node_id(const std::string& text);
bool is_cursor(const std::string& text);

}  // namespace durabled::daemon::web
