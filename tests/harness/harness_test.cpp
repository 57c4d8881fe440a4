// The harness is what other tests stand on, so it has tests of its own: a helper that never fails would hide
// their faults.
#include <signal.h>

#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;
using std::chrono::milliseconds;

namespace {

// Stands in for the daemon: reports ready, then waits for a signal.
const char* const kPretender =
    "#!/usr/bin/env python3\n"
    "import os, signal, socket, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    "print(open(sys.argv[3]).read(), file=sys.stderr, flush=True)\n"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "for message in (b'STATUS=NOTREADY=1', b'STATUS=up\\nREADY=1'):\n"
    "    s.sendto(message, os.environ['NOTIFY_SOCKET'])\n"
    "while True: signal.pause()\n";

std::string executable(const TemporaryDirectory& directory, const std::string& text) {
  const auto path = directory.path() / "program";
  write_file(path, text);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path.string();
}

}  // namespace

TEST_CASE("wait_until returns what the predicate found") {
  int calls = 0;
  CHECK(wait_until("the third call", [&] { return ++calls == 3 ? std::optional<int>(42) : std::nullopt; }) ==
        42);
}

TEST_CASE("wait_until fails with the description when the condition never holds") {
  CHECK_THROWS_WITH(wait_until(
                        "pigs fly", [] { return false; }, milliseconds{20}),
                    "waited 20 ms in vain until pigs fly");
}

TEST_CASE("a child's exit code, output and environment are its own") {
  const TemporaryDirectory directory("durabled-harness");
  setenv("PGHOST", "elsewhere", 1);
  const Command command{.argv = {"/bin/sh", "-c", "echo \"[$PGHOST] $GIVEN\"; exit 3"},
                        .environment = {{"GIVEN", "yes"}},
                        .output = directory.path() / "out"};
  CHECK(ChildProcess(command).wait() == 3);
  unsetenv("PGHOST");
  CHECK(read_file(command.output) == "[] yes\n");
  CHECK_THROWS_WITH(run(command), ContainsSubstring("ended with 3") && ContainsSubstring("[] yes"));
}

TEST_CASE("a child ends with its object, even when it is stopped") {
  const TemporaryDirectory directory("durabled-harness");
  pid_t pid = 0;
  {
    ChildProcess child({.argv = {"/bin/sleep", "1000"}, .output = directory.path() / "out"});
    pid = child.pid();
    child.signal(SIGSTOP);
    CHECK(child.running());
    CHECK_FALSE(child.wait(milliseconds{5}));
  }
  CHECK(kill(pid, 0) == -1);
}

TEST_CASE("a temporary directory goes with its content") {
  std::filesystem::path path;
  {
    const TemporaryDirectory directory("durabled-harness");
    path = directory.path();
    write_file(path / "file", "x");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a server can be stopped, restarted and made to recover, and keeps what was committed") {
  PostgresServer server({.durable = false, .settings = {"max_connections = 23"}});
  CHECK(server.version() >= 15);
  const int port = server.port();
  {
    Sql sql(server.conninfo());
    CHECK(sql.value("show max_connections") == "23");
    sql.exec("create table t (x int); insert into t values (1)");
  }
  server.restart();
  CHECK(server.port() == port);
  CHECK(Sql(server.uri()).number("select x from t") == 1);
  server.stop_immediate();
  CHECK_FALSE(server.running());
  CHECK_THROWS_AS(Sql(server.conninfo()), SqlError);
  server.start();
  CHECK(Sql(server.conninfo()).number("select x from t") == 1);
  CHECK_THAT(server.log(), ContainsSubstring("automatic recovery in progress"));
}

TEST_CASE("a test's database belongs to an ordinary role, and is dropped at the end") {
  PostgresServer& server = shared_server();
  std::string name;
  {
    const TestDatabase database = server.empty_database();
    name = database.name();
    Sql sql(database.conninfo());
    CHECK(sql.text("select current_user") == "durabled_owner");
    CHECK(sql.text(
              "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user") ==
          "f");
    sql.exec("create table public.t (x int)");
    CHECK(server.empty_database().name() != name);
  }
  CHECK(Sql(server.conninfo()).exec("select from pg_database where datname = $1", name).empty());
}

TEST_CASE("a fresh database has the schema, installed by an ordinary role, and is nobody else's") {
  const TestDatabase first = fresh_database();
  const TestDatabase second = fresh_database();
  CHECK(first.name() != second.name());
  for (const auto* database : {&first, &second}) {
    Sql sql(database->conninfo());
    CHECK(sql.text("select nspowner::regrole from pg_namespace where nspname = 'df'") == "durabled_owner");
    CHECK(sql.number("select count(*) from df.instances") == 0);
  }
}

TEST_CASE("roles are created once, whatever their name") {
  PostgresServer& server = shared_server();
  server.create_role("o'\"hara", "nologin");
  server.create_role("o'\"hara");
  Sql sql(server.conninfo());
  CHECK(sql.text("select rolcanlogin from pg_roles where rolname = $1", "o'\"hara") == "f");
}

TEST_CASE("sql passes parameters of every kind, and NULL both ways") {
  Sql sql(shared_server().conninfo());
  CHECK(sql.exec("select $1::int + 1, $2::text, $3::bool, $4::text", 41, "it's", true, std::nullopt) ==
        Rows{{"42", "it's", "t", std::nullopt}});
  CHECK(sql.value("select null") == std::nullopt);
  CHECK_THROWS_WITH(sql.text("select null"), ContainsSubstring("got NULL"));
  CHECK_THROWS_WITH(sql.value("select 1, 2"), ContainsSubstring("1 rows of 2 columns"));
}

TEST_CASE("a failed comparison prints the values of its rows") {
  CHECK(Catch::Detail::stringify(Rows{{"a b", std::nullopt}, {"t"}}) == "{ { \"a b\", { } }, { \"t\" } }");
}

TEST_CASE("expects_error accepts the given error only") {
  Sql sql(shared_server().conninfo());
  CHECK_THAT(sql.expects_error("22012", "select 1 / $1::int", 0), ContainsSubstring("division by zero"));
  CHECK_THROWS_WITH(sql.expects_error("22012", "select 1"), ContainsSubstring("this succeeded"));
  CHECK_THROWS_WITH(sql.expects_error("22012", "select nope"), ContainsSubstring("got 42703"));
}

TEST_CASE("a daemon gets its settings, reports ready, and ends on SIGTERM with its own exit code") {
  const TemporaryDirectory directory("durabled-harness");
  DaemonProcess daemon(
      {.database = "host=x dbname=\"y\"",
       .settings = {{"steps.connections", "4"}, {"steps.idle_timeout", "1s"}, {"log.level", "debug"}},
       .binary = executable(directory, kPretender)});
  daemon.wait_until_ready();
  CHECK_THAT(
      daemon.log(),
      ContainsSubstring(
          "database: \"host=x dbname=\\\"y\\\"\"\n"
          "log: {level: debug}\nmetrics: {listen: \"\"}\nsteps: {connections: 4, idle_timeout: 1s}\n"));
  daemon.sigstop();
  daemon.sigcont();
  CHECK(daemon.sigterm_and_wait() == 7);
  CHECK_FALSE(daemon.running());
}

TEST_CASE("a daemon that ends before it is ready fails the wait with its log") {
  const TemporaryDirectory directory("durabled-harness");
  DaemonProcess daemon(
      {.database = "", .binary = executable(directory, "#!/bin/sh\necho no luck >&2\nexit 3\n")});
  CHECK_THROWS_WITH(daemon.wait_until_ready(),
                    ContainsSubstring("the daemon ended") && ContainsSubstring("no luck"));
  CHECK(daemon.wait() == 3);
}

TEST_CASE("kill9 ends a daemon at once") {
  const TemporaryDirectory directory("durabled-harness");
  DaemonProcess daemon({.database = "", .binary = executable(directory, kPretender)});
  daemon.wait_until_ready();
  daemon.kill9();
  CHECK(daemon.wait(milliseconds{0}) == 128 + SIGKILL);
}
