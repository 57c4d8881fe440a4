// Warnings: the traps of the language, and what is no trap.
#include "dsl/graph/check.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/graph/variable_uses.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

// Those of graph/habits.hpp, which have a test of their own.
bool is_habit(const Diagnostic& warning) {
  return warning.code.ends_with("_loop") || warning.code == "odd_schedule" || warning.code == "unused_name" ||
         warning.code == "parameter";
}

// "code@column …" of all warnings of a one-line text but for habits, and after them of the errors, with a "!".
std::string warnings_of(const std::string& text) {
  std::string result;
  const ParsedWorkflow workflow = parse(text);
  for (const Diagnostic& error : workflow.errors) {
    CHECK(error.severity == Diagnostic::Severity::kError);
    result += (result.empty() ? "!" : " !") + error.code + "@" + std::to_string(error.column);
  }
  for (const Diagnostic& warning : workflow.warnings) {
    if (is_habit(warning)) continue;
    CHECK(warning.severity == Diagnostic::Severity::kWarning);
    result += (result.empty() ? "" : " ") + warning.code + "@" + std::to_string(warning.column);
  }
  return result;
}

// The variables of a text, those that are certain with a "!".
std::string variables_of(const std::string& text) {
  std::string result;
  const VariableUses uses = find_variables(parse(text).graph);
  for (const std::string& name : uses.all)
    result += (result.empty() ? "" : " ") + name + (uses.certain.contains(name) ? "!" : "");
  return result;
}

}  // namespace

TEST_CASE("a variable is certain in SQL code and in templates, not where braces may mean something else") {
  CHECK(variables_of("'SELECT {a}, f({b}), tbl_{c} FROM {d}.t'") == "a! b! c! d!");
  CHECK(variables_of("'SELECT ''{a}''::text[], \"{b}\" /* {c} */ -- {d}'") == "a b c d");
  CHECK(variables_of("'SELECT E''\\''{a}'' || {b}'") == "a b!");
  CHECK(variables_of("'DO $$ BEGIN PERFORM {a}, ''{b}''; END $$'") == "a! b");
  CHECK(variables_of("'SELECT ''{a}'', {a}'") == "a!");
  CHECK(variables_of("'SELECT 1 AS a' |=> 'v' ~> 'SELECT ${v}'") == "v");
  CHECK(variables_of("'SELECT {}, {1}, { a }, {a-b}, {ü}, {secret.A}'") == "");
  CHECK(
      variables_of("df.http('http://{h}/{secret.A}', body => 'Dear {who}', headers => '{\"X\": \"{x}\"}')") ==
      "h! who! x!");
  CHECK(variables_of("df.sleep('{s}') ~> df.break('${b}')") == "b s!");
}

TEST_CASE("values that go into a call without being encoded are warned about") {
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('http://$v.host/x')") == "unencoded_value@16");
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('http://h/x?$v.q')") == "unencoded_value@16");
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('http://h/x?q=$v.q&$v.r=$v.s')") == "");
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('$v.url')") == "");
  CHECK(warnings_of(
            "'A' |=> 'v' ~> df.http('http://h/$v.a?b=$v.c', body => '{\"a\": \"$v.a\", \"b\": $v.b}')") ==
        "");
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('http://h/', body => '{\"a\": \"$v.a\"')") ==
        "unencoded_value@16");
  CHECK(warnings_of("'A' |=> 'v' ~> df.http('http://h/', body => 'Dear $v.a')") == "");
  CHECK(warnings_of("df.http('http://{host}/x')") == "");
  CHECK_THAT(parse("'A' |=> 'v' ~> df.http('http://$v.host/x')").warnings.at(0).message,
             ContainsSubstring("$v.host goes into the URL as it is"));
}

TEST_CASE("steps after what never ends are unreachable", "[L2.5]") {
  CHECK(warnings_of("@> 'A' ~> 'B'") == "unreachable@11");
  CHECK(warnings_of("'A' ~> @> 'B' ~> 'C' ~> 'D'") == "unreachable@18");
  CHECK(warnings_of("df.retry(@> 'A', 2) ~> 'B'") == "unreachable@24");
  CHECK(warnings_of("('C' ?> @> 'A' !> @> 'B') ~> 'D'") == "unreachable@30");
  CHECK(warnings_of("('A' & @> 'B') ~> 'D'") == "unreachable@19");
  CHECK(warnings_of("@> (df.break() ~> 'A')") == "unreachable@19");
  CHECK(warnings_of("@> (@> df.break() ~> 'A')") == "");
  CHECK(warnings_of("@> ('C' ?> df.break()) ~> 'B'") == "");
  CHECK(warnings_of("('A' | @> 'B') ~> 'D'") == "");
  CHECK(warnings_of("('C' ?> @> 'A') ~> 'D'") == "");
  CHECK(warnings_of("df.loop('A', 'C') ~> 'B'") == "");
  CHECK(warnings_of("df.catch(@> 'A', 'H') ~> 'B'") == "");
  CHECK(warnings_of("df.loop('A', df.break()) ~> 'B'") == "");
  CHECK_THAT(parse("@> 'A' ~> 'B'").warnings.at(0).hint, ContainsSubstring("parentheses"));
}

TEST_CASE("a break that no loop is around can only fail", "[L2.5]") {
  CHECK(warnings_of("'A' ~> df.break()") == "lost_break@8");
  CHECK(warnings_of("@> 'A' ~> df.break()") == "lost_break@11 unreachable@11");
  CHECK(warnings_of("@> df.for_each('A', df.if('B', df.break()))") == "");
  CHECK(warnings_of("df.loop('A', 'B' ?> df.break())") == "");
  CHECK_THAT(parse("@> 'A' ~> df.break()").warnings.at(0).hint, ContainsSubstring("@> (a ~> df.break())"));
}

TEST_CASE("a name on the bare result of an operator may have been meant for its last branch", "[L2.5]") {
  CHECK(warnings_of("'A' |=> 'a' & 'B' |=> 'b'") == "named_compound@19");
  CHECK(warnings_of("'A' | 'B' |=> 'b'") == "named_compound@11");
  CHECK(warnings_of("'C' ?> 'A' !> 'B' |=> 'b'") == "named_compound@19");
  CHECK(warnings_of("('A' & 'B') |=> 'b'") == "");
  CHECK(warnings_of("df.join('A', 'B') |=> 'b'") == "");
  CHECK(warnings_of("'A' & ('B' |=> 'b')") == "");
  CHECK(warnings_of("'A' |=> 'a' ~> 'B' |=> 'b' ~> 'C'") == "");
}

TEST_CASE("without a text the trap shows by an earlier branch that is named") {
  const auto codes = [](const char* source) {
    std::string result;
    for (const Diagnostic& warning : check_graph(*from_json(to_json(parse(source).graph), {})).warnings) {
      if (is_habit(warning)) continue;
      CHECK(warning.line == 1);
      CHECK(warning.excerpt == "");
      result += warning.code;
    }
    return result;
  };
  CHECK(codes("'A' |=> 'a' & 'B' |=> 'b'") == "named_compound");
  CHECK(codes("'A' & 'B' |=> 'b'") == "");
  CHECK(codes("('A' |=> 'a') & ('B' |=> 'b')") == "");
  CHECK(codes("@> 'A' ~> 'SELECT ''$x'''") == "unreachableunbound_name");
}

TEST_CASE("a reference needs a name that a path before it binds", "[L2.5][L4.5]") {
  CHECK(warnings_of("'A' |=> 'a' ~> 'SELECT $a'") == "");
  CHECK(warnings_of("'SELECT $a' ~> 'A' |=> 'a'") == "!unbound_name@9");
  CHECK(warnings_of("'SELECT $a' |=> 'a'") == "!unbound_name@9");
  CHECK(warnings_of("'A' |=> 'a' ~> 'SELECT $A'") == "!unbound_name@24");
  CHECK(warnings_of("'A' |=> 'a' ~> df.if_rows('b', 'C')") == "unbound_name@16");
  CHECK(warnings_of("'A' |=> 'abc' ~> df.http('h/$abd', body => '$abc')") == "unbound_name@18");
  CHECK_THAT(parse("'A' |=> 'abc' ~> 'SELECT $abd'").errors.at(0).hint,
             ContainsSubstring("did you mean $abc?"));
  CHECK(parse("'A' ~>\n  'SELECT $x'").errors.at(0).line == 2);
}

TEST_CASE(
    "an unbound name's warning stands at the reference, and at the string where escapes hide its place") {
  const auto places_of = [](const char* source) {
    std::string result;
    const ParsedWorkflow workflow = parse(source);
    for (const Diagnostic& warning : workflow.errors.empty() ? workflow.warnings : workflow.errors) {
      result += (result.empty() ? "" : " ") + warning.message.substr(0, warning.message.find(' ')) + "@" +
                std::to_string(warning.line) + ":" + std::to_string(warning.column);
    }
    return result;
  };
  CHECK(places_of("$q$ SELECT $zz,\n  'é', $aa $q$") == "$zz@1:12 $aa@2:8");
  CHECK(places_of("'A' ~> df.sql($$SELECT $x$$)") == "$x@1:24");
  CHECK(places_of("'SELECT $x, ''a'', $y'") == "$x@1:9 $y@1:1");
  CHECK(places_of("E'SELECT $x'") == "$x@1:1");
  CHECK(places_of("'SELECT $x,'\n' $y'") == "$x@1:9 $y@1:1");
  CHECK(places_of("'A' ~> df.sleep('$x')") == "$x@1:8");
}

TEST_CASE("a name as short as a letter is no misspelling of another") {
  CHECK(parse("'A' |=> 'v' ~> 'SELECT $x'").errors.at(0).hint ==
        "name an earlier step's result with |=> 'x'");
  CHECK(parse("'A' |=> 'v' ~> 'SELECT $V'").errors.at(0).hint == "did you mean $v?");
}

TEST_CASE("siblings do not see each other's names, what follows sees all of them", "[L2.5]") {
  CHECK(warnings_of("('A' |=> 'a') & 'SELECT $a'") == "!unbound_name@25");
  CHECK(warnings_of("('A' |=> 'a') & 'B' ~> 'SELECT $a'") == "");
  CHECK(warnings_of("'A' |=> 'a' ~> ('SELECT $a' | 'SELECT $a')") == "");
  CHECK(warnings_of("df.any('A' |=> 'a', 'SELECT $a') ~> 'SELECT $a'") == "!unbound_name@29");
  CHECK(warnings_of("'C' |=> 'c' ?> ('SELECT $c' |=> 't') !> 'SELECT $t'") == "!unbound_name@49");
  CHECK(warnings_of("'C' ?> ('T' |=> 't') ~> 'SELECT $t'") == "");
}

TEST_CASE("a nested loop keeps its names, a root loop starts each iteration with none", "[L2.5]") {
  CHECK(warnings_of("@> ('SELECT $a' ~> ('A' |=> 'a'))") == "!unbound_name@13");
  CHECK(warnings_of("'B' ~> @> ('SELECT $a' ~> ('A' |=> 'a'))") == "");
  CHECK(warnings_of("df.loop('A' |=> 'a', 'SELECT $a')") == "");
  CHECK(warnings_of("df.loop('SELECT $c', 'C' |=> 'c')") == "!unbound_name@17");
  CHECK(warnings_of("df.loop('A' |=> 'a', 'C') ~> 'SELECT $a'") == "");
}

TEST_CASE("$item and $error are bound where they are made, and only there", "[L2.5]") {
  CHECK(warnings_of("df.for_each('R', 'SELECT $item.id')") == "");
  CHECK(warnings_of("df.for_each('R', 'SELECT $item.id', name => 'row')") == "!unbound_name@26");
  CHECK(warnings_of("df.for_each('SELECT $item', 'B') ~> 'SELECT $item'") ==
        "!unbound_name@21 !unbound_name@45");
  CHECK(warnings_of("df.catch('A', 'SELECT $error.message')") == "");
  CHECK(warnings_of("df.catch('SELECT $error', 'H') ~> 'SELECT $error'") ==
        "!unbound_name@18 !unbound_name@43");
}

TEST_CASE("a name in code that nothing binds is an error, in a string or beside a variable a warning") {
  CHECK(warnings_of("'SELECT $x'") == "!unbound_name@9");
  CHECK(warnings_of("'SELECT ''$x'''") == "unbound_name@1");
  CHECK(warnings_of("'SELECT $x {v}'") == "unbound_name@9");
  CHECK(warnings_of("df.sleep('$x')") == "unbound_name@1");
  CHECK(parse_error("'SELECT $x'").code == "unbound_name");
  CHECK(parse_error(to_json(parse("'SELECT $x'").graph)).code == "unbound_name");
}

TEST_CASE(
    "a name in a JSON body that nothing binds is an error outside of strings, where the call can only fail") {
  CHECK(warnings_of("df.http('h', body => '{\"a\": $x}')") == "!unbound_name@1");
  CHECK(warnings_of("df.http('h', body => '[$x.a, 1]')") == "!unbound_name@1");
  CHECK(warnings_of("df.http('h', body => '{\"a\": \"$x\"}')") == "unbound_name@1");
  CHECK(warnings_of("df.http('h', body => '{\"a\": $x, \"b\": {v}}')") == "unbound_name@1 unencoded_value@1");
  CHECK(warnings_of("df.http('h', body => '$x')") == "unbound_name@1");
  CHECK(warnings_of("df.http('h/$x', body => '{\"a\": 1}')") == "unbound_name@1");
  CHECK(warnings_of("'A' |=> 'x' ~> df.http('h', body => '{\"a\": $x.a}')") == "");
}

TEST_CASE("a parameter in a statement is a warning, because nothing binds it", "[L2.5]") {
  const auto parameters_of = [](const std::string& text) {
    std::string result;
    for (const Diagnostic& warning : parse(text).warnings)
      if (warning.code == "parameter") result += warning.message.substr(0, warning.message.find(' '));
    return result;
  };
  CHECK(parameters_of("'SELECT $1'") == "$1");
  CHECK(parameters_of("'SELECT ''$1'', $23::int' ~> 'SELECT a$1, \"$2\" -- $3'") == "$23");
  CHECK(parameters_of("'PREPARE p AS SELECT $1'") == "");
  CHECK(parameters_of("$q$CREATE FUNCTION f(int) RETURNS int BEGIN ATOMIC SELECT $1; END$q$") == "");
}

TEST_CASE("a second name for a step is a warning at that name", "[L2.5]") {
  CHECK(warnings_of("'A' |=> 'a' |=> 'b'") == "two_names@13");
  CHECK(warnings_of("('A' |=> 'a') |=> 'b'") == "two_names@15");
  CHECK(warnings_of("df.as('A' |=> 'a', 'b') ~> 'SELECT $b'") == "");  // says what it does
  CHECK(warnings_of("'A' |=> 'a' |=> 'a'") == "");
  CHECK(warnings_of("('A' ~> 'B' |=> 'b') |=> 'all'") == "two_names@22");
}

TEST_CASE(
    "loops that spin or break off, steps of a schedule that are never reached, names that are not used") {
  const auto habits_of = [](const std::string& text) {
    std::string result;
    for (const Diagnostic& warning : parse(text).warnings) {
      if (is_habit(warning))
        result += (result.empty() ? "" : " ") + warning.code + "@" + std::to_string(warning.column);
    }
    return result;
  };
  CHECK(habits_of("@> 'A'") == "fragile_loop@1 busy_loop@1");
  CHECK(habits_of("@> df.catch('A' ~> df.sleep(5), 'H')") == "");
  CHECK(habits_of("@> (df.catch('A', 'H') ~> df.wait_for_signal('s'))") == "");
  CHECK(habits_of("@> ('A' ~> df.wait_for_schedule('@hourly'))") == "fragile_loop@1");
  CHECK(habits_of("@> ('A' ~> df.if('B', df.break()))") == "busy_loop@1");
  CHECK(habits_of("df.loop('A', 'B')") == "");
  CHECK(habits_of("@> (df.timeout(df.sleep(1), 2) ~> df.if('B', df.break()))") == "");
  CHECK(habits_of("df.wait_for_schedule('*/90 * * * *')") == "odd_schedule@1");
  CHECK(habits_of("df.wait_for_schedule('0-10/30 5 * * mon-tue/2')") == "odd_schedule@1");
  CHECK(habits_of("df.wait_for_schedule('*/15 */2 * * *')") == "");
  CHECK(habits_of("'A' |=> 'a' ~> 'B' ~> ('C' |=> 'c')") == "unused_name@5");
  CHECK(habits_of("'A' |=> 'a'") == "");
  CHECK(habits_of("'A' |=> 'a' ~> '{sql}'") == "");
  CHECK(habits_of("'A' |=> 'a' ~> 'SELECT ''{sys_label}'''") == "unused_name@5");
  CHECK(habits_of("'A' |=> 'a' ~> df.if_rows('a', 'B')") == "");
}

}  // namespace durabled::test
