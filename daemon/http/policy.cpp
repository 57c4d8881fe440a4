#include "daemon/http/policy.hpp"

#include <algorithm>
#include <optional>

#include "daemon/http/encoding.hpp"

namespace durabled::daemon {
namespace {

// Glob with '*' for any run of characters but dots.
bool label_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos && text[retry] != '.') {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool host_matches(std::string_view pattern, const HttpUrl& url) {
  const std::string_view host = url.host;
  if (url.is_ip || pattern.find('*') == std::string_view::npos) return pattern == host;
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return label_glob(pattern, host);
  // Any number of labels for the leading star: the rest must match what follows one of the dots.
  const std::string_view rest = pattern.substr(2);
  for (std::size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    if (label_glob(rest, host.substr(dot + 1))) return true;
  }
  return false;
}

bool within(std::string_view prefix, std::string_view path) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// Dots, slashes and backslashes that lenient servers take for the plain ones.
constexpr std::string_view kLookAlikes[] = {"\u2024", "\u2025", "\u2026", "\u2044", "\u2215",
                                            "\u2216", "\u29F8", "\u3002", "\uFE52", "\uFE68",
                                            "\uFF0E", "\uFF0F", "\uFF3C", "\uFF61"};

// Whether decoding turns the path into something that one server reads differently from another.
bool is_ambiguous(std::string_view path) {
  const std::string lower = ascii_lower(path);
  for (const std::string_view escape : {"%u", "%2e", "%2f", "%5c"}) {
    if (lower.find(escape) != std::string::npos) return true;
  }
  const std::string decoded = percent_decoded(path);
  const bool control = std::any_of(decoded.begin(), decoded.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control || !is_storable_text(decoded)) return true;
  return std::any_of(std::begin(kLookAlikes), std::end(kLookAlikes), [&](std::string_view character) {
    return decoded.find(character) != std::string::npos;
  });
}

// One more decoding than the last, the way a lenient server or proxy might do it.
std::string as_decoded_by_server(std::string_view text) {
  std::string out = percent_decoded(text);
  std::replace(out.begin(), out.end(), '\\', '/');
  // "..;x" is ".." to servers that know path parameters.
  for (std::size_t at = out.find("..;"); at != std::string::npos; at = out.find("..;", at)) {
    const std::size_t end = std::min(out.find('/', at), out.size());
    out.erase(at + 2, end - at - 2);
    at += 2;
  }
  return out;
}

bool path_matches(std::string_view prefix, std::string_view path) {
  if (prefix == "/") return true;
  if (!within(prefix, path)) return false;
  std::string seen_prefix(prefix), seen_path(path);
  for (int round = 0; round < 3; ++round) {
    if (is_ambiguous(seen_path)) return false;
    seen_prefix = percent_decoded(seen_prefix);
    seen_path = as_decoded_by_server(seen_path);
    if (!within(seen_prefix, without_dot_segments(seen_path))) return false;
    if (!within(seen_prefix, without_dot_segments(seen_path, true))) return false;
  }
  return true;
}

std::string yaml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// The entry that would let `url` through; at most the first segment of its path, the rest may be private.
std::string yaml_entry(const HttpUrl& url, const std::optional<std::string>& path, std::string_view role) {
  std::string yaml =
      "http:\n  allow:\n    - scheme: " + url.scheme + "\n      host: " + yaml_quoted(url.host);
  if (url.port != default_port(url.scheme)) yaml += "\n      port: " + std::to_string(url.port);
  if (path) yaml += "\n      path_prefix: " + yaml_quoted(*path);
  if (!role.empty()) yaml += "\n      roles: [" + yaml_quoted(role) + "]";
  return yaml;
}

std::string how_to_allow(const std::string& yaml) {
  return "\nTo allow it, add to durabled.yaml and reload:\n" + yaml;
}

}  // namespace

bool HttpPermit::allows(const IpAddress& address) const {
  if (special_purpose(address).empty()) return true;
  const auto inner = address.embedded_v4();
  return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) {
    return range.contains(address) || (inner && range.contains(*inner));
  });
}

Expected<HttpPolicy::Entry, std::string> HttpPolicy::make_entry(const config::Config::Http::Allow& allow) {
  if (allow.scheme != "http" && allow.scheme != "https") {
    return Unexpected{"scheme must be http or https, not \"" + allow.scheme + "\""};
  }
  if (allow.port < 0 || allow.port > 65535)
    return Unexpected<std::string>{"port must be between 1 and 65535"};
  if (!allow.path_prefix.starts_with('/')) return Unexpected<std::string>{"path_prefix must begin with /"};
  if (allow.redirects < 0) return Unexpected<std::string>{"redirects must not be negative"};
  Entry entry;
  entry.scheme = allow.scheme;
  entry.host = ascii_lower(allow.host);
  if (entry.host.starts_with('[') && entry.host.ends_with(']'))
    entry.host = entry.host.substr(1, entry.host.size() - 2);
  if (entry.host.ends_with('.')) entry.host.pop_back();
  if (entry.host.empty() || entry.host.find_first_of("/@ ") != std::string::npos) {
    return Unexpected{"host \"" + allow.host + "\" is not a host name, a pattern or an IP address"};
  }
  if (const auto address = IpAddress::parse(entry.host)) entry.host = address->to_string();
  entry.port = allow.port == 0 ? default_port(allow.scheme) : allow.port;
  entry.path_prefix = without_dot_segments(allow.path_prefix);
  entry.roles = allow.roles;
  entry.redirects = allow.redirects;
  for (const std::string& text : allow.address_ranges) {
    const auto range = AddressRange::parse(text);
    if (!range) return Unexpected{"address range \"" + text + "\" is not a CIDR such as 10.0.0.0/8"};
    entry.ranges.push_back(*range);
  }
  return entry;
}

Expected<std::shared_ptr<const HttpPolicy>, std::string> HttpPolicy::create(
    const config::Config::Http& config) {
  auto policy = std::make_shared<HttpPolicy>();
  for (std::size_t i = 0; i < config.allow.size(); ++i) {
    auto entry = make_entry(config.allow[i]);
    if (!entry) return Unexpected{"http.allow[" + std::to_string(i) + "]: " + entry.error()};
    policy->entries_.push_back(std::move(*entry));
  }
  return std::shared_ptr<const HttpPolicy>(std::move(policy));
}

HttpPolicy::Match HttpPolicy::match(const Entry& entry, const HttpUrl& url, std::string_view role) {
  if (!host_matches(entry.host, url)) return Match::kNothing;
  if (entry.scheme != url.scheme || entry.port != url.port) return Match::kHost;
  if (!path_matches(entry.path_prefix, url.path)) return Match::kSchemeAndPort;
  const bool everyone = entry.roles.empty();
  if (!everyone && std::find(entry.roles.begin(), entry.roles.end(), role) == entry.roles.end())
    return Match::kPath;
  return Match::kAll;
}

std::string HttpPolicy::refusal(Match best, const HttpUrl& url, std::string_view role, UrlShown shown) {
  const bool hidden = shown == UrlShown::kNothing;
  const std::string host = hidden ? "the URL's host, which holds a secret," : "host " + url.host;
  const std::string origin = hidden ? "its host" : url.origin();
  const auto how = [&](const std::optional<std::string>& path, std::string_view only_role) {
    return hidden ? std::string() : how_to_allow(yaml_entry(url, path, only_role));
  };
  switch (best) {
    case Match::kNothing:
      if (url.is_ip && !hidden) {
        return "the URL's host is a bare IP address, " + url.host +
               ", and not in the allowed hosts by itself (patterns never match addresses)." +
               how(std::nullopt, "");
      }
      return host + " is not in the allowed hosts." + how(std::nullopt, "");
    case Match::kHost:
      return hidden ? "the URL is not in the allowed schemes and ports of its host."
                    : origin + " is not in the allowed schemes and ports of host " + url.host + "." +
                          how(std::nullopt, "");
    case Match::kSchemeAndPort:
      return "the URL's path is not in the allowed path prefixes of " + origin +
             " (one with encoded dots, slashes or control characters is in none)." +
             how(shown == UrlShown::kAll ? url.path.substr(0, url.path.find('/', 1)) : "/PATH", "");
    case Match::kPath:
      return "role " + std::string(role) + " is not in the allowed roles for this URL at " + origin + "." +
             how(std::nullopt, role);
    case Match::kAll:
      break;
  }
  return {};
}

Expected<HttpPermit, std::string> HttpPolicy::check(const HttpUrl& url, std::string_view role,
                                                    UrlShown shown) const {
  HttpPermit permit;
  Match best = Match::kNothing;
  for (const Entry& entry : entries_) {
    const Match found = match(entry, url, role);
    best = std::max(best, found);
    if (found != Match::kAll) continue;
    permit.ranges.insert(permit.ranges.end(), entry.ranges.begin(), entry.ranges.end());
    permit.redirects = std::max(permit.redirects, entry.redirects);
  }
  if (best != Match::kAll) return Unexpected{refusal(best, url, role, shown)};
  return permit;
}

std::string address_refusal(const std::string& place, const HttpUrl& url, const IpAddress& address,
                            UrlShown shown) {
  const bool known = url.is_ip && shown != UrlShown::kNothing;
  const std::string text = address.to_string();
  const std::string range = known ? text + (address.is_v4() ? "/32" : "/128") : "RANGE";
  return place + " leads to " +
         (known ? text + " (" + std::string(special_purpose(address)) + ")"
                : std::string("an address that is not public")) +
         ", which is not in the allowed addresses: only public ones are, unless the entry lists a range.\n" +
         "To allow it, add to that entry of http.allow in durabled.yaml and reload:\n      address_ranges: "
         "[\"" +
         range + "\"]" + (known || shown == UrlShown::kNothing ? "" : "\nThe daemon's log has the address.");
}

}  // namespace durabled::daemon
