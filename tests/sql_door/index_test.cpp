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
  const auto held = [&](const std::string& role) {
    return sql.number("select count(*) from df.instances where worker_id is not null and submitted_by = '" +
                      role + "'::regrole");
  };
  const std::string alice = "array['alice'::regrole::oid]";
  CHECK(poll("0", "'{}'") < 50);
  CHECK(poll("10", "'{}'") < 1'000);
  // Both take part, whatever the priorities.
  CHECK(held("alice") == 5);
  CHECK(held("bob") == 5);
  // The others' work is found behind that of a role that is passed over.
  CHECK(poll("50", alice) < 1'000);
  CHECK(held("alice") == 5);
  CHECK(held("bob") == 20);
  CHECK(poll("50", "array['alice'::regrole::oid, 'bob'::regrole::oid]") < 500);
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
  CHECK(rows_read(sql, "select from df.instances where dsl = 'y'") > 60'000);
}

TEST_CASE("a list finds the newest by role, status and label among many others", "[S2.13]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "bob"}) database.server().create_role(role);
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice'), df.grant_usage('bob')");
  sql.exec(
      "insert into df.instances (dsl, submitted_by, status, completed_at, wake_at, label, created_at)"
      " select 'x', case when n between 10000 and 10009 then 'alice'::regrole else 'bob'::regrole end, case "
      "n % "
      "10000 when 1 then 'failed' when 2 then 'paused' when 3 then 'cancelled' when 4 then 'running' when 5 "
      "then 'pending' else 'completed' end, case when n % 10000 not in (2, 4, 5) then now() end, null, case "
      "when n % 10000 = 7 then 'rare' end, now() - n * interval '1 second' from generate_series(1, 40000) n");
  sql.exec("analyze df.instances");
  Sql alice(database.conninfo("alice")), bob(database.conninfo("bob"));
  for (Sql* reader : {&alice, &bob, &sql}) {
    CHECK(rows_read(*reader, "select * from df.list_instances()") < 1'000);
    for (const char* status : {"failed", "paused", "cancelled", "running", "pending", "completed"}) {
      CAPTURE(status);
      const std::string list = std::string("df.list_instances('") + status + "', 10, null, null)";
      const long long there =
          reader->number("select least(count(*), 10) from df.instances where status = $1", status);
      CHECK(there > 0);
      CHECK(reader->number("select count(*) from " + list) == there);
      CHECK(rows_read(*reader, "select * from " + list) < 1'000);
    }
    CHECK(rows_read(*reader, "select * from df.list_instances(null, 10, 'rare', null)") < 1'000);
    CHECK(reader->number("select count(*) from df.list_instances(null, 10, 'rare', null)") ==
          (reader == &alice ? 1
           : reader == &bob ? 3
                            : 4));
  }
}

TEST_CASE("roles take turns, however much work one has, at whatever priority and time", "[S3.9]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "bob"}) database.server().create_role(role);
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice'), df.grant_usage('bob')");
  const std::string worker = sql.text("select worker_id from df._register('w', 'h', 1, 'v', false)");
  Sql alice(database.conninfo("alice")), bob(database.conninfo("bob"));
  bob.exec(
      "insert into df.submit (dsl, priority, start_at) select 'df.sleep(0)', 32767, '0044-03-15 BC'"
      " from generate_series(1, 5000)");
  alice.exec("insert into df.submit (dsl, priority) values ('df.sleep(0)', -5), ('df.sleep(0)', 7)");
  // No start in the past comes before the submission.
  CHECK(bob.number("select count(*) from df.instances where wake_at < created_at - interval '1 minute'") ==
        0);
  const auto claim = [&](const std::string& limit, const std::string& rest) {
    return sql.text(
        "select string_agg((claimed).role || ' ' || i.priority, ', ' order by (claimed).role) from "
        "df._poll(" +
        worker + ", " + limit + rest + ") p join df.instances i on i.id = (p.claimed).id");
  };
  CHECK(claim("2", "") == "alice 7, bob 32767");
  // The turn goes on where it ended.
  CHECK(claim("1", ", '{}', 'bob'::regrole::oid") == "alice -5");
  // What a role's open transaction keeps locked is not walked, and is nobody else's concern.
  alice.exec("insert into df.submit (dsl) values ('df.sleep(0)')");
  bob.exec("begin; select from df.instances for update");
  CHECK(claim("10", "") == "alice 0");
  sql.exec("analyze df.instances");
  CHECK(rows_read(sql, "select df._poll(" + worker + ", 10)") < 3'000);
  bob.exec("rollback");
}

TEST_CASE("a claim reads few rows where statistics know of nothing that is due") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string worker = sql.text("select worker_id from df._register('w', 'h', 1, 'v', false)");
  const std::string insert = "insert into df.instances (dsl, status, completed_at, wake_at) select 'x', ";
  sql.exec(insert + "'completed', now(), null from generate_series(1, 5000)");
  sql.exec("analyze df.instances");
  sql.exec(insert + "'pending', null, now() from generate_series(1, 1000)");
  sql.exec(
      "insert into df.instances (dsl, status, completed_at, wake_at, attention) select 'x', 'cancelled', "
      "now(), null, true from generate_series(1, 500)");
  CHECK(rows_read(sql, "select df._poll(" + worker + ", 100)") < 6'000);
  CHECK(sql.number("select count(*) from df.instances where worker_id is not null") == 100);
  CHECK(sql.number("select count(*) from df.instances where attention") == 0);
}

TEST_CASE("signals for instances that a transaction keeps locked hold up no other role's", "[S3.9]") {
  const TestDatabase database = fresh_database();
  for (const char* role : {"alice", "bob"}) database.server().create_role(role);
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice'), df.grant_usage('bob')");
  Sql alice(database.conninfo("alice")), bob(database.conninfo("bob"));
  const std::string insert =
      "insert into df.instances (dsl, submitted_by, status, wake_at) select 'x', $1::text::regrole,"
      " 'running', null from generate_series(1, $2::int)";
  sql.exec(insert, "bob", 5'000);
  sql.exec(insert, "alice", 1);
  for (Sql* role : {&alice, &bob})
    role->exec("insert into df.signals (instance_id, name) select id, 's' from df.instances");
  bob.exec("begin; select from df.instances for update");
  sql.exec("analyze");
  CHECK(rows_read(sql, "select df._deliver_signals()") < 5'000);
  CHECK(alice.text("select attention from df.instances") == "t");
  CHECK(rows_read(sql, "select df._deliver_signals()") < 5'000);
  bob.exec("rollback");
  for (int i = 0; i < 6; ++i) sql.exec("select df._deliver_signals()");
  CHECK(bob.number("select count(*) from df.instances where not attention") == 0);
}

TEST_CASE("a claim stops at its bytes, and reads no text that is too long") {
  const TestDatabase database = fresh_database();
  database.server().create_role("alice");
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice')");
  const std::string worker = sql.text("select worker_id from df._register('w', 'h', 1, 'v', false)");
  Sql alice(database.conninfo("alice"));
  const auto claimed = [&](const std::string& bytes) {
    return sql.text(
        "select count((claimed).id) || ' ' || coalesce(sum(length((claimed).dsl)), 0) || ' ' || "
        "sum((claimed).dsl_bytes) from df._poll(" +
        worker + ", 100, '{}', 0, " + bytes + ", 1000000)");
  };
  alice.exec("insert into df.submit (dsl) select repeat(' ', 16777216) from generate_series(1, 3)");
  CHECK(claimed("1000") == "3 0 50331648");
  alice.exec("insert into df.submit (dsl) select repeat(' ', 400000) from generate_series(1, 4)");
  CHECK(claimed("16000000") == "2 800000 800000");
  CHECK(claimed("1") == "1 400000 400000");
  // Histories and signals count by what they are once read, not by what they take on disk.
  sql.exec("update df.instances set status = 'completed', wake_at = null, worker_id = null");
  const std::string id = alice.text("insert into df.submit (dsl) values ('x') returning id");
  sql.exec("update df.instances set fencing_token = 1 where id = $1", id);
  sql.exec(
      "insert into df.events (instance_id, seq, at, kind, data) select $1, n, now(), 'X',"
      " to_json(repeat('x', 1000000)) from generate_series(1, 5) n",
      id);
  CHECK(sql.number("select df._history_bytes($1)", id) > 5'000'000);
  for (int i = 0; i < 3; ++i) alice.exec("insert into df.submit (dsl) values ('x')");
  CHECK(sql.number("select count((claimed).id) from df._poll(" + worker + ", 100, '{}', 0, 1000000)") < 4);
}
