#include "store/ai_schema.hpp"

#include <algorithm>

#include "sql_schema/migrations.hpp"
#include "store/guard.hpp"
#include "store/migration_files.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw StoreError(StoreError::Kind::kPermanent, "schema", message);
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// The name is put into SQL without quotes, so it is one that needs none.
void require_plain_name(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 40 &&
                     std::all_of(name.begin(), name.end(), is_name_character) &&
                     !(name[0] >= '0' && name[0] <= '9');
  if (plain && name != "df" && !name.starts_with("pg_")) return;
  refuse("\"" + name +
         "\" cannot be the name of the schema of AI pipelines\nhint: A name of up to 40 lower-case "
         "letters, digits and _, for example durabled_ai.");
}

// The files are written for a schema called ai: each `ai.` that begins a name, and each 'ai'.
std::string named(const std::string& sql, const std::string& name) {
  std::string text;
  for (std::size_t at = 0; at < sql.size();) {
    const bool begins =
        at == 0 || !(is_name_character(sql[at - 1]) || sql[at - 1] == '.' || sql[at - 1] == '-');
    if (begins && sql.compare(at, 3, "ai.") == 0) {
      text += name + '.';
      at += 3;
    } else if (sql.compare(at, 4, "'ai'") == 0) {
      text += '\'' + name + '\'';
      at += 4;
    } else {
      text += sql[at++];
    }
  }
  return text;
}

std::string record_sql(const sql_schema::Migration& migration, const std::string& schema) {
  return "insert into " + schema + "._durabled_ai (number, name, checksum) values (" +
         std::to_string(migration.number) + ", '" + migration.name + "', '" + checksum(migration) + "')";
}

// Ours are those with the table of versions, of the role that owns df.
constexpr const char* kOurs =
    "select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where c.relname = '_durabled_ai' and c.relkind = 'r' and c.relowner = n.nspowner "
    "and n.nspowner = (select d.nspowner from pg_namespace d where d.nspname = 'df')";

bool is_ours(pqxx::transaction_base& work, const std::string& name) {
  return !exec_params(work, std::string(kOurs) + " and n.nspname = $1", name).empty();
}

void become_owner_of_df(pqxx::transaction_base& work) {
  const pqxx::row owner = work.exec(
      "select quote_ident(pg_get_userbyid(nspowner)), pg_has_role(nspowner, 'member') from pg_namespace "
      "where nspname = "
      "'df'")[0];
  if (!owner[1].as<bool>())
    refuse("the schema df belongs to role " + std::string(owner[0].c_str()) + "; log in as that role");
  work.exec("set local role " + std::string(owner[0].c_str()));
}

// Makes the schema, or takes an empty one that the owner of df owns and nobody else may create objects in.
void make_schema(pqxx::transaction_base& work, const std::string& name) {
  const pqxx::result found = exec_params(
      work,
      "select quote_ident(pg_get_userbyid(n.nspowner)), pg_get_userbyid(n.nspowner) = current_user and "
      "not exists (select from pg_class where relnamespace = n.oid) and not exists (select from pg_proc "
      "where "
      "pronamespace = n.oid) and not exists (select from pg_type where typnamespace = n.oid) and not exists "
      "(select "
      "from aclexplode(n.nspacl) a where a.privilege_type = 'CREATE' and a.grantee <> n.nspowner) "
      "from pg_namespace n where n.nspname = $1",
      name);
  if (found.empty()) {
    work.exec("create schema " + name);
  } else if (!found[0][1].as<bool>()) {
    refuse("there is a schema " + name + " already, of role " + std::string(found[0][0].c_str()) +
           ", and durabled did not make it\nhint: Choose another name: durabled init --with-ai --ai-schema "
           "NAME.");
  }
}

int installed_version(pqxx::transaction_base& work, const std::string& name) {
  const auto& files = sql_schema::ai_migrations();
  int installed = 0;
  for (const pqxx::row& row :
       work.exec("select number, coalesce(checksum, '') from " + name + "._durabled_ai order by number")) {
    installed = row[0].as<int>();
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const auto& one) { return one.number == installed; });
    if (file == files.end())
      refuse("the schema " + name + " is newer than this durabled knows; install a newer durabled");
    if (checksum(*file) != row[1].c_str()) {
      refuse("the schema " + name + " was installed by another build of durabled, whose " + file->name +
             " differs\nhint: Run that build; or drop the pipelines and the schema, and install it again.");
    }
  }
  return installed;
}

}  // namespace

std::vector<std::string> install_ai_schema(const std::string& conninfo, const std::string& name) {
  require_plain_name(name);
  return guarded("install the schema of AI pipelines", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection,
                        "set local client_min_messages = warning; set local lock_timeout = '30s'");
    pqxx::work& work = session;
    if (!find_trusted_schema(work))
      refuse("the schema df is not installed in this database; run: durabled init");
    become_owner_of_df(work);
    int installed = 0;
    if (is_ours(work, name)) {
      work.exec("lock table " + name + "._durabled_ai in share row exclusive mode");
      installed = installed_version(work, name);
    } else {
      make_schema(work, name);
    }
    std::vector<std::string> applied;
    for (const sql_schema::Migration& file : sql_schema::ai_migrations()) {
      if (file.number <= installed) continue;
      work.exec(named(file.sql, name));
      work.exec(record_sql(file, name));
      applied.push_back(name + '/' + file.name);
    }
    work.commit();
    return applied;
  });
}

std::string print_ai_schema(const std::string& name) {
  require_plain_name(name);
  std::string script =
      "\n-- The schema " + name + " of durabled's AI pipelines, for the role that owns df.\n";
  script +=
      "\\set ON_ERROR_STOP on\nbegin;\n" + std::string(kOwnNamesOnly) + ";\ncreate schema " + name + ";\n";
  for (const sql_schema::Migration& file : sql_schema::ai_migrations())
    script += "\n" + named(file.sql, name) + "\n" + record_sql(file, name) + ";\n";
  return script + "commit;\n";
}

std::vector<std::string> ai_schemas(const std::string& conninfo) {
  return guarded("find the schema of AI pipelines", [&] {
    pqxx::connection connection(conninfo);
    Transaction work(connection);
    std::vector<std::string> names;
    for (const pqxx::row& row : work.exec(std::string(kOurs) + " order by 1"))
      names.emplace_back(row[0].c_str());
    return names;
  });
}

}  // namespace durabled::store
