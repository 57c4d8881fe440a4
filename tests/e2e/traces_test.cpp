// Traces of a running daemon, as a collector gets them.
#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "tests/e2e/http_world.hpp"
#include "tests/support/trace_collector.hpp"

using namespace durabled::test;

namespace {

Settings tracing(const TraceCollector& collector) {
  return {{"traces.endpoint", collector.endpoint()}};
}

// The spans of an instance once its root is there, which is the last one that is made; the root first.
std::vector<TracedSpan> trace(const TraceCollector& collector, const std::string& instance) {
  return wait_until("the collector has the root of " + instance,
                    [&]() -> std::optional<std::vector<TracedSpan>> {
                      auto spans = collector.spans_of(instance);
                      const auto root = std::find_if(spans.begin(), spans.end(), [](const auto& span) {
                        return span.text("parentSpanId").empty();
                      });
                      if (root == spans.end()) return std::nullopt;
                      std::rotate(spans.begin(), root, root + 1);
                      return spans;
                    })
      .value();
}

std::int64_t nanoseconds(const TracedSpan& span, const char* member) {
  return std::stoll(span.text(member));
}

// "kind node attempt status code" of each step's span, in the order of their ends.
std::vector<std::string> steps(std::vector<TracedSpan> spans) {
  spans.erase(spans.begin());
  std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return nanoseconds(a, "endTimeUnixNano") < nanoseconds(b, "endTimeUnixNano");
  });
  std::vector<std::string> lines;
  for (const TracedSpan& span : spans) {
    lines.push_back(span["durabled.kind"] + ' ' + span["durabled.attempt"] + ' ' + span["durabled.status"] +
                    (span["durabled.code"].empty() ? "" : ' ' + span["durabled.code"]) +
                    (span.failed() ? " error" : ""));
  }
  return lines;
}

}  // namespace

TEST_CASE("an instance is one trace: a root, and a span for each attempt of a step within it") {
  HttpWorld world;
  TraceCollector collector;
  Sql alice = world.session();
  alice.exec("create table vacuumed ()");
  Settings settings = tracing(collector);
  settings["log.format"] = "json";
  settings["log.level"] = "debug";
  DaemonProcess& daemon = world.start_calling_daemon(settings);
  const std::string id = submit(
      alice,
      "'select 1 as hushhush' ~> 'select 2' ~> df.retry(" + call(world, "/sequence/503,200?secret=hushhush") +
          ", 3) ~> df.catch('select 1 / 0 -- hushhush', 'select 3') ~> 'vacuum vacuumed' ~> "
          "'select ''hushhush''::int'",
      "night\"ly\n\\ <b>\x1b");
  fails(alice, id);
  const auto spans = trace(collector, id);
  CHECK(steps(spans) == std::vector<std::string>{
                            "sql 1 completed",
                            "sql 1 completed",
                            "http 1 failed http_503 error",
                            "http 2 completed",
                            "sql 1 failed 22012 error",
                            "sql 1 completed",
                            "sql 1 completed",
                            "sql 1 failed 22P02 error",
                        });
  const TracedSpan& root = spans[0];
  CHECK(root.text("name") == "night\"ly\n\\ <b>\x1b");
  CHECK(root["durabled.status"] == "failed");
  CHECK(root["durabled.code"] == "22P02");
  CHECK(root.failed());
  std::set<std::string> ids;
  for (const TracedSpan& span : spans) {
    CHECK(span.text("traceId") == root.text("traceId"));
    CHECK(ids.insert(span.text("spanId")).second);
    CHECK(nanoseconds(span, "startTimeUnixNano") >= nanoseconds(root, "startTimeUnixNano"));
    CHECK(nanoseconds(span, "endTimeUnixNano") <= nanoseconds(root, "endTimeUnixNano"));
    CHECK(nanoseconds(span, "startTimeUnixNano") <= nanoseconds(span, "endTimeUnixNano"));
    if (&span == &root) continue;
    CHECK(span.text("parentSpanId") == root.text("spanId"));
    if (span["durabled.kind"] == "http") CHECK(span["http.request.method"] == "GET");
  }
  for (const TestCall& sent : collector.http.calls("/v1/traces")) {
    CHECK(sent.header("content-type") == "application/json");
    CHECK_THAT(sent.body, !ContainsSubstring("hushhush"));
    CHECK_THAT(sent.body, !ContainsSubstring(std::to_string(world.http.port())));
  }
  // Another server may continue the trace.
  const auto calls = world.http.calls("/sequence/503,200");
  REQUIRE(calls.size() == 2);
  std::set<std::string> told;
  for (const TestCall& one : calls) told.insert(one.header("traceparent"));
  std::set<std::string> expected;
  for (const TracedSpan& span : spans) {
    if (span["durabled.kind"] == "http")
      expected.insert("00-" + root.text("traceId") + '-' + span.text("spanId") + "-01");
  }
  CHECK(told == expected);
  wait_until("the log has the trace", [&] {
    return daemon.log().find("\"trace_id\":\"" + root.text("traceId") + '"') != std::string::npos;
  });
}

TEST_CASE("a SQL step reads the trace that it belongs to, and the next one its own") {
  World world;
  TraceCollector collector;
  Sql alice = world.session();
  world.start_daemon(tracing(collector));
  const std::string read = "select current_setting(''df.traceparent'', true) as t";
  const std::string id =
      submit(alice, "'" + read + "' |=> 'a' ~> '" + read + "' |=> 'b' ~> 'select $a.t as a, $b.t as b'");
  const auto result = boost::json::parse(completes(alice, id)).at("rows").at(0);
  const auto spans = trace(collector, id);
  REQUIRE(spans.size() == 4);
  const auto told = [&](std::size_t span) {
    return "00-" + spans[0].text("traceId") + '-' + spans[span].text("spanId") + "-01";
  };
  CHECK(result.at("a").as_string() == told(1));
  CHECK(result.at("b").as_string() == told(2));
}

TEST_CASE("a workflow's own header traceparent wins, and without traces nothing is told or sent") {
  HttpWorld world;
  TraceCollector collector;
  Sql alice = world.session();
  world.start_calling_daemon(tracing(collector));
  run_workflow(alice, call(world, "/echo/own", R"(, 'GET', null, '{"TraceParent": "mine"}')"));
  CHECK(world.http.calls("/echo/own").at(0).header("traceparent") == "mine");
  world.daemon().sigterm_and_wait();
  const int sent = collector.http.connections();
  CHECK(sent > 0);
  world.start_calling_daemon();
  run_workflow(alice, call(world, "/echo/none"));
  CHECK(world.http.calls("/echo/none").at(0).header("traceparent").empty());
  CHECK_THAT(
      run_workflow(alice, "'select coalesce(current_setting(''df.traceparent'', true), ''none'') as t'"),
      ContainsSubstring("none"));
  world.daemon(1).sigterm_and_wait();
  CHECK(collector.http.connections() == sent);
}

TEST_CASE("a daemon that takes over, and one that is restarted, give an attempt the same ids") {
  HttpWorld world;
  TraceCollector collector;
  Sql alice = world.session();
  world.http.route("/slow", TestAnswer{.body = "", .fate = TestAnswer::Fate::kHang});
  DaemonProcess& first = world.start_calling_daemon(tracing(collector));
  const std::string id = submit(alice, "'select 1' ~> " + call(world, "/slow"));
  wait_until("the call is made", [&] { return world.http.count("/slow") == 1; });
  wait_until("the first step is sent", [&] { return collector.spans_of(id).size() == 1; });
  first.kill9();
  world.http.route("/slow", TestAnswer{200, "{}"});
  world.start_calling_daemon(tracing(collector));
  completes(alice, id);
  const auto spans = trace(collector, id);
  CHECK(steps(spans) == std::vector<std::string>{"sql 1 completed", "http 1 completed"});
  CHECK(spans[1].text("traceId") == spans[0].text("traceId"));
  const auto calls = world.http.calls("/slow");
  REQUIRE(calls.size() == 2);
  CHECK_FALSE(calls[0].header("traceparent").empty());
  CHECK(calls[0].header("traceparent") == calls[1].header("traceparent"));
}

TEST_CASE("steps that nobody wants any more are stopped spans, and a cancel ends the trace") {
  World world;
  TraceCollector collector;
  Sql alice = world.session();
  world.start_daemon(tracing(collector));
  const std::string raced = submit(alice, "df.race('select pg_sleep(600)', 'select 1')"),
                    cancelled = submit(alice, "'select pg_sleep(600)'", "cancelled");
  completes(alice, raced);
  auto spans = trace(collector, raced);
  // The loser may end after its instance has.
  wait_until("the loser's span is there", [&] {
    spans = trace(collector, raced);
    return spans.size() == 3;
  });
  std::multiset<std::string> how;
  for (const TracedSpan& span : spans) how.insert(span["durabled.status"]);
  CHECK(how == std::multiset<std::string>{"completed", "completed", "stopped"});
  wait_until("the step runs", [&] {
    return alice.text(
               "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' "
               "and application_name = 'durabled step' and state = 'active'") == "1";
  });
  alice.exec("select df.cancel($1)", cancelled);
  spans = trace(collector, cancelled);
  CHECK(spans[0]["durabled.status"] == "cancelled");
  CHECK_FALSE(spans[0].failed());
  CHECK(steps(spans) == std::vector<std::string>{"sql 1 stopped"});
}

TEST_CASE("a loop without an end sends some spans and no root") {
  World world;
  TraceCollector collector;
  Sql alice = world.session();
  Settings settings = tracing(collector);
  settings["loop.min_interval"] = "0s";
  world.start_daemon(settings);
  const std::string id = submit(alice, "df.loop('select 1')");
  const auto iterations = [&] {
    return std::stoi(
        alice.text("select coalesce(max(split_part(scope, '.', 1)::int), 0) from df.events where "
                   "instance_id = $1 and scope <> ''",
                   id));
  };
  wait_until("it has had more iterations than it may send", [&] { return iterations() > 1'100; });
  wait_until("what it may send has arrived", [&] { return collector.spans_of(id).size() == 1'000; });
  alice.exec("select df.cancel($1)", id);
  const auto spans = trace(collector, id);
  CHECK(spans.size() == 1'001);
  CHECK(std::stoi(spans[0]["durabled.spans_omitted"]) >= 100);
  std::set<std::string> parents;
  for (std::size_t i = 1; i < spans.size(); ++i) parents.insert(spans[i].text("parentSpanId"));
  CHECK(parents == std::set<std::string>{spans[0].text("spanId")});
}

TEST_CASE("a collector that is away, hangs or fails costs no workflow anything, and is logged once") {
  World world;
  TraceCollector collector;
  Sql alice = world.session();
  std::string endpoint = collector.endpoint(), problem;
  SECTION("away") {
    endpoint = "http://127.0.0.1:1";
    problem = "connect";
  }
  SECTION("hangs") {
    collector.answers({.body = "", .fate = TestAnswer::Fate::kHang});
  }
  SECTION("fails") {
    collector.answers({500, "no"});
    problem = "HTTP status 500";
  }
  SECTION("breaks off") {
    collector.answers({.body = "", .fate = TestAnswer::Fate::kReset});
    problem = "http://127.0.0.1";
  }
  SECTION("answers nonsense without end") {
    collector.answers({.body = "", .fate = TestAnswer::Fate::kFlood});
    problem = "http://127.0.0.1";
  }
  DaemonProcess& daemon = world.start_daemon({{"traces.endpoint", endpoint}});
  for (int i = 0; i < 20; ++i) run_workflow(alice, "'select 1' ~> 'select 2'");
  if (!problem.empty())
    wait_until("the log says so",
               [&] { return daemon.log().find("does not take spans: ") != std::string::npos; });
  CHECK(daemon.sigterm_and_wait() == 0);
  CHECK_THAT(daemon.log(), ContainsSubstring(problem));
  const std::string log = daemon.log(), line = " does not take spans: ";
  const auto first = log.find(line);
  if (first != std::string::npos)
    CHECK(log.find(line + log.substr(first + line.size(), 10), first + 1) == log.npos);
}
