// One role's masses beside another role's few: signals, notifications, waits that it lets others see, and graphs that
// nobody has checked. What a poll claims and what a look returns is counted here, and no time is measured.
#include "store/worker_store.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled;
using namespace durabled::test;

namespace {

// A database in which `roles` may submit, and a worker that is registered and polls as the test says.
struct Flood {
  TestDatabase database = fresh_database();
  Sql owner{database.conninfo()};
  std::string worker = owner.text("select worker_id from df._register('w', 'h', 1, 'v', false)");

  Flood() {
    for (const char* role : {"alice", "mallory", "bob"}) {
      database.server().create_role(role);
      owner.exec("select df.grant_usage($1)", role);
    }
  }
  // `count` instances that the worker holds.
  void held(const std::string& role, int count) {
    owner.exec(
        "insert into df.instances (dsl, submitted_by, status, wake_at, worker_id) select 'x', "
        "$1::text::regrole, "
        "'running', null, $2::int from generate_series(1, $3::int)",
        role, worker, count);
  }
  // `count` signals, of about 1000 bytes each, for each instance of the role; sent by it.
  void signals(const std::string& role, int count) {
    Sql(database.conninfo(role))
        .exec(
            "insert into df.signals (instance_id, name, data) select i.id, 'x', to_json(repeat('x', 900)) "
            "from df.instances i, generate_series(1, $1::int)",
            count);
  }
  // "mallory 2, alice 1": of whom the poll told, or whom it claimed.
  std::string poll(const std::string& what, long bytes = 16'777'216) {
    return owner.text(
        "select coalesce(string_agg(r.role || ' ' || r.n, ', ' order by r.role), '') from (select "
        "i.submitted_by::text as "
        "role, count(*) as n from df._poll($1::int, 10, p_bytes => $2::bigint) p join df.instances i on i.id "
        "= (p." +
            what + ").id group by 1) r",
        worker, bytes);
  }
};

}  // namespace

TEST_CASE("whatever signals come for what a daemon holds, it goes on to claim", "[smoke][S3.9]") {
  Flood flood;
  flood.held("mallory", 2);
  flood.signals("mallory", 10'000);
  Sql alice(flood.database.conninfo("alice"));
  for (int i = 0; i < 3; ++i) {
    INFO(i);
    alice.exec("insert into df.submit (dsl) values ('x')");
    CHECK(flood.poll("claimed") == "alice 1");
    flood.signals("mallory", 1);
  }
  // What the daemon has read is not read again: both fit into a poll that has no room for twenty megabytes.
  flood.poll("attended");
  flood.poll("attended");
  flood.signals("mallory", 1);
  CHECK(flood.poll("attended", 2'100'000) == "mallory 2");
  flood.signals("mallory", 1);
  CHECK(flood.owner.number("select min((attended).first_signal) from df._poll($1::int, 0)", flood.worker) >
        20'000);
}

TEST_CASE("of what has come for held instances, each role's is read in turn", "[S3.9]") {
  Flood flood;
  flood.held("mallory", 20);
  flood.held("alice", 1);
  flood.signals("mallory", 100);
  flood.signals("alice", 1);
  // There is room for one of mallory's.
  CHECK(flood.poll("attended", 150'000) == "alice 1, mallory 1");
}

TEST_CASE("no sender's signals wait until all those of another are delivered", "[S3.9]") {
  const std::string sender = GENERATE("alice", "mallory");  // one of them has the smaller oid
  const std::string other = sender == "alice" ? "mallory" : "alice";
  Flood flood;
  flood.held(sender, 5'000);
  flood.held(other, 1);
  for (const std::string& role : {sender, other})
    Sql(flood.database.conninfo(role))
        .exec("insert into df.signals (instance_id, name) select id, 'x' from df.instances");
  const auto waits = [&](const std::string& role) {
    return flood.owner.number(
        "select count(*) from df.instances where submitted_by = $1::text::regrole and not attention", role);
  };
  flood.owner.exec("select df._deliver_signals()");
  CHECK(waits(other) == 0);
  CHECK(waits(sender) == 4'500);
}

TEST_CASE("a full queue of notifications refuses no submission, signal or cancel", "[smoke][S3.9]") {
  if (shared_server().version() < 17) return;  // the queue has 8 GB there, and no setting makes it smaller
  PostgresServer server({.settings = {"max_notify_queue_pages = 64"}});
  const TestDatabase database = server.fresh_database();
  for (const char* role : {"alice", "mallory"}) server.create_role(role);
  Sql owner(database.conninfo());
  owner.exec("select df.grant_usage('alice'), df.grant_usage('mallory')");
  store::Keeper keeper(database.conninfo(), {.name = "test", .host = "here", .version = "1"});
  owner.exec("update df.workers set waiting = true");
  Sql alice(database.conninfo("alice")), mallory(database.conninfo("mallory"));
  const auto rings = [&] { return keeper.wait(std::chrono::milliseconds(100)); };
  alice.exec("insert into df.submit (dsl) values ('x')");
  wait_until("the bell rings", rings);

  std::optional<Sql> listener(database.conninfo("mallory"));
  listener->exec("listen flood");
  listener->exec("begin");
  listener->exec("select 1");
  const auto refused = [](Sql& sql) {
    try {
      sql.exec("select pg_notify('flood', repeat('x', 7000))");
    } catch (const SqlError& error) {
      return error.sqlstate() == "54000";
    }
    return false;
  };
  for (int i = 0; i < 200 && !refused(mallory); ++i) continue;
  REQUIRE(refused(mallory));

  const std::string id = alice.text("insert into df.submit (dsl) values ('x') returning id");
  alice.exec("select df.signal($1, 'go')", id);
  alice.exec("select df.cancel($1)", id);
  CHECK(alice.text("select df.status($1)", id) == "cancelled");
  Sql(database.conninfo("postgres")).exec("grant pg_read_all_stats to durabled_owner");
  TemporaryDirectory folder("durabled-doctor");
  ChildProcess doctor(
      {.argv = {kBinary, "doctor", "--database", database.conninfo()}, .output = folder.path() / "output"});
  CHECK(doctor.wait());
  CHECK_THAT(
      read_file(folder.path() / "output"),
      ContainsSubstring("the server's queue of notifications is") &&
          ContainsSubstring("process " + std::to_string(listener->backend_pid()) + " of role mallory"));

  // The queue stays full when its holder has gone, until a heartbeat asks for it.
  const std::string holder = std::to_string(listener->backend_pid());
  listener.reset();
  wait_until("the holder has gone", [&] {
    return owner.number("select count(*) from pg_stat_activity where pid = $1::int", holder) == 0;
  });
  CHECK(refused(mallory));
  keeper.heartbeat();
  CHECK_FALSE(refused(mallory));
  alice.exec("insert into df.submit (dsl) values ('x')");
  wait_until("the bell rings again", rings);
}

TEST_CASE("the waits that a role lets another see leave room for the other's own, and can be refused",
          "[smoke][S2.20]") {
  Flood flood;
  // Newest first: one with a long history, 25 with 500 waits each.
  const auto waiting = [&](const std::string& role, int instances, int waits, const std::string& age) {
    flood.owner.exec(
        "with i as (insert into df.instances (dsl, submitted_by, status, wake_at, created_at) select 'x', "
        "$1::text::regrole, 'running', null, now() - $4::text::interval from generate_series(1, $2::int) "
        "returning id) "
        "insert into df.events (instance_id, seq, at, kind, node, scope, data) select i.id, n, now(), "
        "'SignalAwaited', '00000001', n, '{\"name\": \"go\"}' from i, generate_series(1, $3::int) n",
        role, instances, waits, age);
  };
  waiting("mallory", 1, 10'001, "0");
  waiting("mallory", 25, 500, "1 minute");
  waiting("bob", 2, 3, "1 minute");
  waiting("alice", 1, 1, "1 day");
  Sql alice(flood.database.conninfo("alice")), mallory(flood.database.conninfo("mallory")),
      bob(flood.database.conninfo("bob"));
  const auto seen = [&] {
    return flood.owner.exec(
        "select i.submitted_by::text, count(*) from unnest($1::text[]) w(id) join df.instances i on i.id = "
        "w.id "
        "group by 1 order by 1",
        alice.text("select array_agg(instance_id) from df.waiting()"));
  };
  CHECK(seen() == Rows{{"alice", "1"}});
  for (Sql* role : {&mallory, &bob}) role->exec("select df.grant_signal('alice')");
  CHECK(seen() == Rows{{"alice", "1"}, {"bob", "6"}, {"mallory", "500"}});
  CHECK(alice.text("select instance_id from df.waiting() limit 1") ==
        alice.text("select id from df.instances"));
  const std::string one = mallory.text("select id from df.instances order by created_at limit 1");
  CHECK(alice.number("select count(*) from df.waiting($1)", one) == 500);

  // Nobody refuses for another, and what is refused is gone.
  CHECK_THAT(bob.text("select df.refuse_signals('mallory')"),
             ContainsSubstring("has granted no signals to bob"));
  bob.expects_error("42501", "insert into df._signal_refusals (grantee, owner) values ('alice', 'mallory')");
  // Nor can a grantee lock what an owner revokes.
  CHECK(alice.exec("select id from df._signal_grants for update") == Rows{});
  CHECK_THAT(alice.text("select df.refuse_signals('mallory')"), ContainsSubstring("is removed"));
  CHECK(seen() == Rows{{"alice", "1"}, {"bob", "6"}});
  CHECK(flood.owner.number("select count(*) from df._signal_refusals") == 0);
  CHECK_THAT(mallory.text("select df.revoke_signal('alice')"), ContainsSubstring("had no such right"));
}

TEST_CASE("a graph that nobody has checked costs those who look at it no more than one that runs",
          "[smoke][S2.12]") {
  Flood flood;
  Sql mallory(flood.database.conninfo("mallory"));
  const auto submitted = [&](const std::string& dsl) {
    return mallory.text("insert into df.submit (dsl, start_at) values ((select " + dsl +
                        "), now() + interval '1 day') returning id");
  };
  const auto nested = [&](const std::string& levels) {
    return submitted(R"(repeat('{"node_type":"THEN","left_node":', )" + levels +
                     R"() || '{}' || repeat('}', )" + levels + ")");
  };
  const auto wide = [&](const std::string& nodes) {
    return submitted(R"('{"node_type":"J","extra_nodes":[' || repeat('{"node_type":"S"},', )" + nodes +
                     ") || '{}]}'");
  };
  const auto nodes = [&](const std::string& id) {
    return flood.owner.number(
        "select count(*) from df.nodes where instance_id = $1 and node_type is not null", id);
  };
  for (const std::string& id :
       {wide("10000"), wide("50000"), nested("256"), nested("3000"), nested("25000")}) {
    CHECK(nodes(id) == 0);
    CHECK(flood.owner.number("select count(*) from df.instance_nodes($1)", id) <= 1);
    CHECK_THAT(flood.owner.text("select df.explain($1)", id),
               ContainsSubstring("Remark: the nodes are not shown"));
  }
  // What is within the limits is drawn, whatever its arguments are.
  CHECK(nodes(wide("9000")) == 9'001);
  CHECK(nodes(nested("255")) == 255);
  for (const char* query : {"not json", "[1]", "{\"signal_name\":{}, \"timeout_seconds\":\"x\"}", "1e999999",
                            "NaN", "{\"max_attempts\":[], \"seconds\":\"-\"}"}) {
    for (const char* type :
         {"SIGNAL", "SLEEP", "TIMEOUT", "RETRY", "HTTP", "FAIL", "FOR_EACH", "IF", "WAIT_SCHEDULE"}) {
      const std::string id = mallory.text(
          "insert into df.submit (dsl, start_at) values ('{\"node_type\":\"' || $1 || '\",\"query\":' || "
          "to_json($2::text) || '}', now() + interval '1 day') returning id",
          type, query);
      CHECK(nodes(id) == 1);
      CHECK_THAT(flood.owner.text("select df.explain($1)", id), ContainsSubstring("○ "));
    }
  }
}
