// Spans in the JSON form of OpenTelemetry's protocol, OTLP: the body of POST /v1/traces.
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/traces/span.hpp"

namespace durabled::daemon {

// `worker`: the name of this daemon.
std::string otlp_json(const std::vector<Span>& spans, const std::string& worker);

// What a collector that took a batch says that it did not take of it, and why.
struct Rejected {
  std::int64_t spans = 0;
  std::string why;
};
// `body`: of its answer, which need not be JSON.
Rejected rejected_spans(std::string_view body);

}  // namespace durabled::daemon
