// Lock order: df.workers, df.instances by id, df.signals (sql_schema/0003_protocol.sql).

#include "store/worker_store.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <sstream>

#include "store/guard.hpp"
#include "store/parameters.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

std::string text(const pqxx::field& field) {
  return field.is_null() ? std::string() : field.as<std::string>();
}

// Microseconds since the epoch, as the queries below give times.
std::optional<dsl::Time> time(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return dsl::Time(std::chrono::microseconds(field.as<std::int64_t>()));
}

dsl::Event read_event(const pqxx::row& row, std::string& corrupt) {
  dsl::Event event;
  event.seq = row[1].as<std::int64_t>();
  event.at = *time(row[2]);
  const auto kind = dsl::event_kind(text(row[3]));
  if (!kind)
    corrupt = "event " + std::to_string(event.seq) + " has an unknown kind, \"" + text(row[3]) + "\"";
  event.kind = kind.value_or(dsl::EventKind::kInstanceStarted);
  const std::string node = text(row[4]);
  if (!node.empty()) {
    char* end = nullptr;
    event.address.node = static_cast<dsl::NodeIndex>(std::strtoul(node.c_str(), &end, 16));
    if (*end != '\0') corrupt = "event " + std::to_string(event.seq) + " has no valid node";
  }
  event.address.scope = text(row[5]);
  event.attempt = row[6].is_null() ? 0 : row[6].as<int>();
  event.data = text(row[7]);
  return event;
}

// Histories and untaken signals of those instances.
void load(pqxx::work& work, std::map<std::string, ClaimedInstance*>& instances) {
  std::vector<std::string> ids;
  for (const auto& [id, instance] : instances) ids.push_back(id);
  const pqxx::result events = exec_params(
      work,
      "select instance_id, seq, (extract(epoch from at) * 1000000)::bigint, kind, node, scope, attempt, data"
      " from df.events where instance_id = any ($1::text[]) order by instance_id, seq",
      array_parameter(ids));
  for (const pqxx::row& row : events) {
    ClaimedInstance& instance = *instances.at(text(row[0]));
    instance.history.push_back(read_event(row, instance.corrupt));
  }
}

// The oldest 10,000 of each, and only what is short of their data: nobody fills the daemon's memory by
// sending. As many are counted by df._apply_turn. Of compressed data the size is not known before it is read,
// so that it counts as long. `firsts`: of which instance only those from which signal on.
template <typename Instances>
void load_signals(pqxx::work& work, const Instances& instances,
                  const std::map<std::string, std::int64_t>& firsts = {}) {
  std::vector<std::string> ids, from;
  for (const auto& [id, instance] : instances) {
    const auto first = firsts.find(id);
    ids.push_back(id);
    from.push_back(first == firsts.end() ? "0" : std::to_string(first->second));
  }
  const pqxx::result rows =
      exec_params(work,
                  "select i.id, s.id, s.name,"
                  " case when pg_column_size(s.data) <= 1028 and pg_column_compression(s.data) is null"
                  " then s.data end, (extract(epoch from s.sent_at) * 1000000)::bigint from "
                  "unnest($1::text[], $2::bigint[]) i (id, first) cross join lateral"
                  " (select * from df.signals s where s.instance_id = i.id and s.taken_at is null"
                  "  order by s.id limit 10000) s where s.id >= i.first order by i.id, s.id",
                  array_parameter(ids), array_parameter(from));
  for (const pqxx::row& row : rows) {
    instances.at(text(row[0]))
        ->signals.push_back({row[1].as<std::int64_t>(), text(row[2]),
                             row[3].is_null() ? std::nullopt : std::optional(text(row[3])),
                             time(row[4]).value_or(dsl::Time{})});
  }
}

// Of a row with the columns of df._claimed.
ClaimedInstance read_instance(const pqxx::row& row) {
  ClaimedInstance instance;
  instance.id = text(row["id"]);
  instance.token = row["token"].as<std::int64_t>();
  instance.claim_key = text(row["claim_key"]);
  instance.dsl = text(row["dsl"]);
  instance.label = text(row["label"]);
  instance.vars = text(row["vars"]);
  if (!row["input"].is_null()) instance.input = text(row["input"]);
  instance.dsl_bytes = row["dsl_bytes"].as<std::size_t>();
  instance.bytes = row["bytes"].as<std::size_t>();
  if (!row["role"].is_null()) instance.role = text(row["role"]);
  instance.role_id = row["role_oid"].as<RoleId>();
  instance.may_http = text(row["may_http"]) == "t";
  instance.database = text(row["database"]);
  instance.request = text(row["request"]);
  instance.request_reason = text(row["request_reason"]);
  if (!row["waited"].is_null())
    instance.waited = std::chrono::microseconds(std::llround(row["waited"].as<double>() * 1e6));
  return instance;
}

// The columns of df._claimed come first, under their own names.
constexpr const char* kPoll = R"(
  select (p.claimed).*, (p.attended).id as attended, (p.attended).token as attended_token,
         (p.attended).request as attended_request, (p.attended).request_reason as attended_reason,
         (p.attended).first_signal as attended_first,
         (p.ended).id as ended, (p.ended).status as ended_status, (p.ended).label as ended_label,
         (p.ended).error as ended_error, (p.ended).role as ended_role, (p.ended).seconds as ended_seconds,
         (extract(epoch from (p.ended).at) operator(pg_catalog.*) 1000000)::bigint as ended_at,
         (p.next).more, (p.next).served,
         -- A time beyond what a count of microseconds can hold (infinity above all) means no wake-up.
         case when (p.next).wake_at operator(pg_catalog.<) '2200-01-01'::pg_catalog.timestamptz
              then (extract(epoch from (p.next).wake_at) operator(pg_catalog.*) 1000000)::bigint end as next_wake
  from df._poll($1, $2, $3::pg_catalog.oid[], $4::bigint::pg_catalog.oid, $5, $6, $7, $8) p)";

Ended read_ended(const pqxx::row& row) {
  return {text(row["ended"]),
          text(row["ended_status"]),
          text(row["ended_label"]),
          text(row["ended_error"]),
          text(row["ended_role"]),
          row["ended_seconds"].as<double>(0),
          time(row["ended_at"]).value_or(dsl::Time{})};
}

Attention read_attention(const pqxx::row& row) {
  return {text(row["attended"]),
          row["attended_token"].as<std::int64_t>(),
          text(row["attended_request"]),
          text(row["attended_reason"]),
          {}};
}

// What the server says of an error beside its primary message shows what was written: that is nothing for a log.
StoreError without_details(const std::string& operation, const pqxx::sql_error& error) {
  std::string message = error.what();
  message.erase(std::min(message.find('\n'), message.size()));
  const auto kind =
      is_transient(error.sqlstate()) ? StoreError::Kind::kTransient : StoreError::Kind::kPermanent;
  return {kind, operation, message + " (SQLSTATE " + error.sqlstate() + ")", error.sqlstate()};
}

// Settings of one transaction, because behind a pooler the next may have another session, and the session
// other clients. Sequential and bitmap scans would walk the dead rows that an old snapshot keeps.
constexpr const char* kIndexesOnly = "set local enable_seqscan = off; set local enable_bitmapscan = off";

}  // namespace

class WorkerStore::Impl {
 public:
  explicit Impl(const std::string& conninfo) : connection(conninfo) {
    connection.set_client_encoding("UTF8");
    forbid_reconnect(connection);
    require_current_schema(connection);
    pqxx::nontransaction session(connection);
    session.exec("set application_name = 'durabled work'");
    const pqxx::row who = session.exec("select session_user, pg_catalog.current_database()")[0];
    role = text(who[0]);
    database = text(who[1]);
  }

  pqxx::connection connection;
  std::string role, database;
};

WorkerStore::WorkerStore(const std::string& conninfo)
    : impl_(guarded("connect", [&] { return std::make_unique<Impl>(conninfo); })) {}
WorkerStore::~WorkerStore() = default;

std::string WorkerStore::own_role() const {
  return impl_->role;
}
std::string WorkerStore::database() const {
  return impl_->database;
}

PollResult WorkerStore::poll(int worker, const PollRequest& request) {
  return guarded("poll", [&] {
    PollResult result;
    std::string busy = "{";
    for (const RoleId role : request.busy) busy += (busy.size() > 1 ? "," : "") + std::to_string(role);
    busy += '}';
    const pqxx::result rows = [&] {
      // One statement, which is a transaction of its own and qualifies every name, so that a daemon without
      // work sends nothing else.
      pqxx::nontransaction alone(impl_->connection);
      return exec_params(alone, kPoll, worker, request.limit, busy, static_cast<long long>(request.after),
                         static_cast<long long>(request.bytes), static_cast<long long>(request.longest_text),
                         request.each, request.listen);
    }();
    std::map<std::string, ClaimedInstance*> resumed, signalled;
    std::map<std::string, Attention*> attention;  // of those for which signals have come
    std::map<std::string, std::int64_t> firsts;
    result.claimed.reserve(static_cast<std::size_t>(rows.size()));
    result.attention.reserve(static_cast<std::size_t>(rows.size()));
    for (const pqxx::row& row : rows) {
      if (!row["id"].is_null()) {
        ClaimedInstance& instance = result.claimed.emplace_back(read_instance(row));
        if (row["resumed"].as<bool>()) resumed[instance.id] = &instance;
        if (row["signalled"].as<bool>()) signalled[instance.id] = &instance;
      } else if (!row["attended"].is_null()) {
        Attention& seen = result.attention.emplace_back(read_attention(row));
        if (row["attended_first"].is_null()) continue;
        attention[seen.id] = &seen;
        firsts[seen.id] = row["attended_first"].as<std::int64_t>();
      } else if (!row["ended"].is_null()) {
        result.ended.push_back(read_ended(row));
      } else {
        result.next_wake = time(row["next_wake"]);
        result.more = row["more"].as<bool>();
        result.served = row["served"].as<RoleId>();
      }
    }
    if (resumed.empty() && signalled.empty() && attention.empty()) return result;
    Transaction work(impl_->connection, kIndexesOnly);
    if (!resumed.empty()) load(work, resumed);
    if (!signalled.empty()) load_signals(work, signalled);
    if (!attention.empty()) load_signals(work, attention, firsts);
    work.commit();
    return result;
  });
}

std::string WorkerStore::signal_data(const std::string& instance_id, std::int64_t signal_id) {
  return guarded("read signal", [&] {
    Transaction work(impl_->connection);
    const pqxx::result rows = exec_params(
        work, "select data from df.signals where instance_id = $1 and id = $2", instance_id, signal_id);
    if (rows.empty())
      throw StoreError(StoreError::Kind::kPermanent, "read signal", "there is no such signal");
    return text(rows[0][0]);
  });
}

std::vector<TurnProblem> WorkerStore::commit(int worker, const std::vector<Turn>& turns) {
  return guarded("commit turns", [&] {
    std::vector<std::string_view> instances, texts;
    std::vector<std::string> tokens;
    for (const Turn& turn : turns) {
      instances.push_back(turn.instance_id);
      tokens.push_back(std::to_string(turn.token));
      texts.push_back(turn.json);
    }
    try {
      Transaction work(impl_->connection);
      std::vector<TurnProblem> problems;
      for (const pqxx::row& row :
           exec_params(work, "select instance, outcome from df._commit_turns($1, $2, $3, $4)", worker,
                       array_parameter(instances), array_parameter(tokens), array_parameter(texts))) {
        const auto kind = text(row[1]) == "busy" ? TurnProblem::Kind::kBusy : TurnProblem::Kind::kLost;
        problems.push_back({text(row[0]), kind});
      }
      work.commit();
      return problems;
    } catch (const pqxx::sql_error& error) {
      throw without_details("commit turns", error);
    }
  });
}

std::vector<ClaimedInstance> WorkerStore::reclaim(int worker, const std::vector<std::string>& ids) {
  return guarded("reclaim", [&] {
    std::vector<std::string> sorted(ids);
    std::sort(sorted.begin(), sorted.end());
    Transaction work(impl_->connection, kIndexesOnly);
    std::vector<ClaimedInstance> result;
    result.reserve(sorted.size());
    std::map<std::string, ClaimedInstance*> held;
    for (const std::string& id : sorted) {
      const pqxx::result claim =
          exec_params(work, "select token, claim_key from df._reclaim($1, $2)", worker, id);
      if (claim[0][0].is_null()) continue;
      const pqxx::result rows = exec_params(
          work,
          "select i.id, i.fencing_token as token, $2 as claim_key, i.dsl, i.label, i.vars, i.input, "
          "i.database, "
          "i.request, "
          "i.request_reason,"
          " (select r.rolname::text from pg_catalog.pg_roles r where r.oid = i.submitted_by) as role,"
          " i.submitted_by::oid as role_oid, octet_length(i.dsl) as dsl_bytes, 0 as bytes, null as waited,"
          " df._may_http(i.submitted_by) as may_http"
          " from df.instances i where i.id = $1",
          id, text(claim[0][1]));
      result.push_back(read_instance(rows[0]));
      held[id] = &result.back();
    }
    if (!held.empty()) {
      load(work, held);
      load_signals(work, held);
    }
    work.commit();
    return result;
  });
}

std::vector<std::pair<std::string, std::int64_t>> WorkerStore::held(int worker) {
  return guarded("read what is held", [&] {
    pqxx::nontransaction alone(impl_->connection);  // one statement, because an idle daemon asks, too
    std::vector<std::pair<std::string, std::int64_t>> all;
    for (const pqxx::row& row :
         exec_params(alone,
                     "select id, fencing_token from df.instances"
                     " where worker_id operator(pg_catalog.=) $1 and completed_at is null",
                     worker))
      all.emplace_back(text(row[0]), row[1].as<std::int64_t>());
    return all;
  });
}

int WorkerStore::give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) {
  return guarded("give back", [&] {
    std::vector<std::string> ids, tokens;
    for (const auto& [id, token] : instances) {
      ids.push_back(id);
      tokens.push_back(std::to_string(token));
    }
    Transaction work(impl_->connection);
    const int given_back = exec_params(work, "select df._give_back($1, $2::text[], $3::bigint[])", worker,
                                       array_parameter(ids), array_parameter(tokens))[0][0]
                               .as<int>();
    work.commit();
    return given_back;
  });
}

std::set<std::string> WorkerStore::may_http(const std::set<std::string>& roles) {
  return guarded("read the right to HTTP", [&] {
    boost::json::array names(roles.begin(), roles.end());
    Transaction work(impl_->connection);
    std::set<std::string> allowed;
    for (const pqxx::row& row :
         exec_params(work,
                     "select r.rolname from pg_catalog.pg_roles r where r.rolname in"
                     " (select value from json_array_elements_text($1)) and df._may_http(r.oid)",
                     boost::json::serialize(names)))
      allowed.insert(text(row[0]));
    work.commit();
    return allowed;
  });
}

std::optional<std::string> WorkerStore::login_failed(int worker, const LoginProblem& problem) {
  return guarded("record a failed login", [&]() -> std::optional<std::string> {
    Transaction work(impl_->connection);
    const pqxx::result rows =
        exec_params(work, "select df._login_failed($1, $2, $3, $4, $5, $6, $7 * interval '1 millisecond')",
                    worker, problem.role, problem.login, problem.database, problem.sqlstate, problem.message,
                    static_cast<long long>(problem.next_try.count()));
    work.commit();
    return rows[0][0].is_null() ? std::nullopt : std::optional(text(rows[0][0]));
  });
}

void WorkerStore::login_works(int worker, const std::string& login, const std::string& database) {
  guarded("record a login", [&] {
    Transaction work(impl_->connection);
    exec_params(work, "delete from df._login_problems where worker_id = $1 and login = $2 and database = $3",
                worker, login, database);
    work.commit();
  });
}

Released WorkerStore::release_dead(int worker, std::chrono::milliseconds lease_ttl, bool advisory_locks) {
  return guarded("release dead workers", [&] {
    pqxx::nontransaction alone(impl_->connection);
    const pqxx::result rows =
        exec_params(alone,
                    "select released, others, pg_catalog.array_to_string(parked, ' ') from "
                    "df._release_dead($1, pg_catalog.make_interval(secs => $2), $3)",
                    worker, std::chrono::duration<double>(lease_ttl).count(), advisory_locks);
    Released released{rows[0][0].as<int>(), rows[0][1].as<int>(), {}};
    std::istringstream ids(text(rows[0][2]));
    for (std::string id; ids >> id;) released.parked.push_back(id);
    return released;
  });
}

void WorkerStore::release_all(int worker) {
  guarded("release", [&] {
    for (;;) {
      Transaction work(impl_->connection);
      const int released = exec_params(work, "select released from df._release($1)", worker)[0][0].as<int>();
      work.commit();
      if (released < 1000) return;
    }
  });
}

int WorkerStore::prune(std::chrono::seconds age, int batch) {
  return guarded("prune", [&] {
    Transaction work(impl_->connection, kIndexesOnly);
    const int pruned = exec_params(work, "select df._prune_batch($1 * interval '1 second', $2)",
                                   static_cast<long long>(age.count()), batch)[0][0]
                           .as<int>();
    work.commit();
    return pruned;
  });
}

Statistics WorkerStore::statistics(const std::vector<std::string>& labels) {
  return guarded("read statistics", [&] {
    pqxx::nontransaction alone(impl_->connection);
    const std::string json =
        exec_params(alone, "select df._statistics($1::pg_catalog.text[])", array_parameter(labels))[0][0]
            .c_str();
    return statistics_from_json(json);
  });
}

}  // namespace durabled::store
