// A request as it goes out: secrets in place, URL parsed and checked, headers complete. Lives only as long as
// its call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/http/policy.hpp"
#include "daemon/http/request.hpp"
#include "daemon/http/secrets.hpp"
#include "daemon/http/url.hpp"

namespace durabled::daemon {

struct WireHeader {
  std::string name;
  std::string value;
  bool has_secret = false;
};

struct WirePart {
  std::string name;
  std::string data;
  std::optional<std::string> filename;
  std::optional<std::string> content_type;
};

struct WireRequest {
  std::string method;
  HttpUrl url;
  HttpPermit permit;
  std::vector<WireHeader> headers;
  std::optional<std::string> body;
  std::optional<std::vector<WirePart>> parts;
  bool payload_has_secret = false;  // body or parts
  bool uses_secrets = false;        // anywhere
  UrlShown shown = UrlShown::kAll;  // of `url`
  std::string place;                // "https://example.org", or a placeholder where it is not shown

  std::vector<std::string> expect;  // see HttpRequest

  // The path for messages, where it may be shown; "" otherwise.
  std::string shown_path() const;
  std::string call() const { return method + ' ' + place; }  // names the call in messages
};

// Reads the secrets that `request` refers to, adds them to `scrubber`, and checks the URL that results.
// Failures: http_secret, http_request, http_policy.
Expected<WireRequest, HttpFailure> make_wire_request(const HttpRequest& request, const SecretStore& secrets,
                                                     const HttpPolicy& policy, SecretScrubber& scrubber);

// Turns `request` into the one that a redirect (301, 302, 303, 307, 308) to `location` asks for: methods and
// bodies as browsers and curl have it (303 becomes GET; 301 and 302 turn a POST into a GET; 307 and 308
// repeat it). Another scheme, host or port gets no Authorization and Cookie, no header with a secret, and no
// payload with one: that is a failure, http_redirect. The new URL is checked against `policy`: http_policy. In
// a call that uses secrets nothing is shown of a location elsewhere, which may echo them.
std::optional<HttpFailure> follow_redirect(WireRequest& request, int status, const std::string& location,
                                           const HttpPolicy& policy, std::string_view role);

}  // namespace durabled::daemon
