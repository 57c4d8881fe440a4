// What an answer means: the JSON that the step results in, or a failure to be retried.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/http/request.hpp"
#include "daemon/http/secrets.hpp"

namespace durabled::daemon {

struct RawHttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // as received, in order
  std::string body;                                          // decoded (gzip)

  // The first header of that name, whatever its case; nullptr: none.
  const std::string* header(std::string_view name) const;
};

// 5xx, 408 and 429.
bool is_transient_status(int status);

// Whether it is a failure for a step with that `expect`.
bool is_failure_status(int status, const std::vector<std::string>& expect);

// Whether a status is one of "404", "2xx", …
bool is_expected_status(int status, const std::vector<std::string>& expect);

// With `expect` the statuses in it are results, and every other is a failure, transient if it is 5xx, 408 or 429.
// Without, those are transient failures, and every other status is a result. `call` names the call in a failure's
// message ("POST https://example.org"), `path` as much of its path as may be shown there.
// The result holds nothing of the request, and values of secrets that the server echoed are replaced
// ({secret.NAME}).
//   headers  object with lower-case names; repeated ones joined with ", ", set-cookie always an array
//   body     text when it is valid UTF-8 without NUL, base64 otherwise
HttpOutcome judge_response(const RawHttpResponse& response, const std::string& call, const std::string& path,
                           const std::vector<std::string>& expect, std::chrono::milliseconds duration,
                           std::chrono::system_clock::time_point now, const SecretScrubber& scrubber);

// Retry-After: seconds, or an HTTP date seen from `now` (not below zero); at most a year. nullopt: neither.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now);

}  // namespace durabled::daemon
