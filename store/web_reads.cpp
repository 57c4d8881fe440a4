// What the page reads. Times, counts and texts are put together by PostgreSQL: see store/web_sql.cpp.
#include "store/web_impl.hpp"

namespace durabled::store {
namespace {

constexpr int kHead = 64 << 10, kShortHead = 4 << 10;  // characters of a text that may be longer
constexpr int kSignals = 200, kAttempts = 50, kVariables = 200;

std::string cursor_of(const std::string& alias) {
  return "df._cursor(" + alias + ".created_at, " + alias + ".id)";
}

// Rows of `df.instances x` that a partial index holds, counted to 10,000.
std::string capped(const std::string& source) {
  return "(select json_build_object('count', least(count(*), 10000), 'capped', count(*) > 10000) from (" +
         source + " limit 10001) n)";
}

// Of one status, among the newest unfinished ones.
std::string unfinished(const std::string& status) {
  return "(select json_build_object('count', least(count(*) filter (where u.status = '" + status +
         "'), 10000), 'capped', count(*) > 30000 or count(*) filter (where u.status = '" + status +
         "') > 10000) from unfinished u)";
}

std::string worker_list() {
  return "(select coalesce(json_agg(json_build_object('id', w.id, 'name', w.name, 'host', w.host, 'pid', "
         "w.pid, "
         "'version', w.version, 'started_at', " +
         web_time("w.started_at") + ", 'last_seen_at', " + web_time("w.last_seen_at") +
         ", 'silent_seconds', round(extract(epoch from now() - w.last_seen_at), 3), 'alive', "
         "w.last_seen_at > now() - interval '30 s', 'held', (select count(*) from (select from df.instances "
         "x "
         "where x.worker_id = w.id and x.completed_at is null limit 10000) h)) order by w.started_at, w.id), "
         "'[]') from df.workers w)";
}

// The waits that the person sees, at most 2000 of them, with what they need to be shown.
std::string waits(const std::string& condition) {
  return "(select * from df.waiting() limit 2001) w left join df.instances i on i.id = w.instance_id" +
         std::string(kWebLastFailure) + " where " + condition;
}

constexpr const char* kWaitOrder =
    "coalesce(w.kind <> 'signal' and w.until < now() - interval '10 s', false) desc, w.until nulls last, "
    "w.since";

std::string error_parts(const std::string& error) {
  return "(select json_build_object('message', left(x.e ->> 'message', 4000), 'code', x.e ->> 'code', "
         "'sqlstate', x.e ->> "
         "'sqlstate', 'detail', left(x.e ->> 'detail', 4000), 'hint', left(x.e ->> 'hint', 4000), 'node', "
         "x.e ->> 'node', "
         "'attempts', x.e -> 'attempts', 'position', x.e -> 'position', 'statement', left(x.e ->> "
         "'statement', 4000)) "
         "from (select " +
         error + " as e) x where x.e is not null)";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

}  // namespace

std::string WebStore::settings() {
  return impl_->read_one("read the settings",
                         {"select json_build_object('daemons', (select count(*) from df.workers w where "
                          "w.last_seen_at > now() - interval "
                          "'30 s'), 'now', " +
                              web_time("clock_timestamp()") +
                              ", 'settings', (select coalesce(json_agg(json_build_object('name', s.name, "
                              "'value', s.value) order by "
                              "s.name), '[]') from df.settings s))",
                          {}});
}

// Each count looks at a bounded number of rows of an index; what has ended long ago costs nothing.
std::string WebStore::overview() {
  const std::string own = web_own(impl_->sees_own_only(), "x");
  const std::string with = R"(
with unfinished as materialized (
  select x.status from df.instances x where x.completed_at is null)" +
                           own + R"(
  order by x.created_at desc, x.id desc limit 30001
), hour as materialized (
  select x.status, floor(extract(epoch from now() - x.completed_at) / 60)::int as minute from df.instances x
  where x.completed_at > now() - interval '1 hour')" +
                           own + R"( order by x.completed_at desc limit 10001
), failed as materialized (
  select x.id, x.label, x.error, x.completed_at from df.instances x
  where x.status = 'failed' and x.completed_at > now() - interval '1 day' and x.created_at > now() - interval '8 days')" +
                           own + R"( order by x.created_at desc, x.id desc limit 2001
), human as materialized (select * from df.waiting() limit 2001)
)";
  const std::string late = R"((
  select json_build_object('count', least(count(*), 10000), 'capped', count(*) > 10000,
                           'oldest_seconds', round(extract(epoch from now() - min(d.wake_at)), 1))
  from (select x.wake_at from df.instances x
        where x.wake_at is not null and x.status <> 'paused' and x.worker_id is null
          and x.wake_at < now() - interval '10 s')" +
                           own + R"( order by x.wake_at limit 10001) d))";
  const std::string ended = R"((
  select json_build_object(
    'hour', json_build_object('completed', count(*) filter (where h.status = 'completed'),
                              'failed', count(*) filter (where h.status = 'failed'),
                              'cancelled', count(*) filter (where h.status = 'cancelled'), 'capped', count(*) > 10000),
    'minutes', (select json_agg((select count(*) from hour m where m.minute = g.minute) order by g.minute desc)
                from generate_series(0, 59) g(minute)))
  from hour h))";
  const std::string failures = R"((
  select coalesce(json_agg(json_build_object('label', f.label, 'code', f.code, 'count', f.count, 'last_at', )" +
                               web_time("f.last_at") +
                               R"(, 'last_id', f.ids[1], 'message', left(f.messages[1], 400))
                           order by f.count desc, f.last_at desc), '[]')
  from (select x.label, x.error ->> 'code' as code, count(*) as count, max(x.completed_at) as last_at,
               array_agg(x.id order by x.completed_at desc) as ids,
               array_agg(x.error ->> 'message' order by x.completed_at desc) as messages
        from failed x group by 1, 2 order by count(*) desc, max(x.completed_at) desc limit 10) f))";
  const std::string human = R"((
  select json_build_object('count', count(*), 'capped', (select count(*) > 2000 from human),
                           'waits', coalesce(json_agg(s.wait order by s.n) filter (where s.n <= 10), '[]'))
  from (select )" + web_wait() +
                            " as wait, row_number() over (order by " + kWaitOrder + R"() as n
        from human w left join df.instances i on i.id = w.instance_id
        cross join (select null::int as attempt, null::text as message) f where w.kind = 'signal') s))";
  const std::string sql =
      with + "select json_build_object('at', " + web_time("now()") +
      ", 'unfinished', json_build_object('pending', " + unfinished("pending") + ", 'running', " +
      unfinished("running") + ", 'paused', " + unfinished("paused") + "), 'parked', " +
      capped("select from df.instances x where x.status = 'paused' and x.error is not null" + own) +
      ", 'late', " + late + ", 'ended', " + ended + ", 'failures', " + failures +
      ", 'failures_capped', (select count(*) > 2000 from failed), 'human', " + human + ", 'workers', " +
      worker_list() + ")";
  return impl_->read_one("read the overview", {sql, {}}, "set local enable_seqscan = off");
}

std::string WebStore::instances(const WebFilter& filter, const WebPage& page) {
  WebQuery query;
  std::string condition = web_condition(filter, query, impl_->sees_own_only());
  if (page.cursor) {
    const std::string cursor = query.bind(*page.cursor);
    condition += " and (i.created_at, i.id) < (timestamptz 'epoch' + ('x' || lpad(split_part(" + cursor +
                 ", '.', 1), 16, '0'))::bit(64)::bigint * interval '1 microsecond', split_part(" + cursor +
                 ", '.', 2))";
  }
  const std::string limit = query.bind(std::to_string(page.limit)) + "::int";
  const auto time_or_null = [&](const std::optional<std::string>& time) {
    return time ? web_time("(" + web_time_value(*time, query) + ")") : std::string("null");
  };
  const std::string since = time_or_null(filter.since), until = time_or_null(filter.until);
  query.sql = "with page as materialized (select i.* from df.instances i where " + condition +
              " order by i.created_at desc, i.id desc limit " + limit +
              " + 1), ranked as (select p.id, p.created_at, row_number() over (order by p.created_at desc, "
              "p.id desc) as n from page p) "
              "select json_build_object('rows', (select coalesce(json_agg(" +
              web_row() +
              " order by i.created_at desc, i.id desc), '[]') from ranked k join page i on i.id = k.id " +
              web_why() + " where k.n <= " + limit + "), 'next', (select " + cursor_of("k") +
              " from ranked k where k.n = " + limit + " and exists (select from ranked m where m.n > " +
              limit + ")), 'newest', coalesce((select " + cursor_of("k") +
              " from ranked k where k.n = 1), df._cursor(now(), '')), 'window', json_build_object('since', " +
              (filter.last_week ? web_time("now() - interval '7 days'") : since) + ", 'until', " + until +
              ", 'default', " + (filter.last_week ? "true" : "false") + "))";
  return impl_->read_one("list instances", query);
}

std::optional<std::string> WebStore::instance(const std::string& id) {
  const std::string result =
      "(select case when e.kind = 'InstanceCompleted' then e.data -> 'result' else e.data end::text from "
      "df.events e "
      "where i.status = 'completed' and e.instance_id = i.id and e.seq = i.result_seq)";
  return impl_->read(
      "read the instance",
      {"select json_build_object('instance', r.r, 'why', r.r -> 'why', 'waits', " + web_waits() +
           ", 'last_seq', (select coalesce(max(e.seq), 0) from df.events e where e.instance_id = "
           "i.id), "
           "'reason', i.request_reason, 'error', " +
           web_piece("i.error::text", kHead) + ", 'error_parts', " + error_parts("i.error") + ", 'result', " +
           web_piece(result, kHead) +
           ", 'idempotency_key', i.idempotency_key, 'rerun_of', (select s.source from df.reruns s where s.id "
           "= i.id), "
           "'can', " +
           web_can() + ", 'states', " + web_states() + ") from df.instances i " + web_why() +
           " cross join lateral (select " + web_row() + " as r) r where i.id = $1",
       {id}});
}

std::optional<std::string> WebStore::graph(const std::string& id) {
  return impl_->read("read the graph",
                     {"select json_build_object('final', s.data is not null, 'warnings', coalesce(s.data -> "
                      "'warnings', '[]'), 'nodes', "
                      "(with g as materialized (select * from df._graph_nodes(df._graph(i.id))), c as "
                      "(select n.parent, count(*) as n "
                      "from g n group by n.parent) select json_agg(json_build_object('id', g.id, 'parent', "
                      "g.parent, 'slot', g.slot, "
                      "'type', g.node_type, 'text', left(t.text, 200), 'name', g.result_name, 'heading', "
                      "rtrim(df._heading(u.node_type, "
                      "u.query is not null, g.slot), ':'), 'sql', g.node_type = 'SQL', 'cut', length(t.text) "
                      "> 200, 'loops', g.loops, "
                      "'children', coalesce(c.n, 0)) order by g.idx) from g left join g u on u.idx = "
                      "g.parent left join c on c.parent = "
                      "g.idx cross join lateral (select case when g.node_type = 'SQL' then "
                      "df._one_line(left(g.query, 2000)) else "
                      "df._describe(g.node_type, g.query, coalesce(c.n, 0)) end as text) t)) "
                      "from df.instances i left join lateral (select e.data from df.events e where "
                      "e.instance_id = i.id and e.kind = "
                      "'InstanceStarted' order by e.seq limit 1) s on true where i.id = $1",
                      {id}},
                     "set local enable_nestloop = off");
}

std::optional<std::string> WebStore::history(const std::string& id, const WebHistory& which) {
  WebQuery query;
  const std::string instance = query.bind(id);
  std::string condition = "e.instance_id = " + instance;
  if (which.before) condition += " and e.seq < " + query.bind(std::to_string(*which.before)) + "::bigint";
  if (which.after) condition += " and e.seq > " + query.bind(std::to_string(*which.after)) + "::bigint";
  if (!which.kinds.empty())
    condition += " and e.kind = any (string_to_array(" + query.bind(joined(which.kinds)) + ", ','))";
  if (which.node) condition += " and e.node = " + query.bind(*which.node);
  // Without `before`, `after` reads forwards.
  const bool forwards = which.after && !which.before;
  const std::string order = forwards ? "asc" : "desc",
                    limit = query.bind(std::to_string(which.limit)) + "::int";
  query.sql =
      "with page as materialized (select e.* from df.events e where " + condition + " order by e.seq " +
      order + " limit " + limit + " + 1), ranked as (select p.*, row_number() over (order by p.seq " + order +
      ") as n from page p) select json_build_object('events', (select coalesce(json_agg(" +
      web_event(kShortHead) + " order by e.seq), '[]') from ranked e where e.n <= " + limit +
      "), 'more_before', " + (forwards ? "true" : "exists (select from ranked m where m.n > " + limit + ")") +
      ", 'more_after', " +
      (forwards ? "exists (select from ranked m where m.n > " + limit + ")"
                : std::string(which.before ? "true" : "false")) +
      ", 'last_seq', (select coalesce(max(e.seq), 0) from df.events e where e.instance_id = i.id)) from "
      "df.instances i where i.id = " +
      instance;
  return impl_->read("read the history", query);
}

std::optional<std::string> WebStore::event(const std::string& id, std::int64_t seq) {
  return impl_->read("read the event",
                     {"select json_build_object('event', " + web_event(kHead) +
                          ") from df.events e where e.instance_id = $1 and e.seq = $2::bigint",
                      {id, std::to_string(seq)}});
}

std::optional<std::string> WebStore::node(const std::string& id, const std::string& node,
                                          const WebHistory& which) {
  WebQuery query;
  const std::string instance = query.bind(id), name = query.bind(node);
  std::string condition = "e.instance_id = i.id and e.node = g.id";
  if (which.scope) condition += " and coalesce(e.scope, '') = " + query.bind(*which.scope);
  if (which.before) condition += " and e.seq < " + query.bind(std::to_string(*which.before)) + "::bigint";
  const std::string attempt =
      "json_build_object('seq', e.seq, 'scope', coalesce(e.scope, ''), 'attempt', e.attempt, 'kind', e.kind, "
      "'started_at', " +
      web_time("e.started_at") + ", 'at', " + web_time("e.at") +
      ", 'queued_ms', round(extract(epoch from e.started_at - (select max(b.at) from (select x.at from "
      "df.events x where "
      "x.instance_id = i.id and x.seq < e.seq order by x.seq desc limit 200) b where b.at <= e.started_at)) "
      "* 1000, 3), "
      "'took_ms', round(extract(epoch from e.at - e.started_at) * 1000, 3), 'retry_at', case when e.kind = "
      "'StepFailed' "
      "then e.data ->> 'retry_at' end, 'result', case when e.kind <> 'StepFailed' then " +
      web_piece("e.data::text", kHead) + " end, 'error', case when e.kind = 'StepFailed' then " +
      web_piece("(e.data -> 'error')::text", kHead) +
      " end, 'error_parts', case when e.kind = 'StepFailed' then " + error_parts("e.data -> 'error'") +
      " end)";
  query.sql = "with page as materialized (select e.* from df.instances i join lateral (select lpad(" + name +
              ", 8, '0') as id) g on true join df.events e on " + condition + " where i.id = " + instance +
              " order by e.seq desc limit " + std::to_string(kAttempts + 1) +
              ") select json_build_object('node', json_build_object('id', g.id, 'type', g.node_type, 'name', "
              "g.result_name, "
              "'query', " +
              web_piece("g.query", kHead) +
              ", 'state', substr(df._letters(i.id), g.idx + 1, 1)), 'attempts', (select "
              "coalesce(json_agg(" +
              attempt + " order by e.seq desc), '[]') from (select * from page order by seq desc limit " +
              std::to_string(kAttempts) + ") e), 'more_before', (select count(*) > " +
              std::to_string(kAttempts) +
              " from page), 'rerun', json_build_object('problem', df._rerun_problem(i.id, g.id))) from "
              "df.instances i cross join "
              "lateral df._graph_nodes(df._graph(i.id)) g where i.id = " +
              instance + " and g.id = " + name;
  return impl_->read("read the node", query);
}

std::optional<std::string> WebStore::text(const std::string& id) {
  return impl_->read(
      "read the text",
      {"select json_build_object('text', " + web_piece("i.dsl", kHead) + ", 'input', " +
           web_piece("i.input::text", kHead) +
           ", 'vars', (select coalesce(json_agg(json_build_object('name', v.key, 'value', " +
           web_piece("case jsonb_typeof(v.value) when 'string' then v.value #>> '{}' else v.value::text end",
                     kShortHead) +
           ") order by v.key), '[]') from (select * from jsonb_each(i.vars) x order by x.key limit " +
           std::to_string(kVariables) + ") v), 'vars_more', (select count(*) > " +
           std::to_string(kVariables) + " from jsonb_object_keys(i.vars)))" +
           " from df.instances i where i.id = $1",
       {id}});
}

std::optional<std::string> WebStore::signals(const std::string& id) {
  return impl_->read(
      "read the signals",
      {"with page as materialized (select * from df.signals s where s.instance_id = $1 order by s.id desc "
       "limit " +
           std::to_string(kSignals + 1) +
           ") select json_build_object('signals', (select coalesce(json_agg(json_build_object('id', s.id, "
           "'name', s.name, "
           "'sent_by', (select r.rolname from pg_roles r where r.oid = s.sent_by), 'sent_at', " +
           web_time("s.sent_at") + ", 'taken_at', " + web_time("s.taken_at") + ", 'data', " +
           web_piece("s.data::text", kShortHead) +
           ") order by s.id desc), '[]') from (select * from page order by id desc limit " +
           std::to_string(kSignals) + ") s), 'more', (select count(*) > " + std::to_string(kSignals) +
           " from page)) from df.instances i where i.id = $1",
       {id}});
}

std::optional<std::string> WebStore::reruns(const std::string& id) {
  const auto rerun = [](const std::string& other) {
    return "json_build_object('id', " + other +
           ", 'from_node', r.from_node, 'requested_by', (select o.rolname from pg_roles o where o.oid = "
           "r.requested_by), "
           "'requested_at', " +
           web_time("r.requested_at") +
           ", 'status', (select x.status from df.instances x where x.id = " + other + "))";
  };
  return impl_->read(
      "read the reruns",
      {"select json_build_object('of', (select " + rerun("r.source") +
           " from df.reruns r where r.id = i.id), 'reruns', (select coalesce(json_agg(" + rerun("r.id") +
           " order by r.requested_at desc), '[]') from (select * from df.reruns x where x.source = i.id "
           "order by x.requested_at desc limit 200) r)) from df.instances i where i.id = $1",
       {id}});
}

std::optional<std::string> WebStore::payload(const std::string& id, WebPart part, const std::string& which) {
  WebQuery query{"", {id}};
  const auto instance = [&](const std::string& expression) {
    query.sql = "select (" + expression + ")::text from df.instances i where i.id = $1";
  };
  switch (part) {
    case WebPart::kText:
      instance("i.dsl");
      break;
    case WebPart::kVars:
      instance("i.vars");
      break;
    case WebPart::kInput:
      instance("i.input");
      break;
    case WebPart::kResult:
      instance("df.result(i.id)");
      break;
    case WebPart::kError:
      instance("i.error");
      break;
    case WebPart::kGraph:
      instance("df._graph(i.id)");
      break;
    case WebPart::kEvent:
      query.sql =
          "select e.data::text from df.events e where e.instance_id = $1 and e.seq = " + query.bind(which) +
          "::bigint";
      break;
    case WebPart::kSignal:
      query.sql =
          "select s.data::text from df.signals s where s.instance_id = $1 and s.id = " + query.bind(which) +
          "::bigint";
      break;
    case WebPart::kQuery:
      instance("select g.query from df._graph_nodes(df._graph(i.id)) g where g.id = " + query.bind(which));
      break;
  }
  return impl_->read("read the payload", query);
}

std::string WebStore::waiting(const std::vector<std::string>& kinds, int limit) {
  WebQuery query;
  const std::string condition =
      kinds.empty() ? "true" : "w.kind = any (string_to_array(" + query.bind(joined(kinds)) + ", ','))";
  const std::string most = query.bind(std::to_string(limit)) + "::int";
  query.sql = "with all_waits as materialized (select " + web_wait() +
              " as wait, row_number() over (order by " + kWaitOrder + ") as n from " + waits(condition) +
              ") select json_build_object('waits', (select coalesce(json_agg(a.wait order by a.n), '[]') "
              "from all_waits a "
              "where a.n <= " +
              most + "), 'more', (select count(*) > " + most + " from all_waits))";
  return impl_->read_one("read the waits", query, "set local enable_seqscan = off");
}

std::string WebStore::label(const std::string& label) {
  const std::string sql = R"(
with runs as materialized (
  select i.* from df.instances i where i.label = $1)" +
                          web_own(impl_->sees_own_only(), "i") + R"(
  order by i.created_at desc, i.id desc limit 50
), took as (
  select extract(epoch from r.completed_at - r.started_at) * 1000 as ms from runs r where r.status in ('completed', 'failed')
)
select json_build_object('label', $1::text,
  'runs', (select coalesce(json_agg(json_build_object('id', r.id, 'status', r.status, 'created_at', )" +
                          web_time("r.created_at") + ", 'completed_at', " + web_time("r.completed_at") + R"(,
             'duration_ms', round(extract(epoch from r.completed_at - r.started_at) * 1000, 3))
             order by r.created_at desc, r.id desc), '[]') from runs r),
  'p50_ms', (select round((percentile_cont(0.5) within group (order by t.ms))::numeric, 3) from took t),
  'p95_ms', (select round((percentile_cont(0.95) within group (order by t.ms))::numeric, 3) from took t),
  'success', (select round(avg((r.status = 'completed')::int), 4) from runs r where r.completed_at is not null),
  'last_success_at', (select )" +
                          web_time("max(r.completed_at)") + " from runs r where r.status = 'completed'))";
  return impl_->read_one("read the label", {sql, {label}});
}

std::string WebStore::labels() {
  const std::string sql = R"(
select json_build_object('labels', (
  select coalesce(json_agg(json_build_object('label', l.label, 'count', l.count, 'last_at', )" +
                          web_time("l.last_at") + R"()
                           order by l.count desc, l.label), '[]')
  from (select n.label, count(*) as count, max(n.created_at) as last_at
        from (select i.label, i.created_at from df.instances i where true)" +
                          web_own(impl_->sees_own_only(), "i") + R"(
              order by i.created_at desc, i.id desc limit 1000) n
        where n.label is not null group by n.label order by count(*) desc limit 200) l)))";
  return impl_->read_one("read the labels", {sql, {}});
}

std::string WebStore::workers() {
  return impl_->read_one("read the daemons",
                         {"select json_build_object('workers', " + worker_list() + ")", {}});
}

}  // namespace durabled::store
