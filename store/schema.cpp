#include "store/schema.hpp"

#include <cstdio>
#include <map>
#include <string_view>

#include "sql_schema/migrations.hpp"
#include "store/guard.hpp"
#include "store/locks.hpp"
#include "store/migration_files.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

constexpr const char* kPlaceholder = "@operator_schema@";
// Upgrades exclude each other by a lock that clients cannot take: they may lock no table of df in this mode.
constexpr const char* kMigrationLock = "lock table df.schema_migrations in share row exclusive mode";
constexpr const char* kMakeSchemaInScript =
    "do $$ begin if exists (select from pg_namespace where nspname = 'df' and pg_get_userbyid(nspowner) <> "
    "current_user) then\n  raise exception 'there is a schema df of another role'; end if; end $$;\n"
    "create schema if not exists df;\n";

constexpr const char* kLockNotAvailable = "55P03";
constexpr const char* kDependentObjects = "2BP01";
constexpr const char* kDuplicate = "23505";
constexpr const char* kDuplicateSchema = "42P06";

// Takes the operators along, which depend on its functions, and the schemas of AI pipelines, whose functions call it.
constexpr const char* kUninstall =
    "do $$ declare s name; begin\n"
    "  for s in select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace\n"
    "    where c.relname = '_durabled_ai' and c.relkind = 'r' and c.relowner = n.nspowner\n"
    "    and n.nspowner = (select d.nspowner from pg_namespace d where d.nspname = 'df') loop\n"
    "    execute format('drop schema %I cascade', s);\n"
    "  end loop;\nend $$;\n"
    "drop schema if exists df cascade";

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
  if (!find_trusted_schema(transaction) ||
      transaction.exec("select to_regclass('df.schema_migrations')")[0][0].is_null())
    return 0;
  return transaction.exec("select coalesce(max(number), 0) from df.schema_migrations")[0][0].as<int>();
}

std::string record_sql(const sql_schema::Migration& migration) {
  return "insert into df.schema_migrations (number, name, checksum) values (" +
         std::to_string(migration.number) + ", '" + migration.name + "', '" + checksum(migration) + "')";
}

// The migration that another build installed in another form, or "". A schema from before there were checksums
// has no checksum, and so differs.
std::string differing_migration(pqxx::transaction_base& transaction) {
  std::map<int, std::string> installed;
  for (const pqxx::row& row : transaction.exec(
           "select m.number, coalesce(to_jsonb(m) ->> 'checksum', '') from df.schema_migrations m"))
    installed[row[0].as<int>()] = row[1].c_str();
  for (const sql_schema::Migration& migration : sql_schema::migrations()) {
    if (installed[migration.number] != checksum(migration)) return migration.name;
  }
  return "";
}

[[noreturn]] void refuse_newer(int installed) {
  throw StoreError(StoreError::Kind::kPermanent, "schema",
                   "the schema df has version " + std::to_string(installed) +
                       ", newer than this durabled knows (" + std::to_string(known_version()) +
                       "); install a newer durabled");
}

}  // namespace

std::string checksum(const sql_schema::Migration& migration) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : std::string_view(migration.sql)) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

bool find_trusted_schema(pqxx::transaction_base& transaction) {
  // The session's role too: the owner of a database can have every session of it begin with another one.
  const pqxx::result found = transaction.exec(
      "select pg_catalog.quote_ident(o.rolname), pg_catalog.quote_ident(m.rolname) "
      "from pg_catalog.pg_namespace n join pg_catalog.pg_roles o on o.oid operator(pg_catalog.=) n.nspowner "
      "left join pg_catalog.pg_roles m on m.rolsuper and not o.rolsuper "
      "and (m.rolname operator(pg_catalog.=) current_user or m.rolname operator(pg_catalog.=) session_user) "
      "where n.nspname operator(pg_catalog.=) 'df'::pg_catalog.name limit 1");
  if (found.empty()) return false;
  if (found[0][1].is_null()) return true;
  const std::string owner = found[0][0].c_str();
  throw StoreError(StoreError::Kind::kPermanent, "schema",
                   "the schema df belongs to role " + owner + ", and role " + found[0][1].c_str() +
                       " is a superuser: functions that " + owner +
                       " defined there would run with a superuser's rights\nhint: Log in as " + owner +
                       ", or as a role that it has let in with df.grant_usage.");
}

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
  if (installed == known_version()) {
    const std::string differing = differing_migration(session);
    if (differing.empty()) return;
    throw StoreError(StoreError::Kind::kPermanent, "schema",
                     "the schema df was installed by another build of durabled, whose " + differing +
                         " differs; run that build, use another database, or make the schema again (durabled "
                         "uninstall and durabled init: workflows and their history are lost)");
  }
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

namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw StoreError(StoreError::Kind::kPermanent, "schema", message);
}

// Without it nothing of the schema can be looked at, not even its version.
void require_usage(pqxx::work& work) {
  const pqxx::result hidden = work.exec(
      "select pg_get_userbyid(n.nspowner) from pg_namespace n "
      "where n.nspname = 'df' and not has_schema_privilege(n.oid, 'usage')");
  if (!hidden.empty())
    refuse("the schema df belongs to role " + std::string(hidden[0][0].c_str()) + "; log in as that role");
}

// What init needs, looked at beforehand: PostgreSQL's own message does not say which GRANT is missing.
void require_rights_to_install(pqxx::work& work, const SchemaOptions& options) {
  const pqxx::row row =
      exec_params(work,
                  "select quote_ident(current_user), quote_ident(current_database()), "
                  "exists (select from pg_namespace where nspname = 'df') or "
                  "has_database_privilege(current_database(), 'create'), "
                  "quote_ident($1), (select has_schema_privilege(oid, 'create') and "
                  "has_schema_privilege(oid, 'usage') from pg_namespace where nspname = $1)",
                  options.operator_schema)[0];
  const std::string role = row[0].c_str(), database = row[1].c_str(), schema = row[3].c_str();
  if (!row[2].as<bool>()) {
    refuse("role " + role + " may not create a schema in database " + database +
           "\nhint: a superuser or the owner of the database can allow it: GRANT CREATE ON DATABASE " +
           database + " TO " + role + ";");
  }
  if (row[4].is_null()) {
    refuse("there is no schema " + schema + " for the operators\nhint: CREATE SCHEMA " + schema +
           "; or choose another one with --operator-schema.");
  }
  if (!row[4].as<bool>()) {
    refuse("role " + role + " may not create the operators in schema " + schema +
           "\nhint: its owner can allow it: GRANT USAGE, CREATE ON SCHEMA " + schema + " TO " + role +
           "; or choose another schema with --operator-schema.");
  }
}

// Makes the schema, or takes an empty one that the role owns. Whoever owns it or may create objects in it could
// change what is installed into it.
void make_schema(pqxx::work& work) {
  const pqxx::result found = work.exec(
      "select quote_ident(pg_get_userbyid(n.nspowner)), pg_get_userbyid(n.nspowner) = current_user, "
      "(select string_agg(quote_ident(coalesce(r.rolname, 'public')), ', ') from aclexplode(n.nspacl) a "
      "left join pg_roles r on r.oid = a.grantee where a.privilege_type = 'CREATE' and a.grantee <> "
      "n.nspowner) "
      "from pg_namespace n where n.nspname = 'df'");
  if (!found.empty() && !found[0][1].as<bool>()) {
    refuse("there is a schema df already, of role " + std::string(found[0][0].c_str()) +
           "; durabled installs only into a schema of its own");
  }
  if (!found.empty() && !found[0][2].is_null()) {
    refuse("there is a schema df already, in which others may create objects: " +
           std::string(found[0][2].c_str()) + "\nhint: REVOKE CREATE ON SCHEMA df FROM …;");
  }
  if (found.empty()) work.exec("create schema df");
}

// An upgrade belongs to the schema's owner, also when another member runs it.
void become_owner(pqxx::work& work) {
  const pqxx::row owner = work.exec(
      "select quote_ident(pg_get_userbyid(nspowner)), pg_has_role(nspowner, 'member'), "
      "pg_get_userbyid(nspowner) = current_user from pg_namespace where nspname = 'df'")[0];
  const std::string name = owner[0].c_str();
  if (!owner[1].as<bool>()) refuse("the schema df belongs to role " + name + "; log in as that role");
  if (!owner[2].as<bool>()) work.exec("set local role " + name);
}

void apply(pqxx::work& work, const sql_schema::Migration& migration, const SchemaOptions& options) {
  try {
    work.exec(migration_sql(migration, options));
    work.exec(record_sql(migration));
  } catch (const pqxx::sql_error& e) {
    if (e.sqlstate() == kLockNotAvailable) throw;
    std::string message = e.what();
    if (e.sqlstate() == kDependentObjects) {
      message += "hint: Drop what is named above, and make it again after the upgrade. Nothing was changed.";
    }
    throw StoreError(StoreError::Kind::kPermanent, "migration " + migration.name, message, e.sqlstate());
  }
}

}  // namespace

std::vector<std::string> migrate(const std::string& conninfo, const SchemaOptions& options) {
  return guarded("install schema", [&] {
    pqxx::connection connection(conninfo);
    try {
      Transaction work(connection, "set local client_min_messages = warning; set local lock_timeout = " +
                                       std::to_string(options.lock_timeout.count()));
      require_usage(work);
      if (installed_version(work) == 0) {
        require_rights_to_install(work, options);
        make_schema(work);  // another one that does the same waits here
      } else {
        become_owner(work);
        work.exec(kMigrationLock);
      }
      const int installed = installed_version(work);
      if (installed > known_version()) refuse_newer(installed);
      std::vector<std::string> applied;
      for (const sql_schema::Migration& migration : sql_schema::migrations()) {
        if (migration.number <= installed) continue;
        apply(work, migration, options);
        applied.push_back(migration.name);
      }
      work.commit();
      return applied;
    } catch (const pqxx::sql_error& e) {
      if (e.sqlstate() == kDuplicate || e.sqlstate() == kDuplicateSchema)
        refuse("another session installed the schema df at the same time; look with: durabled doctor");
      if (e.sqlstate() != kLockNotAvailable) throw;
      pqxx::connection another(conninfo);
      Transaction look(another);
      const std::string holders = lock_holders(look);
      refuse("waited " + std::to_string(options.lock_timeout.count()) +
             " ms for the tables of the schema df" +
             (holders.empty() ? ", which other sessions had locked" : ", held by " + holders) +
             "\nhint: Let these end, or end them with pg_terminate_backend; then try again.");
    }
  });
}

InstallFacts install_facts(const std::string& conninfo) {
  return guarded("look at the schema", [&] {
    pqxx::connection connection(conninfo);
    Transaction work(connection);
    const pqxx::row row = work.exec(
        "select current_user, current_setting('is_superuser') = 'on', exists (select from pg_roles where "
        "rolname = 'df_operator')")[0];
    InstallFacts facts;
    facts.role = row[0].c_str();
    facts.is_superuser = row[1].as<bool>();
    facts.operator_exists = row[2].as<bool>();
    if (installed_version(work) == known_version()) {
      facts.operator_known =
          !work.exec("select from df._operator o join pg_roles r on r.oid = o.role").empty();
    }
    return facts;
  });
}

RenewedInstallation renew_installation(const std::string& conninfo) {
  return guarded("renew the installation", [&] {
    pqxx::connection connection(conninfo);
    require_current_schema(connection);
    Transaction work(connection, "set local lock_timeout = '30s'");
    const pqxx::row row = work.exec("select before, after, daemons from df._renew_installation()")[0];
    RenewedInstallation renewed{row[0].c_str(), row[1].c_str(), row[2].as<int>()};
    work.commit();
    return renewed;
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
  script += "\\set ON_ERROR_STOP on\nbegin;\n" + std::string(kOwnNamesOnly) + ";\n";
  script += installed == 0 ? std::string(kMakeSchemaInScript)
                           : std::string(kMigrationLock) + ";\n" +
                                 "do $$ begin if (select max(number) from df.schema_migrations) <> " + from +
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

namespace {

// A schema df that somebody made for something else is not dropped.
void require_ours(pqxx::transaction_base& work) {
  if (!find_trusted_schema(work)) return;  // nothing to drop
  const pqxx::result ours = work.exec(
      "select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'df' and "
      "c.relname = 'schema_migrations' and c.relkind = 'r' and c.relowner = n.nspowner");
  if (ours.empty()) refuse("there is a schema df, but durabled did not install it: it stays");
}

}  // namespace

void uninstall(const std::string& conninfo) {
  guarded("uninstall schema", [&] {
    pqxx::connection connection(conninfo);
    Transaction work(connection);
    require_ours(work);
    work.exec("set local client_min_messages = warning");
    work.exec(kUninstall);
    work.commit();
  });
}

}  // namespace durabled::store
