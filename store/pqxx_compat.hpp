// libpqxx 6 and 7: the one place that knows the differences. Private to store/ and the tests.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <utility>

// From 7.10 on, receivers of notifications are deprecated in favour of connection::listen().
#if defined(PQXX_VERSION_MAJOR) && defined(PQXX_VERSION_MINOR) && \
    (PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10))
#define DURABLED_PQXX_LISTENS 1
#else
#define DURABLED_PQXX_LISTENS 0
#endif

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

// Listens on a channel as long as its connection lives, and remembers whether that was notified.
class Bell {
 public:
  Bell(pqxx::connection& connection, const std::string& channel);
  bool rung() const { return *rung_; }
  void reset() { *rung_ = false; }

 private:
  std::shared_ptr<bool> rung_ = std::make_shared<bool>(false);
#if !DURABLED_PQXX_LISTENS
  class Receiver : public pqxx::notification_receiver {
   public:
    Receiver(pqxx::connection& connection, const std::string& channel, std::shared_ptr<bool> rung)
        : pqxx::notification_receiver(connection, channel), rung_(std::move(rung)) {}
    void operator()(const std::string&, int) override { *rung_ = true; }

   private:
    std::shared_ptr<bool> rung_;
  };
  Receiver receiver_;
#endif
};

#if DURABLED_PQXX_LISTENS
inline Bell::Bell(pqxx::connection& connection, const std::string& channel) {
  connection.listen(channel, [rung = rung_](const pqxx::notification&) { *rung = true; });
}
#else
inline Bell::Bell(pqxx::connection& connection, const std::string& channel)
    : receiver_(connection, channel, rung_) {}
#endif

}  // namespace durabled::store
