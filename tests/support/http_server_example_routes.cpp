// What the services behave like that examples/ calls.
#include <boost/json.hpp>

#include "tests/support/http_server.hpp"

namespace durabled::test {
namespace {

namespace json = boost::json;

TestAnswer with_json(int status, const json::value& value) {
  return {status, json::serialize(value), {{"Content-Type", "application/json"}}};
}

json::array embedding_of(const std::string& text) {
  json::array numbers;
  for (std::size_t i = 0; i < 4; ++i)
    numbers.push_back(static_cast<double>((text.size() * (i + 3)) % 17) / 16.0);
  return numbers;
}

TestAnswer embeddings(const TestCall& call) {
  if (!call.header("authorization").starts_with("Bearer ") || call.header("authorization").size() <= 7)
    return with_json(401, {{"error", {{"message", "no API key"}}}});
  boost::system::error_code error;
  const json::value body = json::parse(call.body, error);
  const json::object* request = error ? nullptr : body.if_object();
  if (request == nullptr || !request->contains("model") || !request->contains("input"))
    return with_json(400, {{"error", {{"message", "model and input are required"}}}});
  const json::value& input = request->at("input");
  const json::array texts = input.is_array() ? input.get_array() : json::array{input};
  json::array data;
  for (const json::value& text : texts) {
    if (!text.is_string()) return with_json(400, {{"error", {{"message", "input must be text"}}}});
    data.push_back({{"object", "embedding"},
                    {"index", data.size()},
                    {"embedding", embedding_of(std::string(text.get_string()))}});
  }
  return with_json(200, {{"object", "list"}, {"data", data}, {"model", request->at("model")}});
}

TestAnswer enrich(const TestCall& call) {
  if (call.number % 2 == 1) {  // every other call, so that a second round meets it too
    TestAnswer answer = with_json(429, {{"error", "slow down"}});
    answer.headers.emplace_back("Retry-After", "0");
    return answer;
  }
  const std::string id = call.path.substr(call.path.rfind('/') + 1);
  return with_json(200, {{"id", id}, {"segment", id.size() % 2 == 0 ? "large" : "small"}});
}

}  // namespace

void HttpTestServer::add_example_routes() {
  route("/v1/embeddings", embeddings);
  route("/enrich/", enrich);
  route("/jobs", [](const TestCall& call) {
    return with_json(202, {{"job", "job-" + std::to_string(call.number)}});
  });
  route("/export", [](const TestCall&) {
    return with_json(200,
                     json::array{{{"sku", "A-1"}, {"price", "9.90"}}, {{"sku", "B-2"}, {"price", "120.00"}}});
  });
}

}  // namespace durabled::test
