#include <string>

#include "dsl/value/json_slice.hpp"
#include "dsl/value/result.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

// A row set of one column and one row whose cell is `cell`.
std::string one_cell(const std::string& cell) {
  return R"({"rows":[{"a":)" + cell +
         R"(}],"row_count":1,"columns":[{"name":"a","type":"text"}],"affected":1})";
}

}  // namespace

TEST_CASE("a row set is told from documents that only look like one") {
  const auto is_row_set = [](const char* json) { return Result(json).is_row_set(); };
  CHECK(is_row_set(R"({"rows":[],"row_count":0,"columns":[],"affected":3})"));
  CHECK(is_row_set(R"({"rows":[{"a":1}],"columns":[{"name":"a","type":"integer"}]})"));
  CHECK_FALSE(is_row_set(R"({"rows":[],"columns":[]})"));
  CHECK_FALSE(is_row_set(R"({"rows":[1],"row_count":1,"columns":[{"name":"a","type":"text"}]})"));
  CHECK_FALSE(is_row_set(R"({"rows":{},"row_count":0,"columns":[]})"));
  CHECK_FALSE(is_row_set(R"({"rows":[],"row_count":0,"columns":["a"]})"));
  CHECK_FALSE(is_row_set(R"({"rows":[],"row_count":0,"columns":[{"name":1,"type":"text"}]})"));
  CHECK_FALSE(is_row_set("[]"));
  CHECK_FALSE(is_row_set("null"));
}

TEST_CASE("the truth of a row set is that of its first cell", "[L4.7]") {
  for (const char* cell : {"null",      "false",   "0",         "0.0",     "-0",      "0e7",        R"("")",
                           R"("  ")",   R"("f")",  R"(" F ")",  R"("no")", R"("NO")", R"("False")", R"("0")",
                           R"("0.00")", R"("-0")", R"("+0e5")", "[]",      "[ ]",     "{}"}) {
    INFO(cell);
    CHECK_FALSE(is_true(Result(one_cell(cell))));
    CHECK_FALSE(is_true(Result(cell)));
  }
  for (const char* cell :
       {"true", "1", "-0.1", "1e-9", R"("t")", R"("yes")", R"("0x")", R"("0.0.0")", R"(".")", R"("e0")",
        R"("n")", R"("off")", R"("null")", R"("[]")", "[null]", R"({"a":null})"}) {
    INFO(cell);
    CHECK(is_true(Result(one_cell(cell))));
    CHECK(is_true(Result(cell)));
  }
}

TEST_CASE("no rows and no columns are false", "[L4.7]") {
  CHECK_FALSE(
      is_true(Result(R"({"rows":[],"row_count":0,"columns":[{"name":"a","type":"text"}],"affected":0})")));
  CHECK_FALSE(is_true(Result(R"({"rows":[{}],"row_count":1,"columns":[],"affected":1})")));
}

TEST_CASE("only row sets have rows", "[L3.7]") {
  CHECK(has_rows(Result(one_cell("null"))));
  CHECK_FALSE(
      has_rows(Result(R"({"rows":[],"row_count":0,"columns":[{"name":"a","type":"text"}],"affected":0})")));
  CHECK_FALSE(has_rows(Result("[1]")));
}

TEST_CASE("the parsed value keeps key order and 64-bit integers") {
  const Result result(R"({"b":18446744073709551615,"a":-9223372036854775808})");
  const auto& object = result.value().as_object();
  CHECK(object.begin()->key() == "b");
  CHECK(object.at("b").as_uint64() == 18446744073709551615U);
  CHECK(object.at("a").as_int64() == INT64_MIN);
  CHECK(&result.value() == &result.value());
}

TEST_CASE("JSON nested too deep reads as null and is still judged") {
  const Result result(std::string(200000, '[') + std::string(200000, ']'));
  CHECK(result.value().is_null());
  CHECK(is_true(result));
}

TEST_CASE("a moved result forgets what it read of the old text") {
  Result source(R"({"rows":[],"row_count":0,"columns":[]})");
  REQUIRE(source.is_row_set());
  const Result moved(std::move(source));
  CHECK(moved.is_row_set());
  CHECK(moved.row_set()->row_lists.front().data() == moved.json().data() + 8);
}

TEST_CASE("JSON slices find members, elements and strings in place") {
  const std::string json =
      R"( {"a" : [1, {"x":"}\""}, "]"], "\u0061b":-1e5, "a2":null, "a":[true,false , 12] } )";
  CHECK(json_member(json, "a") == "[true,false , 12]");
  CHECK(json_member(json, "ab") == "-1e5");
  CHECK(json_member(json, "a2") == "null");
  CHECK_FALSE(json_member(json, "b"));
  CHECK_FALSE(json_member("[1]", "a"));
  CHECK(json_element(R"([1, {"x":"}\""}, "]"])", 1) == R"({"x":"}\""})");
  CHECK(json_element(R"([1, {"x":"}\""}, "]"])", 2) == R"("]")");
  CHECK_FALSE(json_element("[1]", 1));
  CHECK_FALSE(json_element("[]", 0));
  CHECK(decode_json_string(R"("a\n\t\"\\\/\u00e9\ud83d\ude00")") == "a\n\t\"\\/é😀");
  CHECK(decode_json_string(R"("\ud83d!\ude00")") == "\xEF\xBF\xBD!\xEF\xBF\xBD");
}

TEST_CASE("JSON slices never read outside a text that is not JSON") {
  for (const char* text :
       {"", "{", "[", "[1,", R"({"a)", R"({"a")", R"({"a":)", R"(["\)", "]", "[,,]", R"("\ud8)"}) {
    const std::string copy(text);
    std::size_t count = 0;
    for (JsonWalker walker(copy); walker.next();) ++count;
    CHECK(count <= 2);
    CHECK(json_text(copy).size() <= copy.size() + 3);
  }
}
