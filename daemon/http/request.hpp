// One HTTP call and what becomes of it. Rules: docs/language.md, "Results" and "Failing and retrying".
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/secret_text.hpp"
#include "dsl/expected.hpp"

namespace durabled::daemon {

// A field of a form upload.
struct HttpPart {
  std::string name;
  SecretText data;
  bool data_is_base64 = false;  // decoded at the call; set where the data is a secret
  std::optional<SecretText> filename;
  std::optional<SecretText> content_type;
};

struct HttpHeader {
  std::string name;
  SecretText value;
};

struct HttpRequest {
  std::string method = "POST";  // GET POST PUT DELETE PATCH
  SecretText url;
  std::vector<HttpHeader> headers;
  std::optional<SecretText> body;
  std::optional<std::vector<HttpPart>> parts;  // set: a form upload, and `body` is not used
  std::chrono::milliseconds timeout{
      30'000};                      // of the whole call, redirects included; the wait for a free slot is not
  std::string role;                 // whose allow entries and secrets hold
  std::string idempotency_key;      // empty: no header. A header of that name in `headers` wins
  std::string traceparent;          // likewise
  std::vector<std::string> expect;  // "404", "2xx": what is a result; empty: all but what says "later"
  std::size_t max_response_bytes = 0;  // 0: what the configuration says
};

// A call that was answered and needs no retry; `ok` may well be false.
struct HttpResponse {
  int status = 0;
  bool ok = false;        // 200..299
  std::string json;       // {"status","body","encoding","headers","ok","duration_ms"}
  std::string url = {};   // where it came from, as far as it may be shown: without query and secrets
  std::size_t bytes = 0;  // of the body
};

// `code` is what a retry policy sees:
//   http_408 http_429 http_5xx (the very number)   transient: the server says later
//   http_404 and so on (the very number)   unexpected: not among the statuses that the step expects
//   http_network   transient: name resolution, connection refused, reset or cut off
//   http_timeout   transient: no full answer in time
//   http_tls       permanent: the certificate is not to be trusted
//   http_policy    permanent: http.allow does not permit the URL or the address behind it
//   http_secret    permanent: a secret that is not there
//   http_request   permanent: a URL, header, form part or reference that is wrong
//   http_too_large permanent: the response exceeds its limit
//   http_redirect  permanent: too many redirects, or one that cannot be followed
//   http_response  permanent: an answer that is not HTTP or cannot be decoded
struct HttpFailure {
  // Retried by the standing policy; the same again, whoever retries it; retried where a df.retry says so.
  enum class Class { kTransient, kPermanent, kUnexpected };
  Class failure_class = Class::kPermanent;
  std::string code;
  std::string message;  // for people; never holds a secret or a query
  std::string detail;   // the start of the response's body, where there was one
  std::optional<std::chrono::seconds> retry_after;
  std::optional<std::chrono::milliseconds> took = {};  // of a call that was made
};

using HttpOutcome = Expected<HttpResponse, HttpFailure>;

inline HttpFailure permanent_failure(std::string code, std::string message) {
  return {HttpFailure::Class::kPermanent, std::move(code), std::move(message), {}, {}};
}

}  // namespace durabled::daemon
