// What an answer becomes, and the small readers it takes.
#include "daemon/http/response.hpp"

#include "daemon/http/encoding.hpp"
#include "daemon/http/fair_queue.hpp"
#include "tests/daemon/http_fixture.hpp"

namespace durabled::test {
namespace {

using daemon::RawHttpResponse;
using std::chrono::seconds;
using std::chrono::system_clock;

daemon::HttpOutcome judge(const RawHttpResponse& response, const std::vector<std::string>& expect = {}) {
  return daemon::judge_response(response, "GET https://example.org", "/orders/7", expect, 12ms,
                                system_clock::now(), {});
}

TEST_CASE("an answer's envelope has the fields of the language, in order", "[http][response][L4.1]") {
  const auto outcome =
      judge({201, {{"Content-Type", "text/plain"}, {"X-A", "1"}, {"x-a", "2"}}, "h\xC3\xA9"});
  REQUIRE(outcome);
  CHECK(outcome->json ==
        "{\"status\":201,\"body\":\"h\xC3\xA9\",\"encoding\":\"text\","
        "\"headers\":{\"content-type\":\"text/plain\",\"x-a\":\"1, 2\"},\"ok\":true,\"duration_ms\":12}");
  CHECK(outcome->status == 201);
  CHECK(outcome->ok);
}

TEST_CASE("a body that a JSON string in Postgres cannot hold is base64", "[http][response][L4.1]") {
  for (const std::string& body : {std::string("a\0b", 3), std::string("\xFF"), std::string("\xC0\x80"),
                                  std::string("\xED\xA0\x80"), std::string("abc\xE2\x82")}) {
    const auto outcome = judge({200, {}, body});
    REQUIRE(outcome);
    const auto envelope = boost::json::parse(outcome->json).as_object();
    CHECK(text(envelope.at("encoding")) == "base64");
    CHECK(daemon::base64_decode(text(envelope.at("body"))) == body);
  }
}

TEST_CASE("cookies stay apart and headers that are not UTF-8 are read as Latin-1", "[http][response]") {
  const auto outcome = judge({200, {{"Set-Cookie", "a=1, x"}, {"set-cookie", "b=2"}, {"X", "\xE9"}}, ""});
  REQUIRE(outcome);
  const auto headers = boost::json::parse(outcome->json).at("headers").as_object();
  CHECK(boost::json::serialize(headers.at("set-cookie")) == "[\"a=1, x\",\"b=2\"]");
  CHECK(text(headers.at("x")) == "\xC3\xA9");
}

TEST_CASE("5xx, 408 and 429 are transient failures, every other status is an answer",
          "[http][response][L6.8]") {
  for (const int status : {408, 429, 500, 502, 503, 504, 599}) {
    const auto outcome = judge({status, {}, "because"});
    REQUIRE(!outcome);
    CHECK(is_transient(outcome.error()));
    CHECK(outcome.error().code == "http_" + std::to_string(status));
    CHECK(outcome.error().detail == "because");
  }
  for (const int status : {200, 204, 299, 300, 302, 400, 401, 404, 409, 418, 600}) {
    const auto outcome = judge({status, {}, ""});
    REQUIRE(outcome);
    CHECK(outcome->ok == (status < 300));
  }
}

TEST_CASE("with expected statuses every other is a failure, retried by itself where the server says later",
          "[http][response]") {
  for (const int status : {200, 204, 299, 404}) CHECK(judge({status, {}, ""}, {"2xx", "404"}));
  CHECK(judge({503, {}, ""}, {"200", "503"}));
  for (const int status : {199, 300, 302, 400, 403, 405, 418}) {
    const auto outcome = judge({status, {}, "no such\norder"}, {"2xx", "404"});
    REQUIRE(!outcome);
    CHECK(outcome.error().code == "http_" + std::to_string(status));
    CHECK(outcome.error().failure_class == daemon::HttpFailure::Class::kUnexpected);
    CHECK(outcome.error().message ==
          "GET https://example.org/orders/7: HTTP " + std::to_string(status) + ", expected 2xx 404");
    CHECK(outcome.error().detail == "no such\norder");
  }
  for (const int status : {408, 429, 500, 503}) {
    const auto outcome = judge({status, {{"Retry-After", "7"}}, ""}, {"2xx"});
    REQUIRE(!outcome);
    CHECK(is_transient(outcome.error()));
    CHECK(outcome.error().retry_after == seconds(7));
  }
  CHECK(judge({404, {}, std::string(10'000, 'x')}, {"200"}).error().detail.size() < 510);
}

TEST_CASE("a long body is cut between characters in an error's detail", "[http][response]") {
  std::string body = "x";
  for (int i = 0; i < 400; ++i) body += "\xC3\xA9";
  const auto outcome = judge({500, {}, body});
  REQUIRE(!outcome);
  CHECK(outcome.error().detail.size() < 510);
  CHECK(daemon::is_storable_text(outcome.error().detail));
  CHECK(judge({500, {}, "\xFF"}).error().detail.empty());
}

TEST_CASE("Retry-After is read as seconds or as a date", "[http][response][L6.8]") {
  const auto now = system_clock::from_time_t(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  const auto after = [&](std::string_view value) { return daemon::parse_retry_after(value, now); };
  CHECK(after("120") == seconds(120));
  CHECK(after(" 0 ") == seconds(0));
  CHECK(after("Sun, 06 Nov 1994 08:50:37 GMT") == seconds(60));
  CHECK(after("Sunday, 06-Nov-94 08:49:47 GMT") == seconds(10));
  CHECK(after("Sun, 06 Nov 1994 08:00:00 GMT") == seconds(0));
  CHECK(after("99999999999999999999") == seconds(365 * 24 * 3600));
  CHECK(after("4000000000") == seconds(365 * 24 * 3600));
  CHECK_FALSE(after(""));
  CHECK_FALSE(after("-5"));
  CHECK_FALSE(after("soon"));
  CHECK_FALSE(after("1.5"));
}

TEST_CASE("base64 goes both ways and is strict about all but white space", "[http][encoding]") {
  const std::pair<std::string, std::string> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xFF\xFE\xFD", "//79"}};
  for (const auto& [bytes, encoded] : cases) {
    CHECK(daemon::base64_encode(bytes) == encoded);
    CHECK(daemon::base64_decode(encoded) == bytes);
  }
  CHECK(daemon::base64_decode(" Zm9v\r\n\tYmFy ") == "foobar");
  for (const char* bad :
       {"Z", "Zg", "Zg=", "Zg===", "Zg==Zg==", "=", "====", "Zm9v=", "Zm9-", "Zm9v!", "Z=g="}) {
    CAPTURE(bad);
    CHECK_FALSE(daemon::base64_decode(bad));
  }
}

TEST_CASE("roles take turns, the one with the fewest calls in flight first", "[http][queue]") {
  daemon::FairQueue queue;
  for (std::uint64_t id = 1; id <= 4; ++id) queue.push("busy", id);
  CHECK(queue.pop(100) == 1U);
  CHECK(queue.pop(100) == 2U);
  queue.push("quiet", 10);
  queue.push("quiet", 11);
  queue.push("quiet", 12);
  CHECK(queue.pop(100) == 10U);
  CHECK(queue.pop(100) == 11U);
  CHECK(queue.pop(100) == 3U);  // two each: busy's turn is longer ago
  CHECK(queue.waiting() == 2);
  queue.finished("busy");
  queue.finished("busy");
  CHECK(queue.erase("busy", 4));
  CHECK_FALSE(queue.erase("busy", 4));
  CHECK(queue.pop(100) == 12U);
  CHECK_FALSE(queue.pop(100));
  CHECK(queue.waiting() == 0);
}

TEST_CASE("the last quarter of the places is for roles without a call in flight", "[http][queue]") {
  daemon::FairQueue queue;
  for (std::uint64_t id = 1; id <= 20; ++id) queue.push(id <= 10 ? "busy" : "busier", id);
  for (int i = 0; i < 6; ++i) CHECK(queue.pop(8));
  CHECK_FALSE(queue.pop(8));
  queue.push("quiet", 30);
  queue.push("quiet", 31);
  CHECK(queue.pop(8) == 30U);
  CHECK_FALSE(queue.pop(8));
  queue.push("new", 40);
  CHECK(queue.pop(8) == 40U);
  queue.push("late", 50);
  CHECK_FALSE(queue.pop(8));
  queue.finished("busy");
  CHECK(queue.pop(8) == 50U);
  CHECK(queue.in_flight() == 8);
}

}  // namespace
}  // namespace durabled::test
