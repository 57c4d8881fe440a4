// Spans: their ids, which of them are made, and what is sent.
#include <boost/json.hpp>
#include <cmath>
#include <set>

#include "daemon/traces/otlp.hpp"
#include "daemon/traces/traced_ports.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace daemon;
using std::chrono::microseconds;
using Kind = store::CommitOutcome::Kind;

const std::string kInstallation = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

bool is_hex(const std::string& text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos &&
         text.find_first_not_of('0') != std::string::npos;
}

// The ports below a tracer, which do nothing, and the spans that come of what is told about steps.
struct Traced : StepPort, HttpPort {
  explicit Traced(double traced_share = 1) : share(traced_share) {}
  void start(StepId, const store::StepTarget&, store::StepStatement statement) override {
    told.push_back(statement.traceparent);
  }
  void commit(StepId, store::StepCommit) override {}
  void commit_and_start(StepId, store::StepCommit, StepId, store::StepStatement statement) override {
    told.push_back(statement.traceparent);
  }
  bool can_chain() const override { return true; }
  void commit_foreign(StepId, const std::string&) override {}
  void finish(StepId) override {}
  void stop(StepId) override {}
  void abandon(StepId) override {}
  bool queued(StepId id) const override { return waiting.contains(id); }
  void start(StepId, const std::string&, const std::string&, const dsl::Node&, const dsl::CallHttp&,
             const dsl::Variables&, const HttpPayload*) override {}

  void run(StepId id, bool alone = false) { tracing.steps.start(id, {"", "here", 0}, statement(id, alone)); }
  static store::StepStatement statement(StepId id, bool alone = false) {
    store::StepStatement statement;
    statement.instance_id = "i";
    statement.node_id = std::to_string(id);
    statement.alone = alone;
    return statement;
  }
  void succeed(StepId id) {
    store::StepOutcome outcome;
    outcome.result = "{}";
    outcome.took = microseconds(10);
    tracing.steps.executed(id, outcome);
  }
  void fail(StepId id, bool needs_to_run_alone = false) {
    store::StepOutcome outcome;
    outcome.failure = dsl::make_failure("22012", "secret", 0, 1);
    outcome.needs_to_run_alone = needs_to_run_alone;
    tracing.steps.executed(id, outcome);
  }
  // "node status" of each span.
  std::vector<std::string> seen() const {
    std::vector<std::string> lines;
    for (const Span& span : spans)
      lines.push_back(text(span, "durabled.node") + ' ' + text(span, "durabled.status"));
    return lines;
  }
  static std::string text(const Span& span, const std::string& name) {
    for (const SpanAttribute& attribute : span.attributes) {
      if (name == attribute.name) return attribute.value;
    }
    return "";
  }

  double share;
  std::set<StepId> waiting;
  std::vector<std::string> told;
  std::vector<Span> spans;
  dsl::Time now{microseconds(1'000'000)};
  Tracing tracing{kInstallation,
                  share,
                  [this](Span span) { spans.push_back(std::move(span)); },
                  *this,
                  *this,
                  "here",
                  [this] { return now += microseconds(100); }};
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("ids are the same for the same attempt and differ for every other one") {
  const SpanIds ids(kInstallation), elsewhere("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
  CHECK(is_hex(ids.trace("abc"), 32));
  CHECK(ids.trace("abc") == SpanIds(kInstallation).trace("abc"));
  CHECK(ids.trace("abc") != ids.trace("abd"));
  CHECK(ids.trace("abc") != elsewhere.trace("abc"));
  std::set<std::string> spans{ids.root("abc"), elsewhere.root("abc"), elsewhere.step("abc", "1", "", 1)};
  for (const char* node : {"1", "2"}) {
    for (const char* scope : {"", "3", "3.0"}) {
      for (const int attempt : {1, 2, 11}) {
        const std::string id = ids.step("abc", node, scope, attempt);
        CHECK(is_hex(id, 16));
        CHECK(spans.insert(id).second);
      }
    }
  }
  // These stay: the trace of an instance that began under an older version goes on.
  CHECK(ids.trace("abc") == "281bf738ab4957f5add57531ee3ac9c8");
  CHECK(ids.step("abc", "00000001", "3.0", 2) == "b86d858c456db98e");
}

TEST_CASE("a share of the traces is kept, the smaller within the larger") {
  const SpanIds ids(kInstallation);
  int tenth = 0, half = 0;
  for (int i = 0; i < 2'000; ++i) {
    const std::string trace = ids.trace(std::to_string(i));
    CHECK(is_sampled(trace, 1));
    CHECK_FALSE(is_sampled(trace, 0));
    tenth += is_sampled(trace, 0.1) ? 1 : 0;
    half += is_sampled(trace, 0.5) ? 1 : 0;
    if (is_sampled(trace, 0.1)) CHECK(is_sampled(trace, 0.5));
  }
  CHECK(std::abs(tenth - 200) < 60);
  CHECK(std::abs(half - 1'000) < 100);
}

TEST_CASE("the JSON form has what the protocol asks for, whatever a label holds") {
  Span span;
  span.trace = std::string(32, 'a');
  span.id = std::string(16, 'b');
  span.name = "a\"b\\c\n</script>\x01\xff{}";
  span.kind = Span::Kind::kClient;
  span.start = dsl::Time(microseconds(1'700'000'000'123'456));
  span.end = span.start + microseconds(1);
  span.failed = true;
  span.attributes = {{"durabled.label", span.name}, {"durabled.attempt", "3", true}};
  Span child = span;
  child.parent = span.id;
  child.failed = false;
  const auto json = boost::json::parse(otlp_json({span, child}, "worker \"1\""));
  const auto& resource = json.at("resourceSpans").at(0);
  CHECK(resource.at("resource").at("attributes").at(0) ==
        boost::json::parse(R"({"key": "service.name", "value": {"stringValue": "durabled"}})"));
  const auto& spans = resource.at("scopeSpans").at(0).at("spans").as_array();
  REQUIRE(spans.size() == 2);
  const std::string label = "a\"b\\c\n</script>\x01\xef\xbf\xbd{}";
  CHECK(spans[0] == boost::json::value{{"traceId", span.trace},
                                       {"spanId", span.id},
                                       {"name", label},
                                       {"kind", 3},
                                       {"startTimeUnixNano", "1700000000123456000"},
                                       {"endTimeUnixNano", "1700000000123457000"},
                                       {"attributes",
                                        {{{"key", "durabled.label"}, {"value", {{"stringValue", label}}}},
                                         {{"key", "durabled.attempt"}, {"value", {{"intValue", "3"}}}}}},
                                       {"status", {{"code", 2}}}});
  CHECK(spans[1].at("parentSpanId").as_string() == span.id);
  CHECK_FALSE(spans[1].as_object().contains("status"));
}

TEST_CASE("what a collector rejects of a batch is read, and nonsense is not") {
  CHECK(rejected_spans(R"({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}})").spans == 3);
  CHECK(rejected_spans(R"({"partialSuccess": {"rejectedSpans": 2}})").spans == 2);
  for (const char* body : {"", "{}", "[]", "x", R"({"partialSuccess": null})",
                           R"({"partialSuccess": {"rejectedSpans": "x"}})"}) {
    CAPTURE(body);
    CHECK(rejected_spans(body).spans == 0);
  }
}

TEST_CASE("a step's span is made when it is certain how the attempt ended") {
  Traced traced;
  SECTION("it committed, and the next one began with that") {
    traced.run(1);
    traced.succeed(1);
    CHECK(traced.seen().empty());
    traced.tracing.steps.commit_and_start(1, {}, 2, Traced::statement(2));
    traced.tracing.steps.committed(1, {});
    const dsl::Time began = traced.now;
    traced.succeed(2);
    traced.tracing.steps.commit(2, {});
    traced.tracing.steps.committed(2, {});
    traced.tracing.steps.finish(2);
    CHECK(traced.seen() == Lines{"1 completed", "2 completed"});
    CHECK(traced.spans[1].start >= began);
    CHECK(traced.spans[1].end - traced.spans[1].start == microseconds(10));
    REQUIRE(traced.told.size() == 2);
    CHECK(traced.told[1] == "00-" + traced.spans[1].trace + '-' + traced.spans[1].id + "-01");
  }
  SECTION("it failed") {
    traced.run(1);
    traced.fail(1);
    CHECK(traced.seen() == Lines{"1 failed"});
    CHECK(Traced::text(traced.spans[0], "durabled.code") == "22012");
  }
  SECTION("its commit was refused") {
    traced.run(1);
    traced.succeed(1);
    traced.tracing.steps.commit_and_start(1, {}, 2, Traced::statement(2));
    traced.tracing.steps.committed(1, {Kind::kRefused, dsl::make_failure("23503", "secret", 0, 1)});
    traced.tracing.steps.abandon(2);
    CHECK(traced.seen() == Lines{"1 failed"});
    CHECK(Traced::text(traced.spans[0], "durabled.code") == "23503");
  }
  SECTION("nobody knows whether it committed, or another daemon has the instance: it may run again") {
    const auto kind = GENERATE(Kind::kInDoubt, Kind::kLeaseLost, Kind::kBusy);
    traced.run(1);
    traced.succeed(1);
    traced.tracing.steps.commit(1, {});
    traced.tracing.steps.committed(1, {kind, std::nullopt});
    traced.tracing.steps.finish(1);
    CHECK(traced.seen().empty());
  }
  SECTION("it has to run alone, and has its span then") {
    traced.run(1);
    traced.fail(1, true);
    traced.tracing.steps.finish(1);
    CHECK(traced.seen().empty());
    traced.run(1, true);
    traced.succeed(1);
    traced.tracing.steps.finish(1);
    CHECK(traced.seen() == Lines{"1 completed"});
    CHECK(Traced::text(traced.spans[0], "durabled.guarantee") == "at-least-once");
  }
  SECTION("it was stopped while it ran") {
    traced.run(1);
    traced.tracing.steps.stop(1);
    traced.fail(1);
    CHECK(traced.seen() == Lines{"1 stopped"});
    CHECK_FALSE(traced.spans[0].failed);
  }
  SECTION("it was stopped while it waited for a connection") {
    traced.run(1);
    traced.waiting = {1};
    traced.tracing.steps.stop(1);
    traced.fail(1);
    CHECK(traced.seen().empty());
  }
  SECTION("it ended too late: nobody wanted it any more") {
    traced.run(1);
    traced.succeed(1);
    traced.tracing.steps.finish(1);
    CHECK(traced.seen() == Lines{"1 stopped"});
  }
  SECTION("it was abandoned while it ran") {
    traced.run(1);
    traced.tracing.steps.abandon(1);
    CHECK(traced.seen() == Lines{"1 stopped"});
  }
  SECTION("it was abandoned while it committed, which went on") {
    traced.run(1);
    traced.succeed(1);
    traced.tracing.steps.commit(1, {});
    traced.tracing.steps.abandon(1);
    CHECK(traced.seen().empty());
    traced.tracing.steps.committed(1, {});
    CHECK(traced.seen() == Lines{"1 completed"});
  }
}

TEST_CASE("an HTTP call's span has how it ended, and one that is broken off is stopped") {
  Traced traced;
  dsl::Node node;
  dsl::HttpOptions options;
  options.method = "PUT";
  node.options = options;
  for (const StepId id : {1, 2, 3}) {
    dsl::CallHttp call;
    call.address.node = static_cast<dsl::NodeIndex>(id);
    traced.tracing.http.start(id, "alice", "i", node, call, {}, nullptr);
  }
  HttpResult answered, refused;
  answered.result = "{}";
  answered.facts.status = 404;
  answered.took = microseconds(7);
  refused.failure = dsl::make_failure("http_503", "secret", 2, 1);
  traced.tracing.http.done(1, answered);
  traced.tracing.http.done(2, refused);
  traced.tracing.http.stop(3);
  CHECK(traced.seen() == Lines{"00000001 completed", "00000002 failed", "00000003 stopped"});
  CHECK(traced.spans[0].end - traced.spans[0].start == microseconds(7));
  CHECK(Traced::text(traced.spans[0], "http.response.status_code") == "404");
  CHECK(Traced::text(traced.spans[1], "durabled.code") == "http_503");
  CHECK(traced.spans[1].failed);
  CHECK(Traced::text(traced.spans[2], "http.request.method") == "PUT");
  CHECK(Traced::text(traced.spans[2], "durabled.guarantee") == "at-least-once");
}

TEST_CASE("an instance sends some spans and its root, which says how many it did not send") {
  std::vector<Span> spans;
  Tracer tracer(kInstallation, 1, [&](Span span) { spans.push_back(std::move(span)); });
  EndedAttempt how;
  how.status = "completed";
  for (int i = 0; i < 1'005; ++i) tracer.ended({"eternal", "1", std::to_string(i), 1}, how);
  CHECK(spans.size() == 1'000);
  tracer.ended({"other", "1", "", 1}, how);
  CHECK(spans.size() == 1'001);
  InstanceEnd end{"eternal", std::string(300, 'x'), "alice", "cancelled", R"({"code": "cancelled"})", 2.5};
  end.at = dsl::Time(microseconds(10'000'000));
  tracer.ended(end);
  REQUIRE(spans.size() == 1'002);
  const Span& root = spans.back();
  CHECK(root.parent.empty());
  CHECK(root.id == spans[0].parent);
  CHECK(root.trace == spans[0].trace);
  CHECK(root.start == dsl::Time(microseconds(7'500'000)));
  CHECK(root.end == end.at);
  CHECK(root.name.size() == 200);
  CHECK(root.attributes.back().name == std::string("durabled.spans_omitted"));
  CHECK(root.attributes.back().value == "5");
  for (const SpanAttribute& attribute : root.attributes)
    CHECK(attribute.name != std::string("durabled.role"));
}

TEST_CASE("instances beyond the share have no spans, tell servers so, and cost SQL steps nothing") {
  std::vector<Span> spans;
  Tracer tracer(kInstallation, 0, [&](Span span) { spans.push_back(std::move(span)); });
  tracer.ended({"i", "1", "", 1}, EndedAttempt{});
  tracer.ended(InstanceEnd{"i", "", "alice", "completed", "", 1});
  CHECK(spans.empty());
  CHECK_FALSE(tracer.trace_of("i"));
  CHECK(tracer.traceparent({"i", "1", "", 1}).ends_with("-00"));
  Traced untraced(0);
  untraced.run(1);
  untraced.succeed(1);
  untraced.tracing.steps.commit(1, {});
  untraced.tracing.steps.committed(1, {});
  CHECK(untraced.told == Lines{""});
  CHECK(untraced.seen().empty());
}

TEST_CASE("counts of spans are remembered for the instances that were active last") {
  SpanCounts counts;
  counts.of("kept") = 7;
  counts.of("lost") = 7;
  const auto fill = [&](const std::string& prefix) {
    for (std::size_t i = 0; i < SpanCounts::kGeneration; ++i) counts.of(prefix + std::to_string(i)) = 1;
  };
  fill("a");
  CHECK(counts.of("kept") == 7);
  fill("b");
  CHECK(counts.forget("kept") == 7);
  CHECK(counts.forget("kept") == 0);
  CHECK(counts.forget("lost") == 0);
}

}  // namespace durabled::test
