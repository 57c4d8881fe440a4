// `durabled dev`: a private server in a folder, from the first start to the next.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "daemon/server_programs.hpp"
#include "tests/e2e/dev_run.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

TEST_CASE("dev serves from an empty folder, stops with SIGTERM, and finds its data and its port again",
          "[S4.1]") {
  Dev dev;
  std::string id, uri;
  {
    ChildProcess process = dev.start();
    uri = dev.address(process);
    const CliOutcome outcome =
        cli({"submit", "-e", "'CREATE TABLE mine AS SELECT 1' ~> 'SELECT count(*) FROM mine'", "--wait",
             "--database", uri});
    CHECK(outcome.code == 0);
    id = outcome.out.substr(0, 8);
    CHECK(
        Sql(uri).text(
            "select rolsuper from pg_namespace n join pg_roles r on r.oid = nspowner where nspname = 'df'") ==
        "f");
    const std::string version = Sql(uri).text("select split_part(current_setting('server_version'), ' ', 1)");
    CHECK_THAT(dev.log(), ContainsSubstring("PostgreSQL " + version + " (" + postgres_programs().string()));
    CHECK_THAT(dev.log(), ContainsSubstring("psql 'postgresql://durabled@127.0.0.1:") &&
                              ContainsSubstring(std::string(kBinary) + " submit -e"));

    const CliOutcome second = cli({"dev", "--dir", dev.folder()}, Dev::environment());
    CHECK(second.code == 1);
    CHECK(second.out.empty());
    CHECK_THAT(second.err,
               ContainsSubstring("durabled: a server runs in " + dev.folder() + " already (process "));
    CHECK(second.err.find('\n') + 1 == second.err.size());

    // The commands that it prints make another role, which can submit.
    const std::string log = dev.log();
    const std::size_t begin = log.find("psql -h ");
    REQUIRE(begin != std::string::npos);
    const std::string make_role = log.substr(begin, log.find('\n', begin) - begin);
    CHECK_THAT(make_role, ContainsSubstring("CREATE ROLE alice LOGIN"));
    CHECK(std::system((make_role + " >/dev/null").c_str()) == 0);
    const std::string port =
        uri.substr(uri.find("127.0.0.1:") + 10, uri.find("/durabled") - uri.find("127.0.0.1:") - 10);
    CHECK(cli({"submit", "-e", "'SELECT 1'", "--wait", "--database",
               "host=" + dev.folder() + " port=" + port + " user=alice dbname=durabled"})
              .code == 0);

    process.signal(SIGTERM);
    CHECK(process.wait(std::chrono::seconds{30}) == 0);
    CHECK_FALSE(std::filesystem::exists(dev.folder() + "/data/postmaster.pid"));
  }
  ChildProcess process = dev.start();
  CHECK(dev.address(process) == uri);
  CHECK(cli({"show", id, "--database", uri}).code == 0);
  process.signal(SIGTERM);
  CHECK(process.wait(std::chrono::seconds{30}) == 0);
}

TEST_CASE("Ctrl-C says what it waits for, and a second one does not wait", "[S4.1]") {
  Dev dev;
  ChildProcess process = dev.start();
  const std::string uri = dev.address(process);
  const CliOutcome submitted = cli({"submit", "-e", "'SELECT pg_sleep(20)'", "--database", uri});
  REQUIRE(submitted.code == 0);
  wait_until("the step runs", [&] {
    return cli({"show", submitted.out.substr(0, 8), "--database", uri}).out.find("⏳ SQL") !=
           std::string::npos;
  });
  process.signal(SIGINT);
  wait_until("it says so",
             [&] { return dev.log().find("waiting for 1 running step, at most 30s") != std::string::npos; });
  CHECK(process.running());
  process.signal(SIGINT);
  CHECK(process.wait(std::chrono::seconds{8}) == 0);
  CHECK_THAT(dev.log(), ContainsSubstring("stopping at once"));
}

TEST_CASE("dev looks at its configuration before it makes anything", "[S4.1]") {
  const TemporaryDirectory directory("durabled-dev");
  const std::string folder = (directory.path() / "dev").string();
  const CliOutcome outcome = cli({"dev", "--dir", folder, "--set", "foo.bar=1"}, Dev::environment());
  CHECK(outcome.code == 2);
  CHECK_THAT(outcome.err, ContainsSubstring("key 'foo.bar': unknown key"));
  CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("dev takes the given programs, and for a folder those of the version that made it", "[S4.1]") {
  const TemporaryDirectory directory("durabled-dev");
  REQUIRE(chmod(directory.path().c_str(), 0755) == 0);
  const auto programs = directory.path() / "bin";
  std::filesystem::create_directories(programs);
  write_file(programs / "postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 99.1 (Debian)'\n");
  write_file(programs / "initdb", "#!/bin/sh\necho this is initdb 99\nexit 1\n");
  for (const char* name : {"postgres", "initdb"}) REQUIRE(chmod((programs / name).c_str(), 0755) == 0);
  const std::string folder = (directory.path() / "dev").string();
  const auto fails = [&](const std::map<std::string, std::string>& environment, const std::string& message) {
    const CliOutcome outcome = cli({"dev", "--dir", folder}, environment);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring(message));
    return outcome.err;
  };
  const std::map<std::string, std::string> given{{"DURABLED_PG_BIN", programs.string()}};
  CHECK(fails(given, "initdb failed:\nthis is initdb 99\n").find("99\nthis") == std::string::npos);
  CHECK(fails(given, "initdb failed:\nthis is initdb 99\n").find("99\nthis") == std::string::npos);
  std::filesystem::create_directories(folder + "/data");
  write_file(folder + "/data/PG_VERSION", "98\n");
  const std::string other = fails({{"PATH", programs.string() + ":/usr/bin:/bin"}},
                                  folder + " was made by PostgreSQL 98: give another --dir");
  CHECK_THAT(other, ContainsSubstring("99.1"));
  CHECK(other.find('\n') + 1 == other.size());
  fails(Dev::environment(),
        "was made by PostgreSQL 98: give another --dir, or its programs (PostgreSQL 98 is "
        "needed, and DURABLED_PG_BIN has ");
  fails({{"DURABLED_PG_BIN", directory.path().string()}}, "DURABLED_PG_BIN is ");
}

TEST_CASE("of several versions 17 is taken before others, and a newer one before an older one", "[S4.1]") {
  using durabled::daemon::is_preferred;
  const auto of = [](int major) { return durabled::daemon::ServerPrograms{"", major, ""}; };
  CHECK(is_preferred(of(17), of(18)));
  CHECK_FALSE(is_preferred(of(18), of(17)));
  CHECK(is_preferred(of(17), of(15)));
  CHECK(is_preferred(of(18), of(16)));
  CHECK_FALSE(is_preferred(of(15), of(16)));
  CHECK_FALSE(is_preferred(of(17), of(17)));
}

TEST_CASE("dev says which port is taken", "[S4.1]") {
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  REQUIRE(bind(taken, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(listen(taken, 1) == 0);
  REQUIRE(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  Dev dev;
  const CliOutcome outcome = cli({"dev", "--dir", dev.folder(), "--port", port}, Dev::environment());
  close(taken);
  CHECK(outcome.code == 1);
  CHECK(outcome.err == "durabled: port " + port + " is taken; give another --port, or none for a free one\n");
}

TEST_CASE("dev ends when its server ends, and shows what the server logged", "[S4.1]") {
  Dev dev;
  ChildProcess process = dev.start();
  dev.address(process);
  const pid_t server = std::stoi(read_file(dev.folder() + "/data/postmaster.pid"));
  REQUIRE(kill(server, SIGINT) == 0);
  CHECK(process.wait(kDevStart) == 1);
  CHECK_THAT(dev.log(), ContainsSubstring("PostgreSQL has ended:\n") &&
                            ContainsSubstring("received fast shutdown request"));
}
