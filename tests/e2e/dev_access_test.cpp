// Who can reach the server of `durabled dev`, and what a folder that others prepared makes it do.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/dev_run.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

namespace fs = std::filesystem;

// A command as user nobody where the test may change users; as the test's own user otherwise.
std::vector<std::string> as_nobody(std::vector<std::string> command) {
  command.insert(command.begin(),
                 {"/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"});
  return command;
}

struct Run {
  int code;
  std::string output;
};

Run run_command(const std::vector<std::string>& argv) {
  const TemporaryDirectory directory("durabled-dev-as");
  const auto out = directory.path() / "out";
  ChildProcess process({.argv = argv, .output = out});
  const auto code = process.wait(std::chrono::seconds{30});
  if (!code) throw std::runtime_error(argv.back() + " does not end");
  return {*code, read_file(out)};
}

std::vector<std::string> psql(const std::string& conninfo, const std::string& sql) {
  return {"/usr/bin/env", "psql", "-XqAtw", conninfo, "-c", sql};
}

std::string port_of(const std::string& uri) {
  const auto colon = uri.rfind(':', uri.find('?'));
  return uri.substr(colon + 1, uri.find('/', colon) - colon - 1);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

bool is_root() {
  return geteuid() == 0;
}

}  // namespace

TEST_CASE("nobody else on the machine gets into the server of dev", "[S4.1]") {
  Dev dev;
  ChildProcess process = dev.start();
  const std::string uri = dev.address(process), port = port_of(uri);
  const std::string loopback = "host=127.0.0.1 port=" + port,
                    by_socket = "host=" + dev.folder() + " port=" + port;

  // What the user of dev can do, so that the refusals below are about who asks.
  CHECK(Sql(uri).text("select current_user") == "app");
  for (const std::string role : {"app", "durabled", "postgres"})
    CHECK(Sql(by_socket + " dbname=postgres user=" + role).text("select current_user") == role);

  CHECK(mode_of(dev.folder()) == 0700);
  CHECK(mode_of(dev.folder() + "/passfile") == 0600);
  CHECK(mode_of(dev.folder() + "/.s.PGSQL." + port) == 0700);

  CHECK_THROWS_WITH(Sql(loopback + " dbname=postgres user=postgres"),
                    ContainsSubstring("pg_hba.conf rejects connection"));
  CHECK_THROWS_WITH(Sql(loopback + " dbname=postgres user=postgres password=postgres"),
                    ContainsSubstring("pg_hba.conf rejects connection"));
  for (const std::string role : {"app", "durabled"}) {
    CHECK_THROWS_WITH(Sql(loopback + " dbname=durabled user=" + role),
                      ContainsSubstring("no password supplied"));
    CHECK_THROWS_WITH(Sql(loopback + " dbname=durabled user=" + role + " password=x"),
                      ContainsSubstring("password authentication failed"));
  }
  if (is_root()) {
    const Run passwords = run_command(as_nobody({"/bin/cat", dev.folder() + "/passfile"}));
    CHECK(passwords.code == 1);
    CHECK_THAT(passwords.output, ContainsSubstring("Permission denied"));
    const Run socket = run_command(as_nobody(psql(by_socket + " dbname=postgres user=postgres", "select 1")));
    CHECK(socket.code == 2);
    CHECK_THAT(socket.output, ContainsSubstring("Permission denied"));
    const Run superuser =
        run_command(as_nobody(psql(loopback + " dbname=postgres user=postgres", "select 1")));
    CHECK(superuser.code == 2);
    CHECK_THAT(superuser.output, ContainsSubstring("pg_hba.conf rejects connection"));
  }
  process.signal(SIGTERM);
  CHECK(process.wait(std::chrono::seconds{30}) == 0);
}

TEST_CASE("dev connects as a role that was made later, and keeps its passwords", "[S4.1]") {
  Dev dev;
  std::string passwords;
  {
    ChildProcess process = dev.start();
    const std::string uri = dev.address(process);
    const std::string by_socket = "host=" + dev.folder() + " port=" + port_of(uri) + " dbname=durabled user=";
    Sql(by_socket + "postgres").exec("create role later login");
    Sql(by_socket + "durabled").exec("select df.grant_usage('later')");
    const CliOutcome outcome =
        cli({"submit", "-e", "'SELECT current_user AS who'", "--wait", "--database", by_socket + "later"});
    CHECK_THAT(outcome.out, ContainsSubstring("later"));
    CHECK(outcome.code == 0);
    passwords = read_file(dev.folder() + "/passfile");
    CHECK(passwords.size() > 100);
    process.signal(SIGTERM);
    REQUIRE(process.wait(std::chrono::seconds{30}) == 0);
  }
  ChildProcess process = dev.start();
  CHECK(Sql(dev.address(process)).text("select current_user") == "app");
  CHECK(read_file(dev.folder() + "/passfile") == passwords);
}

TEST_CASE("dev neither follows links in its folder nor takes a folder that others could change", "[S4.1]") {
  const TemporaryDirectory directory("durabled-dev");
  REQUIRE(chmod(directory.path().c_str(), 0755) == 0);
  const std::string folder = (directory.path() / "dev").string();
  const fs::path victim = directory.path() / "victim";
  write_file(victim, "precious\n");
  const auto refused = [&](const std::string& message) {
    const CliOutcome outcome = cli({"dev", "--dir", folder}, Dev::environment());
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring(message));
    CHECK(read_file(victim) == "precious\n");
    fs::remove_all(folder);
  };
  const auto make_folder = [&] { REQUIRE(mkdir(folder.c_str(), 0700) == 0); };

  SECTION("a link instead of the port") {
    make_folder();
    fs::create_symlink(victim, folder + "/port");
    refused(folder + "/port is not an ordinary file");
  }
  SECTION("a link instead of a log") {
    make_folder();
    fs::create_symlink(victim, folder + "/initdb.log");
    refused(folder + "/initdb.log is a link, or not a file of this user");
  }
  SECTION("a second name of a file instead of a log") {
    make_folder();
    fs::create_hard_link(victim, folder + "/initdb.log");
    refused(folder + "/initdb.log is a link, or not a file of this user");
  }
  SECTION("a link instead of the folder") {
    fs::create_directories(directory.path() / "real");
    fs::create_directory_symlink(directory.path() / "real", folder);
    refused(folder + " is a symbolic link, which is not followed");
    CHECK(fs::is_empty(directory.path() / "real"));
  }
  SECTION("a folder that others may write to") {
    make_folder();
    write_file(folder + "/initdb.log", "");
    REQUIRE(chmod(folder.c_str(), 0777) == 0);
    refused("others may write to " + folder);
  }
  SECTION("a folder with other files") {
    make_folder();
    write_file(folder + "/thesis.tex", "");
    refused(folder + " holds other files");
  }
  SECTION("a directory above it that everybody may write to") {
    REQUIRE(chmod(directory.path().c_str(), 0777) == 0);
    refused("everybody may write to " + directory.path().string() + ", and so replace " + folder);
  }
  SECTION("a folder of another user, as root") {
    if (!is_root()) return;
    const passwd* nobody = getpwnam("nobody");
    REQUIRE(nobody != nullptr);
    make_folder();
    fs::create_symlink(victim, folder + "/port");
    REQUIRE(chown(folder.c_str(), nobody->pw_uid, nobody->pw_gid) == 0);
    refused(folder + " belongs to nobody");
  }
}
