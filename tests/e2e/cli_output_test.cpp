// What programs and people get from the command line: JSON, exit codes, colours, errors of the configuration.
#include <set>

#include "tests/e2e/cli_run.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

using Arguments = std::vector<std::string>;
using Keys = std::set<std::string>;

Keys keys(const boost::json::value& object) {
  Keys all;
  for (const auto& entry : object.as_object()) all.emplace(entry.key());
  return all;
}

struct Fixture {
  TestDatabase database = fresh_database();
  Sql sql{database.conninfo()};

  CliOutcome run(Arguments arguments) {
    arguments.insert(arguments.end(), {"--database", database.conninfo()});
    return cli(arguments);
  }
  std::string submit() {
    return sql.text("insert into df.submit (dsl) values ('''SELECT 1''') returning id");
  }
};

// What the command line, which begins with the program's own name, writes to a terminal.
std::string on_terminal(const std::string& command, std::map<std::string, std::string> environment = {}) {
  const TemporaryDirectory directory("durabled-cli");
  environment.insert({"TERM", "xterm"});
  run({.argv = {"/usr/bin/script", "-qec", kBinary + (" " + command), "/dev/null"},
       .environment = environment,
       .output = directory.path() / "out"});
  return read_file(directory.path() / "out");
}

}  // namespace

TEST_CASE("every command that needs the database exits with 3 without it", "[S4.9]") {
  for (const Arguments& arguments : std::vector<Arguments>{{"submit", "-e", "'SELECT 1'"},
                                                           {"submit", "-e", "'SELECT 1'", "--wait"},
                                                           {"list"},
                                                           {"show", "x"},
                                                           {"history", "x"},
                                                           {"logs", "x"},
                                                           {"logs", "x", "--follow"},
                                                           {"cancel", "x"},
                                                           {"pause", "x"},
                                                           {"resume", "x"},
                                                           {"signal", "x", "go"},
                                                           {"rerun", "x"},
                                                           {"workers"},
                                                           {"waiting"},
                                                           {"metrics"},
                                                           {"prune", "--older-than", "1d"},
                                                           {"cancel", "--label", "x", "--yes"},
                                                           {"init"},
                                                           {"upgrade"},
                                                           {"uninstall", "--yes"},
                                                           {"doctor"}}) {
    const CliOutcome outcome = cli(arguments, {{"DURABLED_DATABASE", "host=/nonexistent dbname=nowhere"}});
    INFO(arguments[0] << ": " << outcome.err);
    CHECK(outcome.code == 3);
    CHECK_THAT(outcome.out + outcome.err, ContainsSubstring("/nonexistent"));
    if (arguments[0] != "doctor") CHECK(outcome.out.empty());  // a report is its output
  }
}

TEST_CASE(
    "every command exits with 2 for an option that it does not know, and for an argument that is missing",
    "[S4.9]") {
  const auto refused = [](const Arguments& arguments, const std::string& message) {
    const CliOutcome outcome = cli(arguments, {{"DURABLED_DATABASE", "host=/nonexistent"}});
    INFO(arguments[0] << ": " << outcome.err);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err,
               ContainsSubstring("durabled: ") && ContainsSubstring(message) &&
                   ContainsSubstring("Try: " + std::string(kBinary) + " " + arguments[0] + " --help"));
  };
  for (const char* command : {"dev", "run", "init", "upgrade", "uninstall", "list", "doctor"})
    refused({command, "--odd"}, "--odd");
  for (const char* command :
       {"submit", "check", "show", "history", "logs", "cancel", "pause", "resume", "rerun"}) {
    refused({command, "x", "--odd"}, "--odd");
    if (command != std::string("submit") && command != std::string("check"))
      refused({command}, "id is required");
  }
  refused({"signal", "x"}, "name is required");
  refused({"completion"}, "shell is required");
}

TEST_CASE("a rerun of what is not there exits with 4, one that cannot be with 1", "[S4.7][S4.9]") {
  Fixture fixture;
  const CliOutcome unknown = fixture.run({"rerun", "nosuchid"});
  CHECK(unknown.code == 4);
  CHECK_THAT(unknown.err, ContainsSubstring("Instance not found or access denied: nosuchid"));
  const std::string id = fixture.submit();
  const CliOutcome impossible = fixture.run({"rerun", id, "--from", "00000000"});
  CHECK(impossible.code == 1);
  CHECK_THAT(impossible.err, ContainsSubstring("cannot be rerun"));
}

TEST_CASE("--json of every command that steers is one object with its fields", "[S4.7][S4.11]") {
  Fixture fixture;
  const auto submitted = fixture.run({"submit", "-e", "'SELECT 1'", "--json"}).json();
  CHECK(keys(submitted) == Keys{"id", "started", "status", "created_at", "same_text", "replaced"});
  const std::string id(submitted.at("id").as_string());
  for (const Arguments& arguments : std::vector<Arguments>{
           {"signal", id, "go", "{}"}, {"pause", id}, {"resume", id}, {"cancel", id, "--reason", "enough"}}) {
    Arguments with_json = arguments;
    with_json.emplace_back("--json");
    const CliOutcome outcome = fixture.run(with_json);
    INFO(arguments[0] << ": " << outcome.out << outcome.err);
    CHECK(outcome.code == 0);
    const auto json = outcome.json();
    CHECK(keys(json) == Keys{"id", "ok", "status_before", "message"});
    CHECK(json.at("id").as_string() == id);
    CHECK(json.at("ok").as_bool());
    CHECK(json.at("status_before").as_string() == (arguments[0] == "resume" ? "paused" : "pending"));
  }
  const CliOutcome late = fixture.run({"signal", id, "go", "--json"});
  CHECK(late.code == 1);
  CHECK_FALSE(late.json().at("ok").as_bool());
  CHECK_THAT(late.err, ContainsSubstring("already cancelled"));
  const auto rerun = fixture.run({"rerun", id, "--json"}).json();
  CHECK(keys(rerun) == Keys{"id", "rerun_of"});
  CHECK(rerun.at("rerun_of").as_string() == id);
}

TEST_CASE("--json of every command that shows has its fields", "[S4.6][S4.11]") {
  Fixture fixture;
  const std::string id = fixture.submit();
  CHECK(keys(fixture.run({"show", id, "--json"}).json()) ==
        Keys{"id",         "label",      "status",       "submitted_by", "database", "priority", "created_at",
             "started_at", "updated_at", "completed_at", "wake_at",      "request",  "dsl",      "graph",
             "input",      "nodes",      "waiting",      "signals",      "result",   "error"});
  CHECK(fixture.run({"history", id, "--json"}).json().as_array().empty());
  fixture.sql.exec("insert into df.events values ($1, 1, now(), 'InstanceFailed', null, null, null, $2)", id,
                   R"({"error": {"message": "no luck"}})");
  const auto event = fixture.run({"history", id, "--json"}).json().at(0);
  CHECK(keys(event) == Keys{"seq", "at", "kind", "node", "scope", "attempt", "data"});
  CHECK(event.at("data").at("error").at("message").as_string() == "no luck");
  const auto line = fixture.run({"logs", id, "--json"}).json();
  CHECK(keys(line) == Keys{"seq", "at", "kind", "node", "scope", "text"});
  CHECK(line.at("text").as_string() == "failed no luck");
}

TEST_CASE("with --json an error is one JSON object in one line on stderr, whatever failed", "[S4.11]") {
  Fixture fixture;
  const std::string ended = fixture.submit();
  fixture.sql.exec("select df.cancel($1)", ended);
  const auto fails = [](const CliOutcome& outcome, int code, const std::string& message) {
    INFO(outcome.err);
    CHECK(outcome.code == code);
    REQUIRE(outcome.err.find('\n') + 1 == outcome.err.size());
    const auto json = boost::json::parse(outcome.err);
    CHECK(keys(json) == Keys{"error"});
    CHECK(keys(json.at("error")) == Keys{"message", "exit_code"});
    CHECK(json.at("error").at("exit_code").as_int64() == code);
    CHECK_THAT(std::string(json.at("error").at("message").as_string()), ContainsSubstring(message));
  };
  for (const char* command : {"show", "history", "logs", "cancel", "pause", "resume", "rerun"})
    fails(fixture.run({command, "nosuchid", "--json"}), 4, "not found or access denied: nosuchid");
  fails(fixture.run({"signal", ended, "go", "--json"}), 1, "already cancelled");
  fails(fixture.run({"submit", "-e", "'A' ~>", "--json"}), 1, "line 1, column 7");
  fails(cli({"check", "-e", "'A' ~>", "--json"}), 2, "line 1, column 7");
  fails(fixture.run({"submit", "-e", "'SELECT 1'", "--wait", "--timeout", "0", "--json"}), 6,
        "still pending");
  fails(fixture.run({"uninstall", "--json"}), 2, "--yes");
  fails(fixture.run({"list", "--limit", "0", "--json"}), 2, "--limit");
  fails(cli({"lst", "--json"}), 2, "did you mean list?");
  fails(cli({"list", "--json"}, {{"PGHOST", "/nonexistent"}}), 3, "/nonexistent");
  const CliOutcome warned = fixture.run({"submit", "-e", "'SELECT 1' & 'SELECT 2' |=> 'b'", "--json"});
  CHECK(warned.code == 0);
  CHECK_THAT(std::string(boost::json::parse(warned.err).at("warning").at("message").as_string()),
             ContainsSubstring("the name 'b' is bound to the whole join"));
}

TEST_CASE("an argument that should be a number is named with what is expected") {
  CHECK_THAT(cli({"list", "--limit", "0"}).err,
             ContainsSubstring("--limit: expected a whole number from 1, got '0'\n"));
  CHECK_THAT(cli({"list", "--limit", "many"}).err, ContainsSubstring("from 1, got 'many'\n"));
  for (const char* timeout : {"abc", "-1"}) {
    CHECK_THAT(
        cli({"submit", "-e", "'A'", "--wait", std::string("--timeout=") + timeout}).err,
        ContainsSubstring("--timeout: expected a number of seconds or a duration such as 90s or 5m, got '" +
                          std::string(timeout) + "'\n"));
  }
}

TEST_CASE("a folder is no workflow, and neither is an empty text") {
  const CliOutcome folder = cli({"check", "/tmp"});
  CHECK(folder.code == 1);
  CHECK_THAT(folder.err, ContainsSubstring("/tmp: is a directory"));
  const CliOutcome empty = cli({"check", "-e", ""});
  CHECK(empty.code == 2);
  CHECK_THAT(empty.err, ContainsSubstring("the text is empty"));
}

TEST_CASE("submit --wait and show say that no daemon serves the database") {
  Fixture fixture;
  const CliOutcome waited = fixture.run({"submit", "-e", "'SELECT 1'", "--wait", "--timeout", "0.1"});
  CHECK(waited.code == 6);
  CHECK_THAT(waited.err, ContainsSubstring("is still pending and goes on; no daemon serves this database"));
  CHECK_THAT(fixture.run({"submit", "-e", "'SELECT 1'", "--wait", "--timeout", "2.5"}).err,
             ContainsSubstring("warning: no daemon serves this database (") &&
                 ContainsSubstring("; waiting for one\n"));
  const std::string id = waited.out.substr(0, 8);
  CHECK_THAT(fixture.run({"show", id}).out, ContainsSubstring("no daemon serves this database"));
  fixture.sql.exec("insert into df.workers (name, host, pid, version) values ('w', 'h', 1, '0')");
  CHECK(fixture.run({"show", id}).out.find("no daemon") == std::string::npos);
  fixture.sql.exec("update df.workers set last_seen_at = now() - interval '1 hour'");
  CHECK_THAT(fixture.run({"show", id}).out, ContainsSubstring("no daemon serves this database"));
}

TEST_CASE("show lists the signals that nothing has taken, until the end") {
  Fixture fixture;
  const std::string id = fixture.submit();
  REQUIRE(fixture.run({"signal", id, "go", "{\"by\": 1.10}"}).code == 0);
  CHECK_THAT(fixture.run({"show", id}).out, ContainsSubstring("Signal:   'go' {\"by\": 1.10}, sent "));
  const auto signal = fixture.run({"show", id, "--json"}).json().at("signals").at(0);
  CHECK(keys(signal) == Keys{"name", "data", "sent_at"});
  fixture.sql.exec("select df.cancel($1, 'enough')", id);
  const std::string ended = fixture.run({"show", id}).out;
  CHECK(ended.find("Signal:") == std::string::npos);
  CHECK_THAT(ended, ContainsSubstring("Error:    enough"));
  CHECK(ended.find("node:") == std::string::npos);
  CHECK(ended.find("attempts:") == std::string::npos);
}

TEST_CASE("doctor says which configuration it judges by") {
  Fixture fixture;
  const TemporaryDirectory directory("durabled-cli");
  const std::string file = (directory.path() / "durabled.yaml").string();
  write_file(file, "log: {level: info}\n");
  CHECK_THAT(fixture.run({"doctor", "--config", file}).out,
             ContainsSubstring("settings    by the configuration read here, " + file));
}

TEST_CASE("--json of the commands of the schema says what they did", "[S4.11]") {
  const TestDatabase database = shared_server().empty_database();
  const auto run = [&](Arguments arguments) {
    arguments.insert(arguments.end(), {"--json", "--database", database.conninfo()});
    return cli(arguments).json();
  };
  CHECK_FALSE(run({"init"}).at("applied").as_array().empty());
  CHECK(keys(run({"upgrade"})) == Keys{"applied"});
  CHECK(run({"uninstall", "--yes"}).at("uninstalled").as_bool());
}

TEST_CASE("submit takes a text from a file and from stdin", "[S4.4]") {
  Fixture fixture;
  const TemporaryDirectory directory("durabled-cli");
  write_file(directory.path() / "flow.df", "'SELECT 1 AS file'");
  CHECK(fixture.run({"submit", (directory.path() / "flow.df").string()}).code == 0);
  CHECK(cli({"submit", "-", "--database", fixture.database.conninfo()}, {}, "'SELECT 1 AS stdin'").code == 0);
  CHECK(fixture.sql.text("select string_agg(dsl, ' ' order by created_at) from df.instances") ==
        "'SELECT 1 AS file' 'SELECT 1 AS stdin'");
}

TEST_CASE("check prints every warning of a text", "[L2.5][S4.5]") {
  const CliOutcome outcome =
      cli({"check", "-e", "'A' & 'B' |=> 'b' ~> df.if('C', 'SELECT {v}$nobody') ~> @> df.sleep(600) ~> 'D'"});
  CHECK(outcome.code == 0);
  for (const char* warning : {"warning: line 1, column 11: the name 'b' is bound to the whole join",
                              "warning: line 1, column 44: $nobody is referenced",
                              "warning: line 1, column 77: this step is never"}) {
    CHECK_THAT(outcome.out, ContainsSubstring(warning));
  }
}

TEST_CASE("the hint about the shell is for texts from the command line alone", "[S4.5]") {
  const std::string text = "'A' |=> 'a' ~> 'B'";
  CHECK_THAT(cli({"check", "-e", text}).out,
             ContainsSubstring("within double quotes the shell replaces that"));
  const CliOutcome piped = cli({"check", "-"}, {}, text);
  CHECK_THAT(piped.out, ContainsSubstring("'a' is never used") && !ContainsSubstring("shell"));
}

TEST_CASE("check refuses what can only fail, at its place", "[S4.5]") {
  const CliOutcome doomed = cli({"check", "-e", "'A' ~> 'SELECT $typo'"});
  CHECK(doomed.code != 0);
  CHECK_THAT(doomed.err,
             ContainsSubstring("line 1, column 16: $typo is referenced, but nothing before binds"));
}

TEST_CASE("check shows the next three times of a schedule in its zone", "[S4.5]") {
  const CliOutcome outcome = cli({"check", "-e", "df.wait_for_schedule('30 9 29 2 *', 'Asia/Tokyo')"});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, ContainsSubstring("next times of '30 9 29 2 *' in Asia/Tokyo: ") &&
                              ContainsSubstring("-02-29 09:30 JST, "));
  const auto json = cli({"check", "--json", "-e", "df.wait_for_schedule('0 0 * * *')"}).json();
  CHECK(json.at("schedules").as_array().at(0).at("next").as_array().size() == 3);
  CHECK(cli({"check", "-e", "df.wait_for_schedule('{cron}')"}).out.find("next times") == std::string::npos);
}

TEST_CASE("output is aligned, and coloured on a terminal that wants colours", "[S4.12]") {
  Fixture fixture;
  const std::string first = fixture.sql.text(
      "insert into df.submit (dsl, label) values ('''SELECT 1''', 'a long label') returning id");
  const std::string second = fixture.submit();
  fixture.sql.exec("select df.cancel($1)", second);
  const std::string list = "list --database '" + fixture.database.conninfo() + "'";
  const std::string coloured = on_terminal(list);
  CHECK_THAT(coloured, ContainsSubstring("\033[33mcancelled\033[0m") && ContainsSubstring("\033[1m"));
  for (const auto& [variable, value] : {std::pair("NO_COLOR", "1"), std::pair("TERM", "dumb")})
    CHECK(on_terminal(list, {{variable, value}}).find('\033') == std::string::npos);
  const std::string plain = fixture.run({"list"}).out;
  const auto column_of = [&](const std::string& id, const std::string& text) {
    const auto line = plain.find(id);
    return plain.find(text, line) - line;
  };
  CHECK(column_of(first, " 20") - column_of(first, "a long label") == std::string("a long label ").size());
  CHECK(column_of(first, " 20") == column_of(second, " 20"));  // the time, and not an id
}

TEST_CASE("a configuration that cannot be used is named by file, line and key, and exits with 2",
          "[S5.1][S5.3]") {
  const TemporaryDirectory directory("durabled-cli");
  const std::string file = (directory.path() / "durabled.yaml").string();
  const auto refused = [&](const Arguments& arguments, const std::string& message,
                           const std::map<std::string, std::string>& environment = {}) {
    const CliOutcome outcome = cli(arguments, environment);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, ContainsSubstring(message));
  };
  write_file(file, "log:\n  level: info\nsteps:\n  conections: 4\n");
  for (const char* command : {"run", "doctor"})
    refused({command, "--config", file}, file + ":4: key 'steps.conections': unknown key");
  write_file(file, "steps:\n  connections: many\n");
  refused({"run", "-c", file}, file + ":2: key 'steps.connections': expected a whole number, got 'many'");
  write_file(file, "steps: {connections: 0}\n");
  refused({"run", "-c", file}, file + ":1: key 'steps.connections': must be from 1 to 10000");
  refused({"run"}, "environment DURABLED_STEPS_CONNECTIONS: key 'steps.connections': expected a whole number",
          {{"DURABLED_STEPS_CONNECTIONS", "many"}});
  for (const auto& [flag, key] :
       {std::pair("--log-level", "log.level"), std::pair("--log-format", "log.format"),
        std::pair("--poll-interval", "worker.poll_interval"),
        std::pair("--max-instances", "worker.max_instances"), std::pair("--connections", "steps.connections"),
        std::pair("--identity-mode", "identity.mode")}) {
    refused({"run", flag, "odd"}, std::string("command line: key '") + key + "': expected");
  }
  refused({"run", "--set", "loop.min_interval=odd"}, "command line: key 'loop.min_interval': expected");
  CHECK_THAT(cli({"run", "--help"}).out, ContainsSubstring("/etc/durabled/durabled.yaml"));
}

TEST_CASE("an installation holds the program, and the completion and the manual of its commands", "[S4.10]") {
  const TemporaryDirectory directory("durabled-install");
  const std::filesystem::path program = kBinary;
  run({.argv = {"/usr/bin/env", "cmake", "-DCMAKE_INSTALL_PREFIX=" + directory.path().string(), "-P",
                (program.parent_path() / "daemon/cmake_install.cmake").string()},
       .output = directory.path() / "log"});
  CHECK(std::filesystem::exists(directory.path() / "bin/durabled"));
  CHECK(read_file(directory.path() / "share/bash-completion/completions/durabled") ==
        cli({"completion", "bash"}).out);
  CHECK(read_file(directory.path() / "share/zsh/site-functions/_durabled") == cli({"completion", "zsh"}).out);
  CHECK(read_file(directory.path() / "share/fish/vendor_completions.d/durabled.fish") ==
        cli({"completion", "fish"}).out);
  CHECK(read_file(directory.path() / "share/man/man1/durabled.1") == cli({"manual"}).out);
  CHECK(read_file(directory.path() / "share/man/man1/durabled-submit.1") == cli({"manual", "submit"}).out);
}

TEST_CASE("every command has a manual page with its options and examples, as they are written") {
  const TemporaryDirectory directory("durabled-manual");
  REQUIRE(cli({"manual", "--directory", directory.path()}).code == 0);
  int pages = 0;
  for (const auto& page : std::filesystem::directory_iterator(directory.path())) {
    INFO(page.path());
    const std::string text = read_file(page.path());
    CHECK_THAT(text, ContainsSubstring(".SH OPTIONS\n") && ContainsSubstring(".SH EXAMPLES\n.EX\n"));
    ++pages;
  }
  CHECK(pages >= 24);
  const std::string submit = read_file(directory.path() / "durabled-submit.1");
  CHECK_THAT(submit, ContainsSubstring("\n\\fB\\-l,\\-\\-label\\fR \\fITEXT\\fR\nA name for people"));
  CHECK_THAT(submit, ContainsSubstring("\n  \\(aqSELECT 41 AS n\\(aq |=> \\(aqx\\(aq ~> "));
  CHECK(cli({"manual", "submi"}).code == 2);
}

TEST_CASE("no control character of a workflow or its errors reaches a terminal", "[S3.10]") {
  const Fixture fixture;
  const std::string escape =
      "\033]52;c;cHduCg==\007\xC2\x9B"
      "2J\x7F";
  Sql sql(fixture.database.conninfo());
  const std::string id =
      sql.text("insert into df.submit (dsl, label) values ($1, $2) returning id",
               "'select ''" + escape + "''' ~> df.wait_for_signal('" + escape + "')", escape);
  const TemporaryDirectory directory("durabled-cli");
  const std::string file = (directory.path() / "flow.df").string();
  write_file(file, "'select ''" + escape + "''' ~> df.sleep('" + escape + "') ~> oops");
  const std::string database = " --database '" + fixture.database.conninfo() + "'";
  for (const std::string& command :
       {"show " + id + database, "list" + database, "show '" + escape + "'" + database,
        "list --status '" + escape + "'" + database, "check " + file, "show --json " + id + database}) {
    const std::string output = on_terminal(command + "; true");  // some of them fail
    INFO(command << ": " << output);
    CHECK(output.find("52;c") != std::string::npos);  // it was there to be shown
    for (const char* control : {"\033]", "\007", "\xC2\x9B", "\x7F"})
      CHECK(output.find(control) == std::string::npos);
  }
}

TEST_CASE("a label cannot forge a line, a colour or the direction of writing", "[S3.10]") {
  const Fixture fixture;
  const std::string label = "mine\nStatus:   completed\n\033[32mgreen \u202Eesrever\u2066 \u200F\033[0m";
  Sql sql(fixture.database.conninfo());
  const std::string id = sql.text("insert into df.submit (dsl, label) values ($1, $2) returning id",
                                  "df.wait_for_signal('x')", label);
  const std::string database = " --database '" + fixture.database.conninfo() + "'";
  for (const std::string& command : {"show " + id + database, "list" + database}) {
    const std::string output = on_terminal(command);
    INFO(command << ": " << output);
    CHECK(output.find("mine Status:") != std::string::npos);
    CHECK(output.find("\nStatus:   completed") == std::string::npos);
    for (const char* mark : {"\033[32mgreen", "\u202E", "\u2066", "\u200F"})
      CHECK(output.find(mark) == std::string::npos);
  }
  const std::string shown = on_terminal("show --json " + id + database);
  INFO(shown);
  CHECK(boost::json::parse(shown).at("label").as_string() == label);
}

TEST_CASE("what is piped holds no control character of others either", "[S3.10]") {
  Fixture fixture;
  const std::string hostile = "\033[31m\r\nStatus:   completed\u202E";
  const std::string insert = "insert into df.submit (dsl, label) values ($1, $2) returning id";
  const std::string waiting = fixture.sql.text(insert, "df.wait_for_signal('x')", hostile);
  const std::string failed = fixture.sql.text(insert, "'select 1'", hostile);
  fixture.sql.exec(
      "update df.instances set status = 'failed', completed_at = now(), error = "
      "jsonb_build_object('message', $2::text) where id = $1",
      failed, hostile);
  const auto require_escaped = [](const std::string& text) {
    INFO(text);
    CHECK(text.find("[31m") != std::string::npos);  // it was there to be shown
    CHECK(text.find("\nStatus:   completed") == std::string::npos);
    for (const char* hidden : {"\033", "\r", "\u202E"}) CHECK(text.find(hidden) == std::string::npos);
  };
  require_escaped(fixture.run({"list"}).out);
  require_escaped(fixture.run({"show", waiting}).out);
  require_escaped(fixture.run({"show", failed}).out);
  CHECK(fixture.run({"show", "--json", waiting}).json().at("label").as_string() == hostile);
}

TEST_CASE("a connection string that libpq cannot read is refused without a part of it") {
  const TemporaryDirectory directory("durabled-cli");
  const std::string file = (directory.path() / "durabled.yaml").string();
  for (const std::string conninfo :
       {"postgresql://durabled:S3cretPw@[::1/app", "postgresql://durabled:S3cret%ZZPw@h/app",
        "postgresql://durabled:S3cret/Pw@h/app", "postgresql://durabled:S3cret@Pw@h/app",
        "host=h password=S3cret Pw", "password='S3cretPw", "S3cretPw"}) {
    const auto refused = [&](const CliOutcome& outcome, const std::string& place) {
      INFO(conninfo << ": " << outcome.err);
      CHECK(outcome.code == 2);
      CHECK_THAT(outcome.err, ContainsSubstring(place));
      CHECK_THAT(outcome.out + outcome.err, !ContainsSubstring("S3cret") && !ContainsSubstring("Pw"));
    };
    refused(cli({"list", "--database", conninfo}), "--database ");
    refused(cli({"list"}, {{"DURABLED_DATABASE", conninfo}}), "DURABLED_DATABASE ");
    refused(cli({"run"}, {{"DURABLED_DATABASE", conninfo}}),
            "environment DURABLED_DATABASE: key 'database': ");
    write_file(file, "log:\n  level: info\ndatabase: \"" + conninfo + "\"\n");
    refused(cli({"run", "--config", file}), file + ":3: key 'database': ");
    refused(cli({"doctor", "--config", file}), file + ":3: key 'database': ");
    write_file(file, "identity:\n  roles:\n    alice: \"" + conninfo + "\"\n");
    refused(cli({"run", "--config", file}), ": key 'identity.roles.alice': ");
  }
  for (const std::string conninfo :
       {"postgresql://durabled:S3cret%40%2FPw@[::1]:1/app?passfile=/a@b/c",
        "host=/nonexistent password='a b'", "postgresql:///app?host=/nonexistent&user=x",
        "postgres://127.0.0.1:1,127.0.0.1:2/app"}) {
    const CliOutcome outcome =
        cli({"list", "--database",
             conninfo + (conninfo.find('?') != std::string::npos ? "&connect_timeout=2" : "")});
    INFO(conninfo << ": " << outcome.err);
    CHECK(outcome.code == 3);
    CHECK_THAT(outcome.err, !ContainsSubstring("S3cret"));
  }
}
