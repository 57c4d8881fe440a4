// A step's result: immutable JSON text, shared by every name bound to it, parsed at most once and only when a
// reference or a truth test looks inside. Shapes: LANGUAGE section 4.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace durabled::dsl {

struct ResultColumn {
  std::string name;
  std::string type;  // as the result says; not to be trusted as SQL, see value/type_name.hpp
};

// The parts of a row set, as slices of the result's JSON.
struct RowSet {
  std::vector<ResultColumn> columns;
  std::string_view rows;                      // the array
  std::optional<std::string_view> first_row;  // the object; none when there are no rows
  std::optional<std::string_view> row_count, affected;

  const ResultColumn* column(std::string_view name) const;
};

class Result {
 public:
  // Requires: `json` is valid JSON text (UTF-8).
  explicit Result(std::string json) : json_(std::move(json)) {}
  // What was read of the old text points into it, so a move starts afresh.
  Result(Result&& other) noexcept : json_(std::move(other.json_)) {}
  Result& operator=(Result&& other) noexcept;
  ~Result() = default;

  const std::string& json() const { return json_; }
  // Parsed on first use; objects keep their order. Numbers beyond 64 bits lose digits (Boost.JSON), which is
  // why references are cut out of json() instead. JSON nested deeper than 1024 levels, or with a number that
  // no double holds, reads as null. Not thread-safe: an instance belongs to one thread at a time.
  const boost::json::value& value() const;
  // True for {"rows":[…], "row_count", "columns":[{"name","type"}…], "affected"}. The counts may be missing
  // when there are columns (row items).
  bool is_row_set() const { return row_set() != nullptr; }
  // Found on first use by a scan of the text; nullptr for anything that is not a row set. Lives as long as
  // this object.
  const RowSet* row_set() const;

 private:
  std::string json_;
  mutable std::unique_ptr<boost::json::value> parsed_;
  mutable std::unique_ptr<RowSet> row_set_;
  mutable bool is_scanned_ = false;
};

using ResultPtr = std::shared_ptr<const Result>;

// Values of {name}; raw text.
using Variables = std::map<std::string, std::string, std::less<>>;

// LANGUAGE "Truth". Total: any JSON is true or false.
bool is_true(const Result& result);
// Whether a row set has rows; false for anything that is not a row set.
bool has_rows(const Result& result);

}  // namespace durabled::dsl
