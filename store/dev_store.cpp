#include "store/dev_store.hpp"

#include "store/guard.hpp"
#include "store/pqxx_compat.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

bool has_role(pqxx::transaction_base& session, const std::string& name) {
  return !exec_params(session, "select from pg_roles where rolname = $1", name).empty();
}

}  // namespace

bool can_connect(const std::string& conninfo) {
  try {
    const pqxx::connection connection(conninfo);
    return connection.is_open();
  } catch (const pqxx::broken_connection&) {
    return false;
  }
}

void prepare_server(const std::string& superuser_conninfo, const std::string& owner, const std::string& app,
                    const std::map<std::string, std::string>& passwords) {
  guarded("prepare the server", [&] {
    pqxx::connection connection(superuser_conninfo);
    pqxx::nontransaction session(connection);
    session.exec("set search_path = pg_catalog, pg_temp");
    for (const std::string& role : {owner, app}) {
      if (!has_role(session, role)) session.exec("create role " + session.quote_name(role) + " login");
    }
    if (!has_role(session, "df_operator")) session.exec("create role df_operator nologin");
    session.exec("set password_encryption = 'scram-sha-256'; set log_min_error_statement = panic");
    for (const auto& [role, password] : passwords)
      session.exec("alter role " + session.quote_name(role) + " password " + session.quote(password));
    if (exec_params(session, "select from pg_database where datname = $1", owner).empty()) {
      const std::string name = session.quote_name(owner);
      session.exec("create database " + name + " owner " + name);
    }
  });
}

void admit(const std::string& owner_conninfo, const std::string& role) {
  guarded("admit the role", [&] {
    pqxx::connection connection(owner_conninfo);
    Transaction work(connection);
    exec_params(work, "select df.grant_usage($1, include_http => true)", role);
    work.exec("select df.grant_usage('df_operator')");  // which prepare_server() has made
    work.exec("grant create, usage on schema public to " + connection.quote_name(role));
    work.commit();
  });
}

}  // namespace durabled::store
