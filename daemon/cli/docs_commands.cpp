// durabled docs and durabled skill: what is embedded of docs/, for people and for assistants that write workflows.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "config/keys.hpp"
#include "daemon/cli/command.hpp"
#include "daemon/docs/skill_folder.hpp"
#include "daemon/docs/topics.hpp"

namespace durabled::daemon::cli {
namespace {

struct DocsOptions {
  std::vector<std::string> topic;
  std::optional<std::string> word;
};

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

ExitCode show_docs(const Invocation& invocation, const DocsOptions& options) {
  if (options.word) {
    const std::string found = docs::search(*options.word);
    if (found.empty()) throw CommandError(ExitCode::kNotFound, "no page has '" + *options.word + "'");
    std::cout << found;
    return ExitCode::kOk;
  }
  const std::string topic = joined(options.topic, " ");
  if (topic.empty()) {
    std::cout << "Pages and their sections; `" << invocation.program
              << " docs TOPIC` prints a page, a section or what is about a function (df.http).\n\n"
              << docs::list_topics();
    return ExitCode::kOk;
  }
  const auto text = docs::find_topic(topic);
  if (!text) {
    const std::vector<std::string> pages = docs::page_names();
    const std::string near = config::closest_word(topic, pages);
    throw CommandError(ExitCode::kUsage, "unknown topic '" + topic + "'" +
                                             (near.empty() ? "" : "; did you mean " + near + "?") +
                                             "\nThe pages are " + joined(pages, ", ") +
                                             "; a heading or a function of them is a topic, too\nTry: " +
                                             invocation.program + " docs --search WORD");
  }
  std::cout << *text;
  return ExitCode::kOk;
}

ExitCode install(const Invocation& invocation, const std::string& directory, bool force) {
  const docs::Installed result = docs::install_skill(directory, force);
  if (!result.refused.empty()) {
    throw CommandError(ExitCode::kFailed,
                       "nothing was written, because these were changed by somebody else:\n  " +
                           joined(result.refused, "\n  ") + "\nWith --force they are overwritten");
  }
  for (const std::string& path : result.written) std::cout << "wrote " << path << '\n';
  if (result.written.empty()) std::cout << directory << " is up to date\n";
  std::cout << "An assistant uses a skill more often when AGENTS.md names it: " << invocation.program
            << " docs skill/agents >> AGENTS.md\n";
  return ExitCode::kOk;
}

}  // namespace

void add_docs_commands(CLI::App& app, Invocation& invocation) {
  CLI::App& docs = add_command(app, "docs", "Print the documentation of this version, as Markdown",
                               "durabled docs                       the pages and their sections\n"
                               "durabled docs language\n"
                               "durabled docs df.for_each\n"
                               "durabled docs failing and retrying\n"
                               "durabled docs --search idempotency");
  auto options = std::make_shared<DocsOptions>();
  CLI::Option* topic =
      docs.add_option("topic", options->topic, "A page, the heading of a section, or a function");
  docs.add_option("--search", options->word, "List the sections that hold this word")
      ->type_name("WORD")
      ->excludes(topic);
  set_action(docs, invocation, [&invocation, options] { return show_docs(invocation, *options); });

  CLI::App& skill =
      add_command(app, "skill", "Install the skill that teaches an assistant to write workflows",
                  "durabled skill install\n"
                  "durabled skill install --to .claude/skills/durabled\n"
                  "durabled skill install --force      # also over files that somebody changed");
  auto action = std::make_shared<std::string>();
  auto directory = std::make_shared<std::string>(".agents/skills/durabled");
  auto force = std::make_shared<bool>(false);
  skill.add_option("action", *action, "install")->required()->check(CLI::IsMember({"install"}));
  skill.add_option("--to", *directory, "The folder of the skill")->type_name("DIR")->capture_default_str();
  skill.add_flag("--force", *force, "Overwrite files that differ from what was installed");
  set_action(skill, invocation,
             [&invocation, action, directory, force] { return install(invocation, *directory, *force); });
}

}  // namespace durabled::daemon::cli
