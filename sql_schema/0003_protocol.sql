-- The protocol between a daemon and the schema: register, poll, commit. Called by daemons only, but for what runs in a
-- step's session: _begin_step and _end_step, which have the step's own rights, and _commit_turn, which has the owner's
-- and whose caller shows by the key of a claim that it is the daemon.
--
-- Lock order: df.workers, then df.instances in the order of their ids, then df.signals.
-- What is looked up by id compares worker_id by `is not distinct from`: no index serves that, so that the planner cannot
-- think of walking all that a worker holds.
-- Every change of worker_id or fencing_token locks the instance FOR UPDATE; every commit of a step at least FOR KEY SHARE.
-- The two exclude each other, so that a commit either is in the history that a new holder reads, or fails.

-- What the row of an instance shows of the key of its claim. A hash of a random key tells nothing of it, so that the row
-- stays as readable as it is.
create function df._claim_hash(p_key uuid) returns bytea language sql immutable parallel safe
  return pg_catalog.sha256(pg_catalog.uuid_send(p_key));
comment on function df._claim_hash(uuid) is 'What df.instances keeps of the key of a claim';

-- The first half of the advisory lock that a daemon's session holds; the second is the worker's id.
create function df._lock_class() returns int language sql immutable parallel safe as 'select 1684406273';
comment on function df._lock_class() is 'Class of the advisory locks by which daemons show that they live';

create function df._register(p_name text, p_host text, p_pid int, p_version text, p_lock boolean,
                             out worker_id int, out installation uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  worker_id := nextval(pg_get_serial_sequence('df.workers', 'id'));
  -- Before the row is seen by others. Anybody may hold the lock of the number that comes next, so that it is not waited
  -- for: a random number then, which nobody can know.
  while p_lock and not pg_try_advisory_lock(df._lock_class(), worker_id) loop
    worker_id := 1000000000 + floor(random() * 1000000000)::int;
  end loop;
  insert into df.workers (id, name, host, pid, version, session_lock) overriding system value
  values (worker_id, p_name, p_host, p_pid, p_version, p_lock);
  select i.id into strict installation from df._installation i;
end $$;
comment on function df._register(text, text, int, text, boolean) is 'A daemon starts: its id';

-- Null when the worker is no longer registered: others have taken over what it held.
create function df._heartbeat(p_worker int) returns timestamptz language sql
  set search_path = pg_catalog, pg_temp as $$
  update df.workers set last_seen_at = df._now() where id = p_worker returning last_seen_at
$$;
comment on function df._heartbeat(int) is 'A daemon lives; returns the database''s time';

-- p_died: the worker is dead. What it held may have been the cause: an instance that has no new event since the daemon died
-- with it before is counted up, and parked the third time. Between the second and the third it is claimed apart from others of
-- its kind (df._poll), so that none is parked for another's fault. p_parked gets what was parked.
create function df._release(p_worker int, p_died boolean default false, out released int, out parked text[])
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
begin
  with held as (
    select h.id, h.seq, case when not p_died then h.lost_claims when h.seq = h.lost_seq then h.lost_claims + 1 else 0 end as lost
    from (select i.id, i.lost_claims, i.lost_seq,
                 case when p_died then coalesce((select e.seq from df.events e where e.instance_id = i.id
                                                 order by e.seq desc limit 1), 0)
                      else i.lost_seq end as seq
          from df.instances i where i.worker_id = p_worker order by i.id limit 1000 for update skip locked) h),
  freed as (
    update df.instances i
    set worker_id = null, attention = i.completed_at is not null, lost_claims = held.lost, lost_seq = held.seq,
        wake_at = case when i.completed_at is null and held.lost < 3 then df._now() end,
        status = case when i.completed_at is null and held.lost >= 3 then 'paused' else i.status end,
        error = case when i.completed_at is null and held.lost >= 3 then json_build_object(
                       'message', 'parked: the daemon that held it died three times before anything was recorded',
                       'code', 'daemon_died',
                       'hint', 'Look at the daemon''s log and memory. df.resume lets it run again, df.cancel ends it.')
                     else i.error end
    from held where i.id = held.id
    returning i.id, i.completed_at is null and held.lost >= 3 as is_parked, held.seq, i.error),
  noted as (
    insert into df.events (instance_id, seq, at, kind, data)
    select f.id, f.seq + 1, df._now(), 'InstanceParked', json_build_object('error', f.error) from freed f where f.is_parked)
  select count(*), coalesce(array_agg(f.id) filter (where f.is_parked), '{}') into released, parked from freed f;
  if not exists (select from df.instances where worker_id = p_worker) then
    delete from df.workers where id = p_worker;
  end if;
end $$;
comment on function df._release(int, boolean) is
  'Gives back up to 1000 instances of a worker; forgets the worker when it holds none';

-- Gives a restored copy of a database its own identity: new idempotency keys and ids. The daemons register again, so that
-- they use it.
create function df._renew_installation(out before uuid, out after uuid, out daemons int) language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  worker int;
begin
  select i.id into strict before from df._installation i for update;
  update df._installation set id = gen_random_uuid(), made_at = df._now() returning id into after;
  -- The original has gone on with the same secret. Its ids of the meantime are left out: four thousand million of them.
  perform setval('df._instance_numbers', (nextval('df._instance_numbers') + 4294967296) % 1099511627776 + 1);
  daemons := 0;
  for worker in select w.id from df.workers w order by w.id loop
    while (df._release(worker)).released = 1000 loop end loop;
    daemons := daemons + 1;
  end loop;
  if exists (select from df.workers) then
    raise lock_not_available using message = 'a client''s open transaction has an instance locked that a daemon holds',
      hint = 'Try again, or stop the daemons first.';
  end if;
end $$;
comment on function df._renew_installation() is 'What durabled renew-installation does';

-- Instances that the row says this worker holds, and of which it knows nothing: to be claimed again. The tokens are those that
-- were read, so that one that was claimed since then is left alone.
create function df._give_back(p_worker int, p_ids text[], p_tokens bigint[]) returns int language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  given_back int;
begin
  with held as (
    select i.id from unnest(p_ids, p_tokens) known(id, token) join df.instances i on i.id = known.id
    where i.worker_id is not distinct from p_worker and i.fencing_token = known.token and i.completed_at is null
    order by i.id for update of i skip locked)
  update df.instances i set worker_id = null, attention = false, wake_at = df._now() from held where i.id = held.id;
  get diagnostics given_back = row_count;
  return given_back;
end $$;
comment on function df._give_back(int, text[], bigint[]) is 'Frees instances that a worker holds without knowing of them';

-- Anybody may wait for a worker's lock, and has it when the worker is gone.
create function df._is_held_by_us(p_worker int) returns boolean language sql
  set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_roles r on r.oid = a.usesysid
    where l.locktype = 'advisory' and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.classid = df._lock_class() and l.objid = p_worker and l.objsubid = 2 and l.granted and r.rolname = current_user)
$$;
comment on function df._is_held_by_us(int) is 'Whether a session of the daemons'' role holds a worker''s lock';

-- A worker is dead when its session lock is free, if it ever held one (behind a pooler it does not), or when it was not
-- heard of for p_ttl.
create function df._release_dead(p_me int, p_ttl interval, p_locks boolean, out released int, out others int,
                                 out parked text[])
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  w record;
  freed record;
begin
  perform set_config('synchronous_commit', 'off', true);
  released := 0;
  parked := '{}';
  for w in select id, last_seen_at, session_lock from df.workers where id <> p_me order by id for update skip locked loop
    if w.last_seen_at < df._now() - p_ttl
       or (p_locks and w.session_lock
           and (pg_try_advisory_xact_lock(df._lock_class(), w.id) or not df._is_held_by_us(w.id))) then
      select * into freed from df._release(w.id, true);
      released := released + freed.released;
      parked := parked || freed.parked;
    end if;
  end loop;
  others := (select count(*) from df.workers where id <> p_me);
end $$;
comment on function df._release_dead(int, interval, boolean) is
  'Frees what dead daemons held; returns how many instances, which of them were parked, and how many other daemons there are';

-- A daemon could not log in to run steps. Whether that can pass is asked of the catalog, and not of the server's message: null,
-- or why it cannot. p_role is whose steps wait; '': everybody's.
create function df._login_failed(p_worker int, p_role text, p_login text, p_database text, p_sqlstate text, p_message text,
                                 p_pause interval) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  may_log_in constant boolean := (select r.rolcanlogin from pg_roles r where r.rolname = p_login);
  why text;
begin
  if may_log_in is null then
    why := format('role %I does not exist any more', p_login);
  elsif not may_log_in then
    why := format('role %I may not log in any more (it has no LOGIN attribute)', p_login);
  elsif not exists (select from pg_database d where d.datname = p_database) then
    why := format('database %I does not exist any more', p_database);
  elsif not exists (select from pg_database d where d.datname = p_database and d.datallowconn) then
    why := format('database %I does not accept connections', p_database);
  end if;
  if why is not null then
    delete from df._login_problems where worker_id = p_worker and login = p_login and database = p_database;
    return why;
  end if;
  insert into df._login_problems (worker_id, login, database, role, next_try_at, sqlstate, message)
  select w.id, p_login, p_database, p_role, df._now() + p_pause, p_sqlstate, left(p_message, 1000)
  from df.workers w where w.id = p_worker
  on conflict (worker_id, login, database) do update
  set next_try_at = excluded.next_try_at, sqlstate = excluded.sqlstate, message = excluded.message;
  return null;
end $$;
comment on function df._login_failed(int, text, text, text, text, text, interval) is
  'A login for steps failed: why that cannot pass, or null, and then it is shown until it has passed';

-- Wakes the instances that signals have come for: of each sender, by the index, an equal share of 1000 instances. The senders
-- go in random order, because of very many the first take all. Neither many signals of one sender, nor those for instances
-- that a transaction keeps locked, hold up another sender's.
create function df._deliver_signals() returns void language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  most constant int := 1000;
  least_share constant int := 5;
  seed constant bigint := (random() * 1000000000)::bigint;
  ids text[];
  firsts bigint[];
begin
  if not exists (select from df.signals where not delivered) then return; end if;
  ids := array(
    with recursive senders as (
      (select s.sent_by::oid as role from df.signals s where not s.delivered order by s.sent_by limit 1)
      union all
      select (select s.sent_by::oid from df.signals s where not s.delivered and s.sent_by > r.role order by s.sent_by limit 1)
      from senders r where r.role is not null),
    sharing as materialized (
      select r.role, greatest(most / count(*) over (), least_share) as share from senders r
      where r.role is not null order by hashoidextended(r.role, seed))
    select woken.id from sharing r cross join lateral (
      with recursive signalled as (
        (select s.instance_id as id from df.signals s where not s.delivered and s.sent_by = r.role
         order by s.instance_id limit 1)
        union all
        select (select s.instance_id from df.signals s
                where not s.delivered and s.sent_by = r.role and s.instance_id > b.id order by s.instance_id limit 1)
        from signalled b where b.id is not null)
      select own.id from (select b.id from signalled b limit most) b cross join lateral (
        select i.id from df.instances i where i.id = b.id for no key update skip locked) own
      limit r.share) woken
    limit most);
  with sent as (
    update df.signals set delivered = true where not delivered and instance_id = any (ids) returning instance_id, id)
  select array_agg(f.instance_id), array_agg(f.id) into ids, firsts
  from (select s.instance_id, min(s.id) as id from sent s group by s.instance_id) f;
  update df.instances i
  set attention = true, unread_signal = least(i.unread_signal, sent.first),
      wake_at = case when i.worker_id is null and i.status = 'running' then df._now() else i.wake_at end
  from unnest(ids, firsts) sent (id, first)
  where i.id = sent.id and i.completed_at is null;
end $$;
comment on function df._deliver_signals() is 'Wakes the instances that signals have come for';

create function df._may_http(p_role oid) returns boolean language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return has_function_privilege(p_role, 'df.http(text, text, text, anycompatible, numeric, text, text, text, text, text)'::regprocedure, 'execute');
end $$;
comment on function df._may_http(oid) is 'Whether a role may make HTTP calls: by the grant on df.http';

-- A daemon reads the oldest 10000 untaken signals of an instance. What is left is known to be unread from here on.
create function df._first_unread(p_instance text) returns bigint language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.id from df.signals s where s.instance_id = p_instance and s.taken_at is null order by s.id
          offset 10000 limit 1);
end $$;
comment on function df._first_unread(text) is 'The first signal of an instance that is beyond what a daemon reads';

-- How much memory the signals from p_from on take once they are read, and 100 bytes for each that is passed over. What is not
-- compressed is not read for that. next: the first of those beyond, null where there are none.
create function df._unread(p_instance text, p_from bigint, out bytes bigint, out next bigint) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 10000;
  known constant bigint := (
    select count(*) from (select from df.signals s where s.instance_id = p_instance and s.taken_at is null and s.id < p_from
                          limit most) s);
  found_signals bigint;
begin
  select coalesce(sum(octet_length(s.name) + case when pg_column_compression(s.data) is null
                                               then least(pg_column_size(s.data), 1028) else 0 end), 0), count(*)
  into bytes, found_signals
  from (select n.name, n.data from df.signals n where n.instance_id = p_instance and n.taken_at is null and n.id >= p_from
        order by n.id limit most - known) s;
  bytes := bytes + 100 * (known + found_signals);
  next := case when known + found_signals >= most then df._first_unread(p_instance) end;
end $$;
comment on function df._unread(text, bigint) is 'How much a daemon reads for the untaken signals of an instance';

create function df._history_bytes(p_instance text) returns bigint language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select coalesce(sum(100 + case when pg_column_compression(e.data) is null then pg_column_size(e.data)
                                   else octet_length(e.data::text) end), 0)
    from df.events e where e.instance_id = p_instance);
end $$;
comment on function df._history_bytes(text) is 'How much a daemon reads for the history of an instance';

-- Polling -----------------------------------------------------------------------------------------------------------

-- What a claim may take once it is due. A row that somebody holds or that has ended has no wake_at.
create view df._runnable with (security_invoker = true) as
  select id, submitted_by, priority, wake_at from df.instances where wake_at is not null and status <> 'paused';
comment on view df._runnable is 'The instances that run once their time has come';

-- What df._poll returns, one of them in each row.
create type df._attended as (id text, token bigint, request text, request_reason text, first_signal bigint);
comment on type df._attended is
  'An instance that the daemon holds, and for which a signal or a request has come; first_signal: the first signal that the '
  'daemon may not know, null where it knows all';
create type df._ended as (id text, status text, label text, error json, role text, seconds double precision, at timestamptz);
comment on type df._ended is 'An instance that ended without a daemon''s turn; seconds: since a daemon began it';
create type df._claimed as (id text, token bigint, resumed boolean, signalled boolean, dsl text, dsl_bytes int, label text,
  vars jsonb, role text, role_oid oid, may_http boolean, database text, request text,
  request_reason text, bytes bigint, claim_key uuid, input json, waited double precision);
comment on type df._claimed is
  'An instance that the daemon holds from now on; resumed: it has a history; signalled: it has untaken signals; dsl: null when '
  'dsl_bytes are too many; bytes: about what there is to read of it; claim_key: what its commits show; '
  'waited: seconds since it was due';
create type df._next as (wake_at timestamptz, more boolean, served oid);
comment on type df._next is
  'When the next instance becomes due; more: something was left for lack of room; served: the role that was served last';

-- The roles that may have due instances, the one after p_after first. Where few instances are due, theirs; else all that have
-- instances which are due at some time, found from one to the next by the index, so that nobody's backlog is walked.
create function df._roles_with_work(p_now timestamptz, p_after oid, p_busy oid[]) returns oid[] language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  few constant int := 200;
  found_roles oid[] := array(select r.submitted_by::oid from df._runnable r where r.wake_at <= p_now order by r.wake_at limit few);
begin
  if cardinality(found_roles) = few then
    found_roles := array(
      with recursive roles as (
        (select r.submitted_by::oid as role from df._runnable r order by r.submitted_by limit 1)
        union all
        select (select r.submitted_by::oid from df._runnable r where r.submitted_by > l.role order by r.submitted_by limit 1)
        from roles l where l.role is not null)
      select l.role from roles l where l.role is not null);
  end if;
  return array(select distinct on (f.role <= p_after, f.role) f.role from unnest(found_roles) f (role)
               where f.role <> all (p_busy) order by f.role <= p_after, f.role);
end $$;
comment on function df._roles_with_work(timestamptz, oid, oid[]) is 'The roles that may have due instances, but for some';

-- Locks up to p_limit due instances, of each role p_share: of its priorities that are in use, from the highest down. Found
-- without locks first and locked by id then: rows that others have locked are passed over, but no more of them are looked
-- at than twice what is wanted. What is asked of a row that is looked up by id is within coalesce, which no index serves: where
-- statistics know of nothing that is due, the planner would else walk all that is. suspect: a daemon has died with it twice.
create function df._lock_due(p_roles oid[], p_share int, p_limit int, p_now timestamptz, p_text int)
returns table (id text, role oid, bytes bigint, suspect boolean, due_at timestamptz) language plpgsql
  set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select own.id, who.role, own.bytes, own.suspect, own.wake_at
    from unnest(p_roles) who (role) cross join lateral (
      select locked.id, locked.bytes, locked.suspect, locked.wake_at
      from (
        with recursive levels as (
          (select r.priority as level from df._runnable r where r.submitted_by = who.role order by r.priority desc limit 1)
          union all
          select (select r.priority from df._runnable r where r.submitted_by = who.role and r.priority < l.level
                  order by r.priority desc limit 1)
          from levels l where l.level is not null)
        select due.id from (select level from levels limit 1000) l cross join lateral (
          select r.id from df._runnable r where r.submitted_by = who.role and r.priority = l.level and r.wake_at <= p_now
          order by r.wake_at limit 2 * p_share + 200) due
        limit 2 * p_share + 200) due
      cross join lateral (
        select r.id, r.wake_at, r.lost_claims >= 2 as suspect,
               -- A text takes many times its length once it is parsed: 512 bytes a node, which has four characters at least.
               case when octet_length(r.dsl) > p_text then 0 else 16 * octet_length(r.dsl) end
               + case when pg_column_compression(r.vars) is null then pg_column_size(r.vars)
                      else octet_length(r.vars::text) end
               + coalesce(octet_length(r.input::text), 0)
               + case when r.fencing_token > 0 then df._history_bytes(r.id) else 0 end
               + case when exists (select from df.signals s where s.instance_id = r.id and s.taken_at is null)
                      then (df._unread(r.id, 0)).bytes else 0 end as bytes
        from df.instances r
        where r.id = due.id and coalesce(r.wake_at <= p_now and r.status <> 'paused', false) for update skip locked) locked
      limit p_share) own
    limit p_limit;
end $$;
comment on function df._lock_due(oid[], int, int, timestamptz, int) is 'Locks due instances, a share of each role''s';

-- Whether a daemon holds an instance with which daemons have died twice and that has recorded nothing since.
create function df._holds_suspect(p_worker int) returns boolean language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from df.instances h where h.worker_id = p_worker and h.lost_claims >= 2
      and h.lost_seq = coalesce((select e.seq from df.events e where e.instance_id = h.id order by e.seq desc limit 1), 0))
$$;
comment on function df._holds_suspect(int) is 'Whether a daemon holds an instance that may be the death of it';

create function df._take(p_worker int, p_ids text[], p_sizes bigint[], p_due timestamptz[], p_now timestamptz, p_text int)
returns setof df._claimed
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return query
    with owners as materialized (
      select r.oid, r.rolname::text as name, df._may_http(r.oid) as may_http from pg_roles r
      where r.oid in (select i.submitted_by from df.instances i where i.id = any (p_ids)))
    update df.instances i
    set worker_id = p_worker, wake_at = null, attention = false, status = 'running', updated_at = p_now,
        unread_signal = case when i.unread_signal is not null then df._first_unread(i.id) end,
        started_at = coalesce(i.started_at, p_now),
        fencing_token = case i.fencing_token when 0 then df._first_token() else i.fencing_token + 1 end,
        claim_hash = df._claim_hash(due.claim_key)
    from (select u.id, u.bytes, u.at, gen_random_uuid() as claim_key from unnest(p_ids, p_sizes, p_due) u (id, bytes, at)) due
    where i.id = due.id
    returning i.id, i.fencing_token, (i.fencing_token & 4294967295) > 1,
              exists (select from df.signals s where s.instance_id = i.id and s.taken_at is null),
              case when octet_length(i.dsl) <= p_text then i.dsl end, octet_length(i.dsl), i.label, i.vars,
              (select o.name from owners o where o.oid = i.submitted_by), i.submitted_by::oid,
              coalesce((select o.may_http from owners o where o.oid = i.submitted_by), false), i.database, i.request,
              i.request_reason, due.bytes, due.claim_key, i.input,
              extract(epoch from p_now - due.at)::double precision;
end $$;
comment on function df._take(int, text[], bigint[], timestamptz[], timestamptz, int) is 'Claims instances that are locked';

-- Claims due instances; the last row has `next`. Roles take turns, beginning after p_after; within a role
-- the highest priority goes first, then what was due first. p_each: at most that many of each role. Of the roles in p_busy
-- nothing is claimed: the daemon has enough of theirs. Of the suspects a daemon holds one at a time, until it has recorded
-- something. p_listen: the daemon wants to be notified if it takes all that is due. Stops at p_limit instances, or once it would read more than p_bytes, but takes one at least. A text of more
-- than p_text bytes is not read.
create function df._claim(p_worker int, p_limit int, p_busy oid[] default '{}', p_after oid default 0,
                          p_bytes bigint default 16777216, p_text int default 16777216, p_each int default null,
                          p_listen boolean default true)
returns table (claimed df._claimed, next df._next) language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t constant timestamptz := df._now();
  room int := p_limit;
  spent bigint := 0;
  full_up boolean := false;
  served oid := p_after;
  upcoming timestamptz := (select r.wake_at from df._runnable r order by r.wake_at limit 1);
  roles oid[] := case when upcoming <= t then df._roles_with_work(t, p_after, p_busy) end;
  share int;
  one record;
  ids text[];
  sizes bigint[];
  owners oid[];
  times timestamptz[];  -- when each was due
  alone boolean;  -- no other suspect is held
  skipped boolean := false;
begin
  while room > 0 and not full_up and cardinality(roles) > 0 loop
    share := least(greatest(room / cardinality(roles), 1), p_each);
    ids := '{}';
    sizes := '{}';
    owners := '{}';
    times := '{}';
    for one in select * from df._lock_due(roles, share, room, t, p_text) loop
      if one.suspect then
        alone := coalesce(alone, not df._holds_suspect(p_worker));
        skipped := skipped or not alone;
        continue when not alone;
        alone := false;
      end if;
      full_up := spent + one.bytes > p_bytes and spent > 0;
      exit when full_up;
      spent := spent + greatest(one.bytes, 1);
      ids := ids || one.id;
      sizes := sizes || one.bytes;
      owners := owners || one.role;
      times := times || one.due_at;
    end loop;
    exit when ids = '{}';
    return query select c, null::df._next from df._take(p_worker, ids, sizes, times, t, p_text) c;
    room := room - cardinality(ids);
    served := owners[cardinality(owners)];
    -- Who had that much may have more.
    roles := array(select o.role from unnest(owners) with ordinality o (role, place)
                   group by o.role having count(*) >= share order by min(o.place));
    exit when p_each is not null;
  end loop;
  if upcoming <= t then
    upcoming := (select r.wake_at from df._runnable r where r.wake_at > t order by r.wake_at limit 1);
  end if;
  if skipped then
    upcoming := least(upcoming, t + interval '50 milliseconds');
  end if;
  full_up := full_up or room = 0;
  return query select null::df._claimed, row(upcoming, full_up, served)::df._next;
  -- What a forgotten daemon held, nobody would ever free.
  if spent > 0 and not exists (select from df.workers w where w.id = p_worker for key share) then
    raise exception 'worker % is not registered any more', p_worker using errcode = 'DF003';
  end if;
  -- One that took all it could take comes back by itself, and wants no notifications meanwhile.
  update df.workers w set waiting = p_listen and not full_up
  where w.id = p_worker and w.waiting is distinct from (p_listen and not full_up);
end $$;
comment on function df._claim(int, int, oid[], oid, bigint, int, int, boolean) is 'Claims due instances for a daemon';

-- Those that a daemon holds and that want attention, locked; for each the first signal that the daemon may not know, and the
-- first that it will not know after this. Roles take turns, in random order: what does not fit into p_bytes is left (more),
-- and may be the first of the next poll.
create function df._lock_attention(p_worker int, p_bytes bigint, out ids text[], out firsts bigint[], out nexts bigint[],
                                   out more boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  seed constant bigint := (random() * 1000000000)::bigint;
  wanted text;
  one record;
  bytes bigint;
  next bigint;
  spent bigint := 0;
begin
  ids := '{}';
  firsts := '{}';
  nexts := '{}';
  more := false;
  for wanted in
    with attended as materialized (  -- by the index, and sorted afterwards
      select i.id, i.submitted_by::oid as role from df.instances i where i.worker_id = p_worker and i.attention)
    select w.id from (select a.id, a.role, row_number() over (partition by a.role order by a.id) as turn from attended a) w
    order by w.turn, hashoidextended(w.role, seed)
  loop
    select i.id, case when i.completed_at is null then i.unread_signal end as first into one from df.instances i
    where i.id = wanted and coalesce(i.worker_id = p_worker and i.attention, false) for no key update skip locked;
    continue when not found;
    bytes := 0;
    next := null;
    if one.first is not null then
      select u.bytes, u.next into bytes, next from df._unread(one.id, one.first) u;
    end if;
    if spent + bytes > p_bytes and ids <> '{}' then
      more := true;
      continue;
    end if;
    spent := spent + bytes;
    ids := ids || one.id;
    firsts := firsts || one.first;
    nexts := nexts || next;
  end loop;
end $$;
comment on function df._lock_attention(int, bigint) is 'Locks instances of a daemon for which something has come';

-- Cancelled by a client, or refused by the schema, while no daemon held them. Found without locks first: see df._lock_due.
create function df._lock_ended() returns setof text language plpgsql rows 100 set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select own.id
    from (select i.id from df.instances i where i.attention and i.worker_id is null and i.completed_at is not null
          limit 2000) i
    cross join lateral (select j.id from df.instances j
                        where j.id = i.id and coalesce(j.attention and j.worker_id is null, false)
                        for no key update skip locked) own
    limit 1000;
end $$;
comment on function df._lock_ended() is 'Locks instances that ended without a daemon, and that no daemon has logged';

create function df._end_of(p_ended df.instances) returns df._ended language sql stable set search_path = pg_catalog, pg_temp as $$
  select p_ended.id, p_ended.status, p_ended.label, p_ended.error,
         (select r.rolname::text from pg_roles r where r.oid = p_ended.submitted_by),
         extract(epoch from p_ended.completed_at - coalesce(p_ended.started_at, p_ended.completed_at))::double precision,
         p_ended.completed_at
$$;
comment on function df._end_of(df.instances) is 'What a daemon logs of an instance that ended without its turn';

-- One round of a daemon, a statement that is a transaction of its own: reads what wants attention, and claims, each up to
-- p_bytes: whatever comes for what the daemon holds, it goes on to claim. Where it claims (p_limit > 0), or something was left,
-- the last row has `next`.
create function df._poll(p_worker int, p_limit int, p_busy oid[] default '{}', p_after oid default 0,
                         p_bytes bigint default 16777216, p_text int default 16777216, p_each int default null,
                         p_listen boolean default true)
returns table (attended df._attended, ended df._ended, claimed df._claimed, next df._next)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set enable_bitmapscan = off
  set enable_sort = off set plan_cache_mode = force_generic_plan as $$
declare
  mine record;
begin
  -- For this transaction: what a crash of the server loses of it was followed by nothing durable.
  perform set_config('synchronous_commit', 'off', true);
  perform df._deliver_signals();
  mine := df._lock_attention(p_worker, p_bytes);
  if mine.ids <> '{}' then
    return query
      update df.instances i
      set attention = false, worker_id = case when i.completed_at is null then p_worker end,
          unread_signal = seen.next
      from unnest(mine.ids, mine.firsts, mine.nexts) seen (id, first, next)
      where i.id = seen.id
      returning case when i.completed_at is null
                  then row(i.id, i.fencing_token, i.request, i.request_reason, seen.first)::df._attended end,
                case when i.completed_at is not null then df._end_of(i) end, null::df._claimed, null::df._next;
  end if;
  return query
    update df.instances i set attention = false from df._lock_ended() told (id) where i.id = told.id
    returning null::df._attended, df._end_of(i), null::df._claimed, null::df._next;
  if p_limit > 0 then
    return query select null::df._attended, null::df._ended, c.claimed,
                        case when mine.more and (c.next).served is not null
                          then row(df._now(), (c.next).more, (c.next).served)::df._next else c.next end
                 from df._claim(p_worker, p_limit, p_busy, p_after, p_bytes, p_text, p_each, p_listen) c;
  elsif mine.more then
    return query select null::df._attended, null::df._ended, null::df._claimed, row(df._now(), true, p_after)::df._next;
  end if;
end $$;
comment on function df._poll(int, int, oid[], oid, bigint, int, int, boolean) is
  'One round of a daemon: reads what wants attention, claims what is due';

-- A daemon that is not sure whether a commit happened takes its own instance anew: nothing older can commit after that.
create function df._reclaim(p_worker int, p_instance text, out token bigint, out claim_key uuid) language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
begin
  claim_key := gen_random_uuid();
  -- A client's transaction may have the row locked for as long as it likes: an error (55P03) then, not a wait.
  perform from df.instances where id = p_instance and worker_id is not distinct from p_worker for update nowait;
  update df.instances set fencing_token = fencing_token + 1, claim_hash = df._claim_hash(claim_key)
  where id = p_instance and worker_id is not distinct from p_worker and completed_at is null
  returning fencing_token into token;
end $$;
comment on function df._reclaim(int, text) is 'A new token and key for an instance that the worker holds; the token is null when it no longer does';

-- Gives an instance the key that its text names. Null: it has it, or one of its own. Else the id of the instance that has
-- that key, or '' where a client's open transaction may come to have it: nobody's turn waits for that.
create function df._take_key(p_instance text, p_key text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '1ms' as $$
begin
  insert into df._idempotency_keys
  select i.submitted_by, p_key, i.id from df.instances i where i.id = p_instance and i.idempotency_key is null
  on conflict do nothing;
  if found then
    update df.instances set idempotency_key = p_key where id = p_instance;
    return null;
  end if;
  return (select k.instance_id from df.instances i left join df._idempotency_keys k on k.owner = i.submitted_by and k.key = p_key
          where i.id = p_instance and i.idempotency_key is null);
exception when lock_not_available then
  return '';
end $$;
comment on function df._take_key(text, text) is 'Gives an instance the idempotency key that its text names';

-- What a text says that must be known before anything runs: the instance becomes what it would be had the columns of
-- df.submit said so, and is claimed again when it is time. It ends here when its key belongs to another instance, or its time is not a time.
create function df._put_back(p_instance text, p_at timestamptz, p_start json) returns void language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  key constant text := p_start ->> 'idempotency_key';
  due timestamptz;
  earlier text;
  problem json;
begin
  begin
    due := (p_start ->> 'start_at')::timestamptz;
    if not isfinite(due) then
      raise datetime_field_overflow using message = 'it must be a finite time';
    end if;
  exception when data_exception then
    problem := json_build_object('message', 'df.start: start_at: ' || sqlerrm, 'code', 'invalid_workflow',
                                 'reason', 'bad_argument');
  end;
  if problem is null and key is not null then
    earlier := df._take_key(p_instance, key);
    if earlier <> '' then
      problem := json_build_object('message', format('not run: the idempotency key %L is that of instance %s', key, earlier),
                                   'code', 'idempotency_key');
    end if;
  end if;
  if problem is null then
    update df.instances
    set dsl = case when earlier is null then p_start ->> 'body' else dsl end,
        status = case when request = 'pause' then 'paused' else 'pending' end,
        wake_at = case when earlier is null then greatest(due, df._now())
                       else df._now() + interval '1 second' end,
        worker_id = null, attention = false, started_at = null, updated_at = p_at
    where id = p_instance;
    return;
  end if;
  insert into df.events (instance_id, seq, at, kind, data)
  values (p_instance, 1, p_at, case when earlier is null then 'InstanceFailed' else 'InstanceCancelled' end,
          json_build_object('error', problem));
  update df.instances
  set status = case when earlier is null then 'failed' else 'cancelled' end, error = problem,
      worker_id = null, wake_at = null, attention = true, updated_at = p_at, completed_at = p_at
  where id = p_instance;
end $$;
comment on function df._put_back(text, timestamptz, json) is
  'An instance whose text says when it starts, or under which key, becomes one that waits for that';

-- What a text says of itself in an enclosing df.start. A label, a priority, an input and a key that the row has stay. Qualifies
-- every name, as _apply_turn does.
create function df._apply_start(p_instance text, p_at timestamptz, p_start json) returns void language plpgsql as $$
declare
  start pg_catalog.record;
begin
  select * into start from pg_catalog.json_to_record(p_start)
    as t (label pg_catalog.text, database pg_catalog.text, priority smallint, body pg_catalog.text, input pg_catalog.json);
  update df.instances
  set label = coalesce(label, start.label), database = coalesce(start.database, database),
      priority = case when priority operator(pg_catalog.=) 0 then coalesce(start.priority, priority) else priority end,
      input = coalesce(input, start.input)
  where id operator(pg_catalog.=) p_instance;
  if start.body is not null then
    perform df._put_back(p_instance, p_at, p_start);
  end if;
end $$;
comment on function df._apply_start(text, timestamptz, json) is 'What a text says in an enclosing df.start';

-- The part of a turn beside its first event; p_turn's keys, all optional:
--   events   [{seq, kind, node, scope, attempt, data, at_us, took_us}]; at_us: when, in microseconds from p_at; took_us: how long
--            the attempt ran
--   status   completed | failed | cancelled | paused | waiting (put down until wake_at, or until a signal comes)
--   wake_at, result_seq, error    with status
--   inbox    with waiting and paused: how many untaken signals the daemon knew
--   request  with waiting and paused: the last request that the daemon knew
--   signals  [{id, at_us}] that the turn takes; at_us: when, as the SignalReceived of each has it
--   states   what each node has come to, for df.instances.node_states
--   prune    seqs of the history that a loop has folded; the signals that those events took go with them
--   start    {label, database, priority, input, body, start_at, idempotency_key}: what the text says in an enclosing df.start;
--            with body, what it encloses, the instance is put back instead of begun
-- Runs within _commit_turn and, like it, qualifies every name instead of setting a search_path. That includes the types
-- of variables: PL/pgSQL looks up `record`, which is not a keyword, in the caller's path, and there in pg_temp first.
create function df._apply_turn(p_instance text, p_at timestamptz, p_turn json) returns void language plpgsql as $$
declare
  microsecond constant interval := '00:00:00.000001';
  turn pg_catalog.record;
  waiting boolean;
  overtaken boolean;
begin
  select * into turn from pg_catalog.json_to_record(p_turn)
    as t (events pg_catalog.json, status pg_catalog.text, wake_at pg_catalog.timestamptz, inbox bigint, request pg_catalog.text,
          result_seq bigint, error pg_catalog.json, signals pg_catalog.json, prune pg_catalog.json,
          start pg_catalog.json, states pg_catalog.json);
  insert into df.events (instance_id, seq, at, kind, node, scope, attempt, data, started_at)
  select p_instance, e.seq, h.happened, e.kind, e.node, e.scope, e.attempt, e.data,
         h.happened operator(pg_catalog.-) (e.took_us operator(pg_catalog.*) microsecond)
  from pg_catalog.json_to_recordset(turn.events)
    as e (seq bigint, kind pg_catalog.text, node pg_catalog.text, scope pg_catalog.text, attempt int, data pg_catalog.json,
          at_us double precision, took_us double precision)
  cross join lateral (
    select p_at operator(pg_catalog.+) (coalesce(e.at_us, 0) operator(pg_catalog.*) microsecond) as happened) h;
  if turn.signals is not null then
    update df.signals s
    set taken_at = p_at operator(pg_catalog.+) (coalesce(t.at_us, 0) operator(pg_catalog.*) microsecond)
    from pg_catalog.json_to_recordset(turn.signals) as t (id bigint, at_us double precision)
    where s.instance_id operator(pg_catalog.=) p_instance and s.id operator(pg_catalog.=) t.id;
  end if;
  if turn.prune is not null then
    with gone as (
      delete from df.events
      where instance_id operator(pg_catalog.=) p_instance
        and seq operator(pg_catalog.=) any (array(select value::bigint from pg_catalog.json_array_elements_text(turn.prune)))
      returning kind, at)
    delete from df.signals s
    where s.instance_id operator(pg_catalog.=) p_instance
      and s.taken_at operator(pg_catalog.=) any (array(
        select g.at from gone g where g.kind operator(pg_catalog.=) 'SignalReceived'));
  end if;
  if turn.start is not null then
    perform df._apply_start(p_instance, p_at, turn.start);
  end if;
  waiting := turn.status operator(pg_catalog.=) 'waiting';
  if waiting or turn.status operator(pg_catalog.=) 'paused' then
    -- What came since the daemon last looked must not be slept over. Looked at once the row is locked, because the
    -- poll that reads a signal takes the mark of attention off the row.
    perform from df.instances where id operator(pg_catalog.=) p_instance for no key update;
    select attention
             or coalesce(request, '') operator(pg_catalog.<>) coalesce(turn.request, '')
             or (waiting and (select pg_catalog.count(*)
                              from (select from df.signals s where s.instance_id operator(pg_catalog.=) p_instance
                                    and s.taken_at is null limit 10000) known)
                             operator(pg_catalog.>) turn.inbox)
    into overtaken from df.instances where id operator(pg_catalog.=) p_instance;
    update df.instances
    set worker_id = null, updated_at = p_at, attention = false, error = coalesce(turn.error, error),
        status = case when waiting or overtaken then 'running' else 'paused' end,
        wake_at = case when overtaken then df._now() when waiting then turn.wake_at end,
        node_states = coalesce(turn.states, node_states)
    where id operator(pg_catalog.=) p_instance;
  elsif turn.status is not null then
    update df.instances
    set status = turn.status, worker_id = null, wake_at = null, attention = false, updated_at = p_at, completed_at = p_at,
        result_seq = turn.result_seq, error = turn.error, node_states = coalesce(turn.states, node_states)
    where id operator(pg_catalog.=) p_instance;
  elsif turn.states is not null then
    update df.instances set node_states = turn.states where id operator(pg_catalog.=) p_instance;
  end if;
end $$;
comment on function df._apply_turn(text, timestamptz, json) is 'What a turn writes beside its first event';

-- What each step's transaction begins with: whom it acts for ('none': the session's own role), and the settings that it may
-- read. p_local: for this transaction; else the session has no transaction of the step's.
-- A procedure, because CALL is neither planned nor run by the executor, and daemons send it as text each time: the session
-- of a step has no prepared statement that the step could replace. Like _commit_turn it sets no search_path.
create procedure df._begin_step(p_role text, p_instance text, p_label text, p_node text, p_attempt text, p_local boolean)
language plpgsql as $$
declare
  ignored pg_catalog.text;
begin
  -- One expression, because each begins with as much work as a setting is.
  ignored := pg_catalog.concat(
    case when p_role operator(pg_catalog.<>) 'none' then pg_catalog.set_config('role', p_role, p_local) end,
    pg_catalog.set_config('df.instance_id', p_instance, p_local), pg_catalog.set_config('df.label', p_label, p_local),
    pg_catalog.set_config('df.node_id', p_node, p_local), pg_catalog.set_config('df.attempt', p_attempt, p_local),
    pg_catalog.set_config('df.in_workflow', 'true', p_local));
end $$;
comment on procedure df._begin_step(text, text, text, text, text, boolean) is 'The settings of a step';

-- Between two steps of a group, which share a transaction: what the one left is taken away, but for what belongs to the
-- transaction, and the next one's settings take its place, as _begin_step and _end_step do. p_instance null: no step follows.
-- What the one deferred runs here, with its own settings. From then on constraints are deferred until the end of each step;
-- PostgreSQL has no way back to what each constraint says of itself. Session-level advisory locks are kept until the commit, as
-- row locks are.
create procedure df._next_step(p_role text, p_instance text, p_label text, p_node text, p_attempt text)
language plpgsql as $$
declare
  ignored pg_catalog.text;
begin
  set constraints all immediate;
  if p_role operator(pg_catalog.<>) 'none' and pg_catalog.current_setting('role') operator(pg_catalog.<>) p_role then
    perform df._refuse_role();
  end if;
  ignored := pg_catalog.set_config('role', 'none', true);
  execute 'close all';
  deallocate all;
  discard temp;
  discard sequences;
  reset all;
  if p_instance is not null then
    set constraints all deferred;
    call df._begin_step(p_role, p_instance, p_label, p_node, p_attempt, true);
  end if;
end $$;
comment on procedure df._next_step(text, text, text, text, text) is 'Between two steps of a group';

-- What a step may have left in its session, taken away after its transaction. Everything that DISCARD ALL takes away but for
-- cached plans, because the next step's checkpoint uses them. It commits: what begins after it in the same exchange begins with
-- the session's own settings, such as default_transaction_isolation, and no rollback brings back what it took away.
create procedure df._end_step() language plpgsql as $$
declare
  ignored pg_catalog.text;
begin
  ignored := pg_catalog.concat(pg_catalog.set_config('role', 'none', false), pg_catalog.pg_advisory_unlock_all());
  execute 'close all';
  deallocate all;
  execute 'unlisten *';
  discard temp;
  discard sequences;
  reset all;
  commit;
end $$;
comment on procedure df._end_step() is 'Cleans the session of a step';

-- The checkpoint: one event and what follows from it, in the transaction of the step that it records. Fails, and with it
-- the step, when the lease is lost (DF001), or when the step gave itself another role than p_role (DF004; null: it may). The
-- key is that of the claim, which the daemon alone knows: it opens this instance, and for as long as the claim lasts.
-- The attempt began when the transaction did. p_at is now, by a clock that may differ by some milliseconds.
-- lock_timeout: a client that keeps a cancel of the instance open would hold up the step, its locks and its connection. After
-- that time the step is rolled back (55P03), and runs again if the cancel is.
-- Its parameters must have been read as UTF8: with another client_encoding, which a deferred trigger can set right before, the
-- same bytes are another turn.
-- It has no search_path of its own, because setting one costs a third of the whole call (the path is worked out anew in
-- each transaction). Instead every name in it is qualified, operators too, and it calls nothing unqualified.
create procedure df._commit_turn(p_claim uuid, p_instance text, p_token bigint, p_role text, p_seq bigint, p_at timestamptz,
                                 p_kind text, p_node text, p_scope text, p_attempt int, p_data json, p_turn json)
language plpgsql security definer set enable_seqscan = off set lock_timeout = '5s' as $$
begin
  insert into df.events (instance_id, seq, at, kind, node, scope, attempt, data, started_at)
  select p_instance, p_seq, p_at, p_kind, p_node, p_scope, p_attempt, p_data,
         pg_catalog.now() operator(pg_catalog.+) (p_at operator(pg_catalog.-) pg_catalog.clock_timestamp())
  from df.instances i
  where i.id operator(pg_catalog.=) p_instance and i.worker_id is not null
    and i.fencing_token operator(pg_catalog.=) p_token and i.claim_hash operator(pg_catalog.=) df._claim_hash(p_claim)
    and (p_role is null or pg_catalog.current_setting('role') operator(pg_catalog.=) p_role)
    and pg_catalog.pg_client_encoding() operator(pg_catalog.=) 'UTF8'
  for key share of i;
  if not found then
    if pg_catalog.pg_client_encoding() operator(pg_catalog.<>) 'UTF8' then
      raise exception 'a deferred trigger changed client_encoding before the checkpoint of the step' using errcode = '55000';
    end if;
    if pg_catalog.current_setting('role') operator(pg_catalog.<>) p_role then
      perform df._refuse_role();
    end if;
    raise exception 'lease lost: instance % is held by another daemon, or was cancelled', p_instance using errcode = 'DF001';
  end if;
  if p_turn is not null then
    perform df._apply_turn(p_instance, p_at, p_turn);
  end if;
end $$;
comment on procedure df._commit_turn(uuid, text, bigint, text, bigint, timestamptz, text, text, text, int, json, json) is
  'The checkpoint of a step, in the step''s transaction';

-- The checkpoint of a group: what _commit_turn does, for steps that ran in one transaction. All of them are recorded, or none
-- is. Sent after the last of their statements, whose sessions' settings are gone by then.
--   p_claims, p_instances, p_tokens   each instance once, in the order of their ids
--   p_of, p_seqs, … p_data            the events; p_of: whose, as a place in p_instances
--   p_ended, p_ended_at, …            instances that are completed by that; null: none
--   p_turn_of, p_turn_at, p_turns     what else follows, as in _apply_turn; null: nothing
-- lock_timeout is short, because each member waits for a row that a client has locked for one of them. Those steps then run
-- again, each by itself. Qualifies every name, as _commit_turn does.
create procedure df._commit_group(p_claims uuid[], p_instances text[], p_tokens bigint[],
                                  p_of int[], p_seqs bigint[], p_at timestamptz[], p_kinds text[], p_nodes text[],
                                  p_scopes text[], p_attempts int[], p_data json[],
                                  p_ended int[], p_ended_at timestamptz[], p_result_seqs bigint[], p_states json[],
                                  p_turn_of int[], p_turn_at timestamptz[], p_turns json[])
language plpgsql security definer set enable_seqscan = off set lock_timeout = '200ms' as $$
declare
  begun constant interval := pg_catalog.now() operator(pg_catalog.-) pg_catalog.clock_timestamp();
  held bigint;
begin
  select pg_catalog.count(*) into held
  from (select from rows from (pg_catalog.unnest(p_claims), pg_catalog.unnest(p_instances), pg_catalog.unnest(p_tokens))
                      as m (claim, id, token)
        join df.instances i on i.id operator(pg_catalog.=) m.id
        where i.worker_id is not null and i.fencing_token operator(pg_catalog.=) m.token
          and i.claim_hash operator(pg_catalog.=) df._claim_hash(m.claim)
        for key share of i) locked;
  if (held operator(pg_catalog.>) 0 and held operator(pg_catalog.=) pg_catalog.cardinality(p_instances)) is not true then
    raise exception 'lease lost: an instance of the group is held by another daemon, or was cancelled' using errcode = 'DF001';
  end if;
  insert into df.events (instance_id, seq, at, kind, node, scope, attempt, data, started_at)
  select p_instances[e.of], e.seq, e.at, e.kind, e.node, e.scope, e.attempt, e.data,
         case when e.kind operator(pg_catalog.=) 'StepCompleted' then e.at operator(pg_catalog.+) begun end
  from rows from (pg_catalog.unnest(p_of), pg_catalog.unnest(p_seqs), pg_catalog.unnest(p_at), pg_catalog.unnest(p_kinds),
                  pg_catalog.unnest(p_nodes), pg_catalog.unnest(p_scopes), pg_catalog.unnest(p_attempts),
                  pg_catalog.unnest(p_data))
       as e (of, seq, at, kind, node, scope, attempt, data);
  if p_ended is not null then
    update df.instances i
    set status = 'completed', worker_id = null, wake_at = null, attention = false, updated_at = e.at, completed_at = e.at,
        result_seq = e.result_seq, error = null, node_states = coalesce(e.states, i.node_states)
    from rows from (pg_catalog.unnest(p_ended), pg_catalog.unnest(p_ended_at), pg_catalog.unnest(p_result_seqs),
                    pg_catalog.unnest(p_states)) as e (of, at, result_seq, states)
    where i.id operator(pg_catalog.=) p_instances[e.of];
  end if;
  for n in 1 .. coalesce(pg_catalog.cardinality(p_turns), 0) loop
    perform df._apply_turn(p_instances[p_turn_of[n]], p_turn_at[n], p_turns[n]);
  end loop;
end $$;
comment on procedure df._commit_group(uuid[], text[], bigint[], int[], bigint[], timestamptz[], text[], text[], text[], int[],
                                      json[], int[], timestamptz[], bigint[], json[], int[], timestamptz[], json[]) is
  'The checkpoint of a group of steps, in their transaction';

-- A step that gave itself another role than it was given must not be recorded (identity.mode set_role).
create function df._refuse_role() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the step left the role that it runs as' using errcode = 'DF004';
end $$;
comment on function df._refuse_role() is 'Fails the checkpoint of a step that changed its role';

-- Turns without a statement of their own (timers, signals, failures, ends), many in one transaction. Each is a value of its
-- own, {instance, token, at, …as in _apply_turn}, ordered by instance: what one instance's turn holds can be nothing of
-- another's. Returns those that were not written: 'lost' (another daemon holds it) or 'busy' (a client's open transaction has
-- the row locked: try again later).
create function df._commit_turns(p_worker int, p_instances text[], p_tokens bigint[], p_turns json[])
returns table (instance text, outcome text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  held bigint;
  turn json;
begin
  for instance, held, turn in select * from unnest(p_instances, p_tokens, p_turns) loop
    if (turn ->> 'instance' = instance and (turn ->> 'token')::bigint = held) is not true then
      raise exception 'the turn of instance % is not its own', instance using errcode = 'DF005';
    end if;
    perform from df.instances i
    where i.id = instance and i.fencing_token = held
      and i.worker_id is not distinct from p_worker
    for no key update skip locked;
    if found then
      perform df._apply_turn(instance, (turn ->> 'at')::timestamptz, turn);
    else
      outcome := case when exists (select from df.instances i where i.id = instance and i.worker_id is not distinct from p_worker
                                   and i.fencing_token = held) then 'busy' else 'lost' end;
      return next;
    end if;
  end loop;
end $$;
comment on function df._commit_turns(int, text[], bigint[], json[]) is 'Commits turns that have no statement of their own';

-- Deletes up to p_batch instances that ended longer ago than p_age, with their history.
create function df._prune_batch(p_age interval, p_batch int) returns int language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  ids text[] := array(select id from df.instances where completed_at < df._now() - p_age
                      order by completed_at limit p_batch for update skip locked);
begin
  delete from df.events where instance_id = any (ids);
  delete from df.signals where instance_id = any (ids);
  delete from df.reruns where id = any (ids);
  delete from df.instances where id = any (ids);
  -- For a week another database's daemon may still ask whether a step has run here.
  delete from df._foreign_steps f using (
    select o.role, o.instance_id, o.node, o.scope from df._foreign_steps o
    where o.at < df._now() - greatest(p_age, interval '7 days') order by o.at limit p_batch) old
  where (f.role, f.instance_id, f.node, f.scope) = (old.role, old.instance_id, old.node, old.scope);
  return coalesce(array_length(ids, 1), 0);
end $$;
comment on function df._prune_batch(interval, int) is 'One batch of df.prune';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_begin_step'), ('_commit_group'), ('_commit_turn'), ('_end_step'), ('_next_step'), ('_refuse_role');
