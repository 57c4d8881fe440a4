// What daemons ask of the database touches the rows that it is about, however many others there are.
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// Rows of the schema's tables that the statement reads, dead ones not counted.
long rows_read(Sql& sql, const std::string& statement) {
  const auto read = [&] {
    return sql.number(
        "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables"
        " where schemaname = 'df'");
  };
  sql.exec("begin");
  const long before = read();
  sql.exec(statement);
  const long after = read();
  sql.exec("commit");
  return after - before;
}

}  // namespace

TEST_CASE("polls, claims and commits read few rows among many", "[smoke]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "bob"}) database.server().create_role(role);
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice'), df.grant_usage('bob')");
  const std::string worker = sql.text("select worker_id from df._register('w', 'h', 1, 'v', false)");
  // Ended, asleep in three priorities, due, waiting for signals.
  sql.exec(
      "insert into df.instances (dsl, submitted_by, status, completed_at, wake_at, priority)"
      " select 'x', 'alice'::regrole, 'completed', now() - interval '1 minute', null, 0 from "
      "generate_series(1, 20000)"
      " union all select 'x', 'alice'::regrole, 'running', null, now() + interval '1 day', n % 3 from "
      "generate_series(1, 20000) n"
      " union all select 'x', 'alice'::regrole, 'pending', null, now() - interval '1 second', 0 from "
      "generate_series(1, 5000)"
      " union all select 'x', 'bob'::regrole, 'pending', null, now() - interval '1 second', 0 from "
      "generate_series(1, 20)"
      " union all select 'x', 'alice'::regrole, 'running', null, null, 0 from generate_series(1, 20000)");
  sql.exec(
      "insert into df.signals (instance_id, name, sent_by, delivered) select id, 's', submitted_by, true "
      "from df.instances");
  sql.exec(
      "insert into df.events (instance_id, seq, at, kind) select id, n, now(), 'X' from df.instances, "
      "generate_series(1, 3) n");
  sql.exec("analyze");
  const auto poll = [&](const std::string& limit, const std::string& busy) {
    return rows_read(sql, "select df._poll(" + worker + ", " + limit + ", " + busy + ")");
  };
  CHECK(poll("0", "null") < 50);
  CHECK(poll("10", "null") < 200);
  CHECK(sql.number("select count(*) from df.instances where worker_id is not null") == 10);
  // The others' work is found behind that of a role that is passed over.
  CHECK(poll("50", "'{alice}'") < 300);
  CHECK(sql.number("select count(*) from df.instances where worker_id is not null and submitted_by = "
                   "'bob'::regrole") == 20);
  CHECK(poll("50", "'{alice,bob}'") < 100);
  const std::string id = sql.text("select id from df.instances where worker_id is not null limit 1");
  const std::string token = sql.text("select fencing_token from df.instances where id = $1", id);
  CHECK(rows_read(sql, "select df._commit_turns(" + worker + ", '{" + id + "}', '{" + token +
                           "}', array['{\"instance\":\"" + id + "\",\"token\":" + token +
                           ",\"at\":\"2026-01-01\",\"status\":\"waiting\",\"inbox\":1,\"wake_at\":\"2030-01-"
                           "01\"}'::json])") < 20);
  CHECK(rows_read(sql, "select df._heartbeat(" + worker + "), df._release_dead(0, '1 hour', false)") < 20);
  CHECK(rows_read(sql, "select df._release(" + worker + ")") < 200);
  CHECK(rows_read(sql, "select df._prune_batch('1 second', 10)") < 200);
  CHECK(rows_read(sql, "select df.status('" + id + "'), df.error('" + id + "')") < 20);
  CHECK(rows_read(sql, "select * from df.list_instances(null, 10)") < 300);
  CHECK(rows_read(sql, "select * from df.history('" + id + "')") < 50);
  // It can tell.
  CHECK(rows_read(sql, "select from df.instances where label = 'x'") > 60'000);
}
