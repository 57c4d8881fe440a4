#include "store/client_store.hpp"

#include <boost/json.hpp>

#include "store/guard.hpp"
#include "store/pqxx_compat.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

using Optional = std::optional<std::string>;

Optional optional_text(const pqxx::field& field) {
  return field.is_null() ? Optional() : Optional(field.c_str());
}

// Parameters travel as one JSON object: NULLs and types are then the same with every version of the driver.
using Parameters = boost::json::object;

void put(Parameters& parameters, const char* name, const Optional& value) {
  if (value) parameters[name] = *value;
}

// Times for programs, whatever the session's DateStyle and TimeZone.
std::string utc(const std::string& column) {
  return "to_char(" + column + " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
}

// `operation` names the function in errors.
template <typename Function>
auto transaction(pqxx::connection& connection, const char* operation, Function&& function) {
  return guarded(operation, [&] {
    Transaction work(connection);
    auto result = function(work);
    work.commit();
    return result;
  });
}

std::unique_ptr<pqxx::connection> connect(const std::string& conninfo) {
  return guarded("connect", [&] {
    auto connection = std::make_unique<pqxx::connection>(conninfo);
    forbid_reconnect(*connection);
    connection->set_client_encoding("UTF8");
    return connection;
  });
}

}  // namespace

class ClientStore::Impl {
 public:
  explicit Impl(const std::string& conninfo) : connection_(connect(conninfo)) {}
  pqxx::connection& connection() { return *connection_; }

  // `call` is a call of a function of df with $1, the instance, and $2, a JSON object of its other arguments.
  Answer ask(const char* operation, const std::string& call, const std::string& id,
             const Parameters& parameters) {
    return transaction(*connection_, operation, [&](pqxx::work& work) {
      const std::string before = exec_params(work, "select df.status($1)", id)[0][0].c_str();
      const pqxx::result rows = exec_params(work, "select " + call + " from (select $2::json as p) a", id,
                                            boost::json::serialize(parameters));
      return Answer{rows[0][0].c_str(), before};
    });
  }

 private:
  std::unique_ptr<pqxx::connection> connection_;
};

ClientStore::ClientStore(const std::string& conninfo) : impl_(std::make_unique<Impl>(conninfo)) {}
ClientStore::~ClientStore() = default;

std::string ClientStore::submit(const Submission& submission) {
  Parameters parameters{{"dsl", submission.dsl}};
  put(parameters, "label", submission.label);
  put(parameters, "database", submission.database);
  put(parameters, "start_at", submission.start_at);
  put(parameters, "idempotency_key", submission.idempotency_key);
  if (submission.priority) parameters["priority"] = *submission.priority;
  if (!submission.vars.empty()) {
    boost::json::object& vars = parameters["vars"].emplace_object();
    for (const auto& [name, value] : submission.vars) vars[name] = value;
  }
  return transaction(impl_->connection(), "submit", [&](pqxx::work& work) {
    const pqxx::result rows =
        exec_params(work,
                    "insert into df.submit (dsl, label, database, vars, priority, start_at, idempotency_key) "
                    "select s.dsl, s.label, s.database, case when s.vars is not null then coalesce("
                    "(select jsonb_object_agg(v.name, v.value) from df.vars v where v.owner = df._me()), "
                    "'{}') || s.vars end, "
                    "s.priority, s.start_at, s.idempotency_key "
                    "from json_to_record($1::json) as s (dsl text, label text, database text, vars jsonb, "
                    "priority smallint, "
                    "start_at timestamptz, idempotency_key text) returning id",
                    boost::json::serialize(parameters));
    return std::string(rows[0][0].c_str());
  });
}

std::string ClientStore::await(const std::string& id, std::chrono::milliseconds timeout) {
  return transaction(impl_->connection(), "wait", [&](pqxx::work& work) {
    const double seconds = std::chrono::duration<double>(timeout).count();
    return std::string(exec_params(work, "select df.await_instance($1, $2)", id, seconds)[0][0].c_str());
  });
}

std::vector<InstanceSummary> ClientStore::list(const ListFilter& filter) {
  Parameters parameters{{"limit", filter.limit}};
  put(parameters, "status", filter.status);
  put(parameters, "label", filter.label);
  return transaction(impl_->connection(), "list instances", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(
        work,
        "select l.instance_id, l.label, l.status, " + utc("l.created_at") + ", " + utc("l.completed_at") +
            ", l.output, l.execution_count from (select $1::json as p) a, "
            "df.list_instances(p ->> 'status', (p ->> 'limit')::int, p ->> 'label') l",
        boost::json::serialize(parameters));
    std::vector<InstanceSummary> summaries;
    for (const auto& row : rows) {
      InstanceSummary& summary = summaries.emplace_back();
      summary.id = row[0].c_str();
      summary.label = optional_text(row[1]);
      summary.status = row[2].c_str();
      summary.created_at = row[3].c_str();
      summary.completed_at = optional_text(row[4]);
      summary.output = optional_text(row[5]);
      summary.executions = row[6].as<std::int64_t>();
    }
    return summaries;
  });
}

InstanceDetail ClientStore::instance(const std::string& id) {
  return transaction(impl_->connection(), "read the instance", [&](pqxx::work& work) {
    exec_params(work, "select df.status($1)", id);  // fails where it is not there
    const pqxx::result rows = exec_params(
        work,
        "select i.status, i.dsl, i.database, " + utc("i.created_at") + ", " + utc("i.updated_at") +
            ", (select r.rolname from pg_roles r where r.oid = i.submitted_by), i.label, " +
            utc("i.started_at") + ", " + utc("i.completed_at") + ", " + utc("i.wake_at") +
            ", i.request, (select e.data -> 'graph' from df.events e where e.instance_id = i.id and e.kind = "
            "'InstanceStarted' order by e.seq limit 1), df.result(i.id), df.error(i.id), i.priority "
            "from df.instances i where i.id = $1",
        id);
    const auto& row = rows.at(0);
    InstanceDetail detail;
    detail.id = id;
    detail.status = row[0].c_str();
    detail.dsl = row[1].c_str();
    detail.database = row[2].c_str();
    detail.created_at = row[3].c_str();
    detail.updated_at = row[4].c_str();
    detail.submitted_by = optional_text(row[5]);
    detail.label = optional_text(row[6]);
    detail.started_at = optional_text(row[7]);
    detail.completed_at = optional_text(row[8]);
    detail.wake_at = optional_text(row[9]);
    detail.request = optional_text(row[10]);
    detail.graph = optional_text(row[11]);
    detail.result = optional_text(row[12]);
    detail.error = optional_text(row[13]);
    detail.priority = row[14].as<int>();
    return detail;
  });
}

std::vector<NodeState> ClientStore::nodes(const std::string& id) {
  return transaction(impl_->connection(), "read the nodes", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(work,
                                          "select n.node_id, n.inferred_status, n.status_details -> 'error' "
                                          "from df.instance_nodes($1) n",
                                          id);
    std::vector<NodeState> nodes;
    for (const auto& row : rows) nodes.push_back({row[0].c_str(), row[1].c_str(), optional_text(row[2])});
    return nodes;
  });
}

std::vector<WaitingFor> ClientStore::waiting(const std::string& id) {
  return transaction(impl_->connection(), "read the waits", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(
        work, "select w.node_id, w.kind, w.name, " + utc("w.until") + " from df.waiting($1) w", id);
    std::vector<WaitingFor> waits;
    for (const auto& row : rows) {
      waits.push_back({row[0].c_str(), row[1].c_str(), optional_text(row[2]), optional_text(row[3])});
    }
    return waits;
  });
}

std::vector<SentSignal> ClientStore::untaken_signals(const std::string& id, int limit) {
  return transaction(impl_->connection(), "read the signals", [&](pqxx::work& work) {
    const pqxx::result rows =
        exec_params(work,
                    "select s.name, s.data, " + utc("s.sent_at") +
                        " from df.signals s where s.instance_id = $1 and s.taken_at is null order by s.id "
                        "limit $2",
                    id, limit);
    std::vector<SentSignal> sent;
    for (const auto& row : rows) sent.push_back({row[0].c_str(), row[1].c_str(), row[2].c_str()});
    return sent;
  });
}

bool ClientStore::is_served(std::chrono::milliseconds silence) {
  return transaction(impl_->connection(), "look for daemons", [&](pqxx::work& work) {
    const double seconds = std::chrono::duration<double>(silence).count();
    return !exec_params(work,
                        "select from df.workers where last_seen_at > now() - make_interval(secs => $1) "
                        "limit 1",
                        seconds)
                .empty();
  });
}

std::vector<HistoryEvent> ClientStore::history(const std::string& id, std::int64_t after_seq) {
  return transaction(impl_->connection(), "read the history", [&](pqxx::work& work) {
    exec_params(work, "select df.status($1)", id);  // fails where it is not there
    // The table and not df.history: following a long history reads only what is new.
    const pqxx::result rows = exec_params(work,
                                          "select e.seq, " + utc("e.at") +
                                              ", e.kind, e.node, e.scope, e.data, e.attempt from df.events e "
                                              "where e.instance_id = $1 and e.seq > $2 order by e.seq",
                                          id, after_seq);
    std::vector<HistoryEvent> events;
    for (const auto& row : rows) {
      HistoryEvent& event = events.emplace_back();
      event.seq = row[0].as<std::int64_t>();
      event.at = row[1].c_str();
      event.kind = row[2].c_str();
      event.node = optional_text(row[3]);
      event.scope = optional_text(row[4]);
      event.data = optional_text(row[5]);
      if (!row[6].is_null()) event.attempt = row[6].as<int>();
    }
    return events;
  });
}

Answer ClientStore::cancel(const std::string& id, const std::optional<std::string>& reason) {
  Parameters parameters;
  put(parameters, "reason", reason);
  return impl_->ask("cancel", "df.cancel($1, p ->> 'reason')", id, parameters);
}

Answer ClientStore::pause(const std::string& id) {
  return impl_->ask("pause", "df.pause($1)", id, {});
}

Answer ClientStore::resume(const std::string& id) {
  return impl_->ask("resume", "df.resume($1)", id, {});
}

Answer ClientStore::signal(const std::string& id, const std::string& name, const std::string& data) {
  return impl_->ask("signal", "df.signal($1, p ->> 'name', p ->> 'data')", id,
                    {{"name", name}, {"data", data}});
}

std::string ClientStore::rerun(const std::string& id, const std::optional<std::string>& from_node) {
  return transaction(impl_->connection(), "rerun", [&](pqxx::work& work) {
    const pqxx::result rows = from_node
                                  ? exec_params(work, "select df.rerun($1::text, $2::text)", id, *from_node)
                                  : exec_params(work, "select df.rerun($1::text)", id);
    return std::string(rows[0][0].c_str());
  });
}

}  // namespace durabled::store
