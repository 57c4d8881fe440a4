// Steps that share a transaction: what each returns, what is recorded, and what one of them leaves for the others.
#include "tests/store/held_instance.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using namespace durabled::test;
using Commit = store::CommitOutcome::Kind;
using Strings = std::vector<std::string>;

namespace {

// Four instances that are held, and a session for their steps.
struct Group : HeldInstance {
  std::vector<store::ClaimedInstance> instances;
  std::unique_ptr<store::StepSession> open;

  explicit Group(store::StepSession::Options options = {}) {
    alice().exec("insert into df.submit (dsl) select '''select 1''' from generate_series(1, 4)");
    store::PollRequest request;
    request.limit = 4;
    instances = store().poll(worker(), request).claimed;
    REQUIRE(instances.size() == 4);
    open = session(options);
  }

  store::GroupOutcome run(const Strings& texts, const std::string& role = "none") {
    std::vector<store::StepStatement> statements;
    for (const std::string& text : texts) {
      statements.push_back(statement(text));
      statements.back().instance_id = instances[statements.size() - 1].id;
      statements.back().role = role;
    }
    open->run_group(std::move(statements));
    finish_exchange(*open);
    return open->take_group_outcome();
  }
  store::StepCommit commit_of(std::size_t place, std::int64_t seq) {
    store::StepCommit commit = checkpoint(seq);
    commit.instance_id = instances[place].id;
    commit.claim_key = instances[place].claim_key;
    commit.token = instances[place].token;
    return commit;
  }
  store::CommitOutcome commit(const std::vector<store::StepCommit>& commits) {
    open->commit_group(commits);
    finish_exchange(*open);
    return open->take_commit_outcome();
  }
  store::CommitOutcome commit(std::size_t members) {
    std::vector<store::StepCommit> commits;
    for (std::size_t i = 0; i < members; ++i) commits.push_back(commit_of(i, 1));
    return commit(commits);
  }
  long long recorded() { return owner().number("select count(*) from df.events"); }
  std::string column(const std::string& sql) {
    std::string all;
    for (const auto& row : Sql(conninfo("postgres")).exec(sql))
      all += (all.empty() ? "" : " ") + row[0].value_or("null");
    return all;
  }
};

// The first column of the one row of each, as JSON.
Strings values(const store::GroupOutcome& outcome) {
  Strings all;
  for (const store::StepOutcome& step : outcome.steps) {
    REQUIRE(step.result);
    const std::size_t from = step.result->find(':', step.result->find("\"rows\":[{") + 9) + 1;
    all.push_back(step.result->substr(from, step.result->find("}]", from) - from));
  }
  return all;
}

constexpr const char* kInsert = "insert into public.effects values (1)";

}  // namespace

TEST_CASE("steps of a group have their results, and are committed as one") {
  Group group;
  const auto outcome =
      group.run({kInsert, "insert into public.effects values (2) returning n",
                 "select pg_current_xact_id()::text as x", "select pg_current_xact_id()::text as x"});
  REQUIRE(outcome.steps.size() == 4);
  CHECK(*outcome.steps[0].result == R"({"rows":[],"row_count":0,"columns":[],"affected":1})");
  CHECK(*outcome.steps[1].result ==
        R"({"rows":[{"n":2}],"row_count":1,"columns":[{"name":"n","type":"integer"}],"affected":1})");
  CHECK(*outcome.steps[2].result == *outcome.steps[3].result);
  CHECK(group.effects() == 0);
  CHECK(group.commit(4).kind == Commit::kCommitted);
  CHECK(group.effects() == 2);
  CHECK(group.recorded() == 4);
  CHECK(group.owner().number("select count(*) from df.events where started_at <= at") == 4);
  CHECK(run_step(*group.open, group.statement("select 1")).result);
  CHECK_FALSE(group.open->lost());
}

TEST_CASE("each step of a group has its own settings, and finds none of another's") {
  Group group;
  group.alice().exec(
      "create function public.spoil() returns int language plpgsql as $$ begin"
      " perform set_config('search_path', 'nowhere', false), set_config('df.label', 'mine', false),"
      "  set_config('work_mem', '1MB', true), set_config('alice.own', 'x', false);"
      " create temp table orders (n int); execute 'prepare mine as select 1'; execute 'listen mine';"
      " execute 'declare mine cursor with hold for select 1'; execute 'set constraints all deferred';"
      " perform nextval('public.numbers'), pg_advisory_lock(7); return 1; end $$;"
      "create function public.look() returns text language plpgsql as $$ begin"
      " return concat_ws(' ', current_setting('search_path'), current_setting('df.label'), "
      "current_setting('work_mem'),"
      "  coalesce(nullif(current_setting('alice.own', true), ''), 'unset'), to_regclass('orders'), (select "
      "count(*) from "
      "pg_prepared_statements),"
      "  (select count(*) from pg_cursors where name = 'mine'), current_setting('df.in_workflow')); end $$;"
      "create sequence public.numbers");
  const std::string expected = values(group.run({"select public.look()"})).at(0);
  REQUIRE(group.commit(1).kind == Commit::kCommitted);
  const auto outcome = group.run({"select public.spoil() as n", "select public.look()",
                                  "select current_setting('df.instance_id') as i", "select 1"});
  CHECK_FALSE(outcome.failure);
  CHECK(values(outcome) == Strings{"1", expected, '"' + group.instances[2].id + '"', "1"});
  CHECK(group
            .commit(
                {group.commit_of(0, 2), group.commit_of(1, 2), group.commit_of(2, 2), group.commit_of(3, 2)})
            .kind == Commit::kCommitted);
  CHECK(values(group.run(
            {"select public.look()", "select count(*) as n from pg_locks where locktype = 'advisory'",
             "select count(*) as n from pg_listening_channels()"})) == Strings{expected, "0", "0"});
}

TEST_CASE("a member that fails is named, and nothing of its group is left") {
  Group group;
  struct Case {
    std::string sql, code;
  };
  group.alice().exec(
      "create function public.commits() returns int language plpgsql as $$ begin commit; return 1; end $$");
  const Case bad =
      GENERATE(Case{"select 1/0", "22012"}, Case{"select 1 as a, 2 as a", "42701"},
               Case{"select repeat('x', 2000000)", "54000"}, Case{"rollback to savepoint a", "3B001"},
               Case{"release savepoint a", "3B001"}, Case{"select public.commits()", "2D000"},
               Case{"select pg_terminate_backend(pg_backend_pid())", "57P01"});
  CAPTURE(bad.sql);
  const auto outcome = group.run({kInsert, bad.sql, kInsert});
  CHECK(outcome.steps.empty());
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == bad.code);
  CHECK(outcome.culprit == 1U);
  CHECK_FALSE(outcome.never_began);
  if (!group.open->lost()) {
    roll_back(*group.open);
    CHECK(run_step(*group.open, group.statement(kInsert)).result);
    roll_back(*group.open);
  }
  CHECK(group.effects() == 0);
}

TEST_CASE("what a member deferred runs at its end, as it") {
  Group group;
  group.alice().exec(
      "create table public.seen (label text, instance text);"
      "create table public.once (n int unique deferrable initially deferred);"
      "create function public.note() returns trigger language plpgsql as $$ begin insert into public.seen "
      "values"
      " (current_setting('df.label'), current_setting('df.instance_id')); return null; end $$;"
      "create constraint trigger note after insert on public.effects deferrable initially deferred"
      " for each row execute function public.note()");
  SECTION("a trigger sees the settings of its step") {
    CHECK(group.run({kInsert, "select 1", kInsert}).steps.size() == 3);
    CHECK(group.commit(3).kind == Commit::kCommitted);
    CHECK(group.column("select instance from public.seen") ==
          group.instances[0].id + ' ' + group.instances[2].id);
  }
  SECTION("a constraint that fails then is its member's") {
    const auto outcome = group.run({kInsert, "insert into public.once values (1), (1)", kInsert});
    REQUIRE(outcome.failure);
    CHECK(outcome.failure->code == "23505");
    CHECK(outcome.culprit == 1U);
  }
  SECTION("and a later member may still break it for a moment") {
    group.alice().exec(
        "create function public.swap() returns int language plpgsql as $$ begin insert into public.once "
        "values (1);"
        " insert into public.once values (1); delete from public.once where ctid = (select min(ctid) from "
        "public.once);"
        " return 1; end $$");
    CHECK(values(group.run({"select 1", "select public.swap()"})) == Strings{"1", "1"});
    CHECK(group.commit(2).kind == Commit::kCommitted);
  }
}

TEST_CASE("a group whose commit fails has written nothing") {
  Group group;
  const std::string why = GENERATE("a lost lease", "a cancel", "a locked row", "a trigger at the commit");
  CAPTURE(why);
  group.alice().exec(
      "create function public.late() returns trigger language plpgsql as $$ begin"
      " if tg_name = 'again' then set constraints twice deferred; insert into public.late values (1);"
      " else raise exception 'late' using errcode = '22000'; end if; return null; end $$;"
      "create table public.early (n int); create table public.late (n int);"
      "create constraint trigger again after insert on public.early deferrable initially deferred"
      " for each row execute function public.late();"
      "create constraint trigger twice after insert on public.late deferrable initially deferred"
      " for each row execute function public.late()");
  const bool is_late = why == "a trigger at the commit";
  REQUIRE(
      group.run({kInsert, kInsert, is_late ? "insert into public.early values (1)" : kInsert}).steps.size() ==
      3);
  std::vector<store::StepCommit> commits{group.commit_of(0, 1), group.commit_of(1, 1), group.commit_of(2, 1)};
  if (why == "a lost lease") --commits[1].token;
  if (why == "a cancel") group.alice().exec("select df.cancel($1)", commits[2].instance_id);
  Sql other(group.conninfo());
  if (why == "a locked row") {
    other.exec("begin");
    other.exec("select from df.instances where id = $1 for update", commits[0].instance_id);
  }
  CHECK(group.commit(commits).kind == Commit::kNotGrouped);
  CHECK(group.effects() == 0);
  CHECK(group.owner().number("select count(*) from df.events where kind = 'StepCompleted'") == 0);
  CHECK_FALSE(group.open->lost());
}

TEST_CASE("a group records what follows from each step") {
  Group group;
  REQUIRE(group.run({kInsert, kInsert, kInsert, kInsert}).steps.size() == 4);
  std::vector<store::StepCommit> commits{group.commit_of(3, 2), group.commit_of(0, 7), group.commit_of(0, 8),
                                         group.commit_of(1, 3)};
  dsl::Event end;
  end.seq = 3;
  end.at = commits[0].event.at;
  end.kind = dsl::EventKind::kInstanceCompleted;
  end.data = R"({"a":"\"q\\ {,}"})";
  commits[0].plain = store::PlainTurn{{end}, true, 2, R"({"00000001":"x"})"};
  commits[3].turn =
      R"({"events":[{"seq":4,"kind":"InstanceFailed","data":{"error":1}}],"status":"failed","error":{"message":"m"}})";
  CHECK(group.commit(commits).kind == Commit::kCommitted);
  CHECK(group.column("select seq || kind || coalesce(node, '-') from df.events order by instance_id = '" +
                     group.instances[3].id + "', seq") ==
        "3StepCompleted00000001 4InstanceFailed- 7StepCompleted00000001 8StepCompleted00000001 "
        "2StepCompleted00000001 3InstanceCompleted-");
  CHECK(group.owner().text("select data ->> 'a' from df.events where kind = 'InstanceCompleted'") ==
        "\"q\\ {,}");
  CHECK(group.owner().text(
            "select concat_ws(' ', status, worker_id, wake_at, result_seq, node_states) from df.instances "
            "where id = $1 and completed_at = updated_at",
            group.instances[3].id) == R"(completed 2 {"00000001":"x"})");
  CHECK(group.owner().text("select concat_ws(' ', status, worker_id) from df.instances where id = $1",
                           group.instances[1].id) == "failed");
}

TEST_CASE("a member that leaves its role fails") {
  Group group;
  group.database().server().create_role("bob");
  group.owner().exec("select df.grant_usage('bob')");
  Sql(group.conninfo("postgres")).exec("grant bob, alice to durabled_owner");
  group.open = open_session(group.conninfo(), "durabled_owner");
  const auto outcome =
      group.run({"select 1", "select set_config('role', 'bob', false)", "select 1"}, "alice");
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == "DF004");
  CHECK(outcome.culprit == 1U);
}

TEST_CASE("results of types of their own are read in a group as well") {
  Group group;
  group.alice().exec("create type public.mood as enum ('good', 'bad')");
  CHECK(values(group.run({"select 'good'::public.mood as m", "select 1 as n",
                          "select 'bad'::public.mood as m"})) == Strings{"\"good\"", "1", "\"bad\""});
  CHECK(group.commit(3).kind == Commit::kCommitted);
}

TEST_CASE("a session that could not give each step its own settings takes no groups") {
  Group group;
  CHECK(group.open->takes_groups());
  CHECK_FALSE(group.session({.pooled = true})->takes_groups());
  Sql(group.conninfo("postgres")).exec("alter role alice set default_transaction_read_only = on");
  CHECK_FALSE(group.session()->takes_groups());
  Sql(group.conninfo("postgres")).exec("alter role alice reset default_transaction_read_only");
}
