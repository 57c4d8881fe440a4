// The client against a server that behaves and one that does not.
#include "daemon/http/client.hpp"

#include <atomic>
#include <mutex>

#include "daemon/http/encoding.hpp"
#include "tests/daemon/http_fixture.hpp"
#include "tests/support/await.hpp"

namespace durabled::test {
namespace {

using std::chrono::steady_clock;

TEST_CASE("a call arrives as it was written", "[http][client]") {
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/echo?a=b%20c", "PATCH");
  request.headers = {{"X-One", "1"}, {"X-Empty", ""}, {"Content-Type", "application/json"}};
  request.body = R"({"x":1})";
  request.idempotency_key = "step-7";
  const auto seen = echoed(*client, std::move(request));
  CHECK(text(seen.at("method")) == "PATCH");
  CHECK(text(seen.at("path")) == "/echo");
  CHECK(text(seen.at("query")) == "a=b%20c");
  CHECK(text(seen.at("body")) == R"({"x":1})");
  const auto& headers = seen.at("headers").as_object();
  CHECK(text(headers.at("x-one")) == "1");
  CHECK(text(headers.at("x-empty")).empty());
  CHECK(text(headers.at("content-type")) == "application/json");
  CHECK(text(headers.at("idempotency-key")) == "step-7");
  CHECK(text(headers.at("user-agent")) == "durabled/" DURABLED_VERSION);
  CHECK_FALSE(headers.contains("expect"));
}

TEST_CASE("each method is sent with and without a body", "[http][client][L3.5]") {
  HttpFixture fixture;
  auto client = fixture.client();
  for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
    CAPTURE(method);
    auto plain = echoed(*client, fixture.request("/echo", method));
    CHECK(text(plain.at("method")) == method);
    CHECK(text(plain.at("body")).empty());
    CHECK_FALSE(plain.at("headers").as_object().contains("content-type"));
    auto request = fixture.request("/echo", method);
    request.body = std::string(20'000, 'b');
    const auto full = echoed(*client, std::move(request));
    CHECK(text(full.at("method")) == method);
    CHECK(text(full.at("body")).size() == 20'000);
  }
  CHECK(fixture.server.connections() == 1);  // reused
}

TEST_CASE("an answer carries status, headers and body, whatever the status", "[http][client]") {
  HttpFixture fixture;
  auto client = fixture.client();
  auto found = answer(*client, fixture.request("/json"));
  CHECK(found.at("status").as_int64() == 200);
  CHECK(found.at("ok").as_bool());
  CHECK(text(found.at("encoding")) == "text");
  CHECK(found.at("duration_ms").as_int64() >= 0);
  CHECK(text(found.at("headers").at("content-type")) == "application/json");
  CHECK_THAT(text(found.at("body")), ContainsSubstring("hello"));
  auto missing = answer(*client, fixture.request("/status/404"));
  CHECK_FALSE(missing.at("ok").as_bool());
  CHECK(missing.at("status").as_int64() == 404);
  auto bytes = answer(*client, fixture.request("/bytes"));
  CHECK(text(bytes.at("encoding")) == "base64");
  CHECK(daemon::base64_decode(text(bytes.at("body")))->size() == 256);
}

TEST_CASE("a compressed answer is unpacked, and measured unpacked", "[http][client]") {
  HttpFixture fixture;
  const auto packed = daemon::base64_decode("H4sIAAAAAAACA0tMHAWjYBQMdwAAA9o4mugDAAA=");  // 1000 times 'a'
  REQUIRE(packed);
  fixture.server.route("/gzip", TestAnswer{200, *packed, {{"Content-Encoding", "gzip"}}});
  auto client = fixture.client();
  CHECK(text(answer(*client, fixture.request("/gzip")).at("body")) == std::string(1000, 'a'));
  auto request = fixture.request("/gzip");
  request.max_response_bytes = 999;
  const std::string code = failure(*client, std::move(request)).code;
  CHECK(code == "http_too_large");
  CHECK_THAT(fixture.server.calls("/gzip").at(0).header("accept-encoding"), ContainsSubstring("gzip"));
}

TEST_CASE("a form upload arrives part by part", "[http][client][multipart][L3.6]") {
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/upload", "POST");
  fixture.server.route("/upload", TestAnswer{});
  request.parts = {{"doc", std::string("a\0b", 3), false, "x \"y\".txt", "text/plain"},
                   {"n", "1", false, {}, {}},
                   {"f", "z", false, "z.png", {}}};
  answer(*client, std::move(request));
  const TestCall seen = fixture.server.calls("/upload").at(0);
  const std::string type = seen.header("content-type");
  REQUIRE(type.starts_with("multipart/form-data; boundary="));
  const std::string boundary = "--" + type.substr(type.find('=') + 1);
  const std::string expected = boundary +
                               "\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"x "
                               "%22y%22.txt\"\r\nContent-Type: text/plain\r\n\r\n" +
                               std::string("a\0b", 3) + "\r\n" + boundary +
                               "\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n" + boundary +
                               "\r\nContent-Disposition: form-data; name=\"f\"; "
                               "filename=\"z.png\"\r\nContent-Type: application/octet-stream\r\n\r\nz\r\n" +
                               boundary + "--\r\n";
  CHECK(seen.body == expected);
}

TEST_CASE("a thousand calls run side by side, up to the configured number", "[http][client]") {
  HttpFixture fixture;
  auto client = fixture.client();
  std::atomic<int> succeeded{0}, done{0};
  for (int i = 0; i < 1000; ++i) {
    client->start(fixture.request("/delay/100"), [&](daemon::HttpOutcome outcome) {
      succeeded += outcome && outcome->ok ? 1 : 0;
      ++done;
    });
  }
  wait_until("all calls are done", [&] { return done == 1000; });
  CHECK(succeeded == 1000);
  CHECK(fixture.server.most_open() > 1);
  CHECK(fixture.server.most_open() <= fixture.config.max_in_flight);
  CHECK(fixture.server.connections() <= fixture.config.max_in_flight);
  CHECK(client->load().in_flight == 0);
}

TEST_CASE("no more calls run at once than configured, and roles take turns", "[http][client]") {
  HttpFixture fixture;
  fixture.config.max_in_flight = 2;
  auto client = fixture.client();
  std::mutex mutex;
  std::string order;
  const auto start = [&](const std::string& role) {
    auto request = fixture.request("/delay/20");
    request.role = role;
    client->start(std::move(request), [&, role](const daemon::HttpOutcome&) {
      const std::lock_guard lock(mutex);
      order += role;
    });
  };
  for (int i = 0; i < 10; ++i) start("a");
  for (int i = 0; i < 2; ++i) start("b");
  wait_until("all calls are done", [&] {
    const std::lock_guard lock(mutex);
    return order.size() == 12;
  });
  CHECK(order.rfind('b') < 7);
  CHECK(fixture.server.most_open() == 2);
}

TEST_CASE("a call to a server that does not answer is given up after the timeout, and not before",
          "[http][client][L3.5]") {
  HttpFixture fixture;
  auto client = fixture.client();
  auto request = fixture.request("/hang");
  request.timeout = 150ms;
  const auto begin = steady_clock::now();
  const auto failed = failure(*client, std::move(request));
  CHECK(failed.code == "http_timeout");
  CHECK(is_transient(failed));
  CHECK_THAT(failed.message, ContainsSubstring("150 ms"));
  CHECK(steady_clock::now() - begin >= 150ms);
  wait_until("the connection is closed", [&] { return fixture.server.abandoned() == 1; });
}

TEST_CASE("an endless body is cut off at the limit", "[http][client][L6.17]") {
  HttpFixture fixture;
  fixture.config.max_response_bytes = 1 << 20;
  auto client = fixture.client();
  const auto failed = failure(*client, fixture.request("/flood"));
  CHECK(failed.code == "http_too_large");
  CHECK_FALSE(is_transient(failed));
  CHECK_THAT(failed.message,
             ContainsSubstring("1048576 bytes") && ContainsSubstring("http.max_response_bytes"));
}

TEST_CASE("a body of exactly the limit is accepted, and one announced as larger is not read",
          "[http][client]") {
  HttpFixture fixture;
  fixture.server.route("/hundred", TestAnswer{200, std::string(100, 'x')});
  auto client = fixture.client();
  auto request = fixture.request("/hundred");
  request.max_response_bytes = 100;
  CHECK(text(answer(*client, request).at("body")).size() == 100);
  request.max_response_bytes = 99;
  CHECK(failure(*client, request).code == "http_too_large");
}

TEST_CASE("endless headers are cut off too", "[http][client][L6.17]") {
  HttpFixture fixture;
  TestAnswer raw{200, "HTTP/1.1 200 OK\r\n"};
  for (int i = 0; i < 400; ++i) raw.body += "X-" + std::to_string(i) + ": " + std::string(1000, 'h') + "\r\n";
  raw.fate = TestAnswer::Fate::kRaw;
  fixture.server.route("/headers", raw);
  auto client = fixture.client();
  CHECK_FALSE(is_transient(failure(*client, fixture.request("/headers"))));
}

TEST_CASE("broken connections are transient, answers that are not HTTP are not", "[http][client][L6.8]") {
  HttpFixture fixture;
  auto raw = [&](const std::string& path, const std::string& body) {
    TestAnswer answer{200, body};
    answer.fate = TestAnswer::Fate::kRaw;
    fixture.server.route(path, answer);
  };
  raw("/nothing", "");
  raw("/short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  raw("/garbage", "SSH-2.0-OpenSSH\r\n");
  auto client = fixture.client();
  for (const char* path : {"/reset", "/nothing", "/short"}) {
    CAPTURE(path);
    const auto failed = failure(*client, fixture.request(path));
    CHECK(failed.code == "http_network");
    CHECK(is_transient(failed));
    CHECK_THAT(failed.message, ContainsSubstring("GET http://127.0.0.1"));
  }
  const auto garbled = failure(*client, fixture.request("/garbage"));
  CHECK(garbled.code == "http_response");
  CHECK_FALSE(is_transient(garbled));
}

TEST_CASE("a refused connection is transient", "[http][client]") {
  HttpFixture fixture;
  std::uint16_t free_port = 0;
  {
    const HttpTestServer gone;
    free_port = gone.port();
  }
  auto entry = allow("http", "127.0.0.1", free_port);
  entry.address_ranges = {"127.0.0.1"};
  fixture.config.allow.push_back(entry);
  auto client = fixture.client();
  auto request = fixture.request("/");
  request.url = "http://127.0.0.1:" + std::to_string(free_port) + "/";
  const auto failed = failure(*client, std::move(request));
  CHECK(failed.code == "http_network");
  CHECK(is_transient(failed));
}

TEST_CASE("statuses that mean later are transient, and Retry-After is passed on", "[http][client][L6.8]") {
  HttpFixture fixture;
  auto client = fixture.client();
  const auto limited = failure(*client, fixture.request("/retry-after/7"));
  CHECK(limited.code == "http_429");
  CHECK(is_transient(limited));
  CHECK(limited.retry_after == std::chrono::seconds(7));
  CHECK(answer(*client, fixture.request("/retry-after/7")).at("ok").as_bool());
  const auto down = failure(*client, fixture.request("/sequence/503,200"));
  CHECK(down.code == "http_503");
  CHECK_FALSE(down.retry_after);
  CHECK(down.detail == "status 503");
  CHECK(answer(*client, fixture.request("/sequence/503,200")).at("ok").as_bool());
}

TEST_CASE("an aborted call is broken off and never reported", "[http][client]") {
  HttpFixture fixture;
  auto client = fixture.client();
  std::atomic<int> reported{0};
  const auto id = client->start(fixture.request("/hang"), [&](const daemon::HttpOutcome&) { ++reported; });
  wait_until("the call has arrived", [&] { return fixture.server.open_calls() == 1; });
  CHECK(client->abort(id));
  CHECK_FALSE(client->abort(id));
  wait_until("the connection is closed", [&] { return fixture.server.abandoned() == 1; });
  answer(*client, fixture.request("/json"));  // the client goes on
  CHECK(reported == 0);
  CHECK(client->load().in_flight == 0);
}

TEST_CASE("a call that is aborted in the queue is never sent", "[http][client]") {
  HttpFixture fixture;
  fixture.config.max_in_flight = 1;
  auto client = fixture.client();
  const auto hung = client->start(fixture.request("/hang"), [](const daemon::HttpOutcome&) {});
  wait_until("the call has arrived", [&] { return fixture.server.open_calls() == 1; });
  const auto queued = client->start(fixture.request("/status/200"), [](const daemon::HttpOutcome&) {});
  CHECK(client->load().queued == 1);
  CHECK(client->abort(queued));
  CHECK(client->load().queued == 0);
  CHECK(client->abort(hung));
  answer(*client, fixture.request("/json"));
  CHECK(fixture.server.count("/status/200") == 0);
}

TEST_CASE("a call can be started and aborted from within a callback", "[http][client]") {
  HttpFixture fixture;
  auto client = fixture.client();
  std::promise<int> second;
  const auto hung = client->start(fixture.request("/hang"), [](const daemon::HttpOutcome&) {});
  client->start(fixture.request("/json"), [&](const daemon::HttpOutcome&) {
    client->abort(hung);
    client->start(fixture.request("/status/201"), [&](const daemon::HttpOutcome& outcome) {
      second.set_value(outcome ? outcome->status : 0);
    });
  });
  auto future = second.get_future();
  REQUIRE(future.wait_for(10s) == std::future_status::ready);
  CHECK(future.get() == 201);
}

TEST_CASE("a client goes away with calls in flight and in the queue", "[http][client]") {
  HttpFixture fixture;
  fixture.config.max_in_flight = 3;
  auto client = fixture.client();
  std::atomic<int> reported{0};
  for (int i = 0; i < 10; ++i) {
    client->start(fixture.request("/hang"), [&](const daemon::HttpOutcome&) { ++reported; });
  }
  wait_until("calls have arrived", [&] { return fixture.server.open_calls() == 3; });
  client.reset();
  CHECK(reported == 0);
  wait_until("the connections are closed", [&] { return fixture.server.abandoned() == 3; });
}

}  // namespace
}  // namespace durabled::test
