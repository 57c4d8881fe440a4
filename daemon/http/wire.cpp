#include "daemon/http/wire.hpp"

#include <algorithm>

#include "daemon/http/encoding.hpp"
#include "daemon/http/template.hpp"

namespace durabled::daemon {
namespace {

// Collects what goes wrong first, so that the steps below read straight down.
class Revealer {
 public:
  Revealer(std::string role, const SecretStore& secrets, SecretScrubber& scrubber)
      : role_(std::move(role)), secrets_(secrets), scrubber_(scrubber) {}

  std::string operator()(const SecretText& text) {
    auto value = reveal(text, role_, secrets_, scrubber_);
    if (value) return std::move(*value);
    fail("http_secret", value.error());
    return {};
  }
  std::optional<std::string> operator()(const std::optional<SecretText>& text) {
    if (!text) return std::nullopt;
    return (*this)(*text);
  }
  void fail(const char* code, std::string message) {
    if (!failure_) failure_ = permanent_failure(code, std::move(message));
  }
  const std::optional<HttpFailure>& failure() const { return failure_; }

 private:
  std::string role_;
  const SecretStore& secrets_;
  SecretScrubber& scrubber_;
  std::optional<HttpFailure> failure_;
};

// An RFC 9110 token.
bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::vector<WireHeader> reveal_headers(const HttpRequest& request, Revealer& reveal_text) {
  std::vector<WireHeader> headers;
  for (const HttpHeader& header : request.headers) {
    WireHeader wire{header.name, reveal_text(header.value), header.value.has_secrets()};
    // Checked again where it counts: a request need not come from a template, and a secret may hold anything.
    if (!is_header_name(wire.name) || is_reserved_header(wire.name) || !is_header_value(wire.value)) {
      reveal_text.fail("http_request", "header " + header.name + " is not one that can be sent");
    }
    headers.push_back(std::move(wire));
  }
  // Where the workflow has one of its own, that wins.
  const auto add = [&](const char* name, const std::string& value) {
    const bool has_own = std::any_of(headers.begin(), headers.end(), [&](const WireHeader& header) {
      return equals_ignoring_case(header.name, name);
    });
    if (value.empty() || has_own) return;
    if (!is_header_value(value)) reveal_text.fail("http_request", std::string(name) + " has a line break");
    headers.push_back({name, value, false});
  };
  add("Idempotency-Key", request.idempotency_key);
  add("traceparent", request.traceparent);
  return headers;
}

WirePart reveal_part(const HttpPart& part, Revealer& reveal_text) {
  WirePart wire{part.name, reveal_text(part.data), reveal_text(part.filename),
                reveal_text(part.content_type)};
  if (part.data_is_base64) {
    auto bytes = base64_decode(wire.data);
    if (!bytes) reveal_text.fail("http_request", "part " + part.name + ": data_b64 is not valid base64");
    wire.data = std::move(bytes).value_or("");
  }
  if (!is_header_value(wire.filename.value_or("")) || !is_header_value(wire.content_type.value_or(""))) {
    reveal_text.fail("http_request", "part " + part.name + ": filename or content_type has a line break");
  }
  return wire;
}

bool has_secrets(const HttpPart& part) {
  return part.data.has_secrets() || (part.filename && part.filename->has_secrets()) ||
         (part.content_type && part.content_type->has_secrets());
}

void reveal_payload(const HttpRequest& request, WireRequest& wire, Revealer& reveal_text) {
  if (!request.parts) {
    wire.body = reveal_text(request.body);
    wire.payload_has_secret = request.body && request.body->has_secrets();
    return;
  }
  wire.parts.emplace();
  for (const HttpPart& part : *request.parts) {
    wire.parts->push_back(reveal_part(part, reveal_text));
    wire.payload_has_secret = wire.payload_has_secret || has_secrets(part);
  }
}

bool is_method(const std::string& method) {
  return method == "GET" || method == "POST" || method == "PUT" || method == "DELETE" || method == "PATCH";
}

void remove_headers(WireRequest& request, bool (*unwanted)(const WireHeader&)) {
  request.headers.erase(std::remove_if(request.headers.begin(), request.headers.end(), unwanted),
                        request.headers.end());
}

bool is_private_header(const WireHeader& header) {
  return header.has_secret || equals_ignoring_case(header.name, "authorization") ||
         equals_ignoring_case(header.name, "cookie");
}

bool is_content_header(const WireHeader& header) {
  return ascii_lower(header.name).starts_with("content-");
}

// A # in a secret would begin the fragment and cut off what follows, unless the secret is the beginning of the
// URL. Other characters keep their meaning: a secret may be a path of several segments.
std::string reveal_url(const SecretText& url, Revealer& reveal_text) {
  std::string text;
  for (const SecretText::Piece& piece : url.pieces()) {
    SecretText single;
    single.pieces().push_back(piece);
    const bool escaped = piece.is_secret && !text.empty();
    for (const char c : reveal_text(single)) text += escaped && c == '#' ? "%23" : std::string(1, c);
  }
  return text;
}

// Where the text before the first secret ends behind the host and port, these are without one.
UrlShown shown_of(const SecretText& url) {
  if (!url.has_secrets()) return UrlShown::kAll;
  std::string before;
  for (const SecretText::Piece& piece : url.pieces()) {
    if (piece.is_secret) break;
    before += piece.text;
  }
  const std::size_t authority = before.find("://");
  const bool complete =
      authority != std::string::npos && before.find_first_of("/?#", authority + 3) != std::string::npos;
  return complete ? UrlShown::kOrigin : UrlShown::kNothing;
}

}  // namespace

std::string WireRequest::shown_path() const {
  constexpr std::size_t kMost = 200;
  if (shown != UrlShown::kAll) return "";
  return url.path.size() <= kMost ? url.path : url.path.substr(0, kMost) + "…";
}

Expected<WireRequest, HttpFailure> make_wire_request(const HttpRequest& request, const SecretStore& secrets,
                                                     const HttpPolicy& policy, SecretScrubber& scrubber) {
  Revealer reveal_text(request.role, secrets, scrubber);
  WireRequest wire;
  wire.method = request.method;
  wire.expect = request.expect;
  if (!is_method(wire.method))
    reveal_text.fail("http_request", "the method must be GET, POST, PUT, DELETE or PATCH");
  const std::string url_text = reveal_url(request.url, reveal_text);
  wire.headers = reveal_headers(request, reveal_text);
  reveal_payload(request, wire, reveal_text);
  if (reveal_text.failure()) return Unexpected{*reveal_text.failure()};

  wire.uses_secrets = !scrubber.empty();
  wire.shown = shown_of(request.url);
  auto url = parse_http_url(url_text);
  if (!url) {
    const bool scheme = url.error().starts_with("unsupported URL scheme");
    const bool hidden = scheme && wire.shown == UrlShown::kNothing;
    return Unexpected{
        permanent_failure(scheme ? "http_policy" : "http_request",
                          hidden ? "unsupported URL scheme: only https and http are possible" : url.error())};
  }
  auto permit = policy.check(*url, request.role, wire.shown);
  if (!permit) return Unexpected{permanent_failure("http_policy", permit.error())};
  wire.url = std::move(*url);
  wire.place = wire.shown == UrlShown::kNothing ? "a URL whose host holds a secret" : wire.url.origin();
  wire.permit = std::move(*permit);
  return wire;
}

std::optional<HttpFailure> follow_redirect(WireRequest& request, int status, const std::string& location,
                                           const HttpPolicy& policy, std::string_view role) {
  const std::string call = request.call();
  auto target = resolve_location(request.url, location);
  if (!target) {
    return permanent_failure("http_redirect",
                             call + ": its redirect cannot be followed" +
                                 (request.uses_secrets ? ": the URL is not valid" : ": " + target.error()));
  }
  const bool same_origin = target->same_origin(request.url);
  UrlShown shown = UrlShown::kAll;
  if (request.uses_secrets)
    shown = same_origin && request.shown != UrlShown::kNothing ? UrlShown::kOrigin : UrlShown::kNothing;
  auto permit = policy.check(*target, role, shown);
  if (!permit) {
    return permanent_failure(
        "http_policy",
        call + " redirects to another URL: " +
            (shown == UrlShown::kNothing ? "that is not in the allowed URLs of http.allow" : permit.error()));
  }
  const bool to_get = status == 303 || ((status == 301 || status == 302) && request.method == "POST");
  if (to_get) {
    request.method = "GET";
    request.body.reset();
    request.parts.reset();
    request.payload_has_secret = false;
    remove_headers(request, is_content_header);
  }
  if (!same_origin) {
    if (request.payload_has_secret) {
      return permanent_failure("http_redirect",
                               call + ": its redirect would send a body with a secret to another host");
    }
    remove_headers(request, is_private_header);
  }
  request.url = std::move(*target);
  request.shown = shown;
  if (!same_origin)
    request.place = shown == UrlShown::kNothing ? request.place + " (redirected)" : request.url.origin();
  request.permit = std::move(*permit);
  return std::nullopt;
}

}  // namespace durabled::daemon
