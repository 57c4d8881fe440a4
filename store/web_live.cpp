// What the page's streams look for, and what its buttons do.
#include <algorithm>

#include "store/parameters.hpp"
#include "store/web_impl.hpp"

namespace durabled::store {
namespace {

constexpr int kEvents = 200, kShortHead = 4 << 10, kNewRows = 100;

std::vector<std::string> changeable(const std::string& action) {
  if (action == "cancel") return {"pending", "running", "paused"};
  if (action == "pause") return {"pending", "running"};
  if (action == "resume") return {"paused"};
  return {"completed", "failed", "cancelled"};
}

}  // namespace

// One statement, and every name in it qualified: it runs without the settings of a transaction.
WebProbe WebStore::probe(const std::vector<std::string>& ids, bool look_for_new, double seconds) {
  WebQuery query;
  query.sql =
      "select i.id, pg_catalog.concat_ws('/', i.status, pg_catalog.date_part('epoch', i.updated_at), "
      "i.worker_id, i.request, "
      "(select pg_catalog.max(e.seq) from df.events e where e.instance_id operator(pg_catalog.=) i.id)), "
      "null "
      "from df.instances i where i.id operator(pg_catalog.=) any (" +
      query.bind(array_parameter(ids)) + "::pg_catalog.text[])";
  if (look_for_new) {
    query.sql +=
        " union all (select null, null, 'new' from df.instances n where n.created_at operator(pg_catalog.>) "
        "(pg_catalog.now() operator(pg_catalog.-) pg_catalog.make_interval(secs => " +
        query.bind(std::to_string(seconds)) + "::pg_catalog.float8))" +
        (impl_->sees_own_only() ? " and n.submitted_by operator(pg_catalog.=) (select df._me())" : "") +
        " limit 1)";
  }
  const PGresultPtr rows = impl_->probe(query);
  WebProbe probe;
  for (int row = 0; row < PQntuples(rows.get()); ++row) {
    const auto id = field(rows.get(), 0, row);
    if (id)
      probe.marks.push_back({*id, field(rows.get(), 1, row).value_or("")});
    else
      probe.has_new = true;
  }
  return probe;
}

std::optional<std::string> WebStore::moved(const std::string& id, std::int64_t after) {
  return impl_->read(
      "read the instance",
      {"with page as materialized (select e.* from df.events e where e.instance_id = $1 and e.seq > "
       "$2::bigint order by "
       "e.seq limit " +
           std::to_string(kEvents + 1) +
           ") select json_build_object('instance', r.r, 'why', r.r -> 'why', 'waits', " + web_waits() +
           ", 'can', " + web_can() + ", 'states', " + web_states() +
           ", 'events', (select coalesce(json_agg(" + web_event(kShortHead) +
           " order by e.seq), '[]') from (select * from page order by seq limit " + std::to_string(kEvents) +
           ") e), 'more', (select count(*) > " + std::to_string(kEvents) +
           " from page), 'last_seq', (select coalesce(max(e.seq), 0) from df.events e where e.instance_id = "
           "i.id)) from "
           "df.instances i " +
           web_why() + " cross join lateral (select " + web_row() + " as r) r where i.id = $1",
       {id, std::to_string(after)}});
}

std::map<std::string, std::string> WebStore::rows(const std::vector<std::string>& ids) {
  return impl_->write("read the rows", [&] {
    const PGresultPtr found = impl_->execute(
        {"select i.id, " + web_row() + " from df.instances i " + web_why() + " where i.id = any ($1::text[])",
         {array_parameter(ids)}});
    std::map<std::string, std::string> rows;
    for (int row = 0; row < PQntuples(found.get()); ++row)
      rows[field(found.get(), 0, row).value_or("")] = field(found.get(), 1, row).value_or("null");
    return rows;
  });
}

std::string WebStore::newer(const WebFilter& filter, const std::string& cursor) {
  WebQuery query;
  const std::string condition = web_condition(filter, query, impl_->sees_own_only()),
                    from = query.bind(cursor);
  query.sql = "select '\"new\":' || least(count(*), " + std::to_string(kNewRows) +
              ") || ',\"new_capped\":' || (count(*) > " + std::to_string(kNewRows) +
              ") from (select from df.instances i where " + condition +
              " and (i.created_at, i.id) > (timestamptz 'epoch' + ('x' || lpad(split_part(" + from +
              ", '.', 1), 16, '0'))::bit(64)::bigint * interval '1 microsecond', split_part(" + from +
              ", '.', 2)) limit " + std::to_string(kNewRows + 1) + ") n";
  return impl_->read_one("count new instances", query);
}

WebActed WebStore::act(const WebAction& action) {
  return impl_->write(action.action.c_str(), [&] {
    WebActed acted;
    const auto status = [&](const std::string& id) {
      return field(impl_->execute({"select i.status from df.instances i where i.id = $1", {id}}).get(), 0);
    };
    acted.status_before = status(action.id);
    if (action.expect_status && acted.status_before && *acted.status_before != *action.expect_status) {
      acted.changed = true;
      acted.status = acted.status_before;
      return acted;
    }
    WebQuery query;
    const std::string id = query.bind(action.id);
    if (action.action == "cancel") {
      query.sql = "select df.cancel(" + id + ", nullif(" + query.bind(action.reason.value_or("")) + ", ''))";
    } else if (action.action == "pause") {
      query.sql = "select df.pause(" + id + ")";
    } else if (action.action == "resume") {
      query.sql = "select df.resume(" + id + ")";
    } else if (action.action == "signal") {
      query.sql = "select df.signal(" + id + ", " + query.bind(action.name) + ", " + query.bind(action.data) +
                  "::text)";
    } else {
      query.sql = action.from_node
                      ? "select df.rerun(" + id + ", " + query.bind(*action.from_node) + "::text)"
                      : "select df.rerun(" + id + "::text)";
    }
    const std::string answer = field(impl_->execute(query).get(), 0).value_or("");
    acted.status = status(action.id);
    if (action.action == "rerun") acted.new_id = answer;
    acted.message = acted.new_id ? "Instance " + answer + " runs it again" : answer;
    return acted;
  });
}

std::string WebStore::matching(const std::string& action, const WebFilter& filter) {
  WebFilter narrowed = filter;
  narrowed.statuses.clear();
  for (const std::string& status : changeable(action)) {
    const bool wanted = filter.statuses.empty() || std::find(filter.statuses.begin(), filter.statuses.end(),
                                                             status) != filter.statuses.end();
    if (wanted) narrowed.statuses.push_back(status);
  }
  if (narrowed.statuses.empty()) return R"({"count":0,"capped":false,"by_status":{},"ids":[],"sample":[]})";
  WebQuery query;
  const std::string condition = web_condition(narrowed, query, impl_->sees_own_only());
  query.sql =
      "with found as materialized (select i.id, i.status, row_number() over (order by i.created_at desc, "
      "i.id desc) as n "
      "from df.instances i where " +
      condition +
      " order by i.created_at desc, i.id desc limit 10001), kept as (select * from found f where f.n <= "
      "10000) select "
      "json_build_object('count', (select count(*) from kept), 'capped', (select count(*) > 10000 from "
      "found), 'by_status', "
      "(select coalesce(json_object_agg(s.status, s.count), '{}') from (select k.status, count(*) as count "
      "from kept k group "
      "by k.status) s), 'ids', (select coalesce(json_agg(k.id order by k.n), '[]') from kept k), 'sample', "
      "(select "
      "coalesce(json_agg(" +
      web_row() + " order by k.n), '[]') from kept k join df.instances i on i.id = k.id " + web_why() +
      " where k.n <= 10))";
  return impl_->read_one("count instances", query);
}

}  // namespace durabled::store
