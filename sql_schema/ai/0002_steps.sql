-- Models, and the constructors that ai.create_pipeline takes: a source, steps and a sink are jsonb, checked when the
-- pipeline is made. Names of tables and functions are looked up here, in the caller's search_path: these bodies are parsed
-- when they are created, so the path decides nothing else.

create function ai._check_model(p_alias text, p_url text, p_secret text, p_api text, p_headers jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- The URL and the headers become a part of the workflow's text, where $name and {name} are references.
  if p_url is null or p_url !~ '^https?://[^[:space:]$''"\\{}]+$' then
    raise invalid_parameter_value using message = format('"%s" is not the URL of a model', p_url),
      hint = 'Write the whole URL that requests go to, for example https://api.openai.com/v1/embeddings.';
  elsif p_secret !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
    raise invalid_parameter_value using message = 'secret is the name of a secret, not the secret itself',
      hint = 'It is a name of letters, digits and _ that the daemon knows the API key by, for example OPENAI_API_KEY.';
  elsif p_api is null or p_api not in ('openai', 'azure', 'ollama', 'tei', 'cohere', 'voyage') then
    raise invalid_parameter_value using message = format('"%s" is not a known api', p_api),
      hint = 'The known ones are openai, azure, ollama, tei, cohere and voyage.';
  elsif p_headers is null or jsonb_typeof(p_headers) <> 'object'
        or exists (select from jsonb_each(p_headers) h where jsonb_typeof(h.value) <> 'string')
        or replace(p_headers::text, '{secret.', '') ~ '[$\\]' then
    raise invalid_parameter_value using message = 'headers must be a JSON object of strings without $ and \',
      hint = 'A secret is written as {secret.NAME}.';
  end if;
end $$;
comment on function ai._check_model(text, text, text, text, jsonb) is 'Refuses what is not a model';

create function ai.register_model(
  alias text, url text, model text, secret text default null, api text default 'openai', dimensions int default null,
  max_inputs int default 128, max_input_tokens int default 8191, max_request_tokens int default 300000,
  rpm int default null, tpm int default null, price_per_mtok numeric default null, headers jsonb default '{}',
  send_dimensions boolean default false) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform ai._check_model($1, $2, $4, $5, $13);
  if least($6, $7, $8, $9, $10, $11) < 1 or $7 is null or $8 is null or $9 is null or $12 < 0 then
    raise invalid_parameter_value using message = 'the limits of a model must be at least 1, and its price not negative';
  end if;
  insert into ai.models as m (alias, url, model, secret, api, dimensions, max_inputs, max_input_tokens, max_request_tokens,
                              rpm, tpm, price_per_mtok, headers, send_dimensions)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($14, false))
  on conflict (owner, alias) do update set
    url = excluded.url, model = excluded.model, secret = excluded.secret, api = excluded.api, dimensions = excluded.dimensions,
    max_inputs = excluded.max_inputs, max_input_tokens = excluded.max_input_tokens,
    max_request_tokens = excluded.max_request_tokens, rpm = excluded.rpm, tpm = excluded.tpm,
    price_per_mtok = excluded.price_per_mtok, headers = excluded.headers, send_dimensions = excluded.send_dimensions;
  return $1;
end $$;
comment on function ai.register_model(text, text, text, text, text, int, int, int, int, int, int, numeric, jsonb, boolean) is
  'Makes a model known to the caller''s pipelines under an alias, or changes it. url: where requests go; secret: the name of the API key, which only the daemon has; api: openai, azure, ollama, tei, cohere or voyage; rpm, tpm: requests and tokens a minute';

create function ai.table_source(table_name text, incremental_column text default null, schema_name text default null,
                                filter text default null, key text default null) returns jsonb language sql stable
  return jsonb_build_object('table', table_name, 'incremental_column', incremental_column, 'filter', filter, 'key', key,
    'schema', coalesce(schema_name, (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                     where c.oid = to_regclass(quote_ident(table_name)))));
comment on function ai.table_source(text, text, text, text, text) is
  'The documents of a pipeline: the rows of a table. filter: a condition in SQL; key: a unique column, by default the primary key; incremental_column: for the trigger manual, a column that only grows';

create function ai.chunk(input text default null, chunk_size int default 512, overlap int default 64,
                         method text default 'recursive', unit text default 'characters', function text default null,
                         input_column text default null) returns jsonb language sql stable
  return jsonb_build_object('step', 'chunk', 'input', coalesce(input, input_column), 'chunk_size', chunk_size,
    'overlap', overlap, 'method', method, 'unit', unit, 'function', function,
    'function_oid', coalesce(to_regprocedure(function || '(text)'), to_regprocedure(quote_ident(function) || '(text)'))::oid);
comment on function ai.chunk(text, int, int, text, text, text, text) is
  'Cuts a column into chunks. method: recursive (at paragraphs, lines, sentences, words), markdown (by section, with the headings above it), fixed, none, or sql, a function(text) that returns the chunks; unit: characters or tokens (4 bytes each)';

create function ai.embed(model text, input text default null, dimensions int default null, format text default '$chunk',
                         batch_size int default null, input_column text default null) returns jsonb language sql immutable
  return jsonb_build_object('step', 'embed', 'model', model, 'input', coalesce(input, input_column), 'dimensions', dimensions,
    'format', format, 'batch_size', batch_size);
comment on function ai.embed(text, text, int, text, int, text) is
  'Embeds each chunk. format: what is embedded, with $chunk and $column for columns of the source; the chunk itself is stored without it';

create function ai.extract(model text, input text, fields jsonb) returns jsonb language sql immutable
  return jsonb_build_object('step', 'extract', 'model', model, 'input', input, 'fields', fields);
comment on function ai.extract(text, text, jsonb) is
  'Asks a chat model for facts of each chunk, which are stored in its metadata. fields: an object of names and what they mean';

create function ai.generate(model text, input text, prompt_template text, max_tokens int default 1024) returns jsonb language sql immutable
  return jsonb_build_object('step', 'generate', 'model', model, 'input', input, 'prompt_template', prompt_template, 'max_tokens', max_tokens);
comment on function ai.generate(text, text, text, int) is
  'Asks a chat model for a text about each chunk, stored in its metadata as "generated". prompt_template: the question, with {{input}} for the chunk';

create function ai.request_approval(content text default null, timeout int default 3600) returns jsonb language sql immutable
  return jsonb_build_object('step', 'request_approval', 'content', content, 'timeout', timeout);
comment on function ai.request_approval(text, int) is
  'Publishes only what somebody approves: the workflow waits for the signal pipeline_NAME_approval with {"approved": true}';

create function ai.table_sink(table_name text, schema_name text default null, columns jsonb default '{}', type text default 'auto')
returns jsonb language sql stable
  return jsonb_build_object('table', table_name, 'columns', columns, 'type', type,
    'schema', coalesce(schema_name, (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                     where c.oid = to_regclass(quote_ident(table_name))), current_schema()));
comment on function ai.table_sink(text, text, jsonb, text) is
  'Where the chunks go: a table, which is made if it is not there. columns: other names for doc_id, chunk_index, chunk_text, embedding and metadata; type: vector, halfvec or real[], by default vector where pgvector is installed';
