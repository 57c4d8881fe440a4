#include "daemon/http/response.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <boost/json.hpp>

#include "daemon/http/encoding.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon {
namespace {

constexpr std::chrono::seconds kLongestRetryAfter{365 * 24 * 3600};
constexpr std::size_t kDetailBytes = 500;

std::string as_text(const std::string& bytes) {
  return is_storable_text(bytes) ? bytes : latin1_to_utf8(bytes);
}

boost::json::object headers_json(const RawHttpResponse& response, const SecretScrubber& scrubber) {
  boost::json::object headers;
  for (const auto& [name, raw] : response.headers) {
    const std::string value = as_text(scrubber.scrub(raw)), key = ascii_lower(as_text(scrubber.scrub(name)));
    auto* known = headers.if_contains(key);
    if (key == "set-cookie") {  // its values hold commas: joined they could not be told apart
      if (known == nullptr) known = &headers.emplace(key, boost::json::array()).first->value();
      known->as_array().emplace_back(value);
    } else if (known == nullptr) {
      headers.emplace(key, value);
    } else {
      known->as_string().append(", ").append(value);
    }
  }
  return headers;
}

// The start of a text for people, cut between characters.
std::string excerpt(std::string_view body) {
  if (!is_storable_text(body)) return {};
  const std::string_view cut = dsl::utf8_prefix(body, kDetailBytes);
  return std::string(cut) + (cut.size() < body.size() ? "…" : "");
}

}  // namespace

bool is_transient_status(int status) {
  return status == 408 || status == 429 || (status >= 500 && status <= 599);
}

const std::string* RawHttpResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
    return equals_ignoring_case(header.first, name);
  });
  return found == headers.end() ? nullptr : &found->second;
}

bool is_expected_status(int status, const std::vector<std::string>& expect) {
  const std::string text = std::to_string(status);
  return std::any_of(expect.begin(), expect.end(), [&](const std::string& each) {
    return each == text || (each.ends_with("xx") && each[0] == text[0]);
  });
}

bool is_failure_status(int status, const std::vector<std::string>& expect) {
  return expect.empty() ? is_transient_status(status) : !is_expected_status(status, expect);
}

HttpOutcome judge_response(const RawHttpResponse& response, const std::string& call, const std::string& path,
                           const std::vector<std::string>& expect, std::chrono::milliseconds duration,
                           std::chrono::system_clock::time_point now, const SecretScrubber& scrubber) {
  const std::string body = scrubber.scrub(response.body);
  const bool later = is_transient_status(response.status);
  if (is_failure_status(response.status, expect)) {
    const std::string status = std::to_string(response.status);
    HttpFailure failure{later ? HttpFailure::Class::kTransient : HttpFailure::Class::kUnexpected,
                        "http_" + status,
                        call + ": HTTP " + status,
                        {},
                        {}};
    if (!expect.empty())
      failure.message = call + path + ": HTTP " + status + ", expected " + dsl::joined_words(expect);
    failure.detail = excerpt(body);
    if (const std::string* value = response.header("retry-after"))
      failure.retry_after = parse_retry_after(*value, now);
    return Unexpected{std::move(failure)};
  }
  const bool ok = response.status >= 200 && response.status <= 299;
  const bool text = is_storable_text(body);
  boost::json::object envelope;
  envelope["status"] = response.status;
  envelope["body"] = text ? body : base64_encode(body);
  envelope["encoding"] = text ? "text" : "base64";
  envelope["headers"] = headers_json(response, scrubber);
  envelope["ok"] = ok;
  envelope["duration_ms"] = duration.count();
  return HttpResponse{response.status, ok, boost::json::serialize(envelope)};
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now) {
  value = trim_blanks(value);
  if (value.empty()) return std::nullopt;
  const bool digits = std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  std::chrono::seconds wait{0};
  if (digits) {
    // Ten digits are past any cap; longer numbers are not worth reading to the end.
    wait = value.size() > 10 ? kLongestRetryAfter : std::chrono::seconds(std::stoll(std::string(value)));
  } else {
    const time_t at = curl_getdate(std::string(value).c_str(), nullptr);
    if (at == -1) return std::nullopt;
    wait = std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::from_time_t(at) - now);
  }
  return std::clamp(wait, std::chrono::seconds(0), kLongestRetryAfter);
}

}  // namespace durabled::daemon
