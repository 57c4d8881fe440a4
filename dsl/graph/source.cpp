#include "dsl/graph/source.hpp"

#include <algorithm>
#include <numeric>

#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::dsl {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

bool differs_in_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::size_t kExcerptBefore = 60, kExcerptWidth = 100;  // characters

}  // namespace

std::optional<std::size_t> find_invalid_byte(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    if (length == 0 || text[i] == '\0') return i;
    i += length;
  }
  return std::nullopt;
}

Position locate(std::string_view text, std::size_t offset) {
  return advance(text, {}, std::min(offset, text.size()));
}

Position advance(std::string_view text, Position from, std::size_t offset) {
  for (; from.offset < offset; ++from.offset) {
    if (text[from.offset] == '\n') {
      ++from.line;
      from.column = 1;
    } else if (begins_character(text[from.offset])) {
      ++from.column;
    }
  }
  return from;
}

std::size_t string_body(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) return offset;
  if (text[offset] == '\'') return offset + 1;
  return text[offset] == '$' ? offset + dollar_tag_length(text, offset) : offset;
}

std::string make_excerpt(std::string_view text, const Position& at) {
  const std::size_t place = std::min(at.offset, text.size());
  std::size_t begin = place, end = place, before = 0;
  while (begin > 0 && !is_sql_newline(text[begin - 1]) && before < kExcerptBefore) {
    if (begins_character(text[--begin])) ++before;
  }
  while (begin < place && !begins_character(text[begin])) ++begin;
  for (std::size_t after = 0; end < text.size() && !is_sql_newline(text[end]); ++end) {
    if (begins_character(text[end]) && before + after++ == kExcerptWidth) break;
  }
  const bool cut_left = begin > 0 && !is_sql_newline(text[begin - 1]);
  const bool cut_right = end < text.size() && !is_sql_newline(text[end]);
  std::string line =
      (cut_left ? "…" : "") + std::string(text.substr(begin, end - begin)) + (cut_right ? "…" : "");
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line + "\n" + std::string(before + (cut_left ? 1 : 0), ' ') + "^";
}

Diagnostic make_diagnostic(Diagnostic::Severity severity, std::string_view text, const Position& at,
                           std::string code, std::string message, std::string hint) {
  Diagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.code = std::move(code);
  diagnostic.message = std::move(message);
  diagnostic.line = at.line;
  diagnostic.column = at.column;
  if (!text.empty()) diagnostic.excerpt = make_excerpt(text, at);
  diagnostic.hint = std::move(hint);
  return diagnostic;
}

std::vector<std::string> close_matches(std::string_view word, const std::vector<std::string>& candidates) {
  std::vector<std::pair<std::size_t, std::string>> found;
  if (word.size() > 40) return {};  // nobody misspells that much
  for (const std::string& candidate : candidates) {
    if (candidate.size() > 60) continue;
    const std::size_t distance = edit_distance(word, candidate);
    const bool is_part = word.size() >= 3 && candidate.find(word) != std::string::npos;
    const bool is_near = word.size() > 1 && distance <= std::max<std::size_t>(1, word.size() / 3);
    if (is_part || is_near || differs_in_case(word, candidate)) found.emplace_back(distance, candidate);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> matches;
  for (std::size_t i = 0; i < found.size() && i < 3; ++i) matches.push_back(found[i].second);
  return matches;
}

std::string did_you_mean(const std::vector<std::string>& matches) {
  std::string text;
  for (const std::string& match : matches) text += (text.empty() ? "did you mean " : ", ") + match;
  return text.empty() ? text : text + "?";
}

std::string Diagnostic::to_string() const {
  std::string text = "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message;
  if (!excerpt.empty()) {
    text += "\n  ";
    for (const char c : excerpt) text += c == '\n' ? std::string("\n  ") : std::string(1, c);
  }
  if (!hint.empty()) text += "\nhint: " + hint;
  return text;
}

}  // namespace durabled::dsl
