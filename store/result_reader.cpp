#include "store/result_reader.hpp"

#include <algorithm>
#include <set>

#include "dsl/value/json_writer.hpp"

namespace durabled::store {

void ResultReader::add(PGresultPtr result) {
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK) {
    if (!has_columns_) read_columns(result.get());
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      for (int column = 0; column < PQnfields(result.get()); ++column) {
        bytes_ += static_cast<std::size_t>(PQgetlength(result.get(), row, column));
      }
    }
    row_count_ += PQntuples(result.get());
  }
  if (status != PGRES_SINGLE_TUPLE) {
    const char* count = PQcmdTuples(result.get());
    if (*count != '\0') affected_ = count;
  }
  if (too_large()) {
    rows_.clear();
    waiting_.clear();
  } else if (PQntuples(result.get()) > 0) {
    if (unknown_types().empty()) {
      append_rows(result.get());
    } else {
      waiting_.push_back(std::move(result));
    }
  }
}

void ResultReader::read_columns(const PGresult* result) {
  has_columns_ = true;
  for (int i = 0; i < PQnfields(result); ++i) {
    columns_.push_back({PQfname(result, i), PQftype(result, i)});
    std::string key;
    dsl::append_json_string(key, columns_.back().name);
    keys_.push_back(key + ':');
  }
}

std::vector<dsl::TypeOid> ResultReader::unknown_types() const {
  std::vector<dsl::TypeOid> unknown;
  for (const Column& column : columns_) {
    if (catalog_.find(column.type) == nullptr) unknown.push_back(column.type);
  }
  return unknown;
}

void ResultReader::resolve() {
  for (const PGresultPtr& result : waiting_) append_rows(result.get());
  waiting_.clear();
}

void ResultReader::append_rows(const PGresult* result) {
  for (int row = 0; row < PQntuples(result); ++row) {
    rows_ += rows_.empty() ? '{' : ',';
    if (rows_.size() > 1) rows_ += '{';
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const int column = static_cast<int>(i);
      if (i > 0) rows_ += ',';
      rows_ += keys_[i];
      if (PQgetisnull(result, row, column)) {
        rows_ += "null";
      } else {
        dsl::append_cell_json(
            rows_,
            {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))},
            columns_[i].type, catalog_);
      }
    }
    rows_ += '}';
  }
  bytes_ = std::max(bytes_, rows_.size());
}

std::vector<std::string> ResultReader::duplicate_columns() const {
  std::set<std::string> seen, twice;
  for (const Column& column : columns_) {
    if (!seen.insert(column.name).second) twice.insert(column.name);
  }
  return {twice.begin(), twice.end()};
}

std::string ResultReader::finish() {
  std::string json =
      "{\"rows\":[" + rows_ + "],\"row_count\":" + std::to_string(row_count_) + ",\"columns\":[";
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    json += i > 0 ? ",{\"name\":" : "{\"name\":";
    json.append(keys_[i], 0, keys_[i].size() - 1);
    json += ",\"type\":";
    const dsl::TypeInfo* type = catalog_.find(columns_[i].type);
    dsl::append_json_string(json, type != nullptr ? type->name : "text");
    json += '}';
  }
  return json + "],\"affected\":" + affected_ + "}";
}

}  // namespace durabled::store
