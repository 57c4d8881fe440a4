#include "store/result_reader.hpp"

#include <boost/json.hpp>
#include <cstdlib>
#include <set>

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

// Runs in the step's session, whose search_path is the step's: every name in it is qualified.
const char* const kTypesQuery = R"sql(
with recursive needed (oid) as (
  select pg_catalog.unnest($1::pg_catalog.oid[])
  union
  select part.oid from needed n join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) n.oid
  cross join lateral (
    select t.typelem where t.typelem operator(pg_catalog.<>) 0 and t.typcategory operator(pg_catalog.=) 'A'
    union all select t.typbasetype where t.typbasetype operator(pg_catalog.<>) 0
    union all select a.atttypid from pg_catalog.pg_attribute a
              where t.typtype operator(pg_catalog.=) 'c' and a.attrelid operator(pg_catalog.=) t.typrelid
                and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped) part (oid))
select t.oid, pg_catalog.format_type(t.oid, null), t.typtype, t.typcategory, t.typelem, coalesce(e.typdelim, ','), t.typbasetype,
       (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::pg_catalog.int8) order by a.attnum)
        from pg_catalog.pg_attribute a
        where t.typtype operator(pg_catalog.=) 'c' and a.attrelid operator(pg_catalog.=) t.typrelid
          and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped)
from needed n join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) n.oid
left join pg_catalog.pg_type e on e.oid operator(pg_catalog.=) t.typelem)sql";

void add_types(const PGresult* result, dsl::TypeCatalog& catalog) {
  std::vector<std::pair<dsl::TypeOid, dsl::TypeOid>> domains;
  const auto oid = [&](int row, int column) {
    return static_cast<dsl::TypeOid>(std::strtoul(PQgetvalue(result, row, column), nullptr, 10));
  };
  for (int row = 0; row < PQntuples(result); ++row) {
    dsl::TypeInfo type;
    type.oid = oid(row, 0);
    if (catalog.find(type.oid) != nullptr) continue;
    type.name = PQgetvalue(result, row, 1);
    const char kind = *PQgetvalue(result, row, 2);
    if (*PQgetvalue(result, row, 3) == 'A' && oid(row, 4) != 0) {
      type.category = dsl::TypeInfo::Category::kArray;
      type.element = oid(row, 4);
      type.delimiter = *PQgetvalue(result, row, 5);
    } else if (kind == 'c') {
      type.category = dsl::TypeInfo::Category::kComposite;
      const boost::json::value fields = boost::json::parse(PQgetvalue(result, row, 7));
      for (const boost::json::value& field : fields.as_array()) {
        type.fields.push_back({std::string(field.at(0).as_string()),
                               static_cast<dsl::TypeOid>(field.at(1).to_number<std::int64_t>())});
      }
    } else if (kind == 'd') {
      domains.emplace_back(type.oid, oid(row, 6));
    }
    catalog.add(std::move(type));
  }
  // A domain reads as what it is over; repeated, because a domain may be over a domain.
  for (std::size_t round = 0; round < domains.size(); ++round) {
    for (const auto& [domain, base] : domains) {
      const dsl::TypeInfo* over = catalog.find(base);
      if (over == nullptr) continue;
      dsl::TypeInfo type = *over;
      type.oid = domain;
      type.name = catalog.find(domain)->name;
      catalog.add(std::move(type));
    }
  }
}

}  // namespace durabled::store
