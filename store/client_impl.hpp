// What the files of ClientStore share. Private to store/.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <optional>
#include <string>

#include "store/client_store.hpp"
#include "store/guard.hpp"
#include "store/pqxx_compat.hpp"
#include "store/transaction.hpp"

namespace durabled::store {

inline std::optional<std::string> optional_text(const pqxx::field& field) {
  return field.is_null() ? std::optional<std::string>() : std::optional<std::string>(field.c_str());
}

// Parameters travel as one JSON object: NULLs and types are then the same with every version of the driver.
using Parameters = boost::json::object;

inline void put(Parameters& parameters, const char* name, const std::optional<std::string>& value) {
  if (value) parameters[name] = *value;
}

// Times for programs, whatever the session's DateStyle and TimeZone.
inline std::string utc(const std::string& column) {
  return "to_char(" + column + " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
}

// The error with what to do about it where a grant is missing, which only the owner of the schema can give.
[[noreturn]] void rethrow_with_grant(const StoreError& error, const char* operation,
                                     pqxx::connection& connection);

// `operation` names the function in errors.
template <typename Function>
auto transaction(pqxx::connection& connection, const char* operation, Function&& function) {
  try {
    return guarded(operation, [&] {
      Transaction work(connection);
      auto result = function(work);
      work.commit();
      return result;
    });
  } catch (const StoreError& error) {
    rethrow_with_grant(error, operation, connection);
  }
}

class ClientStore::Impl {
 public:
  explicit Impl(const std::string& conninfo) : connection_(connect(conninfo)) {}
  pqxx::connection& connection() { return *connection_; }

  // `call` is a call of a function of df with $1, the instance, and $2, a JSON object of its other arguments.
  Answer ask(const char* operation, const std::string& call, const std::string& id,
             const Parameters& parameters);

 private:
  static std::unique_ptr<pqxx::connection> connect(const std::string& conninfo);

  std::unique_ptr<pqxx::connection> connection_;
};

}  // namespace durabled::store
