// From libpq results, row by row, to a step's result JSON (docs/language.md, "Results"). Private to store/.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsl/value/pg_types.hpp"

namespace durabled::store {

struct PGresultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PGresultPtr = std::unique_ptr<PGresult, PGresultDeleter>;

class ResultReader {
 public:
  // `catalog` must outlive the reader; types that it lacks keep their rows waiting until resolve().
  ResultReader(const dsl::TypeCatalog& catalog, std::size_t max_bytes)
      : catalog_(catalog), max_bytes_(max_bytes) {}

  // Takes one result of a statement: PGRES_SINGLE_TUPLE, PGRES_TUPLES_OK or PGRES_COMMAND_OK.
  void add(PGresultPtr result);

  bool too_large() const { return bytes_ > max_bytes_; }
  std::size_t bytes() const { return bytes_; }
  // Types of columns that the catalog does not know; empty: finish() may be called.
  std::vector<dsl::TypeOid> unknown_types() const;
  // The catalog has learned them.
  void resolve();

  // Duplicate column names, each once; the step must fail when there are any.
  std::vector<std::string> duplicate_columns() const;
  std::string finish();

 private:
  void read_columns(const PGresult* result);
  void append_rows(const PGresult* result);

  struct Column {
    std::string name;
    dsl::TypeOid type;
  };
  const dsl::TypeCatalog& catalog_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  bool has_columns_ = false;
  std::vector<Column> columns_;
  std::vector<std::string> keys_;     // JSON of each column's name, with colon
  std::vector<PGresultPtr> waiting_;  // rows of types that are not known yet
  std::string rows_;
  long long row_count_ = 0;
  std::string affected_ = "0";
};

}  // namespace durabled::store
