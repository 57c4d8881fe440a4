#include "dsl/graph/returned_columns.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

struct Token {
  enum class Kind { kWord, kQuoted, kString, kOther };
  Kind kind = Kind::kOther;
  std::string
      text;  // a word in lower case; what a quoted identifier holds, in lower case; else the first character
  int depth = 0;  // of the parentheses and brackets around it

  bool is(std::string_view word) const { return kind == Kind::kWord && text == word; }
  bool is_mark(char mark) const { return kind == Kind::kOther && text[0] == mark; }
  bool is_name() const { return kind == Kind::kWord || kind == Kind::kQuoted; }
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

class Tokens {
 public:
  explicit Tokens(std::string_view sql) : sql_(sql) {}

  std::vector<Token> run() {
    for (pos_ = skip_sql_space(sql_, 0); pos_ < sql_.size(); pos_ = skip_sql_space(sql_, pos_)) read();
    return std::move(tokens_);
  }

 private:
  void read() {
    const std::size_t begin = pos_;
    const char c = sql_[begin];
    const auto end_of = [&](std::size_t end) { return pos_ = end == kUnclosed ? sql_.size() : end; };
    if (c == '\'') {
      end_of(skip_quoted(sql_, begin, false));
      add(Token::Kind::kString, "'");
    } else if (c == '"') {
      end_of(skip_quoted(sql_, begin, false));
      add(Token::Kind::kQuoted, lower(sql_.substr(begin + 1, std::max(pos_, begin + 2) - begin - 2)));
    } else if (c == '$' && dollar_tag_length(sql_, begin) > 0) {
      end_of(skip_dollar_quoted(sql_, begin));
      add(Token::Kind::kString, "$");
    } else if (is_identifier_start(c)) {
      read_word(begin);
    } else if (is_digit(c) || c == '$') {
      // $n.col, ${n.col} or a number: no name of a column comes from it.
      for (++pos_; pos_ < sql_.size() && (is_identifier_part(sql_[pos_]) || sql_[pos_] == '.');) ++pos_;
      add(Token::Kind::kOther, std::string(1, c));
    } else {
      ++pos_;
      if (c == ')' || c == ']') depth_ = std::max(0, depth_ - 1);
      add(Token::Kind::kOther, std::string(1, c));
      if (c == '(' || c == '[') ++depth_;
    }
  }

  void read_word(std::size_t begin) {
    while (pos_ < sql_.size() && is_identifier_part(sql_[pos_])) ++pos_;
    const std::string word = lower(sql_.substr(begin, pos_ - begin));
    if (word == "e" && pos_ < sql_.size() && sql_[pos_] == '\'') {
      const std::size_t end = skip_quoted(sql_, pos_, true);
      pos_ = end == kUnclosed ? sql_.size() : end;
      add(Token::Kind::kString, "'");
    } else {
      add(Token::Kind::kWord, word);
    }
  }

  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), depth_}); }

  std::string_view sql_;
  std::size_t pos_ = 0;
  int depth_ = 0;
  std::vector<Token> tokens_;
};

constexpr std::size_t kMostColumns = 1'664;  // PostgreSQL's limit

using Span = std::span<const Token>;
using Columns = std::optional<std::vector<std::string>>;

template <std::size_t N>
bool is_one_of(const Token& token, const std::array<std::string_view, N>& words) {
  return token.kind == Token::Kind::kWord && std::find(words.begin(), words.end(), token.text) != words.end();
}

// Where the first of `words` outside of parentheses is; the end for none.
template <std::size_t N>
std::size_t find_word(Span tokens, const std::array<std::string_view, N>& words) {
  const auto found = std::find_if(tokens.begin(), tokens.end(), [&](const Token& token) {
    return token.depth == 0 && is_one_of(token, words);
  });
  return static_cast<std::size_t>(found - tokens.begin());
}

// "… AS name", "t.name", or "f(…)"; empty for what PostgreSQL would name by other rules.
std::string name_of(Span item) {
  const Token& last = item.back();
  if (item.size() > 1 && item[item.size() - 2].is("as") && last.is_name()) return last.text;
  bool is_path = item.size() % 2 == 1;
  for (std::size_t i = 0; i < item.size(); ++i)
    is_path &= i % 2 == 0 ? item[i].is_name() : item[i].is_mark('.');
  if (is_path)
    return item.size() == 1 && last.kind == Token::Kind::kWord && last.text == "null" ? "" : last.text;
  const bool is_call =
      item.size() > 2 && item[0].is_name() && item[1].is_mark('(') &&
      std::count_if(item.begin(), item.end(), [](const Token& t) { return t.depth == 0; }) == 3;
  return is_call && last.is_mark(')') ? item[0].text : "";
}

// A list of expressions, with or without names.
Columns columns_of(Span list) {
  std::vector<std::string> columns;
  for (std::size_t begin = 0; begin <= list.size();) {
    std::size_t end = begin;
    while (end < list.size() && !(list[end].depth == 0 && list[end].is_mark(','))) ++end;
    const Span item = list.subspan(begin, end - begin);
    if (item.empty() || item.back().is_mark('*') || columns.size() == kMostColumns) return std::nullopt;
    columns.push_back(name_of(item));
    if (columns.back().find('$') != std::string::npos) columns.back().clear();  // "$n.col" AS a name
    begin = end + 1;
  }
  return columns;
}

Columns columns_of_select(Span tokens) {
  static constexpr std::array<std::string_view, 15> kEnds = {
      "from",  "where", "group", "having",    "window", "order", "limit", "offset",
      "fetch", "for",   "union", "intersect", "except", "into",  "with"};
  tokens = tokens.subspan(1);
  if (!tokens.empty() && tokens[0].is("all")) tokens = tokens.subspan(1);
  if (!tokens.empty() && tokens[0].is("distinct")) {
    tokens = tokens.subspan(1);
    if (!tokens.empty() && tokens[0].is("on")) {
      std::size_t end = 2;
      while (end < tokens.size() && tokens[end].depth > 0) ++end;
      tokens = tokens.subspan(std::min(end + 1, tokens.size()));
    }
  }
  const std::size_t end = find_word(tokens, kEnds);
  if (end < tokens.size() && tokens[end].is("into")) return std::nullopt;
  return columns_of(tokens.first(end));
}

}  // namespace

Columns returned_columns(std::string_view sql) {
  static constexpr std::array<std::string_view, 4> kChanges = {"insert", "update", "delete", "merge"};
  static constexpr std::array<std::string_view, 1> kReturning = {"returning"};
  if (!variable_names(sql).empty()) return std::nullopt;
  std::vector<Token> all = Tokens(sql).run();
  while (!all.empty() && all.back().is_mark(';')) all.pop_back();
  const Span tokens = all;
  if (tokens.empty()) return std::nullopt;
  if (tokens[0].is("select")) return columns_of_select(tokens);
  if (!is_one_of(tokens[0], kChanges)) return std::nullopt;
  const std::size_t returning = find_word(tokens, kReturning);
  if (returning == tokens.size()) return std::vector<std::string>();
  const Span list = tokens.subspan(returning + 1);
  if (!list.empty() && list[0].is("with")) return std::nullopt;
  return columns_of(list);
}

bool copies_to_server(std::string_view sql) {
  static constexpr std::array<std::string_view, 1> kTo = {"to"};
  const std::vector<Token> all = Tokens(sql).run();
  if (all.empty() || !all[0].is("copy")) return false;
  const std::size_t to = find_word(Span(all), kTo);
  return to + 1 < all.size() && (all[to + 1].kind == Token::Kind::kString || all[to + 1].is("program"));
}

}  // namespace durabled::dsl
