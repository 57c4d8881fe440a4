// An HTTP step whose body a statement makes, or whose answer a statement takes: it has up to three parts, one after
// the other.
//
//   request  a statement in a transaction that only reads and is rolled back, so that none is open during the call
//   call     the call, as that of any HTTP step
//   into     a statement with $response: it runs, commits and is tried again as any SQL step
//
// The step is one to the engine. What is interrupted begins again with its first part: the call may be repeated, and
// what `into` does happens with the event of the step or not at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "dsl/engine/decision.hpp"
#include "dsl/engine/failure.hpp"
#include "dsl/expected.hpp"
#include "dsl/graph/graph.hpp"

namespace durabled::daemon {

// The body that a statement made.
struct HttpPayload {
  std::string bytes;
  std::string content_type;  // where the call has no such header; empty: by what the bytes look like
};

// What a history keeps of an answer that was taken by `into`.
struct HttpFacts {
  std::string url;  // without its query, and without what secrets are in
  int status = 0;
  std::size_t bytes = 0;  // of the body
  std::chrono::milliseconds took{0};

  std::string json() const;  // {"url","status","bytes","ms"}
};

struct Exchange {
  enum class Part : std::uint8_t { kRequest, kCall, kInto };
  // A statement that takes the answer is tried again, where its failure may pass, before the call is repeated.
  static constexpr int kIntoTries = 3;

  Part part = Part::kCall;
  dsl::CallHttp call;
  std::optional<HttpFacts> facts;
  int into_tries = 0;
};

// The body in the result of a `request`; nullopt where it has no row, so that there is nothing to call for. Error: what
// is wrong with it.
Expected<std::optional<HttpPayload>, dsl::Failure> payload_of(const std::string& result,
                                                              const dsl::Address& address, int attempt);

// The statement of a part, in the node's options; for kCall the URL.
const std::string& text_of(const dsl::Node& node, Exchange::Part part);

}  // namespace durabled::daemon
