// The real workflows of tests/cases, as an ordinary role submits them: through df.submit as text, and through
// df.start as the expression that Postgres evaluates.
#include <regex>

#include "tests/e2e/world.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

namespace {

std::string case_text(const std::string& name) {
  return read_file(std::filesystem::path(kSourceDirectory) / "tests/cases" / name);
}

// Through which of the two doors.
struct Cases : World {
  Sql alice = session();
  bool as_sql;
  Cases() : as_sql(GENERATE(false, true)) { alice.exec(case_text("setup.sql")); }

  std::string begin(const std::string& name) { return begin_text(case_text(name)); }
  std::string begin_text(std::string text) {
    if (!as_sql) return submit(alice, text);
    if (text.find("df.start") == std::string::npos) text = "select df.start(" + text + "\n)";
    return alice.text(text);
  }
};

#define DOOR(world) INFO(((world).as_sql ? "through df.start" : "through df.submit"))

}  // namespace

TEST_CASE("hello.df: its result holds the message", "[smoke]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  CHECK_THAT(completes(world.alice, world.begin("hello.df")),
             ContainsSubstring("\"message\":\"Hello, durable world!\""));
}

TEST_CASE("batch.df: a hundred documents a run, two hundred and fifty in three", "[smoke]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  for (const int processed : {100, 200, 250}) {
    completes(world.alice, world.begin("batch.df"));
    CHECK(world.alice.number("select count(*) from documents where processed") == processed);
  }
}

TEST_CASE("dashboard.df: the counts, then the refresh, whose result it is", "[smoke]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  world.alice.exec("insert into orders values (501, 1, 10)");
  const std::string id = world.begin("dashboard.df");
  const std::string result = completes(world.alice, id);
  CHECK(world.alice.number("select orders from metrics") == 501);
  CHECK(world.alice.text("select label from df.instances where id = $1", id) == "refresh-dashboard");
  CHECK_THAT(result, ContainsSubstring("\"row_count\":0"));
}

TEST_CASE("etl.df: thirty rows, once each", "[smoke][L1.8]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  completes(world.alice, world.begin("etl.df"));
  CHECK(world.alice.number("select count(*) from target") == 30);
}

TEST_CASE("sync.df: fetches, stores the envelope, and waits for the half hour through a restart", "[smoke]") {
  Cases world;
  DOOR(world);
  HttpTestServer http;
  http.add_standard_routes();
  const std::string url = http.url("");
  world.alice.exec("select df.setvar('sync_url', $1)", url.substr(0, url.find_last_not_of('/') + 1));
  const Settings settings = {
      {"http.allow", "[{scheme: http, host: 127.0.0.1, port: " + std::to_string(http.port()) +
                         ", address_ranges: [127.0.0.0/8]}]"}};
  world.start_daemon(settings);
  const std::string id = world.begin("sync.df");
  await_put_down(world.alice, id);
  CHECK(
      world.alice.text(
          "select (data ->> 'status') || ((data ->> 'body')::json ->> 'message') from external_data_sync") ==
      "200hello");
  CHECK(world.alice.text("select wake_at = date_bin('30 min', created_at, 'epoch') + interval '30 min'"
                         " or wake_at = date_bin('30 min', now(), 'epoch') + interval '30 min'"
                         " from df.instances where id = $1",
                         id) == "t");
  world.daemon().kill9();
  world.start_daemon(settings);
  // The half hour comes early: for the row, and for the timer in the history.
  world.owner().exec(
      "update df.events set data = jsonb_set(data::jsonb, '{fire_at}', to_jsonb(to_char("
      "now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')))::json"
      " where instance_id = $1 and kind = 'TimerStarted' and data ->> 'kind' = 'schedule'",
      id);
  world.owner().exec("update df.instances set wake_at = now() where id = $1", id);
  wait_until("it has fetched again",
             [&] { return world.alice.number("select count(*) from external_data_sync") == 2; });
  await_put_down(world.alice, id);
  CHECK(http.count("/json") == 2);
}

TEST_CASE("approval.df: invoice 42 waits for its signal, 43 is paid at once", "[smoke]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  const auto paid = [&](int invoice) {
    return world.alice.text("select status from invoices where id = $1", invoice) == "paid";
  };
  const std::string big = world.begin("approval.df");
  completes(world.alice,
            world.begin_text(std::regex_replace(case_text("approval.df"), std::regex("42"), "43")));
  CHECK(paid(43));
  await_put_down(world.alice, big);
  CHECK_FALSE(paid(42));
  world.alice.exec("select df.signal($1, 'invoice-42')", big);
  completes(world.alice, big);
  CHECK(paid(42));
}

TEST_CASE("queue.df: every row once, by two instances and two daemons", "[smoke][L3.7][L6.2]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  world.start_daemon();
  const std::string one = world.begin("queue.df"), two = world.begin("queue.df");
  completes(world.alice, one);
  completes(world.alice, two);
  CHECK(world.alice.number("select count(*) from staging where processed_at is null") == 0);
  CHECK(world.alice.number("select count(*) from logs") == 30);
  CHECK(world.alice.number("select count(distinct msg) from logs") == 30);
  CHECK(world.alice.number("select count(*) from logs where msg ~ '^row (\\d+) of \\1$'") == 30);
}

TEST_CASE("types.df: values of every kind arrive unchanged", "[smoke][L4.3][L5.5]") {
  Cases world;
  DOOR(world);
  world.start_daemon();
  const std::string result = completes(world.alice, world.begin("types.df"));
  for (const char* expected :
       {"\"d\":\"2026-03-01\"", "\"n\":\"24691357802469135780.246913578\"", "\"a\":4", "\"b\":4",
        "\"i\":\"2 days 04:06:08\"", "\"neg\":12", R"("t":"it's \\ \"quoted\" $x {y}")", "\"j\":\"é\"",
        R"("spliced":"text: it's \\ \"quoted\" $x {y}")"})
    CHECK_THAT(result, ContainsSubstring(expected));
}
