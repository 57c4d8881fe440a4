#include "dsl/value/result.hpp"

#include <algorithm>
#include <cctype>

#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxDepth = 1024;
constexpr std::size_t kMaxListed = 50;
constexpr std::size_t kFewColumns = 16;  // are searched one by one

std::optional<std::vector<ResultColumn>> read_columns(std::string_view json) {
  std::vector<ResultColumn> columns;
  for (JsonWalker walker(json); walker.next();) {
    const auto name = json_member(walker.value(), "name"), type = json_member(walker.value(), "type");
    if (!name || !type) return std::nullopt;
    if (json_kind(*name) != JsonKind::kString || json_kind(*type) != JsonKind::kString) return std::nullopt;
    columns.push_back({decode_json_string(*name), decode_json_string(*type)});
  }
  return columns;
}

// A document of the user's own can look much like a row set, so every part has to have its shape.
std::unique_ptr<RowSet> scan_row_set(std::string_view json) {
  if (json_kind(json) != JsonKind::kObject) return nullptr;
  std::optional<std::string_view> rows, columns;
  auto set = std::make_unique<RowSet>();
  for (JsonWalker walker(json); walker.next();) {
    const std::string_view key = walker.raw_key();
    if (key == "\"rows\"") rows = walker.value();
    if (key == "\"columns\"") columns = walker.value();
    const bool is_count = json_kind(walker.value()) == JsonKind::kNumber;
    if (key == "\"row_count\"" && is_count) set->row_count = walker.value();
    if (key == "\"affected\"" && is_count) set->affected = walker.value();
  }
  if (!rows || !columns) return nullptr;
  if (json_kind(*rows) != JsonKind::kArray || json_kind(*columns) != JsonKind::kArray) return nullptr;
  auto read = read_columns(*columns);
  if (!read || (read->empty() && !set->row_count)) return nullptr;
  set->columns = std::move(*read);
  set->row_lists = {*rows};
  set->first_row = json_element(*rows, 0);
  if (set->first_row && json_kind(*set->first_row) != JsonKind::kObject) return nullptr;
  return set;
}

bool have_same_columns(const std::vector<ResultColumn>& a, const std::vector<ResultColumn>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ResultColumn& one, const ResultColumn& other) {
                      return one.name == other.name && one.type == other.type;
                    });
}

std::string columns_text(const std::vector<ResultColumn>& columns) {
  std::string text;
  for (std::size_t i = 0; i < columns.size() && i < kMaxListed; ++i)
    text += (i > 0 ? ", " : "") + columns[i].name + ' ' + columns[i].type;
  return columns.size() > kMaxListed ? text + ", …" : text;
}

// The rows of all parts of an array; null, with the reason in `problem`, when a part has no rows.
std::unique_ptr<RowSet> scan_parts(std::string_view json, std::string& problem) {
  problem = "is not the result of a SQL step, so it has no rows";
  if (json_kind(json) != JsonKind::kArray) return nullptr;
  auto all = std::make_unique<RowSet>();
  std::size_t number = 0;
  bool has_part = false;
  for (JsonWalker walker(json); walker.next(); ++number) {
    if (json_kind(walker.value()) == JsonKind::kNull) continue;  // a branch that was not taken
    const auto part = scan_row_set(walker.value());
    if (part == nullptr) {
      problem = "has no rows: its part " + std::to_string(number) + " is not the result of a SQL step";
      return nullptr;
    }
    if (!std::exchange(has_part, true)) all->columns = part->columns;
    if (!have_same_columns(all->columns, part->columns)) {
      problem = "has parts with different columns: part " + std::to_string(number) + " has (" +
                columns_text(part->columns) + ") and those before it (" + columns_text(all->columns) + ")";
      return nullptr;
    }
    all->row_lists.push_back(part->row_lists.front());
    if (!all->first_row) all->first_row = part->first_row;
  }
  return all;
}

// Numeric text equal to zero: 0, -0.00, +.0e5.
bool is_zero_text(std::string_view text) {
  std::size_t i = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  bool has_digit = false, has_point = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '0') {
      has_digit = true;
    } else if (text[i] == '.' && !has_point) {
      has_point = true;
    } else {
      break;
    }
  }
  if (!has_digit) return false;
  if (i == text.size()) return true;
  if (text[i] != 'e' && text[i] != 'E') return false;
  ++i;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const std::string_view exponent = text.substr(i);
  return !exponent.empty() && exponent.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_true_text(std::string text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  text.erase(0, std::min(text.find_first_not_of(kSpace), text.size()));
  text.erase(text.find_last_not_of(kSpace) + 1);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return !(text.empty() || text == "f" || text == "no" || text == "false" || is_zero_text(text));
}

bool is_true_json(std::string_view json) {
  switch (json_kind(json)) {
    case JsonKind::kNull:
      return false;
    case JsonKind::kBool:
      return trim_json(json) == "true";
    case JsonKind::kNumber:
      return !is_zero_text(trim_json(json));
    case JsonKind::kString:
      return is_true_text(decode_json_string(json));
    case JsonKind::kArray:
    case JsonKind::kObject:
      return JsonWalker(json).next();
  }
  return false;
}

}  // namespace

const ResultColumn* RowSet::column(std::string_view name) const {
  if (columns.size() <= kFewColumns) {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [name](const ResultColumn& column) { return column.name == name; });
    return found == columns.end() ? nullptr : &*found;
  }
  if (by_name_.empty()) {
    for (std::size_t i = 0; i < columns.size(); ++i) by_name_.try_emplace(columns[i].name, i);
  }
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &columns[found->second];
}

bool RowSet::has_several_rows() const {
  std::size_t count = 0;
  for (const std::string_view list : row_lists) {
    for (JsonWalker walker(list); count < 2 && walker.next();) ++count;
  }
  return count > 1;
}

std::string RowSet::rows_json() const {
  if (row_lists.size() == 1) return std::string(row_lists.front());
  std::string json = "[";
  visit_rows([&json](std::string_view row) { json.append(json.size() > 1 ? "," : "").append(row); });
  return json + ']';
}

// Calls `store` with the number of the column and the value of each member that is one. Rows hold their
// columns in order; a result that was made up need not.
template <typename Store>
void RowSet::read_row(std::string_view row, Store store) const {
  std::size_t expected = 0;
  for (JsonWalker walker(row); walker.next(); ++expected) {
    const std::string_view raw = walker.raw_key();
    const bool in_order = expected < columns.size() && raw.size() >= 2 &&
                          raw.find('\\') == std::string_view::npos &&
                          raw.substr(1, raw.size() - 2) == columns[expected].name;
    if (in_order) {
      store(expected, walker.value());
    } else if (const ResultColumn* named = column(walker.key())) {
      store(number_of(*named), walker.value());
    }
  }
}

std::string_view RowSet::first_cell(const ResultColumn& column) const {
  if (!first_row) return "null";
  if (first_cells_.empty()) {
    first_cells_.assign(columns.size(), "null");
    read_row(*first_row,
             [this](std::size_t number, std::string_view value) { first_cells_[number] = value; });
  }
  return first_cells_[number_of(column)];
}

std::vector<std::string_view> RowSet::cells(const ResultColumn& column) const {
  if (!std::exchange(has_cells_, true)) {
    visit_rows([this](std::string_view row) {
      const std::size_t base = cells_.size();
      cells_.resize(base + columns.size());
      read_row(row, [&](std::size_t number, std::string_view value) {
        cells_[base + number] = {value.data(), static_cast<std::uint32_t>(value.size())};
      });
    });
  }
  std::vector<std::string_view> values;
  values.reserve(cells_.size() / columns.size());
  for (std::size_t i = number_of(column); i < cells_.size(); i += columns.size()) {
    const Slice& cell = cells_[i];
    values.push_back(cell.begin == nullptr ? "null" : std::string_view(cell.begin, cell.size));
  }
  return values;
}

Result& Result::operator=(Result&& other) noexcept {
  json_ = std::move(other.json_);
  parsed_.reset();
  row_set_.reset();
  part_rows_.reset();
  index_.reset();
  is_scanned_ = false;
  return *this;
}

const boost::json::value& Result::value() const {
  const auto held = lock();
  if (!parsed_) {
    boost::json::parse_options options;
    options.max_depth = kMaxDepth;
    options.allow_invalid_utf8 = true;
    boost::system::error_code error;
    auto value = boost::json::parse(json_, error, {}, options);
    parsed_ = std::make_unique<boost::json::value>(error ? boost::json::value() : std::move(value));
  }
  return *parsed_;
}

const RowSet* Result::scanned() const {
  if (!std::exchange(is_scanned_, true)) row_set_ = scan_row_set(json_);
  return row_set_.get();
}

const RowSet* Result::row_set() const {
  const auto held = lock();
  return scanned();
}

Result::Rows Result::all_rows() const {
  const auto held = lock();
  if (const RowSet* set = scanned()) return {set, {}};
  if (part_rows_ == nullptr && problem_.empty()) part_rows_ = scan_parts(json_, problem_);
  if (part_rows_ != nullptr) return {part_rows_.get(), {}};
  return {nullptr, problem_};
}

JsonIndex& Result::index() const {
  if (index_ == nullptr) index_ = std::make_unique<JsonIndex>(json_);
  return *index_;
}

bool is_true(const Result& result) {
  const RowSet* set = result.row_set();
  if (set == nullptr) return is_true_json(result.json());
  if (!set->first_row || set->columns.empty()) return false;
  const auto held = result.lock();
  return is_true_json(set->first_cell(set->columns.front()));
}

bool has_rows(const Result& result) {
  const RowSet* set = result.row_set();
  return set != nullptr && set->first_row.has_value();
}

}  // namespace durabled::dsl
