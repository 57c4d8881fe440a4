-- The tables of one pipeline, and the triggers by which it learns of changes. A change is one row of its queue, however
-- often the document changes. Writers insert, never wait for the pipeline but during the publication of the same
-- document, and never fail because of it.

create function ai._name(p ai.pipelines, p_part text) returns text language sql immutable
  return format('%I.%I', p.plan ->> 'schema', 'ai_' || p.id || '_' || p_part);
comment on function ai._name(ai.pipelines, text) is 'The quoted name of a table or function of a pipeline';

create function ai._make_tables(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  vector constant text := coalesce(', embedding ' || nullif(p.plan ->> 'vector', ''), '');
begin
  execute format('create sequence %s', ai._name(p, 'changes'));
  execute format('create table %s (doc_id %s primary key, change bigint not null, due timestamptz not null default now()) with (fillfactor = 70)',
                 ai._name(p, 'work'), p.plan ->> 'key_type');
  execute format('create index on %s (due)', ai._name(p, 'work'));
  -- The row with the chunk_index -1 is the document itself. step: the next call to a model; null: nothing is left to do.
  execute format('create table %s (doc_id %s, chunk_index int, change bigint not null, taken bigint not null, chunk_text text, '
                 'input text, sha bytea, tokens int, step int, request int, position int, batch_limit int, '
                 'due timestamptz not null default now(), attempts int not null default 0, puts int not null default 0, error text, '
                 'metadata jsonb not null default %L%s, primary key (doc_id, chunk_index))',
                 ai._name(p, 'stage'), p.plan ->> 'key_type', '{}', vector);
  if vector <> '' then  -- numbers do not become smaller by compression, which costs more than all else
    execute format('alter table %s alter embedding set storage external', ai._name(p, 'stage'));
  end if;
  perform ai._make_sink(p, p.plan ->> 'sink');
end $$;
comment on function ai._make_tables(ai.pipelines) is 'Makes the tables of a pipeline';

-- Who owns a table runs code with the rights of those who write to it, or whose triggers it has: by triggers, casts,
-- defaults and policies. So a pipeline writes only to a table of its creator's, and has triggers only on one.
create function ai._require_own(p_table text, p_what text) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_owner text;
  is_mine boolean;
begin
  select pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE') and c.relkind in ('r', 'p') into found_owner, is_mine
  from pg_class c where c.oid = to_regclass(p_table);
  if is_mine is not true then
    raise insufficient_privilege using
      message = format('the %s %s is not a table of %I, as which the pipeline runs, but of %I', p_what, p_table, current_user, found_owner),
      hint = format('Its owner could run code with your rights. Take another table, or make it yours: ALTER TABLE %s OWNER TO %I.', p_table, current_user);
  end if;
end $$;
comment on function ai._require_own(text, text) is 'Refuses a table that belongs to another role';

create function ai._make_sink(p ai.pipelines, p_sink text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  names constant jsonb := p.plan -> 'names';
  kind constant text := p.plan ->> 'vector';
  vector text := '';
begin
  if to_regclass(p_sink) is not null then
    perform ai._require_own(p_sink, 'sink');
    return;
  end if;
  if kind is not null then
    vector := format(', %I %s', names ->> 'embedding', kind)
      || case when kind = 'real[]' then format(' check (cardinality(%I) = %s)', names ->> 'embedding', p.plan ->> 'dimensions') else '' end;
  end if;
  execute format('create table %s (%I %s, %I int, %I text not null%s, %I jsonb not null default %L, primary key (%2$I, %4$I))',
                 p_sink, names ->> 'doc_id', p.plan ->> 'key_type', names ->> 'chunk_index', names ->> 'chunk_text', vector,
                 names ->> 'metadata', '{}');
  if kind is not null then
    execute format('alter table %s alter %I set storage external', p_sink, names ->> 'embedding');
  end if;
end $$;
comment on function ai._make_sink(ai.pipelines, text) is 'Makes the table of a sink if it is not there';

-- Nothing in here is a caller's text but names, which are quoted. One look a transaction is enough: a pipeline that becomes
-- idle later looks again until the transactions that are older have ended. An error of the doorbell is nobody's business
-- but the pipeline's, which also looks by itself once a minute.
create function ai._ring_source(p ai.pipelines) returns text language sql immutable
  return format($body$
  if pg_catalog.current_setting('durabled_ai.looked_%1$s', true) is distinct from pg_catalog.pg_current_xact_id()::pg_catalog.text then
    perform pg_catalog.set_config('durabled_ai.looked_%1$s', pg_catalog.pg_current_xact_id()::pg_catalog.text, true);
    begin
      perform df.signal(p.instance_id, 'changed') from ai.pipelines p where p.id = %1$s and p.idle;
    exception when others then null;
    end;
  end if;$body$, p.id);
comment on function ai._ring_source(ai.pipelines) is 'The block of a trigger that wakes the pipeline';

create function ai._make_trigger_function(p ai.pipelines, p_part text, p_body text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  execute format('create or replace function %s() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as %L',
                 ai._name(p, p_part), 'begin' || p_body || ai._ring_source(p) || E'\n  return null;\nend');
  execute format('revoke all on function %s() from public', ai._name(p, p_part));
end $$;
comment on function ai._make_trigger_function(ai.pipelines, text, text) is 'Makes a trigger function of a pipeline';

-- Takes a document out of the stage first: a publication that has locked it is waited for there, and what it published is
-- then seen. The row in the queue is for a pass that has read the document before its deletion was committed.
create function ai._gone_source(p ai.pipelines, p_keys text) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := quote_ident(p.plan ->> 'key');
begin
  return format($body$
  delete from %1$s s using (%4$s) x where s.doc_id = x.%2$s;
  delete from %3$s s using (%4$s) x where s.%5$I = x.%2$s;
  insert into %6$s as w (doc_id, change) select x.%2$s, pg_catalog.nextval(%7$L::regclass) from (%4$s) x
  on conflict (doc_id) do update set change = excluded.change, due = excluded.due;$body$,
    ai._name(p, 'stage'), key, p.plan ->> 'sink', p_keys, p.plan -> 'names' ->> 'doc_id', ai._name(p, 'work'), ai._name(p, 'changes'));
end $$;
comment on function ai._gone_source(ai.pipelines, text) is 'What a trigger does when documents are deleted';

create function ai._make_trigger_functions(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := quote_ident(p.plan ->> 'key');
  upsert constant text := format(E'\n  insert into %s as w (doc_id, change) %%s\n  on conflict (doc_id) do update set change = excluded.change, due = excluded.due;',
                                 ai._name(p, 'work'));
  next_change constant text := format('pg_catalog.nextval(%L::regclass)', ai._name(p, 'changes'));
begin
  perform ai._make_trigger_function(p, 'inserted', format(upsert, format('select x.%s, %s from new_rows x', key, next_change)));
  perform ai._make_trigger_function(p, 'updated',
    format(E'\n  if old.%1$s is distinct from new.%1$s then%2$s\n  end if;', key, ai._gone_source(p, 'select old.*'))
    || format(upsert, format('values (new.%s, %s)', key, next_change)));
  perform ai._make_trigger_function(p, 'deleted', ai._gone_source(p, 'select o.* from old_rows o'));
  perform ai._make_trigger_function(p, 'truncated', format($body$
  delete from %s;
  delete from %s;
  delete from %s;$body$, ai._name(p, 'stage'), ai._name(p, 'work'), p.plan ->> 'sink'));
end $$;
comment on function ai._make_trigger_functions(ai.pipelines) is 'Makes the trigger functions of a pipeline';

-- An UPDATE that changes no column that is used costs the evaluation of a condition.
create function ai._make_triggers(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  source constant text := p.plan ->> 'source';
  used constant jsonb := (p.plan -> 'columns') || to_jsonb(p.plan ->> 'key');
  condition text := 'old is distinct from new';
  part text;
begin
  perform ai._require_own(source, 'source');
  perform ai._make_trigger_functions(p);
  if p.plan ->> 'filter' is null then
    condition := format('(%s) is distinct from (%s)',
      (select string_agg(format('old.%I', c), ', ') from jsonb_array_elements_text(used) c),
      (select string_agg(format('new.%I', c), ', ') from jsonb_array_elements_text(used) c));
  end if;
  execute format('create trigger %I after insert on %s referencing new table as new_rows for each statement execute function %s()',
                 'ai_' || p.id || '_inserted', source, ai._name(p, 'inserted'));
  execute format('create trigger %I after update on %s for each row when (%s) execute function %s()',
                 'ai_' || p.id || '_updated', source, condition, ai._name(p, 'updated'));
  execute format('create trigger %I after delete on %s referencing old table as old_rows for each statement execute function %s()',
                 'ai_' || p.id || '_deleted', source, ai._name(p, 'deleted'));
  execute format('create trigger %I after truncate on %s for each statement execute function %s()',
                 'ai_' || p.id || '_truncated', source, ai._name(p, 'truncated'));
  foreach part in array array['inserted', 'updated', 'deleted', 'truncated'] loop
    exit when (p.options ->> 'always')::boolean is not true;
    execute format('alter table %s enable always trigger %I', source, 'ai_' || p.id || '_' || part);
  end loop;
end $$;
comment on function ai._make_triggers(ai.pipelines) is 'Makes the triggers of a pipeline';

create function ai._drop_triggers(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  part text;
begin
  foreach part in array array['inserted', 'updated', 'deleted', 'truncated'] loop
    if p.trigger = 'on_change' and to_regclass(p.plan ->> 'source') is not null then
      execute format('drop trigger if exists %I on %s', 'ai_' || p.id || '_' || part, p.plan ->> 'source');
    end if;
    execute format('drop function if exists %s()', ai._name(p, part));
  end loop;
end $$;
comment on function ai._drop_triggers(ai.pipelines) is 'Drops the triggers of a pipeline and their functions';

create function ai._drop_tables(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('drop table if exists %s, %s', ai._name(p, 'stage'), ai._name(p, 'work'));
  execute format('drop sequence if exists %s', ai._name(p, 'changes'));
end $$;
comment on function ai._drop_tables(ai.pipelines) is 'Drops the tables of a pipeline, but for its sink';
