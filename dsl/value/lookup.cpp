#include "dsl/value/lookup.hpp"

#include <algorithm>

#include "dsl/value/characters.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxListed = 50;

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMaxListed; ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kMaxListed ? text + ", …" : text;
}

std::string quoted(const std::string& name) {
  return "\"" + name + "\"";
}

Unexpected<SubstitutionError> failure(std::string message, std::string hint = {}) {
  return {SubstitutionError{std::move(message), std::move(hint)}};
}

// The reference up to `parts` elements of its path.
std::string spelling(const Reference& reference, std::size_t parts) {
  Reference part;
  part.name = reference.name;
  part.path.assign(reference.path.begin(), reference.path.begin() + static_cast<std::ptrdiff_t>(parts));
  return part.spelling();
}

Unexpected<SubstitutionError> no_column(const Reference& reference, const RowSet& set) {
  std::vector<std::string> names;
  for (const ResultColumn& column : set.columns) names.push_back(column.name);
  return failure("$" + reference.name + " has no column " + quoted(reference.path.front()) +
                 (names.empty() ? "; it has no columns" : "; it has: " + list(names)));
}

Unexpected<SubstitutionError> no_part(const Reference& reference, std::size_t depth, std::string_view json) {
  const std::string what = spelling(reference, depth);
  const std::string& part = reference.path[depth];
  std::vector<std::string> keys;
  std::size_t count = 0;
  for (JsonWalker walker(json); walker.next(); ++count) {
    if (json_kind(json) == JsonKind::kObject && count <= kMaxListed) keys.push_back(walker.key());
  }
  if (json_kind(json) == JsonKind::kObject) {
    return failure(what + " has no field " + quoted(part) +
                   (keys.empty() ? "; it has no fields" : "; it has: " + list(keys)));
  }
  if (json_kind(json) == JsonKind::kArray) {
    return failure(what + " has no element " + quoted(part) + "; it is an array of " + std::to_string(count) +
                   ", counted from 0");
  }
  const std::string hint =
      json_kind(json) == JsonKind::kString
          ? "If its text is JSON, take it apart in SQL: (" + what + ")::jsonb -> '" + part + "'."
          : "";
  return failure(what + " is a single value, so it has no field " + quoted(part), hint);
}

std::string allow_null(const Reference& reference) {
  const std::string what = reference.spelling();
  return "Write " + what + "? where there may be no value; inside a string, ${" + what.substr(1) + "?}.";
}

FoundValue null_value() {
  return {"null", {}, true};
}

// Follows the path from its element `depth` on, `json` being what the elements before lead to.
Expected<FoundValue, SubstitutionError> descend(const Reference& reference, const Result& result,
                                                std::string_view json, std::size_t depth) {
  for (;; ++depth) {
    if (json_kind(json) == JsonKind::kNull) {
      if (reference.is_optional) return null_value();
      return failure(spelling(reference, depth) + " is NULL", allow_null(reference));
    }
    if (depth == reference.path.size()) return FoundValue{json, {}, false};
    const auto part = result.index().part(json, reference.path[depth]);
    if (!part) {
      if (reference.is_optional) return null_value();
      return no_part(reference, depth, json);
    }
    json = *part;
  }
}

// $n.row_count and $n.affected; nothing when the result does not say.
std::optional<std::string_view> count_of(const Reference& reference, const RowSet& set) {
  if (reference.path.size() != 1) return std::nullopt;
  if (reference.path[0] == "row_count") return set.row_count;
  if (reference.path[0] == "affected") return set.affected;
  return std::nullopt;
}

Expected<FoundValue, SubstitutionError> find_cell(const Reference& reference, const Result& result,
                                                  const RowSet& set) {
  const bool has_path = !reference.path.empty();
  const ResultColumn* column = nullptr;
  if (has_path) {
    column = set.column(reference.path.front());
    const auto count = column == nullptr ? count_of(reference, set) : std::nullopt;
    if (count) return FoundValue{*count, {}, false};
  } else if (!set.columns.empty()) {
    column = &set.columns.front();
  }
  if (reference.is_optional && (column == nullptr || !set.first_row)) return null_value();
  if (has_path && column == nullptr) return no_column(reference, set);
  if (!set.first_row) return failure("$" + reference.name + " has no rows", allow_null(reference));
  if (column == nullptr) return failure("$" + reference.name + " has no columns");
  auto found = descend(reference, result, set.first_cell(*column), has_path ? 1 : 0);
  if (found && !found->is_null && reference.path.size() <= 1) found->type = column->type;
  return found;
}

Unexpected<SubstitutionError> no_rows_at_all(const Reference& reference, const std::string& problem) {
  return failure(reference.spelling() + ": $" + reference.name + ' ' + problem);
}

}  // namespace

Expected<FoundValue, SubstitutionError> find_value(const Reference& reference, const Result& result) {
  const RowSet* set = result.row_set();
  const auto held = result.lock();
  if (set != nullptr) return find_cell(reference, result, *set);
  if (!reference.path.empty() || reference.is_optional) {
    auto found = descend(reference, result, result.json(), 0);
    if (found && !found->is_null && reference.path.empty()) found->type = "jsonb";
    return found;
  }
  return FoundValue{result.json(), "jsonb", false};
}

Expected<FoundColumn, SubstitutionError> find_column(const Reference& reference, const Result& result) {
  const Result::Rows rows = result.all_rows();
  if (rows.set == nullptr) return no_rows_at_all(reference, rows.problem);
  const auto held = result.lock();
  const RowSet& set = *rows.set;
  if (reference.path.size() > 1) {
    return failure(reference.spelling() + ": only a column can be taken over all rows, not a path into it");
  }
  // No part of the array, so nothing says which columns there would have been.
  if (set.columns.empty() && set.row_lists.empty()) return FoundColumn{};
  if (reference.path.empty() && set.columns.empty()) return failure("$" + reference.name + " has no columns");
  const ResultColumn* column =
      reference.path.empty() ? &set.columns.front() : set.column(reference.path.front());
  if (column == nullptr) return no_column(reference, set);
  return FoundColumn{set.cells(*column), column->type};
}

Expected<const RowSet*, SubstitutionError> find_relation(const Reference& reference, const Result& result) {
  const Result::Rows rows = result.all_rows();
  if (rows.set == nullptr) return no_rows_at_all(reference, rows.problem);
  return rows.set;
}

}  // namespace durabled::dsl
