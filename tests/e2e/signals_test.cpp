// Signals, races, timeouts and cancels: what arrives when, and what must not be left behind.
#include <random>
#include <thread>

#include "tests/e2e/world.hpp"

using namespace durabled::test;
using std::chrono::milliseconds;

namespace {

// How many statements that contain `text` run now, by others.
long long running(Sql& postgres, const std::string& text) {
  return postgres.number(
      "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
      " and datname = current_database() and position($1 in query) > 0",
      text);
}

}  // namespace

TEST_CASE("a signal that comes before its wait is not lost, and signals are taken oldest first", "[L6.15]") {
  World world;
  Sql alice = world.session();
  const std::string id = submit(alice,
                                "(df.wait_for_signal('go') |=> 'a') ~> (df.wait_for_signal('go') |=> 'b') ~> "
                                "'select $a.data as first, $b.data as second'");
  alice.exec("select df.signal($1, 'other', '0'), df.signal($1, 'go', '1'), df.signal($1, 'go', '\"two\"')",
             id);
  world.start_daemon();
  const std::string result = completes(alice, id);
  CHECK_THAT(result, ContainsSubstring("\"first\":1,"));
  CHECK_THAT(result, ContainsSubstring("\"second\":\"two\""));
  CHECK(alice.number("select count(*) from df.signals where instance_id = $1 and taken_at is null", id) == 1);
}

TEST_CASE(
    "a signal that was sent while its instance is put down for a step does not wait for a poll to be lost") {
  World world;
  Sql alice = world.session();
  world.start_daemon({{"worker.poll_interval", "30s"}});
  wait_until("who submits sees that the daemon wants to be notified",
             [&] { return alice.text("select waiting from df.workers") == "t"; });
  // The signal comes from the very step before the wait: it commits together with the put-down.
  const std::string id = submit(
      alice, "'select df.signal(''{sys_instance_id}'', ''self'', ''7'')' ~> df.wait_for_signal('self')");
  CHECK_THAT(completes(alice, id), ContainsSubstring("\"data\":7"));
}

TEST_CASE("what is rolled back was never started, signalled or cancelled", "[L6.16]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string waiting = submit(alice, "df.wait_for_signal('go')");
  await_put_down(alice, waiting);
  alice.exec("begin");
  const std::string ghost = submit(alice, "'select 1'");
  alice.exec("select df.signal($1, 'go')", waiting);
  alice.exec("select df.cancel($1)", waiting);
  alice.exec("rollback");
  run_workflow(alice, "'select 1'");  // a later one is through
  CHECK(alice.exec("select from df.instances where id = $1", ghost).empty());
  CHECK(status_of(alice, waiting) == "running");
  alice.exec("select df.signal($1, 'go')", waiting);
  completes(alice, waiting);
}

TEST_CASE("a wait that times out completes without data", "[L3.4]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  CHECK_THAT(run_workflow(alice, "df.wait_for_signal('never', 0.3)"),
             ContainsSubstring("\"timed_out\":true") && ContainsSubstring("\"data\":null"));
}

TEST_CASE("a wait that is answered has the signal's name and data", "[L3.4][L4.1]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string id = submit(alice, "df.wait_for_signal('go', 60)");
  alice.exec("select df.signal($1, 'go', $2)", id, R"({"by": "ada"})");
  CHECK(completes(alice, id) == R"({"signal_name":"go","timed_out":false,"data":{"by": "ada"}})");
  const std::string bare = submit(alice, "df.wait_for_signal('go')");
  alice.exec("select df.signal($1, 'go')", bare);
  CHECK(completes(alice, bare) == R"({"signal_name":"go","timed_out":false,"data":{}})");
}

TEST_CASE("a payload that is not JSON arrives as a JSON string, one that no text can hold is refused",
          "[L6.15]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const auto send = [&](const std::string& payload) {
    const std::string id = submit(alice, "df.wait_for_signal('go')");
    alice.exec("select df.signal($1, 'go', $2)", id, payload);
    end_of(alice, id);
    return result_of(alice, id) + error_of(alice, id);
  };
  CHECK_THAT(send("not json"), ContainsSubstring("\"data\":\"not json\""));
  CHECK_THAT(send("{\"a\": [1, 2]}"), ContainsSubstring("\"data\":{\"a\": [1, 2]}"));
  CHECK_THROWS_AS(send("\"\\u0000\""), SqlError);
  CHECK_THROWS_AS(send("\"\\ud800\""), SqlError);
  CHECK_THAT(send("1"), ContainsSubstring("\"data\":1"));
}

TEST_CASE("a race's loser is stopped on the server and leaves nothing", "[L6.13]") {
  World world;
  Sql alice = world.session();
  Sql postgres(world.database().conninfo("postgres"));
  alice.exec("create table effects (who text)");
  world.start_daemon();
  const std::string id = submit(
      alice,
      "'insert into effects select ''loser'' from pg_sleep(30)' | 'insert into effects values (''winner'')'");
  completes(alice, id);
  wait_until(
      "the loser's statement is cancelled", [&] { return running(postgres, "'loser'") == 0; },
      milliseconds{2'000});
  CHECK(alice.exec("select who from effects") == Rows{{"winner"}});
}

TEST_CASE("a timeout stops what runs below it", "[L3.15]") {
  World world;
  Sql alice = world.session();
  Sql postgres(world.database().conninfo("postgres"));
  alice.exec("create table effects (who text)");
  world.start_daemon();
  const std::string error =
      run_failing(alice, "df.timeout('insert into effects select ''late'' from pg_sleep(30)', 0.3)");
  CHECK_THAT(error, ContainsSubstring("timed out"));
  wait_until(
      "its statement is cancelled", [&] { return running(postgres, "'late'") == 0; }, milliseconds{2'000});
  CHECK(alice.number("select count(*) from effects") == 0);
}

TEST_CASE("a cancel stops the running statement", "[L6.13]") {
  World world;
  Sql alice = world.session();
  Sql postgres(world.database().conninfo("postgres"));
  world.start_daemon();
  const std::string id = submit(alice, "'select pg_sleep(60)'");
  wait_until("the step runs", [&] { return running(postgres, "pg_sleep(60)") == 1; });
  alice.exec("select df.cancel($1, 'enough')", id);
  CHECK(end_of(alice, id) == "cancelled");
  // Patience is shorter than the statement, so it has not just come to its end.
  wait_until("the statement is gone", [&] { return running(postgres, "pg_sleep(60)") == 0; });
  CHECK_THAT(error_of(alice, id), ContainsSubstring("enough"));
}

TEST_CASE("an instance can be cancelled in every state", "[S2.6]") {
  World world;
  Sql alice = world.session();
  const std::string pending = submit(alice, "'select 1'");
  alice.exec("select df.cancel($1)", pending);
  CHECK(status_of(alice, pending) == "cancelled");
  world.start_daemon();
  const std::string waiting = submit(alice, "df.wait_for_signal('x')"),
                    sleeping = submit(alice, "df.sleep(1000)"), paused = submit(alice, "df.sleep(1000)");
  for (const std::string& id : {waiting, sleeping, paused}) await_put_down(alice, id);
  alice.exec("select df.pause($1)", paused);
  CHECK(status_of(alice, paused) == "paused");
  for (const std::string& id : {waiting, sleeping, paused}) {
    alice.exec("select df.cancel($1)", id);
    CHECK(end_of(alice, id) == "cancelled");
  }
}

TEST_CASE("signals around the moment of the put-down wake every instance", "[L6.15]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  constexpr int kInstances = 200;
  std::vector<std::string> ids;
  for (const Row& row :
       alice.exec("insert into df.submit (dsl) select $1 from generate_series(1, $2::int) returning id",
                  "'select 1' ~> df.wait_for_signal('go')", kInstances))
    ids.push_back(*row[0]);
  std::thread sender([&] {
    Sql second = world.session();
    std::mt19937 random(5);
    for (const std::string& id : ids) {
      second.exec("select df.signal($1, 'go')", id);
      std::this_thread::sleep_for(std::chrono::microseconds{random() % 2'000});
    }
  });
  sender.join();
  wait_until("all have completed", [&] {
    return alice.number("select count(*) from df.instances where status = 'completed'") == kInstances;
  });
  CHECK(alice.number("select count(*) from df.signals where taken_at is null") == 0);
}

TEST_CASE("pauses and resumes in quick succession leave an instance as the last of them says", "[S2.6]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(submit(alice, "'select 1' ~> df.sleep(0.2) ~> 'select 2'"));
  for (int round = 0; round < 5; ++round) {
    for (const std::string& id : ids) alice.exec("select df.pause($1)", id);
    for (const std::string& id : ids) alice.exec("select df.resume($1)", id);
  }
  for (const std::string& id : ids) completes(alice, id);
}

TEST_CASE("data that no text can hold is refused when the signal is sent, and anything else is handed on",
          "[L6.15]") {
  World world;
  Sql alice = world.session();
  const std::string id = submit(alice, "df.wait_for_signal('go')");
  for (const char* data : {R"("\u0000")", R"({"a":[1,"x\u0000"]})", R"({"\u0000":1})", R"("\ud800")",
                           R"("\udc00\ud800")", R"(["\ud83dx"])"}) {
    INFO(data);
    CHECK_THAT(alice.expects_error("22P05", "select df.signal($1, 'go', $2)", id, data),
               ContainsSubstring("surrogate"));
    CHECK_THAT(
        alice.expects_error("22P05", "insert into df.signals (instance_id, name, data) values ($1, 'go', $2)",
                            id, data),
        ContainsSubstring("base64"));
  }
  // How deeply JSON may be nested is a matter of the server's stack.
  const auto is_json = [&](int depth) {
    try {
      alice.exec("select (repeat('[', $1::int) || repeat(']', $1::int))::json", std::to_string(depth));
      return true;
    } catch (const SqlError&) {
      return false;
    }
  };
  int deepest = 0;
  for (int step = 1 << 16; step > 0; step /= 2) deepest += is_json(deepest + step) ? step : 0;
  const char* const nested =
      "insert into df.signals (instance_id, name, data) values ($1, 'go', (repeat('[', $2::int) || "
      "repeat(']', $2::int))::json)";
  CHECK_THAT(alice.expects_error("54001", nested, id, std::to_string(deepest - 500)),
             ContainsSubstring("deeply"));
  world.start_daemon();
  for (const std::string data :
       {R"({"a":"\\u0000","b":"\ud83d\ude00","c":"\u00e9"})", R"("}}]}]")", R"(1e400)", R"([[[[[[]]]]]])"}) {
    INFO(data);
    const std::string one = submit(alice, "(df.wait_for_signal('go') |=> 's')");
    alice.exec("insert into df.signals (instance_id, name, data) values ($1, 'go', $2)", one, data);
    CHECK_THAT(completes(alice, one), ContainsSubstring("\"data\":" + data + "}"));
  }
  alice.exec(nested, id, std::to_string(deepest - 1500));
  completes(alice, id);
}
