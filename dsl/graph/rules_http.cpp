#include "dsl/graph/rules_http.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "dsl/graph/answer_columns.hpp"
#include "dsl/graph/bounded_json.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

namespace json = boost::json;
using Problem = std::optional<std::string>;

Problem apply_method(std::string& method) {
  static constexpr std::array<std::string_view, 5> kMethods = {"GET", "POST", "PUT", "DELETE", "PATCH"};
  std::string upper = method;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (std::find(kMethods.begin(), kMethods.end(), upper) == kMethods.end()) {
    return "method must be GET, POST, PUT, DELETE or PATCH, found '" + shorten(method) + "'";
  }
  method = std::move(upper);
  return std::nullopt;
}

bool is_header_name(std::string_view name) {
  const auto is_token = [](char c) {
    return is_name_char(c) || std::string_view("!#$%&'*+-.^`|~").find(c) != std::string_view::npos;
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_token);
}

// Header values are text; a number or boolean is taken as its text.
std::optional<std::string> header_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_int64()) return std::to_string(value.get_int64());
  if (value.is_uint64()) return std::to_string(value.get_uint64());
  if (value.is_double()) {
    char buffer[32];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value.get_double());
    return error == std::errc() ? std::optional(std::string(buffer, end)) : std::nullopt;
  }
  return std::nullopt;
}

Problem apply_headers(std::string& headers) {
  auto parsed = parse_json(headers);
  if (!parsed) return "headers must be a JSON object: " + parsed.error().message;
  if (!parsed->is_object()) {
    return "headers must be a JSON object, found " + std::string(json_kind_name(*parsed));
  }
  for (auto& member : parsed->get_object()) {
    const std::string name(member.key());
    if (!is_header_name(name)) return "headers: '" + shorten(name) + "' is not a header name";
    const auto text = header_text(member.value());
    if (!text) {
      return "headers: the value of '" + name + "' must be a string, found " +
             std::string(json_kind_name(member.value()));
    }
    if (text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return "headers: the value of '" + name + "' holds a line break";
    }
    member.value() = *text;
  }
  headers = json::serialize(*parsed);
  return std::nullopt;
}

bool says_json(const std::string& headers) {
  const auto parsed = parse_json(headers);
  if (!parsed || !parsed->is_object()) return false;
  const auto lower = [](std::string_view text) {
    std::string result(text);
    for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return result;
  };
  return std::any_of(parsed->get_object().begin(), parsed->get_object().end(), [&](const auto& member) {
    const std::string value = member.value().is_string() ? lower(member.value().get_string()) : "";
    return lower(member.key()) == "content-type" && value.find("json") != std::string::npos &&
           !has_reference(value);
  });
}

// A body that cannot be JSON although the header content-type says that it is. References are taken for strings, or for
// a part of one; a variable may hold anything.
Problem check_json_body(const HttpOptions& options) {
  if (!options.body || !options.headers || !says_json(*options.headers)) return std::nullopt;
  const std::string& body = *options.body;
  if (body.find_first_not_of(" \t\r\n") == std::string::npos || !variable_names(body).empty() ||
      body.find("{secret.") != std::string::npos) {
    return std::nullopt;
  }
  std::string json;
  std::size_t copied = 0;
  bool in_string = false;
  const auto copy = [&](std::size_t end) {
    for (; copied < end; ++copied) {
      const char c = body[copied];
      json += c;
      if (c == '\\' && in_string && copied + 1 < end) json += body[++copied];
      if (c == '"') in_string = !in_string;
    }
  };
  for (const auto& [begin, end] : reference_places(body)) {
    copy(begin);
    if (!in_string) json += "\"\"";
    copied = end;
  }
  copy(body.size());
  if (const auto parsed = parse_json(json); !parsed) {
    return "body is not JSON, although the header content-type says so: " + parsed.error().message;
  }
  return std::nullopt;
}

// {name}, {secret.name} or $name with its path and ?: with nothing around it, since its value is base64
// as a whole.
bool is_whole_reference(std::string_view text) {
  while (!text.empty() && is_sql_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_sql_space(text.back())) text.remove_suffix(1);
  if (text.starts_with('{') && text.ends_with('}')) {
    std::string_view name = text.substr(1, text.size() - 2);
    if (name.starts_with("secret.")) name.remove_prefix(7);
    return is_identifier(name);
  }
  if (!text.starts_with('$')) return false;
  text.remove_prefix(1);
  if (text.ends_with('?')) text.remove_suffix(1);
  const std::size_t name_end = std::min(text.find('.'), text.size());
  const auto is_path = [](char c) { return is_name_char(c) || c == '.'; };
  return is_identifier(text.substr(0, name_end)) && !text.ends_with('.') &&
         text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), is_path);
}

bool is_base64(std::string_view text) {
  std::size_t digits = 0, padding = 0;
  for (const char c : text) {
    if (is_sql_space(c)) continue;
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == '=')
      ++padding;
    else if (padding == 0 && (is_letter || is_digit(c) || c == '+' || c == '/'))
      ++digits;
    else
      return false;
  }
  return padding <= 2 && (digits + padding) % 4 == 0;
}

Problem check_part(const json::value& value, const std::string& where) {
  if (!value.is_object()) return where + " must be an object, found " + std::string(json_kind_name(value));
  const json::object& part = value.get_object();
  static constexpr std::array<std::string_view, 4> kKeys = {"name", "data_b64", "filename", "content_type"};
  for (const auto& member : part) {
    const std::string key(member.key());
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return where + " has the unknown key '" + shorten(key) +
             "'; it takes name, data_b64, filename, content_type";
    }
    if (!member.value().is_string()) {
      return where + "." + key + " must be a string, found " + std::string(json_kind_name(member.value()));
    }
    if (member.value().get_string().find('\0') != json::string::npos)
      return where + "." + key + " holds a NUL character";
  }
  for (const char* required : {"name", "data_b64"}) {
    if (!part.contains(required)) return where + " needs the key '" + required + "'";
  }
  const std::string data(part.at("data_b64").get_string());
  if (has_reference(data) && !is_whole_reference(data)) {
    return where + ".data_b64: a reference must be the whole value";
  }
  if (!has_reference(data) && !is_base64(data)) return where + ".data_b64 is not base64";
  return std::nullopt;
}

Problem apply_parts(std::optional<std::string>& parts) {
  if (!parts) return "parts is missing: a JSON array of {name, data_b64[, filename, content_type]}";
  const auto parsed = parse_json(*parts);
  if (!parsed) return "parts must be a JSON array: " + parsed.error().message;
  if (!parsed->is_array()) return "parts must be a JSON array, found " + std::string(json_kind_name(*parsed));
  if (parsed->get_array().empty()) return "parts must hold one part or more";
  std::size_t index = 0;
  for (const json::value& part : parsed->get_array()) {
    if (auto problem = check_part(part, "parts[" + std::to_string(index++) + "]")) return problem;
  }
  parts = json::serialize(*parsed);
  return std::nullopt;
}

Problem check_statements(const HttpOptions& options) {
  for (const auto* statement : {&options.request, &options.into}) {
    if (*statement && (*statement)->find('\0') != std::string::npos)
      return "a statement holds a NUL character";
  }
  if (options.request && options.body) return "request makes the body: body cannot be given as well";
  if (options.request) {
    if (auto problem = check_sql_step(*options.request)) return "request: " + *problem;
  }
  if (!options.into) return std::nullopt;
  const auto problem = check_sql_step(*options.into);
  return problem ? Problem("into: " + *problem) : std::nullopt;
}

Problem check_rows(const HttpOptions& options) {
  if (!options.rows && !options.columns) return std::nullopt;
  if (!options.columns) return "rows needs columns: the names and types of the columns";
  if (!options.rows) return "columns needs rows: the path of the rows, such as $.data[*]";
  if (!options.into) return "rows needs into: the statement that takes them, as $rows";
  if (auto path = parse_row_path(*options.rows); !path) return path.error();
  const auto columns = parse_answer_columns(*options.columns);
  return columns ? std::nullopt : Problem(columns.error());
}

}  // namespace

std::optional<std::string> apply_http_rules(Node& node) {
  auto& options = std::get<HttpOptions>(node.options);
  if (node.text.find_first_not_of(" \t\r\n") == std::string::npos) return "url must not be empty";
  if (auto problem = apply_method(options.method)) return problem;
  if (options.headers) {
    if (auto problem = apply_headers(*options.headers)) return problem;
  }
  if (auto problem = check_json_body(options)) return problem;
  if (auto problem = check_statements(options)) return problem;
  if (auto problem = check_rows(options)) return problem;
  if (node.kind == NodeKind::kHttpMultipart) {
    if (auto problem = apply_parts(options.parts)) return problem;
  }
  if (auto problem = check_seconds(options.timeout_seconds, "timeout_seconds")) return problem;
  options.timeout_seconds = round_seconds(options.timeout_seconds);
  if (options.timeout_seconds <= 0) return "timeout_seconds must be greater than 0";
  auto statuses = parse_expected_statuses(joined_words(options.expect));
  if (!statuses) return statuses.error();
  options.expect = std::move(*statuses);
  return std::nullopt;
}

}  // namespace durabled::dsl
