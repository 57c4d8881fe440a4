// The client's guards: where a connection really goes, where a redirect leads, and what is shown of a secret.
#include <unistd.h>

#include <cstdlib>

#include "daemon/http/client.hpp"
#include "daemon/http/encoding.hpp"
#include "daemon/http/secrets.hpp"
#include "tests/daemon/http_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

constexpr const char* kValue = "s3cr3t/va lue\"x";

// Sets an environment variable for as long as it lives.
class Environment {
 public:
  Environment(std::string name, const std::string& value) : name_(std::move(name)) {
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Environment() { unsetenv(name_.c_str()); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
};

TEST_CASE("a name that leads to a private address is refused when it connects", "[http][guard]") {
  HttpFixture fixture;
  fixture.allow_host("rebound.example.org");
  auto client = fixture.client({{fixture.lookup("rebound.example.org")}});
  const auto failed = failure(*client, fixture.request("/json", "GET", "rebound.example.org"));
  CHECK(failed.code == "http_policy");
  CHECK_FALSE(is_transient(failed));
  CHECK_THAT(failed.message,
             ContainsSubstring("leads to an address that is not public") &&
                 ContainsSubstring("not in the allowed addresses") &&
                 ContainsSubstring("address_ranges: [\"RANGE\"]") &&
                 !ContainsSubstring("127.0.0"));  // the role need not know where the name leads
  CHECK(fixture.server.connections() == 0);
}

TEST_CASE("localhost is no exception, unless its entry has the range", "[http][guard]") {
  HttpFixture fixture;
  fixture.allow_host("localhost");
  auto refusing = fixture.client();
  CHECK(failure(*refusing, fixture.request("/json", "GET", "localhost")).code == "http_policy");
  fixture.config.allow.back().address_ranges = {"127.0.0.0/8"};
  auto allowing = fixture.client();
  CHECK(answer(*allowing, fixture.request("/json", "GET", "localhost")).at("ok").as_bool());
}

TEST_CASE("an IP address that is named still needs its range", "[http][guard]") {
  HttpFixture fixture;
  fixture.config.allow.back().address_ranges = {"10.0.0.0/8"};
  auto client = fixture.client();
  const auto failed = failure(*client, fixture.request("/json"));
  CHECK(failed.code == "http_policy");
  CHECK_THAT(failed.message, ContainsSubstring("127.0.0.1 (loopback)") &&
                                 ContainsSubstring("address_ranges: [\"127.0.0.1/32\"]"));
  CHECK(fixture.server.connections() == 0);
}

TEST_CASE("a connection that one role may use is not lent to another", "[http][guard]") {
  HttpFixture fixture;
  auto& trusted = fixture.allow_host("inner.example.org");
  trusted.roles = {"alice"};
  trusted.address_ranges = {"127.0.0.0/8"};
  fixture.allow_host("inner.example.org").roles = {"bob"};
  auto client = fixture.client({{fixture.lookup("inner.example.org")}});
  auto request = fixture.request("/json", "GET", "inner.example.org");
  CHECK(answer(*client, request).at("ok").as_bool());
  request.role = "bob";
  CHECK(failure(*client, request).code == "http_policy");
  CHECK(fixture.server.count("/json") == 1);
}

TEST_CASE("a reload counts for the next call, on kept connections too", "[http][guard]") {
  HttpFixture fixture;
  auto client = fixture.client();
  CHECK(answer(*client, fixture.request("/json")).at("ok").as_bool());
  auto stricter = fixture.config;
  stricter.allow.back().address_ranges.clear();
  client->reconfigure(stricter, make_policy(stricter));
  CHECK(failure(*client, fixture.request("/json")).code == "http_policy");
  stricter.allow.clear();
  client->reconfigure(stricter, make_policy(stricter));
  CHECK_THAT(failure(*client, fixture.request("/json")).message, ContainsSubstring("bare IP"));
  CHECK(fixture.server.count("/json") == 1);
  client->reconfigure(fixture.config, make_policy(fixture.config));
  CHECK(answer(*client, fixture.request("/json")).at("ok").as_bool());
}

TEST_CASE("a redirect is an answer unless the entry allows to follow it", "[http][guard][redirect]") {
  HttpFixture fixture;
  auto client = fixture.client();
  const auto envelope = answer(*client, fixture.request("/redirect/302?to=/json"));
  CHECK(envelope.at("status").as_int64() == 302);
  CHECK_FALSE(envelope.at("ok").as_bool());
  CHECK(text(envelope.at("headers").at("location")) == "/json");
  CHECK(fixture.server.count("/json") == 0);
}

TEST_CASE("a redirect to an address that no entry names is refused", "[http][guard][redirect]") {
  HttpFixture fixture;
  fixture.config.allow.clear();
  auto& entry = fixture.allow_host("outer.example.org");
  entry.address_ranges = {"127.0.0.0/8"};
  entry.redirects = 3;
  auto client = fixture.client({{fixture.lookup("outer.example.org")}});
  const auto failed = failure(*client, fixture.request("/redirect/302?to=" + fixture.server.url("/json"),
                                                       "GET", "outer.example.org"));
  CHECK(failed.code == "http_policy");
  CHECK_THAT(failed.message, ContainsSubstring("redirects") && ContainsSubstring("bare IP"));
  CHECK(fixture.server.count("/json") == 0);
  const auto scheme =
      failure(*client, fixture.request("/redirect/302?to=file:///etc/passwd", "GET", "outer.example.org"));
  CHECK(scheme.code == "http_redirect");
}

TEST_CASE("a redirect changes method and body as curl does", "[http][guard][redirect]") {
  HttpFixture fixture;
  fixture.config.allow.back().redirects = 1;
  auto client = fixture.client();
  struct Case {
    const char* status;
    const char* method;
    const char* expected;
    const char* body;
  };
  const Case cases[] = {{"301", "POST", "GET", ""},      {"302", "POST", "GET", ""},
                        {"303", "PUT", "GET", ""},       {"302", "PUT", "PUT", "body"},
                        {"307", "POST", "POST", "body"}, {"308", "PATCH", "PATCH", "body"},
                        {"303", "GET", "GET", ""},       {"301", "DELETE", "DELETE", "body"}};
  for (const auto& [status, method, expected, body] : cases) {
    CAPTURE(status, method);
    auto request = fixture.request(std::string("/redirect/") + status + "?to=/echo", method);
    request.headers = {{"Authorization", "mine"}, {"Content-Type", "text/x"}};
    request.body = "body";
    const auto seen = echoed(*client, std::move(request));
    CHECK(text(seen.at("method")) == expected);
    CHECK(text(seen.at("body")) == body);
    CHECK(text(seen.at("headers").at("authorization")) == "mine");
    CHECK(seen.at("headers").as_object().contains("content-type") == (*body != 0));
  }
}

TEST_CASE("redirects are counted", "[http][guard][redirect]") {
  HttpFixture fixture;
  fixture.config.allow.back().redirects = 2;
  auto client = fixture.client();
  const auto failed = failure(*client, fixture.request("/redirect/302?to=/redirect/302?to=/redirect/302"));
  CHECK(failed.code == "http_redirect");
  CHECK_THAT(failed.message, ContainsSubstring("more than 2 redirects"));
  CHECK(fixture.server.count("/redirect/302") == 3);
}

TEST_CASE("another host gets no authorization and no secret", "[http][guard][redirect][secrets]") {
  const Environment secret("DURABLED_SECRET_TOKEN", kValue);
  HttpFixture fixture;
  fixture.config.allow.back().redirects = 1;
  fixture.allow_host("other.example.org").address_ranges = {"127.0.0.0/8"};
  auto client = fixture.client({{fixture.lookup("other.example.org")}});
  auto request =
      fixture.request("/redirect/307?to=" + fixture.server.url("/echo", "other.example.org"), "POST");
  request.headers = {{"Authorization", "mine"},
                     {"Cookie", "c=1"},
                     {"X-Key", with_secrets("{secret.TOKEN}")},
                     {"X-Plain", "p"}};
  request.body = "open";
  const auto seen = echoed(*client, request);
  const auto& headers = seen.at("headers").as_object();
  CHECK(text(seen.at("body")) == "open");
  CHECK(text(headers.at("x-plain")) == "p");
  for (const char* name : {"authorization", "cookie", "x-key"}) CHECK_FALSE(headers.contains(name));
  request.body = with_secrets("closed {secret.TOKEN}");
  const auto failed = failure(*client, request);
  CHECK(failed.code == "http_redirect");
  CHECK(fixture.server.count("/echo") == 1);
}

TEST_CASE("secrets reach the server, and nothing that is written down", "[http][guard][secrets][L5.2]") {
  const Environment secret("DURABLED_SECRET_TOKEN", kValue);
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/echo", "POST");
  request.headers = {{"Authorization", with_secrets("Bearer {secret.TOKEN}")}};
  request.body = with_secrets("a {secret.TOKEN} b");
  const auto outcome = call(*client, request);
  REQUIRE(outcome);
  const TestCall seen = fixture.server.calls("/echo").at(0);
  CHECK(seen.header("authorization") == std::string("Bearer ") + kValue);
  CHECK(seen.body == std::string("a ") + kValue + " b");
  CHECK_THAT(outcome->json, !ContainsSubstring("s3cr3t"));
  CHECK_THAT(outcome->json, ContainsSubstring("Bearer {secret.TOKEN}"));
  CHECK_THAT(request.body->display(), ContainsSubstring("{secret.TOKEN}"));
}

TEST_CASE("no failure shows a secret", "[http][guard][secrets][L5.2]") {
  const std::string value = "s3cr3tvalue";
  const Environment secret("DURABLED_SECRET_TOKEN", value);
  HttpFixture fixture;
  fixture.config.allow.push_back(allow("http", "*.example.org"));
  fixture.server.route("/fail", [](const TestCall& call) {
    return TestAnswer{500, "got " + call.header("x")};
  });
  auto client = fixture.client();
  std::vector<daemon::HttpRequest> requests;
  const auto add = [&](const std::string& url) {
    requests.push_back(fixture.request("/"));
    requests.back().url = with_secrets(url);
    requests.back().headers = {{"X", with_secrets("{secret.TOKEN}")}};
  };
  add(fixture.server.url("/fail?{secret.TOKEN}"));
  add(fixture.server.url("/reset?{secret.TOKEN}"));
  add("http://{secret.TOKEN}.org/");
  add("http://{secret.TOKEN}.invalid/{secret.TOKEN}");
  add("http://{secret.TOKEN}@example.org/");
  add("{secret.TOKEN}://example.org/");
  add("http://example.org:{secret.TOKEN}/");
  add(fixture.server.url("/x?{secret.TOKEN}\n"));
  for (const auto& request : requests) {
    CAPTURE(request.url.display());
    const auto failed = failure(*client, request);
    CAPTURE(failed.message);
    CHECK(failed.message.find(value) == std::string::npos);
    CHECK(failed.detail.find(value) == std::string::npos);
  }
}

TEST_CASE("a secret with a line break cannot become two headers", "[http][guard][secrets]") {
  const Environment secret("DURABLED_SECRET_TOKEN", "a\r\nX-Evil: 1");
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/echo");
  request.headers = {{"X", with_secrets("{secret.TOKEN}")}};
  CHECK(failure(*client, request).code == "http_request");
  CHECK(fixture.server.count("/echo") == 0);
}

TEST_CASE("a missing secret fails the call for good and says where it was looked for",
          "[http][guard][secrets]") {
  const TemporaryDirectory directory("http-secrets");
  HttpFixture fixture;
  fixture.config.secrets_directory = directory.path();
  auto client = fixture.client();
  auto request = fixture.request("/echo");
  request.body = with_secrets("{secret.NO_SUCH}");
  const auto failed = failure(*client, request);
  CHECK(failed.code == "http_secret");
  CHECK_FALSE(is_transient(failed));
  CHECK_THAT(failed.message, !ContainsSubstring(directory.path().string()));
  CHECK_THAT(failed.message, ContainsSubstring("secret NO_SUCH not found for role alice") &&
                                 ContainsSubstring("the directory of role alice in http.secrets_directory, "
                                                   "http.secrets_directory, ") &&
                                 ContainsSubstring("DURABLED_SECRET_NO_SUCH") &&
                                 ContainsSubstring("$CREDENTIALS_DIRECTORY"));
}

TEST_CASE("a role's own secret wins and is nobody else's", "[http][secrets]") {
  const TemporaryDirectory directory("http-secrets");
  const TemporaryDirectory credentials("http-credentials");
  std::filesystem::create_directories(directory.path() / "alice");
  write_file(directory.path() / "alice" / "KEY", "alice's\n");
  write_file(directory.path() / "alice" / "OWN", "own");
  write_file(directory.path() / "KEY", "shared\r\n");
  write_file(directory.path() / "TWO", "line\n\n");
  write_file(credentials.path() / "CREDENTIAL", "from systemd");
  const Environment key("DURABLED_SECRET_KEY", "environment's");
  const Environment other("DURABLED_SECRET_OTHER", "environment's");
  const Environment place("CREDENTIALS_DIRECTORY", credentials.path());
  const daemon::SecretStore store(directory.path());
  CHECK(*store.find("KEY", "alice") == "alice's");
  CHECK(*store.find("KEY", "bob") == "shared");
  CHECK(*store.find("TWO", "bob") == "line\n");
  CHECK(*store.find("OWN", "alice") == "own");
  CHECK(*store.find("OTHER", "alice") == "environment's");
  CHECK(*store.find("CREDENTIAL", "alice") == "from systemd");
  CHECK_FALSE(store.find("OWN", "bob"));
  for (const char* role : {"../alice", "x/../alice", "alice/.", ".", "..", "", "/alice"}) {
    CAPTURE(role);
    CHECK_FALSE(store.find("OWN", role));
    CHECK(*store.find("KEY", role) == "shared");
  }
  CHECK_FALSE(store.find("alice", "bob"));  // a directory
  CHECK_FALSE(store.find("alice/OWN", "bob"));
  CHECK_FALSE(store.find("../" + directory.path().filename().string() + "/KEY", "bob"));
}

TEST_CASE("a secret's file that is no secret is an error and not skipped", "[http][secrets]") {
  const TemporaryDirectory directory("http-secrets");
  const Environment huge("DURABLED_SECRET_HUGE", "environment's");
  write_file(directory.path() / "HUGE", std::string(70'000, 'x'));
  const auto found = daemon::SecretStore(directory.path()).find("HUGE", "alice");
  REQUIRE(!found);
  CHECK_THAT(found.error(), ContainsSubstring("longer than 64 KiB"));
}

TEST_CASE("base64 of a form part may be a secret", "[http][guard][secrets][multipart]") {
  const Environment secret("DURABLED_SECRET_FILE", "aGVsbG8=");
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/echo", "POST");
  request.parts = {{"f", with_secrets("{secret.FILE}"), true, {}, {}}};
  CHECK_THAT(text(echoed(*client, request).at("body")), ContainsSubstring("\r\n\r\nhello\r\n"));
}

TEST_CASE("a proxy in the environment is not used", "[http][guard]") {
  const HttpTestServer proxy;
  const Environment variable("http_proxy", proxy.url(""));
  HttpFixture fixture;
  auto client = fixture.client();
  CHECK(answer(*client, fixture.request("/json")).at("ok").as_bool());
  CHECK(proxy.connections() == 0);
}

}  // namespace
}  // namespace durabled::test
