// The thread that sends spans, against a collector that takes them or does not.
#include "daemon/traces/exporter.hpp"

#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/trace_collector.hpp"

namespace durabled::test {
namespace {

using namespace daemon;
using std::chrono::milliseconds;

SpanExporter::Options options(const TraceCollector& collector) {
  SpanExporter::Options options;
  options.endpoint = collector.endpoint();
  options.worker = "w";
  options.delay = milliseconds(1);
  options.first_pause = milliseconds(1);
  return options;
}

Span span(int number = 0) {
  Span span;
  span.trace = std::string(32, 'a');
  span.id = std::string(16, 'b');
  span.name = std::to_string(number);
  return span;
}

bool counted(Metrics& metrics, const std::string& what, int number) {
  return metrics.text().find("\ndurabled_spans_" + what + "_total " + std::to_string(number) + "\n") !=
         std::string::npos;
}

// At once, so that nobody reads half of it.
void replace(const std::filesystem::path& file, const std::string& text) {
  const std::string fresh = file.string() + ".new";
  write_file(fresh, text);
  std::filesystem::rename(fresh, file);
}

}  // namespace

TEST_CASE("spans are sent in batches, each once, and the last ones when the exporter ends") {
  TraceCollector collector;
  Metrics metrics("1");
  {
    SpanExporter::Options some = options(collector);
    some.batch = 3;
    some.delay = std::chrono::hours(1);
    SpanExporter exporter(some, metrics);
    for (int i = 0; i < 7; ++i) exporter.add(span(i));
    wait_until("two batches are full and sent", [&] { return collector.spans().size() == 6; });
  }
  const auto spans = collector.spans();
  REQUIRE(spans.size() == 7);
  for (int i = 0; i < 7; ++i) CHECK(spans[static_cast<std::size_t>(i)].text("name") == std::to_string(i));
  CHECK(counted(metrics, "exported", 7));
  CHECK(counted(metrics, "dropped", 0));
}

TEST_CASE("a batch is sent again until a busy collector takes it") {
  TraceCollector collector;
  collector.http.route("/v1/traces", [](const TestCall& call) {
    constexpr int kStatuses[] = {503, 429, 502, 504};
    return TestAnswer{call.number <= 4 ? kStatuses[call.number - 1] : 200, "{}"};
  });
  Metrics metrics("1");
  SpanExporter exporter(options(collector), metrics);
  exporter.add(span());
  wait_until("the span is taken", [&] { return counted(metrics, "exported", 1); });
  CHECK(collector.http.count("/v1/traces") == 5);
  CHECK(counted(metrics, "dropped", 0));
}

TEST_CASE("a batch that the collector refuses, or takes in part, is not sent again") {
  TraceCollector collector;
  Metrics metrics("1");
  SpanExporter exporter(options(collector), metrics);
  const int status = GENERATE(400, 401, 404, 413, 500, 302);
  collector.answers({status, "no"});
  exporter.add(span());
  wait_until("the span is dropped", [&] { return counted(metrics, "dropped", 1); });
  collector.answers({200, R"({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}})"});
  exporter.add(span());
  wait_until("the next one is dropped", [&] { return counted(metrics, "dropped", 2); });
  CHECK(counted(metrics, "exported", 0));
  CHECK(collector.http.count("/v1/traces") == 2);
}

TEST_CASE(
    "what does not fit into the queue is dropped, and the end does not wait for a collector that hangs") {
  TraceCollector collector;
  collector.answers({.body = "", .fate = TestAnswer::Fate::kHang});
  Metrics metrics("1");
  {
    SpanExporter::Options few = options(collector);
    few.queue = few.batch = 2;
    SpanExporter exporter(few, metrics);
    exporter.add(span());
    wait_until("the first one is being sent", [&] { return collector.http.open_calls() == 1; });
    for (int i = 0; i < 5; ++i) exporter.add(span());
    CHECK(counted(metrics, "dropped", 3));
  }
  CHECK(counted(metrics, "dropped", 6));
  CHECK(counted(metrics, "exported", 0));
}

TEST_CASE("headers come from a file that is read each time, and a file that is wrong is not sent") {
  TraceCollector collector;
  const TemporaryDirectory directory("durabled-headers");
  const auto file = directory.path() / "headers";
  Metrics metrics("1");
  SpanExporter::Options with = options(collector);
  with.headers_file = file.string();
  SpanExporter exporter(with, metrics);
  exporter.add(span());
  replace(file, "Authorization: Bearer one\nX-Scope: a\n");
  wait_until("the file is there", [&] { return counted(metrics, "exported", 1); });
  CHECK(collector.http.calls("/v1/traces").at(0).header("authorization") == "Bearer one");
  CHECK(collector.http.calls("/v1/traces").at(0).header("x-scope") == "a");
  replace(file, "nonsense");
  exporter.add(span());
  replace(file, "Authorization: Bearer two\r\n\r\n");
  wait_until("the file is right", [&] { return counted(metrics, "exported", 2); });
  CHECK(collector.http.calls("/v1/traces").at(1).header("authorization") == "Bearer two");
}

}  // namespace durabled::test
