-- The end of a pass: documents whose chunks are all done replace what the sink had of them, in one commit.

create function ai._replace_in_sink(p ai.pipelines, p_keys text) returns bigint language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  names constant jsonb := p.plan -> 'names';
  stage constant text := ai._name(p, 'stage');
  type constant text := (p.plan ->> 'key_type') || '[]';
  chunks bigint;
begin
  execute format('delete from %s k where k.%I = any ($1::%s)', p.plan ->> 'sink', names ->> 'doc_id', type) using p_keys;
  execute format('insert into %s (%I, %I, %I, %I%s) select s.doc_id, s.chunk_index, s.chunk_text, '
                 's.metadata || jsonb_build_object(''sha'', encode(s.sha, ''hex''), ''model'', $2::text, ''revision'', $3::int)%s '
                 'from %s s where s.doc_id = any ($1::%s) and s.chunk_index >= 0',
                 p.plan ->> 'sink', names ->> 'doc_id', names ->> 'chunk_index', names ->> 'chunk_text', names ->> 'metadata',
                 case when p.plan ->> 'vector' is null then '' else format(', %I', names ->> 'embedding') end,
                 case when p.plan ->> 'vector' is null then '' else ', s.embedding' end, stage, type)
    using p_keys, p.plan -> 'calls' -> 0 ->> 'model', p.revision;
  get diagnostics chunks = row_count;
  return chunks;
end $$;
comment on function ai._replace_in_sink(ai.pipelines, text) is 'Replaces what the sink has of documents with what the stage has; returns how many chunks';

-- At the end of a run that has read the whole source: what the sink has of documents that are gone.
create function ai._sweep(p ai.pipelines) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if p.full_pass then
    execute format('delete from %s k where not exists (select from %s d where d.%I = k.%I and (%s))', p.plan ->> 'sink', p.plan ->> 'source',
                   p.plan ->> 'key', p.plan -> 'names' ->> 'doc_id', coalesce(p.plan ->> 'filter', 'true'));
  end if;
  update ai.pipelines set full_pass = false, seen = coalesce(p.seen_next, p.seen), seen_next = null where id = p.id;
end $$;
comment on function ai._sweep(ai.pipelines) is 'Removes what is gone, and remembers what was seen';

create function ai._publish(p_id int) returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  stage constant text := ai._name(p, 'stage');
  type constant text := (p.plan ->> 'key_type') || '[]';
  keys text;
  documents bigint;
  chunks bigint;
begin
  execute format('with %s select array_agg(r.doc_id)::text, count(*) from ready r', ai._ready_sql(p)) into keys, documents;
  if documents > 0 then
    perform ai._require_own(p.plan ->> 'sink', 'sink');
    chunks := ai._replace_in_sink(p, keys);
    update ai.pipelines set work_chunks = work_chunks + chunks, work_documents = work_documents + documents, work_last = clock_timestamp() where id = p_id;
    execute format('delete from %s w using %s d where d.doc_id = any ($1::%s) and d.chunk_index = -1 and w.doc_id = d.doc_id and w.change = d.change',
                   ai._name(p, 'work'), stage, type) using keys;
    execute format('delete from %s s where s.doc_id = any ($1::%s)', stage, type) using keys;
    execute format('update ai.failures f set over = true where f.pipeline = $2 and f.key = any ($1::%s::text[])', type) using keys, p_id;
  end if;
  if ai._is_held(p) then
    return p.trigger = 'manual' and not p.paused and p.stopped is null;  -- waits for the next day
  elsif p.cursor_done and (p.full_pass or p.trigger <> 'on_change') and not ai._has_work(p) then
    perform ai._sweep(p);
    return p.trigger <> 'on_change' and p.shadow_of is not null and not ai._swap(p);
  end if;
  return p.trigger <> 'on_change' or (select w.due from ai._work_due(p) w);
end $$;
comment on function ai._publish(int) is 'Step of the workflow: publishes what is done; whether the pass goes on';
