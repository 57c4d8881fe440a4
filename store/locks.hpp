// Who holds up whom by locks on the schema's tables. Private to store/.
#pragma once

#include <pqxx/pqxx>
#include <string>

namespace durabled::store {

// The sessions that have locks on tables of df, in words; empty if there are no such sessions. What an upgrade waits for.
std::string lock_holders(pqxx::work& work);

// The sessions that wait for a lock which excludes what the daemon and its clients do, and whom they wait for. Whatever
// needs the table waits behind them, in PostgreSQL even when they have no right to what they wait to do.
std::string lock_waiters(pqxx::work& work);

}  // namespace durabled::store
