#include "store/type_reader.hpp"

#include <libpq-fe.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace durabled::store {

// NULLIF, IN and IS DISTINCT FROM would look their operator up in the search_path. What is temporary is gone when the value
// is read back.
const char* const kTypesQuery = R"sql(
with recursive needed (oid) as (
  select pg_catalog.unnest($1::pg_catalog.oid[])
  union
  select part.oid from needed n join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) n.oid
  cross join lateral (
    select t.typelem where t.typelem operator(pg_catalog.<>) 0 and t.typcategory operator(pg_catalog.=) 'A'
    union all select t.typbasetype where t.typbasetype operator(pg_catalog.<>) 0
    union all select r.rngsubtype from pg_catalog.pg_range r
              where r.rngtypid operator(pg_catalog.=) t.oid or r.rngmultitypid operator(pg_catalog.=) t.oid
    union all select a.atttypid from pg_catalog.pg_attribute a
              where t.typtype operator(pg_catalog.=) 'c' and a.attrelid operator(pg_catalog.=) t.typrelid
                and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped) part (oid))
select t.oid,
       case when s.nspname operator(pg_catalog.=) 'pg_catalog' then pg_catalog.format_type(t.oid, null)
            when s.oid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() then 'record'
            else pg_catalog.quote_ident(s.nspname) operator(pg_catalog.||) '.'
                 operator(pg_catalog.||) pg_catalog.quote_ident(t.typname) end,
       t.typtype, t.typcategory, t.typelem, coalesce(e.typdelim, ','), t.typbasetype,
       (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::pg_catalog.int8)
                                            order by a.attnum using operator(pg_catalog.<)), '[]')
        from pg_catalog.pg_attribute a
        where t.typtype operator(pg_catalog.=) 'c' and a.attrelid operator(pg_catalog.=) t.typrelid
          and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped),
       coalesce(r.rngsubtype, 0),
       t.typtype operator(pg_catalog.=) 'd' and not exists (
         select from pg_catalog.pg_roles o
         where o.oid operator(pg_catalog.=) t.typowner
           and (o.rolsuper or o.rolname operator(pg_catalog.=)
                              case when $2 operator(pg_catalog.=) 'none' then session_user else $2::pg_catalog.name end))
from needed n join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) n.oid
join pg_catalog.pg_namespace s on s.oid operator(pg_catalog.=) t.typnamespace
left join pg_catalog.pg_type e on e.oid operator(pg_catalog.=) t.typelem
left join pg_catalog.pg_range r
  on r.rngtypid operator(pg_catalog.=) t.oid or r.rngmultitypid operator(pg_catalog.=) t.oid)sql";

namespace {

using dsl::TypeOid;

// A row of the query. `over`: what an array, a domain or a range is of.
struct ServerType {
  std::string name;
  char kind = 'b', delimiter = ',';
  bool is_array = false, is_strangers_domain = false;
  TypeOid over = 0;
  std::vector<dsl::TypeInfo::Field> fields;
};
using ServerTypes = std::map<TypeOid, ServerType>;

ServerType read_type(const PGresult* result, int row) {
  const auto text = [&](int column) { return PQgetvalue(result, row, column); };
  const auto oid = [&](int column) { return static_cast<TypeOid>(std::strtoul(text(column), nullptr, 10)); };
  ServerType type;
  type.name = text(1);
  type.kind = *text(2);
  type.is_array = *text(3) == 'A' && oid(4) != 0;
  type.delimiter = *text(5);
  type.over = type.is_array ? oid(4) : type.kind == 'd' ? oid(6) : oid(8);
  boost::system::error_code ignored;
  const boost::json::value fields = boost::json::parse(text(7), ignored);
  if (fields.is_array()) {
    for (const boost::json::value& field : fields.get_array())
      type.fields.push_back({std::string(field.at(0).as_string()),
                             static_cast<TypeOid>(field.at(1).to_number<std::int64_t>())});
  }
  type.is_strangers_domain = *text(9) == 't';
  return type;
}

// Whether reading a value of the type in runs the check of a stranger's domain. `seen` ends the walk where a type is made of
// itself.
bool runs_strangers_code(const ServerTypes& types, TypeOid oid, std::set<TypeOid>& seen) {
  const auto found = types.find(oid);
  if (found == types.end() || !seen.insert(oid).second) return false;
  const ServerType& type = found->second;
  if (type.is_strangers_domain || runs_strangers_code(types, type.over, seen)) return true;
  for (const dsl::TypeInfo::Field& field : type.fields) {
    if (runs_strangers_code(types, field.type, seen)) return true;
  }
  return false;
}

constexpr int kMaxDepth = 100;  // of domains over arrays of domains; no catalog has more

// What the type is called where a value is written back.
std::string name_of(const ServerTypes& types, TypeOid oid, const dsl::TypeCatalog& catalog, int depth = 0) {
  const auto found = types.find(oid);
  if (found == types.end() || depth > kMaxDepth) {
    const dsl::TypeInfo* known = catalog.find(oid);
    return known != nullptr && depth <= kMaxDepth ? known->name : "text";
  }
  const ServerType& type = found->second;
  if (type.is_array) {
    std::string element = name_of(types, type.over, catalog, depth + 1);
    return element.ends_with("[]") ? element : element + "[]";
  }
  std::set<TypeOid> seen;
  if (!runs_strangers_code(types, oid, seen)) return type.name;
  if (type.kind == 'd') return name_of(types, type.over, catalog, depth + 1);
  return "record";  // whose values go back as text
}

}  // namespace

void add_types(const pg_result* result, dsl::TypeCatalog& catalog) {
  ServerTypes types;
  for (int row = 0; row < PQntuples(result); ++row) {
    const auto oid = static_cast<TypeOid>(std::strtoul(PQgetvalue(result, row, 0), nullptr, 10));
    if (catalog.find(oid) == nullptr) types.emplace(oid, read_type(result, row));
  }
  std::vector<dsl::TypeInfo> learned;
  for (const auto& [oid, type] : types) {
    dsl::TypeInfo info;
    info.oid = oid;
    info.name = name_of(types, oid, catalog);
    if (type.is_array) {
      info.category = dsl::TypeInfo::Category::kArray;
      info.element = type.over;
      info.delimiter = type.delimiter;
    } else if (type.kind == 'c') {
      info.category = dsl::TypeInfo::Category::kComposite;
      info.fields = type.fields;
    }
    learned.push_back(std::move(info));
  }
  for (dsl::TypeInfo& info : learned) catalog.learn(std::move(info));
  // A domain reads as what it is over; repeated, because a domain may be over a domain.
  for (std::size_t round = 0; round < types.size(); ++round) {
    bool changed = false;
    for (const auto& [oid, type] : types) {
      const dsl::TypeInfo* over = type.kind == 'd' ? catalog.find(type.over) : nullptr;
      const dsl::TypeInfo* own = catalog.find(oid);
      if (over == nullptr || (own->category == over->category && own->element == over->element &&
                              own->fields.size() == over->fields.size()))
        continue;
      dsl::TypeInfo info = *over;
      info.oid = oid;
      info.name = own->name;
      catalog.learn(std::move(info));
      changed = true;
    }
    if (!changed) break;
  }
}

}  // namespace durabled::store
