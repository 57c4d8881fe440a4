// URLs, read strictly: one that two programs could understand differently is refused, not guessed at. What is
// checked against the policy is, byte for byte, what is asked for on the wire.
#pragma once

#include <string>
#include <string_view>

#include "dsl/expected.hpp"

namespace durabled::daemon {

struct HttpUrl {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case, no dot at the end; IPv4 as four decimal numbers, IPv6 without brackets
  bool is_ip = false;
  int port = 0;
  std::string path;   // begins with '/'; without dot segments, percent-encoded ones included
  std::string query;  // with its '?'; empty without a query

  std::string text() const;    // the whole URL, without fragment
  std::string origin() const;  // "https://host", with the port when it is not the scheme's own: safe to show
  bool same_origin(const HttpUrl& other) const;
};

// Refused, with a message that says why: schemes but http and https ("unsupported URL scheme"), user names,
// control characters, hosts with characters that no host has, numbers that are no IPv4 address. "0x7f.1",
// "2130706433" and "127.1" are read as the addresses they mean; spaces, backslashes and non-ASCII characters
// behind the host are percent-encoded; a fragment is dropped. The message shows nothing of path and query.
Expected<HttpUrl, std::string> parse_http_url(std::string_view text);

// Where a Location header leads from `base` (RFC 3986, section 5). Errors as above.
Expected<HttpUrl, std::string> resolve_location(const HttpUrl& base, std::string_view location);

// `path` without "." and ".." segments, written plainly or percent-encoded. Climbing stops at the root. With
// `merge_slashes`, empty segments go too, as many servers have it.
std::string without_dot_segments(std::string_view path, bool merge_slashes = false);

// One round of percent-decoding; what is no valid %XX stays.
std::string percent_decoded(std::string_view text);

int default_port(std::string_view scheme);

}  // namespace durabled::daemon
