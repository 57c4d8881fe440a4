-- Looking at pipelines, and waiting for them.

-- Counting a large table takes long; then what the planner knows is good enough.
create function ai._count(p_table regclass, p_column text, p_condition text) returns bigint language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  large constant int := 1000000;
  rows constant bigint := (select c.reltuples::bigint from pg_class c where c.oid = p_table);
  counted bigint;
begin
  if rows >= large and p_condition = 'true' then
    return coalesce((select case when s.n_distinct < 0 then (-s.n_distinct * rows)::bigint else s.n_distinct::bigint end
      from pg_stats s join pg_class c on c.relname = s.tablename and c.relnamespace = quote_ident(s.schemaname)::regnamespace
      where c.oid = p_table and s.attname = p_column), rows);
  end if;
  execute format('select count(distinct d.%I) from %s d where (%s)', p_column, p_table, p_condition) into counted;
  return counted;
end $$;
comment on function ai._count(regclass, text, text) is 'How many values a column has, about';

-- Only for the caller's own pipelines: a query of another role's tables would run what that role made of them with the
-- caller's rights.
create function ai._counts(p ai.pipelines, out documents bigint, out published bigint, out waiting bigint, out oldest timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  documents := ai._count(to_regclass(p.plan ->> 'source'), p.plan ->> 'key', coalesce(p.plan ->> 'filter', 'true'));
  published := ai._count(to_regclass(p.plan ->> 'sink'), p.plan -> 'names' ->> 'doc_id', 'true');
  execute format('select (select count(*) from %1$s w) + (select count(*) from %2$s s where s.chunk_index = -1 and not exists '
                 '(select from %1$s w where w.doc_id = s.doc_id)), (select min(w.due) from %1$s w)', ai._name(p, 'work'), ai._name(p, 'stage'))
    into waiting, oldest;
exception when undefined_table then null;  -- dropped meanwhile
end $$;
comment on function ai._counts(ai.pipelines) is 'How many documents of a pipeline are where';

create function ai._state(p ai.pipelines) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  status constant text := (select i.status from df.instances i where i.id = p.instance_id);
  limited constant text := ai._day_limit(p);
  next_try timestamptz;
begin
  if p.stopped is not null then
    return 'stopped: ' || p.stopped;
  elsif status in ('failed', 'cancelled') then
    return 'stopped: ' || coalesce(df.error(p.instance_id) ->> 'message', 'its workflow has ended');
  elsif p.paused or status = 'paused' then
    return 'paused';
  elsif limited is not null then
    return 'waiting: ' || limited;
  elsif p.problem is not null then
    return format('waiting: since %s UTC: %s', to_char(p.problem_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), p.problem);
  elsif status is null or status = 'completed' or p.idle then
    return 'idle';
  end if;
  if exists (select from df.waiting(p.instance_id) w where w.kind = 'signal' and w.name like 'pipeline\_%\_approval') then
    return format('waiting: approval by the signal "pipeline_%s_approval"', p.name);
  end if;
  next_try := (select min(w.until) from df.waiting(p.instance_id) w where w.kind = 'retry');
  return case when next_try is not null then format('waiting: rate limit until %s UTC', to_char(next_try at time zone 'UTC', 'HH24:MI:SS'))
    when p.trigger = 'schedule' and p.cursor_done and not exists (select from df.waiting(p.instance_id) w where w.kind <> 'schedule' and w.name is distinct from 'changed')
    then 'idle' else 'working' end;
end $$;
comment on function ai._state(ai.pipelines) is 'What a pipeline is doing';

create type ai.pipeline_status as (
  name text, trigger text, paused boolean, state text, documents bigint, published bigint, waiting bigint, failed bigint,
  oldest_waiting timestamptz, chunks_per_s numeric, eta interval, tokens_today bigint, cost_today numeric, instance text,
  revision int, model text, owner regrole);
comment on type ai.pipeline_status is 'A row of ai.status';

create function ai._models_of(p ai.pipelines) returns text language sql immutable
  return (select string_agg(distinct c ->> 'model', ', ') from jsonb_array_elements(p.plan -> 'calls') c);
comment on function ai._models_of(ai.pipelines) is 'The models that a pipeline calls';

create function ai._status(p ai.pipelines) returns ai.pipeline_status language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  s ai.pipeline_status;
begin
  s.name := p.name; s.trigger := p.trigger; s.paused := p.paused; s.state := ai._state(p); s.instance := p.instance_id;
  s.revision := p.revision; s.model := ai._models_of(p); s.owner := p.owner;
  if p.owner = ai._me() then
    select c.documents, c.published, c.waiting, c.oldest into s.documents, s.published, s.waiting, s.oldest_waiting from ai._counts(p) c;
  end if;
  s.failed := (select count(*) from ai.failures f where f.pipeline = p.id);
  select coalesce(sum(u.tokens), 0), round(coalesce(sum(u.cost), 0), 6) into s.tokens_today, s.cost_today
  from ai.usage u where u.pipeline = p.id and u.day = (now() at time zone 'UTC')::date;
  s.chunks_per_s := round((p.work_chunks / nullif(extract(epoch from p.work_last - p.work_since), 0))::numeric, 1);
  if s.chunks_per_s > 0 and p.work_documents > 0 then
    s.eta := make_interval(secs => (case when p.cursor_done then s.waiting else greatest(s.documents - s.published - s.failed, s.waiting) end
                                    * p.work_chunks / p.work_documents / s.chunks_per_s)::float8);
  end if;
  return s;
end $$;
comment on function ai._status(ai.pipelines) is 'What one pipeline is doing';

create function ai.status(name text default null) returns setof ai.pipeline_status language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if $1 is not null then
    return next ai._status(ai._own($1));
  else
    return query select s.* from ai.pipelines p cross join lateral ai._status(p) s order by p.owner::text, p.name;
  end if;
end $$;
comment on function ai.status(text) is
  'What pipelines are doing: the caller''s own, and for operators everybody''s, of which the documents are not counted. chunks_per_s is that of the last time it had work';

create function ai.list_pipelines() returns table (name text, trigger text, state text, source text, sink text, model text, instance text,
                                                   owner regrole, created_at timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select p.name, p.trigger, ai._state(p), p.source ->> 'table', p.sink ->> 'table',
      ai._models_of(p), p.instance_id, p.owner, p.created_at
    from ai.pipelines p order by p.owner::text, p.name;
end $$;
comment on function ai.list_pipelines() is 'The caller''s pipelines; for operators everybody''s';

create function ai.usage(name text, days int default 30) returns table (day date, model text, requests bigint, inputs bigint, tokens bigint, cost numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select u.day, u.model, u.requests, u.inputs, u.tokens, u.cost from ai.usage u
    where u.pipeline = (ai._own($1)).id and u.day > (now() at time zone 'UTC')::date - days order by u.day desc, u.model;
end $$;
comment on function ai.usage(text, int) is 'What a pipeline has used, by day (UTC) and model';

create function ai.failures(name text) returns table (key text, attempts int, error text, failed_at timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select f.key, f.attempts, f.error, f.failed_at from ai.failures f where f.pipeline = (ai._own($1)).id order by f.failed_at, f.key;
end $$;
comment on function ai.failures(text) is 'Documents that were set aside, and why. They are tried again when they change, or by ai.retry';

create function ai.retry(name text, key text default null) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  p constant ai.pipelines := ai._own($1);
  queued bigint;
begin
  execute format('insert into %1$s as w (doc_id, change) select f.key::%2$s, nextval(%3$L::regclass) from ai.failures f '
                 'where f.pipeline = $1 and ($2 is null or f.key = $2) on conflict (doc_id) do update set change = excluded.change, due = excluded.due',
                 ai._name(p, 'work'), p.plan ->> 'key_type', ai._name(p, 'changes')) using p.id, $2;
  get diagnostics queued = row_count;
  update ai.failures set over = true where pipeline = p.id and ($2 is null or ai.failures.key = $2);
  if queued > 0 then
    perform ai._wake(p);
  end if;
  return queued;
end $$;
comment on function ai.retry(text, text) is 'Tries documents again that were set aside: all, or the one with that key. Returns how many';

create function ai.wait_for_completion(name text, timeout numeric default 3600) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare
  until constant timestamptz := clock_timestamp() + make_interval(secs => timeout::float8);
  p ai.pipelines := ai._own($1);
  state text := ai._state(p);
begin
  while (state = 'working' or not p.cursor_done or ai._has_work(p) or p.trigger = 'manual' and ai._runs(p))
        and state not like 'stopped%' and state <> 'paused' and clock_timestamp() < until loop
    perform pg_sleep(0.02);
    p := ai._own($1);
    state := ai._state(p);
  end loop;
  return state;
end $$;
comment on function ai.wait_for_completion(text, numeric) is
  'Waits until everything that a pipeline knows of is published or set aside, or until it is paused or stops; at most timeout seconds. Returns its state';

create function ai.explain(name text) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  return format(E'pipeline %s, revision %s\nsource    %s, key %s (%s)%s\nchunks    of %s: %s, %s %s, overlap %s\nmodels    %s\nsink      %s%s\ntrigger   %s\nworkflow\n',
    p.name, p.revision, p.plan ->> 'source', p.plan ->> 'key', p.plan ->> 'key_type', coalesce(', where ' || (p.plan ->> 'filter'), ''),
    p.plan ->> 'input', p.plan -> 'chunk' ->> 'method', p.plan -> 'chunk' ->> 'chunk_size', p.plan -> 'chunk' ->> 'unit', p.plan -> 'chunk' ->> 'overlap',
    (select string_agg(format('%s by %s at %s', c ->> 'step', c ->> 'model', c ->> 'url'), E'\n          ') from jsonb_array_elements(p.plan -> 'calls') c),
    p.plan ->> 'sink', coalesce(', embeddings ' || (p.plan ->> 'vector'), ''),
    p.trigger || case p.trigger when 'on_change' then format(' (after changes of %s)', (select string_agg(c, ', ') from jsonb_array_elements_text(p.plan -> 'columns') c))
                   when 'schedule' then format(' (%s, %s)', p.options ->> 'cron', coalesce(p.options ->> 'timezone', 'UTC')) else ' (ai.run)' end)
    || df.explain(ai._workflow(p));
end $$;
comment on function ai.explain(text) is 'What a pipeline does, in words, and its workflow as a tree';

-- From about a thousand documents.
create function ai._estimate(p ai.pipelines, out documents bigint, out chunks bigint, out tokens bigint, out requests bigint, out cost numeric, out hours numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  relation constant regclass := (p.plan ->> 'source')::regclass;
  rows constant bigint := (select greatest(c.reltuples::bigint, 0) from pg_class c where c.oid = relation);
  models constant ai.models[] := array(select ai._model(c ->> 'model') from jsonb_array_elements(p.plan -> 'calls') c);
  sample record;
begin
  documents := ai._count(relation, p.plan ->> 'key', coalesce(p.plan ->> 'filter', 'true'));
  execute format('select count(distinct d.%1$I) as documents, count(c.chunk_text) as chunks, coalesce(sum((octet_length(%2$s) + 3) / 4), 0) as tokens '
                 'from (select * from %3$s d%4$s where (%5$s) limit 1000) d left join lateral ai._chunks(d.%6$I::text, $1, $2) c on true',
                 p.plan ->> 'key', p.plan ->> 'format', p.plan ->> 'source',
                 case when rows > 10000 then format(' tablesample system (%s)', least(100, 100.0 * 3000 / rows)) else '' end,
                 coalesce(p.plan ->> 'filter', 'true'), p.plan ->> 'input')
    into sample using p.plan -> 'chunk', (select 4 * min(m.max_input_tokens) from unnest(models) m);
  chunks := round(documents::numeric * sample.chunks / greatest(sample.documents, 1));
  tokens := round(documents::numeric * sample.tokens / greatest(sample.documents, 1)) * cardinality(models);
  requests := (select sum(case when p.plan -> 'calls' -> (n::int - 1) ->> 'step' = 'embed'
                          then ceil(greatest(chunks::numeric / m.max_inputs, tokens::numeric / m.max_request_tokens)) else chunks end)
               from unnest(models) with ordinality m (owner, alias, url, model, secret, api, dimensions, max_inputs, max_input_tokens, max_request_tokens,
                 rpm, tpm, price_per_mtok, headers, send_dimensions, next_request_at, next_tokens_at, n));
  cost := round((select sum(coalesce(m.price_per_mtok, 0)) from unnest(models) m) * tokens / cardinality(models) / 1000000, 4);
  hours := round((select max(greatest(tokens::numeric / m.tpm, requests::numeric / m.rpm)) from unnest(models) m) / 60, 2);
end $$;
comment on function ai._estimate(ai.pipelines) is 'What it would take to embed everything once';

create function ai.estimate(name text, out documents bigint, out chunks bigint, out tokens bigint, out requests bigint, out cost numeric, out hours numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  select * into documents, chunks, tokens, requests, cost, hours from ai._estimate(ai._own($1));
end $$;
comment on function ai.estimate(text) is
  'What it would take to embed the whole source once, from a sample of 1,000 documents: cost at the model''s price_per_mtok, hours at its rpm and tpm (null: it has none)';
