// The command line where no daemon is needed: usage, exit codes, check, the schema, the inbox.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/e2e/cli_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;
using Fixture = durabled::test::CliFixture;

namespace {

const std::vector<std::string> kCommands{"dev",       "run",       "init",   "upgrade", "renew-installation",
                                         "uninstall", "submit",    "check",  "list",    "show",
                                         "history",   "logs",      "cancel", "workers", "waiting",
                                         "metrics",   "prune",     "pause",  "resume",  "signal",
                                         "rerun",     "pipelines", "doctor", "ui",      "completion",
                                         "manual"};

// Everything that the schema consists of, as text: what two ways of installing it must agree about.
std::string catalog(const std::string& conninfo) {
  Sql sql(conninfo);
  std::string all;
  for (const char* query : {
           "select p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) || ' ' || "
           "coalesce(p.proacl::text, '') "
           "|| ' ' || coalesce(obj_description(p.oid), '') from pg_proc p where p.pronamespace = "
           "'df'::regnamespace "
           "and p.prokind = 'f' order by 1",
           "select c.relname || ' ' || c.relkind::text || ' ' || coalesce(c.relacl::text, '') || ' ' || "
           "coalesce(array_to_string(c.reloptions, ','), '') || coalesce(pg_get_viewdef(c.oid), '') from "
           "pg_class c "
           "where c.relnamespace = 'df'::regnamespace and c.relkind in ('r', 'v', 'S') order by 1",
           "select a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) "
           "|| ' ' || "
           "a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') from pg_attribute a "
           "join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and "
           "d.adnum = a.attnum "
           "where c.relnamespace = 'df'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 order by "
           "1",
           "select indexdef from pg_indexes where schemaname = 'df' order by 1",
           "select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint "
           "where connamespace = 'df'::regnamespace order by 1",
           "select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid "
           "where c.relnamespace = 'df'::regnamespace and not t.tgisinternal order by 1",
           "select tablename || policyname || cmd || coalesce(qual, '') || coalesce(with_check, '') from "
           "pg_policies "
           "where schemaname = 'df' order by 1",
           "select o.oid::regoperator || ' ' || o.oprnamespace::regnamespace || ' ' || o.oprcode from "
           "pg_operator o "
           "join pg_proc p on p.oid = o.oprcode where p.pronamespace = 'df'::regnamespace order by 1",
           "select number || ' ' || name from df.schema_migrations order by number",
       }) {
    for (const Row& row : sql.exec(query)) all += row.at(0).value_or("NULL") + "\n";
    all += "--\n";
  }
  return all;
}

// What psql would send of a script: all but its own commands.
std::string without_psql_commands(const std::string& script) {
  std::string sql;
  std::size_t begin = 0;
  while (begin < script.size()) {
    const std::size_t end = std::min(script.find('\n', begin), script.size() - 1);
    if (script[begin] != '\\') sql += script.substr(begin, end + 1 - begin);
    begin = end + 1;
  }
  return sql;
}

}  // namespace

TEST_CASE("the help documents the exit codes, and every command shows examples", "[S4.9]") {
  const CliOutcome help = cli({"--help"});
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  for (const char* line : {"0  ok", "1  failed", "2  wrong usage", "3  the database", "4  no such",
                           "5  the instance", "6  the time"}) {
    CHECK_THAT(help.out, ContainsSubstring(line));
  }
  for (const std::string& command : kCommands) {
    CHECK_THAT(help.out, ContainsSubstring("  " + command + "  "));
    const CliOutcome own = cli({command, "--help"});
    CHECK(own.code == 0);
    CHECK_THAT(own.out, ContainsSubstring("Examples:\n") && ContainsSubstring("durabled " + command));
  }
}

TEST_CASE("wrong usage exits with 2, says what is wrong on stderr and prints nothing", "[S4.9]") {
  struct Case {
    std::vector<std::string> arguments;
    std::string message;
  };
  const std::vector<Case> cases{
      {{}, "subcommand"},
      {{"sbmit"}, "did you mean submit?"},
      {{"list", "--no-such-option"}, "--no-such-option"},
      {{"list", "--status", "done"}, "--status"},
      {{"list", "--limit", "0"}, "--limit"},
      {{"show"}, "id"},
      {{"signal", "abc"}, "name"},
      {{"submit"}, "FILE"},
      {{"submit", "file.df", "-e", "'SELECT 1'"}, "FILE"},
      {{"submit", "-e", "'SELECT 1'", "--var", "novalue"}, "novalue"},
      {{"submit", "-e", "'SELECT 1'", "--timeout", "5"}, "--wait"},
      {{"submit", "-e", "'SELECT 1'", "--priority", "99999"}, "--priority"},
      {{"completion", "tcsh"}, "tcsh"},
      {{"uninstall"}, "--yes"},
      {{"run", "--set", "novalue"}, "novalue"},
      {{"run", "--set", "no.such=1"}, "no.such"},
      {{"run", "--connections", "many"}, "steps.connections"},
      {{"run", "--config", "/nonexistent.yaml"}, "/nonexistent.yaml"},
  };
  for (const Case& one : cases) {
    const CliOutcome outcome = cli(one.arguments);
    INFO(one.message << " in: " << outcome.err);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, ContainsSubstring(one.message) && ContainsSubstring("durabled: "));
  }
}

TEST_CASE("a database that cannot be reached exits with 3, however it was named", "[S4.9]") {
  const std::string nowhere = "host=/nonexistent dbname=nowhere";
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"list"}, {"show", "x"}, {"submit", "-e", "'SELECT 1'"}, {"cancel", "x"}, {"init"}, {"doctor"}}) {
    std::vector<std::string> with_option = arguments;
    with_option.insert(with_option.end(), {"--database", nowhere});
    CHECK(cli(with_option).code == 3);
    CHECK(cli(arguments, {{"DURABLED_DATABASE", nowhere}}).code == 3);
    CHECK(cli(arguments, {{"PGHOST", "/nonexistent"}}).code == 3);
  }
  CHECK_THAT(cli({"list", "--database", nowhere}).err, ContainsSubstring("/nonexistent"));
}

TEST_CASE("--database wins over DURABLED_DATABASE, that over DATABASE_URL, and that over libpq's environment",
          "[S5.1][S5.2]") {
  Fixture fixture;
  CHECK(cli({"list"}, {{"DURABLED_DATABASE", fixture.app}, {"DATABASE_URL", "host=/nonexistent"}}).code == 0);
  CHECK(cli({"list"}, {{"DATABASE_URL", fixture.app}, {"PGHOST", "/nonexistent"}}).code == 0);
  CHECK(cli({"list", "--database", fixture.app}, {{"DURABLED_DATABASE", "host=/nonexistent"}}).code == 0);
  CHECK(cli({"list"}, {{"DURABLED_DATABASE", fixture.app}, {"PGHOST", "/nonexistent"}}).code == 0);
}

TEST_CASE("check prints the tree and the warnings, without a database", "[L2.5][S4.5]") {
  const CliOutcome outcome =
      cli({"check", "-e", "@> 'SELECT 1' ~> 'SELECT 2'"}, {{"PGHOST", "/nonexistent"}});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, ContainsSubstring("LOOP\n  body:\n    SQL: SELECT 1\n→ SQL: SELECT 2\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("warning: line 1, column 18"));
  CHECK(outcome.err.empty());
}

TEST_CASE("check reads a file and stdin", "[S4.5]") {
  const TemporaryDirectory directory("durabled-cli");
  const std::string file = (directory.path() / "flow.df").string();
  write_file(file, "'SELECT 1'\n-- a comment\n");
  CHECK(cli({"check", file}).out == "SQL: SELECT 1\n");
  CHECK(cli({"check", "-"}, {}, "'SELECT 2'").out == "SQL: SELECT 2\n");
  const CliOutcome missing = cli({"check", file + ".no"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, ContainsSubstring("flow.df.no"));
}

TEST_CASE("check exits with 2 for a bad text and shows where on stderr", "[S4.5][S4.9]") {
  const CliOutcome outcome = cli({"check", "-e", "'SELECT 1' ~> nonsense('x')"});
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, ContainsSubstring("line 1, column 15") && ContainsSubstring("nonsense"));
  const CliOutcome empty = cli({"check", "/dev/null"});
  CHECK(empty.code == 2);
  CHECK_THAT(empty.err, ContainsSubstring("line 1"));
}

TEST_CASE("check --json tells the same to programs", "[S4.5][S4.11]") {
  const auto good =
      cli({"check", "--json", "-e", "df.start('SELECT 1' ~> 'SELECT ''$x''', 'nightly')"}).json();
  CHECK(keys(good) == std::set<std::string>{"ok", "warnings", "notes", "schedules", "label", "database",
                                            "input", "tree", "graph"});
  CHECK(good.at("ok").as_bool());
  CHECK(good.at("label").as_string() == "nightly");
  CHECK(good.at("graph").at("node_type").as_string() == "THEN");
  CHECK(good.at("warnings").at(0).at("code").as_string() == "unbound_name");
  const CliOutcome outcome = cli({"check", "--json", "-e", "'SELECT 1"});
  CHECK(outcome.code == 2);
  CHECK_FALSE(outcome.json().at("ok").as_bool());
  CHECK(outcome.json().at("error").at("line").as_int64() == 1);
}

TEST_CASE("check --strict exits with 2 when there is a warning, and not for a note", "[S4.5][S4.9]") {
  const char* text = "@> 'SELECT 1' ~> 'SELECT 2'";
  CHECK(cli({"check", "-e", text}).code == 0);
  const CliOutcome strict = cli({"check", "--strict", "-e", text});
  CHECK(strict.code == 2);
  CHECK_THAT(strict.out, ContainsSubstring("warning: "));
  CHECK(cli({"check", "--strict", "-e", "'SELECT 1'"}).code == 0);
  const CliOutcome noted = cli({"check", "--strict", "-e", "df.wait_for_signal('s')"});
  CHECK(noted.code == 0);
  CHECK_THAT(noted.out, ContainsSubstring("note: line 1, column 1: this wait for a signal has no timeout"));
}

TEST_CASE("check warns about variables that nothing sets, and about those that nothing uses", "[S4.5]") {
  const std::string text =
      "'SELECT 1'\n~> 'SELECT {region}, ''{list}'', {sys_label}' ~> df.http('http://h/{secret.A}')";
  const CliOutcome bare = cli({"check", "-e", text});
  CHECK(bare.code == 0);
  CHECK_THAT(bare.out, ContainsSubstring("warning: line 2, column 12: nothing sets the variable {region}") &&
                           ContainsSubstring("--var region=VALUE") && !ContainsSubstring("variable {list}") &&
                           !ContainsSubstring("variable {sys") && !ContainsSubstring("variable {secret"));
  CHECK(cli({"check", "--strict", "-e", text}).code == 2);
  const CliOutcome good = cli({"check", "--strict", "-e", text, "--var", "region=north", "--var", "list=a"});
  CHECK(good.code == 0);
  CHECK_THAT(good.out, !ContainsSubstring("warning"));
  const CliOutcome typo = cli({"check", "-e", text, "--var", "regoin=north"});
  CHECK_THAT(typo.out, ContainsSubstring("warning: --var gives regoin, but the workflow has no {regoin}\n"
                                         "hint: did you mean {region}?") &&
                           ContainsSubstring("nothing sets the variable {region}"));
  const auto json = cli({"check", "--json", "-e", text, "--var", "y=3"}).json();
  const auto& warnings = json.at("warnings").as_array();
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].at("code").as_string() == "unset_variable");
  CHECK(warnings[0].at("line").as_int64() == 2);
  CHECK(warnings[1].at("code").as_string() == "unused_variable");
}

TEST_CASE("submit warns about variables that neither --var nor the role sets", "[S4.4]") {
  Fixture fixture;
  Sql(fixture.app).exec("select df.setvar('kept', 'old')");
  const CliOutcome outcome =
      fixture.run({"submit", "-e", "'SELECT {kept}, {given}, {gone}'", "--var", "given=1", "--var", "y=3"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.size() == 9);
  CHECK_THAT(outcome.err, ContainsSubstring("warning: line 1, column 26: nothing sets the variable {gone}") &&
                              ContainsSubstring("warning: --var gives y, but the workflow has no {y}") &&
                              !ContainsSubstring("variable {kept}") &&
                              !ContainsSubstring("variable {given}"));
  CHECK(fixture.run({"submit", "-e", "'SELECT {kept}'"}).err.empty());
  CHECK(fixture.run({"submit", "-e", "'SELECT {gone}'", "--no-check"}).err.empty());
}

TEST_CASE("check --database has the server parse the statements whose text is known, and runs none",
          "[S4.5]") {
  Fixture fixture;
  fixture.sql().exec(
      "create table public.orders (id int, status text); grant all on public.orders to cli_app");
  const CliOutcome good = fixture.run({"check", "-e",
                                       "'SELECT id FROM orders' |=> 'o' ~> 'DELETE FROM orders' ~> "
                                       "'UPDATE orders SET status = NULL WHERE id = $o.id::int'"
                                       " ~> 'SELECT $o.id' ~> 'CREATE TABLE later (n int)'"
                                       " ~> 'INSERT INTO later VALUES (1)'"});
  INFO(good.out << good.err);
  CHECK(good.code == 0);
  CHECK_THAT(good.out,
             ContainsSubstring("5 of 6 SQL steps were checked by the server") &&
                 ContainsSubstring("warning: node 00000006: relation \"later\" does not exist (42P01); "
                                   "an earlier step may make it"));
  CHECK(fixture.sql().number("select count(*) from pg_class where relname = 'later'") == 0);
  const CliOutcome bad =
      fixture.run({"check", "-e", "'SELECT 1' ~> 'SELECT é, nocolumn FROM orders' ~> 'SELEC 1'"});
  CHECK(bad.code == 2);
  CHECK_THAT(bad.out,
             ContainsSubstring("error: node 00000002: column \"é\" does not exist (42703)") &&
                 ContainsSubstring("line 1, column 8 of the statement") &&
                 ContainsSubstring("error: node 00000003: syntax error at or near \"SELEC\" (42601)"));
  const auto json = fixture.run({"check", "--json", "-e", "'SELECT nope'"}).json();
  CHECK_FALSE(json.at("ok").as_bool());
  const auto& finding = json.at("statements").at("findings").at(0);
  CHECK(keys(finding) ==
        std::set<std::string>{"node", "statement", "message", "sqlstate", "hint", "place", "certain"});
  CHECK(finding.at("sqlstate").as_string() == "42703");
}

TEST_CASE("init --print is exactly what init installs", "[S4.3]") {
  const TestDatabase installed = shared_server().empty_database();
  const TestDatabase printed = shared_server().empty_database();
  REQUIRE(cli({"init", "--database", installed.conninfo()}).code == 0);
  const CliOutcome script = cli({"init", "--print"}, {{"PGHOST", "/nonexistent"}});
  REQUIRE(script.code == 0);
  Sql(printed.conninfo()).exec(without_psql_commands(script.out));
  CHECK(catalog(printed.conninfo()) == catalog(installed.conninfo()));
}

TEST_CASE("upgrade --print is what is missing, and refuses another version than it was printed for",
          "[S4.3]") {
  const TestDatabase installed = shared_server().empty_database();
  const TestDatabase older = shared_server().empty_database();
  REQUIRE(cli({"init", "--database", installed.conninfo()}).code == 0);
  CHECK_THAT(cli({"upgrade", "--print", "--database", installed.conninfo()}).out,
             ContainsSubstring("already"));
  CHECK(cli({"upgrade", "--print", "--database", older.conninfo()}).code == 1);
  CHECK(cli({"upgrade", "--print"}, {{"PGHOST", "/nonexistent"}}).code == 3);
  const std::string whole = without_psql_commands(cli({"init", "--print"}).out);
  const std::size_t last = whole.find("'0004_client', '");
  REQUIRE(last != std::string::npos);
  Sql sql(older.conninfo());
  sql.exec(whole.substr(0, whole.find(";\n", last) + 2) + "commit");
  const CliOutcome script = cli({"upgrade", "--print", "--database", older.conninfo()});
  REQUIRE(script.code == 0);
  CHECK(script.out.size() < whole.size());
  sql.exec(without_psql_commands(script.out));
  CHECK(catalog(older.conninfo()) == catalog(installed.conninfo()));
  CHECK_THROWS_WITH(sql.exec(without_psql_commands(script.out)), ContainsSubstring("is for version 4"));
}

TEST_CASE("init once more changes nothing, and upgrade needs a schema", "[S4.3][S4.11]") {
  const TestDatabase database = shared_server().empty_database();
  const CliOutcome early = cli({"upgrade", "--database", database.conninfo()});
  CHECK(early.code == 1);
  CHECK_THAT(early.err, ContainsSubstring("durabled init"));
  const auto first = cli({"init", "--json", "--database", database.conninfo()}).json();
  CHECK_FALSE(first.at("applied").as_array().empty());
  const std::string before = catalog(database.conninfo());
  for (const char* command : {"init", "upgrade"}) {
    const auto again = cli({command, "--json", "--database", database.conninfo()}).json();
    CHECK(again.at("applied").as_array().empty());
  }
  CHECK(catalog(database.conninfo()) == before);
}

TEST_CASE("--operator-schema is where the operators are", "[S2.2]") {
  const TestDatabase database = shared_server().empty_database();
  Sql sql(database.conninfo());
  sql.exec("create schema \"My Operators\"");
  REQUIRE(cli({"init", "--operator-schema", "My Operators", "--database", database.conninfo()}).code == 0);
  CHECK(sql.text("select string_agg(distinct o.oprnamespace::regnamespace::text, ',') from pg_operator o "
                 "join pg_proc p on p.oid = o.oprcode where p.pronamespace = 'df'::regnamespace") ==
        "\"My Operators\"");
}

TEST_CASE("uninstall asks for --yes and then leaves nothing", "[S4.3]") {
  Fixture fixture;
  const std::string owner = fixture.database.conninfo();
  CHECK(cli({"uninstall", "--database", owner}).code == 2);
  CHECK(fixture.sql().number("select count(*) from pg_namespace where nspname = 'df'") == 1);
  const CliOutcome script = cli({"uninstall", "--print"}, {{"PGHOST", "/nonexistent"}});
  CHECK(script.code == 0);
  Sql(owner).exec("begin; " + script.out);  // and not committed: it does run
  CHECK(cli({"uninstall", "--yes", "--database", owner}).code == 0);
  CHECK(fixture.sql().number("select count(*) from pg_namespace where nspname = 'df'") == 0);
  CHECK(fixture.sql().number("select count(*) from pg_operator where oprname = '~>' and oprnamespace = "
                             "'public'::regnamespace") == 0);
  const CliOutcome gone = cli({"list", "--database", owner});
  CHECK(gone.code == 1);
  CHECK_THAT(gone.err, ContainsSubstring("durabled init"));
}

TEST_CASE("init by a role that may not says which grant it lacks", "[S4.3]") {
  const TestDatabase database = shared_server().empty_database();
  shared_server().create_role("cli_nobody");
  const CliOutcome outcome = cli({"init", "--database", database.conninfo("cli_nobody")});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, ContainsSubstring("GRANT CREATE ON DATABASE"));
}

TEST_CASE("submit prints the id of an instance that belongs to the role, with all it was given",
          "[S1.1][S4.4]") {
  Fixture fixture;
  const std::string id =
      fixture.submit({"-e", "'SELECT {a}'", "--label", "it's", "--priority", "7", "--start-at",
                      "2100-01-01 00:00:00Z", "--var", "a=x=y", "--var", "b="});
  CHECK(id.size() == 8);
  const Row row = fixture.sql().exec(
      "select dsl, label, priority, wake_at at time zone 'UTC', submitted_by, vars from df.instances where "
      "id = $1",
      id)[0];
  CHECK(row ==
        Row{"'SELECT {a}'", "it's", "7", "2100-01-01 00:00:00", "cli_app", "{\"a\": \"x=y\", \"b\": \"\"}"});
}

TEST_CASE("variables of the command line go over those of the role", "[S4.4]") {
  Fixture fixture;
  Sql(fixture.app).exec("select df.setvar('a', 'old'), df.setvar('b', 'kept')");
  const std::string plain = fixture.submit({"-e", "'SELECT 1'"});
  const std::string given = fixture.submit({"-e", "'SELECT 1'", "--var", "a=new"});
  const std::string query = "select vars from df.instances where id = $1";
  CHECK(fixture.sql().text(query, plain) == "{\"a\": \"old\", \"b\": \"kept\"}");
  CHECK(fixture.sql().text(query, given) == "{\"a\": \"new\", \"b\": \"kept\"}");
}

TEST_CASE("what an enclosing df.start says counts unless an option says otherwise", "[L1.5]") {
  Fixture fixture;
  const std::string text = "df.start('SELECT 1', 'inner', priority => 3, idempotency_key => 'k1')";
  const std::string id = fixture.submit({"-e", text});
  CHECK(fixture.submit({"-e", text}) == id);
  const std::string other = fixture.submit({"-e", text, "--label", "outer", "-k", "k2"});
  CHECK(other != id);
  const std::string query = "select label || priority from df.instances where id = $1";
  CHECK(fixture.sql().text(query, id) == "inner3");
  CHECK(fixture.sql().text(query, other) == "outer3");
  CHECK(fixture.sql().text("select string_agg(dsl, ';') from df.instances") == "'SELECT 1';'SELECT 1'");
  const std::string later = "SELECT df.start(start_at => 'tomorrow', fut => 'A' ~> 'B');";
  const std::string tomorrow = fixture.submit({"-e", later});
  CHECK(fixture.sql().text("select dsl from df.instances where id = $1 and wake_at = 'tomorrow'", tomorrow) ==
        "'A' ~> 'B'");
}

TEST_CASE("a repeated idempotency key gives the same id") {
  Fixture fixture;
  const std::string id = fixture.submit({"-e", "'SELECT 1'", "-k", "order-17"});
  CHECK(fixture.submit({"-e", "'SELECT 1'", "-k", "order-17"}) == id);
  CHECK(fixture.sql().number("select count(*) from df.instances") == 1);
}

TEST_CASE("a bad text is refused before it is written, unless the check is switched off") {
  Fixture fixture;
  const CliOutcome refused = fixture.run({"submit", "-e", "'SELECT 1' ~> "});
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, ContainsSubstring("line 1"));
  CHECK(fixture.sql().number("select count(*) from df.instances") == 0);
  fixture.submit({"-e", "'SELECT 1' ~> ", "--no-check"});
  CHECK(fixture.sql().number("select count(*) from df.instances") == 1);
}

TEST_CASE("text of users reaches the database as data only", "[S3.6]") {
  Fixture fixture;
  const std::string nasty = "'; drop table df.instances; -- \" \\ $1 {x} \xc3\xa9";
  const std::string id =
      fixture.submit({"-e", "'SELECT 1'", "--label", nasty, "-k", nasty, "--var", "v=" + nasty});
  CHECK(fixture.sql().text("select label from df.instances where id = $1", id) == nasty);
  CHECK(fixture.sql().text("select vars ->> 'v' from df.instances where id = $1", id) == nasty);
  CHECK(fixture.run({"cancel", id, "--reason", nasty}).code == 0);
  CHECK(fixture.sql().text("select error ->> 'message' from df.instances where id = $1", id) == nasty);
  const auto found = fixture.run({"list", "--json", "--label", nasty}).json();
  CHECK(found.as_array().size() == 1);
  CHECK(fixture.run({"show", nasty}).code == 4);
}

TEST_CASE("an instance that is not there, or is another role's, exits with 4", "[S3.2][S4.9]") {
  Fixture fixture;
  const std::string theirs = [&] {
    fixture.database.server().create_role("cli_other");
    fixture.sql().exec("select df.grant_usage('cli_other')");
    return Sql(fixture.database.conninfo("cli_other"))
        .text("insert into df.submit (dsl) values ('SELECT 1') returning id");
  }();
  for (const std::string& id : {std::string("nosuchid"), theirs}) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"show", id},
                                               {"history", id},
                                               {"logs", id},
                                               {"logs", "-f", id},
                                               {"cancel", id},
                                               {"pause", id},
                                               {"resume", id},
                                               {"signal", id, "go"}}) {
      const CliOutcome outcome = fixture.run(arguments);
      INFO(arguments[0]);
      CHECK(outcome.code == 4);
      CHECK(outcome.out.empty());
      CHECK_THAT(outcome.err, ContainsSubstring("Instance not found or access denied: " + id));
    }
  }
  CHECK(fixture.run({"list", "--json"}).json().as_array().empty());
}

TEST_CASE("list filters, and its JSON has one object an instance", "[S4.6][S4.11]") {
  Fixture fixture;
  const std::string first = fixture.submit({"-e", "'SELECT 1'", "-l", "a"});
  const std::string second = fixture.submit({"-e", "'SELECT 1'", "-l", "b"});
  REQUIRE(fixture.run({"cancel", first}).code == 0);
  const auto all = fixture.run({"list", "--json"}).json().as_array();
  REQUIRE(all.size() == 2);
  CHECK(keys(all[0]) == std::set<std::string>{"id", "label", "status", "submitted_by", "executions",
                                              "created_at", "completed_at", "output", "code"});
  CHECK(all[0].at("id").as_string() == second);
  CHECK(all[0].at("completed_at").is_null());
  CHECK(all[1].at("status").as_string() == "cancelled");
  CHECK(fixture.run({"list", "--json", "--label", "b"}).json().at(0).at("id").as_string() == second);
  CHECK(fixture.run({"list", "--json", "--status", "cancelled"}).json().at(0).at("id").as_string() == first);
  CHECK(fixture.run({"list", "--json", "--limit", "1"}).json().as_array().size() == 1);
  const CliOutcome page = fixture.run({"list", "--limit", "1"});
  CHECK_THAT(page.err, ContainsSubstring("--after " + second));
  const auto next = fixture.run({"list", "--json", "--limit", "1", "--after", second}).json();
  CHECK(next.at(0).at("id").as_string() == first);
  CHECK(fixture.run({"list", "--json", "--limit", "5000", "--role", "cli_app", "--since", "1d"})
            .json()
            .as_array()
            .size() == 2);
  CHECK(fixture.run({"list", "--json", "--since", "2100-01-01"}).json().as_array().empty());
  CHECK(fixture.run({"list", "--json", "--code", "cancelled"}).json().at(0).at("id").as_string() == first);
  const CliOutcome table = fixture.run({"list"});
  CHECK_THAT(table.out,
             ContainsSubstring("ID        STATUS     LABEL") && ContainsSubstring(first + "  cancelled  a"));
  CHECK(table.out.find('\033') == std::string::npos);
}

TEST_CASE("steering an instance that has ended exits with 1", "[S4.7]") {
  Fixture fixture;
  const std::string id = fixture.submit({"-e", "'SELECT 1'"});
  CHECK(fixture.run({"pause", id}).code == 0);
  CHECK(fixture.run({"show", "--json", id}).json().at("status").as_string() == "paused");
  CHECK(fixture.run({"resume", id}).code == 0);
  CHECK(fixture.run({"cancel", id, "--reason", "enough"}).code == 0);
  for (const std::vector<std::string>& late : std::vector<std::vector<std::string>>{
           {"cancel", id}, {"pause", id}, {"resume", id}, {"signal", id, "go"}}) {
    const CliOutcome outcome = fixture.run(late);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, ContainsSubstring("already cancelled"));
  }
  const auto shown = fixture.run({"show", "--json", id}).json();
  CHECK(shown.at("error").at("message").as_string() == "enough");
}

TEST_CASE("rerun of what is not there says so", "[S4.7]") {
  Fixture fixture;
  const CliOutcome outcome = fixture.run({"rerun", "nosuchid"});
  CHECK(outcome.code != 0);
  CHECK(outcome.out.empty());
  CHECK_FALSE(outcome.err.empty());
}

TEST_CASE("doctor says what is missing and what to do", "[S4.8][S4.11]") {
  SECTION("the schema") {
    const TestDatabase database = shared_server().empty_database();
    const CliOutcome outcome = cli({"doctor", "--database", database.conninfo()});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.out, ContainsSubstring("✗ schema") && ContainsSubstring("durabled init"));
  }
  SECTION("a grant") {
    const TestDatabase database = fresh_database();
    shared_server().create_role("cli_stranger");
    const CliOutcome outcome = cli({"doctor", "--database", database.conninfo("cli_stranger")});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.out, ContainsSubstring("df.grant_usage('cli_stranger')"));
  }
  SECTION("a daemon, and a role that cannot log in") {
    Fixture fixture;
    fixture.submit({"-e", "'SELECT 1'"});
    fixture.database.server().create_role("cli_app", "nologin");
    Sql(fixture.database.server().conninfo()).exec("alter role cli_app nologin");
    const CliOutcome outcome = cli({"doctor", "--json", "--database", fixture.database.conninfo()});
    Sql(fixture.database.server().conninfo()).exec("alter role cli_app login");
    CHECK(outcome.code == 1);
    const auto report = outcome.json();
    CHECK_FALSE(report.at("ok").as_bool());
    std::set<std::string> wrong;
    for (const auto& finding : report.at("findings").as_array()) {
      CHECK(keys(finding) == std::set<std::string>{"check", "verdict", "text", "advice"});
      if (finding.at("verdict").as_string() == "wrong") wrong.emplace(finding.at("check").as_string());
    }
    CHECK(wrong == std::set<std::string>{"identity", "workers"});
  }
}

TEST_CASE("the completion scripts know every command and its options", "[S4.10]") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const CliOutcome outcome = cli({"completion", shell});
    CHECK(outcome.code == 0);
    for (const std::string& command : kCommands) CHECK_THAT(outcome.out, ContainsSubstring(command));
    CHECK_THAT(outcome.out, ContainsSubstring("idempotency-key"));
  }
  const TemporaryDirectory directory("durabled-cli");
  write_file(
      directory.path() / "script",
      cli({"completion", "bash"}).out +
          "COMP_WORDS=(durabled sub); COMP_CWORD=1; _durabled; echo \"[${COMPREPLY[*]}]\"\n"
          "COMP_WORDS=(durabled submit --lab); COMP_CWORD=2; _durabled; echo \"[${COMPREPLY[*]}]\"\n"
          "COMP_WORDS=(durabled list --status fa); COMP_CWORD=3; _durabled; echo \"[${COMPREPLY[*]}]\"\n"
          "COMP_WORDS=(durabled -d x canc); COMP_CWORD=3; _durabled; echo \"[${COMPREPLY[*]}]\"\n"
          "durabled() { echo '[{\"id\":\"4k2m9xpq\",\"label\":null},{\"id\":\"5aaaaaaa\"}]'; }\n"
          "COMP_WORDS=(durabled show 4k); COMP_CWORD=2; _durabled; echo \"[${COMPREPLY[*]}]\"\n");
  run({.argv = {"/bin/bash", (directory.path() / "script").string()}, .output = directory.path() / "out"});
  CHECK(read_file(directory.path() / "out") == "[submit]\n[--label]\n[failed]\n[cancel]\n[4k2m9xpq]\n");
}

TEST_CASE("without an address a command says how to give one, and names the dev server of the folder",
          "[S4.9]") {
  const TemporaryDirectory directory("durabled-cli");
  const auto list = [&] {
    run({.argv = {"/bin/sh", "-c", "\"$0\" list; true", kBinary},
         .output = directory.path() / "out",
         .directory = directory.path()});
    return read_file(directory.path() / "out");
  };
  CHECK_THAT(list(),
             ContainsSubstring("hint: no database was named: use --database URI or $DURABLED_DATABASE"));
  std::filesystem::create_directories(directory.path() / ".durabled/dev/data");
  write_file(directory.path() / ".durabled/dev/port", "5999\n");
  write_file(directory.path() / ".durabled/dev/data/postmaster.pid", std::to_string(getpid()) + "\n");
  CHECK_THAT(list(), ContainsSubstring(
                         "export DURABLED_DATABASE='postgresql://app@127.0.0.1:5999/durabled?passfile=/"));
  CHECK(cli({"--database", "host=/nonexistent", "list"}).err.find("hint: no database") == std::string::npos);
}

TEST_CASE("a role without usage is told what the owner of the schema can run") {
  const TestDatabase database = fresh_database();
  shared_server().create_role("cli o'hara");
  const CliOutcome outcome = cli({"list", "--database", database.conninfo("'cli o\\'hara'")});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err,
             ContainsSubstring("hint: The owner of the schema can allow it: select df.grant_usage('cli "
                               "o''hara');\n"));
}

TEST_CASE("--database may come before the command", "[S5.1]") {
  Fixture fixture;
  CHECK(cli({"-d", fixture.app, "list"}).code == 0);
  CHECK(cli({"--database", "host=/nonexistent", "list"}).code == 3);
}

TEST_CASE("run refuses a database without the schema, and says what to do", "[S4.2]") {
  const TestDatabase database = shared_server().empty_database();
  const CliOutcome outcome = cli({"run", "--database", database.conninfo()});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, ContainsSubstring("durabled init"));
}

TEST_CASE("run refuses a schema that another build has installed", "[S4.2]") {
  const TestDatabase database = fresh_database();
  Sql(database.conninfo()).exec("update df.schema_migrations set checksum = 'another' where number = 3");
  const CliOutcome outcome = cli({"run", "--database", database.conninfo()});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err,
             ContainsSubstring("installed by another build of durabled, whose 0003_protocol differs"));
}
