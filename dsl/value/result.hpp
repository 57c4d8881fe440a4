// A step's result: immutable JSON text, shared by every name bound to it, parsed at most once and only when a
// reference or a truth test looks inside. Shapes: docs/language.md, "Results".
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dsl/value/byte_meter.hpp"
#include "dsl/value/json_index.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {

struct ResultColumn {
  std::string name;
  std::string type;  // as the result says; not to be trusted as SQL, see value/type_name.hpp
};

// The parts of a row set, or of the row sets that an array of results holds, as slices of the result's JSON.
class RowSet {
 public:
  std::vector<ResultColumn> columns;
  std::vector<std::string_view> row_lists;    // the arrays of rows, one after the other
  std::optional<std::string_view> first_row;  // the object; empty when there are no rows
  std::optional<std::string_view> row_count, affected;

  const ResultColumn* column(std::string_view name) const;
  // Calls `visit` with each row, in order.
  template <typename Visitor>
  void visit_rows(Visitor visit) const {
    for (const std::string_view list : row_lists) {
      for (JsonWalker walker(list); walker.next();) visit(walker.value());
    }
  }
  bool has_several_rows() const;
  // The rows as one JSON array.
  std::string rows_json() const;
  // The cell of the first row, and those of all rows; "null" where a row lacks the column. The first call
  // walks the rows, later ones do not. `column` is one of `columns`. Not thread-safe.
  std::string_view first_cell(const ResultColumn& column) const;
  std::vector<std::string_view> cells(const ResultColumn& column) const;

 private:
  struct Slice {
    const char* begin = nullptr;
    std::uint32_t size = 0;
  };
  std::size_t number_of(const ResultColumn& column) const {
    return static_cast<std::size_t>(&column - columns.data());
  }
  template <typename Store>
  void read_row(std::string_view row, Store store) const;

  mutable std::unordered_map<std::string_view, std::size_t> by_name_;
  mutable std::vector<std::string_view> first_cells_;
  mutable std::vector<Slice> cells_;  // of all rows, row by row
  mutable bool has_cells_ = false;
};

// Reading a result needs no lock of the caller's: what is read of it lazily is behind a lock of its own.
class Result {
 public:
  // Requires: `json` is valid JSON text (UTF-8).
  explicit Result(std::string json) : json_(std::move(json)) {}
  // Its bytes are charged to `meter` while it lives. `is_document`: it is no row set, whatever it looks like.
  Result(std::string json, std::shared_ptr<ByteMeter> meter, bool is_document = false)
      : json_(std::move(json)),
        charge_(std::move(meter), json_.size() + sizeof(Result)),
        is_scanned_(is_document) {}
  // What was read of the old text points into it, so a move starts afresh.
  Result(Result&& other) noexcept : json_(std::move(other.json_)) {}
  Result& operator=(Result&& other) noexcept;
  ~Result() = default;

  const std::string& json() const { return json_; }
  // Parsed on first use; objects keep their order. Numbers beyond 64 bits lose digits (Boost.JSON), which is
  // why references are cut out of json() instead. JSON nested deeper than 1024 levels, or with a number that
  // no double holds, reads as null.
  const boost::json::value& value() const;
  // True for {"rows":[…], "row_count", "columns":[{"name","type"}…], "affected"}. The counts may be missing
  // when there are columns (row items).
  bool is_row_set() const { return row_set() != nullptr; }
  // Found on first use by a scan of the text; nullptr for anything that is not a row set. Lives as long as
  // this object.
  const RowSet* row_set() const;
  // The rows of an array whose elements are row sets with the same columns, or null: what a join or for_each
  // of SQL steps returns. A pointer that lives as long as this object, or why there are no such rows.
  struct Rows {
    const RowSet* set = nullptr;
    std::string problem;  // "is not the result of a SQL step, so it has no rows"
  };
  Rows all_rows() const;

  // For readers that ask a row set or index() for more than its plain members.
  std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }
  JsonIndex& index() const;  // under lock()

 private:
  const RowSet* scanned() const;  // under the lock

  std::string json_;
  ByteCharge charge_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<boost::json::value> parsed_;
  mutable std::unique_ptr<RowSet> row_set_, part_rows_;
  mutable std::unique_ptr<JsonIndex> index_;
  mutable std::string problem_;
  mutable bool is_scanned_ = false;
};

using ResultPtr = std::shared_ptr<const Result>;

// Values of {name}; raw text.
using Variables = std::map<std::string, std::string, std::less<>>;

// docs/language.md, "Truth". Total: any JSON is true or false.
bool is_true(const Result& result);
// Whether a row set has rows; false for anything that is not a row set.
bool has_rows(const Result& result);

}  // namespace durabled::dsl
