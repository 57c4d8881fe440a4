#include "config/structured.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <functional>

#include "config/keys.hpp"
#include "config/units.hpp"
#include "config/yaml_map.hpp"

namespace durabled::config {
namespace {

using Allow = Config::Http::Allow;

bool is_cidr(const std::string& text) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  std::array<unsigned char, 16> bytes{};
  int longest = 0;
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    longest = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
    longest = 128;
  } else {
    return false;
  }
  if (slash == std::string::npos) return true;  // a single address
  const auto bits = parse_integer(text.substr(slash + 1));
  return bits && *bits >= 0 && *bits <= longest;
}

// A name or pattern such as "*.example.org", or an address, an IPv6 one in brackets.
bool is_host(const std::string& text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    return text.find('/') == std::string::npos && is_cidr(text.substr(1, text.size() - 2));
  }
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '*';
  });
}

int read_integer(const YAML::Node& node, int line, const std::string& path, int low, int high) {
  const std::string text = scalar_text(node, line, path, "a whole number");
  const auto number = parse_integer(text);
  if (!number) throw KeyProblem(line, path, "expected a whole number, got '" + text + "'");
  if (*number < low || *number > high) {
    throw KeyProblem(line, path,
                     "must be from " + std::to_string(low) + " to " + std::to_string(high) + ", got " + text);
  }
  return static_cast<int>(*number);
}

std::vector<std::string> read_texts(const YAML::Node& node, int line, const std::string& path) {
  if (node.IsNull()) return {};
  if (!node.IsSequence()) throw KeyProblem(line, path, "expected a list");
  std::vector<std::string> texts;
  for (const auto& item : node) {
    const std::string item_path = path + "[" + std::to_string(texts.size()) + "]";
    texts.push_back(scalar_text(item, line_of(item, line), item_path, "a text"));
  }
  return texts;
}

// How each field of an entry of http.allow is read.
using FieldReader = std::function<void(Allow&, const YAML::Node&, int line, const std::string& path)>;

void read_scheme(Allow& allow, const YAML::Node& node, int line, const std::string& path) {
  allow.scheme = scalar_text(node, line, path, "http or https");
  if (allow.scheme != "http" && allow.scheme != "https") {
    throw KeyProblem(line, path, "expected one of http, https, got '" + allow.scheme + "'");
  }
}

void read_host(Allow& allow, const YAML::Node& node, int line, const std::string& path) {
  allow.host = scalar_text(node, line, path, "a host name");
  if (!is_host(allow.host)) {
    throw KeyProblem(
        line, path,
        "expected a host name or a pattern such as *.example.org, without scheme, port or path, got '" +
            allow.host + "'");
  }
}

void read_path_prefix(Allow& allow, const YAML::Node& node, int line, const std::string& path) {
  allow.path_prefix = scalar_text(node, line, path, "a path");
  if (!allow.path_prefix.starts_with('/')) {
    throw KeyProblem(line, path, "expected a path that begins with /, got '" + allow.path_prefix + "'");
  }
}

void read_address_ranges(Allow& allow, const YAML::Node& node, int line, const std::string& path) {
  allow.address_ranges = read_texts(node, line, path);
  for (const auto& range : allow.address_ranges) {
    if (!is_cidr(range))
      throw KeyProblem(line, path, "expected a range such as 10.0.0.0/8, got '" + range + "'");
  }
}

const std::map<std::string, FieldReader>& allow_fields() {
  static const std::map<std::string, FieldReader> fields{
      {"scheme", read_scheme},
      {"host", read_host},
      {"port", [](Allow& allow, const YAML::Node& node, int line,
                  const std::string& path) { allow.port = read_integer(node, line, path, 0, 65'535); }},
      {"path_prefix", read_path_prefix},
      {"roles", [](Allow& allow, const YAML::Node& node, int line,
                   const std::string& path) { allow.roles = read_texts(node, line, path); }},
      {"address_ranges", read_address_ranges},
      {"redirects", [](Allow& allow, const YAML::Node& node, int line,
                       const std::string& path) { allow.redirects = read_integer(node, line, path, 0, 20); }},
  };
  return fields;
}

Allow read_allow_entry(const YAML::Node& node, int line, const std::string& path) {
  Allow allow;
  for (const auto& entry : map_entries(node, line, path)) {
    const auto field = allow_fields().find(entry.key);
    const std::string field_path = path + "." + entry.key;
    if (field == allow_fields().end()) {
      std::vector<std::string> names;
      for (const auto& [name, reader] : allow_fields()) names.push_back(name);
      const std::string near = closest_word(entry.key, names);
      throw KeyProblem(entry.line, field_path,
                       "unknown key" + (near.empty() ? "" : " (did you mean '" + near + "'?)"));
    }
    field->second(allow, entry.value, entry.line, field_path);
  }
  if (allow.host.empty()) throw KeyProblem(line, path, "needs a host");
  return allow;
}

std::string quoted(const std::string& text) {
  YAML::Emitter out;
  out << YAML::DoubleQuoted << text;
  return out.c_str();
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const auto& text : texts) list += (list.empty() ? "" : ", ") + quoted(text);
  return "[" + list + "]";
}

}  // namespace

int line_of(const YAML::Node& node, int fallback) {
  const int line = node.Mark().line;
  return line < 0 ? fallback : line + 1;
}

std::string scalar_text(const YAML::Node& node, int line, const std::string& path, const std::string& what) {
  if (node.IsScalar()) return node.Scalar();
  const char* got = node.IsMap() ? "a map" : node.IsSequence() ? "a list" : "nothing";
  throw KeyProblem(line, path, "expected " + what + ", got " + got);
}

std::vector<MapEntry> map_entries(const YAML::Node& node, int line, const std::string& path) {
  if (node.IsNull()) return {};
  if (!node.IsMap()) throw KeyProblem(line, path, "expected a map of keys and values");
  std::vector<MapEntry> entries;
  std::map<std::string, int> seen;
  for (const auto& pair : node) {
    const int at = line_of(pair.first, line);
    if (!pair.first.IsScalar()) throw KeyProblem(at, path, "expected a plain word as key");
    std::string key = pair.first.Scalar();
    const auto [earlier, fresh] = seen.emplace(key, at);
    if (!fresh) {
      const std::string full = path.empty() ? key : path + "." + key;
      throw KeyProblem(at, full, "is given twice (first on line " + std::to_string(earlier->second) + ")");
    }
    entries.push_back({std::move(key), pair.second, at});
  }
  return entries;
}

std::map<std::string, std::string> read_roles(const YAML::Node& node, int line, const std::string& path) {
  std::map<std::string, std::string> roles;
  for (const auto& entry : map_entries(node, line, path)) {
    if (entry.key.empty()) throw KeyProblem(entry.line, path, "a role needs a name");
    roles[entry.key] = scalar_text(entry.value, entry.line, path + "." + entry.key, "a connection string");
  }
  return roles;
}

std::vector<Allow> read_allow(const YAML::Node& node, int line, const std::string& path) {
  if (node.IsNull()) return {};
  if (!node.IsSequence()) throw KeyProblem(line, path, "expected a list of entries");
  std::vector<Allow> all;
  for (const auto& item : node) {
    all.push_back(read_allow_entry(item, line_of(item, line), path + "[" + std::to_string(all.size()) + "]"));
  }
  return all;
}

std::string print_roles(const std::map<std::string, std::string>& roles) {
  std::string list;
  for (const auto& [role, conninfo] : roles) {
    list += (list.empty() ? "" : ", ") + quoted(role) + ": " + quoted(conninfo);
  }
  return "{" + list + "}";
}

std::string print_allow(const std::vector<Allow>& allow) {
  std::string list;
  for (const auto& entry : allow) {
    list += (list.empty() ? "{" : ", {") + ("scheme: " + entry.scheme) + ", host: " + quoted(entry.host) +
            ", port: " + std::to_string(entry.port) + ", path_prefix: " + quoted(entry.path_prefix) +
            ", roles: " + quoted_list(entry.roles) +
            ", address_ranges: " + quoted_list(entry.address_ranges) +
            ", redirects: " + std::to_string(entry.redirects) + "}";
  }
  return "[" + list + "]";
}

}  // namespace durabled::config
