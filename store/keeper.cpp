#include <unistd.h>

#include "store/guard.hpp"
#include "store/locks.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"
#include "store/worker_store.hpp"

namespace durabled::store {

class Keeper::Impl {
 public:
  Impl(const std::string& conninfo, const Options& options) : connection(conninfo) {
    connection.set_client_encoding("UTF8");
    forbid_reconnect(connection);  // a new session would not hold the lock
    require_current_schema(connection);
    if (options.listen) doorbell = std::make_unique<Bell>(connection, "df_doorbell");
    Transaction work(connection);
    work.exec("set application_name = 'durabled keeper'");
    const pqxx::row row = exec_params(
        work, "select worker_id, installation from df._register($1, $2, $3, $4, $5)", options.name,
        options.host, static_cast<int>(::getpid()), options.version, options.advisory_lock)[0];
    id.number = row[0].as<int>();
    id.installation = row[1].as<std::string>();
    work.commit();
  }

  pqxx::connection connection;
  std::unique_ptr<Bell> doorbell;
  WorkerId id;
};

Keeper::Keeper(const std::string& conninfo, const Options& options)
    : impl_(guarded("register", [&] { return std::make_unique<Impl>(conninfo, options); })) {}
Keeper::~Keeper() = default;

const WorkerId& Keeper::id() const {
  return impl_->id;
}

std::optional<dsl::Time> Keeper::heartbeat() {
  return guarded("heartbeat", [&]() -> std::optional<dsl::Time> {
    pqxx::nontransaction alone(impl_->connection);  // one statement, which is a transaction of its own
    // To ask how full the queue of notifications is removes what everybody has read: a full queue stays full until somebody
    // asks.
    const pqxx::result rows = exec_params(
        alone,
        "select case when pg_catalog.set_config('synchronous_commit', 'off', true) is not null"
        " and pg_catalog.pg_notification_queue_usage() is not null"
        " then (extract(epoch from df._heartbeat($1)) operator(pg_catalog.*) 1000000)::bigint end",
        impl_->id.number);
    if (rows[0][0].is_null()) return std::nullopt;
    return dsl::Time(std::chrono::microseconds(rows[0][0].as<std::int64_t>()));
  });
}

std::string Keeper::lock_waiters() {
  return guarded("look for locks", [&] {
    Transaction work(impl_->connection);
    return store::lock_waiters(work);
  });
}

bool Keeper::wait(std::chrono::milliseconds timeout) {
  return guarded("wait for notifications", [&] {
    if (impl_->doorbell) impl_->doorbell->reset();
    impl_->connection.await_notification(static_cast<long>(timeout.count() / 1000),
                                         static_cast<long>(timeout.count() % 1000 * 1000));
    return impl_->doorbell && impl_->doorbell->rung();
  });
}

}  // namespace durabled::store
