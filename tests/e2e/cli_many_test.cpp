// Idempotency keys, the commands for many instances, and the reports.
#include "tests/e2e/cli_fixture.hpp"

using namespace durabled::test;
using Fixture = durabled::test::CliFixture;

TEST_CASE("a known idempotency key says what holds it, and that nothing was started") {
  Fixture fixture;
  const auto submit = [&](const std::string& text, const std::string& option = "-k") {
    std::vector<std::string> arguments{"submit", "--json", "-e", text, "-k", "nightly"};
    if (option != "-k") arguments.push_back(option);
    return fixture.run(arguments);
  };
  const auto first = submit("'SELECT 1'").json();
  CHECK(first.at("started").as_bool());
  CHECK(first.at("status").as_string() == "pending");
  const auto again = submit("'SELECT 1'").json();
  CHECK(again.at("id").as_string() == first.at("id").as_string());
  CHECK_FALSE(again.at("started").as_bool());
  CHECK(again.at("same_text").as_bool());
  const CliOutcome other = submit("'SELECT 2'");
  CHECK_FALSE(other.json().at("same_text").as_bool());
  CHECK_THAT(other.err,
             ContainsSubstring("exists since ") && ContainsSubstring(", pending; its text differs"));
  REQUIRE(fixture.run({"cancel", std::string(first.at("id").as_string())}).code == 0);
  const CliOutcome late = fixture.run({"submit", "-e", "'SELECT 1'", "-k", "nightly"});
  CHECK(late.code == 0);
  CHECK_THAT(late.err, ContainsSubstring(", cancelled; nothing was started"));
}

TEST_CASE("--replace cancels what holds the key and starts again under it, also when that has ended") {
  Fixture fixture;
  const auto replace = [&](const std::string& text) {
    return fixture.run({"submit", "--json", "-e", text, "-k", "nightly", "--replace"}).json();
  };
  const std::string status =
      "select status || ' ' || coalesce(idempotency_key, '-') from df.instances where id = $1";
  const std::string first(replace("'SELECT 1'").at("id").as_string());
  const auto second = replace("'SELECT 2'");
  CHECK(second.at("started").as_bool());
  CHECK(second.at("replaced").as_string() == first);
  CHECK(fixture.sql().text(status, first) == "cancelled -");
  const std::string id(second.at("id").as_string());
  CHECK(fixture.sql().text(status, id) == "pending nightly");
  REQUIRE(fixture.run({"cancel", id}).code == 0);
  const auto third = replace("'SELECT 2'");
  CHECK(third.at("started").as_bool());
  CHECK(fixture.sql().text(status, id) == "cancelled -");
  CHECK(fixture.run({"submit", "-e", "'SELECT 1'", "--replace"}).code == 2);
}

TEST_CASE("a client gives up keys of its own and changes keys in no other way", "[S3.2]") {
  Fixture fixture;
  fixture.submit({"-e", "'SELECT 1'", "-k", "mine"});
  Sql app(fixture.app);
  CHECK_THAT(app.expects_error("42501", "update df.instances set idempotency_key = 'other'"),
             ContainsSubstring("can only be given up"));
  shared_server().create_role("df_operator");
  fixture.sql().exec("select df.grant_usage('df_operator')");
  Sql other(fixture.database.conninfo("df_operator"));
  CHECK(other.value("select df.release_key('mine')") == std::nullopt);
  CHECK_THAT(other.expects_error("42501", "update df.instances set idempotency_key = null"),
             ContainsSubstring("only by the role that submitted it"));
  CHECK(app.text("select df.release_key('mine')").size() == 8);
}

TEST_CASE("commands for many instances count first, need --yes without a terminal, and tell what they did",
          "[S4.7]") {
  Fixture fixture;
  std::vector<std::string> ids;
  for (const char* label : {"import a", "import b", "export"})
    ids.push_back(fixture.submit({"-e", "'A'", "-l", label}));
  const CliOutcome asked = fixture.run({"cancel", "--label", "import %"});
  CHECK(asked.code == 2);
  CHECK_THAT(asked.err,
             ContainsSubstring("This would cancel 2 instances (2 pending)") && ContainsSubstring("--yes"));
  const auto dry = fixture.run({"cancel", "--label", "import %", "--dry-run", "--json"}).json();
  CHECK(dry.at("matching").as_int64() == 2);
  CHECK(fixture.sql().number("select count(*) from df.instances where status = 'cancelled'") == 0);
  const auto paused = fixture.run({"pause", "--label", "import %", "--yes", "--json"}).json();
  CHECK(paused.at("done").as_array().size() == 2);
  CHECK(fixture.sql().number("select count(*) from df.instances where status = 'paused'") == 2);
  CHECK(fixture.run({"resume", "--role", "cli_app", "--yes"}).out ==
        ids[0] + '\n' + ids[1] + "\n2 resumed\n");
  CHECK(fixture.run({"cancel", "--status", "pending", "--since", "1h", "--reason", "enough", "--yes"}).code ==
        0);
  CHECK(fixture.sql().number("select count(*) from df.instances where error ->> 'message' = 'enough'") == 3);
  const auto rerun =
      fixture.run({"rerun", "--code", "cancelled", "--label", "export", "--yes", "--json"}).json();
  REQUIRE(rerun.at("done").as_array().size() == 1);
  CHECK(rerun.at("done").at(0).at("rerun_of").as_string() == ids[2]);
  CHECK(fixture.run({"cancel", "--since", "1h", "--until", "2h", "--yes"}).out == "0 cancelled\n");
  CHECK(fixture.run({"cancel", ids[0], "--label", "a"}).code == 2);
}

TEST_CASE("workers, waiting, metrics and prune have output for people and for programs", "[S4.11]") {
  Fixture fixture;
  CHECK_THAT(fixture.run({"workers"}).out, ContainsSubstring("no daemon serves this database"));
  fixture.sql().exec("insert into df.workers (name, host, pid, version) values ('w', 'h', 1, '0')");
  const auto worker = fixture.run({"workers", "--json"}).json().at(0);
  CHECK(keys(worker) == std::set<std::string>{"id", "name", "host", "pid", "version", "started_at",
                                              "last_seen_at", "alive", "instances"});
  CHECK(worker.at("alive").as_bool());
  const std::string id = fixture.submit({"-e", "'SELECT 1'"});
  CHECK(fixture.run({"waiting", "--json"}).json().as_array().empty());
  const auto metrics = fixture.run({"metrics", "--json"}).json();
  CHECK(metrics.at("instances").at("pending").as_int64() == 1);
  CHECK(metrics.at("due").as_int64() == 1);
  CHECK(metrics.at("workers_alive").as_int64() == 1);
  CHECK_THAT(
      fixture.run({"metrics", "--prometheus"}).out,
      ContainsSubstring("# TYPE durabled_instances gauge\ndurabled_instances{status=\"pending\"} 1\n"));
  REQUIRE(fixture.run({"cancel", id}).code == 0);
  const CliOutcome dry = fixture.run({"prune", "--older-than", "0 s", "--dry-run"});
  CHECK(dry.code == 1);
  CHECK_THAT(dry.err, ContainsSubstring("permission denied for function prune"));
  const std::string owner = fixture.database.conninfo();
  CHECK_THAT(cli({"prune", "--older-than", "0 s", "--dry-run", "--database", owner}).out,
             ContainsSubstring("would delete 1 instance that ended more than 0 s ago"));
  CHECK(cli({"prune", "--older-than", "0 s", "--database", owner}).code == 2);
  CHECK(cli({"prune", "--older-than", "0 s", "--yes", "--json", "--database", owner})
            .json()
            .at("pruned")
            .as_int64() == 1);
  CHECK(fixture.sql().number("select count(*) from df.instances") == 0);
}
