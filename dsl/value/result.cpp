#include "dsl/value/result.hpp"

#include <algorithm>
#include <cctype>

#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

constexpr std::size_t kMaxDepth = 1024;

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
  set->rows = *rows;
  set->first_row = json_element(*rows, 0);
  if (set->first_row && json_kind(*set->first_row) != JsonKind::kObject) return nullptr;
  return set;
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
  const auto found =
      std::find_if(columns.begin(), columns.end(), [name](const ResultColumn& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

Result& Result::operator=(Result&& other) noexcept {
  json_ = std::move(other.json_);
  parsed_.reset();
  row_set_.reset();
  is_scanned_ = false;
  return *this;
}

const boost::json::value& Result::value() const {
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

const RowSet* Result::row_set() const {
  if (!is_scanned_) {
    row_set_ = scan_row_set(json_);
    is_scanned_ = true;
  }
  return row_set_.get();
}

bool is_true(const Result& result) {
  const RowSet* set = result.row_set();
  if (set == nullptr) return is_true_json(result.json());
  if (!set->first_row || set->columns.empty()) return false;
  const auto cell = json_member(*set->first_row, set->columns.front().name);
  return cell && is_true_json(*cell);
}

bool has_rows(const Result& result) {
  const RowSet* set = result.row_set();
  return set != nullptr && set->first_row.has_value();
}

}  // namespace durabled::dsl
