// A text that is a whole df.start(…), inserted into the inbox: its arguments count as they do in a call.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

struct Inbox : World {
  Sql alice = session();
  Inbox() { alice.exec("create table effects (what text)"); }

  // A text whose one step leaves `what`; `arguments` as they follow the workflow.
  std::string start(const std::string& what, const std::string& arguments) {
    return submit(alice, text(what, arguments));
  }
  static std::string text(const std::string& what, const std::string& arguments) {
    return "select df.start($$insert into effects values ('" + what + "')$$, " + arguments + ");";
  }
  long long effects() { return alice.number("select count(*) from effects"); }
  // A time `seconds` from now, as a text has it.
  std::string time(double seconds) {
    return alice.text("select quote_literal(clock_timestamp() + make_interval(secs => $1))", seconds);
  }
  std::string field(const std::string& id, const std::string& name) {
    return alice.text("select (" + name + ")::text from df.instances where id = $1", id);
  }
  // Until a daemon has read the text, and put the instance back.
  void await_read(const std::string& id) {
    wait_until("the text of " + id + " was read", [&] { return !field(id, "dsl").starts_with("select"); });
  }
};

}  // namespace

TEST_CASE("label and priority of a text are the row's, unless its columns say otherwise", "[L1.5]") {
  Inbox world;
  world.start_daemon();
  const std::string id = world.start("a", "'from the text', priority => 7");
  completes(world.alice, id);
  CHECK(world.field(id, "label || priority") == "from the text7");
  const std::string both =
      world.alice.text("insert into df.submit (dsl, label, priority) values ($1, 'column', -3) returning id",
                       Inbox::text("b", "'from the text', priority => 7"));
  completes(world.alice, both);
  CHECK(world.field(both, "label || priority") == "column-3");
}

TEST_CASE("the priority of a text counts when the instance is claimed again") {
  Inbox world;
  DaemonProcess& reader = world.start_daemon();
  const std::string start_at = ", start_at => " + world.time(3600);
  std::vector<std::string> ids;
  for (const char* priority : {"-1", "3", "2"}) {
    ids.push_back(world.start(priority, "priority => " + std::string(priority) + start_at));
  }
  for (const std::string& id : ids) world.await_read(id);
  CHECK(reader.sigterm_and_wait() == 0);
  world.owner().exec("update df.instances set wake_at = clock_timestamp()");
  world.start_daemon({{"steps.connections", "1"}, {"worker.claim_batch", "1"}});
  for (const std::string& id : ids) completes(world.alice, id);
  CHECK(world.alice.text("select string_agg(what, ' ' order by ctid) from effects") == "3 2 -1");
}

TEST_CASE("start_at of a text holds the instance back, through a kill -9 of the daemon", "[L1.5]") {
  Inbox world;
  DaemonProcess& first = world.start_daemon();
  const std::string start_at = world.time(3);
  const std::string id = world.start("late", "start_at => " + start_at + "::timestamptz, label => 'late'");
  world.await_read(id);
  CHECK(world.field(id, "label || ' ' || status") == "late pending");
  CHECK(world.field(id, "wake_at = " + start_at + "::timestamptz") == "true");
  CHECK(world.field(id, "worker_id is null and started_at is null") == "true");
  first.kill9();
  world.start_daemon();
  completes(world.alice, id);
  CHECK(world.field(id, "started_at >= " + start_at + "::timestamptz") == "true");
  CHECK(world.effects() == 1);
}

TEST_CASE("an instance that its text holds back is paused, signalled and cancelled like any other") {
  Inbox world;
  world.start_daemon();
  const std::string start_at = world.time(3600);
  const std::string id = world.start("never", "start_at => " + start_at);
  world.await_read(id);
  world.alice.exec("select df.signal($1, 'go')", id);
  wait_until("the signal is delivered",
             [&] { return world.alice.number("select count(*) from df.signals where delivered") == 1; });
  world.alice.exec("select df.pause($1)", id);
  CHECK(status_of(world.alice, id) == "paused");
  world.alice.exec("select df.resume($1)", id);
  CHECK(status_of(world.alice, id) == "pending");
  CHECK(world.field(id, "wake_at = " + start_at + "::timestamptz") == "true");
  world.alice.exec("select df.cancel($1)", id);
  CHECK(end_of(world.alice, id) == "cancelled");
  CHECK(world.effects() == 0);
}

TEST_CASE("what is asked for while a daemon reads the text counts when it puts the instance back") {
  Inbox world;  // without a daemon: what one does is done here, in between
  const std::string start_at = world.time(3600);
  const std::string then = "wake_at = " + start_at + "::timestamptz";
  for (const auto& [request, status, due] :
       {std::tuple{"pause", "paused", then}, std::tuple{"resume", "pending", then}}) {
    INFO(request);
    const std::string id = world.start("a", "start_at => " + start_at);
    world.owner().exec(
        "update df.instances set worker_id = 1, status = 'running', wake_at = null where id = $1", id);
    world.alice.exec("select df." + std::string(request) + "($1)", id);
    world.owner().exec(
        "select df._put_back($1, now(), json_build_object('body', 'x', 'start_at', " + start_at + "))", id);
    CHECK(status_of(world.alice, id) == status);
    CHECK(world.field(id, due) == "true");
    CHECK(world.field(id, "dsl = 'x' and worker_id is null and not attention") == "true");
  }
}

TEST_CASE("start_at of a text may be in the past, and one that is no time fails the instance") {
  Inbox world;
  world.start_daemon();
  completes(world.alice, world.start("a", "start_at => '2001-01-01'"));
  CHECK(world.effects() == 1);
  for (const auto& [time, expected] :
       {std::pair{"'soon'", "start_at: invalid input syntax"}, std::pair{"'2030-13-01'", "out of range"},
        std::pair{"'2030-01-01 Nowhere/At_All'", "time zone"}, std::pair{"'infinity'", "finite time"},
        std::pair{"'-infinity'", "finite time"}}) {
    INFO(time);
    const std::string id = world.start("b", "start_at => " + std::string(time));
    CHECK_THAT(fails(world.alice, id), ContainsSubstring(expected) && ContainsSubstring("invalid_workflow"));
    CHECK(world.alice.text("select string_agg(kind, ' ') from df.history($1)", id) == "InstanceFailed");
  }
  CHECK(world.effects() == 1);
}

TEST_CASE("a text with an idempotency key that its role has used does not run, and names the earlier one",
          "[L1.5]") {
  Inbox world;
  world.add_role("bob");
  world.start_daemon();
  const std::string first = world.start("text", "idempotency_key => 'order 17'");
  completes(world.alice, first);
  CHECK(world.field(first, "idempotency_key") == "order 17");
  const std::string second = world.start("text", "idempotency_key => 'order 17'");
  CHECK(end_of(world.alice, second) == "cancelled");
  CHECK_THAT(error_of(world.alice, second), ContainsSubstring("'order 17' is that of instance " + first) &&
                                                ContainsSubstring("idempotency_key"));
  CHECK(world.alice.text("select string_agg(kind, ' ') from df.history($1)", second) == "InstanceCancelled");
  CHECK(world.effects() == 1);
  CHECK(world.alice.text("insert into df.submit (dsl, idempotency_key) values ('''select 1''', 'order 17') "
                         "returning id") == first);
  Sql bob = world.session("bob");
  completes(bob, submit(bob, "df.start('select 1', idempotency_key => 'order 17')"));
}

TEST_CASE("of many texts with one key, inserted at once and read by two daemons, one runs") {
  Inbox world;
  world.alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, 100)",
                   Inbox::text("once", "idempotency_key => 'k'"));
  world.start_daemon();
  world.start_daemon();
  wait_until("all have ended", [&] {
    return world.alice.number("select count(*) from df.instances where completed_at is not null") == 100;
  });
  CHECK(world.alice.number("select count(*) from df.instances where status = 'completed'") == 1);
  CHECK(world.alice.number("select count(*) from df.instances where status = 'cancelled'") == 99);
  CHECK(world.effects() == 1);
}

TEST_CASE("a column's key goes before the text's, and a rerun runs whatever key its text has") {
  Inbox world;
  world.start_daemon();
  const std::string text = Inbox::text("a", "idempotency_key => 'k'");
  const std::string first = submit(world.alice, text);
  completes(world.alice, first);
  const std::string other = world.alice.text(
      "insert into df.submit (dsl, idempotency_key) values ($1, 'its own') returning id", text);
  completes(world.alice, other);
  CHECK(world.field(other, "idempotency_key") == "its own");
  completes(world.alice, world.alice.text("select df.rerun($1)", first));
  CHECK(world.effects() == 3);
}

TEST_CASE("a key that an open transaction holds is waited for by its instance alone") {
  Inbox world;
  world.start_daemon();
  for (const bool commits : {false, true}) {
    Sql open = world.session();
    open.exec("begin");
    const std::string key = commits ? "'committed'" : "'rolled back'";
    const std::string holder = open.text(
        "insert into df.submit (dsl, idempotency_key) values ('df.sleep(0)', " + key + ") returning id");
    const std::string id = world.start("a", "idempotency_key => " + key);
    wait_until("it was looked at", [&] { return world.field(id, "fencing_token") != "0"; });
    CHECK_THAT(run_workflow(world.alice, "'select 1 as others'"), ContainsSubstring("others"));
    CHECK(world.field(id, "completed_at is null") == "true");
    open.exec(commits ? "commit" : "rollback");
    CHECK(end_of(world.alice, id) == (commits ? "cancelled" : "completed"));
    if (commits) CHECK_THAT(error_of(world.alice, id), ContainsSubstring(holder));
  }
  CHECK(world.effects() == 1);
}

TEST_CASE("transaction_mode of a text is checked, and a row commits as it was inserted", "[L1.5]") {
  Inbox world;
  world.start_daemon();
  for (const char* mode : {"caller", "new"}) {
    completes(world.alice, world.start(mode, "transaction_mode => '" + std::string(mode) + "'"));
  }
  CHECK(world.effects() == 2);
  world.alice.exec("begin");
  const std::string undone = world.start("c", "transaction_mode => 'new'");
  world.alice.exec("rollback");
  CHECK(world.alice.number("select count(*) from df.instances where id = $1", undone) == 0);
  CHECK_THAT(fails(world.alice, world.start("d", "transaction_mode => 'other'")),
             ContainsSubstring("invalid transaction_mode"));
}
