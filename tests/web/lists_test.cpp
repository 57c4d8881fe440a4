// Lists, pages, history, graph, actions: what the API of docs/web-api.md promises.
#include <set>

#include "tests/web/shown.hpp"

using namespace durabled::test;

namespace {

std::vector<std::string> ids(const boost::json::value& list) {
  std::vector<std::string> all;
  for (const auto& row : list.at("rows").as_array()) all.push_back(text(row.at("id")));
  return all;
}

}  // namespace

TEST_CASE("pages of a list lose and repeat nothing, although many have the same time") {
  Shown shown;
  shown.alice.exec("insert into df.submit (dsl) select '''SELECT 1''' from generate_series(1, 57)");
  shown.world.owner().exec("update df.instances set created_at = date_trunc('hour', created_at)");
  std::set<std::string> seen;
  std::string cursor;
  int pages = 0;
  do {
    const boost::json::value page =
        shown.visitor.json("/api/instances?limit=10" + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const std::string& id : ids(page)) CHECK(seen.insert(id).second);
    cursor = page.at("next").is_null() ? "" : text(page.at("next"));
    ++pages;
  } while (!cursor.empty());
  CHECK(seen.size() == 57);
  CHECK(pages == 6);
}

TEST_CASE("filters of a list") {
  Shown shown;
  const std::string one = submit(shown.alice, "'SELECT 1'", "orders-1");
  const std::string two = submit(shown.alice, "'SELECT 1'", "orders-2");
  shown.alice.exec("select df.cancel($1, 'no')", two);
  const auto found = [&](const std::string& query) {
    return ids(shown.visitor.json("/api/instances?" + query));
  };
  CHECK(found("status=cancelled") == std::vector{two});
  CHECK(found("status=pending,running") == std::vector{one});
  CHECK(found("label=orders-1") == std::vector{one});
  CHECK(found("label=orders%25").size() == 2);
  CHECK(found("role=me").size() == 2);
  CHECK(found("role=nobody").empty());
  CHECK(found("code=cancelled") == std::vector{two});
  CHECK(found("id=" + one.substr(0, 5)) == std::vector{one});
  CHECK(found("since=1h").size() == 2);
  CHECK(found("until=1h").empty());
  CHECK(found("since=2020-01-01&until=2021-01-01").empty());
  CHECK(shown.visitor.json("/api/instances?code=22012").at("window").at("default").as_bool());
  CHECK_FALSE(shown.visitor.json("/api/instances?code=22012&since=all").at("window").at("default").as_bool());
  for (const char* wrong :
       {"status=done", "limit=0", "limit=201", "cursor=x", "since=never", "id=ABC", "nonsense=1"}) {
    INFO(wrong);
    CHECK(shown.visitor.get(std::string("/api/instances?") + wrong).error_code() == "bad_request");
  }
}

TEST_CASE("a list says in a line why each is where it is") {
  Shown shown;
  const auto why = [&](const std::string& id) {
    const boost::json::value row = shown.visitor.json("/api/instances/" + id).at("why");
    return text(row.at("kind")) + ": " + text(row.at("text"));
  };
  const std::string early = submit(shown.alice, "'SELECT 1'");
  CHECK(why(early) == "unserved: no daemon serves this database");
  const std::string later = shown.alice.text(
      "insert into df.submit (dsl, start_at) values ('''SELECT 1''', now() + interval '1 h') returning id");
  CHECK(why(later) == "later: begins later");
  shown.world.start_daemon();
  const std::string waits = submit(shown.alice, "df.wait_for_signal('go')"),
                    sleeps = submit(shown.alice, "df.sleep(1000)");
  const std::string tries = submit(shown.alice, "df.retry('SELECT 1/0', 5, delay => 1000)");
  const std::string fails_at = submit(shown.alice, "'SELECT 1/0'"),
                    runs = submit(shown.alice, "'SELECT pg_sleep(5)'");
  // A branch that has lost waits no longer.
  const std::string race =
      submit(shown.alice, "df.race(df.sleep(1000), 'SELECT 1') ~> df.wait_for_signal('then')");
  for (const std::string& id : {waits, sleeps, tries, race}) await_put_down(shown.alice, id);
  fails(shown.alice, fails_at);
  CHECK(why(waits) == "signal: waits for the signal go");
  CHECK(why(sleeps) == "timer: sleeps");
  CHECK(why(tries) == "retry: attempt 1 failed: division by zero");
  CHECK(why(fails_at) == "failed: failed: 22012 division by zero");
  CHECK(why(race) == "signal: waits for the signal then");
  wait_until("the step is seen", [&] { return why(runs) == "step: runs a step"; });
  CHECK(shown.act(waits, "pause") == "done");
  CHECK(why(waits) == "paused: paused");
  CHECK(shown.act(waits, "cancel", {{"reason", "enough"}}) == "done");
  CHECK(why(waits) == "cancelled: cancelled: enough");
}

TEST_CASE("states follow the graph") {
  Shown shown;
  shown.world.start_daemon();
  const std::string id = submit(shown.alice,
                                "df.for_each('SELECT generate_series(1, 7) AS n', 'SELECT $item.n', 3) ~> "
                                "df.if('SELECT true', 'SELECT 1', 'SELECT 2') ~> df.wait_for_signal('go')");
  await_put_down(shown.alice, id);
  const boost::json::value graph = shown.visitor.json("/api/instances/" + id + "/graph");
  const boost::json::value states = shown.visitor.json("/api/instances/" + id).at("states");
  CHECK(graph.at("final").as_bool());
  CHECK(graph.at("nodes").as_array().size() == states.at("letters").as_string().size());
  CHECK(graph.at("nodes").at(1).at("heading").is_null());
  CHECK(states.at("rows").as_object().begin()->value().at("done").as_int64() == 7);
  CHECK_THAT(text(states.at("letters")), ContainsSubstring("s"));  // the branch that was not taken
  CHECK(shown.alice.text("select df._letters($1)", id) == text(states.at("letters")));
  // The letters are those of df.instance_nodes.
  const auto letters = shown.alice.text(
      "select string_agg(case when n.inferred_status = 'skipped' then 's' else left(n.status, 1) end, '' "
      "order by n.node_id) "
      "from df.instance_nodes($1) n",
      id);
  CHECK(letters == text(states.at("letters")));
}

TEST_CASE("history is read from its end, and by kinds") {
  Shown shown;
  shown.world.start_daemon();
  const std::string id =
      submit(shown.alice, "df.for_each('SELECT generate_series(1, 30) AS n', 'SELECT $item.n')");
  completes(shown.alice, id);
  const std::string base = "/api/instances/" + id + "/history";
  const boost::json::value last = shown.visitor.json(base + "?limit=10");
  CHECK(last.at("events").as_array().size() == 10);
  CHECK(last.at("more_before").as_bool());
  CHECK_FALSE(last.at("more_after").as_bool());
  CHECK(last.at("events").at(9).at("seq").as_int64() == last.at("last_seq").as_int64());
  const std::string first = std::to_string(last.at("events").at(0).at("seq").as_int64());
  const boost::json::value before = shown.visitor.json(base + "?limit=10&before=" + first);
  CHECK(before.at("events").at(9).at("seq").as_int64() < std::stoll(first));
  const boost::json::value after = shown.visitor.json(base + "?limit=5&after=1");
  CHECK(after.at("events").at(0).at("seq").as_int64() == 2);
  CHECK(after.at("more_after").as_bool());
  const boost::json::value started = shown.visitor.json(base + "?kinds=InstanceStarted,InstanceCompleted");
  CHECK(started.at("events").as_array().size() == 2);
  CHECK(shown.visitor.get(base + "?kinds=Nonsense").status == 400);
  CHECK(shown.visitor.json(base + "/1").at("event").at("kind").as_string() == "InstanceStarted");
  CHECK(shown.visitor.get(base + "/99999").status == 404);
  const boost::json::value node = shown.visitor.json("/api/instances/" + id + "/nodes/00000002?scope=7");
  CHECK(node.at("attempts").as_array().size() == 1);
  CHECK(node.at("node").at("query").at("text").as_string() == "SELECT $item.n");
}

TEST_CASE("actions do what they say, and nothing when the status has changed meanwhile") {
  Shown shown;
  shown.world.start_daemon();
  const std::string id = submit(shown.alice, "'SELECT 1' |=> 'a' ~> 'SELECT 1/0'");
  fails(shown.alice, id);
  CHECK(shown.act(id, "cancel", {{"expect_status", "running"}}) == "changed");
  const WebAnswer rerun = shown.visitor.post("/api/instances/" + id + "/rerun", {{"from_node", "00000002"}});
  REQUIRE(rerun.status == 200);
  const std::string again = text(rerun.json().at("new_id"));
  fails(shown.alice, again);
  CHECK(text(shown.visitor.json("/api/instances/" + again).at("rerun_of")) == id);
  CHECK(text(shown.visitor.json("/api/instances/" + id + "/reruns").at("reruns").at(0).at("id")) == again);
  CHECK(shown.visitor.json("/api/instances/" + id + "/nodes/00000002").at("rerun").at("problem").is_null());
  const std::string loop = submit(shown.alice, "df.join('SELECT 1' ~> 'SELECT 1/0', 'SELECT 2')");
  fails(shown.alice, loop);
  const boost::json::value node = shown.visitor.json("/api/instances/" + loop + "/nodes/00000003");
  CHECK_THAT(text(node.at("rerun").at("problem")), ContainsSubstring("JOIN"));
  CHECK(shown.act(loop, "rerun", {{"from_node", "00000003"}}) == "refused");
  CHECK(shown.act(loop, "rerun", {{"from_node", "' or 1"}}) == "bad_request");
}

TEST_CASE("bulk counts first, and then does what was counted") {
  Shown shown;
  shown.alice.exec(
      "insert into df.submit (dsl, label) select 'df.sleep(1000)', 'many' from generate_series(1, 25)");
  submit(shown.alice, "df.sleep(1000)", "one");
  const boost::json::object filter{{"label", "many"}};
  const boost::json::value counted =
      shown.visitor.post("/api/bulk", {{"action", "cancel"}, {"filter", filter}, {"dry_run", true}}).json();
  CHECK(counted.at("count").as_int64() == 25);
  CHECK(counted.at("by_status").at("pending").as_int64() == 25);
  CHECK(counted.at("sample").as_array().size() == 10);
  const boost::json::value done =
      shown.visitor
          .post("/api/bulk", {{"action", "cancel"}, {"ids", counted.at("ids")}, {"reason", "all of them"}})
          .json();
  CHECK(done.at("done").as_array().size() == 25);
  CHECK(done.at("failed").as_array().empty());
  CHECK(shown.alice.number("select count(*) from df.instances where status = 'cancelled'") == 25);
  CHECK(shown.visitor.post("/api/bulk", {{"action", "cancel"}, {"ids", counted.at("ids")}}).status == 200);
  for (const boost::json::object& wrong : std::vector<boost::json::object>{
           {{"action", "drop"}, {"dry_run", true}},
           {{"action", "cancel"}},
           {{"action", "cancel"}, {"ids", boost::json::array{"' or 1"}}},
           {{"action", "cancel"}, {"dry_run", true}, {"filter", {{"nonsense", "1"}}}},
       }) {
    INFO(boost::json::serialize(wrong));
    CHECK(shown.visitor.post("/api/bulk", wrong).status == 400);
  }
}

TEST_CASE("the page and its files") {
  Shown shown;
  Visitor stranger(shown.ui.port());
  const WebAnswer page = stranger.get("/");
  REQUIRE(page.status == 200);
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  const std::size_t at = page.body.find("assets/");
  REQUIRE(at != std::string::npos);
  const std::string folder = '/' + page.body.substr(at, page.body.find('/', at + 7) - at);
  for (const char* name : {"app.js", "app.css", "lib/preact.js", "lib/signals.js", "lib/htm.js"}) {
    INFO(name);
    const WebAnswer file = stranger.get(folder + "/" + name);
    CHECK(file.status == 200);
    CHECK_THAT(file.header("Cache-Control"), ContainsSubstring("immutable"));
    CHECK(file.body.find("from\"preact") == std::string::npos);
    const WebAnswer packed =
        stranger.request("GET", folder + "/" + name, "", {{"Accept-Encoding", "gzip, br"}});
    CHECK(packed.header("Content-Encoding") == "gzip");
    CHECK(packed.body.size() < file.body.size());
    const WebAnswer known =
        stranger.request("GET", folder + "/" + name, "", {{"If-None-Match", file.header("ETag")}});
    CHECK(known.status == 304);
  }
  CHECK(stranger.get("/assets/0123/app.js").status == 404);
  CHECK(stranger.get(folder + "/package.json").status == 404);
}

TEST_CASE("below a base path") {
  World world;
  Ui ui(world.database().conninfo("alice"), {"--base-path", "/flows/"});
  Visitor visitor(ui.port());
  CHECK(visitor.get("/").status == 401);
  CHECK(visitor.get("/flows/").status == 200);
  const WebAnswer in = visitor.post("/flows/session", {{"token", ui.token()}});
  CHECK(in.status == 200);
  CHECK_THAT(in.header("Set-Cookie"), ContainsSubstring("Path=/flows/;"));
  CHECK(visitor.get("/flows/api/me").status == 200);
}
