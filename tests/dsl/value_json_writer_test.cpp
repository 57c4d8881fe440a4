#include "dsl/engine/failure.hpp"
#include "dsl/value/json_writer.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::dsl;

TEST_CASE("JSON is written member after member") {
  JsonWriter json;
  json.object().member("a", "x\"y").number("n", -3).key("list").list();
  json.number(1).text("two").raw("{\"three\":3}").object().close().list().close();
  CHECK(json.close().raw("end", "null").close().take() ==
        R"({"a":"x\"y","n":-3,"list":[1,"two",{"three":3},{},[]],"end":null})");
  CHECK(JsonWriter().text("{").take() == "\"{\"");
  CHECK(JsonWriter().list().text("[").text(":").close().take() == R"(["[",":"])");
}

TEST_CASE("an object is continued behind its last member") {
  const auto extended = [](const char* object) {
    return JsonWriter::extending(object).number("n", 1).close().take();
  };
  CHECK(extended("{}") == R"({"n":1})");
  CHECK(extended(R"({"a":{"b":"}"}} )") == R"({"a":{"b":"}"},"n":1})");
}

TEST_CASE("a failure is read as it was written") {
  Failure failure = make_failure("22012", "division by zero", 3, 2, "divide by something else");
  failure.detail = "1 / 0";
  failure.add_text("position", "8");
  CHECK(failure.json() ==
        R"({"message":"division by zero","code":"22012","sqlstate":"22012","detail":"1 / 0",)"
        R"("hint":"divide by something else","position":"8","node":"00000003","attempts":2})");
  CHECK(Failure::parse(failure.json()).json() == failure.json());
}

TEST_CASE("the fields of $error are there, as null where the failure lacks them") {
  CHECK(Failure::parse("{}").bound_json() == R"({"message":"","sqlstate":null,"detail":null,"hint":null,)"
                                             R"("node":null,"attempts":null})");
  CHECK(
      make_failure("timeout", "late", 1, 1).bound_json() ==
      R"({"message":"late","code":"timeout","sqlstate":null,"detail":null,"hint":null,"node":"00000001","attempts":1})");
}
