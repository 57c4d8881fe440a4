// The command line beside a running daemon: waiting, showing, following, steering.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

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

TEST_CASE("a reference that took the first of several rows is warned about wherever one looks") {
  Served served;
  const std::string text = "'SELECT generate_series(1, 3) AS id' |=> 'o' ~> 'SELECT 1 WHERE 1 = $o'";
  const std::string warning = "node 00000002: $o has several rows, and only the first was used";
  const CliOutcome waited = served.run({"submit", "-e", text, "--wait"});
  CHECK(waited.code == 0);
  CHECK_THAT(waited.err, ContainsSubstring("warning: " + warning));
  const std::string id = waited.out.substr(0, 8);
  CHECK_THAT(served.run({"show", id}).out, ContainsSubstring("Warning:  " + warning));
  CHECK_THAT(served.run({"logs", id}).out, ContainsSubstring("warning: $o has several rows"));
  const CliOutcome json = served.run({"submit", "-e", text, "--wait", "--json"});
  CHECK(boost::json::parse(json.err).at("warning").at("message").as_string().find("$o has several") !=
        boost::json::string::npos);
}

TEST_CASE("failures that a row's handler caught are not shown as failed rows of a completed workflow") {
  Served served;
  const CliOutcome waited = served.run(
      {"submit", "-e",
       "df.for_each('SELECT generate_series(0, 3) AS n', df.catch('SELECT 1 / ($item.n % 2)', 'SELECT 0'))",
       "--wait"});
  CHECK(waited.code == 0);
  CHECK_THAT(served.run({"show", waited.out.substr(0, 8)}).out,
             ContainsSubstring("2 with caught failures [0, 2]"));
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

TEST_CASE("submit --wait names the row of a for_each that failed, and show what HTTP answered",
          "[S4.4][S4.6]") {
  Served served;
  const CliOutcome outcome = served.run(
      {"submit", "-e", "df.for_each('SELECT g FROM generate_series(1, 5) g', 'SELECT 1 / ($item.g - 4)')",
       "--wait"});
  CHECK(outcome.code == 5);
  CHECK_THAT(outcome.err, ContainsSubstring("node: 00000002, [3] SQL: SELECT 1 / ($item.g - 4)"));
}

TEST_CASE("systemd is given the reason while the daemon cannot serve, and then that it serves", "[S4.2]") {
  const TestDatabase database = fresh_database();
  const TemporaryDirectory directory("durabled-status");
  const std::string path = (directory.path() / "notify").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  REQUIRE(bind(notify, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::string heard;
  const auto hears = [&](const std::string& text) {
    char buffer[4096];
    for (ssize_t size; (size = recv(notify, buffer, sizeof buffer, 0)) > 0;)
      heard += std::string(buffer, static_cast<std::size_t>(size)) + "\n";
    return heard.find(text) != std::string::npos;
  };
  const std::string later = database.name() + "_later";
  std::string conninfo = database.conninfo();
  conninfo.replace(conninfo.find(database.name()), database.name().size(), later);
  const auto rename = [&](const std::string& from, const std::string& to) {
    Sql(database.server().conninfo()).exec("alter database " + from + " rename to " + to);
  };
  ChildProcess daemon({.argv = {kBinary, "run", "--database", conninfo},
                       .environment = {{"NOTIFY_SOCKET", path}, {"DURABLED_METRICS_LISTEN", ""}},
                       .output = directory.path() / "log"});
  wait_until("systemd has the reason", [&] { return hears("STATUS=cannot serve yet: "); });
  CHECK_THAT(heard, ContainsSubstring(later + "\" does not exist") && !ContainsSubstring("READY=1"));
  rename(database.name(), later);
  wait_until("it serves", [&] { return hears("READY=1\nSTATUS=serving"); });
  daemon.signal(SIGTERM);
  CHECK(daemon.wait(std::chrono::seconds{30}) == 0);
  rename(later, database.name());
  close(notify);
}

TEST_CASE("a text that is not a workflow is shown once, with its place and a hint") {
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

TEST_CASE("submit --wait --timeout gives up with 6 and leaves the instance running", "[S4.4]") {
  Served served;
  const CliOutcome outcome =
      served.run({"submit", "-e", "df.wait_for_signal('x')", "--wait", "--timeout", "0.3"});
  CHECK(outcome.code == 6);
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
  CHECK_THAT(waiting.out, ContainsSubstring("✓ SQL: SELECT 1 (") && ContainsSubstring(")\n→ ⏳ IF\n"));
  CHECK_THAT(waiting.out, ContainsSubstring("⏳ SIGNAL 'go'") && ContainsSubstring("⊘ SQL: SELECT 2"));
  CHECK_THAT(waiting.out, ContainsSubstring("○ SQL: SELECT 3"));

  CHECK(served.run({"signal", id, "go", "{\"by\": \"ada\"}"}).code == 0);
  wait_until("it fails", [&] { return Sql(served.app).text("select df.status($1)", id) == "failed"; });
  const CliOutcome failed = served.run({"show", id, "--ids"});
  CHECK_THAT(failed.out, ContainsSubstring("✗ 00000006 SQL: SELECT 1/0 (") &&
                             ContainsSubstring(")\n→ ⊘ 00000007 SQL: SELECT 3\n"));
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

TEST_CASE("show tells how far a for_each and a loop have come, and how long steps took", "[S4.6]") {
  Served served;
  const std::string id = served.submit(
      "df.catch(df.for_each('SELECT generate_series(1, 6) AS n', 'SELECT 1 / ($item.n - 4)', max_parallel => "
      "1),"
      " 'SELECT 1') ~> df.loop('SELECT pg_sleep(0)', 'SELECT false') ~> df.wait_for_signal('go')");
  served.wait_for_signal_wait(id);
  const std::string shown = served.run({"show", id}).out;
  INFO(shown);
  CHECK_THAT(shown, ContainsSubstring("FOR EACH item (max 1) (3/6, 1 failed [3])"));
  CHECK_THAT(shown, ContainsSubstring("SQL: SELECT pg_sleep(0) ("));
  const auto json = served.run({"show", id, "--json"}).json();
  bool has_progress = false;
  for (const auto& node : json.at("nodes").as_array())
    has_progress = has_progress || (node.at("progress").is_string() &&
                                    node.at("progress").as_string() == "3/6, 1 failed [3]");
  CHECK(has_progress);
}

TEST_CASE("show, list and waiting tell which attempt failed, why, and until when a retry waits", "[S4.6]") {
  Served served;
  const std::string id = served.submit("df.retry('SELECT 1 / 0', 5, delay => 3600, max_delay => 3600)");
  wait_until("it waits to try again",
             [&] { return Sql(served.app).number("select count(*) from df.waiting($1)", id) == 1; });
  CHECK_THAT(served.run({"show", id}).out,
             ContainsSubstring("Now:      waiting to try again until ") &&
                 ContainsSubstring("; attempt 1 of 5 failed: division by zero\n"));
  CHECK_THAT(served.run({"list"}).out, ContainsSubstring("attempt 1 failed: division by zero"));
  const auto wait = served.run({"waiting", "--kind", "retry", "--json"}).json().at(0);
  CHECK(wait.at("attempt").as_int64() == 1);
  CHECK(wait.at("error").as_string() == "division by zero");
}

TEST_CASE("times on the command line carry their zone") {
  Served served;
  served.submit("df.wait_for_signal('go')");
  CHECK_THAT(cli({"list", "--database", served.app}, {{"TZ", "Europe/Vienna"}}).out,
             ContainsSubstring(" CE"));
  CHECK_THAT(cli({"list", "--database", served.app}, {{"TZ", "UTC"}}).out, ContainsSubstring(" UTC "));
}

TEST_CASE("submit --wait and logs --follow go on when the server restarts, and say so once", "[S4.4][S4.6]") {
  PostgresServer server;
  TestDatabase database = server.fresh_database();
  server.create_role("cli_app");
  Sql(database.conninfo()).exec("select df.grant_usage('cli_app')");
  const std::string app = database.conninfo("cli_app");
  DaemonProcess daemon(database.conninfo());
  daemon.wait_until_ready();
  const TemporaryDirectory directory("durabled-cli");
  const auto text = [&](const char* name) { return read_file(directory.path() / name); };
  ChildProcess waiter(
      {.argv = {kBinary, "submit", "-e", "df.wait_for_signal('go')", "--wait", "--database", app},
       .output = directory.path() / "wait"});
  std::string id;
  wait_until("it waits for its signal", [&] {
    const Rows rows = Sql(app).exec("select instance_id from df.waiting()");
    if (!rows.empty()) id = rows[0][0].value_or("");
    return !rows.empty();
  });
  ChildProcess follower(
      {.argv = {kBinary, "logs", id, "--follow", "--database", app}, .output = directory.path() / "logs"});
  wait_until("the log tells of the wait", [&] { return text("logs").find("waiting ") != std::string::npos; });
  server.stop_fast();
  for (const char* name : {"wait", "logs"}) {
    wait_until(std::string(name) + " has noticed",
               [&] { return text(name).find("warning: the connection is lost") != std::string::npos; });
  }
  server.start();
  wait_until(
      "both are back",
      [&] {
        return text("wait").find("warning: connected again") != std::string::npos &&
               text("logs").find("warning: connected again") != std::string::npos;
      },
      std::chrono::seconds{30});
  Sql(app).exec("select df.signal($1, 'go')", id);
  CHECK(waiter.wait(std::chrono::seconds{30}) == 0);
  CHECK(follower.wait(std::chrono::seconds{30}) == 0);
  for (const char* name : {"wait", "logs"}) {
    const std::string all = text(name);
    INFO(all);
    CHECK(all.find("the connection is lost") == all.rfind("the connection is lost"));
  }
}

TEST_CASE("Ctrl-C ends a wait with the id and what to do with the instance", "[S4.4][S4.6]") {
  Served served;
  const std::string id = served.submit("df.wait_for_signal('go')");
  served.wait_for_signal_wait(id);
  const TemporaryDirectory directory("durabled-cli");
  ChildProcess follower({.argv = {kBinary, "logs", id, "--follow", "--database", served.app},
                         .output = directory.path() / "out"});
  wait_until("it tells of the wait",
             [&] { return read_file(directory.path() / "out").find("waiting ") != std::string::npos; });
  follower.signal(SIGINT);
  CHECK(follower.wait() == 130);
  CHECK_THAT(read_file(directory.path() / "out"),
             ContainsSubstring("durabled: instance " + id + " goes on; follow it: " + kBinary + " logs " +
                               id + " --follow; cancel it: " + kBinary + " cancel " + id + "\n"));
  CHECK(Sql(served.app).text("select df.status($1)", id) == "running");
}
