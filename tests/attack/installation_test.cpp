// What an installation owns alone: its ids, its operators' role, its schema; and what init, upgrade and
// uninstall say when others got in their way.
#include "store/schema.hpp"
#include "store/store_error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

struct Answer {
  int code;
  std::string text;
};

Answer durabled_command(const std::string& conninfo, std::vector<std::string> arguments) {
  TemporaryDirectory folder("durabled-cli");
  arguments.insert(arguments.begin(), kBinary);
  arguments.insert(arguments.end(), {"--database", conninfo});
  ChildProcess process({.argv = arguments, .output = folder.path() / "output"});
  const auto code = process.wait(std::chrono::seconds(60));
  REQUIRE(code.has_value());
  return {*code, read_file(folder.path() / "output")};
}

TestDatabase database_with(const std::string& owner, const std::string& rights) {
  TestDatabase database = shared_server().empty_database();
  database.server().create_role(owner);
  if (!rights.empty()) Sql(database.conninfo("postgres")).exec(rights);
  return database;
}

}  // namespace

TEST_CASE("instance ids are unique, 8 characters long, and differ from those of another installation",
          "[S1.4]") {
  std::vector<std::string> first_ids, installations;
  for (int i = 0; i < 2; ++i) {
    TestDatabase database = shared_server().empty_database();
    REQUIRE(durabled_command(database.conninfo(), {"init"}).code == 0);
    Sql owner(database.conninfo());
    first_ids.push_back(owner.text("select string_agg(df._new_id(), ' ') from generate_series(1, 5)"));
    installations.push_back(owner.text("select id from df._installation"));
    CHECK(owner.exec("select count(*), count(distinct id), bool_and(id ~ '^[0-9a-hjkmnp-tv-z]{8}$') from "
                     "(select df._new_id() as id from generate_series(1, 50000)) i") ==
          Rows{{"50000", "50000", "t"}});
  }
  CHECK(first_ids[0] != first_ids[1]);
  CHECK(installations[0] != installations[1]);
}

TEST_CASE("a client gets ids by every way to submit, and can neither read nor move what they are made of",
          "[smoke][S3.1]") {
  const TestDatabase database = fresh_database();
  database.server().create_role("mallory");
  Sql owner(database.conninfo());
  owner.exec("select df.grant_usage('mallory')");
  Sql mallory(database.conninfo("mallory"));
  CHECK(mallory.text("insert into df.submit (dsl) values ('''select 1''') returning id").size() == 8);
  mallory.expects_error("42501", "insert into df.instances (dsl) values ('''select 1''') returning id");
  CHECK(mallory.text("select df.start('select 1')").size() == 8);
  PQclear(PQexec(mallory.raw(), "copy df.submit (dsl) from stdin"));
  CHECK(PQputCopyData(mallory.raw(), "'select 1'\n'select 2'\n", 22) == 1);
  CHECK(PQputCopyEnd(mallory.raw(), nullptr) == 1);
  while (PGresult* result = PQgetResult(mallory.raw())) {
    CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
  }
  CHECK(mallory.number("select count(distinct id) from df.instances") == 4);
  for (const char* sequence : {"df._instance_numbers", "df._id_key_1", "df._id_key_2"}) {
    CAPTURE(sequence);
    mallory.expects_error("42501", std::string("select last_value from ") + sequence);
    mallory.expects_error("42501", "select nextval($1::regclass)", sequence);
    mallory.expects_error("42501", "select setval($1::regclass, 1)", sequence);
    // Before PostgreSQL 17 it refuses, since then it returns NULL.
    Value value;
    try {
      value = mallory.value("select pg_sequence_last_value($1::regclass)", sequence);
    } catch (const SqlError& error) {
      CHECK(error.sqlstate() == "42501");
    }
    CHECK(value == std::nullopt);
  }
  mallory.expects_error("42501", "select * from df._installation");
  // The first claim's token is not the number one.
  owner.exec("select worker_id from df._register('w', 'h', 1, '1', false)");
  CHECK(owner.number("select count(*) from df._poll((select id from df.workers), 10) p where "
                     "(p.claimed).token > 1::bigint << 32 and not (p.claimed).resumed") == 4);
}

TEST_CASE("renew-installation makes new keys, skips the ids of the original, and has daemons register again",
          "[L6.7]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  DaemonProcess daemon(database.conninfo());
  daemon.wait_until_ready();
  const std::string before = owner.text("select id from df._installation");
  const long long number = owner.number("select last_value from df._instance_numbers");
  const std::string worker = owner.text("select id from df.workers");
  const Answer renewed = durabled_command(database.conninfo(), {"renew-installation"});
  CHECK(renewed.code == 0);
  CHECK_THAT(renewed.text, ContainsSubstring(before) && ContainsSubstring("1 daemons register again"));
  CHECK(owner.text("select id from df._installation") != before);
  CHECK(owner.number("select last_value from df._instance_numbers") > number + 4'000'000'000);
  wait_until("the daemon has registered again",
             [&] { return owner.number("select count(*) from df.workers where id <> $1", worker) == 1; });
  const std::string id = owner.text("select df.start('select 1')");
  CHECK(owner.text("select df.await_instance($1, 20)", id) == "completed");
  database.server().create_role("mallory");
  owner.exec("select df.grant_usage('mallory')");
  CHECK(durabled_command(database.conninfo("mallory"), {"renew-installation"}).code == 1);
  Sql(database.conninfo("mallory")).expects_error("42501", "select df._renew_installation()");
}

TEST_CASE("a role df_operator that somebody else made is not the operators' role", "[smoke][S3.3]") {
  PostgresServer server;  // of its own, because roles belong to the whole server
  TestDatabase database = server.fresh_database();
  Sql owner(database.conninfo());
  server.create_role("alice");
  server.create_role("mallory", "createrole");
  owner.exec("select df.grant_usage('alice'), df.grant_usage('mallory', with_grant => true)");
  Sql(database.conninfo("alice")).exec("select df.start('select 1')");
  Sql mallory(database.conninfo("mallory"));
  mallory.exec("create role df_operator; grant df_operator to mallory");
  mallory.exec("select df.grant_usage('df_operator')");
  CHECK(mallory.text("select pg_has_role('df_operator', 'usage')") == "t");
  CHECK(mallory.exec("select id from df.instances") == Rows{});
  CHECK(mallory.exec("select * from df.list_instances()") == Rows{});
  const Answer doctor = durabled_command(database.conninfo(), {"doctor"});
  CHECK_THAT(doctor.text, ContainsSubstring("df_operator"));
  // The owner decides.
  owner.exec("select df.grant_usage('df_operator')");
  CHECK(mallory.exec("select count(*) from df.instances") == Rows{{"1"}});
  // And one that is dropped and made again is another one.
  Sql super(database.conninfo("postgres"));
  super.exec("drop owned by df_operator; drop role df_operator");
  mallory.exec("create role df_operator; grant df_operator to mallory");
  CHECK(mallory.exec("select id from df.instances") == Rows{});
}

TEST_CASE("a foreign server df_loopback of somebody else is not used", "[smoke][S2.4]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "mallory"}) database.server().create_role(role);
  Sql owner(database.conninfo()), super(database.conninfo("postgres"));
  owner.exec("select df.grant_usage('alice'), df.grant_usage('mallory')");
  super.exec("create extension dblink; grant usage on foreign data wrapper dblink_fdw to mallory");
  const std::string port = std::to_string(database.server().port());
  Sql mallory(database.conninfo("mallory"));
  // Her server answers as mallory, with whatever mallory makes of the text.
  for (const std::string& name :
       {std::string("df_loopback"), "dbname='" + database.name() + "' user='alice' port=" + port}) {
    std::string quoted = "\"" + name.substr(0, 63) + "\"";
    mallory.exec("create server " + quoted +
                 " foreign data wrapper dblink_fdw options (host '127.0.0.1', port '" + port + "', dbname '" +
                 database.name() + "'); create user mapping for alice server " + quoted +
                 " options (user 'mallory', password 'x')");
  }
  super.exec("grant execute on function dblink_connect_u(text, text) to alice");
  Sql alice(database.conninfo("alice"));
  try {
    alice.exec("select df.start('select 1', transaction_mode => 'new')");
  } catch (const SqlError& error) {  // there may be no socket where dblink looks for one
    CHECK(error.sqlstate() == "55000");
    CHECK_THAT(error.what(), !ContainsSubstring("password"));  // what dblink asks for before it uses a server
  }
  CHECK(owner.number("select count(*) from df.instances where submitted_by <> 'alice'::regrole") == 0);
}

TEST_CASE("init says which grant is missing, in whose schema it would install, and what it could not do",
          "[smoke][C8.5]") {
  TestDatabase database = database_with("installer", "");
  const Answer no_database = durabled_command(database.conninfo("installer"), {"init"});
  CHECK(no_database.code == 1);
  CHECK_THAT(no_database.text,
             ContainsSubstring("GRANT CREATE ON DATABASE " + database.name() + " TO installer;"));
  Sql super(database.conninfo("postgres"));
  super.exec("grant create on database " + database.name() +
             " to installer; revoke create on schema public from public");
  const Answer no_schema = durabled_command(database.conninfo("installer"), {"init"});
  CHECK(no_schema.code == 1);
  CHECK_THAT(no_schema.text, ContainsSubstring("GRANT USAGE, CREATE ON SCHEMA public TO installer;"));
  const Answer no_such =
      durabled_command(database.conninfo("installer"), {"init", "--operator-schema", "op's"});
  CHECK_THAT(no_such.text, ContainsSubstring("there is no schema \"op's\""));
  super.exec("grant create on schema public to installer");
  database.server().create_role("mallory");
  super.exec("create schema df authorization mallory; grant create, usage on schema df to installer");
  const Answer foreign = durabled_command(database.conninfo("installer"), {"init"});
  CHECK(foreign.code == 1);
  CHECK_THAT(foreign.text, ContainsSubstring("a schema df already, of role mallory"));
  CHECK(super.exec("select from pg_class where relnamespace = 'df'::regnamespace") == Rows{});
  super.exec(
      "drop schema df; create schema df authorization installer; grant create on schema df to mallory");
  CHECK_THAT(durabled_command(database.conninfo("installer"), {"init"}).text,
             ContainsSubstring("others may create objects: mallory"));
  super.exec("drop schema df");
  const Answer done = durabled_command(database.conninfo("installer"), {"init"});
  CHECK(done.code == 0);
  CHECK_THAT(done.text,
             ContainsSubstring("df_operator") && ContainsSubstring("select df.grant_usage('df_operator');"));
  const Answer gone = durabled_command(database.conninfo("installer"), {"uninstall", "--yes"});
  CHECK(gone.code == 0);
  // By a superuser it works, and is complained about.
  const Answer by_superuser = durabled_command(database.conninfo("postgres"), {"init"});
  CHECK(by_superuser.code == 0);
  CHECK_THAT(by_superuser.text, ContainsSubstring("a superuser"));
  CHECK_THAT(durabled_command(database.conninfo("postgres"), {"uninstall", "--yes"}).text,
             ContainsSubstring("df_operator stays"));
}

// SET ROLE would be no protection: the traps undo it.
TEST_CASE("no command runs as a superuser what is in another role's schema df", "[smoke][S3.1]") {
  TestDatabase database = database_with("mallory", "");
  Sql super(database.conninfo("postgres"));
  super.exec("grant create on database " + database.name() + " to mallory");
  Sql mallory(database.conninfo("mallory"));
  mallory.exec(
      "create schema df; create table df.evidence (command text, name text); "
      "create function df.spring(command text) returns int language plpgsql as $$ begin "
      "  perform pg_catalog.set_config('role', 'none', false); "
      "  insert into df.evidence values (command, current_user); return 10; end $$; "
      "create view df.schema_migrations as select df.spring('version') as number, 'x' as name");
  for (const char* table : {"instances", "nodes", "workers", "events", "signals", "submit", "_operator"}) {
    mallory.exec(std::string("create view df.") + table + " as select df.spring('" + table +
                 "') as id, 'x' as status, 'x' as name");
  }
  mallory.exec(
      "create function df.status(text) returns text language sql as $$ select df.spring('status')::text $$; "
      "create function df.prune(interval) returns bigint language sql as $$ select df.spring('prune') $$; "
      "create function df._renew_installation(out before text, out after text, out daemons int) language sql "
      "as $$ select 'a', 'b', df.spring('renew') $$");
  const std::vector<std::vector<std::string>> commands{{"metrics"},
                                                       {"workers"},
                                                       {"list"},
                                                       {"waiting"},
                                                       {"show", "abcdefgh"},
                                                       {"history", "abcdefgh"},
                                                       {"logs", "abcdefgh"},
                                                       {"cancel", "abcdefgh"},
                                                       {"signal", "abcdefgh", "go"},
                                                       {"prune", "--older-than", "1d", "--yes"},
                                                       {"submit", "-e", "'select 1'"},
                                                       {"doctor"},
                                                       {"init"},
                                                       {"upgrade"},
                                                       {"upgrade", "--print"},
                                                       {"renew-installation"},
                                                       {"uninstall", "--yes"},
                                                       {"run", "--config", "/dev/null"}};
  // The second time the session begins as mallory, whose functions would go back to the superuser.
  for (const char* setting : {"reset role", "set role = mallory"}) {
    super.exec("alter database " + database.name() + " " + setting);
    for (const std::vector<std::string>& command : commands) {
      const Answer answer = durabled_command(database.conninfo("postgres"), command);
      INFO(command[0] << ": " << answer.text);
      CHECK(answer.code != 0);
      CHECK_THAT(answer.text, ContainsSubstring("belongs to role mallory") &&
                                  ContainsSubstring("postgres is a superuser"));
    }
  }
  super.exec("set role none");
  CHECK(super.exec("select * from df.evidence") == Rows{});
  // The traps do spring: under their maker.
  durabled_command(database.conninfo("mallory"), {"upgrade"});
  CHECK(super.exec("select distinct name from df.evidence") == Rows{{"mallory"}});
  CHECK_THAT(durabled_command(database.conninfo("mallory"), {"uninstall", "--yes"}).text,
             ContainsSubstring("durabled did not install it"));
  CHECK(super.text("select count(*) from pg_namespace where nspname = 'df'") == "1");
}

TEST_CASE("nobody without rights holds up an upgrade, and who holds it up with rights is named", "[smoke]") {
  const TestDatabase database = fresh_database();
  database.server().create_role("mallory");
  Sql owner(database.conninfo());
  owner.exec("select df.grant_usage('mallory')");
  Sql mallory(database.conninfo("mallory"));
  mallory.exec("select pg_advisory_lock(1684406273, 0)");
  for (const char* mode : {"share row exclusive", "share", "exclusive", "row exclusive"}) {
    mallory.expects_error("42501",
                          std::string("begin; lock table df.schema_migrations in ") + mode + " mode");
    mallory.exec("rollback");
  }
  CHECK_THAT(durabled_command(database.conninfo(), {"upgrade"}).text, ContainsSubstring("up to date"));
  Sql other(database.conninfo());
  other.exec("begin; lock table df.schema_migrations in share mode");
  durabled::store::SchemaOptions options;
  options.lock_timeout = std::chrono::milliseconds(50);
  try {
    durabled::store::migrate(database.conninfo(), options);
    FAIL("it did not wait for the lock");
  } catch (const durabled::store::StoreError& error) {
    CHECK_THAT(error.what(), ContainsSubstring("process " + std::to_string(other.backend_pid()) +
                                               " of role durabled_owner") &&
                                 ContainsSubstring("pg_terminate_backend"));
  }
}

TEST_CASE("nobody else's tables hold on to the row types of the schema, which an upgrade may change",
          "[smoke][S3.1]") {
  const TestDatabase database = fresh_database();
  database.server().create_role("mallory");
  Sql owner(database.conninfo());
  owner.exec(
      "select df.grant_usage('mallory'); create schema mallory; grant usage, create on schema mallory to "
      "mallory");
  Sql mallory(database.conninfo("mallory"));
  for (const char* type : {"df.events", "df.instances", "df.submit", "df.instance_summary"}) {
    mallory.expects_error("42501", std::string("create table mallory.t (x ") + type + ")");
  }
  CHECK(mallory.exec("select e from df.events e") == Rows{});  // whole rows can be read
}

TEST_CASE("a role's memory of foreign steps is bounded, without a daemon that prunes it", "[smoke][S3.1]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "mallory"}) database.server().create_role(role);
  Sql owner(database.conninfo());
  owner.exec(
      "select df.grant_usage('alice'), df.grant_usage('mallory'); create or replace function "
      "df._foreign_steps_kept() returns int language sql immutable parallel safe return 5");
  Sql alice(database.conninfo("alice")), mallory(database.conninfo("mallory"));
  alice.exec("select df._commit_foreign('a', 'n', '', '1')");
  for (int i = 0; i < 20; ++i) {
    mallory.exec("select df._commit_foreign('m', $1, '', '2')", "n" + std::to_string(i));
  }
  CHECK(owner.exec("select role, count(*) from df._foreign_steps group by 1 order by role::text") ==
        Rows{{"alice", "1"}, {"mallory", "5"}});
  CHECK(mallory.text("select df._foreign_step('m', 'n19', '')") == "2");
  CHECK(alice.text("select df._foreign_step('a', 'n', '')") == "1");
  owner.exec("update df._foreign_steps set at = at - interval '8 days' where role::text = 'mallory'");
  mallory.exec("select df._commit_foreign('m', 'new', '', '2')");
  mallory.exec("select df._commit_foreign('m', 'newer', '', '2')");
  CHECK(owner.number("select count(*) from df._foreign_steps where role::text = 'mallory'") == 2);
}
