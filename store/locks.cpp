#include "store/locks.hpp"

namespace durabled::store {
namespace {

std::string joined(const pqxx::result& rows) {
  std::string all;
  for (const auto& row : rows) all += (all.empty() ? "" : "; ") + std::string(row[0].c_str());
  return all;
}

}  // namespace

std::string lock_holders(pqxx::work& work) {
  return joined(work.exec(
      "select format('process %s of role %I (%s), in a transaction since %s', a.pid, a.usename, "
      "a.application_name, to_char(min(a.xact_start), 'YYYY-MM-DD HH24:MI:SS')) "
      "from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid "
      "where l.granted and c.relnamespace = (select oid from pg_namespace where nspname = 'df') "
      "and a.datname = current_database() and a.pid <> pg_backend_pid() "
      "group by a.pid, a.usename, a.application_name order by min(a.xact_start) limit 10"));
}

std::string lock_waiters(pqxx::work& work) {
  return joined(work.exec(
      "select format('process %s of role %I waits for %s on df.%I, behind process %s', a.pid, a.usename, "
      "l.mode, "
      "c.relname, array_to_string(pg_blocking_pids(a.pid), ', ')) "
      "from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid "
      "where not l.granted and c.relnamespace = (select oid from pg_namespace where nspname = 'df') "
      "and a.datname = current_database() and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', "
      "'ShareRowExclusiveLock', 'ShareLock') order by a.pid limit 10"));
}

}  // namespace durabled::store
