#include <boost/json.hpp>
#include <random>
#include <string>

#include "dsl/value/json_check.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/pg_types.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

constexpr TypeOid kAddress = 90001, kPerson = 90002, kPersons = 90003, kEmpty = 90004, kNote = 90005;

TypeCatalog catalog_with_composites() {
  using Category = TypeInfo::Category;
  TypeCatalog catalog;
  catalog.add({kAddress, "address", Category::kComposite, 0, ',', {{"street", 25}, {"zip", 23}}});
  catalog.add(
      {kPerson, "person", Category::kComposite, 0, ',', {{"name", 25}, {"home", kAddress}, {"tags", 1009}}});
  catalog.add({kPersons, "person[]", Category::kArray, kPerson, ',', {}});
  catalog.add({kEmpty, "empty", Category::kComposite, 0, ',', {}});
  catalog.add({kNote, "note", Category::kComposite, 0, ',', {{"j", 3802}, {"list", 1007}}});
  return catalog;
}

std::string cell(std::string_view text, TypeOid type) {
  static const TypeCatalog catalog = catalog_with_composites();
  std::string out;
  append_cell_json(out, text, type, catalog);
  return out;
}

struct Case {
  const char* text;
  TypeOid type;
  const char* json;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& item : cases) {
    INFO(item.text << " of type " << item.type);
    CHECK(cell(item.text, item.type) == item.json);
  }
}

}  // namespace

TEST_CASE("scalars take the JSON form of their type", "[L4.3]") {
  check({
      {"t", 16, "true"},
      {"f", 16, "false"},
      {"-32768", 21, "-32768"},
      {"2147483647", 23, "2147483647"},
      {"9223372036854775807", 20, "9223372036854775807"},
      {"1.5", 700, "1.5"},
      {"1e+20", 701, "1e+20"},
      {"-0", 701, "-0"},
      {"NaN", 701, R"("NaN")"},
      {"-Infinity", 700, R"("-Infinity")"},
      {"12345678901234567890.10", 1700, R"("12345678901234567890.10")"},
      {"NaN", 1700, R"("NaN")"},
      {"26", 26, R"("26")"},
      {"it's \"x\"\\", 25, R"("it's \"x\"\\")"},
      {R"({"k":[1,{"z":"é"}],"n":123456789012345678901234567890})", 3802,
       R"({"k":[1,{"z":"é"}],"n":123456789012345678901234567890})"},
      {"{\"a\" :\n 1}", 114, "{\"a\" :\n 1}"},
      {R"("\ud800\\u00e9\ud83d\ude00")", 114, R"("\ufffd\\u00e9\ud83d\ude00")"},
      {R"("\u0000\\u0000\udc00\ud83dx")", 114, R"("\ufffd\\u0000\ufffd\ufffdx")"},
      {"\\xdeadbeef", 17, R"("\\xdeadbeef")"},
      {"1 day 02:03:04", 1186, R"("1 day 02:03:04")"},
      {"2026-02-28", 1082, R"("2026-02-28")"},
      {"[1,5)", 3904, R"~("[1,5)")~"},
      {"whatever", 123456789, R"("whatever")"},
  });
}

TEST_CASE("timestamps become RFC 3339, those with a zone in UTC", "[L4.3]") {
  check({
      {"2026-11-20 12:00:00.5+05:30", 1184, R"("2026-11-20T06:30:00.5Z")"},
      {"2026-11-20 12:00:00+00", 1184, R"("2026-11-20T12:00:00Z")"},
      {"2026-01-01 00:00:00-03", 1184, R"("2026-01-01T03:00:00Z")"},
      {"2025-12-31 23:30:00-01", 1184, R"("2026-01-01T00:30:00Z")"},
      {"1890-01-01 00:00:00-00:01:15", 1184, R"("1890-01-01T00:01:15Z")"},
      {"2024-03-01 01:00:00.123456+02", 1184, R"("2024-02-29T23:00:00.123456Z")"},
      {"infinity", 1184, R"("infinity")"},
      {"0044-03-15 12:00:00+00 BC", 1184, R"("0044-03-15 12:00:00+00 BC")"},
      {"9999-12-31 23:30:00-01", 1184, R"("9999-12-31 23:30:00-01")"},
      {"10000-01-01 00:00:00+00", 1184, R"("10000-01-01 00:00:00+00")"},
      {"2026-11-20 12:00:00.5", 1114, R"("2026-11-20T12:00:00.5")"},
      {"-infinity", 1114, R"("-infinity")"},
      {"0044-03-15 12:00:00 BC", 1114, R"("0044-03-15 12:00:00 BC")"},
      {R"({"2026-11-20 12:00:00+01",NULL})", 1185, R"(["2026-11-20T11:00:00Z",null])"},
  });
}

TEST_CASE("arrays become JSON arrays", "[L4.3]") {
  check({
      {"{}", 1007, "[]"},
      {"{1,2,NULL,4}", 1007, "[1,2,null,4]"},
      {"{{1,2},{3,4}}", 1007, "[[1,2],[3,4]]"},
      {"[0:1]={1,2}", 1007, R"("[0:1]={1,2}")"},
      {"[-1:0][2:3]={{1,2},{3,4}}", 1007, R"("[-1:0][2:3]={{1,2},{3,4}}")"},
      {R"({a,"b c","NULL",NULL,"",nullx,"q\"\\","{x}"})", 1009,
       R"(["a","b c","NULL",null,"","nullx","q\"\\","{x}"])"},
      {"{t,f}", 1000, "[true,false]"},
      {"{1.5,NaN}", 1022, R"([1.5,"NaN"])"},
      {"{1.50,NaN}", 1231, R"(["1.50","NaN"])"},
      {R"({"{\"a\": [1]}","[]"})", 3807, R"([{"a": [1]},[]])"},
      {R"({"{\"a\": null}",NULL})", 3807, R"([{"a": null},null])"},
      {R"({"{}"," null"})", 3807, R"("{\"{}\",\" null\"}")"},
      {"{(1,1),(0,0);(3,3),(2,2)}", 1020, R"~(["(1,1),(0,0)","(3,3),(2,2)"])~"},
      {R"~({"[1,2)","[3,4)"})~", 3905, R"~(["[1,2)","[3,4)"])~"},
      {R"({"\\xde"})", 1001, R"(["\\xde"])"},
  });
}

TEST_CASE("a text that is no array becomes a string") {
  for (const char* text : {"{", "{1", "{1,}", "{1}x", "", "1", "[0:1]", "[0:1]=", "{1;2", R"({"a)", "{{1}"}) {
    INFO(text);
    std::string expected;
    append_json_string(expected, text);
    CHECK(cell(text, 1007) == expected);
  }
  CHECK(cell(std::string(100000, '{'), 1007).size() == 100002);
}

TEST_CASE("composites become objects with their fields' names", "[L4.3]") {
  check({
      {R"(("12 ""Elm"" St",10115))", kAddress, R"({"street":"12 \"Elm\" St","zip":10115})"},
      {"(,)", kAddress, R"({"street":null,"zip":null})"},
      {R"(("",7))", kAddress, R"({"street":"","zip":7})"},
      {R"(("a\\b\"c",7))", kAddress, R"({"street":"a\\b\"c","zip":7})"},
      {R"~((Ann,"(""x, y"",5)","{a,""b c""}"))~", kPerson,
       R"({"name":"Ann","home":{"street":"x, y","zip":5},"tags":["a","b c"]})"},
      {R"~({"(Ann,\"(x,5)\",{})",NULL})~", kPersons,
       R"([{"name":"Ann","home":{"street":"x","zip":5},"tags":[]},null])"},
      {"()", kEmpty, "{}"},
      {R"((1,"a b",))", 2249, R"({"f1":"1","f2":"a b","f3":null})"},
      {R"~({"(1,x)"})~", 2287, R"([{"f1":"1","f2":"x"}])"},
      {"(1,2,3)", kAddress, R"~("(1,2,3)")~"},
      {R"~(("{""a"":null}",[0:1]={1}))~", kNote, R"({"j":{"a":null},"list":"[0:1]={1}"})"},
      {"(null,{1})", kNote, R"~("(null,{1})")~"},
      {"(1,2", kAddress, R"~("(1,2")~"},
      {R"((1,"2))", kAddress, R"~("(1,\"2)")~"},
      {"(1,2)x)", kAddress, R"~("(1,2)x)")~"},
  });
}

TEST_CASE("the built-in types are known, their arrays too", "[L4.3]") {
  const TypeCatalog catalog;
  const auto name = [&catalog](TypeOid oid) {
    return catalog.find(oid) ? catalog.find(oid)->name : "unknown";
  };
  CHECK(name(23) == "integer");
  CHECK(name(18) == "\"char\"");
  CHECK(name(1042) == "bpchar");
  CHECK(name(1560) == "\"bit\"");
  CHECK(name(1184) == "timestamp with time zone");
  CHECK(name(1185) == "timestamp with time zone[]");
  CHECK(name(4451) == "int4multirange");
  CHECK(name(6150) == "int4multirange[]");
  CHECK(name(2287) == "record[]");
  CHECK(catalog.find(1020)->delimiter == ';');
  CHECK(catalog.find(1007)->element == 23);
  CHECK(catalog.find(90001) == nullptr);
}

TEST_CASE("a JSON string is valid JSON whatever the text holds") {
  std::mt19937 random(20261120);
  for (int round = 0; round < 5000; ++round) {
    std::string text(random() % 24, '\0');
    for (char& c : text)
      c = static_cast<char>(random() % 3 == 0 ? random() % 256
                                              : "\"\\\n\t\xC3\xA9\xED\xA0\xF0\x9F"[random() % 10]);
    std::string json;
    append_json_string(json, text);
    boost::system::error_code error;
    const auto value = boost::json::parse(json, error);
    INFO(json);
    REQUIRE_FALSE(error);
    REQUIRE(value.is_string());
  }
  std::string json;
  append_json_string(json, std::string("a\0\x1f\xff\xC3\xA9 \"\\\n", 10));
  CHECK(json == "\"a\xEF\xBF\xBD\\u001f\xEF\xBF\xBD\xC3\xA9 \\\"\\\\\\n\"");
}

TEST_CASE("a text that is not JSON becomes a string, whatever type the server gives it") {
  for (const char* text : {"1}}]}}]},{\"instance\":\"x\"}",
                           "1,2",
                           "{} {}",
                           "{\"a\":1",
                           "[1]]",
                           "\"a",
                           "\"a\"b\"",
                           "'a'",
                           "nul",
                           "nullx",
                           "tru",
                           "01",
                           "1.",
                           "-",
                           "+1",
                           ".5",
                           "1e",
                           "0x1",
                           "NaN",
                           "[1,]",
                           "{\"a\":1,}",
                           "{1:2}",
                           "{\"a\" 1}",
                           "[",
                           "]",
                           "",
                           " ",
                           "\"\x01\"",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"\\u123",
                           "\"\\"}) {
    INFO(text);
    std::string expected;
    append_json_string(expected, text);
    for (const TypeOid type : {114, 3802}) CHECK(cell(text, type) == expected);
    CHECK_FALSE(is_json(text));
  }
  std::string deep(100000, '[');
  CHECK_FALSE(is_json(deep));
  CHECK(is_json(deep + std::string(100000, ']')));
}

TEST_CASE("what is taken for JSON is what a strict reader takes for JSON") {
  std::mt19937 random(20261121);
  for (int round = 0; round < 50000; ++round) {
    static const std::string_view parts[] = {"{",     "}",  "[",  "]",    ",",       ":",      "\"",   "\\",
                                             "u",     "00", "e",  "-",    ".",       "1",      "true", "null",
                                             "\"a\"", " ",  "\n", "\x01", "{\"k\":", "\\ud83d"};
    std::string text;
    for (std::size_t i = random() % 8; i > 0; --i) text += parts[random() % std::size(parts)];
    boost::system::error_code error;
    (void)boost::json::parse(text, error);
    // It refuses half surrogates, which PostgreSQL's json takes.
    if (text.find("ud83d") != std::string::npos) continue;
    INFO(text);
    REQUIRE(is_json(text) == !error);
  }
}

TEST_CASE("every cell is valid JSON whatever its text holds") {
  std::mt19937 random(7);
  const TypeOid types[] = {16,  23,   701, 1184, 1114,    1007,     1009,  3910, 1020,
                           114, 3802, 199, 3807, kPerson, kPersons, kNote, 2249, 2287};
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 16, '\0');
    for (char& c : text) c = "{}()[]\",\\=;1aN:\xC3"[random() % 16];
    const TypeOid type = types[random() % std::size(types)];
    const std::string json = cell(text, type);
    boost::system::error_code error;
    (void)boost::json::parse(json, error);
    INFO(text << " of type " << type << ": " << json);
    REQUIRE_FALSE(error);
  }
}
