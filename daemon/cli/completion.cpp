// Completion scripts, generated from the same CLI11 app that parses the command line, so that they cannot
// fall behind.
#include <CLI/CLI.hpp>
#include <sstream>
#include <vector>

#include "daemon/cli/app.hpp"

namespace durabled::daemon::cli {
namespace {

struct Word {
  std::string name;  // "--label"; for an option with a value the value follows
  std::string description;
  bool takes_value = false;
  std::string values;  // the words that it takes, separated by blanks; "" when these are not known
};

constexpr const char* kStatuses = "pending running completed failed cancelled paused";
constexpr const char* kKinds = "timer schedule signal retry limit";

std::string values_of(const std::string& option) {
  if (option == "status") return kStatuses;
  if (option == "kind") return kKinds;
  return "";
}

struct Subcommand {
  std::string name, description;
  std::vector<Word> options;
  bool takes_id = false;  // its argument is an instance
};

// Prints the newest ids, one a line; nothing where the database cannot be asked.
constexpr const char* kListIds =
    "PGCONNECT_TIMEOUT=2 durabled list --json --limit 50 2>/dev/null | grep -o '\"id\":\"[0-9a-z]*\"' | cut "
    "-d '\"' -f 4";

std::vector<Subcommand> subcommands(const CLI::App& app) {
  std::vector<Subcommand> all;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    Subcommand& one = all.emplace_back();
    one.name = command->get_name();
    one.description = command->get_description();
    one.takes_id = command->get_option_no_throw("id") != nullptr;
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        one.options.push_back(
            {"--" + name, option->get_description(), option->get_items_expected_max() > 0, values_of(name)});
      }
    }
  }
  return all;
}

std::string single_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string bash(const std::vector<Subcommand>& all) {
  std::ostringstream out;
  std::string names, with_id;
  for (const Subcommand& command : all) {
    names += (names.empty() ? "" : " ") + command.name;
    if (command.takes_id) with_id += (with_id.empty() ? "" : " | ") + command.name + ":*";
  }
  out << "# bash completion for durabled\n"
         "_durabled() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' word words "
         "skip=''\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    if [ -n \"$skip\" ]; then skip=''; continue; fi\n"
         "    case $word in -d | --database) skip=1 ;; -*) ;; *) command=$word; break ;; esac\n"
         "  done\n"
         "  case $command in\n";
  for (const Subcommand& command : all) {
    out << "  " << command.name << ") words='";
    for (std::size_t i = 0; i < command.options.size(); ++i)
      out << (i == 0 ? "" : " ") << command.options[i].name;
    out << "' ;;\n";
  }
  out << "  *) words='" << names << " --help --version --database' ;;\n"
      << "  esac\n"
         "  case $before in\n"
         "  --status | -s) mapfile -t COMPREPLY < <(compgen -W '"
      << kStatuses
      << "' -- \"$current\"); return ;;\n"
         "  --kind) mapfile -t COMPREPLY < <(compgen -W '"
      << kKinds
      << "' -- \"$current\"); return ;;\n"
         "  esac\n"
         "  case $command:$current in\n"
         "  :* | *:-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\") ;;\n"
         "  completion:*) mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- \"$current\") ;;\n"
      << "  " << with_id << ") mapfile -t COMPREPLY < <(compgen -W \"$(" << kListIds
      << ")\" -- \"$current\") ;;\n"
         "  *) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _durabled durabled\n";
  return out.str();
}

// In _arguments and _describe a colon and brackets separate fields.
std::string zsh_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string zsh(const std::vector<Subcommand>& all) {
  std::ostringstream out;
  out << "#compdef durabled\n_durabled_ids() {\n  compadd -- $(" << kListIds
      << ")\n}\n_durabled() {\n  local -a commands\n  commands=(\n";
  for (const Subcommand& command : all) {
    out << "    " << single_quoted(command.name + ":" + zsh_escaped(command.description)) << '\n';
  }
  out << "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n  case "
         "$words[2] in\n";
  for (const Subcommand& command : all) {
    out << "  " << command.name << ")\n    _arguments \\\n";
    for (const Word& option : command.options) {
      out << "      "
          << single_quoted(option.name + (option.takes_value ? "=" : "") + "[" +
                           zsh_escaped(option.description) + "]" +
                           (!option.takes_value     ? ""
                            : option.values.empty() ? ":value:_files"
                                                    : ":value:(" + option.values + ")"))
          << " \\\n";
    }
    const char* argument = command.name == "completion" ? "(bash zsh fish)"
                           : command.takes_id           ? "_durabled_ids"
                                                        : "_files";
    out << "      '*:argument:" << argument << "' ;;\n";
  }
  out << "  esac\n}\n"
         "if [ \"$funcstack[1]\" = _durabled ]; then _durabled \"$@\"; else compdef _durabled durabled; fi\n";
  return out.str();
}

std::string fish(const std::vector<Subcommand>& all) {
  std::ostringstream out;
  out << "# fish completion for durabled\n";
  for (const Subcommand& command : all) {
    out << "complete -c durabled -n __fish_use_subcommand -f -a " << command.name << " -d "
        << single_quoted(command.description) << '\n';
    for (const Word& option : command.options) {
      out << "complete -c durabled -n '__fish_seen_subcommand_from " << command.name << "' -l "
          << option.name.substr(2) << (option.takes_value ? " -r" : "")
          << (option.values.empty() ? "" : " -f -a " + single_quoted(option.values)) << " -d "
          << single_quoted(option.description) << '\n';
    }
    if (command.takes_id) {
      out << "complete -c durabled -n '__fish_seen_subcommand_from " << command.name << "' -f -a "
          << single_quoted(std::string("(") + kListIds + ')') << '\n';
    }
  }
  out << "complete -c durabled -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
  return out.str();
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  const std::vector<Subcommand> all = subcommands(app);
  if (shell == "bash") return bash(all);
  if (shell == "zsh") return zsh(all);
  if (shell == "fish") return fish(all);
  throw CommandError(ExitCode::kUsage, "no completion for " + shell + ": bash, zsh or fish");
}

}  // namespace durabled::daemon::cli
