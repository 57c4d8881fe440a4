#include "store/guard.hpp"

namespace durabled::store {

void rethrow(const std::string& operation) {
  try {
    throw;
  } catch (const StoreError&) {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    throw StoreError(StoreError::Kind::kInDoubt, operation, e.what());
  } catch (const pqxx::statement_completion_unknown& e) {
    throw StoreError(StoreError::Kind::kInDoubt, operation, e.what(), "40003");
  } catch (const pqxx::transaction_rollback& e) {  // deadlocks among them; libpqxx 6 gives them no SQLSTATE
    throw StoreError(StoreError::Kind::kTransient, operation, e.what(), "40000");
  } catch (const pqxx::too_many_connections& e) {
    throw StoreError(StoreError::Kind::kTransient, operation, e.what(), "53300");
  } catch (const pqxx::broken_connection& e) {
    throw StoreError(StoreError::Kind::kTransient, operation, e.what());
  } catch (const pqxx::insufficient_privilege& e) {  // libpqxx 6 gives some of them no SQLSTATE
    throw StoreError(StoreError::Kind::kPermanent, operation, e.what(), "42501");
  } catch (const pqxx::sql_error& e) {
    const auto kind =
        is_transient(e.sqlstate()) ? StoreError::Kind::kTransient : StoreError::Kind::kPermanent;
    throw StoreError(kind, operation, e.what(), e.sqlstate());
  } catch (const pqxx::failure& e) {
    throw StoreError(StoreError::Kind::kTransient, operation, e.what());
  } catch (const std::exception& e) {
    throw StoreError(StoreError::Kind::kPermanent, operation, e.what());
  }
}

}  // namespace durabled::store
