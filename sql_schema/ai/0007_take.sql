-- The first half of a pass: is there something to do, and which documents are taken into the stage. Nothing here locks a
-- row that a writer could wait for, or waits for a writer.

-- The limits of a day, in UTC. Null: not reached.
create function ai._day_limit(p ai.pipelines) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  used record;
begin
  if p.options ->> 'daily_tokens' is null and p.options ->> 'daily_cost' is null then return null; end if;
  select coalesce(sum(u.tokens), 0) as tokens, coalesce(sum(u.cost), 0) as cost into used
  from ai.usage u where u.pipeline = p.id and u.day = (now() at time zone 'UTC')::date;
  return case when used.tokens >= (p.options ->> 'daily_tokens')::numeric then 'daily tokens reached'
              when used.cost >= (p.options ->> 'daily_cost')::numeric then 'daily cost reached' end;
end $$;
comment on function ai._day_limit(ai.pipelines) is 'Which limit of today a pipeline has reached';

create function ai._is_held(p ai.pipelines) returns boolean language sql stable
  return p.paused or p.stopped is not null or ai._day_limit(p) is not null;
comment on function ai._is_held(ai.pipelines) is 'Whether a pipeline makes no requests at present';

-- What is complete in the stage and can be published now: a document whose chunks are all done, and that has not changed
-- since it was taken. One that a writer has in hand is passed over; it comes up again when the writer commits.
create function ai._ready_sql(p ai.pipelines) returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return format($sql$
    alone as (select d.doc_id, d.change from %1$s d
      where d.chunk_index = -1 and not exists (select from %1$s s where s.doc_id = d.doc_id and s.step is not null)
        and not exists (select from %2$s w where w.doc_id = d.doc_id)
      for update of d skip locked),
    queued as (select d.doc_id, d.change from %1$s d join %2$s w on w.doc_id = d.doc_id and w.change = d.change
      where d.chunk_index = -1 and not exists (select from %1$s s where s.doc_id = d.doc_id and s.step is not null)
      for update of d, w skip locked),
    ready as (select * from alone union all select * from queued)$sql$, ai._name(p, 'stage'), ai._name(p, 'work'));
end $$;
comment on function ai._ready_sql(ai.pipelines) is 'A WITH list that ends with the documents that can be published';

-- due: something can be done now. wait: otherwise, in how many seconds something will be. Documents in the queue that are
-- in the stage as they are need no further taking.
create function ai._work_due(p ai.pipelines, out due boolean, out wait numeric) language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  stage constant text := ai._name(p, 'stage');
  room boolean;
begin
  execute format('select coalesce(bool_or(s.step is not null and s.due <= now()), false), '
                 'extract(epoch from min(s.due) filter (where s.step is not null) - now()), '
                 'count(*) filter (where s.chunk_index = -1) < $1 from %s s', stage)
    into due, wait, room using coalesce((p.options ->> 'take')::int, 200);
  if not due then
    due := room and not p.cursor_done;
  end if;
  if not due then
    execute format('select exists (select from %1$s w where w.due <= now() and ($1 or exists (select from %2$s s where s.doc_id = w.doc_id and s.chunk_index = -1)) '
                   'and not exists (select from %2$s s where s.doc_id = w.doc_id and s.chunk_index = -1 and s.change = w.change))',
                   ai._name(p, 'work'), stage) into due using room;
  end if;
  if not due then
    execute format('with %s select exists (select from ready)', ai._ready_sql(p)) into due;
  end if;
  wait := greatest(least(wait, 60), 0);
end $$;
comment on function ai._work_due(ai.pipelines) is 'Whether a pipeline has something to do now, or when';

create function ai._has_work(p ai.pipelines) returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  has boolean;
begin
  execute format('select exists (select from %s) or exists (select from %s)', ai._name(p, 'work'), ai._name(p, 'stage')) into has;
  return has;
end $$;
comment on function ai._has_work(ai.pipelines) is 'Whether documents wait in the queue or the stage';

create function ai._until_midnight() returns numeric language sql stable
  return extract(epoch from (date_trunc('day', now() at time zone 'UTC') + interval '1 day') - (now() at time zone 'UTC'));
comment on function ai._until_midnight() is 'Seconds until the next day in UTC';

create function ai._begin(p_id int) returns table (due boolean, wait numeric) language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  limited constant boolean := ai._day_limit(p) is not null;
  is_idle boolean;
begin
  due := false;
  if p.paused or p.stopped is not null then
    wait := 3600;
  elsif limited then
    wait := ai._until_midnight();
  else
    select w.due, coalesce(w.wait, 60) into due, wait from ai._work_due(p) w;
  end if;
  -- Changes ring only while the next step is the wait. A writer that looked before this is committed does not ring: so it
  -- looks again at once, and then each second until every transaction that is older has ended.
  is_idle := not due and not limited and not p.paused and p.stopped is null;
  if is_idle and p.shadow_of is not null and p.cursor_done and not ai._has_work(p) then
    wait := case when ai._swap(p) then 0 else 1 end;
    return next;
    return;
  end if;
  if p.idle <> is_idle then
    update ai.pipelines set idle = is_idle, idle_xid = pg_current_xact_id(), work_since = case when p.idle then now() else work_since end,
      work_chunks = case when p.idle then 0 else work_chunks end, work_documents = case when p.idle then 0 else work_documents end where id = p_id;
    wait := least(wait, 0.02);
  elsif is_idle and pg_snapshot_xmin(pg_current_snapshot()) <= p.idle_xid then
    wait := least(wait, 1);
  end if;
  return next;
end $$;
comment on function ai._begin(int) is 'Step of the workflow: whether there is something to do now, and how long to wait otherwise';

-- Taking -----------------------------------------------------------------------------------------------------------

-- Documents with their text, in chunks, as rows of the stage. The number of the change and the text are read in one
-- snapshot: whoever changes the text later also changes the number, and the publication compares them. A document that is
-- gone, or does not pass the filter, has no chunks.
create function ai._take_sql(p ai.pipelines, p_chosen text) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  return format($sql$
  with chosen as (%1$s),
  cut as (
    select x.doc_id, x.change, c.chunk_index, c.chunk_text, left(c.path, 500) as path, %2$s as input
    from chosen x left join %3$s d on d.%4$I = x.doc_id and (%5$s)
    cross join lateral (select -1, null::text, null::text
                        union all select * from ai._chunks(d.%6$I::text, $1, $2)) c (chunk_index, chunk_text, path)),
  hashed as (
    select t.*, pg_catalog.sha256(pg_catalog.convert_to($3 || ' ' || coalesce(t.path || E'\n\n', '') || t.input, 'UTF8')) as sha,
           coalesce(t.path || E'\n\n', '') || t.input as whole from cut t)
  insert into %7$s as o (doc_id, chunk_index, change, taken, chunk_text, input, sha, tokens, step, metadata%8$s)
  select h.doc_id, h.chunk_index, h.change, $4, h.chunk_text,
         case when h.chunk_index >= 0 and k.found is null then h.whole end, h.sha,
         greatest(1, (pg_catalog.octet_length(h.whole) + 3) / 4), case when h.chunk_index >= 0 and k.found is null then 1 end,
         coalesce(k.metadata, case when h.path is null then '{}' else pg_catalog.jsonb_build_object('heading', h.path) end)%9$s
  from hashed h left join lateral (
    select true as found, e.* from (
      select s.metadata%10$s from %7$s s where s.doc_id = h.doc_id and s.sha = h.sha and s.step is null and h.chunk_index >= 0
      union all
      select n.%11$I%12$s from %13$s n where n.%14$I = h.doc_id and n.%11$I ->> 'sha' = pg_catalog.encode(h.sha, 'hex') and h.chunk_index >= 0) e
    limit 1) k on true
  on conflict (doc_id, chunk_index) do update set change = excluded.change, taken = excluded.taken, chunk_text = excluded.chunk_text,
    input = excluded.input, sha = excluded.sha, tokens = excluded.tokens, step = excluded.step, metadata = excluded.metadata%15$s,
    request = null, batch_limit = null, due = excluded.due, attempts = 0, puts = 0, error = null$sql$,
    p_chosen, p.plan ->> 'format', p.plan ->> 'source', p.plan ->> 'key', coalesce(p.plan ->> 'filter', 'true'),
    p.plan ->> 'input', ai._name(p, 'stage'),
    case when p.plan ->> 'vector' is null then '' else ', embedding' end,
    case when p.plan ->> 'vector' is null then '' else ', k.embedding' end,
    case when p.plan ->> 'vector' is null then '' else ', s.embedding' end,
    p.plan -> 'names' ->> 'metadata',
    case when p.plan ->> 'vector' is null then '' else format(', n.%I', p.plan -> 'names' ->> 'embedding') end,
    p.plan ->> 'sink', p.plan -> 'names' ->> 'doc_id',
    case when p.plan ->> 'vector' is null then '' else ', embedding = excluded.embedding' end);
end $$;
comment on function ai._take_sql(ai.pipelines, text) is 'The statement that takes documents into the stage';

create function ai._run_take(p ai.pipelines, p_chosen text, p_take bigint) returns int language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  most_bytes constant int := (select 4 * min(m.max_input_tokens) from jsonb_array_elements(p.plan -> 'calls') c
                              join ai.models m on m.owner = ai._me() and m.alias = c ->> 'model');
  taken int;
begin
  execute ai._take_sql(p, p_chosen) using p.plan -> 'chunk', most_bytes, p.plan ->> 'print', p_take;
  get diagnostics taken = row_count;
  return taken;
end $$;
comment on function ai._run_take(ai.pipelines, text, bigint) is 'Takes the chosen documents';

-- From the queue, oldest first, what has changed since it was taken or is not in the stage yet.
create function ai._queued_sql(p ai.pipelines, p_room int) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  return format($sql$
    (select w.doc_id, w.change from %1$s w join %2$s s on s.doc_id = w.doc_id and s.chunk_index = -1 and s.change <> w.change
     where w.due <= now())
    union all
    (select w.doc_id, w.change from %1$s w where w.due <= now()
       and not exists (select from %2$s s where s.doc_id = w.doc_id and s.chunk_index = -1) order by w.due, w.doc_id limit %3$s)$sql$,
    ai._name(p, 'work'), ai._name(p, 'stage'), p_room);
end $$;
comment on function ai._queued_sql(ai.pipelines, int) is 'Chooses documents from the queue';

-- From the source in the order of the keys, behind the cursor, which moves on. A document that is in the queue keeps the
-- number that it has there.
create function ai._behind_cursor(p ai.pipelines, p_room int) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  keys text;
  last_key text;
  taken int;
begin
  execute format('select array_agg(x.doc_id)::text, (array_agg(x.doc_id))[count(*)]::text, count(*) '
                 'from (select d.%1$I as doc_id from %2$s d where true%3$s%4$s order by d.%1$I limit $1) x',
    p.plan ->> 'key', p.plan ->> 'source',
    case when p.cursor is null then '' else format(' and d.%I > %L::%s', p.plan ->> 'key', p.cursor, p.plan ->> 'key_type') end,
    case when p.full_pass or p.plan ->> 'incremental' is null or p.seen is null then ''
      else format(' and d.%I >= %L', p.plan ->> 'incremental', p.seen) end)
    into keys, last_key, taken using p_room;
  update ai.pipelines set cursor = coalesce(last_key, p.cursor), cursor_done = taken < p_room where id = p.id;
  return format('select k.doc_id, coalesce((select w.change from %s w where w.doc_id = k.doc_id), 0) as change from unnest(%L::%s[]) k (doc_id)',
                ai._name(p, 'work'), coalesce(keys, '{}'), p.plan ->> 'key_type');
end $$;
comment on function ai._behind_cursor(ai.pipelines, int) is 'Chooses documents behind the cursor';

-- Returns how many seconds a manual pipeline has to wait for what it will do next.
create function ai._take(p_id int) returns numeric language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  stage constant text := ai._name(p, 'stage');
  take constant int := coalesce((p.options ->> 'take')::int, 200);
  room int;
  number bigint;
  due record;
begin
  if p.trigger = 'on_change' then
    perform ai._require_own(p.plan ->> 'source', 'source');
  end if;
  execute format('select from %s limit 0', p.plan ->> 'source');  -- locked first, as writers and ai.drop_pipeline do
  if ai._is_held(p) then
    return case when p.trigger = 'manual' and not p.paused and p.stopped is null then ai._until_midnight() else 0 end;
  end if;
  execute format('select greatest($1 - count(*), 0), nextval(%L::regclass) from %s s where s.chunk_index = -1', ai._name(p, 'changes'), stage)
    into room, number using take;
  perform ai._run_take(p, ai._queued_sql(p, room), number);
  execute format('select greatest($1 - count(*), 0) from %s s where s.chunk_index = -1', stage) into room using take;
  if room > 0 and not p.cursor_done then
    perform ai._run_take(p, ai._behind_cursor(p, room), number);
  end if;
  execute format('delete from %1$s s using %1$s d where d.doc_id = s.doc_id and d.chunk_index = -1 and s.taken <> d.taken', stage);
  if p.trigger = 'on_change' then return 0; end if;
  select * into due from ai._work_due(ai._own(p_id));
  return case when due.due then 0 else coalesce(due.wait, 0) end;
end $$;
comment on function ai._take(int) is 'Step of the workflow: takes documents into the stage';
