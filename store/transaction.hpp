// How store/ begins a transaction, so that no name in its statements can be somebody else's. Private to store/.
#pragma once

#include <pqxx/pqxx>
#include <string>

namespace durabled::store {

// Functions, operators and types are looked up in the session's search_path, and whoever may create objects in
// a schema of that path could answer for PostgreSQL. `set` itself looks nothing up.
inline constexpr const char* kOwnNamesOnly = "set local search_path = pg_catalog, pg_temp";

// A transaction in which unqualified names are PostgreSQL's own. Set again for each transaction, because behind
// a pooler the next one may have another session. `settings`: further `set local` statements.
class Transaction {
 public:
  explicit Transaction(pqxx::connection& connection, const std::string& settings = "") : work_(connection) {
    work_.exec(settings.empty() ? std::string(kOwnNamesOnly) : std::string(kOwnNamesOnly) + "; " + settings);
  }
  operator pqxx::work&() { return work_; }
  pqxx::result exec(const std::string& sql) { return work_.exec(sql); }
  void commit() { work_.commit(); }

 private:
  pqxx::work work_;
};

}  // namespace durabled::store
