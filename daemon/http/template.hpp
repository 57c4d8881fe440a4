// From a node of a graph to the call it stands for: variables and references put in, secrets left for the
// call itself.
#pragma once

#include <string>

#include "daemon/http/request.hpp"
#include "daemon/instance/exchange.hpp"
#include "dsl/expected.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::daemon {

// What a call has beside its node.
struct HttpCallContext {
  std::string role;              // the submitting role
  std::string idempotency_key;   // the same for every attempt of this step
  std::string traceparent = {};  // of this attempt; empty: it is not traced
};

// Requires: `node` is kHttp or kHttpMultipart, as dsl::apply_rules() left it. Pure.
//   url, body  values are encoded for the place where they stand: dsl::substitute_http().
//   headers    parsed as a JSON object before its values are substituted, so that a value cannot add a
//              header; a line break or NUL in a value is an error.
//   parts      parsed as a JSON array first, likewise.
// A body without a Content-Type gets application/json when it is JSON, else text/plain.
// Errors: http_request, permanent; the message says which field. {secret.NAME} counts only where the template
// itself has it, never in an inserted value.
// `payload`, unless null, is the body in place of the node's, as it is.
Expected<HttpRequest, HttpFailure> build_http_request(const dsl::Node& node, const dsl::Bindings& bindings,
                                                      const HttpCallContext& context,
                                                      const HttpPayload* payload = nullptr);

// Headers that would change how the call is framed or where it goes (Host, Content-Length, Transfer-Encoding,
// …).
bool is_reserved_header(std::string_view name);

// Whether `value` holds no CR, LF or NUL.
bool is_header_value(std::string_view value);

}  // namespace durabled::daemon
