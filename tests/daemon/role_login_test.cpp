// What a role's login adds to the connection string.
#include "daemon/role_login.hpp"

#include <filesystem>

#include "store/conninfo.hpp"
#include "store/store_error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {

using daemon::role_login;

TEST_CASE("a role's password comes from its file, as it is then") {
  const TemporaryDirectory directory("durabled-passwords");
  config::Config::Identity identity;
  identity.passwords_directory = directory.path();
  identity.roles = {{"bob", "sslcert='/c rt'"}, {"carol", "password=given"}};
  CHECK(role_login(identity, "alice").empty());
  for (const char* role : {"alice", "bob", "carol"}) write_file(directory.path() / role, "it's \\ secret\n");
  CHECK(store::conninfo_value(role_login(identity, "alice"), "password") == "it's \\ secret");
  CHECK(store::conninfo_value(role_login(identity, "bob"), "password") == "it's \\ secret");
  CHECK(store::conninfo_value(role_login(identity, "bob"), "sslcert") == "/c rt");
  CHECK(role_login(identity, "carol") == "password=given");
  write_file(directory.path() / "alice", "rotated");
  CHECK(store::conninfo_value(role_login(identity, "alice"), "password") == "rotated");
}

TEST_CASE("the name of a role leads out of the passwords' directory nowhere") {
  const TemporaryDirectory directory("durabled-passwords");
  config::Config::Identity identity;
  identity.passwords_directory = directory.path() / "passwords";
  std::filesystem::create_directory(identity.passwords_directory);
  write_file(directory.path() / "outside", "secret");
  for (const char* role : {"../outside", "..", ".", ""}) CHECK(role_login(identity, role).empty());
}

TEST_CASE("a password that cannot be read is a fault that may pass, and its text names no path") {
  const TemporaryDirectory directory("durabled-passwords");
  config::Config::Identity identity;
  identity.passwords_directory = directory.path();
  write_file(directory.path() / "alice", std::string(70'000, 'x'));
  try {
    role_login(identity, "alice");
    FAIL("it was read");
  } catch (const store::StoreError& e) {
    CHECK(e.kind() == store::StoreError::Kind::kTransient);
    CHECK_THAT(e.what(), ContainsSubstring(
                             "the password of role alice cannot be read from identity.passwords_directory"));
    CHECK_THAT(e.what(), !ContainsSubstring(directory.path().string()));
  }
}

}  // namespace durabled::test
