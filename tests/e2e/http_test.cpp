// HTTP steps through the whole system: what a call sends, what it returns, how it is tried again and stopped.
#include <mutex>
#include <set>

#include "daemon/http/idempotency_key.hpp"
#include "tests/e2e/http_world.hpp"

using namespace durabled::test;
using durabled::daemon::idempotency_key;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

std::vector<std::string> idempotency_keys(const HttpTestServer& server, const std::string& path) {
  std::vector<std::string> keys;
  for (const TestCall& call : server.calls(path)) keys.push_back(call.header("idempotency-key"));
  return keys;
}

// Failures of an instance's steps, "code attempt" each, in order.
std::string failures(Sql& sql, const std::string& id) {
  return sql
      .value(
          "select string_agg((data -> 'error' ->> 'code') || ' ' || attempt, ', ' order by seq)"
          " from df.history($1) where kind = 'StepFailed'",
          id)
      .value_or("");
}

}  // namespace

TEST_CASE("a call completes with the envelope of its answer", "[L4.1]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  const std::string json = run_workflow(alice, call(world, "/json?a=b"));
  CHECK(holds(alice, json, "j @> '{\"status\": 200, \"ok\": true, \"encoding\": \"text\"}'"));
  CHECK(holds(alice, json, "(j ->> 'body')::jsonb @> '{\"message\": \"hello\"}'"));
  CHECK(holds(alice, json, "j -> 'headers' ->> 'content-type' = 'application/json'"));
  CHECK(holds(alice, json, "(j ->> 'duration_ms')::numeric between 0 and 10000"));
  CHECK(holds(alice, json, "(select count(*) from jsonb_object_keys(j)) = 6"));
  CHECK(world.http.calls("/json").at(0).query == "a=b");
  CHECK(alice.text("select at - started_at = (data ->> 'duration_ms')::int * interval '1 ms' from df.events "
                   "where kind = 'StepCompleted'") == "t");

  // A value cannot leave its string, its path segment or its query value.
  const std::string encoded = run_workflow(
      alice,
      R"($q$ SELECT 'O''Brien "Bob" \ x", "admin": true, "y": "' AS name, NULL AS none, 'a b&c=1' AS q $q$ |=> 'v' ~> )" +
          call(world, "/echo/$v.q?q=$v.q", R"(, 'POST', '{"name": "$v.name", "e": $v.none?}')"));
  CHECK(holds(alice, encoded,
              "(((j ->> 'body')::jsonb ->> 'body')::jsonb) = jsonb_build_object('e', null, 'name', "
              "'O''Brien \"Bob\" \\ x\", \"admin\": true, \"y\": \"')"));
  CHECK(world.http.calls("/echo/a%20b%26c%3D1").at(0).query == "q=a%20b%26c%3D1");

  const std::string unexpected = run_failing(alice, call(world, "/status/404", ", 'GET', expect => '2xx'"));
  CHECK(holds(alice, unexpected, "j ->> 'code' = 'http_404' and (j ->> 'attempts')::int = 1"));
  CHECK_THAT(unexpected, ContainsSubstring("GET http://127.0.0.1") &&
                             ContainsSubstring("/status/404: HTTP 404, expected 2xx") &&
                             ContainsSubstring("status 404"));
  const int before = world.http.count("/status/410");
  run_failing(alice, "df.retry(" + call(world, "/status/410", ", 'GET', expect => '2xx 404'") +
                         ", 3, 0, on => '410')");
  CHECK(world.http.count("/status/410") == before + 3);
  CHECK(holds(alice, run_workflow(alice, call(world, "/status/503", ", 'GET', expect => '2xx 503'")),
              "j @> '{\"status\": 503, \"ok\": false}'"));
  const std::string missing = run_workflow(alice, call(world, "/status/404"));
  CHECK(holds(alice, missing, "j @> '{\"status\": 404, \"ok\": false, \"body\": \"status 404\"}'"));

  const std::string bytes = run_workflow(alice, call(world, "/bytes"));
  CHECK(holds(alice, bytes,
              "j ->> 'encoding' = 'base64' and length(decode(j ->> 'body', 'base64')) = 256"
              " and get_byte(decode(j ->> 'body', 'base64'), 255) = 255"));
}

TEST_CASE("the log has the URL of each call at the level debug, and no secret") {
  HttpWorld world;
  const TemporaryDirectory secrets("durabled-secrets");
  write_file(secrets.path() / "token", "s3cr3t-t0ken");
  DaemonProcess& daemon = world.start_calling_daemon(
      {{"log.level", "debug"}, {"http.secrets_directory", secrets.path().string()}});
  Sql alice = world.session();
  const std::string id =
      submit(alice, "'SELECT 7 AS n' |=> 'v' ~> " + call(world, "/json?n=$v.n&key={secret.token}"));
  CHECK(end_of(alice, id) == "completed");
  wait_until("the call is in the log", [&] {
    return daemon.log().find("instance " + id + ", node 00000002: GET " +
                             world.http.url("/json?n=7&key={secret.token}")) != std::string::npos;
  });
  CHECK_THAT(daemon.log(), !ContainsSubstring("s3cr3t-t0ken"));
}

TEST_CASE("a call sends method, body, headers and what references stand for", "[L3.5][L5.1][L5.9]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("select df.setvar('kind', 'things')");
  run_workflow(alice,
               R"('SELECT ''a "quoted" value'' AS text, 42 AS n' |=> 'v' ~> )" +
                   call(world, "/echo/{kind}?n=$v.n",
                        R"(, 'PUT', '{"text": "{kind}", "n": $v.n}', '{"X-Text": "$v.text", "X-N": 7}')"));
  const TestCall put = world.http.calls("/echo/things").at(0);
  CHECK(put.method == "PUT");
  CHECK(put.query == "n=42");
  CHECK(put.body == R"({"text": "things", "n": 42})");
  CHECK(put.header("x-text") == R"(a "quoted" value)");
  CHECK(put.header("x-n") == "7");
  CHECK(put.header("content-type") == "application/json");
}

TEST_CASE("a reference that is the whole of a body or of a header's value is sent as it is") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  run_workflow(alice, R"($q$SELECT '{"k": [1, "$v {x}"]}'::jsonb AS doc, '"$v"' AS text$q$ |=> 'v' ~> )" +
                          call(world, "/echo", R"(, body => '$v.doc', headers => '{"X-A": "$v.text"}')"));
  const TestCall post = world.http.calls("/echo").at(0);
  CHECK(post.method == "POST");
  CHECK(holds(alice, post.body, R"(j = '{"k": [1, "$v {x}"]}')"));
  CHECK(post.header("x-a") == "\"$v\"");
}

TEST_CASE("df.http_multipart sends a form, its files from an earlier step", "[L3.6]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  run_workflow(
      alice, R"('SELECT encode(''\x00ff10''::bytea, ''base64'') AS data' |=> 'file' ~> df.http_multipart(')" +
                 world.http.url("/echo") + R"(', parts => '[
      {"name": "title", "data_b64": "aGVs\n bG8="},
      {"name": "file", "data_b64": "$file.data", "filename": "a.bin", "content_type": "image/x-test"}]'))");
  const TestCall post = world.http.calls("/echo").at(0);
  CHECK_THAT(post.header("content-type"), ContainsSubstring("multipart/form-data; boundary="));
  CHECK_THAT(post.body, ContainsSubstring("name=\"title\"") && ContainsSubstring("\r\n\r\nhello\r\n"));
  CHECK_THAT(post.body, ContainsSubstring("filename=\"a.bin\"") && ContainsSubstring("image/x-test"));
  CHECK_THAT(post.body, ContainsSubstring(std::string("\r\n\r\n\0\xff\x10\r\n", 9)));
}

TEST_CASE("the idempotency key of a step is the same for each attempt and differs from every other step's",
          "[L6.7]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  const std::string id =
      submit(alice, call(world, "/sequence/503,502,200") + " ~> " + call(world, "/echo", "") +
                        " ~> df.for_each('SELECT generate_series(1, 3) AS n', " + call(world, "/json") + ")");
  completes(alice, id);
  CHECK(failures(alice, id) == "http_503 1, http_502 2");
  const auto keys = idempotency_keys(world.http, "/sequence/503,502,200");
  REQUIRE(keys.size() == 3);
  CHECK(keys[0] == idempotency_key(world.owner().text("select id from df._installation"), id, {1, ""}));
  CHECK(keys[1] == keys[0]);
  CHECK(keys[2] == keys[0]);
  std::set<std::string> all{keys[0], idempotency_keys(world.http, "/echo").at(0)};
  for (const std::string& key : idempotency_keys(world.http, "/json")) all.insert(key);
  CHECK(all.size() == 5);
}

TEST_CASE("a call that kill -9 of the daemon cut off is made again with the same idempotency key", "[L6.7]") {
  HttpWorld world;
  Sql alice = world.session();
  world.http.route("/once", [](const TestCall& call) {
    TestAnswer answer;
    if (call.number == 1) answer.fate = TestAnswer::Fate::kHang;
    return answer;
  });
  DaemonProcess& first = world.start_calling_daemon();
  const std::string id = submit(alice, call(world, "/once", ", body => 'pay'"));
  wait_until("the call is under way", [&] { return world.http.count("/once") == 1; });
  first.kill9();
  world.start_calling_daemon();
  CHECK(holds(alice, completes(alice, id), "j @> '{\"status\": 200}'"));
  const auto keys = idempotency_keys(world.http, "/once");
  REQUIRE(keys.size() == 2);
  CHECK_FALSE(keys[0].empty());
  CHECK(keys[1] == keys[0]);
}

TEST_CASE("429 with Retry-After waits as long as the server asks", "[L6.8]") {
  HttpWorld world;
  Sql alice = world.session();
  std::mutex mutex;
  std::vector<steady_clock::time_point> times;
  world.http.route("/busy", [&](const TestCall& call) {
    const std::lock_guard lock(mutex);
    times.push_back(steady_clock::now());
    TestAnswer answer;
    if (call.number == 1) answer = {.status = 429, .body = "later", .headers = {{"Retry-After", "1"}}};
    return answer;
  });
  world.start_calling_daemon();
  const std::string id = submit(alice, call(world, "/busy"));
  completes(alice, id);
  CHECK(failures(alice, id) == "http_429 1");
  REQUIRE(times.size() == 2);
  // The default pause here is 20 ms.
  CHECK(times[1] - times[0] >= milliseconds{1'000});
  CHECK(alice.text("select (data ->> 'retry_at')::timestamptz - at >= interval '999 ms' from df.history($1)"
                   " where kind = 'StepFailed'",
                   id) == "t");
}

TEST_CASE("a connection that is reset is a network failure and tried again", "[L6.8]") {
  HttpWorld world;
  Sql alice = world.session();
  world.http.route("/shaky", [](const TestCall& call) {
    TestAnswer answer;
    if (call.number < 3) answer.fate = TestAnswer::Fate::kReset;
    return answer;
  });
  world.start_calling_daemon();
  const std::string id = submit(alice, call(world, "/shaky", ", body => 'x'"));
  CHECK(holds(alice, completes(alice, id), "j @> '{\"status\": 200}'"));
  CHECK(failures(alice, id) == "http_network 1, http_network 2");
}

TEST_CASE("a server that never answers is a timeout, and one that answers without end an error that says so",
          "[L3.5][L6.17]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon({{"http.max_response_bytes", "64KiB"}, {"retry.max_attempts", "2"}});
  const std::string slow = submit(alice, call(world, "/hang", ", 'GET', timeout_seconds => 0.3"));
  const std::string error = fails(alice, slow);
  CHECK(holds(alice, error, "j ->> 'code' = 'http_timeout' and j -> 'attempts' = '2'"));
  CHECK_THAT(error, ContainsSubstring("no answer within 300 ms"));
  CHECK(world.http.count("/hang") == 2);
  // A call's time is counted in whole milliseconds, begun ones not.
  CHECK(alice.text("select bool_and(at - started_at between interval '295 ms' and at - (select max(p.at) "
                   "from df.events p where p.instance_id = e.instance_id and p.seq < e.seq)) "
                   "from df.events e where instance_id = $1 and kind = 'StepFailed'",
                   slow) == "t");

  const std::string flood = run_failing(alice, call(world, "/flood"));
  CHECK(holds(alice, flood, "j ->> 'code' = 'http_too_large'"));
  CHECK_THAT(flood, ContainsSubstring("65536 bytes (http.max_response_bytes)"));
  CHECK(world.http.count("/flood") == 1);
}

TEST_CASE("a race breaks off the call that lost, and a cancel the one that runs", "[L6.13]") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  CHECK(holds(alice, run_workflow(alice, call(world, "/hang/a") + " | " + call(world, "/delay/200")),
              "j @> '{\"body\": \"status 200\"}'"));
  wait_until("the loser is broken off", [&] { return world.http.abandoned() == 1; });

  const std::string id = submit(alice, call(world, "/hang/b"));
  wait_until("the call is under way", [&] { return world.http.count("/hang/b") == 1; });
  alice.exec("select df.cancel($1, 'enough')", id);
  CHECK(end_of(alice, id) == "cancelled");
  wait_until("the call is broken off", [&] { return world.http.abandoned() == 2; });

  run_failing(alice, "df.timeout(" + call(world, "/hang/c") + ", 0.3)");
  wait_until("what took too long is broken off", [&] { return world.http.abandoned() == 3; });
  CHECK(world.http.open_calls() == 0);
}

TEST_CASE("the calls of a for_each and of a join run side by side") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  const std::string each = submit(alice, "df.for_each('SELECT generate_series(1, 1000) AS n', " +
                                             call(world, "/delay/100") + ", max_parallel => 1000)");
  CHECK(holds(alice, completes(alice, each), "jsonb_array_length(j) = 1000"));
  std::string branches;
  for (int i = 0; i < 1000; ++i) branches += (i > 0 ? ", " : "") + call(world, "/delay/100");
  const std::string join = submit(alice, "df.join(" + branches + ")");
  CHECK(holds(alice, completes(alice, join), "jsonb_array_length(j) = 1000"));
  CHECK(world.http.count("/delay/100") == 2'000);
  CHECK(world.http.most_open() > 1);
}
