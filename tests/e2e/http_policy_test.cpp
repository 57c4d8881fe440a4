// What HTTP steps may do, and what nobody may ever read: allow entries, the right to call, secrets.
#include "tests/e2e/cli_run.hpp"
#include "tests/e2e/http_world.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

// "schema.table" of each table of the database in which a row holds the text.
std::vector<std::string> tables_with(Sql& superuser, const std::string& text) {
  std::vector<std::string> found;
  for (const Row& row : superuser.exec("select format('%I.%I', schemaname, tablename) from pg_tables"
                                       " where schemaname not in ('pg_catalog', 'information_schema')")) {
    if (superuser.number("select count(*) from " + *row[0] + " t where strpos(t::text, $1) > 0", text) > 0)
      found.push_back(*row[0]);
  }
  return found;
}

}  // namespace

TEST_CASE("without an allow entry no call is made, and the error says how to allow it") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string error = run_failing(alice, call(world, "/json"));
  CHECK(holds(alice, error, "j ->> 'code' = 'http_policy' and j -> 'attempts' = '1'"));
  CHECK(holds(alice, error,
              "j ->> 'message' like '%not in the allowed hosts%To allow it, add to durabled.yaml and reload:%"
              "http:%allow:%host: \"127.0.0.1\"%port: " +
                  std::to_string(world.http.port()) + "%'"));
  CHECK(world.http.connections() == 0);
}

TEST_CASE("SIGHUP changes the policy of a running daemon", "[S5.5]") {
  HttpWorld world;
  Sql alice = world.session();
  DaemonProcess& daemon = world.start_daemon();
  run_failing(alice, call(world, "/json"));
  daemon.write_settings(world.allowed());
  daemon.sighup();
  wait_until("the call is allowed",
             [&] { return end_of(alice, submit(alice, call(world, "/json"))) == "completed"; });
  daemon.write_settings({{"http.allow", "[]"}});
  daemon.sighup();
  wait_until("the call is refused again",
             [&] { return end_of(alice, submit(alice, call(world, "/json"))) == "failed"; });
  CHECK(daemon.running());
}

TEST_CASE("SIGHUP says what takes a restart, and a file with an error changes nothing", "[S5.5]") {
  HttpWorld world;
  Sql alice = world.session();
  DaemonProcess& daemon = world.start_calling_daemon();
  Settings changed = world.allowed();
  changed["steps.connections"] = "3";
  changed["steps.max_result_bytes"] = "1KiB";
  daemon.write_settings(changed);
  daemon.sighup();
  wait_until("it has told", [&] { return daemon.log().find("configuration reloaded") != std::string::npos; });
  CHECK_THAT(daemon.log(), ContainsSubstring("steps.connections takes a restart to change"));
  CHECK(daemon.log().find("steps.max_result_bytes takes") == std::string::npos);
  CHECK_THAT(run_failing(alice, "'SELECT repeat(''x'', 5000)'"), ContainsSubstring("larger than 1024 bytes"));
  daemon.write_settings({{"http.allow", "[]"}, {"steps.conections", "3"}});
  daemon.sighup();
  wait_until("it has told", [&] { return daemon.log().find("stays as it was") != std::string::npos; });
  CHECK_THAT(daemon.log(), ContainsSubstring("'steps.conections': unknown key"));
  run_workflow(alice, call(world, "/json"));
  CHECK(daemon.running());
}

TEST_CASE("a role without EXECUTE on df.http cannot call through the text door") {
  HttpWorld world;
  world.server().create_role("carol");
  world.owner().exec("select df.grant_usage('carol')");
  Sql carol = world.session("carol");
  world.start_calling_daemon();
  const std::string error = run_failing(carol, call(world, "/json"));
  CHECK(
      holds(carol, error, "j ->> 'message' = 'role \"carol\" does not have EXECUTE privilege on df.http()'"));
  CHECK(holds(carol, error, "j ->> 'sqlstate' = '42501' and j ->> 'hint' like '%df.grant_usage%'"));
  // Neither a retry policy, nor many at once, nor a call behind a step helps.
  run_failing(carol, "df.retry(" + call(world, "/json") + ", 5, delay => 0)");
  run_failing(carol, "df.for_each('SELECT generate_series(1, 50)', " + call(world, "/json") +
                         ", max_parallel => 50)");
  CHECK(holds(carol,
              run_workflow(carol, "df.catch('SELECT 1' ~> (df.sleep(0.01) & " + call(world, "/json") +
                                      "), 'SELECT $error.sqlstate AS s')"),
              "j -> 'rows' -> 0 ->> 's' = '42501'"));
  CHECK(world.http.connections() == 0);

  world.owner().exec("select df.grant_usage('carol', true)");
  run_workflow(carol, call(world, "/json"));
  CHECK(world.http.count("/json") == 1);
}

TEST_CASE("a redirect to an address that is not allowed is refused, one that is allowed is followed") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_daemon({{"http.allow", "[" + world.entry("localhost", ", redirects: 2") + "]"}});
  const auto redirect = [&](const std::string& host) {
    return "df.http('" + world.http.url("/redirect/302?to=" + world.http.url("/json", host), "localhost") +
           "', 'GET')";
  };
  CHECK(holds(alice, run_workflow(alice, redirect("localhost")), "j @> '{\"status\": 200}'"));
  CHECK(world.http.count("/json") == 1);
  const std::string error = run_failing(alice, redirect("127.0.0.1"));
  CHECK(holds(alice, error, "j ->> 'code' = 'http_policy'"));
  CHECK_THAT(error, ContainsSubstring("redirects to another URL") && ContainsSubstring("127.0.0.1"));
  CHECK(world.http.count("/json") == 1);
}

TEST_CASE(
    "a host that is allowed but leads to a local address is refused, unless its entry names the range") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_daemon(
      {{"http.allow", "[{scheme: http, host: localhost, port: " + std::to_string(world.http.port()) + "}]"}});
  const std::string error =
      run_failing(alice, "df.http('" + world.http.url("/json", "localhost") + "', 'GET')");
  CHECK(holds(alice, error, "j ->> 'code' = 'http_policy'"));
  CHECK_THAT(error, ContainsSubstring("address_ranges"));
  CHECK(world.http.count("/json") == 0);
}

TEST_CASE("secrets reach the server and are nowhere else: not in a table, not in the log", "[L5.2]") {
  HttpWorld world;
  Sql alice = world.session();
  const TemporaryDirectory secrets("durabled-secrets");
  write_file(secrets.path() / "TOKEN", "tok-4f1c9a77e0\n");
  write_file(secrets.path() / "SHOUT", "SK-LIVE-9F8E7D6C");
  write_file(secrets.path() / "NUMBER", "3735928559");
  write_file(secrets.path() / "PATH", "p@ss w0rd/s3cond");
  std::filesystem::create_directory(secrets.path() / "alice");
  write_file(secrets.path() / "alice" / "OWN", "own-\"b2\"-83d5");
  DaemonProcess& daemon = world.start_calling_daemon({{"http.secrets_directory", secrets.path().string()},
                                                      {"log.level", "trace"},
                                                      {"retry.max_attempts", "2"}});
  std::string shown;
  // The server sends back what it was sent; fails; hangs; refuses: whatever comes of a call, its secrets stay
  // out.
  const std::string rest =
      R"(, 'POST', '{"own": "{secret.OWN}"}', '{"Authorization": "Bearer {secret.TOKEN}"}', timeout_seconds => 0.3)";
  const std::string echoed = run_workflow(alice, call(world, "/echo?t={secret.TOKEN}", rest));
  CHECK_THAT(echoed, ContainsSubstring("{secret.TOKEN}"));
  run_failing(alice, call(world, "/status/503?t={secret.TOKEN}", rest));
  run_failing(alice, call(world, "/hang?t={secret.TOKEN}", rest));
  run_failing(alice, "df.http('http://{secret.TOKEN}.invalid/')");
  std::string last;
  for (const std::string name : {"SHOUT", "NUMBER", "PATH"}) {
    const std::string secret = "{secret." + name + "}";
    for (const std::string& url : {"http://" + secret + "/", "https://h." + secret, secret + "://h/",
                                   "http://127.0.0.1:" + secret + "/", "http://localhost/" + secret,
                                   world.http.url("/hang/" + secret), world.http.url("/reset?" + secret)}) {
      last = submit(alice, "df.http('" + url + "', 'POST', timeout_seconds => 0.1)");
      INFO(url << " " << result_of(alice, last));
      CHECK(end_of(alice, last) == "failed");
      for (const char* command : {"show", "logs"})
        shown += cli({command, last, "--database", world.database().conninfo("alice")}).out;
    }
    run_workflow(alice, call(world, "/echo/" + secret + "?" + secret, ", 'POST', '" + secret + "'"));
    run_workflow(alice, call(world, "/nosuch/" + secret));
  }
  CHECK_THAT(run_failing(alice, call(world, "/json?{secret.NOBODYS}")), ContainsSubstring("NOBODYS"));
  run_workflow(
      alice, "df.http_multipart('" + world.http.url("/echo/form") +
                 R"(', parts => '[{"name": "t", "data_b64": "dA=="}]', headers => '{"X": "{secret.OWN}"}'))");
  // Elsewhere it is text like any other.
  CHECK_THAT(run_workflow(alice, "'SELECT ''{secret.TOKEN}'' AS t'"), ContainsSubstring("{secret.TOKEN}"));

  const TestCall sent = world.http.calls("/echo").at(0);
  CHECK(sent.header("authorization") == "Bearer tok-4f1c9a77e0");
  CHECK_THAT(sent.body, ContainsSubstring("own-"));
  CHECK(sent.query == "t=tok-4f1c9a77e0");
  CHECK(world.http.calls("/echo/form").at(0).header("x") == "own-\"b2\"-83d5");

  Sql postgres(world.database().conninfo("postgres"));
  for (const char* part : {"tok-4f1c9a77e0", "4f1c9a77", "83d5", "9F8E7D6C", "sk-live", "9f8e7d6c",
                           "3735928559", "222.173.190.239", "p@ss", "p%40ss", "w0rd", "s3cond"}) {
    INFO(part);
    CHECK(tables_with(postgres, part).empty());
    CHECK(daemon.log().find(part) == std::string::npos);
    CHECK(shown.find(part) == std::string::npos);
  }
  CHECK_THAT(shown, ContainsSubstring("{secret.NUMBER}"));
  // The search itself finds what is there.
  CHECK_FALSE(tables_with(postgres, "secret.TOKEN").empty());
}
