// tests/sql_door/schema.txt is what the files of sql_schema/ make, one object a line, so that a change of them shows its
// effect in review: ./dev reference writes it, and this test compares it.
#include <algorithm>
#include <vector>

#include "tests/sql_door/written.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// `client` was granted usage, `owner` owns the schema; a query gives one line a row.
const std::vector<std::pair<std::string, std::string>>& sections() {
  static const std::vector<std::pair<std::string, std::string>> all{
      {"Tables, views and composite types",
       R"(select format('%s %s%s', case c.relkind when 'r' then 'table' when 'v' then 'view' else 'type' end, c.relname,
              ' ' || array_to_string(c.reloptions, ' '))
            || case when c.relkind = 'r' and not c.relrowsecurity then ' without row security' else '' end,
            (select string_agg(format(E'\n  %s %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                 case when a.attnotnull then ' not null' else '' end
                 || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
                 || case when a.attidentity <> '' then ' identity' else '' end), '' order by a.attnum)
             from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
          from pg_class c where c.relnamespace = 'df'::regnamespace and c.relkind in ('r', 'v', 'c'))"},
      {"Constraints",
       R"(select format('%s: %s', c.conrelid::regclass, pg_get_constraintdef(c.oid)) from pg_constraint c
          where c.connamespace = 'df'::regnamespace and c.contype not in ('n', 't'))"},
      {"Indexes",
       R"(select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid
          where c.relnamespace = 'df'::regnamespace)"},
      {"Sequences",
       R"(select c.relname from pg_class c where c.relnamespace = 'df'::regnamespace and c.relkind = 'S')"},
      {"Policies",
       R"(select format('%s %s for %s: %s%s', p.tablename, p.policyname, lower(p.cmd), p.qual, ' check ' || p.with_check)
          from pg_policies p where p.schemaname = 'df')"},
      {"Triggers and rules",
       R"(select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
          where c.relnamespace = 'df'::regnamespace and not t.tgisinternal
          union all
          select format('rule %s on %s', r.rulename, r.ev_class::regclass) from pg_rewrite r join pg_class c on c.oid = r.ev_class
          where c.relnamespace = 'df'::regnamespace and r.rulename <> '_RETURN')"},
      {"Routines",
       R"(select format('%s(%s)%s %s%s%s%s%s', p.proname, pg_get_function_arguments(p.oid),
              ' -> ' || pg_get_function_result(p.oid), l.lanname,
              case p.provolatile when 'i' then ' immutable' when 's' then ' stable' else '' end,
              case when p.proisstrict then ' strict' else '' end,
              case when p.prosecdef then ' security definer' else '' end,
              ' ' || array_to_string(p.proconfig, '; '))
          from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = 'df'::regnamespace)"},
      {"What a client may do",
       R"(select format('%s: %s', c.relname, string_agg(distinct lower(a.privilege_type), ', ' order by lower(a.privilege_type)))
          from pg_class c cross join aclexplode(c.relacl) a where c.relnamespace = 'df'::regnamespace
            and a.grantee = 'schema_client'::regrole group by c.relname
          union all
          select format('%s (%s): %s', c.relname, string_agg(t.attname, ', ' order by t.attname), lower(a.privilege_type))
          from pg_class c join pg_attribute t on t.attrelid = c.oid cross join aclexplode(t.attacl) a
          where c.relnamespace = 'df'::regnamespace and a.grantee = 'schema_client'::regrole group by c.relname, a.privilege_type
          union all
          select format('execute %s', p.proname) from pg_proc p cross join aclexplode(p.proacl) a
          where p.pronamespace = 'df'::regnamespace and a.grantee = 'schema_client'::regrole group by p.proname)"}};
  return all;
}

}  // namespace

TEST_CASE("tests/sql_door/schema.txt is what the files of the schema make") {
  const TestDatabase database = fresh_database();
  database.server().create_role("schema_client");
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('schema_client', include_http => true)");
  std::string made = "The schema df, written by ./dev reference: change sql_schema/, not this file.\n";
  for (const auto& [title, query] : sections()) {
    made += "\n" + title + "\n\n";
    std::vector<std::string> lines;  // sorted here, because servers have different collations
    for (const Row& row : sql.exec(query)) {
      lines.emplace_back();
      for (const Value& part : row) lines.back() += part.value_or("");
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& line : lines) made += line + '\n';
  }
  compare_with_file("tests/sql_door/schema.txt", made);
}
