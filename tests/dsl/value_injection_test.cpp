// No value may break out of its literal: templates from random fragments, values from hostile ones, and a
// lexer that must see the same tokens as with a harmless value.
#include <random>
#include <string>
#include <vector>

#include "tests/dsl/injection.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::test;

namespace {

std::string pick(std::mt19937& random, const std::vector<std::string>& from, std::size_t most) {
  std::string text;
  for (std::size_t i = random() % (most + 1); i > 0; --i) text += from[random() % from.size()];
  return text;
}

const std::vector<std::string> kHostile = {"'",  "''",    "\\", "\\'", "\"", "$",   "$$", "$b$", "--",
                                           "/*", "*/",    "\n", ";",   "E'", "{v}", "$n", "a",   " ",
                                           "é",  "\\044", "b$", "$b",  ",",  "{",   "}",  "(",   "NULL"};

// References in every place, and what may stand beside them.
const std::vector<std::string> kCode = {"$n",       " $n ", "($n)", " $n.c", "$n[]",  "any($n)",  "\n$n",
                                        "$n\n",     " + ",  " 1 ",  "1.",    " a.",   "/* $n */", "-- $n\n",
                                        " \"$n\" ", " U&",  " 'x'", "''",    "\n'x'", "E'x'",     " E'\\'' ",
                                        "-",        "::",   "\n",   " foo "};
const std::vector<std::string> kQuoted = {"'$n'",       "'a $n.c b'", " E'$n'",     "E'\\'$n'",
                                          "'it''s $n'", "'$n",        "E'a'\n'$n'", "N'$n'"};
const std::vector<std::string> kBodies = {"$$ $n $$",  "$b$ '$n' $b$",          "$b$ E'$n' $n $b$",
                                          "$$$n$$",    "$b$ $$ '$n' $n $$ $b$", "$$ -- $n\n $n $$",
                                          "$b$'$n$b$", "$$ $n $b$ $n.c $b$ $$"};

}  // namespace

TEST_CASE("no value changes the tokens of the statement it is inserted into", "[L5.5][L5.8]") {
  std::mt19937 random(20261120);
  std::vector<std::string> fragments = kCode;
  fragments.insert(fragments.end(), kQuoted.begin(), kQuoted.end());
  fragments.insert(fragments.end(), kBodies.begin(), kBodies.end());
  fragments.push_back("{v}");
  int compared = 0;
  for (int round = 0; round < 30000; ++round) {
    const std::string source = pick(random, fragments, 6);
    const std::string value = pick(random, kHostile, 8);
    const std::string& type = kTypes[random() % kTypes.size()];
    const Insertion made = insert(source, type, value);
    INFO(source << "\nvalue: " << value << " of type " << type << "\nharmless: " << made.harmless
                << "\nhostile: " << made.hostile);
    REQUIRE(made.holds);
    if (made.is_compared) ++compared;
  }
  CHECK(compared > 15000);
}

TEST_CASE("literals are whole under either setting of standard_conforming_strings") {
  std::mt19937 random(4711);
  std::vector<std::string> fragments = kCode;
  fragments.push_back("$$ $n $$");
  for (int round = 0; round < 15000; ++round) {
    const std::string source = pick(random, fragments, 5);
    const std::string& type = kTypes[random() % kTypes.size()];
    const std::string harmless = text_of(substitute(source, type, json_of(type, "xyzzy")));
    const std::string hostile = text_of(substitute(source, type, json_of(type, pick(random, kHostile, 8))));
    INFO(source << "\nharmless: " << harmless << "\nhostile: " << hostile);
    if (hostile.starts_with("error: a value inserted into the")) continue;  // an identifier in a body
    REQUIRE(SqlLexer(hostile, false).run().kinds == SqlLexer(harmless, false).run().kinds);
  }
}

TEST_CASE("a literal and a splice hold exactly the value", "[L5.5]") {
  std::mt19937 random(99);
  for (int round = 0; round < 5000; ++round) {
    const std::string value = pick(random, kHostile, 10);
    for (const char* source : {"$n", "'$n'", "E'$n'", "$q$ $n $q$", "$q$ E'$n' $q$", "$q$ '$n' $q$"}) {
      const SqlTokens tokens =
          SqlLexer(text_of(substitute(source, "text", json_of("text", value))), true).run();
      INFO(source << " with " << value);
      REQUIRE(tokens.strings == std::vector<std::string>{value});
    }
  }
}
