// df.waiting: who sees what, and what is a wait.
#include "tests/sql_door/served.hpp"

using namespace durabled::test;

namespace {

constexpr const char* kWaits =
    "select string_agg(concat_ws(' ', instance_id, kind, name), ', ' order by instance_id, kind, name) from "
    "df.waiting()";

void grant_operator(const TestDatabase& database, const std::string& role) {
  database.server().create_role(role);
  database.server().create_role("df_operator", "nologin");
  Sql(database.conninfo("postgres")).exec("grant df_operator to " + role);
  Sql(database.conninfo()).exec("select df.grant_usage('df_operator')");
}

}  // namespace

TEST_CASE("the owner, a superuser and an operator see what everybody waits for, a role sees its own",
          "[S2.14]") {
  Served served;
  served.database.server().create_role("waiting_client");
  served.sql.exec("select df.grant_usage('waiting_client')");
  grant_operator(served.database, "waiting_operator");
  Sql client(served.database.conninfo("waiting_client")), super(served.database.conninfo("postgres")),
      oper(served.database.conninfo("waiting_operator"));
  const std::string own = served.start("df.wait_for_signal('a')"),
                    theirs = client.text("select df.start(df.wait_for_signal('b') & 'SELECT pg_sleep(60)')");
  served.wait_for_waits(own, 1);
  served.wait_for_waits(theirs, 1);
  const std::string mine = theirs + " signal b";
  const std::string all = own < theirs ? own + " signal a, " + mine : mine + ", " + own + " signal a";
  CHECK(client.text(kWaits) == mine);
  for (Sql* sql : {&served.sql, &super, &oper}) {
    CHECK(sql->text(kWaits) == all);
    CHECK(sql->number("select count(*) from df.waiting($1)", theirs) == 1);
    CHECK(sql->number("select count(*) from df.list_instances()") == 2);
    CHECK(sql->number("select count(*) from df.history($1)", theirs) >= 2);
    CHECK(sql->number("select count(*) from df.instance_nodes($1)", theirs) == 3);
    CHECK(sql->text("select status from df.instance_info($1)", theirs) == "running");
    CHECK_THAT(sql->text("select df.explain($1)", theirs), ContainsSubstring("SIGNAL 'b'"));
  }
  for (const char* look : {"waiting", "history", "instance_info", "instance_nodes", "instance_executions"})
    CHECK(client.number("select count(*) from df." + std::string(look) + "($1)", own) == 0);
  served.sql.exec("grant execute on function df.metrics() to waiting_operator");
  CHECK(oper.text("select running_instances from df.metrics()") == "2");
}

TEST_CASE("what waits beside a running step is among what all wait for", "[S2.14]") {
  Served served;
  const std::string id = served.start(
      "df.sleep(600) & df.wait_for_signal('go') & df.wait_for_schedule('0 0 1 1 *') & "
      "df.retry('SELECT 1/0', 3, 200) & 'SELECT pg_sleep(60)'");
  wait_until("every wait is there", [&] {
    return served.sql.number("select count(*) from df.waiting() where instance_id = $1", id) == 4;
  });
  CHECK(served.sql.text("select worker_id is not null from df.instances where id = $1", id) == "t");
  CHECK(served.sql.text("select string_agg(kind, ' ' order by kind) from df.waiting()") ==
        "retry schedule signal timer");
}

TEST_CASE("what a race has abandoned is no wait, whatever iteration of a loop it was in", "[S2.14]") {
  Served served;
  const std::string id = served.start(
      "df.loop(df.race(df.wait_for_signal('go'), df.sleep(600))) & ('SELECT 1' | df.sleep(600)) & "
      "df.for_each('SELECT generate_series(1, 2) AS n', df.loop(df.race(df.sleep(600), "
      "df.wait_for_signal('row $item.n'))))");
  const auto iterations = [&](int count) {
    wait_until("iterations have ended", [&] {
      return served.sql.number("select count(*) from df.history($1) where kind = 'IterationCompleted'", id) ==
             count;
    });
  };
  served.wait_for_waits(id, 6);
  for (int round = 1; round <= 3; ++round) {
    served.sql.exec("select df.signal($1, 'go')", id);
    iterations(round);
  }
  served.sql.exec("select df.signal($1, 'row 2')", id);
  iterations(4);
  CHECK(served.sql.exec("select kind, name, count(*) from df.waiting($1) group by 1, 2 order by 1, 2", id) ==
        Rows{{"signal", "go", "1"}, {"signal", "row 1", "1"}, {"signal", "row 2", "1"}, {"timer", {}, "3"}});
}

TEST_CASE("a role's own waits are found by an index among those of all, and a limit looks no further",
          "[S2.14]") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  database.server().create_role("waiting_client");
  owner.exec("select df.grant_usage('waiting_client')");
  const auto insert = [&](const std::string& role, int count) {
    owner.exec(
        "with i as (insert into df.instances (submitted_by, dsl, status, wake_at) select '" + role +
        "', 'x', 'running', 'tomorrow' from generate_series(1, " + std::to_string(count) +
        ") returning id) insert into df.events (instance_id, seq, at, kind, node, scope, data) select id, 1, "
        "now(), 'SignalAwaited', '00000000', '', '{\"name\":\"x\"}' from i");
  };
  insert("durabled_owner", 20'000);
  insert("waiting_client", 3);
  const auto read = [&](Sql& sql) {
    sql.exec("select pg_stat_force_next_flush()");
    return sql.number(
        "select sum(x.idx_tup_read) + max(t.seq_tup_read) from pg_stat_user_indexes x join "
        "pg_stat_user_tables t using (relid) where relid = 'df.instances'::regclass");
  };
  Sql client(database.conninfo("waiting_client"));
  const long long before = read(owner);
  CHECK(client.number("select count(*) from df.waiting()") == 3);
  CHECK(read(client) - before < 100);
  CHECK(owner.number("select count(*) from (select from df.waiting() limit 10) w") == 10);
  CHECK(owner.number("select count(*) from df.waiting()") == 20'003);
}

TEST_CASE("an owner lets another role approve: it sees the waits, sends the signals, and nothing else",
          "[S2.20]") {
  Served served;
  PostgresServer& server = served.database.server();
  server.create_role("grant_approver");
  server.create_role("grant_stranger");
  for (const char* role : {"grant_approver", "grant_stranger"})
    served.sql.exec("select df.grant_usage($1)", role);
  Sql approver(served.database.conninfo("grant_approver")),
      stranger(served.database.conninfo("grant_stranger"));
  const std::string id = served.start("df.wait_for_signal('invoice-42'), 'invoices'"),
                    other = served.start("df.wait_for_signal('invoice-43'), 'private'");
  served.wait_for_waits(id, 1);
  served.wait_for_waits(other, 1);
  CHECK_THAT(approver.expects_error("P0002", "select df.signal($1, 'invoice-42')", id),
             ContainsSubstring("Instance not found or access denied"));
  CHECK(approver.number("select count(*) from df.waiting()") == 0);

  CHECK_THAT(served.sql.text("select df.grant_signal('grant_approver', 'inv%', 'invoice-%')"),
             ContainsSubstring("Role grant_approver may send signals like 'invoice-%'"));
  CHECK(approver.exec("select instance_id, kind, name from df.waiting()") ==
        Rows{{id, "signal", "invoice-42"}});
  CHECK(stranger.number("select count(*) from df.waiting()") == 0);
  CHECK(approver.number("select count(*) from df.instances") == 0);
  CHECK(approver.number("select count(*) from df.events") == 0);
  CHECK(approver.number("select count(*) from df.list_instances()") == 0);
  // Neither another name, nor another label, nor another role, nor by hand, nor in another's name.
  approver.expects_error("P0002", "select df.signal($1, 'other')", id);
  approver.expects_error("P0002", "select df.signal($1, 'invoice-43')", other);
  stranger.expects_error("P0002", "select df.signal($1, 'invoice-42')", id);
  approver.expects_error("42501", "insert into df.signals (instance_id, name) values ($1, 'other')", id);
  stranger.expects_error(
      "42501", "insert into df._signal_grants (owner, grantee) values ('grant_approver', 'grant_stranger')");
  CHECK(stranger.number("select count(*) from df._signal_grants") == 0);
  CHECK(stranger.text("select df._may_signal($1, 'invoice-42')", id) == "f");
  // A grant that nobody asked for does its grantee no harm.
  CHECK_THAT(stranger.expects_error("22025", "select df.grant_signal('grant_approver', e'bad\\\\')"),
             ContainsSubstring("must not end with its escape character"));
  CHECK_THAT(stranger.expects_error(
                 "54000", "select df.grant_signal('grant_approver', n::text) from generate_series(1, 101) n"),
             ContainsSubstring("at most 100 grants"));
  CHECK(approver.number("select count(*) from df.signals") == 0);
  CHECK(served.sql.text("select df.signal($1, 'Invoice-42')", id) ==
        "Signal \"Invoice-42\" sent to instance " + id +
            "; kept for later: the instance waits for \"invoice-42\"");
  CHECK_THAT(approver.text("select df.signal($1, 'invoice-42', '{\"by\": \"me\"}')", id),
             ContainsSubstring("Signal \"invoice-42\" sent"));
  CHECK(served.end_of(id) == "completed");
  CHECK(served.sql.text("select sent_by from df.signals where instance_id = $1 and name = 'invoice-42'",
                        id) == "grant_approver");

  CHECK(served.sql.text("select df.revoke_signal('grant_approver')") ==
        "Role grant_approver may no longer send any signals to instances of durabled_owner");
  CHECK(approver.number("select count(*) from df.waiting()") == 0);
  served.sql.expects_error("42704", "select df.grant_signal('nobody at all')");
  served.database.server().create_role("grant_outsider");
  CHECK_THAT(served.sql.text("select df.grant_signal('grant_outsider')"),
             ContainsSubstring("may not use the schema df yet") &&
                 ContainsSubstring("SELECT df.grant_usage('grant_outsider')"));
  CHECK_THAT(served.sql.text("select df.grant_usage('postgres')"),
             ContainsSubstring("it is a superuser, and workflows of superusers are refused"));
}
