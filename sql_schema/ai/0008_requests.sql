-- The middle of a pass: requests to a model, and what comes of their answers.

-- Each text that waits for this step goes into one request, however many chunks have it. A request has at most max_inputs
-- texts and max_request_tokens tokens, an answer that the daemon takes, and no more texts than a refused one was halved to.
create function ai._requests(p_id int, p_step int) returns setof int language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  call constant jsonb := p.plan -> 'calls' -> (p_step - 1);
  model constant ai.models := ai._model(call ->> 'model');
  most_inputs int := least(model.max_inputs, (call ->> 'batch_size')::int, 6000000 / (13 * coalesce((call ->> 'dimensions')::int, 1)));
  most_tokens constant int := greatest(model.max_request_tokens - model.max_input_tokens, 1);
begin
  if ai._is_held(p) then return; end if;
  if call ->> 'step' <> 'embed' then most_inputs := 1; end if;
  execute format($sql$
    with texts as (select distinct on (s.sha) s.doc_id, s.chunk_index, s.tokens, least(coalesce(s.batch_limit, $2), $2) as most
                   from %1$s s where s.step = $1 and s.due <= now() order by s.sha, s.batch_limit, s.doc_id, s.chunk_index),
    counted as (select t.*, row_number() over w - 1 as n, sum(t.tokens) over w as total from texts t
                window w as (partition by t.most order by t.doc_id, t.chunk_index)),
    numbered as (select c.*, dense_rank() over (order by c.most desc, c.n / c.most, c.total / $3) as r from counted c),
    placed as (select n.*, row_number() over (partition by n.r order by n.doc_id, n.chunk_index) - 1 as at from numbered n)
    update %1$s s set request = a.r, position = a.at
    from (select x.doc_id, x.chunk_index, q.r, q.at from %1$s x left join placed q using (doc_id, chunk_index)
          where x.step = $1 and (q.r is not null or x.request is not null)) a
    where s.doc_id = a.doc_id and s.chunk_index = a.chunk_index$sql$, ai._name(p, 'stage'))
    using p_step, most_inputs, most_tokens;
  return query execute format('select distinct s.request from %s s where s.step = $1 and s.request is not null order by 1', ai._name(p, 'stage'))
    using p_step;
end $$;
comment on function ai._requests(int, int) is 'Step of the workflow: the numbers of the requests of one model step';

-- A limit a minute as one time for each model: each request moves it on by its share, and begins no sooner than a fifth
-- of a minute before it.
create function ai._reserve(p_model ai.models, p_tokens numeric) returns numeric language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  burst constant interval := '12 seconds';
  after record;
begin
  if p_model.rpm is null and p_model.tpm is null then return 0; end if;
  update ai.models m set
    next_request_at = case when m.rpm is null then m.next_request_at
      else greatest(m.next_request_at, clock_timestamp()) + interval '1 minute' / m.rpm end,
    next_tokens_at = case when m.tpm is null then m.next_tokens_at
      else greatest(m.next_tokens_at, clock_timestamp()) + interval '1 minute' * (p_tokens / m.tpm)::float8 end
  where m.owner = p_model.owner and m.alias = p_model.alias
  returning m.next_request_at, m.next_tokens_at into after;
  return greatest(0, extract(epoch from greatest(after.next_request_at, after.next_tokens_at) - burst - clock_timestamp()));
end $$;
comment on function ai._reserve(ai.models, numeric) is 'How many seconds a request has to wait for the limits of its model';

create function ai._chat_body(p_call jsonb, p_model ai.models, p_input text) returns jsonb language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  if p_call ->> 'step' = 'generate' then
    return jsonb_build_object('model', p_model.model, 'max_tokens', p_call -> 'max_tokens', 'stream', false, 'messages',
      jsonb_build_array(jsonb_build_object('role', 'user', 'content', replace(p_call ->> 'prompt_template', '{{input}}', p_input))));
  end if;
  return jsonb_build_object('model', p_model.model, 'stream', false, 'response_format', '{"type": "json_object"}'::jsonb, 'messages',
    jsonb_build_array(
      jsonb_build_object('role', 'system', 'content', 'Answer with one JSON object that has exactly these fields, null where the text does not say: '
        || (p_call ->> 'fields')),
      jsonb_build_object('role', 'user', 'content', p_input)));
end $$;
comment on function ai._chat_body(jsonb, ai.models, text) is 'The body of a request to a chat model';

create function ai._body(p_call jsonb, p_model ai.models, p_inputs jsonb) returns jsonb language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when p_call ->> 'step' <> 'embed' then ai._chat_body(p_call, p_model, p_inputs ->> 0)
    when p_model.api = 'tei' then jsonb_build_object('inputs', p_inputs)
    when p_model.api = 'cohere' then jsonb_build_object('model', p_model.model, 'texts', p_inputs, 'input_type', 'search_document',
                                                        'embedding_types', '["float"]'::jsonb)
    else jsonb_build_object('model', p_model.model, 'input', p_inputs)
      || case when p_model.send_dimensions then jsonb_build_object('dimensions', p_call -> 'dimensions') else '{}' end end;
end $$;
comment on function ai._body(jsonb, ai.models, jsonb) is 'The body of a request to a model';

create function ai._pace(p_id int, p_step int, p_request int) returns numeric language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  tokens numeric;
begin
  if ai._is_held(p) then return 0; end if;
  execute format('select sum(s.tokens) from %s s where s.step = $1 and s.request = $2', ai._name(p, 'stage')) into tokens using p_step, p_request;
  return case when tokens is null then 0 else ai._reserve(ai._model(p.plan -> 'calls' -> (p_step - 1) ->> 'model'), tokens) end;
end $$;
comment on function ai._pace(int, int, int) is 'Step of the workflow: how many seconds to wait before a request is made';

-- Null: the request is not made now, because the pipeline was paused or stopped, or has reached a limit.
create function ai._request(p_id int, p_step int, p_request int) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  call constant jsonb := p.plan -> 'calls' -> (p_step - 1);
  inputs jsonb;
begin
  if ai._is_held(p) then return null; end if;
  execute format('select jsonb_agg(s.input order by s.position) from %s s where s.step = $1 and s.request = $2', ai._name(p, 'stage'))
    into inputs using p_step, p_request;
  return case when inputs is not null then ai._body(call, ai._model(call ->> 'model'), inputs) end;
end $$;
comment on function ai._request(int, int, int) is 'Step of the workflow: the body of a request';

-- Answers ----------------------------------------------------------------------------------------------------------

-- The vectors of an answer with their places in the request. Read as json, because that leaves numbers as they are written.
create function ai._vectors(p_api text, p_body json) returns table (at int, embedding real[]) language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  if p_api in ('openai', 'azure', 'voyage') then
    return query select coalesce((x.item ->> 'index')::int, x.n::int - 1), translate(x.item ->> 'embedding', '[]', '{}')::real[]
      from json_array_elements(p_body -> 'data') with ordinality x (item, n);
  else
    return query select x.n::int - 1, translate(x.item #>> '{}', '[]', '{}')::real[]
      from json_array_elements(case p_api when 'tei' then p_body when 'ollama' then p_body -> 'embeddings'
                                 else p_body #> '{embeddings,float}' end) with ordinality x (item, n);
  end if;
end $$;
comment on function ai._vectors(text, json) is 'The vectors of an answer';

create function ai._spend(p ai.pipelines, p_model ai.models, p_inputs bigint, p_tokens bigint) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  insert into ai.usage as u (pipeline, day, model, requests, inputs, tokens, cost)
  values (p.id, (now() at time zone 'UTC')::date, p_model.alias, 1, p_inputs, p_tokens, coalesce(p_model.price_per_mtok, 0) * p_tokens / 1000000)
  on conflict (pipeline, day, model) do update set requests = u.requests + 1, inputs = u.inputs + excluded.inputs,
    tokens = u.tokens + excluded.tokens, cost = u.cost + excluded.cost;
end $$;
comment on function ai._spend(ai.pipelines, ai.models, bigint, bigint) is 'Adds a request to the usage';

create function ai._stop(p_id int, p_reason text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update ai.pipelines set stopped = p_reason, idle = false where id = p_id and stopped is null;
  return 'stopped';
end $$;
comment on function ai._stop(int, text) is 'Step of the workflow: stops a pipeline until ai.resume';

-- Every chunk that has the text of one of the request goes on to the next step.
create function ai._store_vectors(p ai.pipelines, p_step int, p_request int, p_model ai.models, p_body json) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  call constant jsonb := p.plan -> 'calls' -> (p_step - 1);
  width constant int := (call ->> 'dimensions')::int;
  wrong int;
begin
  -- One statement, because reading an answer is most of the work.
  execute format($sql$
    with v as materialized (select * from ai._vectors($1, $2)),
    wrong as (select max(coalesce(cardinality(v.embedding), 0)) as n from v where cardinality(v.embedding) is distinct from $3),
    stored as (update %1$s s set embedding = v.embedding::%2$s, step = $5, request = null, input = case when $5 is null then null else s.input end
               from %1$s r join v on v.at = r.position
               where (select w.n from wrong w) is null and r.step = $4 and r.request = $6 and s.step = $4 and s.sha = r.sha)
    select w.n from wrong w$sql$, ai._name(p, 'stage'), p.plan ->> 'vector')
    into wrong using p_model.api, p_body, width, p_step, nullif(p_step + 1, jsonb_array_length(p.plan -> 'calls') + 1), p_request;
  if wrong is not null then
    return ai._stop(p.id, format('pipeline "%s": model "%s" answered with %s numbers, the sink has %s; set dimensions => %s or another model, then ai.resume(%L)',
                                 p.name, p_model.alias, wrong, width, wrong, p.name));
  end if;
  return ai._missing(p, p_step, p_request, 'the answer has no embedding for it');
end $$;
comment on function ai._store_vectors(ai.pipelines, int, int, ai.models, json) is 'Stores the vectors of an answer';

create function ai._store_chat(p ai.pipelines, p_step int, p_request int, p_model ai.models, p_body json) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  call constant jsonb := p.plan -> 'calls' -> (p_step - 1);
  said constant text := coalesce(p_body #>> '{choices,0,message,content}', p_body #>> '{message,content}');
  found_fields jsonb;
begin
  if call ->> 'step' = 'generate' then
    found_fields := jsonb_build_object('generated', said);
  else
    begin
      found_fields := (select jsonb_object_agg(f, coalesce(said::jsonb -> f, 'null')) from jsonb_object_keys(call -> 'fields') f);
    exception when invalid_text_representation or invalid_parameter_value or untranslatable_character then
      found_fields := null;
    end;
  end if;
  if said is null or found_fields is null then
    return ai._missing(p, p_step, p_request, 'the model''s answer is no JSON object: ' || left(coalesce(said, 'nothing'), 200));
  end if;
  execute format('update %1$s s set metadata = s.metadata || $1, step = $3, request = null, input = case when $3 is null then null else s.input end '
                 'from %1$s r where r.step = $2 and r.request = $4 and s.step = $2 and s.sha = r.sha', ai._name(p, 'stage'))
    using found_fields, p_step, nullif(p_step + 1, jsonb_array_length(p.plan -> 'calls') + 1), p_request;
  return 'stored';
end $$;
comment on function ai._store_chat(ai.pipelines, int, int, ai.models, json) is 'Stores the answer of a chat model';

create function ai._store(p_id int, p_step int, p_request int, p_status int, p_body text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  model constant ai.models := ai._model(p.plan -> 'calls' -> (p_step - 1) ->> 'model');
  body json;
  stored text;
  sent record;
  spent bigint;
begin
  execute format('select count(*) as inputs, sum(s.tokens) as tokens from %s s where s.step = $1 and s.request = $2', ai._name(p, 'stage'))
    into sent using p_step, p_request;
  if p_status in (400, 413, 422) then
    perform ai._spend(p, model, 0, 0);
    return ai._refused(p, p_step, p_request, format('%s: %s', p_status, left(p_body, 500)));
  elsif p_status not between 200 and 299 then
    return ai._stop(p_id, format('pipeline "%s": model "%s" answered with status %s: %s; put it right, then ai.resume(%L)',
                                 p.name, model.alias, p_status, left(p_body, 300), p.name));
  end if;
  begin
    body := p_body::json;
    stored := case when p.plan -> 'calls' -> (p_step - 1) ->> 'step' = 'embed' then ai._store_vectors(p, p_step, p_request, model, body)
              else ai._store_chat(p, p_step, p_request, model, body) end;
  exception when data_exception or statement_too_complex then
    perform ai._spend(p, model, sent.inputs, sent.tokens);  -- paid for, whatever it says
    return ai._put_back(p_id, p_step, p_request, 'answer', 'the answer could not be read: ' || sqlerrm);
  end;
  if p.problem is not null and stored = 'stored' then
    update ai.pipelines set problem = null, problem_since = null where id = p_id;
  end if;
  begin
    spent := case when json_typeof(body) = 'object' then coalesce(body #>> '{usage,total_tokens}', body #>> '{usage,prompt_tokens}',
                                                                  body ->> 'prompt_eval_count') end;
  exception when data_exception then
    spent := null;  -- an estimate is better than an answer that is paid for again
  end;
  perform ai._spend(p, model, sent.inputs, coalesce(spent, sent.tokens));
  return stored;
end $$;
comment on function ai._store(int, int, int, int, text) is 'Step of the workflow: what follows from an answer';

-- Failures ---------------------------------------------------------------------------------------------------------

-- The model has refused the request: one of its texts is at fault. So that it is found, what was sent is sent again in
-- requests of half the size. A text that is alone in its request is at fault itself.
create function ai._refused(p ai.pipelines, p_step int, p_request int, p_reason text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  size int;
begin
  execute format('select count(*) from %s s where s.step = $1 and s.request = $2', ai._name(p, 'stage')) into size using p_step, p_request;
  execute format('update %1$s s set batch_limit = $3, attempts = s.attempts + 1, error = $4, request = null, '
                 'due = now() + case when $3 = 1 and $5 = 1 then interval ''1 second'' * s.attempts else interval ''0'' end '
                 'from %1$s r where r.step = $1 and r.request = $2 and s.step = $1 and s.sha = r.sha', ai._name(p, 'stage'))
    using p_step, p_request, (size + 1) / 2, p_reason, size;
  if size = 1 then
    perform ai._set_aside(p, p_step);
  end if;
  return 'refused';
end $$;
comment on function ai._refused(ai.pipelines, int, int, text) is 'A request was refused: its texts are tried in smaller ones';

create function ai._missing(p ai.pipelines, p_step int, p_request int, p_reason text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  execute format('update %s s set attempts = s.attempts + 1, error = $3, request = null, batch_limit = 1 where s.step = $1 and s.request = $2',
                 ai._name(p, 'stage')) using p_step, p_request, p_reason;
  if found then
    perform ai._set_aside(p, p_step);
  end if;
  return 'stored';
end $$;
comment on function ai._missing(ai.pipelines, int, int, text) is 'What an answer did not have is asked for again';

-- Documents with a text that was refused alone for the last time are taken out, and the rest goes on.
create function ai._set_aside(p ai.pipelines, p_step int) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  stage constant text := ai._name(p, 'stage');
begin
  execute format($sql$
    with bad as (select distinct on (s.doc_id) s.doc_id, s.attempts, s.error from %1$s s
                 where s.step = $1 and s.batch_limit = 1 and s.request is null and s.attempts >= $2 order by s.doc_id, s.attempts desc),
    noted as (insert into ai.failures as f (pipeline, key, attempts, error) select $3, b.doc_id::text, b.attempts, b.error from bad b
              on conflict (pipeline, key) do update set attempts = excluded.attempts, error = excluded.error, failed_at = now(), over = false),
    unqueued as (delete from %2$s w using %1$s d, bad b where d.doc_id = b.doc_id and d.chunk_index = -1 and w.doc_id = b.doc_id
                 and w.change = d.change)
    delete from %1$s s using bad b where s.doc_id = b.doc_id$sql$, stage, ai._name(p, 'work'))
    using p_step, coalesce((p.options ->> 'max_attempts')::int, 3), p.id;
end $$;
comment on function ai._set_aside(ai.pipelines, int) is 'Moves documents that cannot be done to the failures';

-- The call failed. What would fail every time stops the pipeline; what may pass is tried again, later each time, and is
-- no fault of the documents.
create function ai._put_back(p_id int, p_step int, p_request int, p_code text, p_message text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own(p_id);
  model constant text := p.plan -> 'calls' -> (p_step - 1) ->> 'model';
begin
  if p_code = 'http_too_large' then
    return ai._refused(p, p_step, p_request, p_message);
  elsif p_code in ('http_tls', 'http_policy', 'http_secret', 'http_request', 'http_redirect') then
    return ai._stop(p_id, format('pipeline "%s": model "%s" cannot be called: %s; put it right, then ai.resume(%L)', p.name, model, p_message, p.name));
  end if;
  execute format('update %1$s s set puts = s.puts + 1, error = $3, request = null, '
                 'due = now() + least(interval ''5 minutes'', interval ''2 seconds'' * 2 ^ least(s.puts, 10)) '
                 'from %1$s r where r.step = $1 and r.request = $2 and s.step = $1 and s.sha = r.sha', ai._name(p, 'stage'))
    using p_step, p_request, p_message;
  update ai.pipelines set problem = left(p_message, 500), problem_since = coalesce(problem_since, now()) where id = p_id;
  return 'put back';
end $$;
comment on function ai._put_back(int, int, int, text, text) is 'Step of the workflow: a request could not be made';
