// Installing, upgrading and checking the schema.
#include "store/schema.hpp"

#include "store/store_error.hpp"
#include "store/worker_store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled;
using namespace durabled::test;

namespace {

// Why a daemon does not serve the database.
std::string refusal(const std::string& conninfo) {
  try {
    const store::WorkerStore store(conninfo);
  } catch (const store::StoreError& error) {
    CHECK(error.kind() == store::StoreError::Kind::kPermanent);
    return error.what();
  }
  return "";
}

// The script of an installation without what psql alone understands, up to and with that many migrations.
std::string script_of(std::size_t migrations) {
  std::string script = store::print_schema({}, 0);
  const std::string psql = "\\set ON_ERROR_STOP on\n";
  script.erase(script.find(psql), psql.size());
  std::size_t end = 0;
  for (std::size_t i = 0; i < migrations; ++i)
    end = script.find("insert into df.schema_migrations (number,", end) + 1;
  return script.substr(0, script.find(";\n", end) + 2) + "commit";
}

// All functions and columns, in one text.
std::string catalog(Sql& sql) {
  return sql.text(
      "select concat("
      "(select string_agg(concat_ws(' ', p.oid::regprocedure, p.prosrc, p.proacl, p.proconfig), E'\\n' order "
      "by"
      " p.oid::regprocedure::text) from pg_proc p where p.pronamespace = 'df'::regnamespace),"
      "(select string_agg(concat_ws(' ', c.relname, c.relacl, a.attname, a.atttypid::regtype), E'\\n' order "
      "by"
      " c.relname, a.attnum) from pg_class c join pg_attribute a on a.attrelid = c.oid"
      " where c.relnamespace = 'df'::regnamespace))");
}

}  // namespace

TEST_CASE("a schema is installed once, and a daemon needs it") {
  const TestDatabase database = shared_server().empty_database();
  CHECK_THAT(refusal(database.conninfo()), ContainsSubstring("durabled init"));
  CHECK(store::schema_state(database.conninfo()).installed == 0);
  const std::vector<std::string> applied = store::migrate(database.conninfo(), {});
  CHECK_FALSE(applied.empty());
  const store::SchemaState state = store::schema_state(database.conninfo());
  CHECK(state.installed == state.known);
  CHECK(store::migrate(database.conninfo(), {}).empty());
  CHECK(refusal(database.conninfo()).empty());
}

TEST_CASE("an older schema is upgraded to what a new one is") {
  const TestDatabase fresh = shared_server().empty_database();
  const std::size_t all = store::migrate(fresh.conninfo(), {}).size();
  Sql fresh_sql(fresh.conninfo());
  const std::string expected = catalog(fresh_sql);
  for (const std::size_t installed : {std::size_t{1}, all - 1}) {
    INFO(installed << " of " << all << " migrations");
    const TestDatabase database = shared_server().empty_database();
    Sql sql(database.conninfo());
    sql.exec(script_of(installed));
    CHECK_THAT(refusal(database.conninfo()), ContainsSubstring("durabled upgrade"));
    CHECK(store::migrate(database.conninfo(), {}).size() == all - installed);
    CHECK(catalog(sql) == expected);
    CHECK(refusal(database.conninfo()).empty());
  }
}

TEST_CASE("a migration that fails leaves the schema as it was") {
  const TestDatabase database = shared_server().empty_database();
  Sql sql(database.conninfo());
  sql.exec("create operator public.~> (leftarg = text, rightarg = text, function = textcat)");
  CHECK_THROWS_AS(store::migrate(database.conninfo(), {}), store::StoreError);
  CHECK(store::schema_state(database.conninfo()).installed == 0);
  CHECK(sql.exec("select from pg_namespace where nspname = 'df'").empty());
  sql.exec("drop operator public.~> (text, text)");
  CHECK_FALSE(store::migrate(database.conninfo(), {}).empty());
}

TEST_CASE("a schema that is newer, or another build's, is neither served nor changed") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  sql.exec("update df.schema_migrations set checksum = '0123456789abcdef' where number = 1");
  CHECK_THAT(refusal(database.conninfo()), ContainsSubstring("another build"));
  sql.exec("insert into df.schema_migrations (number, name, checksum) values (9999, 'later', '')");
  CHECK_THAT(refusal(database.conninfo()), ContainsSubstring("newer"));
  CHECK_THROWS_WITH(store::migrate(database.conninfo(), {}), ContainsSubstring("newer"));
  CHECK_THROWS_WITH(store::print_schema({}, 9999), ContainsSubstring("newer"));
}

TEST_CASE("a schema that another role owns is neither served nor changed") {
  const TestDatabase database = fresh_database();
  database.server().create_role("stranger");
  CHECK_THAT(refusal(database.conninfo("stranger")), ContainsSubstring("durabled_owner"));
  CHECK_THROWS_WITH(store::migrate(database.conninfo("stranger"), {}), ContainsSubstring("durabled_owner"));
}

TEST_CASE("an upgrade waits for others so long, and names them") {
  const TestDatabase database = fresh_database();
  Sql holder(database.conninfo());
  holder.exec("begin; lock table df.schema_migrations in access exclusive mode");
  store::SchemaOptions options;
  options.lock_timeout = std::chrono::milliseconds(20);
  CHECK_THROWS_WITH(store::migrate(database.conninfo(), options),
                    ContainsSubstring("durabled_owner") && ContainsSubstring("pg_terminate_backend"));
}

TEST_CASE("what is uninstalled is gone, and what durabled did not install stays") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  store::uninstall(database.conninfo());
  CHECK(store::schema_state(database.conninfo()).installed == 0);
  CHECK(sql.exec("select from pg_namespace where nspname = 'df'").empty());
  CHECK(sql.exec("select from pg_operator where oprname = '~>'").empty());
  store::uninstall(database.conninfo());  // nothing to do
  sql.exec("create schema df; create table df.mine ()");
  CHECK_THROWS_AS(store::uninstall(database.conninfo()), store::StoreError);
  CHECK(sql.exec("select from pg_class where relname = 'mine'").size() == 1);
}
