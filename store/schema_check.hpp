// Private to store/: the check that every connection of the daemon makes first.
#pragma once

#include <pqxx/pqxx>

namespace durabled::store {

// Throws StoreError (kPermanent) unless the schema has exactly the version that this binary knows, and the
// role that is logged in has the rights of its owner.
void require_current_schema(pqxx::connection& connection);

}  // namespace durabled::store
