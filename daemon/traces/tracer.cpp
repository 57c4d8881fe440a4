#include "daemon/traces/tracer.hpp"

#include <cmath>
#include <utility>

#include "dsl/value/json_slice.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxText = 200;

// Labels and codes are texts that workflows choose.
std::string bounded(const std::string& text) {
  return std::string(dsl::utf8_prefix(text, kMaxText));
}

std::string member(const std::string& json, const char* key) {
  const auto found = json.empty() ? std::nullopt : dsl::json_member(json, key);
  return found && *found != "null" ? dsl::json_text(*found) : "";
}

void add(Span& span, const char* name, const std::string& value) {
  if (!value.empty()) span.attributes.push_back({name, value, false});
}

void add(Span& span, const char* name, std::int64_t value) {
  span.attributes.push_back({name, std::to_string(value), true});
}

}  // namespace

std::int64_t& SpanCounts::of(const std::string& instance) {
  if (const auto found = young_.find(instance); found != young_.end()) return found->second;
  if (young_.size() >= kGeneration) old_ = std::exchange(young_, {});
  const auto before = old_.find(instance);
  return young_[instance] = before == old_.end() ? 0 : before->second;
}

std::int64_t SpanCounts::forget(const std::string& instance) {
  const std::int64_t count = of(instance);
  young_.erase(instance);
  old_.erase(instance);
  return count;
}

std::optional<std::string> Tracer::trace_of(const std::string& instance) const {
  std::string trace = ids_.trace(instance);
  return is_sampled(trace, share_) ? std::optional(std::move(trace)) : std::nullopt;
}

std::string Tracer::traceparent(const TracedAttempt& attempt) const {
  const std::string trace = ids_.trace(attempt.instance);
  return "00-" + trace + '-' + ids_.step(attempt.instance, attempt.node, attempt.scope, attempt.number) +
         (is_sampled(trace, share_) ? "-01" : "-00");
}

void Tracer::ended(const TracedAttempt& attempt, const EndedAttempt& how) {
  auto trace = trace_of(attempt.instance);
  if (!trace || ++counts_.of(attempt.instance) > kMostSpans) return;
  Span span;
  span.trace = std::move(*trace);
  span.id = ids_.step(attempt.instance, attempt.node, attempt.scope, attempt.number);
  span.parent = ids_.root(attempt.instance);
  span.name = how.kind + ' ' + attempt.node;
  span.kind = how.span_kind;
  span.start = how.start;
  span.end = how.end;
  span.failed = how.status == "failed";
  add(span, "durabled.instance", attempt.instance);
  add(span, "durabled.node", attempt.node);
  add(span, "durabled.scope", attempt.scope);
  add(span, "durabled.attempt", attempt.number);
  add(span, "durabled.kind", how.kind);
  add(span, "durabled.guarantee", how.guarantee);
  add(span, "durabled.status", how.status);
  add(span, "durabled.code", bounded(how.code));
  add(span, "http.request.method", how.http_method);
  if (how.http_status != 0) add(span, "http.response.status_code", how.http_status);
  send_(std::move(span));
}

void Tracer::ended(const InstanceEnd& end) {
  auto trace = trace_of(end.id);
  if (!trace) return;
  const std::int64_t omitted = counts_.forget(end.id) - kMostSpans;
  Span span;
  span.trace = std::move(*trace);
  span.id = ids_.root(end.id);
  span.name = end.label.empty() ? "workflow" : bounded(end.label);
  span.end = end.at;
  span.start = end.at - std::chrono::microseconds(std::llround(end.seconds * 1e6));
  span.failed = end.status == "failed";
  add(span, "durabled.instance", end.id);
  add(span, "durabled.label", bounded(end.label));
  add(span, "durabled.status", end.status);
  add(span, "durabled.code", bounded(member(end.error, "code")));
  if (omitted > 0) add(span, "durabled.spans_omitted", omitted);
  send_(std::move(span));
}

}  // namespace durabled::daemon
