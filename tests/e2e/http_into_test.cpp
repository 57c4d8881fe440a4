// HTTP steps whose body a statement makes and whose answer a statement takes, through the whole system.
#include <csignal>

#include "tests/e2e/http_world.hpp"

using namespace durabled::test;

namespace {

// Whether the events of all instances hold `text` anywhere.
bool history_has(HttpWorld& world, const std::string& text) {
  return world.owner().text("select exists (select from df.events where data::text like '%' || $1 || '%')",
                            text) == "t";
}

// A route that answers with what the test gives.
void answer_with(HttpWorld& world, const std::string& path, const std::string& body, int status = 200) {
  world.http.route(path, TestAnswer{.status = status, .body = body, .headers = {{"X-Kind", "it's \"k\""}}});
}

}  // namespace

TEST_CASE("a statement makes the body, and another one stores the answer with the step's event") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  answer_with(world, "/answer", "the answer");
  alice.exec("create table taken (by text, status int, ok boolean, body text)");
  alice.exec("create table asked as select 7 as id, 'what it''s \"about\"' as q");
  const std::string json = run_workflow(
      alice,
      "'SELECT 7 AS id' |=> 'v' ~> " +
          call(world, "/answer?id=$v.id",
               ", request => 'SELECT json_build_object(''q'', q) FROM asked WHERE id = $v.id', into => "
               "'INSERT INTO taken VALUES (current_user, $response.status, $response.ok, $response.body) "
               "RETURNING status, body'"));
  CHECK(holds(alice, json, "j -> 'rows' = '[{\"status\": 200, \"body\": \"the answer\"}]'"));
  CHECK(holds(alice, json, "j ->> 'affected' = '1'"));
  CHECK(holds(alice, json, "j -> 'http' ->> 'url' = '" + world.http.url("/answer") + "'"));
  CHECK(holds(alice, json, "j -> 'http' @> '{\"status\": 200, \"bytes\": 10}'"));
  CHECK(holds(alice, json, "(j -> 'http' ->> 'ms')::int between 0 and 10000"));
  CHECK(alice.text("select format('%s %s %s %s', by, status, ok, body) from taken") ==
        "alice 200 t the answer");
  const TestCall asked = world.http.calls("/answer").at(0);
  CHECK(holds(alice, asked.body, R"(j = '{"q": "what it''s \"about\""}')"));
  CHECK(asked.query == "id=7");
  CHECK(asked.header("content-type") == "application/json");
}

TEST_CASE("the history has neither the body nor the answer, unless into returns them") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  answer_with(world, "/answer", "a-long-answer");
  alice.exec("create table taken (body text)");
  run_workflow(alice, call(world, "/answer",
                           ", request => 'SELECT ''a-long-'' || ''question''', into => 'INSERT "
                           "INTO taken SELECT $response.body'"));
  CHECK(alice.text("select body from taken") == "a-long-answer");
  CHECK(world.http.calls("/answer").at(0).body == "a-long-question");
  CHECK_FALSE(history_has(world, "a-long-question"));
  CHECK_FALSE(history_has(world, "a-long-answer"));
  CHECK(history_has(world, "/answer"));
}

TEST_CASE("$response has the answer's fields as typed values") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  answer_with(world, "/answer", "text");
  const std::string json =
      run_workflow(alice, call(world, "/answer",
                               ", 'GET', into => 'SELECT pg_typeof($response.status)::text || '' '' || "
                               "pg_typeof($response.ok) || '' '' || pg_typeof($response.headers) AS types, "
                               "$response.headers ->> ''x-kind'' AS kind, $response.encoding AS encoding'"));
  INFO(json);
  CHECK(holds(alice, json, "j -> 'rows' -> 0 ->> 'types' = 'integer boolean jsonb'"));
  CHECK(holds(alice, json, R"(j -> 'rows' -> 0 @> '{"encoding": "text", "kind": "it''s \"k\""}')"));
}

TEST_CASE("a request without a row makes no call, and into does not run") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (body text)");
  const std::string json =
      run_workflow(alice, call(world, "/json",
                               ", request => 'SELECT 1 WHERE false', into => 'INSERT INTO taken "
                               "SELECT $response.body'"));
  CHECK(json.empty());
  CHECK(world.http.count("/json") == 0);
  CHECK(alice.number("select count(*) from taken") == 0);
  // So a loop ends by itself.
  alice.exec("create table work as select n from generate_series(1, 3) n");
  run_workflow(alice,
               "df.loop(" +
                   call(world, "/json",
                        ", request => 'SELECT n FROM work ORDER BY n LIMIT 1', into => 'DELETE FROM work "
                        "WHERE n = (SELECT min(n) FROM work) RETURNING n'") +
                   " |=> 'done', 'SELECT $done.n? IS NOT NULL')");
  CHECK(world.http.count("/json") == 3);
}

TEST_CASE("a request that is not one row with one column fails and says so, and nothing is called") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table t (n int)");
  alice.exec("create procedure ends() language plpgsql as 'begin commit; end'");
  const auto error = [&](const std::string& statement) {
    return run_failing(alice, call(world, "/json", ", request => '" + statement + "'"));
  };
  CHECK_THAT(error("SELECT generate_series(1, 2)"),
             ContainsSubstring("request returned more than one row") && ContainsSubstring("json_agg"));
  CHECK_THAT(error("SELECT 1 AS a, 2 AS b"), ContainsSubstring("request returned 2 columns"));
  CHECK_THAT(error("SELECT"), ContainsSubstring("request returned 0 columns"));
  CHECK_THAT(error("SELECT NULL"), ContainsSubstring("request returned NULL as the body"));
  CHECK_THAT(error("INSERT INTO t VALUES (1) RETURNING n"),
             ContainsSubstring("25006") && ContainsSubstring("read-only transaction"));
  CHECK_THAT(error("CALL ends()"), ContainsSubstring("2D000"));
  CHECK_THAT(error("SELECT nobody"), ContainsSubstring("42703") && ContainsSubstring("SELECT nobody"));
  CHECK_THAT(error("SELECT $nothing"), ContainsSubstring("$nothing"));
  CHECK(world.http.count("/json") == 0);
  CHECK(alice.number("select count(*) from t") == 0);
}

TEST_CASE("the type of the body's column says how it is sent") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  const auto sent = [&](const std::string& statement, const std::string& more = "") {
    run_workflow(alice, call(world, "/echo", ", request => '" + statement + "'" + more));
    return world.http.calls("/echo").back();
  };
  const TestCall text = sent("SELECT ''no {secret.token} $v here''");
  CHECK(text.body == "no {secret.token} $v here");
  CHECK(text.header("content-type") == "text/plain; charset=utf-8");
  CHECK(sent("SELECT ''[1]''").header("content-type") == "application/json");
  CHECK(sent("SELECT ''\"a\\u0041\"''::json").body == R"("a\u0041")");
  CHECK(sent("SELECT 5.50").body == "5.50");
  const TestCall bytes = sent("SELECT ''\\x00ff41''::bytea");
  CHECK(bytes.body == std::string("\0\xff\x41", 3));
  CHECK(bytes.header("content-type") == "application/octet-stream");
  CHECK(sent("SELECT ''a,b''", ", headers => '{\"Content-Type\": \"text/csv\"}'").header("content-type") ==
        "text/csv");
}

TEST_CASE("into runs for every answer that completes the step, and for no other") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (status int, ok boolean)");
  const std::string into = ", into => 'INSERT INTO taken SELECT $response.status, $response.ok')";
  const auto taken = [&] {
    return alice.text(
        "with gone as (delete from taken returning *) select string_agg(format('%s %s', status, "
        "ok), ', ') from gone");
  };
  run_workflow(alice, "df.http('" + world.http.url("/status/404") + "', 'GET'" + into);
  CHECK(taken() == "404 f");
  run_workflow(alice, "df.http('" + world.http.url("/sequence/503,429,201") + "', 'GET'" + into);
  CHECK(taken() == "201 t");
  CHECK_THAT(
      run_failing(alice, "df.http('" + world.http.url("/status/400") + "', 'GET', expect => '2xx'" + into),
      ContainsSubstring("http_400"));
  CHECK(alice.number("select count(*) from taken") == 0);
}

TEST_CASE("an into that fails leaves nothing, and its error says what was answered") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (body text not null)");
  const std::string error = run_failing(
      alice, call(world, "/json", ", 'GET', into => 'INSERT INTO taken VALUES ($response.body), (NULL)'"));
  CHECK(holds(alice, error, "j ->> 'code' = '23502' and j -> 'http' @> '{\"status\": 200}'"));
  CHECK(alice.number("select count(*) from taken") == 0);
  CHECK(world.http.count("/json") == 1);
  CHECK_THAT(run_failing(alice, call(world, "/json", ", 'GET', into => 'SELECT $response.nothing'")),
             ContainsSubstring("$response has no field \\\"nothing\\\"; it has: status, body"));
}

TEST_CASE("an into whose failure may pass is tried again with the same answer") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (body text)");
  alice.exec("create sequence tries");
  alice.exec(
      "create function shaky() returns text language plpgsql as $$ begin if nextval('tries') < 3 then raise "
      "serialization_failure; end if; return 'stored'; end $$");
  run_workflow(alice, call(world, "/json", ", 'GET', into => 'INSERT INTO taken VALUES (shaky())'"));
  CHECK(alice.text("select string_agg(body, ',') from taken") == "stored");
  CHECK(world.http.count("/json") == 1);
  CHECK(alice.number("select count(*) from df.events where kind = 'StepFailed'") == 0);
}

TEST_CASE("kill -9 between the answer and its commit: the call may be made again, the effect is there once") {
  HttpWorld world;
  Sql alice = world.session(), holder = world.session();
  DaemonProcess& first = world.start_calling_daemon();
  alice.exec("create table taken (body text)");
  holder.exec("begin");
  holder.exec("lock table taken");
  const std::string id =
      submit(alice, call(world, "/echo",
                         ", request => 'SELECT ''pay''', into => 'INSERT INTO taken SELECT $response.body'"));
  wait_until("into waits for the table", [&] {
    return world.owner().number(
               "select count(*) from pg_locks where not granted and relation = 'taken'::regclass") == 1;
  });
  first.kill9();
  holder.exec("commit");
  world.start_calling_daemon();
  completes(alice, id);
  CHECK(alice.number("select count(*) from taken") == 1);
  const auto calls = world.http.calls("/echo");
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].body == "pay");
  CHECK(calls[1].header("idempotency-key") == calls[0].header("idempotency-key"));
}

TEST_CASE("a daemon that stops stores what was answered already") {
  HttpWorld world;
  Sql alice = world.session(), holder = world.session();
  DaemonProcess& first = world.start_calling_daemon();
  alice.exec("create table taken (body text)");
  holder.exec("begin");
  holder.exec("lock table taken");
  const std::string id =
      submit(alice, call(world, "/json", ", 'GET', into => 'INSERT INTO taken SELECT $response.body'"));
  wait_until("into waits for the table", [&] {
    return world.owner().number(
               "select count(*) from pg_locks where not granted and relation = 'taken'::regclass") == 1;
  });
  kill(first.pid(), SIGTERM);
  wait_until("it knows that it is to stop",
             [&] { return first.log().find("waiting for 1 running step") != std::string::npos; });
  holder.exec("commit");
  CHECK(first.wait() == 0);
  CHECK(end_of(alice, id) == "completed");
  CHECK(alice.number("select count(*) from taken") == 1);
  CHECK(world.http.count("/json") == 1);
}

TEST_CASE("a cancel while into runs leaves nothing of it") {
  HttpWorld world;
  Sql alice = world.session(), holder = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (body text)");
  holder.exec("begin");
  holder.exec("lock table taken");
  const std::string id =
      submit(alice, call(world, "/json", ", 'GET', into => 'INSERT INTO taken SELECT $response.body'"));
  wait_until("into waits for the table", [&] {
    return world.owner().number(
               "select count(*) from pg_locks where not granted and relation = 'taken'::regclass") == 1;
  });
  alice.exec("select df.cancel($1)", id);
  wait_until("the statement was stopped", [&] {
    return world.owner().number(
               "select count(*) from pg_locks where not granted and relation = 'taken'::regclass") == 0;
  });
  holder.exec("commit");
  CHECK(status_of(alice, id) == "cancelled");
  CHECK(alice.number("select count(*) from taken") == 0);
}

TEST_CASE("the rows of a for_each ask and store side by side") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (n int, body text)");
  const std::string step =
      call(world, "/echo",
           ", request => 'SELECT ''body '' || $item.n', into => 'INSERT INTO taken SELECT $item.n, "
           "($response.body)::json ->> ''body'''");
  const std::string json = run_workflow(
      alice, "df.for_each('SELECT generate_series(1, 200) AS n', " + step + " ~> 'SELECT 1 AS one', 20)");
  CHECK(holds(alice, json, "jsonb_array_length(j) = 200"));
  CHECK(alice.number("select count(*) from taken where body = 'body ' || n") == 200);
  CHECK(world.http.count("/echo") == 200);
}

TEST_CASE("a call with statements runs in another database of the server") {
  HttpWorld world;
  TestDatabase other = world.server().fresh_database();
  Sql(other.conninfo())
      .exec("select df.grant_usage('alice', true); grant usage, create on schema public to alice");
  Sql there(other.conninfo("alice"));
  there.exec("create table taken (body text); create table asked as select 'from there' as q");
  Sql alice = world.session();
  world.start_calling_daemon();
  const std::string id =
      alice.text("insert into df.submit (dsl, database) values ($1, $2) returning id",
                 call(world, "/echo",
                      ", request => 'SELECT q FROM asked', into => 'INSERT INTO taken SELECT "
                      "($response.body)::json ->> ''body'' RETURNING body'"),
                 there.text("select current_database()"));
  CHECK(holds(alice, completes(alice, id),
              "j @> '{\"rows\": [{\"body\": \"from there\"}], \"http\": {\"status\": 200}}'"));
  CHECK(there.text("select string_agg(body, ',') from taken") == "from there");
}

TEST_CASE("an answer counts against the budget of its instance until it is stored") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon({{"limits.instance_bytes", "1MiB"}});
  answer_with(world, "/big", std::string(2 << 20, 'x'));
  alice.exec("create table taken (bytes int)");
  const std::string into = ", 'GET', into => 'INSERT INTO taken SELECT length($response.body)'";
  CHECK_THAT(run_failing(alice, call(world, "/big", into)), ContainsSubstring("limits.instance_bytes"));
  CHECK(alice.number("select count(*) from taken") == 0);
  answer_with(world, "/big", std::string(512 << 10, 'x'));
  run_workflow(alice, "df.for_each('SELECT generate_series(1, 20)', " + call(world, "/big", into) + ", 1)");
  CHECK(alice.number("select sum(bytes) from taken") == 20 * (512 << 10));
}

TEST_CASE("rows and columns make the answer a relation with typed columns") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (i int, e real[], note text, total int)");
  // 1, -2.5 as little-endian float32
  answer_with(world, "/answer",
              R"({"data": [{"index": 1, "embedding": [0.25, -1e-7, 3], "note": "it's '$1' \\ {x}"},
      {"index": 0, "embedding": "AACAPwAAIMA=", "note": null}], "usage": {"total": 7}})");
  const std::string json = run_workflow(
      alice,
      call(world, "/answer",
           ", 'GET', rows => '$.data[*]', columns => 'index int, embedding real[], note? text', into => "
           "'INSERT INTO taken SELECT r.index, r.embedding, r.note, $response.json.usage.total FROM $rows.* "
           "AS "
           "r RETURNING pg_typeof(e)::text AS t, array_length($rows.index[], 1) AS n'"));
  CHECK(holds(alice, json, "j -> 'rows' -> 0 = '{\"t\": \"real[]\", \"n\": 2}'"));
  CHECK(
      alice.text("select string_agg(format('%s %s %s %s', i, e, note, total), '|' order by i) from taken") ==
      "0 {1,-2.5}  7|1 {0.25,-1e-07,3} it's '$1' \\ {x} 7");
  // Rows that are no objects have a number.
  answer_with(world, "/plain", "[[1, 2], [3, 4]]");
  CHECK(holds(alice,
              run_workflow(
                  alice, call(world, "/plain",
                              ", 'GET', rows => '$[*]', columns => 'n for ordinality, v real[] path ''$'', a "
                              "int path ''$[1]''', into => 'SELECT * FROM $rows.*'")),
              "j -> 'rows' = '[{\"n\": 1, \"v\": [1, 2], \"a\": 2}, {\"n\": 2, \"v\": [3, 4], \"a\": 4}]'"));
  answer_with(world, "/plain", "[]");
  CHECK(holds(alice,
              run_workflow(alice, call(world, "/plain",
                                       ", 'GET', rows => '$[*]', columns => 'v real[]', into => "
                                       "'SELECT count(*) AS n, $rows.row_count AS m FROM $rows.*'")),
              "j -> 'rows' -> 0 = '{\"n\": 0, \"m\": 0}'"));
}

TEST_CASE("an answer of another shape fails, says where, and stores nothing") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (i int, e real[])");
  const auto error = [&](const std::string& body, int status = 200) {
    answer_with(world, "/answer", body, status);
    return run_failing(alice, call(world, "/answer",
                                   ", 'GET', rows => '$.data[*]', columns => 'index int, embedding "
                                   "real[]', into => 'INSERT INTO taken SELECT * FROM $rows.*'"));
  };
  const auto row = [](const std::string& second) {
    return R"({"data": [{"index": 0, "embedding": [1]}, )" + second + "]}";
  };
  const std::string lacking = error(row(R"({"index": 1, "object": "x"})"));
  CHECK_THAT(lacking, ContainsSubstring("http_rows") &&
                          ContainsSubstring("row 2: embedding: $ has no member") &&
                          ContainsSubstring("it has: index, object"));
  CHECK(holds(alice, lacking, "j -> 'http' @> '{\"status\": 200}'"));
  CHECK_THAT(error(row(R"({"index": 1, "embedding": null})")), ContainsSubstring("row 2: embedding is null"));
  CHECK_THAT(error(row(R"({"index": true, "embedding": [1]})")),
             ContainsSubstring("row 2: index must be a number (integer), found a boolean"));
  CHECK_THAT(error(row(R"({"index": 1, "embedding": 5})")),
             ContainsSubstring("embedding must be an array (real[]), found a number"));
  CHECK_THAT(error(row(R"({"index": 1, "embedding": "AAA="})")), ContainsSubstring("base64 of float32"));
  CHECK_THAT(error(row(R"({"index": 1, "embedding": ["x"]})")), ContainsSubstring("22P02"));
  CHECK_THAT(error(row(R"({"index": 1.5, "embedding": [1]})")), ContainsSubstring("22P02"));
  CHECK_THAT(error(row("7")), ContainsSubstring("row 2: index: $ is a number, not an object"));
  CHECK_THAT(error(R"({"error": "busy"})"),
             ContainsSubstring("rows: $ has no member") && ContainsSubstring("it has: error"));
  CHECK_THAT(error(R"({"data": {}})"), ContainsSubstring("rows: $.data is an object, not an array"));
  CHECK_THAT(error(R"({"data": [)"), ContainsSubstring("is not JSON"));
  CHECK_THAT(error("[]", 400), ContainsSubstring("http_400"));
  CHECK(alice.number("select count(*) from taken") == 0);
}

TEST_CASE("whatever an answer holds arrives as a value, in code, in strings and in a dollar-quoted body") {
  HttpWorld world;
  Sql alice = world.session();
  world.start_calling_daemon();
  alice.exec("create table taken (how text, body text)");
  const std::string texts[] = {"'); DROP TABLE taken; --",
                               "$$; DROP TABLE taken; $$",
                               "\\'; DROP TABLE taken; --",
                               "$response.status ${rows} {sys_label} {secret.token}",
                               "E'\\x27' \xC3\xA9 \" \\\\",
                               "{\"rows\":[{\"a\":1}],\"row_count\":1,\"columns\":[{\"name\":\"a\",\"type\":"
                               "\"int; DROP\"}],\"affected\":1}"};
  for (const std::string& text : texts) {
    INFO(text);
    answer_with(world, "/answer", text);
    alice.exec("truncate taken");
    run_workflow(alice, call(world, "/answer",
                             ", 'GET', into => 'INSERT INTO taken VALUES (''code'', $response.body), "
                             "(''string'', ''$response.body'')'"));
    run_workflow(alice, call(world, "/answer",
                             ", 'GET', into => $q$DO $b$ BEGIN INSERT INTO taken VALUES ('body', "
                             "$response.body); END $b$ $q$"));
    CHECK(alice.number("select count(*) from taken where body = $1", text) == 3);
  }
}
