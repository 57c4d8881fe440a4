// Private to config/: one entry of a YAML map, with its place.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

namespace durabled::config {

struct MapEntry {
  std::string key;
  YAML::Node value;
  int line = 0;  // of the key, from 1
};

}  // namespace durabled::config
