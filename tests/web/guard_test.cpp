// The one guard: each route × each violation, by real requests. What each kind of route answers is in the table below.
#include <iostream>

#include "daemon/web/routes.hpp"
#include "tests/e2e/world.hpp"
#include "tests/web/ui.hpp"

using namespace durabled::test;
namespace web = durabled::daemon::web;

namespace {

struct Violation {
  std::string name;
  Headers headers;
  int status;
  std::string code;
  bool needs_session_routes = true;  // pages and POST /session are open
  bool unsafe_only = false;
  bool page_too = false;  // also refused of the page and its assets
};

const std::vector<Violation>& violations() {
  static const std::vector<Violation> all{
      {"a host of somebody else", {{"Host", "evil.example"}}, 403, "bad_host", false, false, true},
      {"the address without its port", {{"Host", "127.0.0.1"}}, 403, "bad_host", false, false, true},
      {"a host that begins alike", {{"Host", "127.0.0.1.evil.example"}}, 403, "bad_host", false, false, true},
      {"two hosts",
       {{"Host", "evil.example"}, {"host", "evil.example"}},
       403,
       "bad_host",
       false,
       false,
       true},
      {"no session", {{"Cookie", ""}}, 401, "no_session"},
      {"a guessed session", {{"Cookie", "durabled_0=" + std::string(64, '0')}}, 401, "no_session"},
      {"another site", {{"Sec-Fetch-Site", "cross-site"}}, 403, "forbidden", false},
      {"another host of the same site", {{"Sec-Fetch-Site", "same-site"}}, 403, "forbidden", false},
      {"the origin of another site", {{"Origin", "http://evil.example"}}, 403, "forbidden", false},
      {"an origin that is hidden", {{"Origin", "null"}}, 403, "forbidden", false},
      {"an origin on another port", {{"Origin", "http://127.0.0.1:1"}}, 403, "forbidden", false},
      {"neither Sec-Fetch-Site nor Origin", {{"Sec-Fetch-Site", ""}}, 403, "forbidden", false, true},
      {"by hand", {{"Sec-Fetch-Site", "none"}}, 403, "forbidden", false, true},
      {"a form",
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       415,
       "bad_content_type",
       false,
       true},
      {"plain text", {{"Content-Type", "text/plain"}}, 415, "bad_content_type", false, true},
      {"no content type", {{"Content-Type", ""}}, 415, "bad_content_type", false, true},
      {"a body of 2 MiB", {{"Content-Length", "2097152"}}, 413, "too_large", false, true},
  };
  return all;
}

// A path of the route, with parts that fit.
std::string path_of(const web::Route& route) {
  std::string path;
  for (const std::string& part : route.path) {
    path += '/';
    path += part == ":id" ? "k3n4x9qz" : part == ":node" ? "00000000" : part[0] == ':' ? "1" : part;
  }
  return path.empty() ? "/" : path;
}

bool is_page(const web::Route& route) {
  return route.endpoint == web::Endpoint::kPage || route.endpoint == web::Endpoint::kAsset;
}

bool is_open(const web::Route& route) {
  return is_page(route) || route.endpoint == web::Endpoint::kSession ||
         route.endpoint == web::Endpoint::kSessionEnd;
}

bool applies(const Violation& violation, const web::Route& route) {
  if (is_page(route) && !violation.page_too) return false;
  if (violation.needs_session_routes && is_open(route)) return false;
  return !violation.unsafe_only || route.method != "GET";
}

}  // namespace

TEST_CASE("every route refuses every violation") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  int attacks = 0;
  for (const web::Route& route : web::routes()) {
    for (const Violation& violation : violations()) {
      if (!applies(violation, route)) continue;
      INFO(route.method << ' ' << path_of(route) << " with " << violation.name);
      const std::string kept = visitor.cookie;
      const WebAnswer answer = visitor.request(route.method, path_of(route), "", violation.headers);
      visitor.cookie = kept;
      CHECK(answer.status == violation.status);
      if (!violation.code.empty()) CHECK(answer.error_code() == violation.code);
      ++attacks;
    }
    for (const char* method : {"PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"}) {
      INFO(method << ' ' << path_of(route));
      const std::string text =
          raw_exchange(ui.port(), std::string(method) + ' ' + path_of(route) +
                                      " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(ui.port()) +
                                      "\r\nCookie: " + visitor.cookie +
                                      "\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n");
      CHECK_THAT(text, StartsWith("HTTP/1.1 405"));
      ++attacks;
    }
  }
  std::cout << "attacks: " << attacks << " on " << web::routes().size() << " routes\n";
  CHECK(attacks > 300);
  CHECK(visitor.get("/api/me").status == 200);
}

TEST_CASE("the order of the guard decides which refusal is seen") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  Visitor visitor(ui.port());
  const Headers everything{{"Host", "evil.example"},
                           {"Content-Type", "text/plain"},
                           {"Sec-Fetch-Site", "cross-site"},
                           {"Content-Length", "2097152"}};
  Headers rest = everything;
  CHECK(visitor.request("POST", "/api/bulk", "", rest).error_code() == "bad_host");
  rest.erase(rest.begin());
  CHECK(visitor.request("POST", "/api/bulk", "", rest).error_code() == "no_session");
  visitor.enter(ui.token());
  CHECK(visitor.request("POST", "/api/bulk", "", rest).error_code() == "bad_content_type");
  rest.erase(rest.begin());
  CHECK(visitor.request("POST", "/api/bulk", "", rest).error_code() == "forbidden");
  rest.erase(rest.begin());
  CHECK(visitor.request("POST", "/api/bulk", "", rest).error_code() == "too_large");
}

TEST_CASE("every answer has the policy and the other headers") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  for (const char* path : {"/", "/api/me", "/api/nothing", "/nothing", "/api/instances?nonsense=1"}) {
    INFO(path);
    const WebAnswer answer = visitor.get(path);
    CHECK_THAT(answer.header("Content-Security-Policy"),
               StartsWith("default-src 'none'; script-src 'self';"));
    CHECK_THAT(answer.header("Content-Security-Policy"),
               ContainsSubstring("require-trusted-types-for 'script'"));
    CHECK(answer.header("X-Content-Type-Options") == "nosniff");
    CHECK(answer.header("Referrer-Policy") == "no-referrer");
    CHECK(answer.header("Cross-Origin-Opener-Policy") == "same-origin");
    CHECK(answer.header("Cross-Origin-Resource-Policy") == "same-origin");
    if (std::string(path) != "/") CHECK(answer.header("Cache-Control") == "no-store");
  }
}

TEST_CASE("a head of more than 64 KiB, a body without end and requests that are none") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  const std::string host = "Host: 127.0.0.1:" + std::to_string(ui.port()) + "\r\n";
  CHECK_THAT(
      raw_exchange(ui.port(), "GET / HTTP/1.1\r\n" + host + "X: " + std::string(70'000, 'x') + "\r\n\r\n"),
      StartsWith("HTTP/1.1 431"));
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  std::string chunks;
  for (int i = 0; i < 40; ++i) chunks += "8000\r\n" + std::string(0x8000, ' ') + "\r\n";
  CHECK_THAT(
      raw_exchange(ui.port(), "POST /api/bulk HTTP/1.1\r\n" + host + "Cookie: " + visitor.cookie +
                                  "\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n" +
                                  chunks),
      StartsWith("HTTP/1.1 413"));
  for (const char* target : {"/%", "/%zz", "/api/instances?label=%00", "/api/instances?label=%ff",
                             "/api/instances?a=1&a=2", "/api/../../etc/passwd", "http://evil.example/"}) {
    INFO(target);
    const int status = visitor.get(target).status;
    CHECK((status == 400 || status == 404));
  }
  for (const char* junk : {"\r\n\r\n", "GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02"}) {
    raw_exchange(ui.port(), junk, std::chrono::milliseconds{100});
  }
  CHECK(visitor.get("/api/me").status == 200);
}

TEST_CASE("--read-only refuses each write and nothing else") {
  World world;
  Ui ui(world.database().conninfo("alice"), {"--read-only"});
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  for (const web::Route& route : web::routes()) {
    if (route.method != "POST" || route.endpoint == web::Endpoint::kSession) continue;
    INFO(path_of(route));
    CHECK(visitor.post(path_of(route), boost::json::object{}).error_code() == "read_only");
  }
  CHECK(visitor.json("/api/me").at("read_only").as_bool());
  CHECK(visitor.get("/api/instances").status == 200);
}
