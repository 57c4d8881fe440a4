// One session of a step against a server: what comes back, what is committed, and what the next step finds.
#include <algorithm>

#include "store/store_error.hpp"
#include "tests/store/held_instance.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using Commit = store::CommitOutcome::Kind;

namespace {

constexpr const char* kInsert = "insert into public.effects values (1)";

std::string code_of(const store::StepOutcome& outcome) {
  return outcome.failure ? outcome.failure->code : "succeeded";
}

// The first column of the one row, as JSON.
std::string value_of(const store::StepOutcome& outcome) {
  REQUIRE(outcome.result);
  const std::string& json = *outcome.result;
  const std::size_t from = json.find(':', json.find("\"rows\":[{") + 9) + 1;
  return json.substr(from, json.find("}]", from) - from);
}

// Of the session's backend.
int pid_of(HeldInstance& held, store::StepSession& session) {
  const int pid = std::stoi(value_of(run_step(session, held.statement("select pg_backend_pid() as pid"))));
  roll_back(session);
  return pid;
}

void terminate(HeldInstance& held, int pid) {
  Sql postgres(held.conninfo("postgres"));
  postgres.exec("select pg_terminate_backend($1::int)", pid);
  wait_until("the session has ended",
             [&] { return postgres.exec("select from pg_stat_activity where pid = $1::int", pid).empty(); });
}

}  // namespace

TEST_CASE("a step's result is there before its commit, and its effect with it") {
  HeldInstance held;
  const auto session = held.session({.pooled = GENERATE(false, true)});
  const store::StepOutcome outcome =
      run_step(*session, held.statement(std::string(kInsert) + " returning n, 'x' as t"));
  REQUIRE(outcome.result);
  CHECK(*outcome.result ==
        R"({"rows":[{"n":1,"t":"x"}],"row_count":1,"columns":[{"name":"n","type":"integer"},)"
        R"({"name":"t","type":"text"}],"affected":1})");
  CHECK(held.effects() == 0);
  CHECK(commit_step(*session, held.checkpoint(1)).kind == Commit::kCommitted);
  CHECK(held.effects() == 1);
  CHECK(held.events() == 1);
  CHECK_FALSE(session->lost());
}

TEST_CASE("a session runs one step after the other") {
  HeldInstance held;
  const auto session = held.session({.pooled = GENERATE(false, true)});
  for (int seq = 1; seq <= 5; ++seq) {
    REQUIRE(run_step(*session, held.statement(kInsert)).result);
    REQUIRE(commit_step(*session, held.checkpoint(seq)).kind == Commit::kCommitted);
  }
  CHECK(held.effects() == 5);
  CHECK(held.events() == 5);
}

TEST_CASE("a step knows whose it is") {
  HeldInstance held;
  const auto session = held.session();
  store::StepStatement statement = held.statement(
      "select concat_ws(' ', current_setting('df.instance_id'), current_setting('df.label'),"
      " current_setting('df.node_id'), current_setting('df.attempt'), current_user) as v");
  statement.attempt = 7;
  CHECK(value_of(run_step(*session, statement)) == "\"" + held.id() + " label 00000001 7 alice\"");
}

TEST_CASE("a step that is traced can read its trace, and the one after it cannot") {
  HeldInstance held;
  const auto session = held.session({.pooled = GENERATE(false, true)});
  store::StepStatement statement =
      held.statement("select coalesce(current_setting('df.traceparent', true), '') as v");
  store::StepStatement traced = statement;
  traced.traceparent = "00-281bf738ab4957f5add57531ee3ac9c8-b86d858c456db98e-01";
  CHECK(value_of(run_step(*session, traced)) == '"' + traced.traceparent + '"');
  SECTION("rolled back") {
    roll_back(*session);
  }
  SECTION("committed") {
    REQUIRE(commit_step(*session, held.checkpoint(1)).kind == Commit::kCommitted);
  }
  CHECK(value_of(run_step(*session, statement)) == "\"\"");
}

TEST_CASE("a step that is traced and runs alone can read its trace, and the one after it cannot") {
  HeldInstance held;
  held.alice().exec(
      "create table traces (v text); create procedure trace() language plpgsql as $$ begin commit;"
      " insert into public.traces values (current_setting('df.traceparent', true)); end $$");
  const auto session = held.session();
  store::StepStatement traced = held.statement("call trace()");
  traced.alone = true;
  traced.traceparent = "00-281bf738ab4957f5add57531ee3ac9c8-b86d858c456db98e-01";
  REQUIRE(code_of(run_step(*session, traced)) == "succeeded");
  CHECK(held.alice().text("select v from traces") == traced.traceparent);
  CHECK(value_of(run_step(
            *session, held.statement("select coalesce(current_setting('df.traceparent', true), '') as v"))) ==
        "\"\"");
}

TEST_CASE("what is rolled back has not happened, and the session goes on") {
  HeldInstance held;
  const auto session = held.session();
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  roll_back(*session);
  CHECK(held.effects() == 0);
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  CHECK(commit_step(*session, held.checkpoint(1)).kind == Commit::kCommitted);
  CHECK(held.effects() == 1);
}

TEST_CASE("a statement fails with the server's SQLSTATE, and the session goes on") {
  struct Case {
    const char* sql;
    const char* code;
    bool transient;
  };
  HeldInstance held;
  const auto session = held.session();
  for (const auto& [sql, code, transient] : std::vector<Case>{
           {"select 1/0 as x", "22012", false},
           {"select from nowhere", "42P01", false},
           {"selec", "42601", false},
           {"select $1", "42P02", false},
           {"select 1 as a, 2 as a", "42701", false},
           {"copy public.effects to stdout", "0A000", false},
           {"select repeat('x', 2000000) as x", "54000", false},
           {"do $$ begin raise exception 'made up' using errcode = '40001'; end $$", "40001", true},
           {"do $$ begin raise exception 'made up' using errcode = '57P03'; end $$", "57P03", true},
           {"do $$ begin raise exception 'made up' using errcode = 'DF001'; end $$", "DF001", false},
       }) {
    INFO(sql);
    const auto own = std::string(code) == "54000" || std::string(code) == "0A000" ? held.session() : nullptr;
    store::StepSession& used = own ? *own : *session;
    const store::StepOutcome outcome = run_step(used, held.statement(sql));
    CHECK(code_of(outcome) == code);
    CHECK_FALSE(outcome.result);
    CHECK_FALSE(outcome.never_began);
    CHECK_FALSE(outcome.needs_to_run_alone);
    CHECK((outcome.failure && outcome.failure->transient) == transient);
    if (!used.lost()) roll_back(used);
  }
  CHECK_FALSE(session->lost());
  CHECK(value_of(run_step(*session, held.statement("select 1 as x"))) == "1");
}

TEST_CASE("a commit without the lease writes nothing, and says so") {
  HeldInstance held;
  const auto session = held.session();
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  store::StepCommit commit = held.checkpoint(1);
  commit.token += 1;
  CHECK(commit_step(*session, commit).kind == Commit::kLeaseLost);
  roll_back(*session);
  CHECK(held.effects() == 0);
  CHECK(held.events() == 0);
}

TEST_CASE("a step cannot pretend that the lease is lost") {
  HeldInstance held;
  held.alice().exec(
      "create function lie() returns trigger language plpgsql as $$ begin"
      " raise exception 'a lie' using errcode = 'DF001'; end $$;"
      "create constraint trigger lie after insert on public.effects deferrable initially deferred"
      " for each row execute function lie()");
  const auto session = held.session();
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  const store::CommitOutcome outcome = commit_step(*session, held.checkpoint(1));
  CHECK(outcome.kind == Commit::kRefused);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == "DF001");
  roll_back(*session);
  CHECK(held.effects() == 0);
}

TEST_CASE("a deferred constraint refuses the commit, which then has written nothing") {
  HeldInstance held;
  held.alice().exec(
      "alter table public.effects add constraint once unique (n) deferrable initially deferred");
  const auto session = held.session();
  REQUIRE(run_step(*session, held.statement("insert into public.effects values (1), (1)")).result);
  const store::CommitOutcome outcome = commit_step(*session, held.checkpoint(1));
  CHECK(outcome.kind == Commit::kRefused);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == "23505");
  roll_back(*session);
  CHECK(held.effects() == 0);
  CHECK(held.events() == 0);
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  CHECK(commit_step(*session, held.checkpoint(1)).kind == Commit::kCommitted);
}

TEST_CASE("a step that ends its transaction fails, and the session goes on") {
  HeldInstance held;
  const auto session = held.session();
  const std::string statement = GENERATE(as<std::string>(), "commit", "end", "rollback", "abort",
                                         "commit and chain", "rollback and chain");
  INFO(statement);
  CHECK(code_of(run_step(*session, held.statement(statement))) == "DF002");
  roll_back(*session);
  CHECK(held.events() == 0);
  CHECK(value_of(run_step(*session, held.statement("select 1 as x"))) == "1");
}

TEST_CASE("within a step's transaction, no code can end it") {
  HeldInstance held;
  held.alice().exec(
      "create procedure ends() language plpgsql as $$ begin insert into public.effects values (1); commit; "
      "end $$");
  const std::string statement =
      GENERATE(as<std::string>(), "call ends()", "do $$ begin commit; end $$", "do $$ begin rollback; end $$",
               "do $$ begin execute 'commit'; end $$", "do $$ begin call ends(); end $$",
               "prepare p as commit", "explain analyze commit", "savepoint s; commit");
  INFO(statement);
  const auto session = held.session();
  CHECK_FALSE(run_step(*session, held.statement(statement)).result);
  roll_back(*session);
  CHECK(held.effects() == 0);
}

TEST_CASE("an instance whose row a client has locked is busy, not lost") {
  HeldInstance held;
  const auto session = held.session();
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  held.owner().exec("begin; select from df.instances where id = '" + held.id() + "' for update");
  CHECK(commit_step(*session, held.checkpoint(1)).kind == Commit::kBusy);
  held.owner().exec("rollback");
  roll_back(*session);
  CHECK(held.effects() == 0);
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  CHECK(commit_step(*session, held.checkpoint(1)).kind == Commit::kCommitted);
}

TEST_CASE("what one step leaves in the session, the next one does not find") {
  HeldInstance held;
  const auto session = held.session({.pooled = GENERATE(false, true)});
  const bool is_committed = GENERATE(true, false);
  int seq = 0;
  for (const char* leaves : {
           "create temporary table left_over (n int)",
           "set search_path = nowhere",
           "set statement_timeout = 100000",
           "select pg_advisory_lock(1)",
           "listen left_over",
           "prepare left_over as select 1",
           "declare left_over cursor with hold for select 1",
           "select set_config('df.left_over', 'x', false)",
           "set role alice",
       }) {
    INFO(leaves);
    const store::StepOutcome outcome = run_step(*session, held.statement(leaves));
    CHECK(code_of(outcome) == "succeeded");
    if (is_committed && outcome.result) {
      REQUIRE(commit_step(*session, held.checkpoint(++seq)).kind == Commit::kCommitted);
    } else {
      roll_back(*session);
    }
    REQUIRE_FALSE(session->lost());
    CHECK(value_of(run_step(
              *session,
              held.statement(
                  "select concat_ws(',', to_regclass('left_over'), current_setting('search_path'),"
                  " current_setting('statement_timeout'), (select count(*) from pg_locks where locktype ="
                  " 'advisory' and pid = pg_backend_pid()), (select count(*) from pg_listening_channels()),"
                  " (select count(*) from pg_prepared_statements),"
                  " (select count(*) from pg_cursors where name = 'left_over'),"
                  " nullif(current_setting('df.left_over', true), ''), current_setting('role')) as v"))) ==
          R"("\"$user\", public,0,0,0,0,0,none")");
    roll_back(*session);
  }
}

TEST_CASE("a statement that refuses a transaction block runs outside one") {
  HeldInstance held;
  held.alice().exec(
      "create procedure twice() language plpgsql as $$ begin insert into public.effects values (1); commit;"
      " insert into public.effects values (2); end $$");
  const std::string sql = GENERATE(as<std::string>(), "vacuum public.effects", "call twice()");
  INFO(sql);
  const auto session = held.session();
  store::StepStatement statement = held.statement(sql);
  store::StepOutcome outcome = run_step(*session, statement);
  CHECK(outcome.failure);
  CHECK(outcome.needs_to_run_alone);
  roll_back(*session);
  CHECK(held.effects() == 0);
  statement.alone = true;
  outcome = run_step(*session, statement);
  CHECK(code_of(outcome) == "succeeded");
  CHECK(held.effects() == (sql == "call twice()" ? 2 : 0));
  CHECK(value_of(run_step(*session, held.statement("select 1 as x"))) == "1");
}

TEST_CASE("a failure that a step makes up does not run it outside its transaction") {
  HeldInstance held;
  const auto session = held.session();
  const store::StepOutcome outcome = run_step(
      *session, held.statement("do $$ begin raise exception 'made up' using errcode = '25001'; end $$"));
  CHECK(code_of(outcome) == "25001");
  CHECK_FALSE(outcome.needs_to_run_alone);
}

TEST_CASE("types that the session has not met are asked for, each time") {
  HeldInstance held;
  held.alice().exec(
      "create type mood as enum ('good', 'bad'); create type pair as (a int, m mood);"
      "create domain small as int check (value < 10)");
  const auto session = held.session();
  for (int i = 0; i < 2; ++i) {
    CHECK(value_of(run_step(*session, held.statement("select array[row(1, 'good')::pair, null] as v"))) ==
          R"([{"a":1,"m":"good"},null])");
    roll_back(*session);
  }
  CHECK(value_of(run_step(*session, held.statement("select 3::small as v"))) == "3");
  roll_back(*session);
  held.alice().exec("alter type pair rename attribute a to b");
  CHECK(value_of(run_step(*session, held.statement("select row(1, 'good')::pair as v"))) ==
        R"({"b":1,"m":"good"})");
}

TEST_CASE("a running statement can be stopped, and the session goes on") {
  HeldInstance held;
  const auto session = held.session();
  const int pid = pid_of(held, *session);
  session->run(held.statement("select pg_sleep(60) as x"));
  Sql postgres(held.conninfo("postgres"));
  wait_until("it sleeps", [&] {
    session->advance();
    return postgres.number(
               "select count(*) from pg_stat_activity where pid = $1::int and wait_event = 'PgSleep'", pid) ==
           1;
  });
  session->canceller()();
  finish_exchange(*session);
  CHECK(code_of(session->take_outcome()) == "57014");
  roll_back(*session);
  CHECK_FALSE(session->lost());
}

TEST_CASE("a statement whose session was dead before it began is given back unharmed") {
  HeldInstance held;
  const auto session = held.session();
  terminate(held, pid_of(held, *session));
  const store::StepOutcome outcome = run_step(*session, held.statement(kInsert));
  CHECK(outcome.failure);
  CHECK(outcome.never_began);
  CHECK(session->lost());
  CHECK(session->take_statement().sql == kInsert);
}

TEST_CASE("an idle session notices that its connection is gone") {
  HeldInstance held;
  const auto session = held.session();
  CHECK(session->check_idle());
  terminate(held, pid_of(held, *session));
  wait_until("it notices", [&] { return !session->check_idle(); });
  CHECK(session->lost());
}

TEST_CASE("a session that ends during its statement fails it as transient, with no effect") {
  HeldInstance held;
  const auto session = held.session();
  const store::StepOutcome outcome = run_step(
      *session, held.statement("with e as (insert into public.effects values (1) returning n)"
                               " select n, pg_terminate_backend(pg_backend_pid()), pg_sleep(60) from e"));
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->transient);
  CHECK_FALSE(outcome.never_began);
  CHECK(session->lost());
  CHECK(held.effects() == 0);
}

TEST_CASE("a session that ends between its statement and its commit has not committed") {
  HeldInstance held;
  const auto session = held.session();
  const int pid = pid_of(held, *session);
  REQUIRE(run_step(*session, held.statement(kInsert)).result);
  terminate(held, pid);
  const Commit kind = commit_step(*session, held.checkpoint(1)).kind;
  CHECK((kind == Commit::kRefused || kind == Commit::kInDoubt));
  CHECK(session->lost());
  CHECK(held.effects() == 0);
}

TEST_CASE("a step of another database runs once, and is remembered there") {
  HeldInstance held;
  const TestDatabase there = fresh_database();
  Sql owner(there.conninfo());
  owner.exec(
      "select df.grant_usage('alice'); create table public.effects (n int);"
      "grant select, insert on public.effects to alice");
  const store::StepSession::Options options = {.foreign = true, .installation = "here"};
  const std::string sql = std::string(kInsert) + " returning n";
  std::string result;
  {
    const auto session = open_session(there.conninfo(), "alice", options);
    const store::StepOutcome outcome = run_step(*session, held.statement(sql));
    CHECK_FALSE(outcome.at_least_once);
    CHECK_FALSE(outcome.already_committed);
    REQUIRE(outcome.result);
    result = *outcome.result;
    session->commit_foreign(result);
    finish_exchange(*session);
    CHECK(session->take_commit_outcome().kind == Commit::kCommitted);
  }
  const auto session = open_session(there.conninfo(), "alice", options);
  const store::StepOutcome again = run_step(*session, held.statement(sql));
  CHECK(again.already_committed);
  CHECK(again.result == result);
  roll_back(*session);
  store::StepStatement other = held.statement(sql);
  other.scope = "1";
  CHECK_FALSE(run_step(*session, other).already_committed);
  roll_back(*session);
  const auto another_installation =
      open_session(there.conninfo(), "alice", {.foreign = true, .installation = "there"});
  CHECK_FALSE(run_step(*another_installation, held.statement(sql)).already_committed);
  CHECK(owner.number("select count(*) from public.effects") == 1);
}

TEST_CASE("a step of a database without the schema is at-least-once, and says so") {
  HeldInstance held;
  const TestDatabase there = shared_server().empty_database();
  const auto session = open_session(there.conninfo(), "alice", {.foreign = true, .installation = "here"});
  const store::StepOutcome outcome = run_step(*session, held.statement("select 1 as x"));
  CHECK(outcome.result);
  CHECK(outcome.at_least_once);
}

TEST_CASE("a login is refused for a reason that says whether trying again may help") {
  HeldInstance held;
  const auto kind_of = [&](const std::string& role, store::StepSession::Options options) {
    try {
      open_session(held.conninfo(), role, options);
    } catch (const store::StoreError& error) {
      return error.kind();
    }
    throw std::runtime_error("it was not refused");
  };
  using Kind = store::StoreError::Kind;
  CHECK(kind_of("nobody_of_that_name", {}) == Kind::kTransient);
  held.database().server().create_role("without_usage");
  CHECK(kind_of("without_usage", {}) == Kind::kPermanent);
  CHECK(kind_of("alice", {.role = 1}) == Kind::kTransient);
}
