#include "daemon/http/url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/http/address.hpp"
#include "daemon/http/encoding.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxUrlBytes = 64 << 10;

struct UrlCloser {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCloser>;

std::string url_part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that text[at..at+2] stands for, when that is a %XX.
std::optional<char> decoded_byte(std::string_view text, std::size_t at) {
  if (text[at] != '%' || at + 2 >= text.size()) return std::nullopt;
  const int high = hex_value(text[at + 1]), low = hex_value(text[at + 2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

// "." and ".." in any spelling: the number of dots; 0 for any other segment.
int dots_of(std::string_view segment) {
  int dots = 0;
  for (std::size_t i = 0; i < segment.size(); ++i, ++dots) {
    if (segment[i] == '.') continue;
    if (decoded_byte(segment, i) != '.') return 0;
    i += 2;
  }
  return dots <= 2 ? dots : 0;
}

std::string escape_unsafe(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F && c != '\\') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::optional<std::string> problem_with_bytes(std::string_view text) {
  if (text.empty()) return "the URL is empty";
  if (text.size() > kMaxUrlBytes) return "the URL is longer than 64 KiB";
  const bool control = std::any_of(text.begin(), text.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control) return "the URL holds a control character";
  return std::nullopt;
}

std::optional<std::string> problem_with_authority(std::string_view authority) {
  if (authority.empty()) return "the URL has no host";
  if (authority.find('@') != std::string_view::npos) {
    return "the URL holds a user name or password; send them in an Authorization header";
  }
  const bool plain = std::all_of(authority.begin(), authority.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
  if (!plain)
    return "the URL's host holds a character that no host name has (write international names in punycode)";
  return std::nullopt;
}

// Whether resolvers take `host` for a number: its last label begins with a digit and is one, or tries to be.
bool ends_in_number(std::string_view host) {
  const std::string_view last = host.substr(host.rfind('.') + 1);
  if (last.empty()) return false;
  if (std::all_of(last.begin(), last.end(), is_digit)) return true;
  return last.size() > 1 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X');
}

// Brings url.host into its one form. Returns what is wrong with it, if anything.
std::optional<std::string> canonicalize_host(HttpUrl& url, std::string host) {
  if (host.starts_with('[')) {
    const auto address =
        host.ends_with(']') ? IpAddress::parse(host.substr(1, host.size() - 2)) : std::nullopt;
    if (!address || address->is_v4()) return "the URL's host is not a valid IPv6 address";
    url.host = address->to_string();
    url.is_ip = true;
    return std::nullopt;
  }
  host = ascii_lower(host);
  if (host.ends_with('.')) host.pop_back();
  const bool empty_label = host.empty() || host.front() == '.' || host.back() == '.' ||
                           host.find("..") != std::string::npos ||
                           host.find_first_of(":[]") != std::string::npos;
  if (empty_label || host.size() > 253) return "the URL's host is not a valid name";
  if (ends_in_number(host)) {
    const auto address = IpAddress::parse_loose_v4(host);
    if (!address) return "the URL's host is not a valid IPv4 address";
    host = address->to_string();
    url.is_ip = true;
  }
  url.host = std::move(host);
  return std::nullopt;
}

std::string message_for(CURLUcode code) {
  if (code == CURLUE_BAD_PORT_NUMBER) return "the URL's port is not a valid one";
  return std::string("the URL is malformed: ") + curl_url_strerror(code);
}

Expected<HttpUrl, std::string> parse_checked(const std::string& text) {
  const UrlHandle handle(curl_url());
  const unsigned int flags = CURLU_DISALLOW_USER | CURLU_PATH_AS_IS;
  const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), flags);
  if (code != CURLUE_OK) return Unexpected{message_for(code)};
  HttpUrl url;
  url.scheme = url_part(handle.get(), CURLUPART_SCHEME);
  if (auto problem = canonicalize_host(url, url_part(handle.get(), CURLUPART_HOST)))
    return Unexpected{*problem};
  const std::string port = url_part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (url.port < 1 || url.port > 65535)
    return Unexpected<std::string>{"the URL's port is not between 1 and 65535"};
  const std::string path = url_part(handle.get(), CURLUPART_PATH);
  url.path = without_dot_segments(path.empty() ? "/" : path);
  const std::string query = url_part(handle.get(), CURLUPART_QUERY);
  if (!query.empty()) url.query = "?" + query;
  return url;
}

}  // namespace

int default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

std::string HttpUrl::origin() const {
  const bool brackets = host.find(':') != std::string::npos;
  std::string out = scheme + "://" + (brackets ? "[" + host + "]" : host);
  if (port != default_port(scheme)) out += ":" + std::to_string(port);
  return out;
}

std::string HttpUrl::text() const {
  return origin() + path + query;
}

bool HttpUrl::same_origin(const HttpUrl& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = decoded_byte(text, i);
    out += byte.value_or(text[i]);
    if (byte) i += 2;
  }
  return out;
}

std::string without_dot_segments(std::string_view path, bool merge_slashes) {
  std::vector<std::string_view> kept;
  bool directory = false;  // whether the path ends in a slash
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view segment = path.substr(0, slash);
    const int dots = dots_of(segment);
    const bool skipped = dots > 0 || (segment.empty() && (merge_slashes || last));
    if (dots == 2 && !kept.empty()) kept.pop_back();
    if (!skipped) kept.push_back(segment);
    if (last) {
      directory = skipped;
      break;
    }
    path.remove_prefix(slash + 1);
  }
  std::string out;
  for (const std::string_view segment : kept) out += "/" + std::string(segment);
  return directory || out.empty() ? out + "/" : out;
}

Expected<HttpUrl, std::string> parse_http_url(std::string_view text) {
  if (auto problem = problem_with_bytes(text)) return Unexpected{*problem};
  const std::size_t colon = text.find(':');
  const std::string scheme = ascii_lower(text.substr(0, colon));
  const bool scheme_like =
      !scheme.empty() && is_alpha(scheme.front()) && std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
      });
  if (colon == std::string_view::npos || !scheme_like) {
    return Unexpected<std::string>{"the URL has no scheme: it must begin with https:// or http://"};
  }
  if (scheme != "http" && scheme != "https") {
    return Unexpected{"unsupported URL scheme \"" + scheme.substr(0, 32) +
                      "\": only https and http are possible"};
  }
  std::string_view rest = text.substr(colon + 1);
  if (!rest.starts_with("//")) return Unexpected<std::string>{"the URL's scheme is not followed by ://"};
  rest.remove_prefix(2);
  const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (auto problem = problem_with_authority(authority)) return Unexpected{*problem};
  std::string_view tail = rest.substr(authority_end);
  tail = tail.substr(0, tail.find('#'));
  return parse_checked(scheme + "://" + std::string(authority) + escape_unsafe(tail));
}

Expected<HttpUrl, std::string> resolve_location(const HttpUrl& base, std::string_view location) {
  if (auto problem = problem_with_bytes(location)) return Unexpected{*problem};
  // A location with a scheme or a host of its own is judged as it was written, before curl reads anything
  // into it.
  const std::size_t colon = location.find(':');
  if (colon < location.find_first_of("/?#\\")) return parse_http_url(location);
  if (location.starts_with("//")) return parse_http_url(base.scheme + ":" + std::string(location));
  const UrlHandle handle(curl_url());
  const unsigned int flags = CURLU_PATH_AS_IS;
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, base.text().c_str(), flags);
  if (code == CURLUE_OK) {
    code = curl_url_set(handle.get(), CURLUPART_URL, escape_unsafe(location).c_str(), flags);
  }
  if (code != CURLUE_OK) return Unexpected{message_for(code)};
  return parse_http_url(url_part(handle.get(), CURLUPART_URL));
}

}  // namespace durabled::daemon
