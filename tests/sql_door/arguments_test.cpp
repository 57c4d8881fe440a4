// Arguments of other types than text, and what is said of wrong ones.
#include "tests/sql_door/served.hpp"

using namespace durabled::test;

TEST_CASE("df.signal takes text, json, jsonb, literals and NULL, by position and by name", "[S2.6]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string id = sql.text("select df.start('SELECT 1', start_at => now() + interval '1 hour')");
  const std::pair<const char*, const char*> calls[] = {
      {"df.signal($1, 'x')", "{}"},
      {"df.signal($1, 'x', '{\"a\":1}')", "{\"a\":1}"},
      {"df.signal($1, 'x', '{\"a\":1}'::text)", "{\"a\":1}"},
      {"df.signal($1, 'x', '{\"a\":1}'::varchar)", "{\"a\":1}"},
      {"df.signal($1, 'x', '{\"a\":1}'::json)", "{\"a\":1}"},
      {"df.signal($1, 'x', '{\"a\":1}'::jsonb)", "{\"a\": 1}"},
      {"df.signal($1, 'x', to_jsonb(5))", "5"},
      {"df.signal($1, 'x', 'no json')", "\"no json\""},
      {"df.signal($1, 'x', null)", "null"},
      {"df.signal($1, 'x', null::jsonb)", "null"},
      {"df.signal(instance_id => $1, name => 'x')", "{}"},
      {"df.signal(instance_id => $1, name => 'x', data => '[1]')", "[1]"},
      {"df.signal(instance_id => $1, name => 'x', data => null)", "null"},
      {"df.signal($1, name => 'x', data => '[1]'::jsonb)", "[1]"},
      {"df.signal($1, 'x', data => '[1]'::json)", "[1]"}};
  for (const auto& [call, data] : calls) {
    INFO(call);
    CHECK_THAT(sql.text(std::string("select ") + call, id), ContainsSubstring("sent to instance " + id));
    CHECK(sql.text("select data from df.signals order by id desc limit 1") == data);
  }
  sql.text("select df.signal($1, 'x', $2)", id, "[2]");
  CHECK(sql.text("select data from df.signals order by id desc limit 1") == "[2]");
}

TEST_CASE("df.setvar takes values of any type as their text", "[S2.10]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::pair<const char*, const char*> calls[] = {{"'x'", "x"},
                                                       {"'x'::varchar", "x"},
                                                       {"'x'::name", "x"},
                                                       {"5", "5"},
                                                       {"1.50", "1.50"},
                                                       {"true", "true"},
                                                       {"date '2026-01-02'", "2026-01-02"},
                                                       {"'{\"a\":1}'::jsonb", "{\"a\": 1}"},
                                                       {"array[1, 2]", "{1,2}"}};
  for (const auto& [value, text] : calls) {
    INFO(value);
    CHECK(sql.text(std::string("select df.setvar('n', ") + value + ")") == text);
    CHECK(sql.text(std::string("select df.setvar(name => 'n', value => ") + value + ")") == text);
    CHECK(sql.text("select df.getvar('n')") == text);
  }
}

TEST_CASE("df.http takes a jsonb body, and no literal or NULL becomes ambiguous by that", "[L3.5]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const auto node = [&](const std::string& arguments) {
    INFO(arguments);
    return sql.text("select df.http('u'" + arguments + ")");
  };
  const std::string j = "'{\"a\":1}'::jsonb", t = "'{\"a\": 1}'::text";
  CHECK(node(", 'PUT', " + j) == node(", 'PUT', " + t));
  CHECK(node(", body => " + j) == node(", body => " + t));
  CHECK(node(", 'PUT', body => " + j) == node(", 'PUT', body => " + t));
  CHECK(node(", method => 'PUT', body => " + j) == node(", method => 'PUT', body => " + t));
  CHECK(node(", body => " + j + ", headers => '{\"X\":\"y\"}', timeout_seconds => 5") ==
        node(", 'POST', " + t + ", '{\"X\":\"y\"}'::jsonb, 5"));
  CHECK(node(", 'PUT', " + j + ", '{\"X\":\"y\"}', 5") ==
        node(", 'PUT', " + t + ", '{\"X\":\"y\"}'::json, 5"));
  CHECK(node(", 'PUT', null::jsonb") == node(", 'PUT'"));
  for (const char* text :
       {"", ", 'PUT'", ", 'PUT', '{}'", ", 'PUT', null", ", 'PUT', '{}', '{}'", ", 'PUT', null, null",
        ", 'PUT', '{}', '{}', 5", ", 'PUT', null, null, '5'", ", body => '{}'", ", body => null",
        ", headers => '{}'", ", timeout_seconds => 5", ", timeout_seconds => '5', body => '{}'",
        ", method => 'PUT', body => '{}', headers => '{}', timeout_seconds => 5",
        ", 'PUT', '{}', headers => '{}'::jsonb", ", 'PUT', null, headers => '{}'"}) {
    CHECK_THAT(node(text), ContainsSubstring("\"node_type\":\"HTTP\""));
  }
}

TEST_CASE("wrong variables and reruns are refused in words that say what to do", "[S2.10]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const char* vars : {"[1]", "null", "5", "\"x\""}) {
    CHECK_THAT(sql.expects_error("22023", "insert into df.submit (dsl, vars) values ('x', $1)", vars),
               ContainsSubstring(std::string("df.submit: vars must be a JSON object, not ") + vars) &&
                   !ContainsSubstring("constraint"));
  }
  for (const char* name : {"bad name", "1", "", "a-b"}) {
    CHECK_THAT(sql.expects_error("42602", "select df.setvar($1, 'x')", name),
               ContainsSubstring(std::string("df.setvar: '") + name + "' is not a valid identifier") &&
                   !ContainsSubstring("constraint"));
  }
  CHECK_THAT(sql.expects_error("22004", "select df.setvar('x', null)"), ContainsSubstring("df.unsetvar"));
  const std::string id = sql.text("select df.start('SELECT 1', start_at => now() + interval '1 hour')");
  const std::string error = sql.expects_error("55000", "select df.rerun($1, '00000000')", id);
  CHECK_THAT(error, ContainsSubstring("cannot be rerun: it has not started"));
  CHECK_THAT(error, !ContainsSubstring("insert into df.reruns"));
}
