// The pieces of SQL that the page's reads are made of. JSON is made by PostgreSQL and goes through as text.
#include <algorithm>
#include <array>
#include <cctype>

#include "store/web_impl.hpp"

namespace durabled::store {
namespace {

constexpr const char* kServed =
    "(select exists (select from df.workers w where w.last_seen_at > now() - interval '30 s'))";

constexpr std::array<const char*, 6> kStatuses{"pending",   "running", "paused",
                                               "completed", "failed",  "cancelled"};
constexpr int kUnfinished = 3;  // of these

// Digits and words, as in "2h" and "1 day 30 min".
bool is_interval(const std::string& text) {
  const bool begins = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  return begins && std::isalpha(static_cast<unsigned char>(text.back())) != 0 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == ' ' || c == '.'; });
}

// Written out, so that the planner sees which partial index fits.
std::string status_condition(const std::vector<std::string>& statuses) {
  std::string list;
  bool is_unfinished = true;
  for (const std::string& status : statuses) {
    const auto known = std::find(kStatuses.begin(), kStatuses.end(), status);
    if (known == kStatuses.end())
      throw WebError(StoreError::Kind::kPermanent, "list instances", "there is no such status", "22023");
    list += (list.empty() ? "'" : ", '") + std::string(*known) + '\'';
    is_unfinished = is_unfinished && known < kStatuses.begin() + kUnfinished;
  }
  return " and i.status " + (statuses.size() == 1 ? "= " + list : "in (" + list + ')') +
         (is_unfinished ? " and i.completed_at is null" : "");
}

}  // namespace

std::string web_time_value(const std::string& text, WebQuery& query) {
  const std::string value = query.bind(text);
  return is_interval(text) ? "now() - " + value + "::interval" : value + "::timestamptz";
}

std::string web_piece(const std::string& expression, int characters) {
  const std::string length = std::to_string(characters);
  return "(select json_build_object('text', left(x.t, " + length +
         "), 'bytes', octet_length(x.t), 'cut', length(x.t) > " + length + ") from (select " + expression +
         " as t) x where x.t is not null)";
}

// The last events of an instance that runs show what it does: a wait or a long step is the last event of its node
// and scope. Twenty of them cost a probe of the primary key, however long the history is.
std::string web_why() {
  return R"(
left join lateral (
  select e.node, e.at, e.kind, e.seq,
         case e.kind when 'SignalAwaited' then 'signal' when 'StepFailed' then 'retry' when 'StepStarted' then 'step'
                     else e.data ->> 'kind' end as what,
         case when e.kind <> 'StepStarted' then coalesce(e.data ->> 'name', e.data ->> 'cron') end as name,
         case when e.kind <> 'StepStarted' then
           coalesce(e.data ->> 'fire_at', e.data ->> 'until', e.data ->> 'retry_at')::timestamptz end as until,
         case when e.kind = 'StepFailed' then e.data -> 'error' ->> 'message' end as message,
         case when e.kind = 'StepFailed' then e.data -> 'error' ->> 'code' end as code,
         e.attempt, count(*) over () - 1 as more
  from (select distinct on (l.node, l.scope) l.*
        from (select x.seq, x.at, x.kind, x.node, x.scope, x.attempt,
                     case when x.kind in ('SignalAwaited', 'TimerStarted', 'StepFailed') then x.data end as data
              from df.events x where x.instance_id = i.id order by x.seq desc limit 20) l
        where l.node is not null order by l.node, l.scope, l.seq desc) e
  cross join lateral (select df._stored_states(i.id) as stored) s
  where (e.kind in ('SignalAwaited', 'StepStarted') or e.kind = 'TimerStarted' and e.data ->> 'kind' in ('timer', 'schedule')
         or e.kind = 'StepFailed' and e.data ->> 'retry_at' is not null)
    and (e.kind = 'StepStarted' or s.stored -> 'waits' is null or e.seq > (s.stored ->> 'seq')::bigint
         or exists (select from json_array_elements_text(s.stored -> 'waits') v where v.value::bigint = e.seq))
  order by array_position(array['retry', 'signal', 'step', 'schedule', 'timer'],
             case e.kind when 'SignalAwaited' then 'signal' when 'StepFailed' then 'retry' when 'StepStarted' then 'step'
                         else e.data ->> 'kind' end), e.seq limit 1
) recent on i.status = 'running'
left join lateral (select l.name, l.since, l.until from df._login_waits(i.id) l limit 1) login on i.status = 'running')";
}

namespace {

std::string why_object() {
  return R"(
(select json_build_object('kind', y.kind, 'text', left(y.text, 400), 'node', y.node, 'name', y.name, 'code', y.code, 'since', )" +
         web_time("y.since") + ", 'until', " + web_time("y.until") + R"(,
   'late', coalesce(y.kind in ('due', 'later', 'timer', 'retry', 'schedule') and coalesce(y.until, y.since) < now() - interval '10 s', false),
   'more', coalesce(y.more, 0))
 from (select case
     when i.status = 'paused' then case when i.error is not null then 'parked' else 'paused' end
     when i.status in ('completed', 'failed', 'cancelled') then i.status
     when login.name is not null then 'login'
     when recent.what is not null then recent.what
     when i.worker_id is not null then 'turn'
     when i.wake_at > now() then 'later'
     when )" +
         std::string(kServed) + R"( then 'due' else 'unserved' end as kind) k
 cross join lateral (select k.kind, case k.kind
     when 'completed' then 'completed'
     when 'failed' then concat_ws(' ', 'failed:', nullif(i.error ->> 'code', i.error ->> 'message'), i.error ->> 'message')
     when 'cancelled' then concat('cancelled', ': ' || nullif(i.error ->> 'message', 'cancelled'))
     when 'parked' then i.error ->> 'message'
     when 'paused' then concat('paused', ': ' || i.request_reason)
     when 'login' then login.name
     when 'signal' then 'waits for the signal ' || recent.name
     when 'timer' then 'sleeps'
     when 'schedule' then 'waits for the schedule ' || recent.name
     when 'retry' then concat('attempt ', recent.attempt, ' failed: ', recent.message)
     when 'step' then 'runs a step'
     when 'turn' then 'runs'
     when 'later' then 'begins later'
     when 'due' then 'waits for a daemon to take it'
     else 'no daemon serves this database' end as text,
   case when k.kind in ('failed', 'parked') then i.error ->> 'node' else recent.node end as node, recent.name,
   case when k.kind in ('failed', 'cancelled', 'parked') then i.error ->> 'code' else recent.code end as code,
   case when k.kind in ('completed', 'failed', 'cancelled') then i.completed_at when k.kind = 'login' then login.since
        when k.kind in ('due', 'unserved') then coalesce(i.wake_at, i.updated_at)
        when k.kind in ('paused', 'parked', 'turn') then i.updated_at when k.kind = 'later' then i.created_at else recent.at end as since,
   case when k.kind = 'later' then i.wake_at when k.kind = 'login' then login.until else recent.until end as until,
   recent.more) y))";
}

}  // namespace

std::string web_row() {
  return "json_build_object('id', i.id, 'label', i.label, 'status', i.status, 'role', "
         "(select r.rolname from pg_roles r where r.oid = i.submitted_by), 'database', i.database, "
         "'priority', i.priority, 'created_at', " +
         web_time("i.created_at") + ", 'started_at', " + web_time("i.started_at") + ", 'completed_at', " +
         web_time("i.completed_at") + ", 'updated_at', " + web_time("i.updated_at") + ", 'wake_at', " +
         web_time("i.wake_at") +
         ", 'duration_ms', round(extract(epoch from i.completed_at - i.started_at) * 1000, 3), "
         "'held', i.worker_id is not null and i.completed_at is null, 'request', i.request, 'nodes', "
         "(select json_build_object('done', length(s.l) - length(replace(s.l, 'c', '')), 'total', "
         "length(s.l)) "
         "from (select df._stored_states(i.id) ->> 'nodes' as l) s where s.l is not null), 'why', " +
         why_object() + ")";
}

std::string web_states() {
  return R"(
(select json_build_object('seq', n.last_seq, 'letters', n.letters, 'rows', coalesce((
     select json_object_agg(r.key, json_build_object('total', r.value -> 'total', 'done', r.value -> 'done',
              'failed', r.value -> 'failed', 'failed_rows', coalesce(r.value -> 'first_failed', '[]')))
     from json_each(df._stored_states(i.id) -> 'rows') r), '{}'),
   'iterations', n.iterations, 'attempts', n.attempts)
 from (select df._letters(i.id) as letters, max(e.last) as last_seq,
         coalesce(json_object_agg(e.node, e.iteration) filter (where e.iteration is not null), '{}') as iterations,
         coalesce(json_object_agg(e.node, e.attempt) filter (where e.attempt > 1 and e.node is not null), '{}') as attempts
       from (select x.node, max(x.seq) as last, max(x.attempt) as attempt,
                    max(case when x.kind = 'IterationCompleted' then (x.data ->> 'iteration')::bigint end) as iteration
             from df.events x where x.instance_id = i.id group by x.node) e) n
 where n.letters is not null))";
}

std::string web_wait() {
  return "json_build_object('instance', w.instance_id, 'label', i.label, 'role', (select r.rolname from "
         "pg_roles r "
         "where r.oid = i.submitted_by), 'node', w.node_id, 'kind', w.kind, 'name', w.name, 'since', " +
         web_time("w.since") + ", 'until', " + web_time("w.until") +
         ", 'late', coalesce(w.kind <> 'signal' and w.until < now() - interval '10 s', false), "
         "'attempt', f.attempt, 'error', left(f.message, 400), 'may_signal', w.kind = 'signal' and "
         "(i.id is null or i.submitted_by = df._me() or df._may_signal(w.instance_id, w.name)))";
}

std::string web_waits() {
  return "(select coalesce(json_agg(" + web_wait() +
         " order by w.since), '[]') from (select * from df.waiting(i.id) limit 200) w" + kWebLastFailure +
         ")";
}

// The rules of the functions of df, said beforehand; these decide again when they are called.
std::string web_can() {
  return R"(json_build_object(
  'cancel', case when i.status in ('completed', 'failed', 'cancelled') then 'it is already ' || i.status end,
  'pause', case when i.status = 'paused' then 'it is paused already'
                when i.status not in ('pending', 'running') then 'it is already ' || i.status end,
  'resume', case when i.status <> 'paused' then 'it is not paused' end,
  'signal', case when i.status in ('completed', 'failed', 'cancelled') then 'it is already ' || i.status
                 when i.submitted_by <> df._me() and not exists (select from df._waits(i.id) g where g.kind = 'signal'
                   and df._may_signal(i.id, g.name)) then 'it belongs to another role, which has not allowed it' end,
  'rerun', null))";
}

std::string web_event(int characters) {
  return "json_build_object('seq', e.seq, 'at', " + web_time("e.at") +
         ", 'kind', e.kind, 'node', e.node, 'scope', coalesce(e.scope, ''), 'attempt', e.attempt, "
         "'started_at', " +
         web_time("e.started_at") + ", 'data', " + web_piece("e.data::text", characters) + ")";
}

std::string web_own(bool sees_own_only, const std::string& alias) {
  return sees_own_only ? " and " + alias + ".submitted_by = (select df._me())" : "";
}

std::string web_condition(const WebFilter& filter, WebQuery& query, bool sees_own_only) {
  std::string condition = "true" + web_own(sees_own_only, "i");
  if (!filter.statuses.empty()) condition += status_condition(filter.statuses);
  if (filter.label) {
    const bool is_pattern = filter.label->find('%') != std::string::npos;
    condition += std::string(" and i.label ") + (is_pattern ? "like " : "= ") + query.bind(*filter.label);
  }
  if (filter.role) {
    condition += *filter.role == "me"
                     ? std::string(" and i.submitted_by = df._me()")
                     : " and i.submitted_by = (select r.oid from pg_roles r where r.rolname = " +
                           query.bind(*filter.role) + ")";
  }
  if (filter.database) condition += " and i.database = " + query.bind(*filter.database);
  if (filter.code) condition += " and i.error ->> 'code' = " + query.bind(*filter.code);
  if (filter.id) {
    // Ids are lower-case letters and digits, which every collation sorts alike.
    const std::string first = query.bind(*filter.id);
    condition += " and i.id between " + first + " and rpad(" + first + ", 8, 'z')";
  }
  if (filter.since) condition += " and i.created_at >= " + web_time_value(*filter.since, query);
  if (filter.last_week) condition += " and i.created_at >= now() - interval '7 days'";
  if (filter.until) condition += " and i.created_at < " + web_time_value(*filter.until, query);
  return condition;
}

}  // namespace durabled::store
