// df.rerun: a new instance that keeps what came before a node.
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

struct Rerun {
  TestDatabase database = fresh_database();
  DaemonProcess daemon{DaemonProcess::Options{.database = database.conninfo(),
                                              .settings = {{"worker.poll_interval", "200ms"}}}};
  Sql sql{database.conninfo()};

  Rerun() {
    daemon.wait_until_ready();
    sql.exec(
        "create table runs (n serial, step text); create table switch (fails bool); insert into switch "
        "values (true)");
  }
  // A step that notes that it ran, and one that fails while the switch is on.
  static std::string step(const std::string& name) {
    return "$$INSERT INTO runs (step) VALUES ('" + name + "') RETURNING step$$";
  }
  static std::string fragile() { return "'SELECT 1 / (1 - fails::int) AS ok FROM switch'"; }

  std::string ended(const std::string& expression, const std::string& status) {
    std::string id = sql.text("select df.start(" + expression + ")");
    CHECK(sql.text("select df.await_instance($1, 20)", id) == status);
    return id;
  }
  void repair() { sql.exec("update switch set fails = false"); }
  std::string ran() { return sql.text("select coalesce(string_agg(step, ' ' order by n), '') from runs"); }
  std::string again(const std::string& id, const std::string& node) {
    std::string rerun = sql.text("select df.rerun($1, $2)", id, node);
    CHECK(sql.text("select df.await_instance($1, 20)", rerun) == "completed");
    INFO(sql.text("select df.explain($1)", rerun));
    CHECK(sql.number("select count(*) from df.events where instance_id = $1 and kind = 'InstanceStarted'",
                     rerun) == 1);
    return rerun;
  }
};

}  // namespace

TEST_CASE("a rerun from a node starts no earlier than it was made", "[S1.9][S2.9]") {
  Rerun test;
  const std::string id = test.ended(Rerun::step("a") + " ~> " + Rerun::fragile(), "failed");
  test.repair();
  const std::string rerun = test.again(id, "00000002");
  CHECK(test.sql.text(
            "select started_at >= created_at and completed_at >= started_at from df.instances where id = $1",
            rerun) == "t");
}

TEST_CASE("a rerun without a node runs everything again, under a new id", "[S2.9]") {
  Rerun test;
  const std::string id = test.ended(Rerun::step("a") + " ~> " + Rerun::step("b") + ", 'label'", "completed");
  const std::string rerun = test.sql.text("select df.rerun($1)", id);
  CHECK(rerun != id);
  CHECK(test.sql.text("select df.await_instance($1, 20)", rerun) == "completed");
  CHECK(test.ran() == "a b a b");
  CHECK(test.sql.text("select label from df.instances where id = $1", rerun) == "label");
  CHECK(test.sql.exec("select source, from_node from df.reruns where id = $1", rerun) ==
        Rows{{id, std::nullopt}});
}

TEST_CASE("a rerun from the node that failed keeps what came before it, names included", "[S2.9]") {
  Rerun test;
  const std::string id =
      test.ended(Rerun::step("a") + " |=> 'x' ~> (" + Rerun::step("b") + " & " + Rerun::step("c") + ") ~> " +
                     Rerun::fragile() + " ~> 'SELECT $x AS kept'",
                 "failed");
  test.repair();
  const std::string before = test.ran();
  const std::string rerun = test.again(id, "00000005");
  CHECK(test.ran() == before);
  CHECK(test.sql.text("select df.result($1) -> 'rows' -> 0 ->> 'kept'", rerun) == "a");
  CHECK(test.sql.text("select df.status($1)", id) == "failed");
}

TEST_CASE("a rerun keeps the branch that was taken, a finished loop and a handled failure", "[S2.9]") {
  Rerun test;
  const std::string id =
      test.ended("df.loop(" + Rerun::step("l") +
                     " |=> 'l', 'SELECT count(*) < 3 FROM runs') ~> df.catch('SELECT 1/0', " +
                     Rerun::step("h") + ") ~> ('SELECT true' ?> (" + Rerun::step("t") + " ~> " +
                     Rerun::fragile() + ") !> " + Rerun::step("e") + ")",
                 "failed");
  CHECK(test.ran() == "l l l h t");
  test.repair();
  const std::string nodes = test.sql.text(
      "select string_agg(node_id || ' ' || coalesce(query, node_type), ', ' order by node_id) "
      "from df.instance_nodes($1)",
      id);
  INFO(nodes);
  const std::string fragile =
      test.sql.text("select node_id from df.instance_nodes($1) where query like '%switch%'", id);
  test.again(id, fragile);
  CHECK(test.ran() == "l l l h t");
  const std::string handler =
      test.sql.text("select node_id from df.instance_nodes($1) where query like '%(''h'')%'", id);
  test.again(id, handler);
  CHECK(test.ran() == "l l l h t h t");
}

TEST_CASE("the timer of a timeout around the node starts anew, and a rerun can be rerun") {
  Rerun test;
  const std::string id =
      test.ended("df.timeout(" + Rerun::step("a") + " ~> " + Rerun::fragile() + ", 2)", "failed");
  test.repair();
  wait_until("its timeout is over", [&] {
    return test.sql.text(
               "select clock_timestamp() > completed_at + interval '2.1 seconds' from df.instances where id "
               "= $1",
               id) == "t";
  });
  const std::string first = test.again(id, "00000003");
  test.again(first, "00000003");
  CHECK(test.ran() == "a");
}

TEST_CASE("a rerun from where nothing before is certain is refused, and says why", "[S2.9]") {
  Rerun test;
  const std::string id = test.ended(
      "'SELECT 1' ~> ('SELECT 2' & 'SELECT 3') ~> df.loop('SELECT 4', 'SELECT false') ~> "
      "('SELECT true' ?> 'SELECT 5' !> 'SELECT 6') ~> 'SELECT 1/0' ~> 'SELECT 7'",
      "failed");
  const auto refusal = [&](const std::string& query) {
    const std::string node =
        test.sql.text("select node_id from df.instance_nodes($1) where query = $2", id, query);
    return test.sql.expects_error("55000", "select df.rerun($1, $2)", id, node);
  };
  CHECK_THAT(refusal("SELECT 3"), ContainsSubstring("inside the JOIN of node 00000002"));
  CHECK_THAT(refusal("SELECT 4"), ContainsSubstring("inside the LOOP"));
  CHECK_THAT(refusal("SELECT 6"), ContainsSubstring("branch that was not taken"));
  CHECK_THAT(refusal("SELECT 7"), ContainsSubstring("was never reached"));
  CHECK_THAT(test.sql.expects_error("55000", "select df.rerun($1, '0000ffff')", id),
             ContainsSubstring("has no node"));
  const std::string fresh =
      test.sql.text("select df.start('SELECT 1', start_at => now() + interval '1 hour')");
  CHECK_THAT(test.sql.expects_error("55000", "select df.rerun($1, '00000000')", fresh),
             ContainsSubstring("has not started"));
  CHECK(test.sql.number("select count(*) from df.instances") == 2);
}

TEST_CASE("an operator reruns what belongs to others, and it runs as theirs", "[S3.3]") {
  Rerun test;
  PostgresServer& server = test.database.server();
  server.create_role("rerun_client");
  server.create_role("rerun_operator");
  server.create_role("df_operator", "nologin");
  Sql super(test.database.conninfo("postgres"));
  super.exec("grant df_operator to rerun_operator");
  test.sql.exec("select df.grant_usage('rerun_client'), df.grant_usage('df_operator')");
  const std::string id =
      Sql(test.database.conninfo("rerun_client"))
          .text("select df.start('SELECT current_user AS me' ~> 'SELECT current_user AS me')");
  CHECK(test.sql.text("select df.await_instance($1, 20)", id) == "completed");
  Sql oper(test.database.conninfo("rerun_operator"));
  for (const char* call : {"df.rerun($1)", "df.rerun($1, '00000002')"}) {
    const std::string rerun = oper.text(std::string("select ") + call, id);
    CHECK(oper.text("select df.await_instance($1, 20)", rerun) == "completed");
    CHECK(oper.text("select df.result($1) -> 'rows' -> 0 ->> 'me'", rerun) == "rerun_client");
    CHECK(oper.text("select submitted_by from df.instances where id = $1", rerun) == "rerun_client");
  }
}

TEST_CASE("a handler that was reached may be rerun, whatever failed before it", "[S2.9]") {
  Rerun test;
  const struct {
    std::string step, handler;
  } cases[] = {{"df.for_each('SELECT 1 AS n', 'SELECT 1/0')", "00000004"},
               {"df.join(df.for_each('SELECT 1 AS n', 'SELECT 2'), 'SELECT 1/0')", "00000006"},
               {"df.if_rows('nothing', 'SELECT 1', 'SELECT 2')", "00000004"}};
  for (const auto& [step, handler] : cases) {
    INFO(step);
    const std::string id = test.ended("df.catch(" + step + ", " + Rerun::step("h") + ")", "completed");
    test.again(id, handler);
  }
  CHECK(test.ran() == "h h h h h h");
}

TEST_CASE("a node that was never reached is refused", "[S2.9]") {
  Rerun test;
  const auto refuses = [&](const std::string& workflow, const std::string& status, const std::string& node,
                           const std::string& why) {
    const std::string id = test.ended(workflow, status);
    CHECK_THAT(test.sql.expects_error("55000", "select df.rerun($1, $2)", id, node), ContainsSubstring(why));
  };
  refuses("df.if_rows('nothing', 'SELECT 1', 'SELECT 2')", "failed", "00000001", "was never reached");
  refuses("'SELECT 1' |=> 'r' ~> df.if_rows('r', 'SELECT 2', 'SELECT 3')", "completed", "00000004",
          "branch that was not taken");
  refuses("'SELECT 1 WHERE false' |=> 'r' ~> df.if_rows('r', 'SELECT 2', 'SELECT 3')", "completed",
          "00000003", "branch that was not taken");
  refuses(
      "df.catch(df.join(df.for_each('SELECT 1 AS i', 'SELECT 2'), 'SELECT 1/0') ~> 'SELECT 5', 'SELECT 9')",
      "completed", "00000007", "was never reached");
}
