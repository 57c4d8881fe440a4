// PostgreSQL runs a role's code inside sessions of others in several ways: as that role, but with another
// session_user. Nothing may be decided by the session's user, or that code acts for whoever owns the session.
#include "tests/attack/attacker.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

struct Borrowed {
  TestDatabase database = fresh_database();
  Sql owner{database.conninfo()}, super{database.conninfo("postgres")};

  Borrowed() {
    for (const char* role : {"alice", "mallory"}) {
      database.server().create_role(role);
      owner.exec("select df.grant_usage($1)", role);
      super.exec(std::string("create schema ") + role + " authorization " + role);
    }
  }
  Sql session(const std::string& role) { return Sql(database.conninfo(role)); }

  // What mallory's code tries for alice: each attempt on its own, so that one that fails hides no other.
  static std::string trap(const std::string& returns) {
    return "declare attempt text; begin if session_user <> 'mallory' then"
           " insert into mallory.ran values (session_user);"
           " foreach attempt in array array["
           "$a$insert into df._signal_grants (owner, grantee) values ('alice', 'mallory')$a$,"
           "$a$select df.grant_signal('mallory')$a$,"
           "$a$update df._signal_grants set revoked = true$a$,"
           "$a$select df.revoke_signal('mallory')$a$,"
           "$a$insert into df._foreign_steps (role, instance_id, node, scope, result)"
           " values ('alice', 'i', 'n', '', '{}')$a$,"
           "$a$select df._commit_foreign('i', 'n', '', '{}')$a$,"
           "$a$select df._commit_foreign(instance_id, node, scope, '{}') from df._foreign_steps$a$,"
           "$a$insert into df.submit (dsl) values ('x')$a$,"
           "$a$select df.setvar('v', 'forged')$a$] loop"
           " begin execute attempt; exception when others then null; end; end loop; end if; " +
           returns + "; end";
  }

  void nothing_is_alices() {
    CHECK(owner.number("select count(*) from df._signal_grants where owner = 'alice'::regrole") == 0);
    CHECK(owner.number("select count(*) from df._foreign_steps where role = 'alice'::regrole") == 0);
    CHECK(owner.number("select count(*) from df.instances where submitted_by = 'alice'::regrole") == 0);
    CHECK(owner.number("select count(*) from df.vars where owner = 'alice'::regrole") == 0);
    // The trap did run, in somebody else's session.
    CHECK(super.number("select count(*) from mallory.ran where who <> 'mallory'") > 0);
    super.exec("truncate mallory.ran");
  }
};

}  // namespace

TEST_CASE("code of a role that runs in another's session acts for its own role", "[smoke][S3.4][S3.5]") {
  Borrowed world;
  Sql alice = world.session("alice"), mallory = world.session("mallory");
  mallory.exec("create table mallory.ran (who text); grant insert on mallory.ran to public");
  mallory.exec("create table mallory.t (x int)");
  mallory.exec(
      "create function mallory.f(i int) returns int language plpgsql immutable as $f$ begin return i; end "
      "$f$");
  mallory.exec(
      "create index on mallory.t (mallory.f(x)); insert into mallory.t select generate_series(1, 10)");
  mallory.exec("create materialized view mallory.m as select mallory.f(x) as x from mallory.t");
  // What an index calls must not write, but what it calls may.
  mallory.exec("create function mallory.g() returns int language plpgsql as $f$ " +
               Borrowed::trap("return 1") + " $f$");
  mallory.exec(
      "create or replace function mallory.f(i int) returns int language plpgsql immutable as $f$ begin"
      " perform mallory.g(); return i; end $f$");

  SECTION("a superuser's ANALYZE, as autovacuum's") {
    world.super.exec("analyze mallory.t");
  }
  SECTION("a superuser's REFRESH MATERIALIZED VIEW") {
    world.super.exec("refresh materialized view mallory.m");
  }
  SECTION("a function of hers with her rights that alice calls") {
    mallory.exec("create function mallory.d() returns int language plpgsql security definer as $f$ " +
                 Borrowed::trap("return 1") + " $f$; grant usage on schema mallory to alice");
    alice.exec("select mallory.d()");
  }
  SECTION("a trigger of hers that the cascade of alice's DELETE fires") {
    alice.exec(
        "create table alice.c (id int primary key); insert into alice.c values (1);"
        " grant usage on schema alice to mallory; grant references on alice.c to mallory");
    mallory.exec(
        "create table mallory.o (id int references alice.c on delete cascade); insert into mallory.o values "
        "(1);"
        " create function mallory.trg() returns trigger language plpgsql as $f$ " +
        Borrowed::trap("return old") +
        " $f$;"
        " create trigger t before delete on mallory.o for each row execute function mallory.trg()");
    alice.exec("delete from alice.c");
  }
  SECTION("a function of hers with her rights that a step of alice's calls") {
    const std::string identity = GENERATE("login", "set_role");
    CAPTURE(identity);
    mallory.exec("create function mallory.d() returns int language plpgsql security definer as $f$ " +
                 Borrowed::trap("return 1") + " $f$; grant usage on schema mallory to alice");
    if (identity == "set_role") world.super.exec("grant alice to durabled_owner");
    const DaemonProcess daemon(DaemonProcess::Options{.database = world.database.conninfo(),
                                                      .settings = {{"identity.mode", identity}}});
    const std::string id =
        alice.text("insert into df.submit (dsl) values ($1) returning id", "'select mallory.d()'");
    CHECK(alice.text("select df.await_instance($1, 20)", id) == "completed");
    world.super.exec("revoke alice from durabled_owner; delete from df.instances");
  }
  world.nothing_is_alices();
}
