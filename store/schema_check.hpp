// Private to store/: what is checked of the schema df before anything in it is used.
#pragma once

#include <pqxx/pqxx>

namespace durabled::store {

// Whether there is a schema df. Throws StoreError (kPermanent) when the role that works here is a superuser and the
// schema belongs to a role that is not a superuser: whatever is called, read or inserted there may run functions of that role,
// and they would have the rights of a superuser. SET ROLE is no way out, because such a function can undo it.
bool find_trusted_schema(pqxx::transaction_base& transaction);

// Throws StoreError (kPermanent) unless the schema has exactly the version that this binary knows, and the
// role that is logged in has the rights of its owner.
void require_current_schema(pqxx::connection& connection);

}  // namespace durabled::store
