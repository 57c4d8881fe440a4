-- Making, running, pausing and dropping pipelines.

-- The workflow -----------------------------------------------------------------------------------------------------

-- A string of the workflow language.
create function ai._string(t text) returns text language sql immutable
  return '''' || replace(t, '''', '''''') || '''';
comment on function ai._string(text) is 'A text as a string of the workflow language';

create function ai._headers(m ai.models) returns jsonb language sql immutable
  return jsonb_build_object('Content-Type', 'application/json')
    || case when m.secret is null then '{}'
         when m.api = 'azure' then jsonb_build_object('api-key', format('{secret.%s}', m.secret))
         else jsonb_build_object('Authorization', format('Bearer {secret.%s}', m.secret)) end
    || m.headers;
comment on function ai._headers(ai.models) is 'The headers of a request to a model; secrets by their names';

-- One call of a model for all chunks that wait for it: a request for each row of ai._requests. Neither the texts nor the
-- vectors are in the history: the body comes from a statement, and another takes the answer.
create function ai._call_text(p ai.pipelines, p_step int) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  model constant ai.models := ai._model(p.plan -> 'calls' -> (p_step - 1) ->> 'model');
  pace text := '%s';
begin
  if model.rpm is not null or model.tpm is not null then
    pace := format($text$('SELECT wait FROM ai._pace(%1$s, %2$s, $q.r) AS wait' |=> 'p') ~> df.sleep('$p.wait') ~> %%s$text$, p.id, p_step);
  end if;
  return format($text$df.for_each('SELECT r FROM ai._requests(%1$s, %2$s) AS r', %3$s, %4$s, 'q')$text$, p.id, p_step,
    format(pace, format($text$
    df.catch(
      df.retry(
        df.http(%3$s, 'POST', headers => %4$s, timeout_seconds => 120,
          request => 'SELECT body FROM ai._request(%1$s, %2$s, $q.r) AS body WHERE body IS NOT NULL',
          "into" => 'SELECT ai._store(%1$s, %2$s, $q.r, $response.status, $response.body?) AS answer'),
        1000000, max_delay => 120, "on" => '429'),
      'SELECT ai._put_back(%1$s, %2$s, $q.r, $error.code, $error.message)')$text$,
      p.id, p_step, ai._string(model.url), ai._string(ai._headers(model)::text))),
    coalesce(p.options ->> 'max_parallel', '4'));
end $$;
comment on function ai._call_text(ai.pipelines, int) is 'The part of the workflow that calls a model';

create function ai._approval_text(p ai.pipelines) returns text language sql stable
  return case when p.plan -> 'approval' = 'null' then ''
    else format($text$
  ~> df.if('SELECT ai._awaits_approval(%1$s)',
       (df.wait_for_signal(%2$s, %3$s) |=> 'd') ~> 'SELECT ai._decide(%1$s, $d.timed_out, $d.data?)')$text$,
       p.id, ai._string('pipeline_' || p.name || '_approval'), (p.plan -> 'approval' ->> 'timeout')::int) end;
comment on function ai._approval_text(ai.pipelines) is 'The part of the workflow that waits for an approval';

create function ai._awaits_approval(p_id int) returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  has boolean;
begin
  execute format('with %s select exists (select from ready)', ai._ready_sql(ai._own(p_id))) into has;
  return has;
end $$;
comment on function ai._awaits_approval(int) is 'Step of the workflow: whether there is something to approve';

-- What is not approved is set aside.
create function ai._decide(p_id int, p_timed_out boolean, p_data jsonb) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
begin
  if p_data ->> 'approved' = 'true' then return 'approved'; end if;
  execute format($sql$
    with %1$s,
    noted as (insert into ai.failures as f (pipeline, key, attempts, error) select $1, r.doc_id::text, 0, $2 from ready r
              on conflict (pipeline, key) do update set error = excluded.error, failed_at = now(), over = false),
    unqueued as (delete from %2$s w using ready r where w.doc_id = r.doc_id and w.change = r.change)
    delete from %3$s s using ready r where s.doc_id = r.doc_id$sql$, ai._ready_sql(p), ai._name(p, 'work'), ai._name(p, 'stage'))
    using p_id, case when p_timed_out then 'nobody approved it in time' else 'it was not approved' end;
  return 'set aside';
end $$;
comment on function ai._decide(int, boolean, jsonb) is 'Step of the workflow: what follows from an approval';

-- Documents are taken, sent, and published, until nothing is left to do now.
create function ai._pass_text(p ai.pipelines) returns text language sql stable
  return format($text$df.loop(
  %4$s
  ~> %2$s%3$s,
  'SELECT more FROM ai._publish(%1$s) AS more')$text$, p.id,
    (select string_agg(ai._call_text(p, n), E'\n  ~> ' order by n) from generate_series(1, jsonb_array_length(p.plan -> 'calls')) n),
    ai._approval_text(p),
    -- A pipeline of another kind waits between its passes.
    format(case when p.trigger = 'on_change' then '''SELECT ai._take(%s)''' else '(''SELECT wait FROM ai._take(%s) AS wait'' |=> ''t'') ~> df.sleep(''$t.wait'')' end, p.id));
comment on function ai._pass_text(ai.pipelines) is 'The part of the workflow that is one pass';

create function ai._workflow(p ai.pipelines) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  stop constant text := format('''SELECT ai._stop(%s, $error.message)''', p.id);
begin
  return case p.trigger
    when 'manual' then ai._pass_text(p)
    when 'on_change' then format(E'df.loop(df.catch(df.if(''SELECT due, wait FROM ai._begin(%s)'' |=> ''b'',\n%s,\ndf.race(df.wait_for_signal(''changed''), df.sleep(''$b.wait''))),\n%s), ''SELECT true'')',
                                 p.id, ai._pass_text(p), stop)
    else format(E'df.loop(df.race(df.wait_for_schedule(%s, %s), df.wait_for_signal(''changed''))\n~> df.catch(''SELECT ai._restart(%s, false)'' ~>\n%s,\n%s), ''SELECT true'')',
                ai._string(p.options ->> 'cron'), ai._string(coalesce(p.options ->> 'timezone', 'UTC')), p.id, ai._pass_text(p), stop)
  end;
end $$;
comment on function ai._workflow(ai.pipelines) is 'The workflow of a pipeline';

create function ai._start(p ai.pipelines) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  instance text;
begin
  insert into df.submit (dsl, label, vars) values (ai._workflow(p), 'ai-pipeline:' || coalesce((select o.name from ai.pipelines o where o.id = p.shadow_of), p.name), '{}') returning id into instance;
  update ai.pipelines set instance_id = instance, idle = false, work_since = now(), work_chunks = 0, work_documents = 0 where id = p.id;
  return instance;
end $$;
comment on function ai._start(ai.pipelines) is 'Submits the workflow of a pipeline';

-- Making -----------------------------------------------------------------------------------------------------------

create function ai._check_options(p_trigger text, p_source jsonb, p_options jsonb) returns void language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  unknown constant text := (select string_agg(k, ', ') from jsonb_object_keys(p_options) k where k not in
    ('cron', 'timezone', 'max_parallel', 'take', 'max_attempts', 'daily_tokens', 'daily_cost', 'always', 'backfill', 'index'));
begin
  if unknown is not null then
    raise invalid_parameter_value using message = format('a pipeline has no option %s', unknown),
      hint = 'The options are cron, timezone, max_parallel, take, max_attempts, daily_tokens, daily_cost, always and backfill.';
  elsif p_trigger is null or p_trigger not in ('manual', 'on_change', 'schedule') then
    raise invalid_parameter_value using message = format('"%s" is not a trigger of a pipeline', p_trigger),
      hint = 'The triggers are manual, on_change and schedule.';
  elsif p_trigger = 'schedule' and p_options ->> 'cron' is null then
    raise invalid_parameter_value using message = 'the trigger schedule needs a schedule: options => ''{"cron": "0 3 * * *"}''';
  elsif p_trigger <> 'manual' and p_source ->> 'incremental_column' is not null then
    raise invalid_parameter_value using message = 'an incremental_column is for the trigger manual',
      hint = 'The trigger on_change sees every change without one.';
  elsif least((p_options ->> 'max_parallel')::int, (p_options ->> 'take')::int, (p_options ->> 'max_attempts')::int) < 1
        or (p_options ->> 'max_parallel')::int > 100 then
    raise invalid_parameter_value using message = 'max_parallel must be from 1 to 100, and take and max_attempts at least 1';
  end if;
end $$;
comment on function ai._check_options(text, jsonb, jsonb) is 'Refuses options that are not known';

create function ai._own(p_name text) returns ai.pipelines language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_one ai.pipelines := (select p from ai.pipelines p where p.owner = ai._me() and p.name = p_name);
begin
  if found_one.id is null then
    raise no_data_found using message = format('there is no pipeline "%s" of role %s', p_name, current_user);
  end if;
  return found_one;
end $$;
comment on function ai._own(text) is 'A pipeline of the caller by its name';

create function ai._own(p_id int) returns ai.pipelines language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_one ai.pipelines := (select p from ai.pipelines p where p.owner = ai._me() and p.id = p_id);
begin
  if found_one.id is null then
    raise no_data_found using message = format('pipeline %s was dropped', p_id);
  end if;
  return found_one;
end $$;
comment on function ai._own(int) is 'A pipeline of the caller by its number';

create function ai.create_pipeline(name text, source jsonb, steps jsonb[], sink jsonb default null, trigger text default 'manual',
                                   options jsonb default '{}') returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  made ai.pipelines;
  target constant jsonb := coalesce($4, ai.table_sink(($2 ->> 'table') || '_chunks', $2 ->> 'schema'));
begin
  perform ai._check_options($5, $2, coalesce($6, '{}'));
  if exists (select from ai.pipelines p where p.owner = ai._me() and p.name = $1) then
    raise duplicate_object using message = format('there is a pipeline "%s" already', $1),
      hint = format('Change it with ai.alter_pipeline, or drop it: SELECT ai.drop_pipeline(%L);', $1);
  end if;
  insert into ai.pipelines (name, source, steps, sink, trigger, options, plan, cursor_done)
  values ($1, $2, to_jsonb($3), target, $5, coalesce($6, '{}'), ai._plan($2, to_jsonb($3), target),
          $5 <> 'on_change' or coalesce(($6 ->> 'backfill')::boolean, true) = false)
  returning * into made;
  perform ai._make_tables(made);
  if made.trigger = 'on_change' then
    perform ai._make_triggers(made);
  end if;
  if made.trigger <> 'manual' then
    perform ai._start(made);
  end if;
  return made.name;
end $$;
comment on function ai.create_pipeline(text, jsonb, jsonb[], jsonb, text, jsonb) is
  'Makes a pipeline and returns its name. source: ai.table_source; steps: ai.chunk, ai.embed, …; sink: ai.table_sink; trigger: manual (ai.run), on_change (by triggers, at once) or schedule (option cron)';

-- Running ----------------------------------------------------------------------------------------------------------

create function ai._runs(p ai.pipelines) returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from df.instances i where i.id = p.instance_id and i.status in ('pending', 'running', 'paused'));
end $$;
comment on function ai._runs(ai.pipelines) is 'Whether the instance of a pipeline has not ended';

create function ai._wake(p ai.pipelines) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if ai._runs(p) then
    perform df.signal(p.instance_id, 'changed');
    return p.instance_id;
  end if;
  return ai._start(p);
end $$;
comment on function ai._wake(ai.pipelines) is 'Wakes the instance of a pipeline, or starts one; returns its id';

-- The cursor at the beginning of the source. Without full, a manual pipeline with an incremental column reads what is at
-- or above the value that it saw when its last complete run began.
create function ai._restart(p_id int, p_full boolean) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  greatest_seen text;
begin
  if p.plan ->> 'incremental' is not null then
    execute format('select max(d.%I)::text from %s d', p.plan ->> 'incremental', p.plan ->> 'source') into greatest_seen;
  end if;
  update ai.pipelines set cursor = null, cursor_done = false, seen_next = greatest_seen, work_since = now(), work_chunks = 0, work_documents = 0,
    full_pass = p_full or p.plan ->> 'incremental' is null or p.seen is null where id = p_id;
end $$;
comment on function ai._restart(int, boolean) is 'Puts the cursor of a pipeline at the beginning';

create function ai.run(name text, "full" boolean default false) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  if p.stopped is not null or p.paused then
    raise object_not_in_prerequisite_state using message = format('pipeline "%s" is %s', $1, coalesce('stopped: ' || p.stopped, 'paused')),
      hint = format('SELECT ai.resume(%L);', $1);
  end if;
  if p.trigger = 'manual' and not ai._runs(p) or $2 then
    perform ai._restart(p.id, $2);
  end if;
  return ai._wake(p);
end $$;
comment on function ai.run(text, boolean) is
  'Runs a pipeline now and returns the id of its instance. full: all documents are looked at again; those that have not changed cost nothing';

create function ai.backfill(name text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return ai.run($1, true);
end $$;
comment on function ai.backfill(text) is 'As ai.run with full: looks at all documents again';

create function ai.pause(name text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  update ai.pipelines set paused = true, idle = false where id = p.id;
  return format('Pipeline "%s" is paused', $1);
end $$;
comment on function ai.pause(text) is
  'Lets a pipeline make no further request. Answers that are under way are stored; changes are remembered for ai.resume';

create function ai.resume(name text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  update ai.pipelines set paused = false, stopped = null, problem = null, problem_since = null where id = p.id;
  execute format('update %s set due = now() where step is not null', ai._name(p, 'stage'));
  if p.trigger <> 'manual' or not p.cursor_done or ai._has_work(p) then
    perform ai._wake(p);
  end if;
  return format('Pipeline "%s" goes on', $1);
end $$;
comment on function ai.resume(text) is 'Lets a pipeline that was paused or that stopped go on';

create function ai.drop_pipeline(name text, keep_sink boolean default true) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
  shadow constant ai.pipelines := ai._shadow_of(p);
begin
  if shadow.id is not null then
    perform ai.drop_pipeline(shadow.name, false);
  end if;
  -- In the order in which writers and the steps of the workflow lock: source, stage, queue, instance. So a step that is
  -- under way comes to its end first.
  perform ai._drop_triggers(p);
  perform ai._drop_tables(p);
  if ai._runs(p) then
    perform df.cancel(p.instance_id, 'the pipeline was dropped');
  end if;
  if not keep_sink then
    execute format('drop table if exists %s', p.plan ->> 'sink');
  end if;
  update ai.pipelines set dropped = true where id = p.id;
  return format('Pipeline "%s" was dropped', $1) || case when keep_sink then '; its sink ' || (p.plan ->> 'sink') || ' stays' else '' end;
end $$;
comment on function ai.drop_pipeline(text, boolean) is 'Removes a pipeline with everything that belongs to it; the sink only with keep_sink => false';

create function ai.drop(name text, keep_sink boolean default true) returns text language sql
  return ai.drop_pipeline($1, $2);
comment on function ai.drop(text, boolean) is 'The same as ai.drop_pipeline';
