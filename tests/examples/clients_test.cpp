// Runs the programs of docs/clients.md whose runtime and driver are on the machine, and says which are not.
// psql always is: ./dev installs it, and the drivers for Python and Node. Python is Debian's, which finds
// Debian's drivers.
#include <fstream>

#include "tests/e2e/world.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

struct Client {
  const char* language;            // of the block in the document
  const char* file;                // what the program is stored as
  std::vector<std::string> probe;  // ends with 0 where runtime and driver are there
  std::vector<std::string> run;    // the file's path follows
};

std::string block_of(const std::string& document, const std::string& language) {
  const std::string begin = "```" + language + "\n";
  const auto at = document.find(begin);
  if (at == std::string::npos) throw std::runtime_error("no block of " + language);
  return document.substr(at + begin.size(), document.find("\n```", at) + 1 - at - begin.size());
}

}  // namespace

TEST_CASE("the clients of the documentation submit, wait and read", "[examples]") {
  const std::string document = read_file(std::filesystem::path(kSourceDirectory) / "docs/clients.md");
  const std::vector<Client> clients = {
      {"psql", "client.sql", {"psql", "--version"}, {"psql", "-Xq", "-f"}},
      {"python", "client.py", {"/usr/bin/python3", "-c", "import psycopg"}, {"/usr/bin/python3"}},
      {"javascript", "client.js", {"node", "-e", "require('pg')"}, {"node"}}};
  World world;
  world.start_daemon();
  TemporaryDirectory directory("clients");
  int ran = 0;
  for (const Client& client : clients) {
    const auto start = [&](std::vector<std::string> words, const std::string& output) {
      words.insert(words.begin(), "/usr/bin/env");
      ChildProcess child({.argv = std::move(words),
                          .environment = {{"PGHOST", "127.0.0.1"},
                                          {"PGPORT", std::to_string(world.server().port())},
                                          {"PGUSER", "alice"},
                                          {"PGDATABASE", world.database().name()}},
                          .output = directory.path() / output});
      return child.wait();
    };
    if (start(client.probe, "probe") != 0) {
      WARN(client.language << " is not run: its runtime or driver is missing");
      continue;
    }
    ++ran;
    INFO(client.language);
    const auto file = directory.path() / client.file;
    std::ofstream(file) << block_of(document, client.language);
    std::vector<std::string> words = client.run;
    words.push_back(file.string());
    const std::string output = std::string(client.language) + ".out";
    CHECK(start(words, output) == 0);
    CHECK(read_file(directory.path() / output) == "43\n");
  }
  CHECK(ran >= 1);  // psql
}
