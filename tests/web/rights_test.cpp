// Who sees and steers what: the database decides, the page only asks.
#include <iostream>

#include "daemon/web/routes.hpp"
#include "tests/e2e/world.hpp"
#include "tests/web/ui.hpp"

using namespace durabled::test;
namespace web = durabled::daemon::web;

namespace {

// Two people, an operator, and a page for each.
struct People {
  World world;
  std::string alices = [this] {
    world.add_role("bob");
    world.add_role("olga");
    Sql super(world.server().conninfo());
    super.exec(
        "do $$ begin if not exists (select from pg_roles where rolname = 'df_operator') then create role "
        "df_operator; "
        "end if; end $$");
    super.exec("grant df_operator to olga");
    world.owner().exec("select df.grant_usage('df_operator')");
    world.start_daemon();
    Sql alice = world.session("alice");
    return submit(alice, "'SELECT ''alices-secret''' ~> df.wait_for_signal('approve')", "alices-label");
  }();

  Visitor visitor(Ui& ui) const {
    Visitor visitor(ui.port());
    visitor.enter(ui.token());
    return visitor;
  }
};

std::string path_with(const web::Route& route, const std::string& id) {
  std::string path;
  for (const std::string& part : route.path)
    path += '/' + (part == ":id" ? id : part == ":node" ? "00000001" : part == ":seq" ? "1" : part);
  if (route.endpoint == web::Endpoint::kPayload) path += "?part=text";
  return path;
}

}  // namespace

TEST_CASE("nobody sees or steers an instance of somebody else, by any route") {
  People people;
  Sql alice = people.world.session("alice");
  await_put_down(alice, people.alices);
  Ui of_alice(people.world.database().conninfo("alice")), of_bob(people.world.database().conninfo("bob"));
  Visitor owner = people.visitor(of_alice), bob = people.visitor(of_bob);
  int routes = 0;
  for (const web::Route& route : web::routes()) {
    const bool is_about_one = std::find(route.path.begin(), route.path.end(), ":id") != route.path.end();
    if (!is_about_one) continue;
    const std::string path = path_with(route, people.alices);
    INFO(route.method << ' ' << path);
    ++routes;
    if (route.method == "GET") {
      CHECK(owner.get(path).status == 200);
      const WebAnswer refused = bob.get(path);
      CHECK(refused.status == 404);
      CHECK(refused.body.find("alices") == std::string::npos);
    } else {
      const WebAnswer refused = bob.post(path, {{"reason", "mine"}, {"name", "approve"}});
      CHECK(
          (refused.status == 404 || refused.status == 400));  // 400: a member that this action does not know
      CHECK(bob.post(path, boost::json::object{}).status != 200);
    }
  }
  CHECK(routes == 14);
  for (const char* path :
       {"/api/instances", "/api/overview", "/api/waiting", "/api/labels", "/api/label?label=alices-label",
        "/api/instances?role=alice", "/api/instances?since=all&label=alices%25"}) {
    INFO(path);
    const WebAnswer answer = bob.get(path);
    CHECK(answer.status == 200);
    CHECK(answer.body.find(people.alices) == std::string::npos);
  }
  const std::string changes = "/api/changes?instance=" + people.alices;
  CHECK(bob.get(changes).status == 404);
  CHECK(bob.json("/api/changes?ids=" + people.alices).at("list").at("gone").as_array().size() == 1);
  EventStream stream(bob, "/api/stream?instance=" + people.alices);
  CHECK(stream.next("fault").at("error").at("code").as_string() == "not_found");
  const boost::json::value bulk =
      bob.post("/api/bulk", {{"action", "cancel"}, {"ids", boost::json::array{people.alices}}}).json();
  CHECK(bulk.at("done").as_array().empty());
  CHECK(bulk.at("failed").at(0).at("error").at("code").as_string() == "not_found");
  CHECK(status_of(alice, people.alices) == "running");
}

TEST_CASE("an operator sees and steers all, but signals only where the owner lets it") {
  People people;
  Sql alice = people.world.session("alice");
  await_put_down(alice, people.alices);
  Ui ui(people.world.database().conninfo("olga"));
  Visitor olga = people.visitor(ui);
  const std::string base = "/api/instances/" + people.alices;
  CHECK(olga.json("/api/me").at("operator").as_bool());
  CHECK_THAT(std::string(olga.json(base).at("can").at("signal").as_string()),
             ContainsSubstring("another role"));
  CHECK(olga.post(base + "/signal", {{"name", "approve"}}).status == 403);
  CHECK_FALSE(olga.json("/api/waiting").at("waits").at(0).at("may_signal").as_bool());
  alice.exec("select df.grant_signal('olga')");
  CHECK(olga.json(base).at("can").at("signal").is_null());
  CHECK(olga.json("/api/waiting").at("waits").at(0).at("may_signal").as_bool());
  CHECK(olga.post(base + "/pause", {{"reason", "a look"}}).status == 200);
  CHECK(olga.post(base + "/cancel", {{"reason", "not needed"}, {"expect_status", "paused"}}).status == 200);
  CHECK_THAT(error_of(alice, people.alices), ContainsSubstring("not needed"));
  CHECK_THAT(ui.log(),
             ContainsSubstring("ui: olga from 127.0.0.1: cancel " + people.alices + " (not needed)"));
}

TEST_CASE("who was let in by df.grant_signal approves what it cannot see") {
  People people;
  Sql alice = people.world.session("alice");
  await_put_down(alice, people.alices);
  alice.exec("select df.grant_signal('bob', 'alices%', 'approve')");
  Ui ui(people.world.database().conninfo("bob"));
  Visitor bob = people.visitor(ui);
  const boost::json::value wait = bob.json("/api/waiting").at("waits").at(0);
  CHECK(wait.at("instance").as_string() == people.alices);
  CHECK(wait.at("label").is_null());
  CHECK(wait.at("may_signal").as_bool());
  CHECK(bob.get("/api/instances/" + people.alices).status == 404);
  CHECK(bob.post("/api/instances/" + people.alices + "/signal",
                 {{"name", "approve"}, {"data", "{\"n\": 9007199254740993}"}})
            .status == 200);
  CHECK_THAT(completes(alice, people.alices), ContainsSubstring("9007199254740993"));
}

TEST_CASE("a role without usage is told what it needs") {
  People people;
  people.world.server().create_role("carol");
  Ui ui(people.world.database().conninfo("carol"));
  Visitor carol(ui.port());
  const WebAnswer answer = carol.post("/session", {{"token", ui.token()}});
  CHECK(answer.status == 403);
  CHECK_THAT(answer.body, ContainsSubstring("df.grant_usage"));
}

TEST_CASE("a database without the schema, and one that is away") {
  const TestDatabase empty = shared_server().empty_database();
  shared_server().create_role("alice");
  Ui ui(empty.conninfo("alice"));
  Visitor visitor(ui.port());
  const WebAnswer answer = visitor.post("/session", {{"token", ui.token()}});
  CHECK(answer.status == 503);
  CHECK_THAT(answer.body, ContainsSubstring("durabled init"));

  PostgresServer server;
  World world(server);
  Ui other(world.database().conninfo("alice"));
  Visitor alice(other.port());
  alice.enter(other.token());
  server.stop_immediate();
  CHECK(alice.get("/api/instances").error_code() == "database");
  server.start();
  wait_until("it is back", [&] { return alice.get("/api/instances").status == 200; });
}
