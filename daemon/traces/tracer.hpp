// Makes the spans of instances: one trace for each instance, in it one span for each attempt of a step, sent when the
// attempt has ended, and a root for the instance, sent when that has ended. The root is the parent of all others.
//
// A workflow that never ends must not become a trace without end: of each instance this daemon sends at most
// kMostSpans spans beside the root.
//
// Spans tell where and how long, and how it ended; never SQL, results, messages of errors, URLs or values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "daemon/instance/effect.hpp"
#include "daemon/traces/span.hpp"
#include "daemon/traces/span_ids.hpp"

namespace durabled::daemon {

// Where a step is, and which attempt of it.
struct TracedAttempt {
  std::string instance, node, scope;
  int number = 1;
};

// An attempt that has ended.
struct EndedAttempt {
  std::string status;  // completed, failed or stopped (nobody wanted it any more)
  std::string code;    // of the failure
  dsl::Time start{}, end{};
  Span::Kind span_kind = Span::Kind::kClient;
  std::string kind;       // sql, foreign_sql or http
  std::string guarantee;  // exactly-once or at-least-once
  std::string http_method;
  int http_status = 0;  // of the answer; 0: there was none
};

// How many spans each instance has sent. It remembers those that were active last: at most twice kGeneration, or fewer.
class SpanCounts {
 public:
  static constexpr std::size_t kGeneration = 50'000;
  std::int64_t& of(const std::string& instance);
  // What it was; 0 where it is not remembered.
  std::int64_t forget(const std::string& instance);

 private:
  std::unordered_map<std::string, std::int64_t> young_, old_;
};

// Not thread-safe.
class Tracer {
 public:
  static constexpr std::int64_t kMostSpans = 1'000;

  // `share`: of the instances that are traced, see is_sampled(). `send` takes each span.
  Tracer(const std::string& installation, double share, std::function<void(Span)> send)
      : ids_(installation), share_(share), send_(std::move(send)) {}

  bool traces(const std::string& instance) const { return is_sampled(ids_.trace(instance), share_); }
  // The trace of an instance that is traced.
  std::optional<std::string> trace_of(const std::string& instance) const;
  // What the other side of a step is told, so that its spans become children of the step's: the W3C header of this name.
  std::string traceparent(const TracedAttempt& attempt) const;

  // Both do nothing for an instance that is not traced.
  void ended(const TracedAttempt& attempt, const EndedAttempt& how);
  void ended(const InstanceEnd& end);

 private:
  SpanIds ids_;
  double share_;
  std::function<void(Span)> send_;
  SpanCounts counts_;
};

}  // namespace durabled::daemon
