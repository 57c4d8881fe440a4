#include "daemon/mcp/tools.hpp"

#include <algorithm>

namespace durabled::daemon::mcp {
namespace {

namespace json = boost::json;
using Type = Argument::Type;

std::string text_of(const json::object& arguments, std::string_view name) {
  const json::value* value = arguments.if_contains(name);
  if (value == nullptr) return "";
  return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

// "--name=value" for each that is given, with its name's '_' as '-'. What begins with '-' is a value there as well.
void add_options(CommandLine& words, const json::object& arguments,
                 std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (!arguments.contains(name)) continue;
    std::string option(name);
    std::replace(option.begin(), option.end(), '_', '-');
    words.push_back("--" + option + "=" + text_of(arguments, name));
  }
}

// Behind "--" nothing is an option.
CommandLine with_id(CommandLine words, const json::object& arguments) {
  words.insert(words.end(), {"--", text_of(arguments, "id")});
  return words;
}

CommandLine check(const json::object& arguments) {
  return {"check", "--json", "--expression=" + text_of(arguments, "text")};
}

CommandLine docs(const json::object& arguments) {
  CommandLine words{"docs"};
  add_options(words, arguments, {"search"});
  if (arguments.contains("topic")) words.insert(words.end(), {"--", text_of(arguments, "topic")});
  return words;
}

CommandLine list(const json::object& arguments) {
  CommandLine words{"list", "--json"};
  add_options(words, arguments, {"status", "label", "code", "since", "after"});
  words.push_back("--limit=" + (arguments.contains("limit") ? text_of(arguments, "limit") : "20"));
  return words;
}

CommandLine show(const json::object& arguments) {
  const std::string part = text_of(arguments, "part");
  if (part == "history") return with_id({"history", "--json"}, arguments);
  return with_id(part == "error" ? CommandLine{"show", "--json"} : CommandLine{"show", "--ids"}, arguments);
}

CommandLine waiting(const json::object& arguments) {
  CommandLine words{"waiting", "--json"};
  add_options(words, arguments, {"kind"});
  words.push_back("--limit=" + (arguments.contains("limit") ? text_of(arguments, "limit") : "20"));
  return words;
}

CommandLine doctor(const json::object&) {
  return {"doctor", "--json"};
}

CommandLine submit(const json::object& arguments) {
  CommandLine words{"submit", "--json", "--expression=" + text_of(arguments, "text")};
  add_options(words, arguments, {"label", "idempotency_key", "input"});
  return words;
}

CommandLine signal(const json::object& arguments) {
  CommandLine words = with_id({"signal", "--json"}, arguments);
  words.push_back(text_of(arguments, "name"));
  if (arguments.contains("data")) words.push_back(json::serialize(arguments.at("data")));
  return words;
}

CommandLine steer(const json::object& arguments) {
  CommandLine words{text_of(arguments, "action"), "--json"};
  if (words[0] == "cancel") add_options(words, arguments, {"reason"});
  return with_id(std::move(words), arguments);
}

CommandLine redrive(const json::object& arguments) {
  CommandLine words{"rerun", "--json"};
  if (arguments.contains("from_node")) words.push_back("--from=" + text_of(arguments, "from_node"));
  return with_id(std::move(words), arguments);
}

const Argument kId{"id", Type::kId, true, "The instance's id: 8 letters and digits"};
const Argument kText{"text", Type::kText, true, "The workflow's text: $$ SELECT 1 $$ ~> df.sleep(5)"};
const Argument kLimit{"limit", Type::kCount, false, "At most so many, 20 by default"};

// Empty: the value is of the type.
std::string wrong_type(const Argument& argument, const json::value& value) {
  const auto is_id = [](std::string_view text) {
    return text.size() == 8 && std::all_of(text.begin(), text.end(), [](char c) {
             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
           });
  };
  switch (argument.type) {
    case Type::kText:
      if (!value.is_string()) return "a string";
      if (argument.choices.empty() || std::count(argument.choices.begin(), argument.choices.end(),
                                                 std::string_view(value.get_string())) > 0)
        return value.get_string().find('\0') == json::string::npos ? "" : "a string without NUL characters";
      break;
    case Type::kCount:
      return value.is_int64() && value.get_int64() >= 1 && value.get_int64() <= 1000
                 ? ""
                 : "a whole number from 1 to 1000";
    case Type::kId:
      return value.is_string() && is_id(value.get_string()) ? "" : "an id: 8 lower-case letters and digits";
    case Type::kObject:
      return value.is_object() ? "" : "an object";
    case Type::kAny:
      return "";
  }
  std::string choices;
  for (const std::string_view choice : argument.choices)
    choices += (choices.empty() ? "" : ", ") + std::string(choice);
  return "one of: " + choices;
}

std::string names_of(const Tool& tool) {
  std::string names;
  for (const Argument& argument : tool.arguments)
    names += (names.empty() ? "" : ", ") + std::string(argument.name);
  return names.empty() ? "no arguments" : names;
}

}  // namespace

const std::vector<Tool>& tools() {
  static const std::vector<std::string_view> statuses = {"pending", "running",   "completed",
                                                         "failed",  "cancelled", "paused"};
  static const std::vector<Tool> all = {
      {"check",
       "Check a workflow",
       "Reads the text of a workflow and returns its tree, its errors and its warnings with hints. Runs "
       "nothing, and "
       "needs no database. Call it before a workflow is submitted, and fix the warnings, too.",
       false,
       {kText},
       check},
      {"docs",
       "Read the documentation",
       "Prints a page (language, operations, skill, …), a section, or what is about a function "
       "(df.for_each), as "
       "Markdown; without arguments the list of them. search lists the sections that hold a word. Read the "
       "page "
       "skill before you write a workflow.",
       false,
       {{"topic", Type::kText, false, "A page, the heading of a section, or a function"},
        {"search", Type::kText, false, "A word; instead of topic"}},
       docs},
      {"list",
       "List instances",
       "Instances of workflows, newest first.",
       false,
       {{"status", Type::kText, false, "Only those with this status", statuses},
        {"label", Type::kText, false, "The label, or a LIKE pattern"},
        {"code", Type::kText, false, "The code of the error: 23505, http_timeout, …"},
        {"since", Type::kText, false, "A time, or how long ago: 2h"},
        {"after", Type::kId, false, "The last instance of the page before"},
        kLimit},
       list},
      {"show",
       "Show an instance",
       "An instance: its tree with what each node has come to and what it waits for (tree, by default), its "
       "events "
       "(history), or its error with code and node (error).",
       false,
       {kId, {"part", Type::kText, false, "tree, history or error", {"tree", "history", "error"}}},
       show},
      {"waiting",
       "List waits",
       "What instances wait for: timers, schedules, signals, retries, logins.",
       false,
       {{"kind", Type::kText, false, "Only those of this kind: timer, schedule, signal, retry, login"},
        kLimit},
       waiting},
      {"doctor",
       "Look for problems",
       "Looks at server, schema, grants, daemons and clock; says what to do.",
       false,
       {},
       doctor},
      {"submit",
       "Submit a workflow",
       "Starts a workflow, whose statements run with the rights of the connection's role. With an "
       "idempotency_key that "
       "an earlier instance has nothing is started.",
       true,
       {kText,
        {"label", Type::kText, false, "A name for people"},
        {"idempotency_key", Type::kText, false, "The same key starts one instance only"},
        {"input", Type::kObject, false, "What the workflow reads as $input"}},
       submit},
      {"signal",
       "Send a signal",
       "Sends a signal to an instance, which a df.wait_for_signal takes.",
       true,
       {kId,
        {"name", Type::kText, true, "The signal's name"},
        {"data", Type::kAny, false, "What comes with it; any JSON"}},
       signal},
      {"steer",
       "Cancel, pause or resume an instance",
       "cancel is final: what runs is stopped and rolled back. pause lets running steps finish.",
       true,
       {kId,
        {"action", Type::kText, true, "cancel, pause or resume", {"cancel", "pause", "resume"}},
        {"reason", Type::kText, false, "Of a cancel: kept as the message of its error"}},
       steer},
      {"redrive",
       "Run an instance again",
       "Starts the workflow of an instance again, as a new one; from_node keeps the results of what came "
       "before it.",
       true,
       {kId, {"from_node", Type::kId, false, "The id of a node, as show has them"}},
       redrive},
  };
  return all;
}

std::set<std::string> writing_tools() {
  std::set<std::string> names;
  for (const Tool& tool : tools()) {
    if (tool.writes) names.emplace(tool.name);
  }
  return names;
}

std::optional<std::string> find_problem(const Tool& tool, const json::object& arguments) {
  for (const auto& given : arguments) {
    const auto argument =
        std::find_if(tool.arguments.begin(), tool.arguments.end(),
                     [&](const Argument& one) { return one.name == std::string_view(given.key()); });
    if (argument == tool.arguments.end()) {
      return std::string(tool.name) + " has no argument \"" + std::string(given.key().substr(0, 60)) +
             "\"; it takes " + names_of(tool);
    }
    const std::string expected = wrong_type(*argument, given.value());
    if (!expected.empty()) return "the argument " + std::string(argument->name) + " must be " + expected;
  }
  for (const Argument& argument : tool.arguments) {
    if (argument.is_required && !arguments.contains(argument.name))
      return "the argument " + std::string(argument.name) + " is missing";
  }
  if (arguments.contains("topic") && arguments.contains("search")) return "give either topic or search";
  return std::nullopt;
}

json::object describe(const Tool& tool) {
  json::object properties;
  json::array required;
  for (const Argument& argument : tool.arguments) {
    json::object schema{{"description", argument.description}};
    if (argument.type == Type::kCount) {
      schema["type"] = "integer";
      schema["minimum"] = 1;
      schema["maximum"] = 1000;
    } else if (argument.type != Type::kAny) {
      schema["type"] = argument.type == Type::kObject ? "object" : "string";
    }
    if (argument.type == Type::kId) schema["pattern"] = "^[0-9a-z]{8}$";
    if (!argument.choices.empty())
      schema["enum"] = json::array(argument.choices.begin(), argument.choices.end());
    properties[argument.name] = std::move(schema);
    if (argument.is_required) required.emplace_back(argument.name);
  }
  return {{"name", tool.name},
          {"title", tool.title},
          {"description", tool.description},
          {"inputSchema",
           {{"type", "object"},
            {"properties", properties},
            {"required", required},
            {"additionalProperties", false}}},
          {"annotations",
           {{"title", tool.title},
            {"readOnlyHint", !tool.writes},
            {"destructiveHint", tool.writes},
            {"openWorldHint", tool.writes}}}};
}

}  // namespace durabled::daemon::mcp
