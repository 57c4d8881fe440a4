// The command line beside a running daemon: waiting, showing, following, steering.
#include "tests/e2e/cli_run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

struct Served {
  TestDatabase database = fresh_database();
  std::string app = admit();
  DaemonProcess daemon{database.conninfo()};

  Served() { daemon.wait_until_ready(); }
  std::string admit() {
    database.server().create_role("cli_app");
    Sql(database.conninfo()).exec("select df.grant_usage('cli_app')");
    return database.conninfo("cli_app");
  }
  CliOutcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--database", app});
    return cli(arguments);
  }
  std::string submit(const std::string& text) {
    const CliOutcome outcome = run({"submit", "-e", text});
    REQUIRE(outcome.code == 0);
    return outcome.out.substr(0, 8);
  }
  void wait_for_signal_wait(const std::string& id) {
    wait_until("the instance waits for its signal",
               [&] { return Sql(app).number("select count(*) from df.waiting($1)", id) == 1; });
  }
};

}  // namespace

TEST_CASE("submit --wait prints the result and exits with 0", "[S4.4][S4.9][S4.11]") {
  Served served;
  const CliOutcome outcome =
      served.run({"submit", "-e", "'SELECT {n} + 1 AS next'", "--var", "n=41", "--wait"});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK_THAT(outcome.out, ContainsSubstring(" completed\n") && ContainsSubstring("{\"next\":42}"));
  const auto json = served.run({"submit", "-e", "'SELECT 1.10 AS n'", "--wait", "--json"}).json();
  CHECK(json.at("status").as_string() == "completed");
  CHECK(json.at("result").at("rows").at(0).at("n").as_string() == "1.10");
  CHECK(json.at("error").is_null());
}

TEST_CASE("submit --wait exits with 5 when the instance failed or was cancelled", "[S4.4][S4.9]") {
  Served served;
  const CliOutcome outcome = served.run({"submit", "-e", "'SELECT 1/0'", "--wait", "--json"});
  CHECK(outcome.code == 5);
  CHECK(outcome.json().at("status").as_string() == "failed");
  CHECK(outcome.json().at("error").at("sqlstate").as_string() == "22012");
  CHECK_THAT(outcome.err, ContainsSubstring("division by zero"));
}

TEST_CASE("submit --wait says of a failure what failed and where, and show says the same") {
  Served served;
  const CliOutcome outcome =
      served.run({"submit", "-e", "'SELECT 1' ~> $$SELECT 'é',\n  nocolumn\nFROM pg_class$$", "--wait"});
  CHECK(outcome.code == 5);
  const std::string id = outcome.out.substr(0, 8);
  CHECK(outcome.err == "durabled: instance " + id +
                           " failed: column \"nocolumn\" does not exist\n"
                           "  node: 00000002, SQL: SELECT 'é', nocolumn FROM pg_class\n"
                           "  position: line 2, column 3\n"
                           "      nocolumn\n"
                           "      ^\n"
                           "  sqlstate: 42703\n"
                           "  attempts: 1\n"
                           "more: " +
                           std::string(kBinary) + " show " + id + "\n");
  CHECK_THAT(served.run({"show", id}).out,
             ContainsSubstring("position: line 2, column 3\n") && ContainsSubstring("sqlstate: 42703"));
  const CliOutcome replaced =
      served.run({"submit", "-e", "'SELECT {n} nonsense syntax'", "--var", "n=1000", "--wait"});
  CHECK_THAT(replaced.err, ContainsSubstring("position: character 22 of the statement\n"));
}

TEST_CASE("a text that is none is shown with its place and its hint once") {
  Served served;
  const CliOutcome outcome = served.run({"submit", "-e", "'A' || 'B'", "--no-check", "--wait"});
  CHECK(outcome.code == 5);
  const std::string id = outcome.out.substr(0, 8);
  CHECK(outcome.err == "durabled: instance " + id +
                           " failed: line 1, column 5: unknown operator ||; there is no SQL outside of quotes"
                           "\n  'A' || 'B'\n      ^\nhint: for a race write |; to join texts, do it "
                           "in SQL\nmore: " +
                           std::string(kBinary) + " show " + id + "\n");
}

TEST_CASE("a parameter in a statement fails it at once, and says what to write") {
  Served served;
  const CliOutcome outcome = served.run({"submit", "-e", "'SELECT $1::int'", "--wait"});
  CHECK(outcome.code == 5);
  CHECK_THAT(outcome.err, ContainsSubstring("parameters such as $1 cannot be bound in a workflow") &&
                              ContainsSubstring("hint: $1 is not a reference") &&
                              ContainsSubstring("sqlstate: 42P02") && ContainsSubstring("attempts: 1\n"));
}

TEST_CASE("list --json gives a result as JSON and a failure's message as text", "[S4.6]") {
  Served served;
  REQUIRE(served.run({"submit", "-e", "'SELECT 1.10 AS n'", "--wait"}).code == 0);
  REQUIRE(served.run({"submit", "-e", "'SELECT 1/0'", "--wait"}).code == 5);
  const auto list = served.run({"list", "--json"}).json();
  CHECK(list.at(0).at("output").as_string() == "division by zero");
  CHECK(list.at(1).at("output").at("rows").at(0).at("n").as_string() == "1.10");
}

TEST_CASE("logs --follow exits with 5 when the instance failed", "[S4.6]") {
  Served served;
  const std::string id = served.submit("'SELECT 1/0'");
  const CliOutcome outcome = served.run({"logs", id, "--follow"});
  CHECK(outcome.code == 5);
  CHECK_THAT(outcome.out, ContainsSubstring("division by zero"));
  CHECK(outcome.err == "durabled: instance " + id + " failed\n");
  CHECK(served.run({"logs", id}).code == 0);
}

TEST_CASE("run as a role that does not own the schema says which role does") {
  Served served;
  const CliOutcome outcome = cli({"run", "--database", served.app});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err,
             ContainsSubstring("the schema df belongs to role durabled_owner, and this daemon logs "
                               "in as cli_app; it must log in as durabled_owner"));
}

TEST_CASE("submit --wait --timeout gives up with 1 and leaves the instance running", "[S4.4]") {
  Served served;
  const CliOutcome outcome =
      served.run({"submit", "-e", "df.wait_for_signal('x')", "--wait", "--timeout", "0.3"});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, ContainsSubstring("is still running"));
  CHECK(served.run({"list", "--json", "--status", "running"}).json().as_array().size() == 1);
}

TEST_CASE("submit --wait shows on a terminal what it waits for", "[S4.4][S4.12]") {
  Served served;
  const TemporaryDirectory directory("durabled-cli");
  run({.argv = {"/usr/bin/script", "-qec",
                kBinary + std::string(" submit -e 'df.sleep(1.2)' --wait --database '" + served.app + "'"),
                "/dev/null"},
       .environment = {{"TERM", "xterm"}},
       .output = directory.path() / "out"});
  const std::string shown = read_file(directory.path() / "out");
  CHECK_THAT(shown, ContainsSubstring(" running ") && ContainsSubstring("sleeping until "));
  CHECK_THAT(shown, ContainsSubstring("\033[32mcompleted\033[0m") && ContainsSubstring("\"slept\":true"));
}

TEST_CASE("libpq's service file and passfile let the command line, the daemon and its steps in", "[S5.2]") {
  PostgresServer server;
  const TestDatabase database = server.fresh_database();
  server.create_role("cli_app");
  Sql(database.conninfo()).exec("select df.grant_usage('cli_app')");
  Sql(server.conninfo())
      .exec("alter role cli_app password 'open'; alter role durabled_owner password 'sesame'");
  const auto hba = server.data_directory() / "pg_hba.conf";
  write_file(hba, "host all all 127.0.0.1/32 scram-sha-256\n" + read_file(hba));
  Sql(server.conninfo()).exec("select pg_reload_conf()");
  const TemporaryDirectory directory("durabled-libpq");
  const auto service = directory.path() / "services", passfile = directory.path() / "passwords";
  const std::string address =
      "host=127.0.0.1\nport=" + std::to_string(server.port()) + "\ndbname=" + database.name();
  write_file(service,
             "[app]\n" + address + "\nuser=cli_app\n[daemon]\n" + address + "\nuser=durabled_owner\n");
  write_file(passfile, "127.0.0.1:*:*:cli_app:open\n127.0.0.1:*:*:durabled_owner:sesame\n");
  std::filesystem::permissions(passfile, std::filesystem::perms::owner_read);
  std::map<std::string, std::string> environment{{"PGSERVICEFILE", service.string()},
                                                 {"PGPASSFILE", passfile.string()}};
  DaemonProcess daemon(DaemonProcess::Options{.database = "service=daemon", .environment = environment});
  daemon.wait_until_ready();
  const CliOutcome outcome = cli(
      {"submit", "-e", "'SELECT current_user AS who'", "--wait", "--database", "service=app"}, environment);
  INFO(outcome.err << daemon.log());
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, ContainsSubstring("\"who\":\"cli_app\""));
  environment["PGSERVICE"] = "app";
  CHECK(cli({"list"}, environment).code == 0);
  environment["PGPASSFILE"] = "/nonexistent";
  CHECK(cli({"list"}, environment).code == 3);
}

TEST_CASE("show marks each node with what it has come to", "[L6.11][S1.7][S4.6]") {
  Served served;
  const std::string id = served.submit(
      "'SELECT 1' ~> df.if('SELECT true', df.wait_for_signal('go'), 'SELECT 2') ~> 'SELECT 1/0' ~> 'SELECT "
      "3'");
  served.wait_for_signal_wait(id);
  const CliOutcome waiting = served.run({"show", id});
  CHECK(waiting.code == 0);
  CHECK_THAT(waiting.out, ContainsSubstring("waiting for signal 'go'"));
  CHECK_THAT(waiting.out, ContainsSubstring("✓ SQL: SELECT 1\n→ ⏳ IF\n"));
  CHECK_THAT(waiting.out, ContainsSubstring("⏳ SIGNAL 'go'") && ContainsSubstring("⊘ SQL: SELECT 2"));
  CHECK_THAT(waiting.out, ContainsSubstring("○ SQL: SELECT 3"));

  CHECK(served.run({"signal", id, "go", "{\"by\": \"ada\"}"}).code == 0);
  wait_until("it fails", [&] { return Sql(served.app).text("select df.status($1)", id) == "failed"; });
  const CliOutcome failed = served.run({"show", id, "--ids"});
  CHECK_THAT(failed.out, ContainsSubstring("✗ 00000006 SQL: SELECT 1/0\n→ ⊘ 00000007 SQL: SELECT 3\n"));
  CHECK_THAT(failed.out, ContainsSubstring("division by zero") && ContainsSubstring("sqlstate: 22012"));
  const auto json = served.run({"show", id, "--json"}).json();
  CHECK(json.at("nodes").as_array().size() == 8);
  CHECK(json.at("error").at("node").as_string() == "00000006");
  CHECK(json.at("graph").at("node_type").as_string() == "THEN");
}

TEST_CASE("history prints the events in order", "[S2.15][S4.6]") {
  Served served;
  const std::string id = served.submit("'SELECT 1' ~> 'SELECT 2'");
  wait_until("it ends", [&] { return Sql(served.app).text("select df.status($1)", id) == "completed"; });
  const auto events = served.run({"history", id, "--json"}).json().as_array();
  REQUIRE(events.size() == 4);
  CHECK(events[0].at("kind").as_string() == "InstanceStarted");
  CHECK(events[1].at("node").as_string() == "00000001");
  CHECK(events[1].at("data").at("rows").at(0).is_object());
  CHECK(events[3].at("kind").as_string() == "InstanceCompleted");
  CHECK_THAT(served.run({"history", id}).out,
             ContainsSubstring("SEQ  AT") && ContainsSubstring("StepCompleted"));
}

TEST_CASE("logs --follow tells the events as they come and ends with the instance", "[S4.6]") {
  Served served;
  const std::string id = served.submit("'SELECT 1' ~> df.wait_for_signal('go') ~> 'SELECT 2'");
  const TemporaryDirectory directory("durabled-cli");
  ChildProcess follower({.argv = {kBinary, "logs", id, "--follow", "--database", served.app},
                         .output = directory.path() / "out"});
  wait_until("it tells of the wait", [&] {
    return read_file(directory.path() / "out").find("waiting    SIGNAL 'go'") != std::string::npos;
  });
  CHECK(follower.running());
  REQUIRE(served.run({"signal", id, "go"}).code == 0);
  CHECK(follower.wait() == 0);
  CHECK_THAT(read_file(directory.path() / "out"), ContainsSubstring("received   signal 'go' {}") &&
                                                      ContainsSubstring("done       SQL: SELECT 2 (1 row)") &&
                                                      ContainsSubstring("completed"));
}

TEST_CASE("cancel stops a running instance", "[S4.7]") {
  Served served;
  const std::string id = served.submit("df.wait_for_signal('never')");
  served.wait_for_signal_wait(id);
  CHECK(served.run({"cancel", id, "--reason", "enough"}).code == 0);
  wait_until("it is cancelled",
             [&] { return Sql(served.app).text("select df.status($1)", id) == "cancelled"; });
  CHECK_THAT(served.run({"show", id}).out, ContainsSubstring("enough"));
}

TEST_CASE("show of a paused instance does not say that a pause is requested") {
  Served served;
  const std::string id = served.submit("df.wait_for_signal('never')");
  served.wait_for_signal_wait(id);
  REQUIRE(served.run({"pause", id}).code == 0);
  wait_until("it is paused", [&] { return Sql(served.app).text("select df.status($1)", id) == "paused"; });
  CHECK(served.run({"show", id, "--json"}).json().at("request").as_string() == "pause");
  CHECK_THAT(served.run({"show", id}).out, ContainsSubstring("Status:   paused\n"));
}

TEST_CASE("doctor finds nothing wrong where all is well", "[S4.8]") {
  Served served;
  REQUIRE(served.run({"submit", "-e", "'SELECT 1'", "--wait"}).code == 0);
  const CliOutcome outcome = cli({"doctor", "--database", served.database.conninfo()});
  INFO(outcome.out);
  CHECK(outcome.code == 0);
  for (const char* check :
       {"✓ server", "✓ clock", "✓ schema", "✓ rights      role durabled_owner owns the schema",
        "✓ grants      role cli_app may submit", "✓ identity    steps can run as cli_app", "✓ listen",
        "✓ workers", "✓ http        every HTTP step is refused: http.allow is empty"}) {
    CHECK_THAT(outcome.out, ContainsSubstring(check));
  }
}
