#include "store/client_filter.hpp"
#include "store/client_impl.hpp"

namespace durabled::store {
namespace {

// A time, or how long ago: "2026-03-01 14:00", "2h", "1 day 30 min".
std::string time_of(const std::string& name) {
  const std::string text = "(p ->> '" + name + "')";
  return "case when " + text + " ~ '^ *[0-9]+ *[a-z]+( +[0-9]+ *[a-z]+)* *$' then now() - " + text +
         "::interval else " + text + "::timestamptz end";
}

}  // namespace

std::string filter_condition(const InstanceFilter& filter, Parameters& parameters) {
  std::string condition = "true";
  const auto add = [&](const char* name, const std::optional<std::string>& value, const std::string& test) {
    if (!value) return;
    parameters[name] = *value;
    condition += " and " + test;
  };
  add("status", filter.status, "i.status = lower(p ->> 'status')");
  add("label", filter.label, "(i.label = p ->> 'label' or i.label like p ->> 'label')");
  add("role", filter.role, "i.submitted_by = (select r.oid from pg_roles r where r.rolname = p ->> 'role')");
  add("code", filter.code, "i.error ->> 'code' = p ->> 'code'");
  add("since", filter.since, "i.created_at >= " + time_of("since"));
  add("until", filter.until, "i.created_at < " + time_of("until"));
  return condition;
}

std::vector<InstanceSummary> ClientStore::list(const ListFilter& filter) {
  Parameters parameters{{"limit", filter.limit}};
  put(parameters, "after", filter.after);
  std::string condition = filter_condition(filter, parameters);
  if (filter.after)
    condition +=
        " and (i.created_at, i.id) < (select c.created_at, c.id from df.instances c where c.id = p ->> "
        "'after')";
  return transaction(impl_->connection(), "list instances", [&](pqxx::work& work) {
    if (filter.after)
      exec_params(work, "select df.status($1)", *filter.after);  // fails where it is not there
    const pqxx::result rows = exec_params(
        work,
        "select l.id, l.label, l.status, " + utc("l.created_at") + ", " + utc("l.completed_at") +
            ", coalesce(df._output(l.id), (select 'waiting: ' || w.name from df._login_waits(l.id) w limit "
            "1)), "
            "df._execution_count(l.id), "
            "(select r.rolname from pg_roles r where r.oid = l.submitted_by), l.error ->> 'code' "
            "from (select i.* from (select $1::json as p) a, df.instances i where " +
            condition +
            " order by i.created_at desc, i.id desc limit (select ($1::json ->> 'limit')::int)) l "
            "order by l.created_at desc, l.id desc",
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
      summary.submitted_by = optional_text(row[7]);
      summary.code = optional_text(row[8]);
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
            "'InstanceStarted' order by e.seq limit 1), df.result(i.id), df.error(i.id), i.priority, i.input "
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
    detail.input = optional_text(row[15]);
    return detail;
  });
}

std::vector<NodeState> ClientStore::nodes(const std::string& id) {
  return transaction(impl_->connection(), "read the nodes", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(work,
                                          "select n.node_id, n.inferred_status, n.status_details -> 'error', "
                                          "(extract(epoch from t.took) * 1000000)::bigint, "
                                          "case when n.node_type like 'HTTP%' then coalesce(n.result -> "
                                          "'http' ->> 'status', n.result ->> 'status') end "
                                          "from df.instance_nodes($1) n "
                                          "left join df._node_times($1) t on t.node_id = n.node_id",
                                          id);
    std::vector<NodeState> nodes;
    for (const auto& row : rows) {
      NodeState& node = nodes.emplace_back();
      node.node_id = row[0].c_str();
      node.status = row[1].c_str();
      node.error = optional_text(row[2]);
      if (!row[3].is_null()) node.took = std::chrono::microseconds(row[3].as<std::int64_t>());
      node.http_status = optional_text(row[4]);
    }
    return nodes;
  });
}

std::vector<NodeIterations> ClientStore::iterations(const std::string& id) {
  return transaction(impl_->connection(), "read the iterations", [&](pqxx::work& work) {
    const pqxx::result rows =
        exec_params(work,
                    "select distinct on (e.node) e.node, (e.data ->> 'iteration')::bigint from df.events e "
                    "where e.instance_id = $1 and e.kind = 'IterationCompleted' order by e.node, e.seq desc",
                    id);
    std::vector<NodeIterations> all;
    for (const auto& row : rows) all.push_back({row[0].c_str(), row[1].as<std::int64_t>()});
    return all;
  });
}

std::vector<NodeWarning> ClientStore::warnings(const std::string& id, int limit) {
  return transaction(impl_->connection(), "read the warnings", [&](pqxx::work& work) {
    const pqxx::result rows = exec_params(work,
                                          "select e.node, w.text from df.events e cross join lateral "
                                          "json_array_elements_text(e.data -> 'warnings') w (text) "
                                          "where e.instance_id = $1 and e.kind = 'StepCompleted' and "
                                          "json_typeof(e.data -> 'warnings') = 'array' "
                                          "group by e.node, w.text order by min(e.seq) limit $2",
                                          id, limit);
    std::vector<NodeWarning> all;
    for (const auto& row : rows) all.push_back({row[0].c_str(), row[1].c_str()});
    return all;
  });
}

RowCounts ClientStore::rows_of(const std::string& id, const RowNodes& nodes) {
  return transaction(impl_->connection(), "count the rows", [&](pqxx::work& work) {
    RowCounts counts;
    const pqxx::result total = exec_params(work,
                                           "select (e.data ->> 'row_count')::bigint from df.events e where "
                                           "e.instance_id = $1 and e.node = $2 and e.kind = 'StepCompleted' "
                                           "order by e.seq desc limit 1",
                                           id, nodes.source);
    if (!total.empty() && !total[0][0].is_null()) counts.total = total[0][0].as<std::int64_t>();
    const pqxx::result done = exec_params(
        work,
        "select count(distinct e.scope) from df.events e where e.instance_id = $1 and e.node = $2 and "
        "e.kind in ('StepCompleted', 'SignalReceived', 'TimerFired')",
        id, nodes.last);
    counts.done = done[0][0].as<std::int64_t>();
    const pqxx::result failed = exec_params(
        work,
        "select split_part(e.scope, '.', 1)::bigint from df.events e where e.instance_id = $1 and "
        "e.node between $2 and $3 and e.kind = 'StepFailed' and e.data ->> 'retry_at' is null and not exists "
        "("
        "select from df.events l where l.instance_id = e.instance_id and l.node = e.node and l.scope = "
        "e.scope "
        "and l.seq > e.seq) group by 1 order by 1 limit 10",
        id, nodes.first, nodes.end);
    for (const auto& row : failed) counts.failed.push_back(row[0].as<std::int64_t>());
    return counts;
  });
}

namespace {

// `waits` gives instance_id, node_id, kind, name, since and until; it reads its values from p, a JSON object.
std::vector<WaitingFor> read_waits(pqxx::work& work, const std::string& waits, const Parameters& parameters) {
  const pqxx::result rows = exec_params(
      work,
      "select w.instance_id, i.label, w.node_id, w.kind, w.name, " + utc("w.since") + ", " + utc("w.until") +
          ", f.attempt, f.message from (select $1::json as p) a cross join lateral (" + waits +
          ") w join df.instances i on i.id = w.instance_id left join lateral ("
          "select e.attempt, e.data -> 'error' ->> 'message' as message from df.events e "
          "where w.kind = 'retry' and e.instance_id = w.instance_id and e.node = w.node_id and "
          "e.kind = 'StepFailed' order by e.seq desc limit 1) f on true",
      boost::json::serialize(parameters));
  std::vector<WaitingFor> all;
  for (const auto& row : rows) {
    WaitingFor& wait = all.emplace_back();
    wait.instance_id = row[0].c_str();
    wait.label = optional_text(row[1]);
    wait.node_id = row[2].is_null() ? "" : row[2].c_str();
    wait.kind = row[3].c_str();
    wait.name = optional_text(row[4]);
    wait.since = optional_text(row[5]);
    wait.until = optional_text(row[6]);
    if (!row[7].is_null()) wait.attempt = row[7].as<int>();
    wait.error = optional_text(row[8]);
  }
  return all;
}

}  // namespace

std::vector<WaitingFor> ClientStore::waiting(const std::optional<std::string>& id, int limit) {
  Parameters parameters{{"limit", limit}};
  put(parameters, "id", id);
  return transaction(impl_->connection(), "read the waits", [&](pqxx::work& work) {
    return read_waits(work, "select * from df.waiting(p ->> 'id') limit (p ->> 'limit')::int", parameters);
  });
}

std::vector<WaitingFor> ClientStore::waits_of(const std::vector<std::string>& ids) {
  if (ids.empty()) return {};
  return transaction(impl_->connection(), "read the waits", [&](pqxx::work& work) {
    return read_waits(work,
                      "select n.id as instance_id, l.* from json_array_elements_text(p -> 'ids') n(id) "
                      "cross join lateral df._waits(n.id) l",
                      {{"ids", boost::json::value_from(ids)}});
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

std::vector<WorkerRow> ClientStore::workers() {
  return transaction(impl_->connection(), "read the daemons", [&](pqxx::work& work) {
    const pqxx::result rows =
        exec_params(work, "select w.id, w.name, w.host, w.pid, w.version, " + utc("w.started_at") + ", " +
                              utc("w.last_seen_at") +
                              ", extract(epoch from now() - w.last_seen_at)::float8, "
                              "(select count(*) from df.instances i where i.worker_id = w.id) "
                              "from df.workers w order by w.started_at, w.id");
    std::vector<WorkerRow> workers;
    for (const auto& row : rows) {
      workers.push_back({row[0].as<std::int64_t>(), row[1].c_str(), row[2].c_str(), row[3].as<std::int64_t>(),
                         row[4].c_str(), row[5].c_str(), row[6].c_str(), row[7].as<double>(),
                         row[8].as<std::int64_t>()});
    }
    return workers;
  });
}

MetricValues ClientStore::metrics() {
  return transaction(impl_->connection(), "count the instances", [&](pqxx::work& work) {
    MetricValues values;
    for (const auto& row : exec_params(work, "select i.status, count(*) from df.instances i group by 1"))
      values.instances[row[0].c_str()] = row[1].as<std::int64_t>();
    const pqxx::result due = exec_params(
        work,
        "select count(*), coalesce(extract(epoch from max(now() - i.wake_at)), 0)::float8 from df.instances "
        "i "
        "where i.status in ('pending', 'running') and i.worker_id is null and i.wake_at <= now()");
    values.due = due[0][0].as<std::int64_t>();
    values.oldest_due_seconds = due[0][1].as<double>();
    const pqxx::result recent =
        exec_params(work,
                    "select count(*) from df.instances i where i.status = 'failed' and "
                    "i.completed_at > now() - interval '1 hour'");
    values.failed_last_hour = recent[0][0].as<std::int64_t>();
    return values;
  });
}

}  // namespace durabled::store
