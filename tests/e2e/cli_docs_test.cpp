// durabled docs and durabled skill: what is embedded of docs/.
#include <filesystem>
#include <fstream>

#include "tests/e2e/cli_run.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::test;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

namespace {

std::string page(const std::string& path) {
  return read_file(fs::path(kSourceDirectory) / "docs" / path);
}

CliOutcome install(const fs::path& folder, bool force = false) {
  std::vector<std::string> words{"skill", "install", "--to", folder.string()};
  if (force) words.push_back("--force");
  return cli(words);
}

}  // namespace

TEST_CASE("docs lists the pages and prints one, a section, or what is about a function") {
  const CliOutcome list = cli({"docs"});
  CHECK(list.code == 0);
  CHECK_THAT(list.out, ContainsSubstring("- **language**: Text, Operators, Steps") &&
                           ContainsSubstring("- **operations**:") &&
                           ContainsSubstring("- **skill/patterns**:"));
  CHECK(cli({"docs", "operations"}).out == page("operations.md"));
  const std::string language = cli({"docs", "Language"}).out;
  CHECK_THAT(language, ContainsSubstring("# The workflow language") && !ContainsSubstring("\n<!-- "));
  const std::string sleep = cli({"docs", "df.sleep"}).out;
  CHECK_THAT(sleep, StartsWith("### `df.sleep(seconds)`") && !ContainsSubstring("df.wait_for_schedule(cron"));
  CHECK(cli({"docs", "sleep"}).out == sleep);
  CHECK_THAT(cli({"docs", "df.if_rows"}).out, StartsWith("### `df.if(cond"));
  CHECK_THAT(cli({"docs", "df.cancel"}).out, ContainsSubstring("### df.cancel"));
  CHECK_THAT(cli({"docs", "failing", "and", "retrying"}).out, StartsWith("## Failing and retrying\n"));
  CHECK(cli({"docs", "failing-and-retrying"}).out == cli({"docs", "failing", "and", "retrying"}).out);
}

TEST_CASE("docs names the pages for an unknown topic, and finds words") {
  const CliOutcome unknown = cli({"docs", "langage"});
  CHECK(unknown.code == 2);
  CHECK(unknown.out.empty());
  CHECK_THAT(unknown.err, ContainsSubstring("unknown topic 'langage'; did you mean language?") &&
                              ContainsSubstring("The pages are language, reference, operations"));
  const CliOutcome found = cli({"docs", "--search", "IDEMPOTENCY"});
  CHECK(found.code == 0);
  CHECK_THAT(found.out,
             ContainsSubstring("- **language**, df.http(") && ContainsSubstring("Idempotency-Key"));
  CHECK_THAT(cli({"docs", "--search", "the"}).out, ContainsSubstring("sections more"));
  CHECK(cli({"docs", "--search", "xyzzy-no-such"}).code == 4);
  CHECK(cli({"docs", "--search", ""}).code == 4);
  CHECK(cli({"docs", "language", "--search", "x"}).code == 2);
  CHECK_THAT(cli({"manual", "docs"}).out, ContainsSubstring("durabled\\-docs"));
}

TEST_CASE("skill install writes the skill, and brings it up to date") {
  const TemporaryDirectory directory("skill");
  const fs::path folder = directory.path() / "skills/durabled";
  const CliOutcome first = install(folder);
  INFO(first.err);
  CHECK(first.code == 0);
  CHECK_THAT(first.out, ContainsSubstring("wrote " + (folder / "SKILL.md").string()) &&
                            ContainsSubstring("references/patterns.md") && ContainsSubstring("AGENTS.md"));
  const std::string text = read_file(folder / "SKILL.md");
  CHECK_THAT(text, StartsWith("---\nname: durabled\ndescription: ") && !ContainsSubstring("<!--"));
  CHECK_THAT(install(folder).out, StartsWith(folder.string() + " is up to date"));
  // What an older version wrote: its record says so.
  std::string record = read_file(folder / ".installed");
  const std::string file = " references/patterns.md\n";
  fs::remove(folder / "references/patterns.md");
  CHECK_THAT(install(folder).out, ContainsSubstring("patterns.md") && !ContainsSubstring("SKILL.md"));
  CHECK(record.find(file) != std::string::npos);
}

TEST_CASE("skill install leaves what somebody changed alone, unless it is forced") {
  const TemporaryDirectory directory("skill");
  const fs::path folder = directory.path() / "durabled";
  REQUIRE(install(folder).code == 0);
  write_file(folder / "SKILL.md", "mine\n");
  fs::remove(folder / "references/language.md");
  const CliOutcome refused = install(folder);
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, ContainsSubstring("nothing was written") && ContainsSubstring("SKILL.md"));
  CHECK(read_file(folder / "SKILL.md") == "mine\n");
  CHECK_FALSE(fs::exists(folder / "references/language.md"));
  CHECK(install(folder, true).code == 0);
  CHECK_THAT(read_file(folder / "SKILL.md"), StartsWith("---\n"));
  CHECK(fs::exists(folder / "references/language.md"));
}

TEST_CASE("skill install does not write through a symbolic link") {
  const TemporaryDirectory directory("skill");
  const fs::path folder = directory.path() / "durabled", outside = directory.path() / "outside";
  fs::create_directories(folder);
  fs::create_symlink(outside, folder / "SKILL.md");  // leads nowhere yet
  CHECK(install(folder).code == 1);
  CHECK_FALSE(fs::exists(outside));
  CHECK(install(folder, true).code == 0);
  CHECK_FALSE(fs::exists(outside));
  CHECK(fs::is_regular_file(fs::symlink_status(folder / "SKILL.md")));
  const CliOutcome unknown = cli({"skill", "remove"});
  CHECK(unknown.code == 2);
}
