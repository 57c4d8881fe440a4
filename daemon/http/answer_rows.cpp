#include "daemon/http/answer_rows.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "daemon/http/encoding.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/type_name.hpp"

namespace durabled::daemon {
namespace {

using dsl::JsonKind;
using dsl::SqlType;
using Slice = std::string_view;
using Problem = std::optional<std::string>;

constexpr std::size_t kMaxListed = 20;

std::string kind_name(Slice json) {
  switch (dsl::json_kind(json)) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kBool:
      return "a boolean";
    case JsonKind::kNumber:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "an array";
    case JsonKind::kObject:
      return "an object";
  }
  return {};
}

std::string members_of(Slice object) {
  std::string list;
  std::size_t count = 0;
  for (dsl::JsonWalker walker(object); walker.next() && count <= kMaxListed; ++count)
    list += (list.empty() ? "" : ", ") + (count < kMaxListed ? dsl::shorten(walker.key()) : "…");
  return list.empty() ? "it has none" : "it has: " + list;
}

std::string spelling(const dsl::JsonPath& path, std::size_t steps) {
  std::string text = "$";
  for (std::size_t i = 0; i < steps; ++i) {
    const dsl::PathStep& step = path[i];
    if (step.kind == dsl::PathStep::Kind::kAll) text += "[*]";
    if (step.kind == dsl::PathStep::Kind::kIndex) text += "[" + std::to_string(step.index) + "]";
    if (step.kind == dsl::PathStep::Kind::kMember) text += "." + step.member;
  }
  return text;
}

// Adds what a step of the path leads to from `json`.
Problem follow(Slice json, const dsl::JsonPath& path, std::size_t at, std::vector<Slice>& found) {
  const dsl::PathStep& step = path[at];
  const std::string here = spelling(path, at);
  if (step.kind == dsl::PathStep::Kind::kMember) {
    if (dsl::json_kind(json) != JsonKind::kObject) return here + " is " + kind_name(json) + ", not an object";
    const auto member = dsl::json_member(json, step.member);
    if (!member) return here + " has no member \"" + step.member + "\"; " + members_of(json);
    found.push_back(*member);
    return std::nullopt;
  }
  if (dsl::json_kind(json) != JsonKind::kArray) return here + " is " + kind_name(json) + ", not an array";
  if (step.kind == dsl::PathStep::Kind::kAll) {
    for (dsl::JsonWalker walker(json); walker.next();) found.push_back(walker.value());
    return std::nullopt;
  }
  const auto element = dsl::json_element(json, step.index);
  if (!element) return here + " has no element " + std::to_string(step.index);
  found.push_back(*element);
  return std::nullopt;
}

Expected<std::vector<Slice>, std::string> follow_all(Slice json, const dsl::JsonPath& path) {
  std::vector<Slice> reached{json};
  for (std::size_t at = 0; at < path.size(); ++at) {
    std::vector<Slice> next;
    for (const Slice each : reached) {
      if (auto problem = follow(each, path, at, next)) return Unexpected{std::move(*problem)};
    }
    reached = std::move(next);
  }
  return reached;
}

bool is_vector(const std::string& type) {
  const std::string name = type.substr(0, type.find('('));
  const std::string last = name.substr(name.rfind('.') + 1);
  return last == "vector" || last == "halfvec";
}

// The numbers of little-endian float32 as a JSON array; NaN and the infinities as strings.
bool append_floats(std::string& out, const std::string& bytes) {
  if (bytes.size() % sizeof(float) != 0) return false;
  out += '[';
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    std::array<unsigned char, 4> raw{};
    std::memcpy(raw.data(), bytes.data() + at, raw.size());
    const std::uint32_t bits = static_cast<std::uint32_t>(raw[0]) | static_cast<std::uint32_t>(raw[1]) << 8 |
                               static_cast<std::uint32_t>(raw[2]) << 16 |
                               static_cast<std::uint32_t>(raw[3]) << 24;
    const auto number = std::bit_cast<float>(bits);
    if (at > 0) out += ',';
    if (std::isfinite(number)) {
      char text[32];
      out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
    } else {
      out += std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    }
  }
  out += ']';
  return true;
}

class RowWriter {
 public:
  explicit RowWriter(const std::vector<dsl::AnswerColumn>& columns) : columns_(columns) {
    for (const dsl::AnswerColumn& column : columns) types_.push_back(dsl::sql_type(column.type));
  }

  Problem add(Slice row) {
    ++count_;
    rows_ += count_ > 1 ? ",{" : "{";
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) rows_ += ',';
      dsl::append_json_string(rows_, columns_[i].name);
      rows_ += ':';
      if (auto problem = add_cell(row, columns_[i], types_[i]))
        return "row " + std::to_string(count_) + ": " + std::move(*problem);
    }
    rows_ += '}';
    return std::nullopt;
  }

  std::string finish() {
    dsl::JsonWriter json;
    json.object().raw("rows", "[" + rows_ + "]").number("row_count", count_).key("columns").list();
    for (const dsl::AnswerColumn& column : columns_)
      json.object().member("name", column.name).member("type", column.type).close();
    return json.close().number("affected", count_).close().take();
  }

 private:
  Problem add_cell(Slice row, const dsl::AnswerColumn& column, const SqlType& type) {
    if (column.is_ordinality) {
      rows_ += std::to_string(count_);
      return std::nullopt;
    }
    auto found = follow_all(row, column.path);
    const bool is_null = !found || dsl::json_kind(found->front()) == JsonKind::kNull;
    if (is_null && column.may_be_null) {
      rows_ += "null";
      return std::nullopt;
    }
    const std::string allow = "; write " + column.name + "? where there may be no value";
    if (!found) return column.name + ": " + found.error() + allow;
    if (is_null) return column.name + " is null" + allow;
    return add_value(dsl::trim_json(found->front()), column, type);
  }

  Problem add_value(Slice value, const dsl::AnswerColumn& column, const SqlType& type) {
    const JsonKind kind = dsl::json_kind(value);
    const auto wrong = [&](const char* expected) -> Problem {
      return column.name + " must be " + expected + " (" + column.type + "), found " + kind_name(value);
    };
    switch (type.kind) {
      case SqlType::Kind::kJson:
        break;
      case SqlType::Kind::kText:
        if (kind != JsonKind::kArray && kind != JsonKind::kObject) break;
        dsl::append_json_string(rows_, value);
        return std::nullopt;
      case SqlType::Kind::kBool:
        if (kind != JsonKind::kBool) return wrong("true or false");
        break;
      case SqlType::Kind::kInteger:
      case SqlType::Kind::kSmallint:
      case SqlType::Kind::kBigint:
      case SqlType::Kind::kNumeric:
      case SqlType::Kind::kFloat:
        if (kind != JsonKind::kNumber && kind != JsonKind::kString) return wrong("a number");
        break;
      case SqlType::Kind::kArray:
        if (kind == JsonKind::kArray) break;
        if (kind != JsonKind::kString || dsl::sql_type(type.element).kind != SqlType::Kind::kFloat)
          return wrong("an array");
        return add_floats(value, column, false);
      case SqlType::Kind::kOther:
        if (kind == JsonKind::kString && is_vector(column.type) && !dsl::json_text(value).starts_with('['))
          return add_floats(value, column, true);
        if (kind != JsonKind::kArray) break;
        dsl::append_json_string(rows_, value);  // a vector's text is that of a JSON array
        return std::nullopt;
    }
    rows_ += value;
    return std::nullopt;
  }

  Problem add_floats(Slice value, const dsl::AnswerColumn& column, bool as_text) {
    std::string numbers;
    const auto bytes = base64_decode(dsl::json_text(value));
    if (!bytes || !append_floats(numbers, *bytes)) {
      return column.name + " must be an array or the base64 of float32 numbers (" + column.type +
             "), found another string";
    }
    if (as_text) {
      dsl::append_json_string(rows_, numbers);
    } else {
      rows_ += numbers;
    }
    return std::nullopt;
  }

  const std::vector<dsl::AnswerColumn>& columns_;
  std::vector<SqlType> types_;
  std::string rows_;
  std::int64_t count_ = 0;
};

}  // namespace

Expected<std::string, std::string> read_answer_rows(Slice json, const dsl::JsonPath& rows,
                                                    const std::vector<dsl::AnswerColumn>& columns) {
  const auto found = follow_all(json, rows);
  if (!found) return Unexpected{"rows: " + found.error()};
  RowWriter writer(columns);
  for (const Slice row : *found) {
    if (auto problem = writer.add(row)) return Unexpected{std::move(*problem)};
  }
  return writer.finish();
}

}  // namespace durabled::daemon
