// Runs every example of the language reference, and of the skill that teaches it.
#include "tests/examples/doc_examples.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

std::vector<Example> examples_in(const std::string& page) {
  return examples_of(read_file(std::filesystem::path(kSourceDirectory) / page));
}

}  // namespace

TEST_CASE("every example of docs/language.md does what the comment above it says") {
  const auto examples = examples_in("docs/language.md");
  REQUIRE(examples.size() >= 30);
  HttpWorld world;
  Sql alice = world.session();
  alice.exec("select df.setvar('test_server', $1)", world.http.url(""));
  world.start_calling_daemon();
  run_examples("docs/language.md", examples, alice);
}

TEST_CASE(
    "every example of the skill, its references and the lists of pages does what the comment above it says") {
  HttpWorld world;
  Sql alice = world.session();
  alice.exec("select df.setvar('api', $1)", world.http.url(""));
  world.start_calling_daemon();
  std::size_t count = 0;
  for (const char* page :
       {"docs/skill/SKILL.md", "docs/skill/references/language.md", "docs/skill/references/patterns.md",
        "docs/skill/references/operations.md", "docs/skill/agents.md", "docs/llms.txt"}) {
    const auto examples = examples_in(page);
    run_examples(page, examples, alice);
    count += examples.size();
  }
  CHECK(count >= 28);
}
