// Names that an attacker defines: where the daemon, the schema's code, its installer or the doctor would look
// them up in a path that he can write to, they would run as somebody else.
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// alice has a secret, and mallory a table to put it into; both may submit.
class Prey {
 public:
  Prey() : database(fresh_database()), owner(database.conninfo()) {
    for (const char* role : {"alice", "mallory"}) {
      database.server().create_role(role);
      owner.exec("select df.grant_usage($1)", role);
    }
    Sql super(database.conninfo("postgres"));
    super.exec(
        "create schema alice authorization alice; create schema mallory authorization mallory; "
        "grant alice, mallory to durabled_owner");
    Sql(database.conninfo("alice"))
        .exec("create table alice.private (secret text); insert into alice.private values ('top secret')");
    Sql(database.conninfo("mallory"))
        .exec(
            "create table mallory.loot (who text, t text); grant usage on schema mallory to public; "
            "grant all on mallory.loot to public");
  }

  void serve(const std::string& identity) {
    daemon = std::make_unique<DaemonProcess>(
        DaemonProcess::Options{.database = database.conninfo(), .settings = {{"identity.mode", identity}}});
    daemon->wait_until_ready();
  }

  void require_no_loot() {
    CHECK(owner.exec("select * from df.instances where submitted_by <> 'mallory'::regrole") == Rows{});
    CHECK(Sql(database.conninfo("postgres")).exec("select * from mallory.loot") == Rows{});
  }

  TestDatabase database;
  Sql owner;
  std::unique_ptr<DaemonProcess> daemon;
};

// The type `record`, as a domain whose check is the attacker's function, in pg_temp of the session in which the
// checkpoint will run.
constexpr const char* kRecordTrap = R"w( $s$ do $do$ begin
  create type pg_temp.rec as (events json, status text, wake_at timestamptz, inbox bigint, request text,
    result_seq bigint, error json, signals json, prune json, start json);
  create function pg_temp.chk(r pg_temp.rec) returns boolean language plpgsql as $f$ begin
    insert into df.instances (submitted_by, dsl) values ('alice', '''insert into mallory.loot select current_user, secret from alice.private''');
    return true; end $f$;
  create domain pg_temp.record as pg_temp.rec check (pg_temp.chk(value));
end $do$ $s$ )w";

}  // namespace

TEST_CASE("a type of the name of one that the checkpoint uses runs nothing as the schema's owner",
          "[smoke][S3.5]") {
  const std::string identity = GENERATE("login", "set_role");
  CAPTURE(identity);
  Prey prey;
  prey.serve(identity);
  Sql mallory(prey.database.conninfo("mallory"));
  mallory.exec(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and "
      "application_name = 'durabled step'");
  const std::string trap =
      mallory.text("insert into df.submit (dsl) values ($1) returning id", std::string(kRecordTrap));
  CHECK(mallory.text("select df.await_instance($1, 20)", trap) == "completed");
  // And by the role's own search_path, in a session that begins with it.
  mallory.exec(
      "create type mallory.rec as (label text, database text, priority smallint, body text); "
      "create function mallory.chk(r mallory.rec) returns boolean language plpgsql as $f$ begin "
      "insert into mallory.loot values (current_user, 'by path'); return true; end $f$; "
      "create domain mallory.record as mallory.rec check (mallory.chk(value)); "
      "alter role mallory set search_path = mallory, pg_catalog");
  Sql again(prey.database.conninfo("mallory"));
  again.exec(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and "
      "application_name = 'durabled step'");
  const std::string path = again.text(
      "insert into df.submit (dsl) values ($w$df.start('select 1', label => 'x')$w$) returning id");
  CHECK(again.text("select df.await_instance($1, 20)", path) == "completed");
  again.exec("alter role mallory reset search_path");
  prey.require_no_loot();
}

TEST_CASE("operators that others left in public decide nothing for init, upgrade and the doctor",
          "[smoke][S3.5]") {
  TestDatabase database = shared_server().empty_database();
  for (const char* role : {"alice", "mallory"}) database.server().create_role(role);
  Sql super(database.conninfo("postgres"));
  super.exec("grant create on schema public to public");
  Sql mallory(database.conninfo("mallory"));
  mallory.exec(
      "create table public.ran (who text); grant insert on public.ran to public; "
      "create function public.eq(regrole, regrole) returns boolean language sql as 'select true'; "
      "create operator public.= (leftarg = regrole, rightarg = regrole, function = public.eq); "
      "create function public.mul(numeric, integer) returns numeric language plpgsql as $$ begin "
      "insert into public.ran values (current_user); return $1; end $$; "
      "create operator public.* (leftarg = numeric, rightarg = integer, function = public.mul)");
  const bool by_script = GENERATE(false, true);
  CAPTURE(by_script);
  TemporaryDirectory folder("durabled-names");
  const auto durabled = [&](const std::string& command) {
    ChildProcess process(
        {.argv = {kBinary, command, "--database", database.conninfo()}, .output = folder.path() / command});
    CHECK(process.wait().has_value());
    return read_file(folder.path() / command);
  };
  if (by_script) {
    ChildProcess process({.argv = {kBinary, "init", "--print"}, .output = folder.path() / "script"});
    REQUIRE(process.wait() == 0);
    std::string script = read_file(folder.path() / "script");
    const std::string psql_only = "\\set ON_ERROR_STOP on\n";
    script.erase(script.find(psql_only), psql_only.size());
    Sql(database.conninfo()).exec(script);
  } else {
    CHECK_THAT(durabled("init"), ContainsSubstring("ready"));
  }
  CHECK_THAT(durabled("upgrade"), ContainsSubstring("up to date"));
  CHECK_THAT(durabled("doctor"), ContainsSubstring("as this durabled needs it"));
  Sql owner(database.conninfo());
  owner.exec("select df.grant_usage('alice'), df.grant_usage('mallory')");
  Sql alice(database.conninfo("alice"));
  const std::string id = alice.text("select df.start('select 1')");
  CHECK(mallory.exec("select id from df.instances") == Rows{});
  CHECK_THAT(mallory.expects_error("P0002", "select df.cancel($1)", id), ContainsSubstring("access denied"));
  CHECK(super.exec("select * from public.ran") == Rows{});
}

TEST_CASE("operators in a step's own path do not decide how its result is read", "[smoke][S3.5]") {
  const std::string identity = GENERATE("login", "set_role");
  CAPTURE(identity);
  Prey prey;
  prey.serve(identity);
  Sql mallory(prey.database.conninfo("mallory"));
  mallory.exec(
      "create type mallory.cc as (n int, t text); "
      "create function mallory.no(oid, oid) returns boolean language plpgsql as $$ begin insert into "
      "mallory.loot "
      "values (current_user, 'types'); return false; end $$; "
      "create operator mallory.= (leftarg = oid, rightarg = oid, function = mallory.no)");
  const std::string id = mallory.text(
      "select df.start($w$select set_config('search_path', 'mallory, pg_catalog', false) as s, row(1, "
      "'a')::mallory.cc as x$w$)");
  CHECK(mallory.text("select df.await_instance($1, 20)", id) == "completed");
  CHECK(mallory.text("select df.result($1) -> 'rows' -> 0 ->> 'x'", id) == R"({"n":1,"t":"a"})");
  CHECK(mallory.exec("select * from mallory.loot") == Rows{});
}
