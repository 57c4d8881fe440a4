#include "daemon/http/template.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "daemon/http/encoding.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

namespace json = boost::json;

template <typename T>
using OrMessage = Expected<T, std::string>;

constexpr double kLongestTimeoutSeconds = 24 * 3600;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Whether the whole text is one reference: $name, $name.path, $name[], $name?, {name} or {secret.NAME}.
bool is_whole_reference(std::string_view text) {
  const bool braces = text.starts_with('{') && text.ends_with('}');
  if (!braces && !text.starts_with('$')) return false;
  text.remove_prefix(1);
  if (braces) text.remove_suffix(1);
  if (text.empty() || !is_word(text.front()) || (text.front() >= '0' && text.front() <= '9')) return false;
  if (!braces && text.ends_with('?')) text.remove_suffix(1);
  if (!braces && text.ends_with("[]")) text.remove_suffix(2);
  if (braces && text.starts_with("secret.")) text.remove_prefix(7);
  return !text.empty() && !text.ends_with('.') && text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_word(c) || (!braces && c == '.'); });
}

json::value parse_json(std::string_view text, boost::system::error_code& error) {
  json::parse_options options;
  options.max_depth = 512;
  return json::parse(json::string_view(text.data(), text.size()), error, {}, options);
}

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

// `text` as a template: secrets kept apart, everything else substituted.
OrMessage<SecretText> fill(std::string_view text, const dsl::Bindings& bindings) {
  auto result = SecretText::parse(text);
  if (!result) return result;
  for (SecretText::Piece& piece : result->pieces()) {
    if (piece.is_secret) continue;
    auto filled = dsl::substitute_text(piece.text, bindings);
    if (!filled) return Unexpected{filled.error().message};
    piece.text = std::move(*filled);
  }
  return result;
}

bool any_header(const std::vector<HttpHeader>& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const HttpHeader& header) { return equals_ignoring_case(header.name, name); });
}

OrMessage<SecretText> header_value(const json::value& value, const dsl::Bindings& bindings) {
  if (value.is_string()) return fill(view(value.get_string()), bindings);
  if (value.is_number() || value.is_bool()) return SecretText(json::serialize(value));
  return Unexpected<std::string>{"its value must be a string"};
}

OrMessage<std::vector<HttpHeader>> build_headers(const std::string& text, const dsl::Bindings& bindings) {
  boost::system::error_code error;
  const json::value document = parse_json(text, error);
  if (error) return Unexpected{"not a JSON object: " + error.message()};
  std::vector<HttpHeader> headers;
  if (document.is_null()) return headers;
  if (!document.is_object()) return Unexpected<std::string>{"not a JSON object"};
  for (const auto& [key, value] : document.get_object()) {
    const std::string name(key);
    if (!is_header_name(name)) return Unexpected{"\"" + name + "\" is not a valid header name"};
    if (is_reserved_header(name)) return Unexpected{name + " cannot be set: it belongs to the connection"};
    if (value.is_null()) continue;
    auto filled = header_value(value, bindings);
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

// The bytes of a part. A reference that is only a part of the value is refused: base64 of two things put
// together is not the base64 of both.
OrMessage<bool> fill_data(HttpPart& part, std::string_view text, const dsl::Bindings& bindings) {
  text = trim_blanks(text);
  if (text.find_first_of("${") != std::string_view::npos && !is_whole_reference(text)) {
    return Unexpected<std::string>{
        "data_b64 takes base64 text or a whole-value reference such as \"$file.data\"; a reference within "
        "other text "
        "would not be base64"};
  }
  auto filled = fill(text, bindings);
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

OrMessage<HttpPart> build_part(const json::value& value, const dsl::Bindings& bindings) {
  if (!value.is_object())
    return Unexpected<std::string>{"not an object {name, data_b64[, filename, content_type]}"};
  HttpPart part;
  bool has_data = false;
  for (const auto& [json_key, field] : value.get_object()) {
    const std::string key(json_key);
    if (key != "name" && key != "data_b64" && key != "filename" && key != "content_type") {
      return Unexpected{"unknown key \"" + key + "\": a part is {name, data_b64[, filename, content_type]}"};
    }
    if (field.is_null() && key != "name" && key != "data_b64") continue;
    if (!field.is_string()) return Unexpected{key + " must be a string"};
    const std::string_view text = view(field.get_string());
    if (key == "data_b64") {
      if (auto done = fill_data(part, text, bindings); !done) return Unexpected{done.error()};
      has_data = true;
      continue;
    }
    auto filled = fill(text, bindings);
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
  if (!has_data) return Unexpected<std::string>{"data_b64 is missing"};
  return part;
}

OrMessage<std::vector<HttpPart>> build_parts(const std::string& text, const dsl::Bindings& bindings) {
  boost::system::error_code error;
  const json::value document = parse_json(text, error);
  if (error) return Unexpected{"parts: not a JSON array of parts: " + error.message()};
  if (!document.is_array()) return Unexpected<std::string>{"parts: not a JSON array of parts"};
  std::vector<HttpPart> parts;
  for (const json::value& value : document.get_array()) {
    auto part = build_part(value, bindings);
    if (!part) return Unexpected{"part " + std::to_string(parts.size() + 1) + ": " + part.error()};
    parts.push_back(std::move(*part));
  }
  return parts;
}

bool is_json(const std::string& text) {
  boost::system::error_code error;
  const json::value value = parse_json(text, error);
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

OrMessage<HttpRequest> build(const dsl::Node& node, const dsl::HttpOptions& options,
                             const dsl::Bindings& bindings) {
  HttpRequest request;
  request.method = options.method;
  auto url = fill(node.text, bindings);
  if (!url) return Unexpected{"url: " + url.error()};
  request.url = std::move(*url);
  if (options.headers) {
    auto headers = build_headers(*options.headers, bindings);
    if (!headers) return Unexpected{"headers: " + headers.error()};
    request.headers = std::move(*headers);
  }
  if (node.kind == dsl::NodeKind::kHttpMultipart) {
    auto parts = build_parts(options.parts.value_or("[]"), bindings);
    if (!parts) return Unexpected{parts.error()};
    request.parts = std::move(*parts);
    if (auto settled = settle_form_headers(request.headers); !settled) return Unexpected{settled.error()};
  } else if (options.body) {
    auto body = fill(*options.body, bindings);
    if (!body) return Unexpected{"body: " + body.error()};
    request.body = std::move(*body);
    if (!any_header(request.headers, "content-type")) {
      const bool json_body = is_json(request.body->display());
      request.headers.push_back(
          {"Content-Type", json_body ? "application/json" : "text/plain; charset=utf-8"});
    }
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

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (is_word(c)) || std::string_view("!#$%&'*+-.^`|~").find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

Expected<HttpRequest, HttpFailure> build_http_request(const dsl::Node& node, const dsl::Bindings& bindings,
                                                      const HttpCallContext& context) {
  DURABLED_ASSERT(node.kind == dsl::NodeKind::kHttp || node.kind == dsl::NodeKind::kHttpMultipart);
  const auto* options = std::get_if<dsl::HttpOptions>(&node.options);
  DURABLED_ASSERT(options != nullptr);
  auto request = build(node, *options, bindings);
  if (!request) return Unexpected{permanent_failure("http_request", request.error())};
  request->role = context.role;
  request->idempotency_key = context.idempotency_key;
  return std::move(*request);
}

}  // namespace durabled::daemon
