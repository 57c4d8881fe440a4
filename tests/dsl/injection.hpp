// Whether a value breaks out of the statement it is inserted into: a lexer of SQL that shares nothing with
// the one under test, and statements with a value of any type in them. For the seeded tests and the fuzz
// target.
#pragma once

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <vector>

#include "dsl/value/json_writer.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::test {

// Tokens as text: 'S' for any string, words, single characters; a body is its tokens in brackets.
struct SqlTokens {
  std::vector<std::string> kinds;
  std::vector<std::string> strings;  // decoded, in order
};

class SqlLexer {
 public:
  SqlLexer(const std::string& sql, bool standard_strings) : sql_(sql), standard_(standard_strings) {}

  SqlTokens run() {
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
      const bool is_number = std::isdigit(static_cast<unsigned char>(c)) != 0;  // a '$' is no part of it
      std::string word;
      for (; at_ < sql_.size() && (is_word(sql_[at_]) || (sql_[at_] == '$' && !is_number)); ++at_)
        word += sql_[at_];
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

  // What an identifier reads is a value's to say, where it ends is not.
  void quoted() {
    std::size_t end = sql_.find('"', at_ + 1);
    while (end != std::string::npos && end + 1 < sql_.size() && sql_[end + 1] == '"')
      end = sql_.find('"', end + 2);
    add(end == std::string::npos ? "unclosed" : "Q");
    at_ = end == std::string::npos ? sql_.size() : end + 1;
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
    const SqlTokens body = SqlLexer(sql_.substr(end + 1, close - end - 1), standard_).run();
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
  SqlTokens tokens_;
};

inline const std::vector<std::string> kTypes = {"text",    "jsonb",  "text[]",      "bytea",  "integer",
                                                "numeric", "record", "public.pair", "boolean"};

using Substituted = Expected<std::string, dsl::SubstitutionError>;

// `source` with $n.c bound to `json`, of column type `type`, and {v} to `variable`.
inline Substituted substitute(const std::string& source, const std::string& type, const std::string& json,
                              const std::string& variable = "' $n --") {
  const dsl::Names names = {
      {"n", std::make_shared<const dsl::Result>(R"({"rows":[{"c":)" + json +
                                                R"(}],"row_count":1,"columns":[{"name":"c","type":")" + type +
                                                R"("}],"affected":1})")}};
  const dsl::Variables variables = {{"v", variable}};
  return dsl::substitute_sql(source, {names, variables});
}

inline std::string text_of(const Substituted& sql) {
  return sql ? *sql : "error: " + sql.error().message;
}

// `text` as the JSON of a value of column type `type`.
inline std::string json_of(const std::string& type, const std::string& text) {
  std::string json;
  dsl::append_json_string(json, text);
  if (type == "text[]") return "[" + json + ",null]";
  if (type == "jsonb") return "{" + json + ":[" + json + "]}";
  if (type == "record") return R"({"f1":)" + json + "}";
  if (type == "public.pair") return R"({"a":)" + json + "}";
  return json;
}

// A statement with a value in it, and with a harmless one in its place.
struct Insertion {
  std::string harmless, hostile;
  bool is_compared = false;  // false: both are refused, or the value is because it would end a body
  bool holds = false;        // the tokens are the same
};

inline Insertion insert(const std::string& source, const std::string& type, const std::string& value,
                        const std::string& variable = "' $n --") {
  const Substituted harmless = substitute(source, type, json_of(type, "xyzzy"), variable);
  const Substituted hostile = substitute(source, type, json_of(type, value), variable);
  Insertion made{text_of(harmless), text_of(hostile)};
  if (!harmless) {
    // A reference to something that is not there; then no value is inserted at all.
    made.holds = made.hostile == made.harmless;
  } else if (!hostile) {
    made.holds = hostile.error().message.starts_with("a value inserted into the");
  } else {
    const SqlTokens expected = SqlLexer(*harmless, true).run(), actual = SqlLexer(*hostile, true).run();
    made.is_compared = true;
    made.holds = actual.kinds == expected.kinds && actual.strings.size() == expected.strings.size();
  }
  return made;
}

}  // namespace durabled::test
