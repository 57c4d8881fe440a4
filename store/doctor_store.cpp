#include "store/doctor_store.hpp"

#include "store/guard.hpp"
#include "store/locks.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/step_session.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

std::vector<WorkerFacts> workers(pqxx::transaction_base& session) {
  std::vector<WorkerFacts> all;
  const pqxx::result rows = session.exec(
      "select name, host, version, (extract(epoch from df._now() - last_seen_at) * 1000)::bigint from "
      "df.workers "
      "order by last_seen_at desc");
  for (const auto& row : rows) {
    all.push_back(
        {row[0].c_str(), row[1].c_str(), row[2].c_str(), std::chrono::milliseconds{row[3].as<long long>()}});
  }
  return all;
}

std::vector<GranteeFacts> grantees(pqxx::transaction_base& session) {
  std::vector<GranteeFacts> all;
  const pqxx::result rows = session.exec(
      "select r.rolname, r.rolcanlogin, "
      "(select count(*) from df._client_functions(false) f where not has_function_privilege(r.oid, f, "
      "'execute')) "
      "from pg_namespace n cross join lateral aclexplode(n.nspacl) a join pg_roles r on r.oid = a.grantee "
      "where n.nspname = 'df' and a.privilege_type = 'USAGE' and a.grantee <> n.nspowner order by r.rolname");
  for (const auto& row : rows) all.push_back({row[0].c_str(), row[1].as<bool>(), row[2].as<int>()});
  return all;
}

void read_instances(pqxx::transaction_base& session, SchemaFacts& facts) {
  // Those of the last day, and of these the newest thousand: enough to see who submits, however many there
  // are.
  const pqxx::result targets = session.exec(
      "select distinct r.rolname, i.database from (select submitted_by, database from df.instances "
      "where created_at > df._now() - interval '1 day' order by created_at desc limit 1000) i "
      "join pg_roles r on r.oid = i.submitted_by order by 1, 2");
  for (const auto& row : targets) facts.recent_targets.push_back({row[0].c_str(), row[1].c_str()});
  const pqxx::result dropped = session.exec(
      "select i.id from df.instances i where i.completed_at is null "
      "and not exists (select from pg_roles r where r.oid = i.submitted_by) order by i.created_at limit 10");
  for (const auto& row : dropped) facts.dropped.emplace_back(row[0].c_str());
  const pqxx::result parked = session.exec(
      "select i.id, coalesce(i.error ->> 'message', '') from df.instances i"
      " where i.status = 'paused' and i.error is not null order by i.updated_at desc limit 10");
  for (const auto& row : parked) facts.parked.emplace_back(row[0].c_str(), row[1].c_str());
  const pqxx::result logins = session.exec(
      "select distinct p.login || ' to ' || p.database || ' (' || p.sqlstate || ')' from df._login_problems "
      "p order by 1");
  for (const auto& row : logins) facts.waiting_logins.emplace_back(row[0].c_str());
  facts.overdue = session
                      .exec(
                          "select count(*) from (select from df.instances where wake_at < df._now() - "
                          "interval '10 seconds' "
                          "and worker_id is null limit 10000) i")[0][0]
                      .as<long long>();
}

}  // namespace

ServerFacts server_facts(const std::string& conninfo) {
  return guarded("look at the server", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection);
    ServerFacts facts;
    const auto before = std::chrono::system_clock::now();
    const auto server_micros =
        session.exec("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")[0][0];
    const auto after = std::chrono::system_clock::now();
    const auto ours = std::chrono::duration_cast<std::chrono::microseconds>(
        (before + (after - before) / 2).time_since_epoch());
    facts.clock_ahead = std::chrono::microseconds{server_micros.as<long long>()} - ours;
    const pqxx::row row = session.exec(
        "select current_setting('server_version_num'), current_setting('server_version'), current_user, "
        "current_database(), current_setting('is_superuser') = 'on', pg_is_in_recovery(), "
        "current_setting('max_connections'), "
        "(select pg_get_userbyid(n.nspowner) from pg_namespace n where n.nspname = 'df')")[0];
    facts.version_number = row[0].as<int>();
    facts.version = row[1].c_str();
    facts.role = row[2].c_str();
    facts.database = row[3].c_str();
    facts.is_superuser = row[4].as<bool>();
    facts.in_recovery = row[5].as<bool>();
    facts.max_connections = row[6].as<int>();
    facts.schema_owner = row[7].is_null() ? "" : row[7].c_str();
    // Which session holds the queue no view tells: it listens, and has had a transaction open for long.
    const pqxx::row queue = session.exec(
        "select pg_notification_queue_usage(), coalesce(string_agg(format('process %s of role %I (%s), in a "
        "transaction since %s', a.pid, a.usename, a.application_name, to_char(a.xact_start, 'YYYY-MM-DD "
        "HH24:MI:SS')), '; ' order by a.xact_start), '') from (select * from pg_stat_activity where "
        "xact_start is not null and backend_type = 'client backend' and pid <> pg_backend_pid() "
        "order by xact_start limit 3) a")[0];
    facts.notification_queue = queue[0].as<double>();
    facts.oldest_transactions = queue[1].c_str();
    return facts;
  });
}

SchemaFacts schema_facts(const std::string& conninfo) {
  return guarded("look at the schema", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection);
    static_cast<void>(find_trusted_schema(session));
    SchemaFacts facts;
    const pqxx::row rights = session.exec(
        "select has_schema_privilege(oid, 'usage') and has_table_privilege('df.submit', 'insert') "
        "and has_table_privilege('df.instances', 'select'), pg_has_role(nspowner, 'usage') "
        "from pg_namespace where nspname = 'df'")[0];
    facts.usable = rights[0].as<bool>();
    facts.owner = rights[1].as<bool>();
    if (!facts.usable) return facts;
    facts.workers = workers(session);
    facts.operator_exists = !session.exec("select from pg_roles where rolname = 'df_operator'").empty();
    facts.operator_known =
        !session.exec("select from df._operator o join pg_roles r on r.oid = o.role").empty();
    facts.lock_waiters = lock_waiters(session);
    if (facts.owner) facts.grantees = grantees(session);
    read_instances(session, facts);
    return facts;
  });
}

bool notifications_arrive(const std::string& conninfo) {
  return guarded("try LISTEN", [&] {
    pqxx::connection listening(conninfo);
    pqxx::connection sending(conninfo);
    const std::string channel = "df_doctor_" + std::to_string(listening.backendpid());
    const Bell bell(listening, channel);
    Transaction work(sending);
    exec_params(work, "select pg_notify($1, '')", channel);
    work.commit();
    listening.await_notification(2, 0);
    return bell.rung();
  });
}

bool sessions_are_kept(const std::string& conninfo) {
  return guarded("look for a pooler", [&] {
    pqxx::connection first(conninfo), second(conninfo);
    const auto backend = [](pqxx::connection& connection) {
      Transaction work(connection);
      const int pid = work.exec("select pg_backend_pid()")[0][0].as<int>();
      work.commit();
      return pid;
    };
    const int before = backend(first);
    return backend(second) != before && backend(first) == before;
  });
}

std::optional<std::string> login_problem(const ConnectParams& params) {
  try {
    StepSession::connect(params, {.pooled = true});
    return std::nullopt;
  } catch (const StoreError& error) {
    return error.what();
  }
}

bool may_set_role(const std::string& conninfo, const std::string& role) {
  return guarded("try SET ROLE", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection);
    // PostgreSQL 16 tells the right to SET ROLE apart from membership.
    const bool can_ask =
        session.exec("select current_setting('server_version_num')::int >= 160000")[0][0].as<bool>();
    return exec_params(session, "select pg_has_role($1, $2)", role, can_ask ? "set" : "member")[0][0]
        .template as<bool>();
  });
}

}  // namespace durabled::store
