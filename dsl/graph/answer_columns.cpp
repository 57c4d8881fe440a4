#include "dsl/graph/answer_columns.hpp"

#include <algorithm>
#include <charconv>
#include <regex>
#include <set>
#include <utility>

#include "dsl/graph/rules.hpp"
#include "dsl/value/characters.hpp"

namespace durabled::dsl {
namespace {

// So that no regular expression runs over a long text.
constexpr std::size_t kMaxColumns = 100, kMaxPiece = 500, kMaxPath = 500;

#define DURABLED_MEMBER R"re((?:\.(?:[A-Za-z_][A-Za-z0-9_]*|"[^"'\\(),]+"))re"

const std::regex& row_path() {
  static const std::regex kPath(R"(\$)" DURABLED_MEMBER R"(|\[(?:\*|[0-9]{1,9})\])*)");
  return kPath;
}

const std::regex& column() {
  static const std::regex kColumn(
      R"(\s*([A-Za-z_][A-Za-z0-9_]{0,62})(\?)?\s+(?:(for\s+ordinality)|)"
      R"(((?:double\s+precision|(?:character|bit)\s+varying|time(?:stamp)?\s+with(?:out)?\s+time\s+zone|)"
      R"([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)(?:\(\s*[0-9]+(?:\s*,\s*[0-9]+)?\s*\))?(?:\[\])?))"
      R"((?:\s+path\s+'(\$)" DURABLED_MEMBER R"(|\[[0-9]{1,9}\])*)')?)\s*)",
      std::regex::icase);
  return kColumn;
}

#undef DURABLED_MEMBER

// Requires: `text` has the form of a path.
JsonPath read_path(std::string_view text) {
  JsonPath path;
  for (std::size_t at = 1; at < text.size();) {
    PathStep step;
    std::size_t end = text.size();
    if (text[at] == '[') {
      end = text.find(']', at) + 1;
      step.kind = text[at + 1] == '*' ? PathStep::Kind::kAll : PathStep::Kind::kIndex;
      std::from_chars(text.data() + at + 1, text.data() + end - 1, step.index);
    } else if (text[at + 1] == '"') {
      end = text.find('"', at + 2) + 1;
      step.member = text.substr(at + 2, end - at - 3);
    } else {
      end = std::min(text.find_first_of(".[", at + 1), text.size());
      step.member = text.substr(at + 1, end - at - 1);
    }
    path.push_back(std::move(step));
    at = end;
  }
  return path;
}

// Between commas that are neither in parentheses nor in quotes.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> pieces;
  std::size_t begin = 0;
  int depth = 0;
  bool is_quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\'') is_quoted = !is_quoted;
    if (c == '(' && !is_quoted) ++depth;
    if (c == ')' && !is_quoted) --depth;
    if (c != ',' || is_quoted || depth != 0) continue;
    pieces.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  pieces.push_back(text.substr(begin));
  return pieces;
}

// In lower case, with single blanks, and by the name that format_type() has for it.
std::string canonical_type(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"int", "integer"},
      {"int4", "integer"},
      {"int2", "smallint"},
      {"int8", "bigint"},
      {"float4", "real"},
      {"float", "double precision"},
      {"float8", "double precision"},
      {"bool", "boolean"},
      {"varchar", "character varying"},
      {"decimal", "numeric"},
      {"char", "character"},
      {"timestamptz", "timestamp with time zone"}};
  std::string type;
  for (const char c : text) {
    if (is_sql_space(c)) {
      if (!type.empty() && is_name_char(type.back())) type += ' ';
    } else {
      type += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  const std::size_t end = std::min(type.find_first_of("(["), type.size());
  for (const auto& [alias, name] : kNames) {
    if (std::string_view(type).substr(0, end) == alias) return std::string(name) + type.substr(end);
  }
  return type;
}

}  // namespace

Expected<JsonPath, std::string> parse_row_path(std::string_view text) {
  if (text.size() > kMaxPath || !std::regex_match(text.begin(), text.end(), row_path())) {
    return Unexpected{"rows must be a path such as $.data[*], of .member, .\"member\", [*] and [0], found '" +
                      shorten(text) + "'"};
  }
  return read_path(text);
}

Expected<std::vector<AnswerColumn>, std::string> parse_answer_columns(std::string_view text) {
  std::vector<AnswerColumn> columns;
  std::set<std::string> names;
  const std::vector<std::string_view> pieces = split(text);
  if (pieces.size() > kMaxColumns)
    return Unexpected{"columns must be at most " + std::to_string(kMaxColumns) + " columns"};
  for (const std::string_view piece : pieces) {
    std::match_results<std::string_view::const_iterator> match;
    if (piece.size() > kMaxPiece || !std::regex_match(piece.begin(), piece.end(), match, column())) {
      return Unexpected{
          "columns must list columns such as index int, embedding real[], note? text, id text path "
          "'$.meta.id' and n for "
          "ordinality, found '" +
          shorten(piece) + "'"};
    }
    AnswerColumn read;
    read.name = match.str(1);
    read.may_be_null = match[2].matched;
    read.is_ordinality = match[3].matched;
    read.type = read.is_ordinality ? "integer" : canonical_type(match.str(4));
    read.path =
        match[5].matched ? read_path(match.str(5)) : JsonPath{{PathStep::Kind::kMember, read.name, 0}};
    if (!names.insert(read.name).second) return Unexpected{"columns has two columns named " + read.name};
    columns.push_back(std::move(read));
  }
  return columns;
}

}  // namespace durabled::dsl
