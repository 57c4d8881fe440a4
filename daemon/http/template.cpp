#include "daemon/http/template.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "daemon/http/encoding.hpp"
#include "dsl/assert.hpp"
#include "dsl/value/http_text.hpp"

namespace durabled::daemon {
namespace {

namespace json = boost::json;

template <typename T>
using OrMessage = Expected<T, std::string>;

constexpr double kLongestTimeoutSeconds = 24 * 3600;

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

// `text` as a template: secrets kept apart, values put in as `kind` asks for.
OrMessage<SecretText> fill(std::string_view text, dsl::HttpText kind, const dsl::Bindings& bindings) {
  auto result = SecretText::parse(text);
  if (!result) return result;
  // One literal, which may be empty, before, between and after the secrets.
  std::vector<std::string> literals(1);
  for (const SecretText::Piece& piece : result->pieces()) {
    if (piece.is_secret) {
      literals.emplace_back();
    } else {
      literals.back() += piece.text;
    }
  }
  auto filled = dsl::substitute_http(literals, kind, bindings);
  if (!filled) {
    const std::string &message = filled.error().message, &hint = filled.error().hint;
    return Unexpected{hint.empty() ? message : message + "; " + hint};
  }
  std::vector<SecretText::Piece> pieces;
  auto literal = filled->begin();
  const auto add_literal = [&] {
    if (!literal->empty()) pieces.push_back({false, std::move(*literal)});
    ++literal;
  };
  add_literal();
  for (SecretText::Piece& piece : result->pieces()) {
    if (!piece.is_secret) continue;
    pieces.push_back(std::move(piece));
    add_literal();
  }
  result->pieces() = std::move(pieces);
  return result;
}

bool any_header(const std::vector<HttpHeader>& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const HttpHeader& header) { return equals_ignoring_case(header.name, name); });
}

OrMessage<std::vector<HttpHeader>> build_headers(const std::string& text, const dsl::Bindings& bindings) {
  std::vector<HttpHeader> headers;
  const json::value document = json::parse(text);
  for (const auto& [key, value] : document.as_object()) {
    const std::string name(key);
    if (is_reserved_header(name)) return Unexpected{name + " cannot be set: it belongs to the connection"};
    auto filled = fill(view(value.as_string()), dsl::HttpText::kPlain, bindings);
    if (!filled) return Unexpected{name + ": " + filled.error()};
    const auto& pieces = filled->pieces();
    if (!std::all_of(pieces.begin(), pieces.end(),
                     [](const auto& piece) { return is_header_value(piece.text); })) {
      return Unexpected{name + ": its value holds a line break or a NUL"};
    }
    headers.push_back({name, std::move(*filled)});
  }
  return headers;
}

OrMessage<bool> fill_data(HttpPart& part, std::string_view text, const dsl::Bindings& bindings) {
  auto filled = fill(trim_blanks(text), dsl::HttpText::kPlain, bindings);
  if (!filled) return Unexpected{"data_b64: " + filled.error()};
  if (filled->has_secrets()) {
    part.data = std::move(*filled);
    part.data_is_base64 = true;
    return true;
  }
  auto bytes = base64_decode(filled->display());
  if (!bytes) return Unexpected<std::string>{"data_b64 is not valid base64"};
  part.data = SecretText(std::move(*bytes));
  return true;
}

OrMessage<HttpPart> build_part(const json::object& fields, const dsl::Bindings& bindings) {
  HttpPart part;
  for (const auto& [json_key, field] : fields) {
    const std::string key(json_key);
    const std::string_view text = view(field.as_string());
    if (key == "data_b64") {
      if (auto done = fill_data(part, text, bindings); !done) return Unexpected{done.error()};
      continue;
    }
    auto filled = fill(text, dsl::HttpText::kPlain, bindings);
    if (!filled) return Unexpected{key + ": " + filled.error()};
    if (!is_header_value(filled->display())) return Unexpected{key + " holds a line break or a NUL"};
    if (key == "filename")
      part.filename = std::move(*filled);
    else if (key == "content_type")
      part.content_type = std::move(*filled);
    else if (filled->has_secrets())
      return Unexpected<std::string>{"name cannot hold a secret"};
    else
      part.name = filled->display();
  }
  if (part.name.empty()) return Unexpected<std::string>{"name is missing"};
  return part;
}

OrMessage<std::vector<HttpPart>> build_parts(const std::string& text, const dsl::Bindings& bindings) {
  std::vector<HttpPart> parts;
  const json::value document = json::parse(text);
  for (const json::value& value : document.as_array()) {
    auto part = build_part(value.as_object(), bindings);
    if (!part) return Unexpected{"part " + std::to_string(parts.size() + 1) + ": " + part.error()};
    parts.push_back(std::move(*part));
  }
  return parts;
}

bool is_json(const std::string& text) {
  json::parse_options options;
  options.max_depth = 512;
  boost::system::error_code error;
  const json::value value = json::parse(text, error, {}, options);
  return !error;
}

// A form's Content-Type carries the boundary, which only the client knows.
OrMessage<bool> settle_form_headers(std::vector<HttpHeader>& headers) {
  const auto is_content_type = [](const HttpHeader& header) {
    return equals_ignoring_case(header.name, "content-type");
  };
  const auto found = std::find_if(headers.begin(), headers.end(), is_content_type);
  if (found == headers.end()) return true;
  if (!ascii_lower(found->value.display()).starts_with("multipart/form-data")) {
    return Unexpected<std::string>{"headers: the Content-Type of a form upload is multipart/form-data"};
  }
  headers.erase(found);
  return true;
}

// The body, with a Content-Type unless the call has one; `type` empty: by what the body looks like.
void set_body(HttpRequest& request, SecretText body, const std::string& type) {
  request.body = std::move(body);
  if (any_header(request.headers, "content-type")) return;
  const std::string by_looks =
      is_json(request.body->display()) ? "application/json" : "text/plain; charset=utf-8";
  request.headers.push_back({"Content-Type", type.empty() ? by_looks : type});
}

OrMessage<HttpRequest> build(const dsl::Node& node, const dsl::HttpOptions& options,
                             const dsl::Bindings& bindings, const HttpPayload* payload) {
  HttpRequest request;
  request.method = options.method;
  request.expect = options.expect;
  if (options.rows && request.expect.empty()) request.expect = {"2xx"};  // other answers have no rows
  auto url = fill(node.text, dsl::HttpText::kUrl, bindings);
  if (!url) return Unexpected{"url: " + url.error()};
  request.url = std::move(*url);
  if (options.headers) {
    auto headers = build_headers(*options.headers, bindings);
    if (!headers) return Unexpected{"headers: " + headers.error()};
    request.headers = std::move(*headers);
  }
  if (node.kind == dsl::NodeKind::kHttpMultipart) {
    auto parts = build_parts(*options.parts, bindings);
    if (!parts) return Unexpected{parts.error()};
    request.parts = std::move(*parts);
    if (auto settled = settle_form_headers(request.headers); !settled) return Unexpected{settled.error()};
  } else if (payload != nullptr) {
    set_body(request, SecretText(payload->bytes), payload->content_type);
  } else if (options.body) {
    auto body = fill(*options.body, dsl::HttpText::kBody, bindings);
    if (!body) return Unexpected{"body: " + body.error()};
    set_body(request, std::move(*body), "");
  }
  const double seconds = std::clamp(options.timeout_seconds, 0.001, kLongestTimeoutSeconds);
  request.timeout = std::chrono::milliseconds(std::llround(seconds * 1000));
  return request;
}

}  // namespace

bool is_reserved_header(std::string_view name) {
  constexpr std::string_view kReserved[] = {"host",
                                            "content-length",
                                            "transfer-encoding",
                                            "connection",
                                            "keep-alive",
                                            "proxy-connection",
                                            "proxy-authorization",
                                            "te",
                                            "trailer",
                                            "upgrade",
                                            "expect"};
  return std::any_of(std::begin(kReserved), std::end(kReserved),
                     [&](std::string_view reserved) { return equals_ignoring_case(reserved, name); });
}

bool is_header_value(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

Expected<HttpRequest, HttpFailure> build_http_request(const dsl::Node& node, const dsl::Bindings& bindings,
                                                      const HttpCallContext& context,
                                                      const HttpPayload* payload) {
  DURABLED_ASSERT(node.kind == dsl::NodeKind::kHttp || node.kind == dsl::NodeKind::kHttpMultipart);
  const auto* options = std::get_if<dsl::HttpOptions>(&node.options);
  DURABLED_ASSERT(options != nullptr);
  auto request = build(node, *options, bindings, payload);
  if (!request) return Unexpected{permanent_failure("http_request", request.error())};
  request->role = context.role;
  request->idempotency_key = context.idempotency_key;
  request->traceparent = context.traceparent;
  return std::move(*request);
}

}  // namespace durabled::daemon
