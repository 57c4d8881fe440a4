// libpqxx 6 and 7: the one place that knows the differences. Private to store/ and the tests.
#pragma once

#include <pqxx/pqxx>
#include <string>

namespace durabled::store {

#if defined(PQXX_VERSION_MAJOR) && PQXX_VERSION_MAJOR >= 7 && \
    (PQXX_VERSION_MAJOR > 7 || (defined(PQXX_VERSION_MINOR) && PQXX_VERSION_MINOR >= 9))
template <typename... Args>
pqxx::result exec_params(pqxx::transaction_base& transaction, const std::string& sql, Args&&... args) {
  return transaction.exec(sql, pqxx::params{std::forward<Args>(args)...});
}
inline void forbid_reconnect(pqxx::connection&) {}  // it never does
#else
template <typename... Args>
pqxx::result exec_params(pqxx::transaction_base& transaction, const std::string& sql, Args&&... args) {
  return transaction.exec_params(sql, std::forward<Args>(args)...);
}
#if __has_include(<pqxx/basic_connection.hxx>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
inline void forbid_reconnect(pqxx::connection& connection) {
  connection.inhibit_reactivation(true);
}
#pragma GCC diagnostic pop
#else
inline void forbid_reconnect(pqxx::connection&) {}
#endif
#endif

}  // namespace durabled::store
