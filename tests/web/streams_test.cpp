// Live: what a stream sends, when it ends, and what many of them cost.
#include <iostream>

#include "tests/web/shown.hpp"

using namespace durabled::test;

namespace {

// How many messages with statements the server has logged of a role that logs them all.
std::size_t logged(PostgresServer& server, const std::string& role) {
  const std::string log = server.log();
  std::size_t count = 0;
  for (std::size_t at = 0; (at = log.find(" " + role + "@", at)) != std::string::npos; ++at) {
    const std::string line = log.substr(at, log.find('\n', at) - at);
    if (line.find("LOG:  statement:") != std::string::npos ||
        line.find("LOG:  execute ") != std::string::npos)
      ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a stream tells what happens to an instance, and ends with it") {
  Shown shown;
  shown.world.start_daemon();
  const std::string id = submit(shown.alice, "'SELECT 1' ~> df.wait_for_signal('go') ~> 'SELECT 2'");
  await_put_down(shown.alice, id);
  EventStream stream(shown.visitor, "/api/stream?instance=" + id + "&after=1");
  const boost::json::value first = stream.next("instance");
  CHECK(first.at("events").at(0).at("seq").as_int64() == 2);
  CHECK(text(first.at("states").at("letters")).find('p') != std::string::npos);
  shown.visitor.post("/api/instances/" + id + "/signal", {{"name", "go"}});
  std::int64_t last = first.at("last_seq").as_int64();
  std::string status;
  while (status != "completed") {
    const boost::json::value next = stream.next("instance");
    for (const auto& event : next.at("events").as_array()) {
      CHECK(event.at("seq").as_int64() > last);
      last = event.at("seq").as_int64();
    }
    status = text(next.at("instance").at("status"));
  }
  CHECK(stream.next("end").at("status").as_string() == "completed");
  CHECK_FALSE(stream.next().has_value());
  CHECK(stream.has_ended());
}

TEST_CASE("a stream of a list tells which rows have changed, and how many are new") {
  Shown shown;
  const std::string one = submit(shown.alice, "df.sleep(1000)"), two = submit(shown.alice, "df.sleep(1000)");
  const std::string newest = text(shown.visitor.json("/api/instances").at("newest"));
  EventStream stream(shown.visitor, "/api/stream?ids=" + one + "," + two + "&newest=" + newest);
  CHECK(stream.next("list").at("rows").as_array().size() == 2);
  shown.alice.exec("select df.cancel($1)", one);
  boost::json::value changed = stream.next("list");
  while (changed.at("rows").as_array().empty()) changed = stream.next("list");
  CHECK(changed.at("rows").as_array().size() == 1);
  CHECK(text(changed.at("rows").at(0).at("status")) == "cancelled");
  submit(shown.alice, "'SELECT 1'");
  while (changed.at("new").as_int64() == 0) changed = stream.next("list");
  CHECK(changed.at("new").as_int64() == 1);
  CHECK(shown.visitor.json("/api/changes?newest=" + newest).at("list").at("new").as_int64() == 1);
}

TEST_CASE("a stream ends with its session, and comes back with the database") {
  Shown shown;
  EventStream stream(shown.visitor, "/api/stream?overview=1");
  stream.next("overview");
  shown.visitor.request("DELETE", "/session");
  CHECK(stream.next("fault").at("error").at("code").as_string() == "no_session");
  CHECK_FALSE(stream.next().has_value());
}

TEST_CASE("what a stream may watch") {
  Shown shown;
  for (const char* wrong :
       {"", "?instance=NO", "?ids=x", "?newest=now", "?nonsense=1", "?instance=k3n4x9qz&after=-1"}) {
    INFO(wrong);
    CHECK(shown.visitor.get(std::string("/api/stream") + wrong).error_code() == "bad_request");
    CHECK(shown.visitor.get(std::string("/api/changes") + wrong).error_code() == "bad_request");
  }
}

TEST_CASE("a hundred open pages cost fewer than 50 statements a second") {
  Shown shown;
  shown.world.start_daemon();
  Sql super(shown.world.server().conninfo());
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(submit(shown.alice, "df.wait_for_signal('go')"));
  for (const std::string& id : ids) await_put_down(shown.alice, id);
  super.exec("alter role alice set log_statement = 'all'");
  Ui ui(shown.world.database().conninfo("alice"));
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  std::vector<std::unique_ptr<EventStream>> streams;
  for (const std::string& id : ids)
    streams.push_back(std::make_unique<EventStream>(visitor, "/api/stream?instance=" + id));
  for (auto& stream : streams) stream->next("instance");
  const std::size_t before = logged(shown.world.server(), "alice");
  const auto start = std::chrono::steady_clock::now();
  wait_until(
      "the pages have been looked after for a while",
      [&] { return logged(shown.world.server(), "alice") > before + 3; }, std::chrono::seconds{60});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto statements = static_cast<double>(logged(shown.world.server(), "alice") - before);
  super.exec("alter role alice reset log_statement");
  std::cout << "100 streams: " << statements / seconds << " statements a second\n";
  CHECK(statements / seconds < 50);
}
