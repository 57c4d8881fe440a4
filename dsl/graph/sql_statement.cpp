#include "dsl/graph/sql_statement.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

std::string upper(std::string_view word) {
  std::string result(word);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

class StatementScanner {
 public:
  explicit StatementScanner(std::string_view sql) : sql_(sql) {}

  SqlStatements run() {
    while (pos_ < sql_.size()) scan_token();
    end_statement();
    return result_;
  }

 private:
  void scan_token() {
    const char c = sql_[pos_];
    if (is_sql_space(c)) {
      ++pos_;
    } else if (sql_.substr(pos_, 2) == "--") {
      pos_ = skip_line_comment(sql_, pos_);
    } else if (sql_.substr(pos_, 2) == "/*") {
      move_to(skip_block_comment(sql_, pos_));
    } else if (c == ';' && parentheses_ == 0 && begin_depth_ == 0) {
      result_.leading_semicolon |= !has_token_ && result_.count == 0;
      end_statement();
      ++pos_;
    } else {
      has_token_ = true;
      if (!begun_ && c != '(') {
        begun_ = true;
        result_.workflow_text = begins_workflow_text();
        note_value();
      }
      scan_part();
    }
  }

  bool begins_workflow_text() const {
    const std::string_view rest = sql_.substr(pos_);
    const bool is_prefixed = (rest[0] == 'e' || rest[0] == 'E') && rest.substr(1, 1) == "'";
    if (rest[0] == '\'' || is_prefixed || rest.starts_with("@>")) return true;
    if (rest[0] == '$') return dollar_tag_length(sql_, pos_) > 0;
    return (rest[0] == 'd' || rest[0] == 'D') && (rest[1] == 'f' || rest[1] == 'F') &&
           rest.substr(2, 1) == ".";
  }

  // A {variable} may hold any text, so that what follows it is not known.
  void note_value() {
    const char c = sql_[pos_];
    const bool is_reference = c == '$' && dollar_tag_length(sql_, pos_) == 0;
    result_.is_value = is_reference || is_digit(c) ||
                       std::string_view("+-*/<>=!@#%^&|~?.,)]:").find(c) != std::string_view::npos;
    if (!is_reference) return;
    std::size_t end = pos_ + 1;
    while (end < sql_.size() && (is_identifier_part(sql_[end]) ||
                                 std::string_view("{}.[]*?").find(sql_[end]) != std::string_view::npos))
      ++end;
    result_.value = sql_.substr(pos_, end - pos_);
  }

  void scan_part() {
    const char c = sql_[pos_];
    if (is_identifier_start(c)) {
      scan_word();
      return;
    }
    if (c == '(') {
      ++parentheses_;
      ++pos_;
      return;  // "(SELECT 1)" begins with SELECT
    }
    previous_.clear();
    if (c == '\'' || c == '"') {
      move_to(skip_quoted(sql_, pos_, false));
    } else if (c == '$' && dollar_tag_length(sql_, pos_) > 0) {
      move_to(skip_dollar_quoted(sql_, pos_));
    } else if (c == ')') {
      parentheses_ = std::max(0, parentheses_ - 1);
      ++pos_;
    } else if (is_digit(c) || c == '$') {
      // 1e5, $name or $1: letters that follow are not a keyword.
      const std::size_t begin = pos_++;
      while (pos_ < sql_.size() && is_identifier_part(sql_[pos_]) && sql_[pos_] != '$') ++pos_;
      const std::string_view token = sql_.substr(begin, pos_ - begin);
      if (token.size() > 1 && c == '$' && is_digit(token[1]) && result_.parameter.empty())
        result_.parameter = token;
    } else {
      ++pos_;
    }
    if (words_.empty()) words_.emplace_back();  // the statement does not begin with a word
  }

  void scan_word() {
    const std::size_t begin = pos_;
    while (pos_ < sql_.size() && is_identifier_part(sql_[pos_])) ++pos_;
    const std::string word = upper(sql_.substr(begin, std::min<std::size_t>(pos_ - begin, 64)));
    if (pos_ < sql_.size() && sql_[pos_] == '\'' && word == "E") {
      move_to(skip_quoted(sql_, pos_, true));
      previous_.clear();
      return;
    }
    if (words_.size() < 4) words_.push_back(word);
    track_body(word);
    const bool stream = word == "STDIN" || word == "STDOUT";
    if (stream && parentheses_ == 0 && (previous_ == "FROM" || previous_ == "TO") && words_[0] == "COPY" &&
        result_.count == 0) {
      result_.client_copy = true;
    }
    previous_ = word;
  }

  // Semicolons inside BEGIN ATOMIC … END do not end CREATE FUNCTION; CASE … END nests in it. psql's rule.
  void track_body(const std::string& word) {
    if (parentheses_ > 0 || !creates_routine()) return;
    if (word == "BEGIN" || (word == "CASE" && begin_depth_ > 0)) {
      ++begin_depth_;
    } else if (word == "END" && begin_depth_ > 0) {
      --begin_depth_;
    }
  }

  bool creates_routine() const {
    const auto is = [&](std::size_t i, std::string_view word) {
      return i < words_.size() && words_[i] == word;
    };
    const std::size_t kind = is(1, "OR") && is(2, "REPLACE") ? 3 : 1;
    return is(0, "CREATE") && (is(kind, "FUNCTION") || is(kind, "PROCEDURE"));
  }

  void end_statement() {
    if (has_token_ && result_.count++ == 0) {
      if (!words_.empty()) result_.first_keyword = words_[0];
      if (words_.size() > 1) result_.second_keyword = words_[1];
    }
    has_token_ = false;
    words_.clear();
    previous_.clear();
    begin_depth_ = parentheses_ = 0;
  }

  void move_to(std::size_t end) { pos_ = end == kUnclosed ? sql_.size() : end; }

  std::string_view sql_;
  std::size_t pos_ = 0;
  SqlStatements result_;
  bool has_token_ = false;
  bool begun_ = false;              // a token other than a parenthesis has come
  std::vector<std::string> words_;  // the statement's first four
  std::string previous_;            // the token before, when it was a word
  int parentheses_ = 0;
  int begin_depth_ = 0;
};

bool is_transaction_command(const SqlStatements& statements) {
  static constexpr std::array<std::string_view, 8> kCommands = {"BEGIN", "START",     "COMMIT",  "END",
                                                                "ABORT", "SAVEPOINT", "RELEASE", "ROLLBACK"};
  if (statements.first_keyword == "PREPARE") return statements.second_keyword == "TRANSACTION";
  return std::find(kCommands.begin(), kCommands.end(), statements.first_keyword) != kCommands.end();
}

}  // namespace

SqlStatements scan_statements(std::string_view sql) {
  return StatementScanner(sql).run();
}

std::optional<std::string> check_sql_step(std::string_view sql) {
  const SqlStatements statements = scan_statements(sql);
  if (statements.count == 0) return "a SQL step is exactly one statement; this one is empty";
  if (statements.workflow_text) {
    return "a SQL step is a statement, and this is the text of a workflow: INSERT INTO df.submit (dsl) "
           "VALUES (…), or "
           "write it without the outer quotes";
  }
  if (statements.is_value) {
    const bool is_rows = statements.value.ends_with(".*");
    const std::string write = statements.value.empty() ? "SELECT and then the value"
                              : is_rows                ? "SELECT * FROM " + statements.value
                                                       : "SELECT " + statements.value;
    return "a SQL step is a statement, and this text begins with a value; write " + write;
  }
  if (statements.count > 1) {
    return "a SQL step is exactly one statement; this text has " + std::to_string(statements.count) +
           " (join them with ~>)";
  }
  if (statements.leading_semicolon) {
    return "a SQL step is exactly one statement; a semicolon stands before this one";
  }
  if (is_transaction_command(statements)) {
    return statements.first_keyword +
           " cannot be a step: each SQL step runs in a transaction that is begun and committed for it";
  }
  if (statements.client_copy) {
    return "COPY FROM STDIN or TO STDOUT cannot be a step: there is no client to copy from or to";
  }
  return std::nullopt;
}

std::string unbound_parameter(std::string_view sql) {
  const SqlStatements statements = scan_statements(sql);
  const bool has_own = statements.first_keyword == "PREPARE" || statements.first_keyword == "CREATE";
  return has_own ? "" : statements.parameter;
}

}  // namespace durabled::dsl
