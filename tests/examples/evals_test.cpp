// Runs the expected workflows of the skill's evaluations, so that each grader is known to judge what it is meant to:
// docs/assistants.md.
#include <boost/json.hpp>

#include "dsl/text/parser.hpp"
#include "tests/e2e/http_world.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled;
using namespace durabled::test;

namespace {

std::string text(const boost::json::value& object, const char* key) {
  return std::string(object.at(key).as_string());
}

}  // namespace

TEST_CASE("the expected workflow of every evaluation passes its grader, which fails where nothing ran") {
  const auto file =
      boost::json::parse(read_file(std::filesystem::path(kSourceDirectory) / "docs/skill/evals/evals.json"));
  const auto& evals = file.at("evals").as_array();
  REQUIRE(evals.size() == 20);
  HttpWorld world;
  Sql alice = world.session();
  alice.exec("select df.setvar('api', $1)", world.http.url(""));
  world.start_calling_daemon();
  for (const auto& eval : evals) {
    INFO(text(eval, "id") << ": " << text(eval, "prompt") << "\n" << text(eval, "workflow"));
    const auto parsed = dsl::parse_workflow(text(eval, "workflow"), {});
    REQUIRE(parsed);
    CHECK(parsed->warnings.empty());
    alice.exec(text(eval, "setup"));
    CHECK(alice.value(text(eval, "grader")) != "t");
    const std::string id = submit(alice, text(eval, "workflow"));
    if (eval.as_object().contains("signal")) {
      const auto& signal = eval.at("signal");
      await_put_down(alice, id);
      alice.exec("select df.signal($1, $2, $3)", id, text(signal, "name"), serialize(signal.at("data")));
    }
    if (text(eval, "ends") == "running") {
      await_put_down(alice, id);
    } else {
      CHECK(end_of(alice, id) == text(eval, "ends"));
    }
    INFO(error_of(alice, id));
    CHECK(alice.value(text(eval, "grader")) == "t");
    if (text(eval, "ends") == "running") alice.exec("select df.cancel($1, 'seen enough')", id);
  }
}
