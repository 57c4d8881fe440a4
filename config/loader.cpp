#include "config/loader.hpp"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string_view>

#include "config/keys.hpp"
#include "config/structured.hpp"
#include "config/yaml_map.hpp"

namespace durabled::config {
namespace {

[[noreturn]] void fail(const std::string& place, const std::string& path, const std::string& text) {
  throw ConfigError(place + ": key '" + path + "': " + text);
}

const std::set<std::string>& sections() {
  static const std::set<std::string> all = [] {
    std::set<std::string> names;
    for (const auto& key : keys()) {
      if (const auto dot = key.path.find('.'); dot != std::string::npos)
        names.insert(key.path.substr(0, dot));
    }
    return names;
  }();
  return all;
}

std::string unknown_key(const std::string& near) {
  return "unknown key" + (near.empty() ? "" : " (did you mean '" + near + "'?)");
}

// Throws KeyProblem.
void set_from_node(Config& config, const Key& key, const YAML::Node& node, int line) {
  switch (key.shape) {
    case Shape::kScalar: {
      const auto problem = key.set(config, scalar_text(node, line, key.path, "a single value"));
      if (problem) throw KeyProblem(line, key.path, *problem);
      return;
    }
    case Shape::kRoles:
      config.identity.roles = read_roles(node, line, key.path);
      return;
    case Shape::kAllow:
      config.http.allow = read_allow(node, line, key.path);
      return;
  }
}

// From the environment or the command line: the text is the scalar itself, or YAML for what is more than one
// value.
void set_from_text(Loaded& loaded, const Key& key, const std::string& text, const std::string& place) {
  if (key.shape == Shape::kScalar) {
    if (const auto problem = key.set(loaded.config, text)) fail(place, key.path, *problem);
  } else {
    try {
      set_from_node(loaded.config, key, YAML::Load(text), 1);
    } catch (const KeyProblem& problem) {
      fail(place, problem.path(), problem.what());
    } catch (const YAML::Exception& error) {
      fail(place, key.path, "is not YAML: " + error.msg);
    }
  }
  loaded.origin[key.path] = place;
}

// Throws KeyProblem.
void read_entry(Loaded& loaded, const std::string& path, const MapEntry& entry, const std::string& name) {
  const Key* key = find_key(path);
  if (key == nullptr) throw KeyProblem(entry.line, path, unknown_key(closest_key(path)));
  set_from_node(loaded.config, *key, entry.value, entry.line);
  loaded.origin[path] = name + ":" + std::to_string(entry.line);
}

// A section's name misspelt makes all of its keys wrong; say so once, at the section.
std::string closest_section(const std::string& name) {
  return closest_word(name, {sections().begin(), sections().end()});
}

// Throws KeyProblem.
void read_document(Loaded& loaded, const YAML::Node& document, const std::string& name) {
  for (const auto& top : map_entries(document, 1, "")) {
    if (find_key(top.key) != nullptr) {
      read_entry(loaded, top.key, top, name);
    } else if (sections().contains(top.key)) {
      for (const auto& entry : map_entries(top.value, top.line, top.key)) {
        read_entry(loaded, top.key + "." + entry.key, entry, name);
      }
    } else {
      const std::string near = closest_key(top.key);
      throw KeyProblem(top.line, top.key, unknown_key(near.empty() ? closest_section(top.key) : near));
    }
  }
}

// The library's words are about its grammar.
std::string plain_words(const std::string& yaml, const YAML::Exception& error) {
  std::istringstream lines(yaml);
  std::string line;
  for (int i = 0; i <= error.mark.line && std::getline(lines, line); ++i) {
    if (i + 1 < error.mark.line) continue;  // the error's line and the one before
    if (line.substr(0, line.find_first_not_of(" \t")).find('\t') == std::string::npos) continue;
    return "line " + std::to_string(i + 1) + " is indented with a tab; indent with spaces";
  }
  static const std::map<std::string, std::string> kWords = {
      {YAML::ErrorMsg::MAP_VALUE, "a second value on this line; put a text that holds ': ' in quotes"},
      {YAML::ErrorMsg::BLOCK_ENTRY, "a list's - must begin a line"},
      {YAML::ErrorMsg::UNKNOWN_TOKEN, "a text cannot begin with this character; put it in quotes"},
      {YAML::ErrorMsg::END_OF_MAP, "this line does not fit those above it: look at its indentation"},
      {YAML::ErrorMsg::END_OF_SEQ, "this line does not fit those above it: look at its indentation"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "a { is not closed by }"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a [ is not closed by ]"}};
  const auto found = kWords.find(error.msg);
  return found == kWords.end() ? error.msg : found->second;
}

void read_yaml(Loaded& loaded, const std::string& yaml, const std::string& name) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
    if (documents.size() > 1) {
      throw ConfigError(name + ":" + std::to_string(line_of(documents[1], 1)) + ": expected one document");
    }
    if (!documents.empty()) read_document(loaded, documents[0], name);
  } catch (const KeyProblem& problem) {
    const std::string place = name + ":" + std::to_string(problem.line());
    if (problem.path().empty()) throw ConfigError(place + ": " + problem.what());
    fail(place, problem.path(), problem.what());
  } catch (const YAML::Exception& error) {
    throw ConfigError(name + ":" + std::to_string(error.mark.line + 1) + ": not YAML at column " +
                      std::to_string(error.mark.column + 1) + ": " + plain_words(yaml, error));
  }
}

std::string file_text(const std::string& path) {
  // Opening a directory succeeds; reading it does not, and says nothing useful.
  if (std::filesystem::is_directory(path)) throw ConfigError(path + ": is a directory");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ConfigError(path + ": cannot be read: " + std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void read_environment(Loaded& loaded, const std::map<std::string, std::string>& environment) {
  std::map<std::string, const Key*> known;
  std::vector<std::string> names;
  for (const auto& key : keys()) {
    known[environment_variable(key.path)] = &key;
    names.push_back(environment_variable(key.path));
  }
  for (const auto& [variable, text] : environment) {
    const std::string place = "environment " + variable;
    if (const auto found = known.find(variable); found != known.end()) {
      set_from_text(loaded, *found->second, text, place);
      continue;
    }
    for (const auto& section : sections()) {
      if (variable.starts_with(environment_variable(section + "."))) {
        const std::string near = closest_word(variable, names);
        throw ConfigError(place + ": no such key" + (near.empty() ? "" : " (did you mean " + near + "?)"));
      }
    }
  }
}

void read_overrides(Loaded& loaded, const std::map<std::string, std::string>& overrides) {
  for (const auto& [path, text] : overrides) {
    const Key* key = find_key(path);
    if (key == nullptr) fail("command line", path, unknown_key(closest_key(path)));
    set_from_text(loaded, *key, text, "command line");
  }
}

void read_others(Loaded& loaded, const Sources& sources) {
  read_environment(loaded, sources.environment);
  read_overrides(loaded, sources.overrides);
  // Platforms give the address of their database by this name. It is nobody's choice, so that any other wins.
  const auto url = sources.environment.find("DATABASE_URL");
  if (loaded.config.database.empty() && url != sources.environment.end())
    set_from_text(loaded, *find_key("database"), url->second, "environment DATABASE_URL");
  // OpenTelemetry's name for the collector of all programs of a host. It may be written for others, so that one which this
  // program cannot use is passed over.
  const auto collector = sources.environment.find("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (loaded.config.traces.endpoint.empty() && collector != sources.environment.end() &&
      !find_key("traces.endpoint")->set(loaded.config, collector->second))
    loaded.origin["traces.endpoint"] = "environment OTEL_EXPORTER_OTLP_ENDPOINT";
  if (const auto broken = check_rules(loaded.config)) {
    const auto origin = loaded.origin.find(broken->path);
    fail(origin == loaded.origin.end() ? "default" : origin->second, broken->path, broken->text);
  }
}

}  // namespace

Loaded load(const Sources& sources) {
  if (sources.file) return load_text(file_text(*sources.file), *sources.file, sources);
  Loaded loaded;
  read_others(loaded, sources);
  return loaded;
}

Loaded load_text(const std::string& yaml, const std::string& name, const Sources& others) {
  Loaded loaded;
  read_yaml(loaded, yaml, name);
  read_others(loaded, others);
  return loaded;
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    const bool is_ours = text.starts_with("DURABLED_") || text.starts_with("DATABASE_URL=") ||
                         text.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT=");
    if (!is_ours || equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> changed_but_not_reloadable(const Config& old, const Config& fresh) {
  std::vector<std::string> changed;
  for (const auto& key : keys()) {
    if (!key.reloadable && key.print(old) != key.print(fresh)) changed.push_back(key.path);
  }
  return changed;
}

void apply_reloadable(Config& to, const Config& fresh) {
  for (const auto& key : keys()) {
    if (key.reloadable) key.copy(to, fresh);
  }
}

}  // namespace durabled::config
