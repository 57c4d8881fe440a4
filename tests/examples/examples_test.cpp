// Runs every folder of examples/ that holds a workflow: its setup, the workflow through the real daemon with
// the HTTP test server for an API, the signals it needs, and its check.
#include <algorithm>
#include <sstream>

#include "config/loader.hpp"
#include "tests/e2e/http_world.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> example_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fs::path(DURABLED_SOURCE_DIR) / "examples")) {
    if (fs::exists(entry.path() / "workflow.df")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// "01-etl" -> "etl"
std::string label_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name.substr(name.find('-') + 1);
}

// A line each: the signal's name, a blank, its data. Each is sent once the instance waits for it.
void send_signals(Sql& sql, const std::string& id, const std::string& signals) {
  std::istringstream lines(signals);
  std::string name, data;
  while (lines >> name && std::getline(lines >> std::ws, data)) {
    wait_until("the instance waits for " + name, [&] {
      if (sql.text("select (completed_at is not null)::text from df.instances where id = $1", id) == "true")
        throw std::runtime_error("it has ended: " + error_of(sql, id));
      return sql.number("select count(*) from df.waiting($1) where kind = 'signal' and name = $2", id,
                        name) == 1;
    });
    sql.exec("select df.signal($1, $2, $3::text)", id, name, data);
  }
}

// Until it has ended or, without signals on their way, is put down for a long while: a schedule that goes on
// for ever.
void await_rest(Sql& sql, const std::string& id, bool signalled) {
  wait_until(
      "the instance has ended or waits for its schedule",
      [&] {
        return sql.text(
                   "select completed_at is not null or (not $2::bool and worker_id is null"
                   " and wake_at > now() + interval '2 s') from df.instances where id = $1",
                   id, signalled) == "t";
      },
      std::chrono::seconds{60});
}

}  // namespace

TEST_CASE("every example does what its check asks for") {
  const auto folders = example_folders();
  REQUIRE(folders.size() >= 12);
  for (const fs::path& folder : folders) {
    DYNAMIC_SECTION(folder.filename().string()) {
      HttpWorld world;
      world.http.add_example_routes();
      World other(world.server());
      Sql alice = world.session();
      alice.exec("select df.setvar('api_url', $1)", world.http.url(""));
      alice.exec("select df.setvar('other_database', $1)", other.database().name());
      const TemporaryDirectory secrets("durabled-secrets");
      write_file(secrets.path() / "OPENAI_API_KEY", "sk-of-a-test\n");
      world.start_calling_daemon({{"http.secrets_directory", secrets.path().string()}});

      alice.exec(read_file(folder / "setup.sql"));
      const std::string workflow = read_file(folder / "workflow.df");
      const std::string id = submit(alice, workflow, label_of(folder));
      const std::string signals = read_file(folder / "signals");
      send_signals(alice, id, signals);
      await_rest(alice, id, !signals.empty());
      INFO("status " << status_of(alice, id) << ", error " << error_of(alice, id));
      CHECK(alice.value(read_file(folder / "check.sql")) == "t");
      CHECK(status_of(alice, id) != "failed");
      // It is the same in the other door.
      CHECK_THAT(alice.text("select df.explain((" + workflow + ")::text)"),
                 !ContainsSubstring("Invalid durable function graph"));
    }
  }
}

TEST_CASE("the configuration of every example that makes calls is valid") {
  int found = 0;
  for (const fs::path& folder : example_folders()) {
    INFO(folder.filename().string());
    const bool calls = read_file(folder / "workflow.df").find("df.http") != std::string::npos;
    CHECK(fs::exists(folder / "config.yaml") == calls);
    if (!calls) continue;
    ++found;
    const auto config = durabled::config::load({.file = (folder / "config.yaml").string()}).config;
    CHECK(config.http.allow.size() == 1);
  }
  CHECK(found >= 4);
}
