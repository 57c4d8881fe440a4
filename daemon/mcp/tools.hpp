// The tools that `durabled mcp` offers: each is a command of `durabled` with checked arguments. docs/assistants.md.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::daemon::mcp {

struct Argument {
  std::string_view name;
  enum class Type { kText, kCount, kId, kObject, kAny } type = Type::kText;
  bool is_required = false;
  std::string_view description;
  std::vector<std::string_view> choices = {};  // kText: nothing else is taken
};

using CommandLine = std::vector<std::string>;

struct Tool {
  std::string_view name, title, description;
  bool writes = false;  // must be allowed by its name
  std::vector<Argument> arguments;
  // The words of a command line behind `durabled`. Requires: arguments that find_problem() has nothing against.
  CommandLine (*command)(const boost::json::object& arguments);
};

const std::vector<Tool>& tools();

// The names of the tools that write.
std::set<std::string> writing_tools();

// What is wrong with the arguments of a call, in words for whoever made it: an unknown name, a missing one, a value of
// the wrong type.
std::optional<std::string> find_problem(const Tool& tool, const boost::json::object& arguments);

// The tool as tools/list describes it.
boost::json::object describe(const Tool& tool);

}  // namespace durabled::daemon::mcp
