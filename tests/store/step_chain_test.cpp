// A commit and the next step in one exchange: what runs, what is told when, and what the next step finds.
#include "tests/store/held_instance.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using Commit = store::CommitOutcome::Kind;
using Progress = store::StepSession::Progress;

namespace {

constexpr const char* kInsert = "insert into public.effects values (1)";
constexpr const char* kNext = "insert into public.effects values (2) returning n";

struct Chain : HeldInstance {
  std::unique_ptr<store::StepSession> open;
  int seq = 0;

  explicit Chain(store::StepSession::Options options = {}) : open(session(options)) {}
  void first(const std::string& sql) { REQUIRE(run_step(*open, statement(sql)).result); }
  void commit_and_run(const std::string& sql) { open->commit_and_run(checkpoint(++seq), statement(sql)); }
  // After commit_and_run(): what the next step returned.
  store::StepOutcome next() {
    CHECK(await_progress(*open) == Progress::kCommitted);
    CHECK(open->take_commit_outcome().kind == Commit::kCommitted);
    CHECK(await_progress(*open) == Progress::kOver);
    return open->take_outcome();
  }
};

}  // namespace

TEST_CASE("a commit and the next step are one exchange, and each is told when it is over") {
  Chain chain({.pooled = GENERATE(false, true)});
  chain.first(kInsert);
  for (int i = 0; i < 3; ++i) {
    chain.commit_and_run(kNext);
    CHECK(chain.next().result ==
          R"({"rows":[{"n":2}],"row_count":1,"columns":[{"name":"n","type":"integer"}],"affected":1})");
    CHECK(chain.events() == i + 1);
    CHECK(chain.effects() == i + 1);
  }
  CHECK(commit_step(*chain.open, chain.checkpoint(++chain.seq)).kind == Commit::kCommitted);
  CHECK(chain.effects() == 4);
}

TEST_CASE("the commit is told of while the next step runs") {
  Chain chain;
  chain.first(kInsert);
  Sql postgres(chain.conninfo("postgres"));
  chain.owner().exec("select pg_advisory_lock(1)");
  chain.commit_and_run("select pg_advisory_xact_lock(1)");
  CHECK(await_progress(*chain.open) == Progress::kCommitted);
  CHECK(chain.open->take_commit_outcome().kind == Commit::kCommitted);
  CHECK(chain.effects() == 1);
  wait_until("the next one waits", [&] {
    return postgres.number(
               "select count(*) from pg_locks where locktype = 'advisory' and not granted and database ="
               " (select oid from pg_database where datname = current_database())") == 1;
  });
  CHECK(chain.open->advance() == Progress::kWaits);
  chain.owner().exec("select pg_advisory_unlock(1)");
  CHECK(await_progress(*chain.open) == Progress::kOver);
  CHECK(chain.open->take_outcome().result);
}

TEST_CASE("after a commit that is refused the next step never runs") {
  Chain chain;
  const std::string why = GENERATE("the lease", "a constraint", "a lock", "a trigger at the commit");
  INFO(why);
  chain.alice().exec(
      "create table public.once (n int unique deferrable initially deferred);"
      "create function refuse() returns trigger language plpgsql as $$ begin"
      " if tg_name = 'again' then set constraints twice deferred; insert into public.late values (1);"
      " else raise exception 'late' using errcode = '22000'; end if; return null; end $$;"
      "create table public.early (n int); create table public.late (n int);"
      "create constraint trigger again after insert on public.early deferrable initially deferred"
      " for each row execute function refuse();"
      "create constraint trigger twice after insert on public.late deferrable initially deferred"
      " for each row execute function refuse()");
  store::StepCommit commit = chain.checkpoint(1);
  chain.first(why == "a constraint"              ? "insert into public.once values (1), (1)"
              : why == "a trigger at the commit" ? "insert into public.early values (1)"
                                                 : kInsert);
  if (why == "the lease") commit.token += 1;
  if (why == "a lock")
    chain.owner().exec("begin; select from df.instances where id = '" + chain.id() + "' for update");
  chain.open->commit_and_run(commit, chain.statement(kNext));
  CHECK(await_progress(*chain.open) == Progress::kOver);
  const store::CommitOutcome outcome = chain.open->take_commit_outcome();
  CHECK(outcome.kind == (why == "the lease" ? Commit::kLeaseLost
                         : why == "a lock"  ? Commit::kBusy
                                            : Commit::kRefused));
  if (why == "a lock") chain.owner().exec("rollback");
  roll_back(*chain.open);
  CHECK_FALSE(chain.open->lost());
  CHECK(chain.effects() == 0);
  CHECK(chain.events() == 0);
  chain.first(kInsert);
  CHECK(commit_step(*chain.open, chain.checkpoint(1)).kind == Commit::kCommitted);
}

TEST_CASE("a chained step that fails is rolled back, and the one before it is not") {
  Chain chain;
  chain.first("set search_path = nowhere");
  chain.commit_and_run("select 1/0 as x");
  const store::StepOutcome outcome = chain.next();
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == "22012");
  CHECK_FALSE(outcome.never_began);
  CHECK(chain.events() == 1);
  roll_back(*chain.open);
  CHECK_FALSE(chain.open->lost());
  // What the first step set has not come back with that rollback.
  CHECK_THAT(
      run_step(*chain.open, chain.statement("select current_setting('search_path') as v")).result.value(),
      ContainsSubstring("public"));
}

TEST_CASE("a chained step finds nothing that the step before it left") {
  Chain chain;
  chain.alice().exec(
      "create sequence public.numbers; create table public.late (n int);"
      "create function plant() returns trigger language plpgsql as $$ begin"
      " if pg_trigger_depth() = 1 and tg_name = 'first' then"
      "  set constraints all deferred; insert into public.late values (2); return null; end if;"
      " create temporary table left_over (n int); execute 'prepare left_over as select 1';"
      " perform set_config('search_path', 'nowhere', false), set_config('df.left_over', 'x', false),"
      "  set_config('default_transaction_isolation', 'serializable', false),"
      "  set_config('default_transaction_read_only', 'on', false), pg_advisory_lock(42), nextval('numbers');"
      " execute 'listen left_over'; execute 'declare left_over cursor with hold for select 1'; return null; "
      "end $$;"
      "create constraint trigger second after insert on public.late deferrable initially deferred"
      " for each row when (new.n = 2) execute function plant();"
      "create constraint trigger first after insert on public.late deferrable initially deferred"
      " for each row when (new.n = 1) execute function plant()");
  for (const char* leaves : {
           "create temporary table left_over (n int)", "set search_path = nowhere",
           "set default_transaction_isolation = 'serializable'", "set default_transaction_read_only = on",
           "set session characteristics as transaction isolation level repeatable read",
           "select pg_advisory_lock(1)", "listen left_over", "prepare left_over as select 1",
           "prepare _df_begin as select 1", "declare left_over cursor with hold for select 1",
           "select set_config('df.left_over', 'x', false)",
           "select set_config('log_parameter_max_length_on_error', '-1', false)",
           "select set_config('role', 'alice', false)", "set session authorization alice",
           "select nextval('public.numbers')",
           "insert into public.late values (1)",  // at the commit, after the checkpoint
       }) {
    INFO(leaves);
    const std::string next = GENERATE("commits", "is rolled back", "fails");
    INFO("the next one " << next);
    chain.first(leaves);
    constexpr const char* kLook =
        "select concat_ws(',', to_regclass('left_over'), current_setting('search_path'), (select count(*) "
        "from"
        " pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),"
        " (select count(*) from pg_listening_channels()), (select count(*) from pg_prepared_statements),"
        " (select count(*) from pg_cursors where name = 'left_over'),"
        " nullif(current_setting('df.left_over', true), ''), current_setting('role'),"
        " current_setting('transaction_isolation'), current_setting('transaction_read_only'),"
        " current_setting('log_parameter_max_length_on_error'), current_setting('df.node_id')) as v";
    const std::string expected = "\"v\":\"\\\"$user\\\", public,0,0,0,0,none,read committed,off,0,00000001\"";
    chain.commit_and_run(next == std::string("fails") ? "select lastval()" : kLook);
    const store::StepOutcome outcome = chain.next();
    if (next == std::string("fails")) {
      REQUIRE(outcome.failure);
      CHECK(outcome.failure->code == "55000");  // lastval is not yet defined in this session
    } else {
      REQUIRE(outcome.result);
      CHECK_THAT(*outcome.result, ContainsSubstring(expected));
    }
    if (next == std::string("commits")) {
      REQUIRE(commit_step(*chain.open, chain.checkpoint(++chain.seq)).kind == Commit::kCommitted);
    } else {
      roll_back(*chain.open);
    }
    REQUIRE_FALSE(chain.open->lost());
    const store::StepOutcome third = run_step(*chain.open, chain.statement(kLook));
    REQUIRE(third.result);
    CHECK_THAT(*third.result, ContainsSubstring(expected));
    roll_back(*chain.open);
  }
}

TEST_CASE("where what a step left cannot be taken away, the next one has not begun and the session is lost") {
  Chain chain;
  chain.first(kInsert);
  chain.owner().exec("revoke execute on procedure df._end_step() from alice");
  chain.commit_and_run(kNext);
  const store::StepOutcome outcome = chain.next();
  CHECK(outcome.failure);
  CHECK(outcome.never_began);
  CHECK(chain.open->lost());
  CHECK(chain.open->take_statement().sql == kNext);
  CHECK(chain.events() == 1);
  CHECK(chain.effects() == 1);
}

TEST_CASE("a chained step whose session ends fails as transient, with no effect of its own") {
  Chain chain;
  chain.first(kInsert);
  chain.commit_and_run(
      "with e as (insert into public.effects values (2) returning n)"
      " select n, pg_terminate_backend(pg_backend_pid()), pg_sleep(60) from e");
  const store::StepOutcome outcome = chain.next();
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->transient);
  CHECK_FALSE(outcome.never_began);
  CHECK(chain.open->lost());
  CHECK(chain.effects() == 1);
  CHECK(chain.events() == 1);
}

TEST_CASE("a role whose transactions are read-only by default chains its steps") {
  Chain chain;
  chain.owner();
  Sql postgres(chain.conninfo("postgres"));
  postgres.exec("alter role alice set default_transaction_read_only = on");
  chain.open = chain.session();
  chain.first("select 1 as x");
  chain.commit_and_run("select current_setting('transaction_read_only') as v");
  CHECK_THAT(chain.next().result.value(), ContainsSubstring("\"v\":\"on\""));
  chain.commit_and_run(kInsert);
  const store::StepOutcome outcome = chain.next();
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == "25006");
  postgres.exec("alter role alice reset default_transaction_read_only");
}

TEST_CASE("a chained step may return types that the session has not met") {
  Chain chain;
  chain.alice().exec("create type public.mood as enum ('good', 'bad')");
  chain.first("select 1 as x");
  chain.commit_and_run("select 'good'::public.mood as m");
  CHECK_THAT(chain.next().result.value(), ContainsSubstring("\"m\":\"good\""));
}

TEST_CASE("a chained step that refuses a transaction block says so") {
  Chain chain;
  chain.first("select 1 as x");
  chain.commit_and_run("vacuum public.effects");
  CHECK(chain.next().needs_to_run_alone);
}
