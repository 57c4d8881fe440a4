#include "daemon/short_statements.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "dsl/value/sql_lexical.hpp"

namespace durabled::daemon {
namespace {

constexpr std::chrono::milliseconds kShort{50};
constexpr std::size_t kMaxText = 16 << 10;
constexpr std::size_t kMaxRecords = 1'000;  // of one target
constexpr int kMaxPenalty = 4'096;
constexpr int kForgiveAfter = 1'000;

constexpr std::array<std::string_view, 7> kPlain{"SELECT", "INSERT", "UPDATE", "DELETE",
                                                 "MERGE",  "VALUES", "WITH"};

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_plain(std::string_view word) {
  return std::any_of(kPlain.begin(), kPlain.end(), [&](std::string_view plain) {
    return std::equal(word.begin(), word.end(), plain.begin(), plain.end(),
                      [](char a, char b) { return upper(a) == b; });
  });
}

// FNV-1a.
class Hash {
 public:
  void add(char c) { value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3; }
  void add(std::string_view text) {
    for (const char c : text) add(c);
  }
  std::uint64_t value() const { return value_ != ShortStatements::kNone ? value_ : 1; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

// Just past the literal at `pos`; `pos` if none begins there.
std::size_t skip_literal(std::string_view sql, std::size_t pos) {
  const char c = sql[pos];
  if (c == '\'') return dsl::skip_quoted(sql, pos, false);
  if ((c == 'e' || c == 'E') && sql.substr(pos + 1, 1) == "'") return dsl::skip_quoted(sql, pos + 1, true);
  if (c == '$' && dsl::dollar_tag_length(sql, pos) > 0) return dsl::skip_dollar_quoted(sql, pos);
  if (!dsl::is_digit(c)) return pos;
  while (pos < sql.size() && (dsl::is_identifier_part(sql[pos]) || sql[pos] == '.')) ++pos;
  return pos;
}

std::size_t skip_word(std::string_view sql, std::size_t pos) {
  while (pos < sql.size() && dsl::is_identifier_part(sql[pos])) ++pos;
  return pos;
}

}  // namespace

ShortStatements::Shape ShortStatements::shape_of(std::string_view sql) {
  if (sql.size() > kMaxText) return kNone;
  std::size_t pos = dsl::skip_sql_space(sql, 0);
  while (pos < sql.size() && sql[pos] == '(') pos = dsl::skip_sql_space(sql, pos + 1);
  if (!is_plain(sql.substr(pos, skip_word(sql, pos) - pos))) return kNone;
  Hash hash;
  while (pos < sql.size()) {
    if (const std::size_t end = skip_literal(sql, pos); end != pos) {
      if (end == dsl::kUnclosed) return kNone;
      hash.add('?');
      pos = end;
    } else if (dsl::is_identifier_start(sql[pos])) {
      const std::size_t past = skip_word(sql, pos);
      hash.add(sql.substr(pos, past - pos));
      pos = past;
    } else {
      hash.add(sql[pos++]);
    }
  }
  return hash.value();
}

ShortStatements::Record* ShortStatements::record(Shape shape) {
  if (shape == kNone) return nullptr;
  if (records_.size() >= kMaxRecords && !records_.contains(shape)) records_.clear();
  return &records_[shape];
}

bool ShortStatements::may_join(Shape shape) const {
  const auto found = records_.find(shape);
  return found != records_.end() && found->second.to_run == 0;
}

void ShortStatements::ran(Shape shape, std::chrono::microseconds took) {
  Record* const known = record(shape);
  if (known == nullptr) return;
  known->to_run = took <= kShort ? std::max(known->to_run - 1, 0) : known->penalty;
}

void ShortStatements::joined(Shape shape) {
  Record* const known = record(shape);
  if (known == nullptr || ++known->joined < kForgiveAfter) return;
  known->joined = 0;
  known->penalty = std::max(known->penalty / 2, 1);
}

void ShortStatements::failed(Shape shape) {
  Record* const known = record(shape);
  if (known == nullptr) return;
  known->penalty = std::min(known->penalty * 2, kMaxPenalty);
  known->to_run = known->penalty;
  known->joined = 0;
}

void ShortStatements::fell_apart(Shape shape) {
  if (Record* const known = record(shape)) known->to_run = std::max(known->to_run, 1);
}

}  // namespace durabled::daemon
