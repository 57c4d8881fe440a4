-- Changing a pipeline. In place: the tables of the pipeline are made again and its source is read from the beginning; what
-- has not changed costs nothing. In the shadow: a second pipeline fills a sink of its own, changes go to both, and when it
-- has caught up it takes the place of the first in one transaction.

create function ai._first_model(p_plan jsonb) returns text language sql immutable
  return (select c ->> 'name' from jsonb_array_elements(p_plan -> 'calls') c where c ->> 'step' = 'embed');
comment on function ai._first_model(jsonb) is 'The model of the vectors';

create function ai._shadow_of(p ai.pipelines) returns ai.pipelines language sql stable
  return (select s from ai.pipelines s where s.owner = ai._me() and s.shadow_of = p.id);
comment on function ai._shadow_of(ai.pipelines) is 'The pipeline that will take the place of this one';

create function ai._restart_instance(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not ai._runs(p) then return; end if;
  perform df.cancel(p.instance_id, 'the pipeline was changed');
  perform ai._start(p);
end $$;
comment on function ai._restart_instance(ai.pipelines) is 'Starts the workflow of a pipeline that was changed';

create function ai._alter_options(p ai.pipelines, p_options jsonb) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  after ai.pipelines;
begin
  update ai.pipelines set options = p_options where id = p.id returning * into after;
  if p.trigger = 'on_change' and p.options -> 'always' is distinct from p_options -> 'always' then
    perform ai._drop_triggers(p);
    perform ai._make_triggers(after);
  end if;
  perform ai._restart_instance(after);
end $$;
comment on function ai._alter_options(ai.pipelines, jsonb) is 'Gives a pipeline other options';

create function ai._alter_in_place(p ai.pipelines, p_to ai.pipelines, p_force boolean) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  after ai.pipelines;
begin
  if p_to.plan -> 'dimensions' <> p.plan -> 'dimensions' or p_to.plan ->> 'vector' is distinct from p.plan ->> 'vector' then
    raise feature_not_supported using message = format('the sink has %s, and the vectors would be %s; use mode => ''shadow''',
                                                       p.plan ->> 'vector', p_to.plan ->> 'vector');
  elsif ai._first_model(p.plan) <> ai._first_model(p_to.plan) and not p_force then
    raise feature_not_supported using message = format('vectors of "%s" and "%s" cannot be compared; use mode => ''shadow''',
                                                       ai._first_model(p.plan), ai._first_model(p_to.plan));
  end if;
  perform ai._drop_triggers(p);
  perform ai._drop_tables(p);
  update ai.pipelines set source = p_to.source, steps = p_to.steps, options = p_to.options, plan = p_to.plan, revision = p.revision + 1,
    cursor = null, cursor_done = false, full_pass = true, stopped = null, problem = null, problem_since = null
  where id = p.id returning * into after;
  perform ai._make_tables(after);
  if after.trigger = 'on_change' then
    perform ai._make_triggers(after);
  end if;
  perform ai._restart_instance(after);
end $$;
comment on function ai._alter_in_place(ai.pipelines, ai.pipelines, boolean) is 'Changes a pipeline and reads its source from the beginning';

-- The new sink gets the grants of the old one, and nothing else of it.
create function ai._require_plain(p_sink text) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from pg_class c where c.oid = to_regclass(p_sink)
             and (c.relrowsecurity or exists (select from pg_policy o where o.polrelid = c.oid)
                  or exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal)
                  or exists (select from pg_attribute a where a.attrelid = c.oid and a.attacl is not null))) then
    raise object_not_in_prerequisite_state using
      message = format('the sink %s has row-level security, policies, triggers or grants on columns, which the table that takes its place would not have', p_sink),
      hint = 'Use mode => ''in_place'' where vectors stay comparable, or create another pipeline with a sink of its own.';
  end if;
end $$;
comment on function ai._require_plain(text) is 'Refuses a sink whose protection would be lost by a swap';

create function ai._alter_in_shadow(p ai.pipelines, p_to ai.pipelines) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  made ai.pipelines;
begin
  if to_regclass(p_to.plan ->> 'sink') is not null then
    raise duplicate_table using message = format('table %s is in the way of the new sink', p_to.plan ->> 'sink');
  end if;
  perform ai._require_plain(p.plan ->> 'sink');
  insert into ai.pipelines (name, source, steps, sink, trigger, options, plan, cursor_done, full_pass, revision, shadow_of)
  values (p.name || '__r' || p.revision + 1, p_to.source, p_to.steps, p_to.sink, p.trigger, p_to.options, p_to.plan, false, true,
          p.revision + 1, p.id)
  returning * into made;
  perform ai._make_tables(made);
  perform ai._copy_rights(p.plan ->> 'sink', made.plan ->> 'sink');
  if made.trigger = 'on_change' then
    perform ai._make_triggers(made);
  end if;
  perform df.signal(ai._start(made), 'changed');
end $$;
comment on function ai._alter_in_shadow(ai.pipelines, ai.pipelines) is 'Makes the pipeline that will take the place of another';

create function ai._copy_rights(p_from text, p_to text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  a record;
begin
  for a in select x.privilege_type, case when x.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end as grantee
           from pg_class c, aclexplode(c.relacl) x where c.oid = to_regclass(p_from) and x.grantee <> c.relowner loop
    execute format('grant %s on %s to %s', a.privilege_type, p_to, a.grantee);
  end loop;
end $$;
comment on function ai._copy_rights(text, text) is 'Grants on a table what is granted on another';

create function ai.alter_pipeline(name text, steps jsonb[] default null, source jsonb default null, options jsonb default null,
                                  mode text default 'shadow', force boolean default false) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
  target ai.pipelines := p;
  e record;
begin
  if (ai._shadow_of(p)).id is not null or p.shadow_of is not null then
    raise object_not_in_prerequisite_state using message = format('pipeline "%s" is being changed already', $1),
      hint = format('Look with ai.status(); to give the change up: SELECT ai.drop_pipeline(%L, keep_sink => false);', $1 || '__r' || p.revision + 1);
  elsif mode is null or mode not in ('shadow', 'in_place') then
    raise invalid_parameter_value using message = format('"%s" is not a mode', mode), hint = 'The modes are shadow and in_place.';
  end if;
  target.options := jsonb_strip_nulls(p.options || coalesce($4, '{}'));
  target.source := coalesce($3, p.source);
  target.steps := coalesce(to_jsonb($2), p.steps);
  perform ai._check_options(p.trigger, target.source, target.options);
  if $2 is null and $3 is null then
    perform ai._alter_options(p, target.options);
    return format('Pipeline "%s" has new options', $1);
  end if;
  if mode = 'shadow' then
    target.sink := jsonb_set(p.sink, '{table}', to_jsonb((p.sink ->> 'table') || '__r' || p.revision + 1));
  end if;
  target.plan := ai._plan(target.source, target.steps, target.sink);
  select * into e from ai._estimate(target);
  raise notice 'at most % tokens in % requests, cost %, hours at the limits of the model: %', e.tokens, e.requests, e.cost, coalesce(e.hours::text, 'no limits');
  if mode = 'shadow' then
    perform ai._alter_in_shadow(p, target);
    return format('Pipeline "%s" goes on while its new sink %s is filled, which then takes the place of the old one', $1, target.plan ->> 'sink');
  end if;
  perform ai._alter_in_place(p, target, force);
  return format('Pipeline "%s" was changed', $1);
end $$;
comment on function ai.alter_pipeline(text, jsonb[], jsonb, jsonb, text, boolean) is
  'Changes the steps, the source or the options of a pipeline. mode shadow: a second sink is filled beside the first and swapped with it, so that each query sees the vectors of one model; in_place: for what leaves vectors comparable';

-- The swap ---------------------------------------------------------------------------------------------------------

create function ai._move_usage(p_from int, p_to int) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into ai.usage as u (pipeline, day, model, requests, inputs, tokens, cost)
  select p_to, o.day, o.model, o.requests, o.inputs, o.tokens, o.cost from ai.usage o where o.pipeline = p_from
  on conflict (pipeline, day, model) do update set requests = u.requests + excluded.requests, inputs = u.inputs + excluded.inputs,
    tokens = u.tokens + excluded.tokens, cost = u.cost + excluded.cost;
end $$;
comment on function ai._move_usage(int, int) is 'Adds the usage of one pipeline to that of another';

-- The old sink is dropped, but for one that something else depends on, such as a view.
create function ai._rename_sinks(p_old ai.pipelines, p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  name constant text := p_old.sink ->> 'table';
begin
  execute format('alter table %s rename to %I', p_old.plan ->> 'sink', name || '__r' || p_old.revision);
  execute format('alter table %s rename to %I', p.plan ->> 'sink', name);
  begin
    execute format('drop table %I.%I', p.plan ->> 'schema', name || '__r' || p_old.revision);
  exception when dependent_objects_still_exist then null;
  end;
end $$;
comment on function ai._rename_sinks(ai.pipelines, ai.pipelines) is 'Puts the new sink in the place of the old one';

-- Locks the source first, as writers do, so that no trigger runs while the names of tables change. When a writer has it
-- the swap is tried later, so that nobody queues behind it.
create function ai._swap(p ai.pipelines) returns boolean language plpgsql
  set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
declare
  old constant ai.pipelines := (select o from ai.pipelines o where o.id = p.shadow_of and o.owner = ai._me());
  after ai.pipelines;
begin
  if old.options ? 'index' and not exists (select from pg_index i where i.indrelid = to_regclass(p.plan ->> 'sink') and not i.indisprimary) then
    perform ai._create_index(p, old.options -> 'index' ->> 'method', old.options -> 'index' ->> 'opclass');
  end if;
  perform ai._drop_triggers(old);
  perform ai._drop_tables(old);
  perform ai._rename_sinks(old, p);
  if ai._runs(old) then
    perform df.cancel(old.instance_id, 'the pipeline was changed');
  end if;
  perform ai._move_usage(old.id, p.id);
  update ai.pipelines set shadow_of = null where id = p.id;  -- or it would go with the old one
  update ai.pipelines set dropped = true where id = old.id;
  update ai.pipelines set name = old.name, sink = old.sink, paused = old.paused,
    options = p.options || jsonb_strip_nulls(jsonb_build_object('index', old.options -> 'index')),
    plan = p.plan || jsonb_build_object('sink', old.plan -> 'sink')
  where id = p.id returning * into after;
  if p.trigger = 'on_change' then
    perform ai._make_trigger_functions(after);
  end if;
  return true;
exception when lock_not_available or deadlock_detected then
  return false;
end $$;
comment on function ai._swap(ai.pipelines) is 'A pipeline that has caught up takes the place of the one that it was made for';
