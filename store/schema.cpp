#include "store/schema.hpp"

#include "sql_schema/migrations.hpp"
#include "store/guard.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

constexpr const char* kPlaceholder = "@operator_schema@";
// Of the class of df._lock_class(), which need not be there yet; no daemon has the number 0.
constexpr const char* kMigrationLock = "1684406273, 0";

// Takes the operators along: they depend on its functions.
constexpr const char* kUninstall = "drop schema if exists df cascade";

std::string quote_identifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string migration_sql(const sql_schema::Migration& migration, const SchemaOptions& options) {
  std::string sql = migration.sql;
  const std::string schema = quote_identifier(options.operator_schema);
  for (std::size_t at = sql.find(kPlaceholder); at != std::string::npos;
       at = sql.find(kPlaceholder, at + schema.size())) {
    sql.replace(at, std::string(kPlaceholder).size(), schema);
  }
  return sql;
}

int known_version() {
  return sql_schema::migrations().back().number;
}

int installed_version(pqxx::transaction_base& transaction) {
  if (transaction.exec("select to_regclass('df.schema_migrations')")[0][0].is_null()) return 0;
  return transaction.exec("select coalesce(max(number), 0) from df.schema_migrations")[0][0].as<int>();
}

std::string record_sql(const sql_schema::Migration& migration) {
  return "insert into df.schema_migrations (number, name) values (" + std::to_string(migration.number) +
         ", '" + migration.name + "')";
}

[[noreturn]] void refuse_newer(int installed) {
  throw StoreError(StoreError::Kind::kPermanent, "schema",
                   "the schema df has version " + std::to_string(installed) +
                       ", newer than this durabled knows (" + std::to_string(known_version()) +
                       "); install a newer durabled");
}

}  // namespace

void require_current_schema(pqxx::connection& connection) {
  Transaction session(connection);
  const pqxx::result owner = session.exec(
      "select pg_catalog.pg_get_userbyid(n.nspowner), current_user from pg_catalog.pg_namespace n "
      "where n.nspname = 'df' and not pg_catalog.pg_has_role(n.nspowner, 'USAGE'::text)");
  if (!owner.empty()) {
    const std::string name = owner[0][0].c_str();
    throw StoreError(StoreError::Kind::kPermanent, "schema",
                     "the schema df belongs to role " + name + ", and this daemon logs in as " +
                         owner[0][1].c_str() + "; it must log in as " + name);
  }
  const int installed = installed_version(session);
  if (installed == known_version()) return;
  if (installed > known_version()) refuse_newer(installed);
  throw StoreError(StoreError::Kind::kPermanent, "schema",
                   installed == 0 ? "the schema df is not installed in this database; run: durabled init"
                                  : "the schema df has version " + std::to_string(installed) +
                                        " and this durabled needs " + std::to_string(known_version()) +
                                        "; run: durabled upgrade");
}

SchemaState schema_state(const std::string& conninfo) {
  return guarded("read schema version", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection);
    return SchemaState{installed_version(session), known_version()};
  });
}

std::vector<std::string> migrate(const std::string& conninfo, const SchemaOptions& options) {
  return guarded("install schema", [&] {
    pqxx::connection connection(conninfo);
    Transaction work(connection);
    work.exec("set local client_min_messages = warning");
    work.exec("set local lock_timeout = '30s'");  // somebody may hold the lock and never let go
    work.exec(std::string("select pg_advisory_xact_lock(") + kMigrationLock + ")");
    const int installed = installed_version(work);
    if (installed > known_version()) refuse_newer(installed);
    std::vector<std::string> applied;
    if (installed == 0) work.exec("create schema if not exists df");
    for (const sql_schema::Migration& migration : sql_schema::migrations()) {
      if (migration.number <= installed) continue;
      try {
        work.exec(migration_sql(migration, options));
      } catch (const pqxx::sql_error& e) {
        throw StoreError(StoreError::Kind::kPermanent, "migration " + migration.name, e.what(), e.sqlstate());
      }
      work.exec(record_sql(migration));
      applied.push_back(migration.name);
    }
    work.commit();
    return applied;
  });
}

std::string print_schema(const SchemaOptions& options, int installed) {
  if (installed > known_version()) refuse_newer(installed);
  const std::string from = std::to_string(installed), to = std::to_string(known_version());
  if (installed == known_version()) return "-- The schema df of durabled has version " + to + " already.\n";
  std::string script = installed == 0 ? "-- The schema df of durabled, version " + to +
                                            ". Run it with psql, as the role that shall own it.\n"
                                      : "-- The schema df of durabled, from version " + from + " to " + to +
                                            ". Run it with psql, as the role that owns it.\n";
  script += "\\set ON_ERROR_STOP on\nbegin;\n" + std::string(kOwnNamesOnly) +
            ";\nselect pg_advisory_xact_lock(" + std::string(kMigrationLock) + ");\n";
  script += installed == 0 ? "create schema if not exists df;\n"
                           : "do $$ begin if (select max(number) from df.schema_migrations) <> " + from +
                                 " then\n  raise exception 'this script is for version " + from +
                                 " of the schema df'; end if; end $$;\n";
  for (const sql_schema::Migration& migration : sql_schema::migrations()) {
    if (migration.number <= installed) continue;
    script += "\n" + migration_sql(migration, options) + "\n" + record_sql(migration) + ";\n";
  }
  return script + "commit;\n";
}

std::string print_uninstall() {
  return std::string("-- Drops the schema df of durabled with every workflow and its history.\n") +
         kUninstall + ";\n";
}

void uninstall(const std::string& conninfo) {
  guarded("uninstall schema", [&] {
    pqxx::connection connection(conninfo);
    Transaction work(connection);
    work.exec("set local client_min_messages = warning");
    work.exec(kUninstall);
    work.commit();
  });
}

}  // namespace durabled::store
