// Runs what the READMEs say, with bash and psql and the real daemon, in one database: every folder of
// examples/ that holds a workflow, and the top of the repository's own README. The HTTP test server stands
// for the APIs.
#include <algorithm>
#include <cstdlib>

#include "config/loader.hpp"
#include "tests/e2e/http_world.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;
namespace fs = std::filesystem;

namespace {

const fs::path kSource = kSourceDirectory;

std::vector<fs::path> example_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kSource / "examples")) {
    if (fs::exists(entry.path() / "workflow.df")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// The fenced blocks of that language, in order.
std::vector<std::string> blocks_of(const std::string& document, const std::string& language) {
  const std::string begin = "\n```" + language + "\n", end = "\n```\n";
  std::vector<std::string> blocks;
  for (std::size_t at = 0; (at = document.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const auto stop = document.find(end, at);
    if (stop == std::string::npos) throw std::runtime_error("a block does not end");
    blocks.push_back(document.substr(at, stop + 1 - at));
  }
  return blocks;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++count;
  return count;
}

// A database with role `app` as `durabled dev` has it, a daemon that may call the test server, and a shell in
// which commands of a README are pasted.
class Terminal {
 public:
  Terminal() {
    world.add_role("app");
    world.server().create_role("durabled");
    world.http.add_example_routes();
    write_file(directory_.path() / "OPENAI_API_KEY", "sk-of-a-test\n");
    world.start_calling_daemon({{"http.secrets_directory", directory_.path().string()}});
  }

  // Runs them in `folder`; returns what they wrote, errors included. Requires that bash ends with 0.
  std::string paste(const std::vector<std::string>& command, const fs::path& folder) {
    const fs::path output = directory_.path() / ("output" + std::to_string(++pastes_));
    const std::string path = std::getenv("PATH");
    ChildProcess child({.argv = command,
                        .environment = {{"PATH", fs::path(kBinary).parent_path().string() + ":" + path},
                                        {"HOME", directory_.path().string()},
                                        {"PGHOST", "127.0.0.1"},
                                        {"PGPORT", std::to_string(world.server().port())},
                                        {"PGUSER", "app"},
                                        {"PGDATABASE", world.database().name()}},
                        .output = output,
                        .directory = folder});
    const auto code = child.wait(std::chrono::seconds{120});
    std::string text = read_file(output);
    INFO(text);
    CHECK(code == 0);
    return text;
  }

  // Commands of a shell, with the test server in the place of the services.
  std::string paste_commands(std::string commands, const fs::path& folder) {
    for (const char* service : {"https://api.example.com", "https://api.openai.com"})
      commands = replaced(commands, service, world.http.url(""));
    return paste({"/usr/bin/env", "bash", "-euo", "pipefail", "-c", commands}, folder);
  }

  // Input of one psql.
  std::string paste_sql(const std::string& sql) {
    const fs::path file = directory_.path() / "pasted.sql";
    write_file(file, sql);
    return paste({"/usr/bin/env", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", file.string()}, "/");
  }

  HttpWorld world;

 private:
  TemporaryDirectory directory_{"durabled-terminal"};
  int pastes_ = 0;
};

// The last block of a README is for every time, those before it are for once.
void run_example(Terminal& terminal, const fs::path& folder, bool first_time) {
  INFO(folder.filename().string());
  const auto blocks = blocks_of(read_file(folder / "README.md"), "sh");
  REQUIRE(!blocks.empty());
  for (std::size_t i = first_time ? 0 : blocks.size() - 1; i < blocks.size(); ++i) {
    const std::string output = terminal.paste_commands(blocks[i], folder);
    INFO(output);
    CHECK(count_of(output, "ERROR") == 0);
    CHECK(count_of(output, "FATAL") == 0);
    const bool last = i + 1 == blocks.size();
    CHECK(count_of(output, " ok \n") == (last ? 1 : 0));
    CHECK(count_of(output, " ok \n----\n t\n(1 row)\n") == (last ? 1 : 0));
  }
}

void run_readme(Terminal& terminal) {
  INFO("README.md");
  const std::string document = read_file(kSource / "README.md");
  // What follows is for one's own database.
  const auto blocks = blocks_of(document.substr(0, document.find("\n## Beside")), "sql");
  REQUIRE(blocks.size() == 3);
  const std::string approval = terminal.paste_sql(blocks[0]);
  CHECK_THAT(approval, ContainsSubstring(" completed\n"));
  const std::string shipping = terminal.paste_sql(blocks[1]);
  CHECK_THAT(shipping, ContainsSubstring(" completed\n"));
  const std::string door = terminal.paste_sql(blocks[2]);
  Sql app = terminal.world.session("app");
  CHECK(app.text("select status from invoices") == "paid");
  CHECK(app.number("select count(*) from orders where status = 'shipped'") == 3);
  completes(app,
            app.text("select id from df.instances where label = 'sql door' and strpos($1, id) > 0", door));
  app.exec("drop table invoices, orders");
}

}  // namespace

TEST_CASE("the commands of README and of every example work, all in one database, and again", "[L6.6]") {
  const auto folders = example_folders();
  REQUIRE(folders.size() >= 12);
  TestDatabase reporting(shared_server(), "reporting");  // made by an example; dropped in the end
  Terminal terminal;
  for (const bool first_time : {true, false}) {
    INFO((first_time ? "the first time" : "the second time"));
    run_readme(terminal);
    for (const fs::path& folder : folders) run_example(terminal, folder, first_time);
  }
  Sql app = terminal.world.session("app");
  CHECK(app.number("select count(*) from df.instances where status = 'failed'") == 0);
  // Each is the same in the other door.
  for (const fs::path& folder : folders) {
    INFO(folder.filename().string());
    CHECK_THAT(app.text("select df.explain((" + read_file(folder / "workflow.df") + ")::text)"),
               !ContainsSubstring("Invalid durable function graph"));
  }
}

TEST_CASE("the index of the examples names each of them") {
  const std::string index = read_file(kSource / "examples/README.md");
  for (const fs::path& folder : example_folders()) {
    const std::string name = folder.filename().string();
    CHECK_THAT(index, ContainsSubstring("| [" + name + "](" + name + "/) |"));
  }
}

TEST_CASE("the configuration of every example that makes calls is valid") {
  int found = 0;
  const auto entries = [](const fs::path& file) {
    return durabled::config::load({.file = file.string()}).config.http.allow.size();
  };
  for (const fs::path& folder : example_folders()) {
    INFO(folder.filename().string());
    const bool calls = read_file(folder / "workflow.df").find("df.http") != std::string::npos;
    CHECK(fs::exists(folder / "config.yaml") == calls);
    if (!calls) continue;
    ++found;
    CHECK(entries(folder / "config.yaml") == 1);
  }
  CHECK(found >= 4);
  CHECK(entries(kSource / "examples/local.yaml") == 1);
}
