// From a node to its call: what is substituted where, and what values cannot do.
#include "daemon/http/template.hpp"

#include "daemon/http/encoding.hpp"
#include "dsl/graph/rules.hpp"
#include "tests/daemon/http_fixture.hpp"

namespace durabled::test {
namespace {

using daemon::HttpRequest;

struct Scene {
  dsl::Names names;
  dsl::Variables variables{{"host", "example.org"}, {"key", "k-1"}};
  dsl::Node node;
  dsl::HttpOptions options;

  explicit Scene(dsl::NodeKind kind = dsl::NodeKind::kHttp) {
    node.kind = kind;
    node.text = "https://{host}/hook";
    node.has_text = true;
  }

  void bind(const std::string& name, const boost::json::value& row) {
    boost::json::array columns;
    for (const auto& [column, value] : row.as_object())
      columns.push_back({{"name", column}, {"type", "text"}});
    const boost::json::object set{
        {"rows", boost::json::array{row}}, {"row_count", 1}, {"columns", columns}, {"affected", 1}};
    names.bind(name, std::make_shared<dsl::Result>(boost::json::serialize(set)));
  }

  Expected<HttpRequest, daemon::HttpFailure> build() {
    node.options = options;
    REQUIRE(dsl::apply_rules(node).value_or("") == "");
    return daemon::build_http_request(node, {names, variables}, {"alice", "key-1"});
  }

  HttpRequest request() {
    auto built = build();
    INFO((built ? "" : built.error().message));
    REQUIRE(built);
    return *built;
  }

  std::string error() {
    const auto built = build();
    REQUIRE(!built);
    CHECK(built.error().code == "http_request");
    CHECK_FALSE(is_transient(built.error()));
    return built.error().message;
  }
};

std::string header(const HttpRequest& request, const std::string& name) {
  for (const auto& header : request.headers) {
    if (daemon::equals_ignoring_case(header.name, name)) return header.value.display();
  }
  return "(none)";
}

TEST_CASE("url, body and header values are substituted", "[http][template][L5.9]") {
  Scene scene;
  scene.bind("row", {{"id", "42"}, {"note", "hi"}});
  scene.node.text = "https://{host}/items/$row.id";
  scene.options.method = "PUT";
  scene.options.body = R"({"note": "$row.note"})";
  scene.options.headers = R"({"X-Key": "{key}", "X-Id": "n-$row.id", "X-Number": 7})";
  scene.options.timeout_seconds = 1.5;
  const HttpRequest request = scene.request();
  CHECK(request.method == "PUT");
  CHECK(request.url.display() == "https://example.org/items/42");
  CHECK(request.body->display() == R"({"note": "hi"})");
  CHECK(header(request, "x-key") == "k-1");
  CHECK(header(request, "x-id") == "n-42");
  CHECK(header(request, "x-number") == "7");
  CHECK(request.timeout == 1500ms);
  CHECK(request.role == "alice");
  CHECK(request.idempotency_key == "key-1");
}

TEST_CASE("values are encoded for the place where they stand in JSON bodies and URLs", "[http][template]") {
  Scene scene;
  scene.bind("v", {{"name", "O'Brien \"Bob\" \\ x\nnew"},
                   {"q", "a b&c=1"},
                   {"evil", R"(x", "admin": true, "y": ")"},
                   {"none", nullptr},
                   {"dots", ".."}});
  const auto body = [&](const std::string& text) {
    scene.options.body = text;
    const HttpRequest request = scene.request();
    CHECK(header(request, "content-type") == "application/json");
    return boost::json::parse(request.body->display()).as_object();
  };
  CHECK(text(body(R"({"name": "$v.name", "n": 3})").at("name")) == "O'Brien \"Bob\" \\ x\nnew");
  CHECK(body(R"({"e": $v.none?})").at("e").is_null());
  const auto injected = body(R"({"name": "$v.evil", "raw": $v.evil})");
  CHECK(injected.size() == 2);
  CHECK(text(injected.at("name")) == R"(x", "admin": true, "y": ")");
  CHECK(text(injected.at("raw")) == R"(x", "admin": true, "y": ")");
  CHECK(text(body(R"({"key": "{secret.KEY}", "q": "$v.q"})").at("key")) == "{secret.KEY}");
  scene.options.body.reset();

  const auto url = [&](const std::string& text) {
    scene.node.text = text;
    return scene.request().url.display();
  };
  CHECK(url("https://h/json?q=$v.q&z=1") == "https://h/json?q=a%20b%26c%3D1&z=1");
  CHECK(url("https://h/{secret.A}/$v.q?k={secret.B}&q=$v.q") ==
        "https://h/{secret.A}/a%20b%26c%3D1?k={secret.B}&q=a%20b%26c%3D1");
  CHECK(url("{secret.A}/$v.q") == "{secret.A}/a%20b%26c%3D1");
  scene.node.text = "https://h/files/$v.dots/x";
  CHECK_THAT(scene.error(), ContainsSubstring("url: $v.dots makes"));
  scene.node.text = "https://h/";
  scene.options.body = R"({"e": $v.none})";
  CHECK_THAT(scene.error(), ContainsSubstring("body: $v.none is NULL"));
}

TEST_CASE("a body without a content type is JSON or text", "[http][template]") {
  Scene scene;
  CHECK(header(scene.request(), "content-type") == "(none)");
  scene.options.body = R"({"a": [1, "{secret.TOKEN}"]})";
  CHECK(header(scene.request(), "content-type") == "application/json");
  scene.options.body = "a=1";
  CHECK(header(scene.request(), "content-type") == "text/plain; charset=utf-8");
  scene.options.headers = R"({"content-type": "application/x-www-form-urlencoded"})";
  CHECK(header(scene.request(), "content-type") == "application/x-www-form-urlencoded");
  CHECK(scene.request().headers.size() == 1);
}

TEST_CASE("a value cannot add a header or break out of its own", "[http][template]") {
  Scene scene;
  scene.bind("row", {{"quote", R"(x", "X-Evil": "1)"}, {"line", "x\r\nX-Evil: 1"}});
  scene.options.headers = R"({"X-A": "$row.quote"})";
  const HttpRequest request = scene.request();
  CHECK(header(request, "x-a") == R"(x", "X-Evil": "1)");
  CHECK(request.headers.size() == 1);
  scene.options.headers = R"({"X-A": "$row.line"})";
  CHECK_THAT(scene.error(), ContainsSubstring("X-A") && ContainsSubstring("line break"));
}

TEST_CASE("headers of the connection and wrong references are named", "[http][template]") {
  Scene scene;
  scene.bind("row", {{"text", "x"}});
  const std::pair<const char*, const char*> cases[] = {{R"({"Host": "evil.org"})", "Host"},
                                                       {R"({"content-length": "5"})", "content-length"},
                                                       {R"({"X": "$row.missing"})", "missing"}};
  for (const auto& [headers, expected] : cases) {
    scene.options.headers = headers;
    CHECK_THAT(scene.error(), ContainsSubstring("headers: ") && ContainsSubstring(expected));
  }
}

TEST_CASE("a secret counts only where the template has it", "[http][template][secrets][L5.2]") {
  Scene scene;
  scene.bind("row", {{"text", "{secret.STOLEN}"}});
  scene.variables["var"] = "{secret.STOLEN}";
  scene.node.text = "https://{host}/$row.text/{secret.MINE}";
  scene.options.headers =
      R"({"Authorization": "Bearer {secret.MINE}", "X-Row": "$row.text", "X-Var": "{var}"})";
  scene.options.body = "$row.text {secret.MINE} {var}";
  const HttpRequest request = scene.request();
  const auto secrets = [](const daemon::SecretText& text) {
    std::string found;
    for (const auto& piece : text.pieces()) found += piece.is_secret ? piece.text + ";" : "";
    return found;
  };
  CHECK(secrets(request.url) == "MINE;");
  CHECK(secrets(*request.body) == "MINE;");
  CHECK(secrets(request.headers[0].value) == "MINE;");
  CHECK(secrets(request.headers[1].value).empty());
  CHECK(secrets(request.headers[2].value).empty());
  CHECK(request.body->display() == "{secret.STOLEN} {secret.MINE} {secret.STOLEN}");
}

TEST_CASE("a wrong name of a secret is an error", "[http][template][secrets]") {
  for (const char* name : {"../passwd", "a/b", "a-b", "", "1a", "a b"}) {
    Scene scene;
    scene.options.body = "{secret." + std::string(name) + "}";
    CHECK_THAT(scene.error(), ContainsSubstring("not a valid name of a secret"));
  }
}

TEST_CASE("form parts are parsed before they are substituted", "[http][template][multipart][L3.6][L5.9]") {
  Scene scene(dsl::NodeKind::kHttpMultipart);
  scene.bind("file", {{"name", R"(a"b.txt)"}, {"data", "aGVs\nbG8="}});
  scene.options.parts =
      R"([{"name": "doc", "data_b64": " $file.data ", "filename": "$file.name", "content_type": "text/{key}"},
                            {"name": "n", "data_b64": "d29y\n bGQ="}])";
  scene.options.headers = R"({"Content-Type": "multipart/form-data"})";
  const HttpRequest request = scene.request();
  REQUIRE(request.parts);
  REQUIRE(request.parts->size() == 2);
  const auto& doc = request.parts->at(0);
  CHECK(doc.name == "doc");
  CHECK(doc.data.display() == "hello");
  CHECK(doc.filename->display() == R"(a"b.txt)");
  CHECK(doc.content_type->display() == "text/k-1");
  CHECK(request.parts->at(1).data.display() == "world");
  CHECK_FALSE(request.parts->at(1).filename);
  CHECK(request.headers.empty());
}

TEST_CASE("the body of a base64 answer can be uploaded", "[http][template][multipart]") {
  Scene scene(dsl::NodeKind::kHttpMultipart);
  scene.names.bind(
      "resp",
      std::make_shared<dsl::Result>(
          R"({"status":200,"body":"/wA=","encoding":"base64","headers":{},"ok":true,"duration_ms":1})"));
  scene.options.parts = R"([{"name": "f", "data_b64": "$resp.body"}])";
  CHECK(scene.request().parts->at(0).data.display() == std::string("\xFF\0", 2));
}

TEST_CASE("wrong values of form parts are named", "[http][template][multipart][L3.6]") {
  Scene scene(dsl::NodeKind::kHttpMultipart);
  scene.bind("row", {{"text", "not base64!"}, {"line", "a\nb"}});
  const std::pair<const char*, const char*> cases[] = {
      {R"([{"name": "$row.none?", "data_b64": ""}])", "name is missing"},
      {R"([{"name": "a", "data_b64": ""}, {"name": "b", "data_b64": "$row.text"}])",
       "part 2: data_b64 is not valid base64"},
      {R"([{"name": "a", "data_b64": "", "filename": "$row.line"}])", "filename holds a line break"},
      {R"([{"name": "a", "data_b64": "", "content_type": "$row.line"}])", "content_type holds a line break"},
  };
  for (const auto& [parts, expected] : cases) {
    CAPTURE(parts);
    scene.options.parts = parts;
    CHECK_THAT(scene.error(), ContainsSubstring(expected));
  }
}

}  // namespace
}  // namespace durabled::test
