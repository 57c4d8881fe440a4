// No value may break out of its literal: templates from random fragments, values from hostile ones, and a
// lexer of its own that must see the same tokens as with a harmless value.
#include <random>
#include <string>
#include <vector>

#include "dsl/value/pg_types.hpp"
#include "dsl/value/substitute.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

// Tokens as text: 'S' for any string, words, single characters; a body is its tokens in brackets.
struct Tokens {
  std::vector<std::string> kinds;
  std::vector<std::string> strings;  // decoded, in order
};

class Lexer {
 public:
  Lexer(const std::string& sql, bool standard_strings) : sql_(sql), standard_(standard_strings) {}

  Tokens run() {
    while (at_ < sql_.size()) step();
    return tokens_;
  }

 private:
  bool looking_at(const std::string& what) const { return sql_.compare(at_, what.size(), what) == 0; }
  static bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c < 0;
  }

  void step() {
    const char c = sql_[at_];
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      newline_ = newline_ || c == '\n' || c == '\r';
      ++at_;
    } else if (looking_at("--")) {
      while (at_ < sql_.size() && sql_[at_] != '\n' && sql_[at_] != '\r') ++at_;
    } else if (looking_at("/*")) {
      block_comment();
    } else if (c == '\'' || ((c == 'E' || c == 'e') && at_ + 1 < sql_.size() && sql_[at_ + 1] == '\'')) {
      string(c);
    } else if (c == '"') {
      quoted();
    } else if (c == '$') {
      dollar();
    } else if (is_word(c)) {
      std::string word;
      for (; at_ < sql_.size() && (is_word(sql_[at_]) || sql_[at_] == '$'); ++at_) word += sql_[at_];
      add(word);
    } else {
      add(std::string(1, c));
      ++at_;
    }
  }

  void add(const std::string& kind) {
    tokens_.kinds.push_back(kind);
    newline_ = false;
    after_string_ = false;
  }

  void block_comment() {
    int depth = 0;
    do {
      if (looking_at("/*")) {
        ++depth;
        at_ += 2;
      } else if (looking_at("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < sql_.size());
    after_string_ = false;
  }

  void string(char first) {
    const bool continues = after_string_ && newline_ && first == '\'';
    const bool escapes = continues ? escapes_ : (first != '\'' || !standard_);
    at_ += first == '\'' ? 1 : 2;
    std::string value;
    bool is_closed = false;
    for (; at_ < sql_.size(); ++at_) {
      if (sql_[at_] == '\'' && !(at_ + 1 < sql_.size() && sql_[at_ + 1] == '\'')) {
        is_closed = true;
        ++at_;
        break;
      }
      const bool is_pair = sql_[at_] == '\'' || (sql_[at_] == '\\' && escapes);
      if (is_pair && looking_at("\\044") && escapes) {
        value += '$';
        at_ += 3;
        continue;
      }
      if (is_pair) ++at_;
      if (at_ < sql_.size()) value += sql_[at_];
    }
    if (continues) {
      tokens_.strings.back() += value;
    } else {
      add("S");
      tokens_.strings.push_back(value);
    }
    if (!is_closed) tokens_.kinds.push_back("unclosed");
    after_string_ = true;
    newline_ = false;
    escapes_ = escapes;
  }

  void quoted() {
    const std::size_t end = std::min(sql_.find('"', at_ + 1), sql_.size());
    add(sql_.substr(at_, end + 1 - at_));
    at_ = end + 1;
  }

  void dollar() {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && is_word(sql_[end]) &&
           (end > at_ + 1 || std::isdigit(static_cast<unsigned char>(sql_[end])) == 0))
      ++end;
    if (end >= sql_.size() || sql_[end] != '$') {
      add("$");
      ++at_;
      return;
    }
    const std::string tag = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = std::min(sql_.find(tag, end + 1), sql_.size());
    const Tokens body = Lexer(sql_.substr(end + 1, close - end - 1), standard_).run();
    add("[" + tag);
    for (const auto& kind : body.kinds) add(kind);
    tokens_.strings.insert(tokens_.strings.end(), body.strings.begin(), body.strings.end());
    add(close < sql_.size() ? "]" : "unclosed");
    at_ = close + tag.size();
  }

  const std::string& sql_;
  bool standard_;
  std::size_t at_ = 0;
  bool after_string_ = false, newline_ = false, escapes_ = false;
  Tokens tokens_;
};

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

std::string substituted(const std::string& source, const std::string& type, const std::string& json) {
  const Names names = {
      {"n", std::make_shared<const Result>(R"({"rows":[{"c":)" + json +
                                           R"(}],"row_count":1,"columns":[{"name":"c","type":")" + type +
                                           R"("}],"affected":1})")}};
  const Variables variables = {{"v", "' $n --"}};
  const auto sql = substitute_sql(source, {names, variables});
  return sql ? *sql : "error: " + sql.error().message;
}

std::string json_of(const std::string& type, const std::string& text) {
  std::string json;
  append_json_string(json, text);
  if (type == "text[]") return "[" + json + ",null]";
  if (type == "jsonb") return "{" + json + ":[" + json + "]}";
  if (type == "record") return R"({"f1":)" + json + "}";
  if (type == "public.pair") return R"({"a":)" + json + "}";
  return json;
}

const std::vector<std::string> kTypes = {"text",    "jsonb",  "text[]",      "bytea",  "integer",
                                         "numeric", "record", "public.pair", "boolean"};

}  // namespace

TEST_CASE("no value changes the tokens of the statement it is inserted into") {
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
    const std::string harmless = substituted(source, type, json_of(type, "xyzzy"));
    const std::string hostile = substituted(source, type, json_of(type, value));
    INFO(source << "\nvalue: " << value << " of type " << type << "\nharmless: " << harmless
                << "\nhostile: " << hostile);
    // Fragments may join into a reference to something that is not there; then no value is inserted at all.
    if (harmless.find("error: ") == 0) {
      REQUIRE(hostile == harmless);
      continue;
    }
    if (hostile.find("error: a value inserted into the") == 0) continue;
    REQUIRE(hostile.find("error: ") != 0);
    const Tokens expected = Lexer(harmless, true).run(), actual = Lexer(hostile, true).run();
    REQUIRE(actual.kinds == expected.kinds);
    REQUIRE(actual.strings.size() == expected.strings.size());
    ++compared;
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
    const std::string harmless = substituted(source, type, json_of(type, "xyzzy"));
    const std::string hostile = substituted(source, type, json_of(type, pick(random, kHostile, 8)));
    INFO(source << "\nharmless: " << harmless << "\nhostile: " << hostile);
    REQUIRE(Lexer(hostile, false).run().kinds == Lexer(harmless, false).run().kinds);
  }
}

TEST_CASE("a literal and a splice hold exactly the value") {
  std::mt19937 random(99);
  for (int round = 0; round < 5000; ++round) {
    const std::string value = pick(random, kHostile, 10);
    for (const char* source : {"$n", "'$n'", "E'$n'", "$q$ $n $q$", "$q$ E'$n' $q$", "$q$ '$n' $q$"}) {
      const Tokens tokens = Lexer(substituted(source, "text", json_of("text", value)), true).run();
      INFO(source << " with " << value);
      REQUIRE(tokens.strings == std::vector<std::string>{value});
    }
  }
}
