// A span as OpenTelemetry knows it: a piece of work with a beginning and an end, as part of a trace.
#pragma once

#include <string>
#include <vector>

#include "dsl/engine/event.hpp"

namespace durabled::daemon {

struct SpanAttribute {
  const char* name;
  std::string value;
  bool is_number = false;  // a whole one
};

struct Span {
  enum class Kind { kInternal = 1, kClient = 3 };  // numbers of the protocol

  std::string trace;   // 32 hexadecimal digits
  std::string id;      // 16
  std::string parent;  // 16; empty: the root of its trace
  std::string name;
  Kind kind = Kind::kInternal;
  dsl::Time start{}, end{};
  bool failed = false;
  std::vector<SpanAttribute> attributes;
};

}  // namespace durabled::daemon
