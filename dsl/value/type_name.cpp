#include "dsl/value/type_name.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

using Kind = SqlType::Kind;

// Names with a meaning of their own here, without their length. The cast of the character and bit types is
// the form that does not cut to length 1.
struct KnownType {
  std::string_view name;
  Kind kind;
  std::string_view cast;
};
constexpr KnownType kKnownTypes[] = {
    {"integer", Kind::kInteger, "integer"},
    {"smallint", Kind::kSmallint, "smallint"},
    {"bigint", Kind::kBigint, "bigint"},
    {"numeric", Kind::kNumeric, "numeric"},
    {"real", Kind::kFloat, "real"},
    {"double precision", Kind::kFloat, "double precision"},
    {"boolean", Kind::kBool, "boolean"},
    {"json", Kind::kJson, "json"},
    {"jsonb", Kind::kJson, "jsonb"},
    {"text", Kind::kText, "text"},
    {"name", Kind::kText, "name"},
    {"character varying", Kind::kText, "character varying"},
    {"character", Kind::kText, "bpchar"},
    {"bpchar", Kind::kText, "bpchar"},
    {"bit", Kind::kOther, "\"bit\""},
    {"bit varying", Kind::kOther, "bit varying"},
    {"time with time zone", Kind::kOther, "time with time zone"},
    {"time without time zone", Kind::kOther, "time without time zone"},
    {"timestamp with time zone", Kind::kOther, "timestamp with time zone"},
    {"timestamp without time zone", Kind::kOther, "timestamp without time zone"},
    // No value can be cast to these: pseudo-types, and types whose input function refuses.
    {"unknown", Kind::kText, "text"},
    {"record", Kind::kText, "text"},
    {"void", Kind::kText, "text"},
    {"cstring", Kind::kText, "text"},
    {"internal", Kind::kText, "text"},
    {"trigger", Kind::kText, "text"},
    {"event_trigger", Kind::kText, "text"},
    {"anyarray", Kind::kText, "text"},
    {"anyelement", Kind::kText, "text"},
    {"gtsvector", Kind::kText, "text"},
    {"pg_node_tree", Kind::kText, "text"},
    {"pg_ndistinct", Kind::kText, "text"},
    {"pg_dependencies", Kind::kText, "text"},
    {"pg_mcv_list", Kind::kText, "text"},
    {"pg_ddl_command", Kind::kText, "text"},
    {"pg_brin_bloom_summary", Kind::kText, "text"},
    {"pg_brin_minmax_multi_summary", Kind::kText, "text"},
};

// The position after one identifier, quoted or not; `position` itself when no identifier begins there.
std::size_t skip_identifier(std::string_view name, std::size_t position) {
  if (position >= name.size()) return position;
  if (name[position] != '"') {
    if (!is_identifier_start(name[position])) return position;
    std::size_t end = position;
    while (end < name.size() && is_identifier_part(name[end])) ++end;
    return end;
  }
  for (std::size_t i = position + 1; i < name.size(); ++i) {
    if (name[i] != '"') continue;
    if (i + 1 >= name.size() || name[i + 1] != '"') return i > position + 1 ? i + 1 : position;
    ++i;
  }
  return position;
}

// name[.name]*[(modifier)]
bool is_type_syntax(std::string_view name) {
  std::size_t position = 0;
  while (true) {
    const std::size_t end = skip_identifier(name, position);
    if (end == position) return false;
    position = end;
    if (position >= name.size() || name[position] != '.') break;
    ++position;
  }
  if (position == name.size()) return true;
  if (name[position] != '(' || name.back() != ')') return false;
  const std::string_view modifier = name.substr(position + 1, name.size() - position - 2);
  return !modifier.empty() &&
         std::all_of(modifier.begin(), modifier.end(), [](char c) { return is_name_char(c) || c == ','; });
}

// Without a length: "numeric(10,2)" -> "numeric", "timestamp(3) with time zone" -> "timestamp with time
// zone".
std::string without_length(std::string_view name) {
  std::string plain(name);
  const std::size_t open = plain.find('('), close = plain.find(')');
  if (plain.find('"') == std::string::npos && open != std::string::npos && close != std::string::npos &&
      open < close) {
    plain.erase(open, close + 1 - open);
  }
  return plain;
}

SqlType array_type(std::string_view name) {
  SqlType type;
  type.kind = Kind::kArray;
  // One "[]" is all that format_type gives; a made-up name may have any number.
  while (name.ends_with("[]")) name.remove_suffix(2);
  type.element = std::string(name);
  type.cast = array_cast(sql_type(type.element));
  return type;
}

// Words that PostgreSQL 17 reserves, wholly or but for functions and types.
constexpr std::string_view kReservedWords[] = {"all",
                                               "analyse",
                                               "analyze",
                                               "and",
                                               "any",
                                               "array",
                                               "as",
                                               "asc",
                                               "asymmetric",
                                               "authorization",
                                               "binary",
                                               "both",
                                               "case",
                                               "cast",
                                               "check",
                                               "collate",
                                               "collation",
                                               "column",
                                               "concurrently",
                                               "constraint",
                                               "create",
                                               "cross",
                                               "current_catalog",
                                               "current_date",
                                               "current_role",
                                               "current_schema",
                                               "current_time",
                                               "current_timestamp",
                                               "current_user",
                                               "default",
                                               "deferrable",
                                               "desc",
                                               "distinct",
                                               "do",
                                               "else",
                                               "end",
                                               "except",
                                               "false",
                                               "fetch",
                                               "for",
                                               "foreign",
                                               "freeze",
                                               "from",
                                               "full",
                                               "grant",
                                               "group",
                                               "having",
                                               "ilike",
                                               "in",
                                               "initially",
                                               "inner",
                                               "intersect",
                                               "into",
                                               "is",
                                               "isnull",
                                               "join",
                                               "lateral",
                                               "leading",
                                               "left",
                                               "like",
                                               "limit",
                                               "localtime",
                                               "localtimestamp",
                                               "natural",
                                               "not",
                                               "notnull",
                                               "null",
                                               "offset",
                                               "on",
                                               "only",
                                               "or",
                                               "order",
                                               "outer",
                                               "overlaps",
                                               "placing",
                                               "primary",
                                               "references",
                                               "returning",
                                               "right",
                                               "select",
                                               "session_user",
                                               "similar",
                                               "some",
                                               "symmetric",
                                               "system_user",
                                               "table",
                                               "tablesample",
                                               "then",
                                               "to",
                                               "trailing",
                                               "true",
                                               "union",
                                               "unique",
                                               "user",
                                               "using",
                                               "variadic",
                                               "verbose",
                                               "when",
                                               "where",
                                               "window",
                                               "with"};

}  // namespace

SqlType sql_type(std::string_view name) {
  if (name.ends_with("[]")) return array_type(name);
  const std::string plain = without_length(name);
  for (const KnownType& known : kKnownTypes) {
    if (known.name == plain) return {known.kind, std::string(known.cast), {}};
  }
  if (!is_type_syntax(name)) return {};
  return {Kind::kOther, std::string(name), {}};
}

std::string array_cast(const SqlType& type) {
  return type.kind == Kind::kArray ? type.cast : type.cast + "[]";
}

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

bool is_reserved_word(std::string_view name) {
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::binary_search(std::begin(kReservedWords), std::end(kReservedWords), std::string_view(folded));
}

}  // namespace durabled::dsl
