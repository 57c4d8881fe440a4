// Traps for every name that privileged code could look up: none of them ever runs as anybody but its maker.
#include "tests/attack/traps.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/paths.hpp"

using namespace durabled::test;

namespace {

class TrappedWorld {
 public:
  TrappedWorld() : database(shared_server().empty_database()), super(database.conninfo("postgres")) {
    for (const char* role : {"victim", "mallory"}) database.server().create_role(role);
    super.exec("set search_path = pg_catalog, pg_temp");  // the test itself must not fall into the traps
    super.exec("grant create on schema public to public; grant create on database " + database.name() +
               " to mallory; grant victim, mallory to durabled_owner");
  }

  // Statements of the test itself must not fall into the traps: no operators, and no casts.
  Sql session(const std::string& role) { return Sql(database.conninfo(role)); }

  std::string command(const std::string& role, std::vector<std::string> arguments) {
    TemporaryDirectory folder("durabled-traps");
    arguments.insert(arguments.begin(), kBinary);
    arguments.insert(arguments.end(), {"--database", database.conninfo(role)});
    ChildProcess process({.argv = arguments, .output = folder.path() / "output"});
    CHECK(process.wait(std::chrono::seconds(60)).has_value());
    return read_file(folder.path() / "output");
  }

  // The path that the role's sessions begin with has the traps first.
  void mislead(const std::string& role) {
    super.exec("alter role " + role + " in database " + database.name() +
               " set search_path = lair, pg_catalog");
  }

  // With whose rights traps have run, but for their maker's. In set_role mode his steps run over the daemon's login.
  Rows sprung_by_others() {
    return super.exec("select distinct name, what from lair.evidence where name <> 'mallory'");
  }

  TestDatabase database;
  Sql super;
};

// What clients call, as one that everybody may call would.
const std::vector<std::string>& client_calls() {
  static const std::vector<std::string> all{"select df.status($1)",
                                            "select df.result($1)",
                                            "select df.error($1)",
                                            "select df.pause($1)",
                                            "select df.resume($1)",
                                            "select df.signal($1, 'go', '{}')",
                                            "select df.explain($1)",
                                            "select * from df.history($1)",
                                            "select * from df.instance_info($1)",
                                            "select * from df.instance_nodes($1)",
                                            "select * from df.instance_executions($1)",
                                            "select * from df.waiting($1)",
                                            "select df.rerun($1)",
                                            "select df.cancel($1, 'x')"};
  return all;
}

const std::vector<std::string>& client_statements() {
  static const std::vector<std::string> all{
      "select df.setvar('a', 'b'), df.getvar('a'), df.unsetvar('a'), df.clearvars(), df.version()",
      "select df.setvar('a', 5)",
      "select * from df.list_instances()",
      "select * from df.list_instances('completed', 5, 'l')",
      "select * from df.waiting()",
      "select * from df.nodes",
      "select * from df.instances",
      "select * from df.signals",
      "select * from df.vars",
      "select df.set_limit('l', 5, '1 minute'), df.limit('select 1', 'l', '$input.n')",
      "select df._take_units('l', '1', now()), l.* from df.limits l",
      "select df.set_limit('l', null), df.start('select $input.a', input => '{\"a\": \"\\u0041\"}')",
      "select df.explain('select 1')",
      "select df.start(df.seq('select 1', df.if('select true', 'select 2', df.sleep(1)), df.join('select 1', "
      "'select 2'), df.race('select 1', 'select 2'), df.any('select 1', 'select 2'), df.loop(df.break('x')), "
      "df.for_each('select 1', 'select 2'), df.retry('select 1', 2), df.timeout('select 1', 5), "
      "df.catch('select 1', 'select 2'), df.wait_for_schedule('* * * * *'), df.wait_for_signal('x', 5), "
      "df.as('select 1', 'n')), 'l', priority => 3, idempotency_key => 'k')",
      "insert into df.submit (dsl, label) values ('''select 1''', 'l')",
      "insert into df.instances (dsl) values ('''select 1''')",
      "select df.grant_usage('victim', true, true)",
      "select df.revoke_usage('victim')",
      "select df._commit_foreign('i', 'n', '', '{}'), df._foreign_step('i', 'n', '')",
      "update df.instances set request = 'cancel'",
      "insert into df.signals (instance_id, name) values ('x', 'y')"};
  return all;
}

void call_everything(Sql& client) {
  const auto attempt = [&](const std::string& statement, auto... parameters) {
    try {
      client.exec(statement, parameters...);
    } catch (const SqlError&) {  // what is refused is refused
    }
  };
  std::string id;
  try {
    id = client.text("select df.start('select 1', 'mine')");
  } catch (const SqlError&) {
    id = "none";
  }
  for (const std::string& call : client_calls()) attempt(call, id);
  for (const std::string& statement : client_statements()) attempt(statement);
}

// One of each: steps, an error with a retry, a timer, a signal, a loop, a fan-out, and what the text says of itself.
const std::string kWorkflow =
    "df.start(df.retry('select 1 as one', 2) |=> 'a' ~> df.sleep(0.01) ~> df.for_each('select 1 as n', "
    "'select $item.n') "
    "~> df.catch('select nothing_like_this', 'select 2') ~> df.wait_for_signal('go') ~> "
    "df.loop(df.break('x')), "
    "label => 'all', priority => 2)";

void run_everything(Sql& client) {
  const std::string id = client.text("insert into df.submit (dsl) values ($1) returning id", kWorkflow);
  client.exec("select df.signal($1, 'go', '{}')", id);
  CHECK(client.text("select df.await_instance($1, 30)", id) == "completed");
}

}  // namespace

TEST_CASE("no name that privileged code uses can be given another meaning", "[S3.5]") {
  TrappedWorld world;
  Sql mallory = world.session("mallory");
  {
    TestDatabase known = fresh_database();
    Sql reader(known.conninfo());
    const std::set<std::string> words = words_of_privileged_code(reader);
    for (const char* word : {"_commit_turn", "record", "=", "||", "now", "pg_roles"}) {
      CAPTURE(word);
      CHECK(words.contains(word));
    }
    plant_traps(mallory, words);
  }
  world.mislead("durabled_owner");
  CHECK_THAT(world.command("durabled_owner", {"init"}), ContainsSubstring("is ready"));
  CHECK(world.sprung_by_others() == Rows{});
  Sql owner = world.session("durabled_owner");
  owner.exec("set search_path = pg_catalog");
  owner.exec("select df.grant_usage('victim', true), df.grant_usage('mallory', true)");
  world.mislead("mallory");

  for (const std::string identity : {"login", "set_role"}) {
    CAPTURE(identity);
    DaemonProcess daemon(DaemonProcess::Options{
        .database = world.database.conninfo(),
        .settings = {
            {"identity.mode", identity}, {"retention.keep_finished", "1h"}, {"retry.delay", "20ms"}}});
    daemon.wait_until_ready();
    // mallory: in her path, in public and in the session of her steps.
    Sql attacker = world.session("mallory");
    call_everything(attacker);
    for (int i = 0; i < 3; ++i) {
      const std::string planted = attacker.text("select df.start($1)", kPlantInSession);
      CHECK(attacker.text("select df.await_instance($1, 30)", planted).size() > 0);
      run_everything(attacker);
    }
    // The victim, with the path that everybody has.
    Sql victim = world.session("victim");
    call_everything(victim);
    run_everything(victim);
    owner.exec("select df.grant_usage('victim', true)");
    world.command("victim", {"list"});
    // The owner.
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"doctor"}, {"upgrade"}, {"list"}, {"renew-installation"}}) {
      world.command("durabled_owner", arguments);
    }
    owner.exec(
        "select * from df.metrics(); select df.prune('1 day'); select df.revoke_usage('victim'); "
        "select df.grant_usage('victim', true, true)");
    CHECK(daemon.sigterm_and_wait() == 0);
    CHECK(world.sprung_by_others() == Rows{});
  }

  SECTION("the traps do work, for whoever looks names up") {
    Sql attacker = world.session("mallory");
    world.super.exec("truncate lair.evidence");
    attacker.exec("select 1 = 2, 'a'::text, now() from pg_catalog.pg_class limit 1");
    CHECK(world.super.number("select count(distinct split_part(what, ' ', 1)) from lair.evidence") == 3);
    // As a function of the schema would be that pins no path and qualifies nothing.
    owner.exec(
        "create function df.careless() returns void language plpgsql security definer as $$ declare r "
        "record; begin "
        "select 1 as a, 2 as b into r; if 1 = 2 then perform now(); end if; perform now(); end $$; "
        "grant execute on function df.careless() to mallory");
    attacker.exec("select df.careless()");
    CHECK(world.super.exec("select distinct split_part(what, ' ', 1) from lair.evidence where "
                           "name = 'durabled_owner' order by 1") ==
          Rows{{"function"}, {"operator"}, {"type"}});
  }
}

TEST_CASE("the code that has no search_path of its own qualifies every name", "[smoke][S3.5]") {
  CHECK(unqualified_names("declare r record; x text; begin if a = b or a operator(pg_catalog.=) 'x = y' then "
                          "perform now(); -- c < d\n y := pg_catalog.now(); end if; end") ==
        std::set<std::string>{"=", "now", "record", "text"});
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  int looked_at = 0;
  for (const Row& row :
       owner.exec("select p.proname, p.prosrc from pg_proc p where p.pronamespace = 'df'::regnamespace and "
                  "p.prosqlbody is "
                  "null and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)")) {
    INFO("df." << row[0].value());
    CHECK(unqualified_names(row[1].value()) == std::set<std::string>{});
    ++looked_at;
  }
  CHECK(looked_at == 11);
}
