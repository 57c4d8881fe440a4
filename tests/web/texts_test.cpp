// Texts of others: they arrive as JSON text, whatever they hold, and none of them becomes SQL.
#include <iostream>

#include "daemon/web/routes.hpp"
#include "tests/web/shown.hpp"

using namespace durabled::test;
namespace web = durabled::daemon::web;

namespace {

const std::vector<std::string>& corpus() {
  static const std::vector<std::string> all{
      "<script>alert(1)</script>",
      "\"><img src=x onerror=alert(1)>",
      "'\"</title><svg onload=alert(1)>",
      "javascript:alert(1)",
      "{{constructor.constructor('alert(1)')()}}",
      "${alert(1)}",
      "</script><script>alert(1)</script>",
      "\xe2\x80\xa8\xe2\x80\xa9 line separators",
      "\xe2\x80\xae turned around",
      "a\tb\nc\r\nd\\e\"f",
      "data: x\n\nevent: end\ndata: {}\n\n",
  };
  return all;
}

}  // namespace

TEST_CASE("every free text arrives as it is, in JSON and never as markup") {
  Shown shown;
  shown.world.start_daemon();
  for (const std::string& evil : corpus()) {
    INFO(evil);
    const std::string quoted = shown.alice.text("select quote_literal($1)", evil);
    const std::string id = submit(shown.alice, "'SELECT 1' ~> df.fail(" + quoted + ")", evil);
    fails(shown.alice, id);
    for (const std::string& path :
         {"/api/instances/" + id, "/api/instances/" + id + "/graph", "/api/instances/" + id + "/text",
          "/api/instances/" + id + "/history", "/api/instances/" + id + "/nodes/00000002",
          std::string("/api/instances"), std::string("/api/overview"), std::string("/api/labels")}) {
      const WebAnswer answer = shown.visitor.get(path);
      CHECK(answer.status == 200);
      CHECK(answer.header("Content-Type") == "application/json");
      CHECK_NOTHROW(answer.json());
    }
    const boost::json::value instance = shown.visitor.json("/api/instances/" + id);
    CHECK(text(instance.at("instance").at("label")) == evil);
    CHECK(text(instance.at("error_parts").at("message")) == evil);
    // A stream has its own way to end a line.
    EventStream stream(shown.visitor, "/api/stream?instance=" + id);
    CHECK(text(stream.next("instance").at("instance").at("label")) == evil);
    CHECK(stream.next("end").at("status").as_string() == "failed");
  }
}

TEST_CASE("a download is an attachment that no browser shows") {
  Shown shown;
  const std::string id = submit(shown.alice, "'SELECT ''<script>alert(1)</script>'''");
  const WebAnswer answer = shown.visitor.get("/api/instances/" + id + "/payload?part=text");
  CHECK(answer.header("Content-Type") == "application/octet-stream");
  CHECK_THAT(answer.header("Content-Disposition"), StartsWith("attachment; filename=\"" + id));
  CHECK_THAT(answer.header("Content-Security-Policy"), StartsWith("sandbox"));
  CHECK(answer.body == "'SELECT ''<script>alert(1)</script>'''");
}

TEST_CASE("numbers of results keep their digits") {
  Shown shown;
  shown.world.start_daemon();
  const std::string id =
      submit(shown.alice, "'SELECT 9007199254740993 AS n, 1.10 AS d, 1e400::numeric AS big'");
  completes(shown.alice, id);
  const std::string result = text(shown.visitor.json("/api/instances/" + id).at("result").at("text"));
  CHECK_THAT(result, ContainsSubstring("9007199254740993"));
  CHECK_THAT(result, ContainsSubstring("1.10"));
}

TEST_CASE("a result of 16 MiB is cut, and whole in its download") {
  Shown shown;
  shown.world.start_daemon({{"steps.max_result_bytes", "20MiB"}});
  const std::string id = submit(shown.alice, "'SELECT repeat(''x'', 15000000) AS t'");
  completes(shown.alice, id);
  const boost::json::value instance = shown.visitor.json("/api/instances/" + id);
  CHECK(instance.at("result").at("cut").as_bool());
  CHECK(instance.at("result").at("bytes").as_int64() > 15'000'000);
  CHECK(instance.at("result").at("text").as_string().size() == 65'536);
  CHECK(shown.visitor.get("/api/instances/" + id + "/history").body.size() < 20'000);
  CHECK(shown.visitor.get("/api/instances/" + id + "/payload?part=result").body.size() > 15'000'000);
}

TEST_CASE("no parameter becomes SQL") {
  Shown shown;
  const std::string id = submit(shown.alice, "'SELECT 1'", "one");
  const std::vector<std::string> injections{"%27",
                                            "%27%20or%201%3D1--",
                                            "%27%3Bdrop%20table%20x%3B--",
                                            "%22",
                                            "%5C",
                                            "%24%241%24%24",
                                            "1)%20or%20(1%3D1",
                                            "%27%7C%7Cpg_sleep(9)%7C%7C%27",
                                            "-1",
                                            "NaN",
                                            "99999999999999999999",
                                            "%7B%7D",
                                            "%5B%5D",
                                            "null",
                                            "k3n4%25",
                                            "%F0%9F%92%A9"};
  const auto before = shown.world.owner().exec("select count(*), sum(hashtext(i::text)) from df.instances i");
  int tries = 0;
  for (const web::Route& route : web::routes()) {
    std::string path;
    for (const std::string& part : route.path)
      path += '/' + (part == ":id" ? id : part == ":node" ? "00000000" : part == ":seq" ? "1" : part);
    for (const std::string& parameter : route.parameters) {
      for (const std::string& injection : injections) {
        if (route.endpoint == web::Endpoint::kStream || route.endpoint == web::Endpoint::kSession) continue;
        INFO(route.method << ' ' << path << ' ' << parameter << '=' << injection);
        const WebAnswer answer =
            route.method == "GET"
                ? shown.visitor.get(path + "?" + parameter + "=" + injection)
                : shown.visitor.post(path, {{parameter, injection}, {"reason", injection + "x"}});
        CHECK(answer.status < 500);
        CHECK(answer.body.find("syntax error") == std::string::npos);
        ++tries;
      }
    }
    // Parts of paths.
    for (const std::string& injection : injections) {
      std::string other;
      for (const std::string& part : route.path) other += '/' + (part[0] == ':' ? injection : part);
      if (other.empty() || other.find("assets") != std::string::npos) continue;
      if (route.path.size() < 3 || route.method != "GET") continue;
      INFO(other);
      CHECK(shown.visitor.get(other).status < 500);
      ++tries;
    }
  }
  std::cout << "injections: " << tries << '\n';
  // Actions that were well-formed did happen: only a pause and a cancel of the one instance, never another row.
  CHECK(shown.world.owner().number("select count(*) from df.instances") ==
        std::stoll(*before[0][0]) + shown.world.owner().number("select count(*) from df.reruns"));
}
