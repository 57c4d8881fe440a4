#include "dsl/value/pg_types.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "dsl/value/builtin_types.hpp"
#include "dsl/value/json_check.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/pg_time.hpp"

namespace durabled::dsl {
namespace {

using Category = TypeInfo::Category;

// Postgres allows 6 dimensions; composites nest as their types do. A text beyond this is not one of its
// values.
constexpr int kMaxNesting = 200;

bool append_typed(std::string& out, std::string_view cell, TypeOid type, const TypeCatalog& catalog,
                  int depth);

void append_cell(std::string& out, std::string_view cell, TypeOid type, const TypeCatalog& catalog,
                 int depth) {
  const std::size_t start = out.size();
  if (depth < kMaxNesting && append_typed(out, cell, type, catalog, depth)) return;
  out.resize(start);
  append_json_string(out, cell);
}

bool append_number(std::string& out, std::string_view cell) {
  if (!is_json_number(cell)) return false;
  out += cell;
  return true;
}

bool is_null_word(std::string_view text) {
  return text.size() == 4 && std::equal(text.begin(), text.end(), "null",
                                        [](char a, char b) { return static_cast<char>(a | 0x20) == b; });
}

// Within an array or a composite JSON has no way to tell a JSON null from SQL's NULL.
bool is_json_null(std::string_view cell, TypeOid type, const TypeCatalog& catalog) {
  const TypeInfo* info = catalog.find(type);
  return info != nullptr && info->category == Category::kJson && trim_json(cell) == "null";
}

// The text form of an array: nested braces, quoted elements, NULL. JSON has no form for lower bounds: [l:u]={…}.
class ArrayReader {
 public:
  ArrayReader(std::string_view text, const TypeInfo& type, const TypeCatalog& catalog, int depth)
      : text_(text), type_(type), catalog_(catalog), depth_(depth) {}

  // False when the text has another form; `out` then holds a part of it.
  bool append_to(std::string& out) { return append_level(out, depth_) && position_ == text_.size(); }

 private:
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  bool append_level(std::string& out, int depth) {
    if (peek() != '{' || depth >= kMaxNesting) return false;
    ++position_;
    out += '[';
    if (peek() == '}') {
      ++position_;
      out += ']';
      return true;
    }
    while (true) {
      if (!(peek() == '{' ? append_level(out, depth + 1) : append_element(out, depth + 1))) return false;
      const char after = peek();
      ++position_;
      if (after == '}') break;
      if (after != type_.delimiter) return false;
      out += ',';
    }
    out += ']';
    return true;
  }

  bool append_element(std::string& out, int depth) {
    const bool is_quoted = peek() == '"';
    if (is_quoted) ++position_;
    std::string element;
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (is_quoted ? c == '"' : (c == type_.delimiter || c == '}')) break;
      if (c == '\\' && position_ + 1 < text_.size()) ++position_;
      element += text_[position_];
    }
    if (position_ >= text_.size()) return false;
    if (is_quoted) ++position_;
    if (!is_quoted && element.empty()) return false;
    if (!is_quoted && is_null_word(element)) {
      out += "null";
    } else if (is_json_null(element, type_.element, catalog_)) {
      return false;
    } else {
      append_cell(out, element, type_.element, catalog_, depth);
    }
    return true;
  }

  std::string_view text_;
  const TypeInfo& type_;
  const TypeCatalog& catalog_;
  int depth_;
  std::size_t position_ = 0;
};

using Fields = std::vector<std::optional<std::string>>;

// The text form of a composite: (1,"a b",) – an empty field is NULL, quotes are doubled or escaped.
std::optional<Fields> read_composite(std::string_view text) {
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return std::nullopt;
  Fields fields;
  std::optional<std::string> field;
  bool is_quoted = false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (!is_quoted && (c == ',' || c == ')')) {
      fields.push_back(std::exchange(field, std::nullopt));
      if (c == ')') return i + 1 == text.size() ? std::optional(std::move(fields)) : std::nullopt;
      continue;
    }
    if (!field) field.emplace();
    if (c == '"') {
      const bool is_doubled = is_quoted && i + 1 < text.size() && text[i + 1] == '"';
      if (is_doubled) {
        *field += '"';
        ++i;
      } else {
        is_quoted = !is_quoted;
      }
    } else {
      if (c == '\\' && i + 1 < text.size()) ++i;
      *field += text[i];
    }
  }
  return std::nullopt;
}

constexpr TypeOid kRecord = 2249;

bool append_composite(std::string& out, std::string_view cell, const TypeInfo& type,
                      const TypeCatalog& catalog, int depth) {
  auto fields = read_composite(cell);
  if (!fields) return false;
  const bool is_anonymous = type.oid == kRecord && type.fields.empty();
  if (!is_anonymous && type.fields.empty() && cell == "()") fields->clear();
  if (!is_anonymous && fields->size() != type.fields.size()) return false;
  out += '{';
  for (std::size_t i = 0; i < fields->size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, is_anonymous ? "f" + std::to_string(i + 1) : type.fields[i].name);
    out += ':';
    const auto& field = (*fields)[i];
    if (!field) {
      out += "null";
    } else if (is_anonymous) {
      append_json_string(out, *field);
    } else if (is_json_null(*field, type.fields[i].type, catalog)) {
      return false;
    } else {
      append_cell(out, *field, type.fields[i].type, catalog, depth + 1);
    }
  }
  out += '}';
  return true;
}

bool append_time(std::string& out, const std::optional<std::string>& time) {
  if (time) append_json_string(out, *time);
  return time.has_value();
}

// False when `cell` does not have the form of its type; `out` then holds a part of it.
bool append_typed(std::string& out, std::string_view cell, TypeOid type, const TypeCatalog& catalog,
                  int depth) {
  const TypeInfo* info = catalog.find(type);
  if (info == nullptr) return false;
  switch (info->category) {
    case Category::kBool:
      if (cell != "t" && cell != "f") return false;
      out += cell == "t" ? "true" : "false";
      return true;
    case Category::kNumber:
      return append_number(out, cell);
    case Category::kJson:
      if (!is_json(cell)) return false;
      append_clean_json(out, cell);
      return true;
    case Category::kTimestamp:
      return append_time(out, rfc3339_local(cell));
    case Category::kTimestampTz:
      return append_time(out, rfc3339_utc(cell));
    case Category::kArray:
      return ArrayReader(cell, *info, catalog, depth).append_to(out);
    case Category::kComposite:
      return append_composite(out, cell, *info, catalog, depth);
    case Category::kText:
      return false;
  }
  return false;
}

}  // namespace

TypeCatalog::TypeCatalog() {
  for (TypeInfo& type : builtin_types()) add(std::move(type));
}

const TypeInfo* TypeCatalog::find(TypeOid oid) const {
  const auto found = types_.find(oid);
  return found == types_.end() ? nullptr : &found->second;
}

void TypeCatalog::add(TypeInfo type) {
  const TypeOid oid = type.oid;
  types_.insert_or_assign(oid, std::move(type));
}

void TypeCatalog::learn(TypeInfo type) {
  learned_.push_back(type.oid);
  add(std::move(type));
}

void TypeCatalog::forget_learned() {
  for (const TypeOid oid : std::exchange(learned_, {})) types_.erase(oid);
}

void append_cell_json(std::string& out, std::string_view cell, TypeOid type, const TypeCatalog& catalog) {
  append_cell(out, cell, type, catalog, 0);
}

}  // namespace durabled::dsl
