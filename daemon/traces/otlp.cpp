#include "daemon/traces/otlp.hpp"

#include <boost/json.hpp>

#include "dsl/value/json_writer.hpp"

namespace durabled::daemon {
namespace {

// Numbers of 64 bits are strings in this form, as JavaScript would round them.
std::string nanoseconds(dsl::Time time) {
  return std::to_string(time.time_since_epoch().count()) + "000";
}

void attribute(dsl::JsonWriter& json, const SpanAttribute& attribute) {
  json.object().member("key", attribute.name).key("value").object();
  json.member(attribute.is_number ? "intValue" : "stringValue", attribute.value);
  json.close().close();
}

void write(dsl::JsonWriter& json, const Span& span) {
  json.object().member("traceId", span.trace).member("spanId", span.id);
  if (!span.parent.empty()) json.member("parentSpanId", span.parent);
  json.member("name", span.name).number("kind", static_cast<int>(span.kind));
  json.member("startTimeUnixNano", nanoseconds(span.start)).member("endTimeUnixNano", nanoseconds(span.end));
  json.key("attributes").list();
  for (const SpanAttribute& one : span.attributes) attribute(json, one);
  json.close();
  constexpr int kError = 2;
  if (span.failed) json.key("status").object().number("code", kError).close();
  json.close();
}

}  // namespace

std::string otlp_json(const std::vector<Span>& spans, const std::string& worker) {
  dsl::JsonWriter json;
  json.object().key("resourceSpans").list().object();
  json.key("resource").object().key("attributes").list();
  attribute(json, {"service.name", "durabled"});
  attribute(json, {"service.version", DURABLED_VERSION});
  attribute(json, {"service.instance.id", worker});
  json.close().close();
  json.key("scopeSpans").list().object();
  json.key("scope").object().member("name", "durabled").close();
  json.key("spans").list();
  for (const Span& span : spans) write(json, span);
  json.close().close().close().close().close().close();
  return json.take();
}

Rejected rejected_spans(std::string_view body) {
  boost::system::error_code error;
  const boost::json::value answer = boost::json::parse(body, error);
  if (error || !answer.is_object()) return {};
  const auto* partial = answer.as_object().if_contains("partialSuccess");
  if (partial == nullptr || !partial->is_object()) return {};
  Rejected rejected;
  if (const auto* spans = partial->as_object().if_contains("rejectedSpans")) {
    const auto number = spans->is_string() ? boost::json::parse(spans->as_string(), error) : *spans;
    if (!error && number.is_int64()) rejected.spans = number.as_int64();
  }
  if (const auto* why = partial->as_object().if_contains("errorMessage"); why != nullptr && why->is_string())
    rejected.why = why->as_string();
  return rejected;
}

}  // namespace durabled::daemon
