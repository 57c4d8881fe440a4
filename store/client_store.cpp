#include "store/client_impl.hpp"
#include "store/schema_check.hpp"

namespace durabled::store {

void rethrow_with_grant(const StoreError& error, const char* operation, pqxx::connection& connection) {
  const std::string text = error.what();
  if (text.find("permission denied for schema df") == std::string::npos) throw error;
  const std::string role = connection.username();
  std::string quoted;
  for (const char c : role) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  throw StoreError(error.kind(), operation,
                   text.substr(std::string(operation).size() + 2) +
                       "\nHINT:  The owner of the schema can allow it: select df.grant_usage('" + quoted +
                       "');",
                   error.sqlstate());
}

namespace {

void require_trusted_schema(pqxx::connection& connection) {
  Transaction work(connection);
  if (find_trusted_schema(work)) return;
  // Said here, because somebody could make a schema df before the next statement.
  throw StoreError(StoreError::Kind::kPermanent, "connect", "schema \"df\" does not exist", "3F000");
}

}  // namespace

std::unique_ptr<pqxx::connection> ClientStore::Impl::connect(const std::string& conninfo) {
  return guarded("connect", [&] {
    auto connection = std::make_unique<pqxx::connection>(conninfo);
    forbid_reconnect(*connection);
    connection->set_client_encoding("UTF8");
    require_trusted_schema(*connection);
    return connection;
  });
}

Answer ClientStore::Impl::ask(const char* operation, const std::string& call, const std::string& id,
                              const Parameters& parameters) {
  return transaction(*connection_, operation, [&](pqxx::work& work) {
    const std::string before = exec_params(work, "select df.status($1)", id)[0][0].c_str();
    const pqxx::result rows = exec_params(work, "select " + call + " from (select $2::json as p) a", id,
                                          boost::json::serialize(parameters));
    return Answer{rows[0][0].c_str(), before};
  });
}

ClientStore::ClientStore(const std::string& conninfo) : impl_(std::make_unique<Impl>(conninfo)) {}
ClientStore::~ClientStore() = default;

std::vector<std::string> ClientStore::variables() {
  return transaction(impl_->connection(), "submit", [&](pqxx::work& work) {
    std::vector<std::string> names;
    for (const auto& row : exec_params(work, "select v.name from df.vars v where v.owner = df._me()"))
      names.emplace_back(row[0].c_str());
    return names;
  });
}

Submitted ClientStore::submit(const Submission& submission) {
  Parameters parameters{{"dsl", submission.dsl}};
  put(parameters, "label", submission.label);
  put(parameters, "database", submission.database);
  put(parameters, "start_at", submission.start_at);
  put(parameters, "idempotency_key", submission.idempotency_key);
  put(parameters, "input", submission.input);
  if (submission.priority) parameters["priority"] = *submission.priority;
  if (!submission.vars.empty()) {
    boost::json::object& vars = parameters["vars"].emplace_object();
    for (const auto& [name, value] : submission.vars) vars[name] = value;
  }
  return transaction(impl_->connection(), "submit", [&](pqxx::work& work) {
    Submitted submitted;
    if (submission.replace && submission.idempotency_key) {
      const pqxx::result held =
          exec_params(work, "select df.release_key($1, 'replaced')", *submission.idempotency_key);
      submitted.replaced = optional_text(held[0][0]);
    }
    const pqxx::result rows =
        exec_params(work,
                    "insert into df.submit (dsl, label, database, vars, priority, start_at, idempotency_key, "
                    "input) select s.dsl, s.label, s.database, case when s.vars is not null then coalesce("
                    "(select jsonb_object_agg(v.name, v.value) from df.vars v where v.owner = df._me()), "
                    "'{}') || s.vars end, "
                    "s.priority, s.start_at, s.idempotency_key, s.input::json "
                    "from json_to_record($1::json) as s (dsl text, label text, database text, vars jsonb, "
                    "priority smallint, "
                    "start_at timestamptz, idempotency_key text, input text) returning id",
                    boost::json::serialize(parameters));
    submitted.id = rows[0][0].c_str();
    // A row that this transaction did not write is that of an earlier submission with the same key.
    const pqxx::result row =
        exec_params(work,
                    "select i.xmin = pg_current_xact_id()::xid, i.status, " + utc("i.created_at") +
                        ", i.dsl = $2 from df.instances i where i.id = $1",
                    submitted.id, submission.dsl);
    submitted.started = row[0][0].as<bool>();
    submitted.status = row[0][1].c_str();
    submitted.created_at = row[0][2].c_str();
    submitted.same_text = row[0][3].as<bool>();
    return submitted;
  });
}

std::string ClientStore::await(const std::string& id, std::chrono::milliseconds timeout) {
  return transaction(impl_->connection(), "wait", [&](pqxx::work& work) {
    const double seconds = std::chrono::duration<double>(timeout).count();
    return std::string(exec_params(work, "select df.await_instance($1, $2)", id, seconds)[0][0].c_str());
  });
}

Answer ClientStore::cancel(const std::string& id, const std::optional<std::string>& reason) {
  Parameters parameters;
  put(parameters, "reason", reason);
  return impl_->ask("cancel", "df.cancel($1, p ->> 'reason')", id, parameters);
}

Answer ClientStore::pause(const std::string& id) {
  return impl_->ask("pause", "df.pause($1)", id, {});
}

Answer ClientStore::resume(const std::string& id) {
  return impl_->ask("resume", "df.resume($1)", id, {});
}

Answer ClientStore::signal(const std::string& id, const std::string& name, const std::string& data) {
  return impl_->ask("signal", "df.signal($1, p ->> 'name', p ->> 'data')", id,
                    {{"name", name}, {"data", data}});
}

std::string ClientStore::rerun(const std::string& id, const std::optional<std::string>& from_node) {
  return transaction(impl_->connection(), "rerun", [&](pqxx::work& work) {
    const pqxx::result rows = from_node
                                  ? exec_params(work, "select df.rerun($1::text, $2::text)", id, *from_node)
                                  : exec_params(work, "select df.rerun($1::text)", id);
    return std::string(rows[0][0].c_str());
  });
}

}  // namespace durabled::store
