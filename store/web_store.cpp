#include "store/web_store.hpp"

#include <algorithm>

#include "sql_schema/migrations.hpp"
#include "store/transaction.hpp"
#include "store/web_impl.hpp"

namespace durabled::store {
namespace {

constexpr const char* kConnectionLost = "08006";

// libpq tells people where to look ("connection to server at …"), which a browser has no business to know.
WebError connect_error(PGconn* connection) {
  const std::string text = connection == nullptr ? "out of memory" : PQerrorMessage(connection);
  // The server's own words come after the address; it gives no SQLSTATE to those who are not logged in.
  const std::size_t fatal = text.rfind("FATAL:");
  if (fatal == std::string::npos)
    return {StoreError::Kind::kTransient, "connect", "the database cannot be reached", kConnectionLost};
  std::string words = text.substr(text.find_first_not_of(' ', fatal + 6));
  while (!words.empty() && words.back() == '\n') words.pop_back();
  const bool is_refused = words.find("authentication failed") != std::string::npos ||
                          words.find("is not permitted to log in") != std::string::npos ||
                          words.find("no pg_hba.conf entry") != std::string::npos ||
                          (words.starts_with("role ") && words.find("does not exist") != std::string::npos);
  return {is_refused ? StoreError::Kind::kPermanent : StoreError::Kind::kTransient, "connect", words,
          is_refused ? "28000" : kConnectionLost};
}

PGconn* connect(const std::string& conninfo, const ConnectParams& login) {
  std::vector<const char*> keys, values;
  const auto add = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  // With a login of its own the string is taken apart beforehand: no value of a person's is ever expanded.
  const auto params = login.empty() ? std::optional<ConnectParams>() : conninfo_params(conninfo);
  if (login.empty()) add("dbname", conninfo.empty() ? "dbname=''" : conninfo.c_str());
  if (params) {
    for (const auto& [key, value] : *params)
      if (key != "user" && key != "password" && key != "passfile" && key != "application_name")
        add(key.c_str(), value.c_str());
  }
  for (const auto& [key, value] : login) add(key.c_str(), value.c_str());
  add("application_name", "durabled ui");
  add("client_encoding", "UTF8");
  if (conninfo_value(conninfo, "connect_timeout").empty()) add("connect_timeout", "5");
  add(nullptr, nullptr);
  return PQconnectdbParams(keys.data(), values.data(), login.empty() ? 1 : 0);
}

}  // namespace

WebStore::Impl::Impl(const std::string& conninfo, const ConnectParams& login)
    : connection_(connect(conninfo, login), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) throw connect_error(connection_.get());
  // Trust, peer or a certificate would let in whoever gives a name.
  if (!login.empty() && PQconnectionUsedPassword(connection_.get()) == 0)
    throw WebError(StoreError::Kind::kPermanent, "connect",
                   "the database asks nobody for a password here, so it cannot tell who logs in", "28000");
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

PGresultPtr WebStore::Impl::checked(PGresult* raw) {
  PGresultPtr result(raw);
  const ExecStatusType status = PQresultStatus(raw);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
  const auto part = [&](int code) {
    const char* text = PQresultErrorField(raw, code);
    return std::string(text == nullptr ? "" : text);
  };
  const std::string sqlstate = part(PG_DIAG_SQLSTATE);
  if (sqlstate.empty() || is_broken())
    throw WebError(StoreError::Kind::kTransient, operation_, "the connection to the database was lost",
                   kConnectionLost);
  std::string hint = part(PG_DIAG_MESSAGE_HINT);
  const std::string text = part(PG_DIAG_MESSAGE_PRIMARY);
  if (text == "permission denied for schema df")
    hint = "The owner of the schema can allow it: select df.grant_usage('…');";
  throw WebError(is_transient(sqlstate) ? StoreError::Kind::kTransient : StoreError::Kind::kPermanent,
                 operation_, text, sqlstate, hint);
}

void WebStore::Impl::begin(const std::string& how) {
  std::string text = how + "; " + kOwnNamesOnly +
                     "; set local statement_timeout = 5000; set local timezone = 'UTC'; "
                     "set local datestyle = 'ISO, YMD'; set local jit = off";
  if (!role_.empty()) {
    const std::unique_ptr<char, decltype(&PQfreemem)> quoted(
        PQescapeIdentifier(connection_.get(), role_.data(), role_.size()), &PQfreemem);
    if (!quoted)
      throw WebError(StoreError::Kind::kPermanent, operation_, "the role's name is not valid", "22023");
    text += "; set local role " + std::string(quoted.get());
  }
  try {
    checked(PQexec(connection_.get(), text.c_str()));
  } catch (const WebError&) {
    roll_back();
    throw;
  }
}

void WebStore::Impl::end() {
  checked(PQexec(connection_.get(), "commit"));
}

void WebStore::Impl::roll_back() noexcept {
  if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) PQclear(PQexec(connection_.get(), "rollback"));
}

PGresultPtr WebStore::Impl::execute(const WebQuery& query) {
  std::vector<const char*> values;
  for (const std::string& value : query.values) values.push_back(value.c_str());
  return checked(PQexecParams(connection_.get(), query.sql.c_str(), static_cast<int>(values.size()), nullptr,
                              values.data(), nullptr, nullptr, 0));
}

std::optional<std::string> WebStore::Impl::read(const char* operation, const WebQuery& query,
                                                const std::string& settings) {
  operation_ = operation;
  begin("begin read only");
  try {
    if (!settings.empty()) checked(PQexec(connection_.get(), settings.c_str()));
    auto value = field(execute(query).get(), 0);
    end();
    return value;
  } catch (...) {
    roll_back();
    throw;
  }
}

PGresultPtr WebStore::Impl::probe(const WebQuery& query) {
  operation_ = "look for changes";
  if (role_.empty()) return execute(query);
  begin("begin read only");
  try {
    PGresultPtr result = execute(query);
    end();
    return result;
  } catch (...) {
    roll_back();
    throw;
  }
}

WebStore::WebStore(const std::string& conninfo) : impl_(std::make_unique<Impl>(conninfo, ConnectParams{})) {}

WebStore::WebStore(const std::string& conninfo, const std::string& user, const std::string& password) {
  // libpq would take an empty one from somewhere else.
  if (user.empty() || password.empty())
    throw WebError(StoreError::Kind::kPermanent, "connect", "a role and its password are needed", "28000");
  impl_ = std::make_unique<Impl>(
      conninfo, ConnectParams{{"user", user}, {"password", password}, {"passfile", "/dev/null/none"}});
}

WebStore::~WebStore() = default;

void WebStore::act_as(const std::string& role, bool sees_own_only) {
  impl_->act_as(role, sees_own_only);
}

bool WebStore::is_broken() const {
  return impl_->is_broken();
}

WebFacts WebStore::facts() {
  WebFacts facts;
  facts.known_schema = sql_schema::migrations().back().number;
  // Nothing of the schema is used before it is known whose it is: see find_trusted_schema.
  const std::string owner =
      impl_
          ->read("read the schema",
                 {"select case when m.rolname is null then 'trusted' else o.rolname::text end "
                  "from pg_namespace n join pg_roles o on o.oid = n.nspowner left join pg_roles m on "
                  "m.rolsuper and not "
                  "o.rolsuper and m.rolname in (current_user, session_user) where n.nspname = 'df' limit 1",
                  {}})
          .value_or("");
  if (owner.empty())
    throw WebError(StoreError::Kind::kPermanent, "read the schema",
                   "the schema df is not installed in this database; run: durabled init", "3F000");
  if (owner != "trusted")
    throw WebError(
        StoreError::Kind::kPermanent, "read the schema",
        "the schema df belongs to role " + owner + ", whose functions would run with a superuser's rights",
        "42501", "Log in as " + owner + ", or as a role that it has let in with df.grant_usage.");
  impl_->write("read the schema", [&] {
    const PGresultPtr row = impl_->execute(
        {"select current_user, current_database(), current_setting('server_version'), df._is_operator(), "
         "row_security_active('df.instances'), (select max(m.number) from df.schema_migrations m)",
         {}});
    facts.role = field(row.get(), 0).value_or("");
    facts.database = field(row.get(), 1).value_or("");
    facts.server_version = field(row.get(), 2).value_or("");
    facts.is_operator = field(row.get(), 3) == "t";
    facts.is_bound = field(row.get(), 4) == "t";
    facts.schema = std::stoi(field(row.get(), 5).value_or("0"));
    return 0;
  });
  return facts;
}

}  // namespace durabled::store
