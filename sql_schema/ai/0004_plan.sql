-- What a pipeline will do, worked out and checked before anything is made: quoted names, types, and the steps that call a
-- model. The plan holds SQL (names, a filter); it only ever runs as the role that wrote it.

create function ai._column(p_table regclass, p_column text, p_what text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  found_type constant text := (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
    where a.attrelid = p_table and a.attname = p_column and a.attnum > 0 and not a.attisdropped);
begin
  if found_type is null then
    raise undefined_column using message = case when p_column is null then p_what || ' names no column'
      else format('column "%s" is not in "%s"; it has: %s', p_column, (select c.relname from pg_class c where c.oid = p_table),
        (select string_agg(a.attname, ', ' order by a.attnum) from pg_attribute a
         where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped)) end;
  end if;
  return found_type;
end $$;
comment on function ai._column(regclass, text, text) is 'The type of a column; an error that says what there is where it is missing';

-- The column that documents are known by.
create function ai._key_column(p_table regclass, p_name text, p_key text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  found_key text;
begin
  if p_key is null then
    select case when i.indnkeyatts = 1 then a.attname end into found_key
    from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = p_table and i.indisprimary;
    if found_key is null then
      raise invalid_table_definition using message = format('table "%s" has %s; name a unique column: %s', p_name,
        case when found then 'a primary key of several columns' else 'no primary key' end, 'ai.table_source(…, key => ''id'')');
    end if;
    return found_key;
  end if;
  perform ai._column(p_table, p_key, 'key');
  if not exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                 where i.indrelid = p_table and a.attname = p_key and i.indnkeyatts = 1 and i.indisunique and i.indpred is null
                   and i.indisvalid and a.attnotnull) then
    raise invalid_table_definition using message = format('column "%s" of "%s" is no key', p_key, p_name),
      hint = 'A key is NOT NULL and has a unique index of its own.';
  end if;
  return p_key;
end $$;
comment on function ai._key_column(regclass, text, text) is 'The key of a source';

create function ai._plan_source(p_source jsonb) returns jsonb language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  relation constant regclass := to_regclass(quote_ident(p_source ->> 'schema') || '.' || quote_ident(p_source ->> 'table'));
  key text;
begin
  if relation is null then
    raise undefined_table using message = format('table "%s" does not exist', p_source ->> 'table');
  elsif (select c.relkind not in ('r', 'p') from pg_class c where c.oid = relation) then
    raise wrong_object_type using message = format('"%s" is not a table', p_source ->> 'table'),
      hint = 'The source of a pipeline is a table, because changes are seen by triggers.';
  end if;
  key := ai._key_column(relation, p_source ->> 'table', p_source ->> 'key');
  if p_source ->> 'incremental_column' is not null then
    perform ai._column(relation, p_source ->> 'incremental_column', 'incremental_column');
  end if;
  if p_source ->> 'filter' is not null then  -- one condition of that table, or an error of PostgreSQL's
    execute format('select from %s d where (%s) limit 0', relation, p_source ->> 'filter');
  end if;
  return jsonb_strip_nulls(jsonb_build_object('source', relation::text, 'key', key, 'key_type', ai._column(relation, key, 'key'),
    'filter', p_source -> 'filter', 'incremental', p_source -> 'incremental_column'));
end $$;
comment on function ai._plan_source(jsonb) is 'The part of a plan that comes from the source';

-- "Title: $title, $chunk" as an expression of SQL over the columns of d, with the chunk in c.chunk_text.
create function ai._format_expression(p_format text, p_table regclass, out expression text, out columns text[])
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  part text[];
  pieces text[] := '{}';
begin
  columns := '{}';
  for part in select m from regexp_matches(p_format, '([^$]+)|\$([A-Za-z_][A-Za-z0-9_]*)|(\$)', 'g') m loop
    if part[2] = 'chunk' then
      pieces := pieces || text 'c.chunk_text';
    elsif part[2] is not null then
      perform ai._column(p_table, part[2], 'format');
      pieces := pieces || format('coalesce(d.%I::text, %L)', part[2], '');
      columns := columns || part[2];
    else
      pieces := pieces || quote_literal(coalesce(part[1], part[3]));
    end if;
  end loop;
  expression := array_to_string(pieces, ' || ');
end $$;
comment on function ai._format_expression(text, regclass) is 'A format of ai.embed as an expression, and the columns that it reads';

create function ai._model(p_alias text) returns ai.models language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_model ai.models := (select m from ai.models m where m.owner = ai._me() and m.alias = p_alias);
begin
  if found_model.alias is null then
    raise undefined_object using message = format('no model is registered as "%s"; register it: SELECT ai.register_model(%L, ''https://…'', …)',
                                                  p_alias, p_alias);
  end if;
  return found_model;
end $$;
comment on function ai._model(text) is 'A model of the caller''s; an error that says how to register it';

-- The step, its number, and what of it decides its answer.
create function ai._plan_model_step(p_step jsonb) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  model constant ai.models := ai._model(p_step ->> 'model');
  width constant int := coalesce((p_step ->> 'dimensions')::int, model.dimensions);
begin
  if p_step ->> 'step' = 'embed' and (width is null or width not between 1 and 16000) then
    raise invalid_parameter_value using message = format('the number of dimensions of model "%s" is not known', model.alias),
      hint = 'Write ai.embed(…, dimensions => 1536), or register the model with it.';
  elsif p_step ->> 'step' = 'extract' and (jsonb_typeof(p_step -> 'fields') <> 'object' or p_step -> 'fields' = '{}') then
    raise invalid_parameter_value using message = 'fields must be an object of names and what they mean',
      hint = 'For example {"language": "the language that the text is written in"}.';
  elsif p_step ->> 'step' = 'generate' and p_step ->> 'prompt_template' is null then
    raise invalid_parameter_value using message = 'ai.generate needs a prompt_template';
  elsif p_step ->> 'step' <> 'embed' and model.api not in ('openai', 'azure', 'ollama') then
    raise feature_not_supported using message = format('model "%s" has the api %s, which has no chat here', model.alias, model.api);
  end if;
  return p_step || jsonb_strip_nulls(jsonb_build_object('dimensions', width, 'url', model.url, 'name', model.model, 'api', model.api));
end $$;
comment on function ai._plan_model_step(jsonb) is 'A step that calls a model, with what is known of the model';

create function ai._plan_chunk(p_step jsonb) returns jsonb language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_step ->> 'method' not in ('recursive', 'markdown', 'fixed', 'none', 'sql') then
    raise invalid_parameter_value using message = format('"%s" is not a method of ai.chunk', p_step ->> 'method'),
      hint = 'The methods are recursive, markdown, fixed, none and sql.';
  elsif p_step ->> 'unit' not in ('characters', 'tokens') then
    raise invalid_parameter_value using message = format('"%s" is not a unit of ai.chunk', p_step ->> 'unit'),
      hint = 'The units are characters and tokens.';
  elsif p_step ->> 'method' = 'sql' and p_step ->> 'function_oid' is null then
    raise undefined_function using message = format('function %s(text) does not exist', coalesce(p_step ->> 'function', 'NULL')),
      hint = 'The method sql calls a function(text) that returns the chunks: ai.chunk(…, method => ''sql'', function => ''my_chunks'').';
  elsif (p_step ->> 'chunk_size')::int not between 16 and 1000000
        or (p_step ->> 'overlap')::int not between 0 and (p_step ->> 'chunk_size')::int / 2 then
    raise invalid_parameter_value using message = 'chunk_size must be from 16 to 1000000, and overlap from 0 to half of it';
  end if;
  return p_step;
end $$;
comment on function ai._plan_chunk(jsonb) is 'Checks the step ai.chunk';

-- What is chunked is the input of the first step, which must be a column; the later ones take its chunks.
create function ai._plan_steps(p_steps jsonb, p_table regclass) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  step jsonb;
  calls jsonb := '[]';
  cut jsonb;
  input text;
  of_format record;
  embeds jsonb;
begin
  if jsonb_typeof(p_steps) is distinct from 'array' or p_steps = '[]' then
    raise invalid_parameter_value using message = 'a pipeline has at least one step: ARRAY[ai.chunk(…), ai.embed(…)]';
  end if;
  for step in select s from jsonb_array_elements(p_steps) s loop
    case step ->> 'step'
      when 'chunk' then cut := coalesce(cut, ai._plan_chunk(step));
      when 'request_approval' then null;
      when 'embed', 'extract', 'generate' then calls := calls || ai._plan_model_step(step);
      else raise invalid_parameter_value using message = format('%s is not a step of a pipeline', left(step::text, 100));
    end case;
    input := coalesce(input, step ->> 'input');
  end loop;
  perform ai._column(p_table, input, 'the first step');
  embeds := (select c from jsonb_array_elements(calls) c where c ->> 'step' = 'embed' limit 1);
  if (select count(*) > 1 from jsonb_array_elements(calls) c where c ->> 'step' = 'embed') then
    raise feature_not_supported using message = 'a pipeline has one ai.embed; make another pipeline for another model';
  elsif calls = '[]' then
    raise invalid_parameter_value using message = 'no step of the pipeline calls a model';
  end if;
  select * into of_format from ai._format_expression(coalesce(embeds ->> 'format', '$chunk'), p_table);
  return jsonb_build_object('calls', calls, 'chunk', coalesce(cut, ai.chunk(input, method => 'none')), 'input', input,
    'format', of_format.expression, 'columns', to_jsonb(array(select distinct unnest(of_format.columns || input) order by 1)),
    'approval', (select s from jsonb_array_elements(p_steps) s where s ->> 'step' = 'request_approval' limit 1),
    -- A vector is reused only where these are the same.
    'print', md5((select string_agg((c - '{url,api,model,batch_size,input}'::text[])::text, ' ') from jsonb_array_elements(calls) c)));
end $$;
comment on function ai._plan_steps(jsonb, regclass) is 'The part of a plan that comes from the steps';

create function ai._vector_type(p_type text, p_dimensions int) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  wanted constant text := case when p_type = 'halfvec' then 'halfvec' else 'vector' end;
  schema constant text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    join pg_type t on t.typnamespace = n.oid and t.typname = wanted where e.extname = 'vector');
begin
  if p_type not in ('auto', 'vector', 'halfvec', 'real[]') then
    raise invalid_parameter_value using message = format('"%s" is not a type of embeddings', p_type),
      hint = 'The types are auto, vector, halfvec and real[].';
  elsif p_type = 'real[]' then
    return 'real[]';
  elsif schema is not null then
    return format('%I.%I(%s)', schema, wanted, p_dimensions);
  elsif p_type = 'auto' then
    raise notice 'the type vector is not installed; the sink uses real[] (CREATE EXTENSION vector, then ai.alter_pipeline, for an index)';
    return 'real[]';
  end if;
  raise undefined_object using message = format('the type %s is not installed', p_type),
    hint = 'CREATE EXTENSION vector, or use the type real[].';
end $$;
comment on function ai._vector_type(text, int) is 'The type of a column of embeddings';

create function ai._plan_sink(p_sink jsonb, p_dimensions int) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  names constant jsonb := '{"doc_id": "doc_id", "chunk_index": "chunk_index", "chunk_text": "chunk_text", "embedding": "embedding", "metadata": "metadata"}'
    || coalesce(p_sink -> 'columns', '{}');
  relation constant regclass := to_regclass(quote_ident(p_sink ->> 'schema') || '.' || quote_ident(p_sink ->> 'table'));
  kind text := null;
begin
  if p_sink ->> 'table' is null or p_sink ->> 'schema' is null then
    raise invalid_parameter_value using message = 'the sink names no table: ai.table_sink(''documents_chunks'')';
  elsif (select count(*) from jsonb_object_keys(names)) <> 5 then
    raise invalid_parameter_value using message = 'columns of a sink are doc_id, chunk_index, chunk_text, embedding and metadata';
  end if;
  if relation is not null and p_dimensions is not null then
    kind := ai._column(relation, names ->> 'embedding', 'the sink');
    if kind <> 'real[]' and substring(kind from '\((\d+)\)$')::int is distinct from p_dimensions then
      raise datatype_mismatch using message = format('the column "%s" of "%s" is %s, and the pipeline''s vectors have %s numbers',
        names ->> 'embedding', p_sink ->> 'table', kind, p_dimensions);
    end if;
  end if;
  return jsonb_build_object('sink', format('%I.%I', p_sink ->> 'schema', p_sink ->> 'table'), 'schema', p_sink -> 'schema',
    'names', names, 'dimensions', p_dimensions, 'vector',
    case when p_dimensions is not null then coalesce(kind, ai._vector_type(coalesce(p_sink ->> 'type', 'auto'), p_dimensions)) end);
end $$;
comment on function ai._plan_sink(jsonb, int) is 'The part of a plan that comes from the sink';

create function ai._plan(p_source jsonb, p_steps jsonb, p_sink jsonb) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  source constant jsonb := ai._plan_source(p_source);
  steps constant jsonb := ai._plan_steps(p_steps, (source ->> 'source')::regclass);
begin
  return source || steps || ai._plan_sink(p_sink, (select (c ->> 'dimensions')::int from jsonb_array_elements(steps -> 'calls') c
                                                   where c ->> 'step' = 'embed'));
end $$;
comment on function ai._plan(jsonb, jsonb, jsonb) is 'The plan of a pipeline';
