// docs/reference.md is made from the schema itself, its comments included: ./dev reference writes it, and this test
// says when that is due.
#include <sstream>

#include "tests/sql_door/written.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// Words of `text` in lines of at most 110 columns.
std::string wrapped(const std::string& text) {
  constexpr std::size_t kWidth = 110;
  std::istringstream words(text);
  std::string all, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
      all += line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return all + line + '\n';
}

// A cell of a table.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

// What has no comment is named as such, and no reference may hold it.
const char* const kNothing = "(no description)";

std::string relations(Sql& sql) {
  std::string text;
  for (const Row& table :
       sql.exec("select c.oid, c.relname, case c.relkind when 'v' then 'view' else 'table' end, "
                "coalesce(obj_description(c.oid, 'pg_class'), $1) from pg_class c where c.relnamespace = "
                "'df'::regnamespace and c.relkind in ('r', 'v') and (c.relname !~ '^_' or c.relname = "
                "'_worker_epoch') "
                "order by c.relname = '_worker_epoch', c.relname",
                kNothing)) {
    text += "### df." + *table[1] + " (" + *table[2] + ")\n\n" + wrapped(*table[3] + '.') +
            "\n| column | type | |\n|---|---|---|\n";
    for (const Row& column : sql.exec("select a.attname, format_type(a.atttypid, a.atttypmod), "
                                      "coalesce(col_description(a.attrelid, a.attnum), "
                                      "$2) from pg_attribute a where a.attrelid = $1::oid and a.attnum > 0 "
                                      "and not a.attisdropped order by "
                                      "a.attnum",
                                      *table[0], kNothing)) {
      text += "| `" + *column[0] + "` | " + *column[1] + " | " + cell(*column[2]) + " |\n";
    }
    text += '\n';
  }
  return text;
}

std::string functions(Sql& sql) {
  std::string text, before;
  for (const Row& function :
       sql.exec("select p.proname, regexp_replace(pg_get_function_arguments(p.oid), '(DEFAULT "
                "[^,:]+)::[a-z]+', '\\1', 'g'), "
                "pg_get_function_result(p.oid), "
                "coalesce(obj_description(p.oid, 'pg_proc'), $1) from pg_proc p where p.pronamespace = "
                "'df'::regnamespace "
                "and p.proname !~ '^_' and p.prorettype <> 'trigger'::regtype order by p.proname, p.pronargs "
                "desc, "
                "pg_get_function_arguments(p.oid) collate \"C\"",
                kNothing)) {
    if (*function[0] != before) text += "### df." + *function[0] + "\n\n";
    before = *function[0];
    text += "```\n" + wrapped("df." + *function[0] + '(' + *function[1] + ") → " + *function[2]) + "```\n\n" +
            wrapped(*function[3] + '.') + '\n';
  }
  return text;
}

std::string operators(Sql& sql) {
  std::string text = "| operator | meaning |\n|---|---|\n";
  for (const Row& row : sql.exec(
           "select distinct on (o.oprname, o.oprleft = 0) case when o.oprleft = 0 then o.oprname || ' a' "
           "else 'a ' || "
           "o.oprname || ' b' end, coalesce(obj_description(o.oid, 'pg_operator'), 'df.' || p.proname) "
           "from pg_operator o join pg_proc p on p.oid = o.oprcode where p.pronamespace = 'df'::regnamespace "
           "order by o.oprname, o.oprleft = 0, o.oid"))
    text += "| `" + cell(*row[0]) + "` | " + cell(*row[1]) + " |\n";
  return text + '\n';
}

std::string reference(Sql& sql) {
  return "# Reference of the schema `df`\n\n" +
         wrapped(
             "Every table, view, function and operator that people use, from the schema's own comments "
             "(`\\d+ df.*` "
             "and `\\df+ df.*` show the same in psql). Written by `./dev reference`: change the comments in "
             "`sql_schema/`, not this file. What begins with an underscore is not for use, and may change.") +
         "\n" +
         wrapped(
             "Every function that takes the id of an instance raises `Instance not found or access denied: "
             "ID` "
             "(SQLSTATE P0002) for an instance that is not there or that the caller may not see, unless its "
             "description says otherwise.") +
         "\n## Tables and views\n\n" + relations(sql) + "## Functions\n\n" + functions(sql) +
         "## Operators\n\n" + operators(sql);
}

}  // namespace

TEST_CASE("docs/reference.md is what the schema says of itself") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  const std::string made = reference(sql);
  compare_with_file("docs/reference.md", made);
  CHECK(made.find(kNothing) == std::string::npos);
}
