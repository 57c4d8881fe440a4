// The standard routes of the test server, and what reads a call for them.
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "daemon/http/encoding.hpp"
#include "daemon/http/url.hpp"
#include "tests/support/http_server.hpp"

namespace durabled::test {
namespace {

namespace json = boost::json;

// What stands behind the last slash of the path, as a number.
int number_in(const TestCall& call) {
  int number = 0;
  const std::size_t start = call.path.rfind('/') + 1;
  std::from_chars(call.path.data() + start, call.path.data() + call.path.size(), number);
  return number;
}

TestAnswer with_status(int status) {
  TestAnswer answer;
  answer.status = status;
  answer.body = "status " + std::to_string(status);
  answer.headers = {{"Content-Type", "text/plain"}};
  return answer;
}

TestAnswer with_json(const json::value& value) {
  TestAnswer answer;
  answer.body = json::serialize(value);
  answer.headers = {{"Content-Type", "application/json"}};
  return answer;
}

TestAnswer echo(const TestCall& call) {
  json::object headers;
  for (const auto& [name, value] : call.headers) headers[name] = value;
  json::object out{{"method", call.method}, {"path", call.path}, {"query", call.query}, {"headers", headers}};
  if (daemon::is_storable_text(call.body))
    out["body"] = call.body;
  else
    out["body_b64"] = daemon::base64_encode(call.body);
  out["number"] = call.number;
  return with_json(out);
}

TestAnswer next_in_sequence(const TestCall& call) {
  std::string_view list = std::string_view(call.path).substr(call.path.rfind('/') + 1);
  for (int i = 1; i < call.number && list.find(',') != std::string_view::npos; ++i) {
    list.remove_prefix(list.find(',') + 1);
  }
  int status = 200;
  std::from_chars(list.data(), list.data() + list.size(), status);
  return with_status(status);
}

TestAnswer retry_later(const TestCall& call) {
  TestAnswer answer = with_status(call.number == 1 ? 429 : 200);
  if (call.number == 1) answer.headers.emplace_back("Retry-After", std::to_string(number_in(call)));
  return answer;
}

TestAnswer redirect(const TestCall& call) {
  TestAnswer answer = with_status(number_in(call));
  answer.headers.emplace_back("Location", call.parameter("to"));
  return answer;
}

TestAnswer with_fate(TestAnswer::Fate fate) {
  TestAnswer answer;
  answer.fate = fate;
  return answer;
}

TestAnswer delayed(const TestCall& call) {
  TestAnswer answer = with_status(200);
  answer.delay = std::chrono::milliseconds(number_in(call));
  return answer;
}

TestAnswer all_bytes() {
  TestAnswer answer;
  for (int byte = 0; byte < 256; ++byte) answer.body += static_cast<char>(byte);
  answer.headers = {{"Content-Type", "application/octet-stream"}};
  return answer;
}

}  // namespace

std::string TestCall::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string TestCall::parameter(const std::string& name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    if (pair.starts_with(name + "=")) return daemon::percent_decoded(pair.substr(name.size() + 1));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
  }
  return "";
}

void HttpTestServer::add_standard_routes() {
  using Fate = TestAnswer::Fate;
  route("/echo", echo);
  route("/json", [](const TestCall& call) {
    return with_json({{"message", "hello"}, {"items", json::array{1, 2, 3}}, {"number", call.number}});
  });
  route("/bytes", all_bytes());
  route("/status/", [](const TestCall& call) { return with_status(number_in(call)); });
  route("/delay/", delayed);
  route("/sequence/", next_in_sequence);
  route("/retry-after/", retry_later);
  route("/redirect/", redirect);
  route("/flood", with_fate(Fate::kFlood));
  route("/hang", with_fate(Fate::kHang));
  route("/reset", with_fate(Fate::kReset));
  route("/calls", [this](const TestCall&) {
    json::object out;
    for (const auto& [path, number] : counts()) out[path] = number;
    return with_json(out);
  });
}

}  // namespace durabled::test
