// Warnings about files that are open to others.
#include "daemon/config_files.hpp"

#include <sys/stat.h>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

TEST_CASE("a configuration and secrets that others may read or change are complained about", "[config]") {
  const TemporaryDirectory directory("durabled-files");
  const std::string file = (directory.path() / "durabled.yaml").string();
  const std::string secrets = (directory.path() / "secrets").string();
  std::filesystem::create_directories(secrets + "/alice");
  write_file(secrets + "/alice/KEY", "k");
  const auto mode = [](const std::string& path, mode_t bits) { REQUIRE(chmod(path.c_str(), bits) == 0); };
  const auto warnings = [&](const std::string& yaml) {
    write_file(file, yaml);
    const auto loaded = config::load_text(yaml, file);
    std::string all;
    for (const std::string& warning : daemon::file_warnings(loaded, file)) all += warning + '\n';
    CHECK_THAT(all, !ContainsSubstring("S3cret"));
    return all;
  };
  const std::string with_password = "database: postgresql://d:S3cret@h/app\n";
  mode(directory.path(), 0755);
  write_file(file, "");
  mode(file, 0644);
  CHECK(warnings("database: postgresql://d@h/app\n").empty());
  CHECK(warnings(with_password) == "everybody may read " + file + ", which holds a password: chmod o= it\n");
  CHECK_THAT(warnings("identity:\n  roles:\n    alice: 'password=S3cret'\n"),
             ContainsSubstring("which holds a password"));
  mode(file, 0640);
  CHECK(warnings(with_password).empty());
  mode(file, 0660);
  CHECK_THAT(warnings(""), ContainsSubstring("others may write to " + file));

  const std::string with_secrets = "http:\n  secrets_directory: " + secrets + "\n";
  mode(file, 0640);
  mode(secrets + "/alice", 0755);
  mode(secrets + "/alice/KEY", 0644);
  mode(secrets, 0750);
  CHECK(warnings(with_secrets).empty());  // nobody else can enter it
  mode(secrets, 0711);
  CHECK_THAT(warnings(with_secrets), ContainsSubstring("everybody may read " + secrets + "/alice/KEY"));
  mode(secrets, 0770);
  CHECK_THAT(warnings(with_secrets),
             ContainsSubstring("others may write to " + secrets + ", which holds secrets"));
}

}  // namespace
}  // namespace durabled::test
