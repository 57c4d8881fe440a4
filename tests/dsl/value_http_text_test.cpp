// Values in the bodies and URLs of HTTP calls: encoded for the place where they stand.
#include "dsl/value/http_text.hpp"

#include <boost/json.hpp>
#include <string>

#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

ResultPtr result(std::string json) {
  return std::make_shared<const Result>(std::move(json));
}

Names sample_names() {
  return {
      {"v",
       result(R"({"rows":[{"name":"O'Brien \"Bob\" \\ x\n","n":3,"big":9007199254740993,"price":"2.50",)"
              R"("nan":"NaN","ok":true,"gone":null,"doc":{"a":[1,"x"]},"day":"2026-01-01","q":"a b&c=1",)"
              R"("path":"x/../y","up":"..","dot":".","base":"http://h:8080/api","list":[1,2],"empty":"",)"
              R"("qs":"a=1&b=2","uni":"é","json":"{\"a\":1}"}],"row_count":1,"columns":[)"
              R"({"name":"name","type":"text"},{"name":"n","type":"integer"},{"name":"big","type":"bigint"},)"
              R"({"name":"price","type":"numeric"},{"name":"nan","type":"numeric"},)"
              R"({"name":"ok","type":"boolean"},{"name":"gone","type":"text"},{"name":"doc","type":"jsonb"},)"
              R"({"name":"day","type":"date"},{"name":"q","type":"text"},{"name":"path","type":"text"},)"
              R"({"name":"up","type":"text"},{"name":"dot","type":"text"},{"name":"base","type":"text"},)"
              R"({"name":"list","type":"integer[]"},{"name":"empty","type":"text"},)"
              R"({"name":"qs","type":"text"},{"name":"uni","type":"text"},{"name":"json","type":"text"}],)"
              R"("affected":1})")},
      {"r", result(R"({"rows":[{"id":1,"x":"1.5"},{"id":2,"x":"-0.25"}],"row_count":2,"columns":[)"
                   R"({"name":"id","type":"integer"},{"name":"x","type":"numeric"}],"affected":2})")},
      {"http", result(R"({"status":200,"body":"say \"hi\""})")},
  };
}

const Variables kVariables = {{"raw", R"("k": 1)"}, {"host", "http://h"}, {"v", "shadowed"}};

std::string fill(const std::string& text, HttpText kind) {
  const Names names = sample_names();
  const auto filled = substitute_http({text}, kind, {names, kVariables});
  return filled ? filled->front() : "error: " + filled.error().message;
}

struct Case {
  const char *source, *expected;
};

}  // namespace

TEST_CASE("in a body that is JSON a value is escaped in a string and a literal elsewhere", "[http]") {
  for (const auto& [source, expected] : {
           Case{R"({"name": "$v.name", "n": $v.n})", R"({"name": "O'Brien \"Bob\" \\ x\n", "n": 3})"},
           {R"({"name": $v.name})", R"({"name": "O'Brien \"Bob\" \\ x\n"})"},
           {R"({"big": $v.big, "price": $v.price, "ok": $v.ok})",
            R"({"big": 9007199254740993, "price": 2.50, "ok": true})"},
           {R"({"nan": $v.nan, "day": $v.day})", R"({"nan": "NaN", "day": "2026-01-01"})"},
           {R"({"e": $v.gone?})", R"({"e": null})"},
           {R"({"e": "${v.gone?}"})", R"({"e": ""})"},
           {R"({"e": $v.gone})", "error: $v.gone is NULL"},
           {R"({"doc": $v.doc, "list": $v.list})", R"({"doc": {"a":[1,"x"]}, "list": [1,2]})"},
           {R"({"doc": "$v.doc"})", R"({"doc": "{\"a\":[1,\"x\"]}"})"},
           {R"({"ids": $r.id[], "xs": $r.x[], "rows": $r.*})",
            R"({"ids": [1,2], "xs": [1.5,-0.25], "rows": [{"id":1,"x":"1.5"},{"id":2,"x":"-0.25"}]})"},
           {R"({"$v.n": "${v.n}px costs $${}5 $5 ${}v"})", R"({"3": "3px costs $${}5 $5 $v"})"},
           {R"({"q": "Is it $v.price?", "t": "$v.n?x"})", R"({"q": "Is it 2.50?", "t": "3?x"})"},
           {R"({"a": "\"$v.n\"", "b": "$nobody"})", R"({"a": "\"3\"", "b": "$nobody"})"},
           {R"({{raw}, "n": $v.n})", R"({"k": 1, "n": 3})"},
           {R"(["$v.uni", $http])", R"(["é", {"status":200,"body":"say \"hi\""}])"},
           {R"({"s": $http.status, "b": "$http.body"})", R"({"s": 200, "b": "say \"hi\""})"},
       }) {
    INFO(source);
    const std::string filled = fill(source, HttpText::kBody);
    CHECK(filled == expected);
    boost::system::error_code error;
    if (!filled.starts_with("error")) (void)boost::json::parse(filled, error);
    CHECK_FALSE(error);
  }
  CHECK(fill(R"({"a": $nobody, "n": "$v.n"})", HttpText::kBody).starts_with("error: $nobody is not bound"));
}

TEST_CASE("a body that is one whole reference or not JSON is plain text", "[http]") {
  for (const auto& [source, expected] : {
           Case{"$v.json", R"({"a":1})"},
           {"$v.name", "O'Brien \"Bob\" \\ x\n"},
           {"$v.doc", R"({"a":[1,"x"]})"},
           {"$v.gone?", ""},
           {"Dear $v.name", "Dear O'Brien \"Bob\" \\ x\n"},
           {"a=$v.n&b=$v.q", "a=3&b=a b&c=1"},
           {R"({"a": $v.n)", R"({"a": 3)"},
           {"no reference at all", "no reference at all"},
       }) {
    INFO(source);
    CHECK(fill(source, HttpText::kBody) == expected);
  }
}

TEST_CASE("in a URL a value is percent-encoded within its segment or query value", "[http]") {
  for (const auto& [source, expected] : {
           Case{"http://h/users/$v.name", "http://h/users/O%27Brien%20%22Bob%22%20%5C%20x%0A"},
           {"http://h/${v.n}.json?q=$v.q&x=$v.uni", "http://h/3.json?q=a%20b%26c%3D1&x=%C3%A9"},
           {"http://h/f/$v.path", "http://h/f/x%2F..%2Fy"},
           {"http://h/$v.up/x",
            "error: $v.up makes \".\" or \"..\" of a segment of the URL's path, which would "
            "lead elsewhere"},
           {"http://h/.${v.dot}",
            "error: $v.dot makes \".\" or \"..\" of a segment of the URL's path, which would "
            "lead elsewhere"},
           {"http://h/${v.dot}./x",
            "error: $v.dot makes \".\" or \"..\" of a segment of the URL's path, which "
            "would lead elsewhere"},
           {"http://h/a$v.up?x=$v.up", "http://h/a..?x=.."},
           {"http://h/?p=/$v.up", "http://h/?p=/.."},
           {"$v.base", "http://h:8080/api"},
           {"$v.base/u/$v.q", "http://h:8080/api/u/a%20b%26c%3D1"},
           {"{host}/u/$v.q", "http://h/u/a%20b%26c%3D1"},
           {"http://${v.q}.example.org/$v.q", "http://a b&c=1.example.org/a%20b%26c%3D1"},
           {"http://h/?$v.qs&z=1", "http://h/?a=1&b=2&z=1"},
           {"http://h/?$v.q=1&k$v.q", "http://h/?a%20b%26c%3D1=1&ka%20b%26c%3D1"},
           {"http://h/items/$v.n?page=2", "http://h/items/3?page=2"},
           {"http://h/items/$v.n?$v.qs", "http://h/items/3?a=1&b=2"},
           {"http://h/?a=$v.gone?&b=1", "http://h/?a=&b=1"},
           {"http://h/x#$v.q", "http://h/x#a%20b%26c%3D1"},
           {"http://h/$nobody/$5/${}v", "http://h/$nobody/$5/$v"},
       }) {
    INFO(source);
    CHECK(fill(source, HttpText::kUrl) == expected);
  }
}

TEST_CASE("what stands between the pieces of a template is opaque", "[http]") {
  const Names names = sample_names();
  const auto fill_pieces = [&](const std::vector<std::string>& pieces, HttpText kind) {
    const auto filled = substitute_http(pieces, kind, {names, {}});
    std::string joined;
    if (!filled) return "error: " + filled.error().message;
    for (const std::string& piece : *filled) joined += (joined.empty() ? "" : "|") + piece;
    return joined;
  };
  CHECK(fill_pieces({R"({"token": ")", R"(", "name": "$v.name"})"}, HttpText::kBody) ==
        R"({"token": "|", "name": "O'Brien \"Bob\" \\ x\n"})");
  CHECK(fill_pieces({R"({"a": )", R"(, "n": $v.price})"}, HttpText::kBody) == R"({"a": |, "n": 2.50})");
  CHECK(fill_pieces({"$", "v.n", "$v.n"}, HttpText::kPlain) == "$|v.n|3");
  CHECK(fill_pieces({"http://h/", "/$v.q?k=", "&q=$v.q"}, HttpText::kUrl) ==
        "http://h/|/a%20b%26c%3D1?k=|&q=a%20b%26c%3D1");
}

TEST_CASE("references whose values are not encoded are told", "[http]") {
  using List = std::vector<std::string>;
  CHECK(unencoded_references(R"({"a": $v.n$v.n})", HttpText::kBody) == List{"$v.n", "$v.n"});
  CHECK(unencoded_references(R"({"a": $v.n, "b": "$v.x"})", HttpText::kBody).empty());
  CHECK(unencoded_references("Dear $v.n", HttpText::kBody).empty());
  CHECK(unencoded_references("$v.base/a?$v.qs", HttpText::kUrl) == List{"$v.qs"});
  CHECK(unencoded_references("http://$v.host/$v.x?y=$v.z", HttpText::kUrl) == List{"$v.host"});
  CHECK(unencoded_references("$v.url", HttpText::kUrl).empty());
}
