-- The SQL door: the constructors and operators that build a workflow's graph inside Postgres,
-- and df._check, which refuses a bad graph when df.start is called instead of when the daemon reads it.
--
-- A step is text: a SQL statement, or one JSON object with a node_type, in the form and key order of dsl/graph/json.hpp.
-- Constructors splice their children's text in as it is, after checking that it is JSON, so that building is linear.
-- All of it is PL/pgSQL because a call costs microseconds there, while a SQL function that cannot be inlined is planned
-- again at every call. Nothing here reads a table; it runs as the caller, so names outside pg_catalog are qualified.
-- Functions that may enter an exception block, themselves or through df._node, are parallel unsafe: Postgres has no
-- subtransactions in parallel mode.
--
-- The schema of the operators is a placeholder, which the installer replaces with the quoted name ("public" by default).

-- ---- helpers -------------------------------------------------------------------------------------------------------

create function df._node_types() returns text[] language sql immutable parallel safe
return array['SQL', 'THEN', 'IF', 'JOIN', 'RACE', 'ANY', 'LOOP', 'BREAK', 'SLEEP', 'WAIT_SCHEDULE', 'SIGNAL', 'HTTP',
  'HTTP_MULTIPART', 'FOR_EACH', 'RETRY', 'TIMEOUT', 'CATCH', 'FAIL', 'LIMIT'];
comment on function df._node_types is 'The node types that the daemon knows';

create function df._leaf(kind text, query text) returns text language plpgsql immutable parallel safe as $$
begin return '{"node_type":"' || kind || '","query":' || pg_catalog.to_json(query)::text || '}'; end $$;
comment on function df._leaf is 'A node without children';

-- The JSON form of a step. The canonical prefix is believed to be meant as a node, so that broken JSON behind it is an
-- error; any other text that is not an object with a node_type is a SQL step.
create function df._node(step text) returns text language plpgsql immutable parallel unsafe as $$
declare
  trimmed text;
  kind text;
begin
  if step is null then
    raise exception 'a step must not be NULL' using errcode = 'null_value_not_allowed';
  elsif pg_catalog.starts_with(step, '{"node_type":"') then
    perform step::json;
    kind := pg_catalog.split_part(pg_catalog.substr(step, 15, 40), '"', 1);
  else
    trimmed := pg_catalog.ltrim(step, E' \t\r\n');
    if pg_catalog.starts_with(trimmed, '{') and pg_catalog.ltrim(pg_catalog.substr(trimmed, 2), E' \t\r\n') like '"%' then
      begin
        kind := trimmed::json ->> 'node_type';
      exception when invalid_text_representation or untranslatable_character then
        kind := null;
      end;
    end if;
    if kind is null then
      if pg_catalog.btrim(step, E' \t\r\n') = '' then
        raise exception 'a SQL step is exactly one statement; this one is empty' using errcode = 'invalid_parameter_value';
      end if;
      return df._leaf('SQL', step);
    end if;
  end if;
  if kind <> all (df._node_types()) then
    raise exception 'Unknown node_type ''%''', kind using errcode = 'invalid_parameter_value',
      hint = 'The node types are ' || pg_catalog.array_to_string(df._node_types(), ', ') || '.';
  end if;
  return step;
end $$;
comment on function df._node is 'The JSON form of a step: a SQL statement becomes a SQL node, a node stays as it is';

-- A node's keys in their order. json, not jsonb: the order says whether text can be appended at the end.
create function df._keys(node text) returns text[] language plpgsql immutable parallel safe as $$
begin return array(select pg_catalog.json_object_keys(node::json)); end $$;
comment on function df._keys is 'The keys of a node in the order in which they are written';

-- The node with its keys in canonical order and without empty ones; `name`, when given, becomes its result_name.
create function df._canonical(node text, name text default null) returns text language plpgsql immutable parallel safe as $$
begin
  return (
    select '{' || pg_catalog.string_agg(pg_catalog.to_json(e.key)::text || ':' || e.value, ',' order by pg_catalog.array_position(
      array['node_type', 'query', 'result_name', 'condition_node', 'left_node', 'right_node', 'extra_nodes'], e.key)) || '}'
    from (select key, value::text from pg_catalog.json_each(node::json) where key <> 'result_name' or name is null
          union all
          select 'result_name', pg_catalog.to_json(name)::text where name is not null) e
    where e.value <> 'null' and not (e.key = 'extra_nodes' and e.value ~ '^\[\s*\]$'));
end $$;
comment on function df._canonical is 'A node with its keys in canonical order, and named when a name is given';

-- A node over two or more children: THEN, JOIN, RACE, ANY. `what` names the function in the error.
create function df._group(kind text, what text, steps text[]) returns text language plpgsql immutable parallel unsafe as $$
declare
  nodes text[];
begin
  if coalesce(pg_catalog.cardinality(steps), 0) < 2 then
    raise exception '% needs two or more steps', what using errcode = 'invalid_parameter_value';
  end if;
  nodes := array(select df._node(s.step) from pg_catalog.unnest(steps) with ordinality s(step, n) order by s.n);
  return '{"node_type":"' || kind || '","left_node":' || nodes[1] || ',"right_node":' || nodes[2]
    || case when pg_catalog.cardinality(nodes) > 2
         then ',"extra_nodes":[' || pg_catalog.array_to_string(nodes[3:], ',') || ']' else '' end
    || '}';
end $$;
comment on function df._group is 'A node of two or more steps';

-- `node` with `tail` in place of its last bytes, which must be `ending`; NULL when they are not. By bytes, because
-- counting the characters of a long text costs as much as parsing it.
create function df._replace_end(node text, ending text, tail text) returns text language plpgsql immutable parallel safe as $$
declare
  encoding constant name := pg_catalog.getdatabaseencoding();
  bytes constant bytea := pg_catalog.convert_to(node, encoding);
  kept constant integer := pg_catalog.length(bytes) - pg_catalog.octet_length(ending);
begin
  if pg_catalog.substr(bytes, kept + 1) = pg_catalog.convert_to(ending, encoding) then
    return pg_catalog.convert_from(pg_catalog.substr(bytes, 1, kept), encoding) || tail;
  end if;
  return null;
end $$;
comment on function df._replace_end is 'Text with another ending; NULL when it does not end as said';

-- What ~> & | do: a left side that is an unnamed group of the same kind gets one more child, so that a chain is one node.
-- Knowing from the keys what the last value of the object is makes it safe to append to the text. A chain of n steps
-- reads its left side n times, so this path parses it no more than it must.
create function df._append(kind text, step text, next text) returns text language plpgsql immutable parallel unsafe as $$
declare
  prefix constant text := '{"node_type":"' || kind || '","left_node":{';
  node text := step;
  added constant text := df._node(next);
  longer text;
begin
  if not coalesce(pg_catalog.starts_with(node, prefix), false) then
    node := df._node(step);
    if node::json ->> 'node_type' = kind then
      node := df._canonical(node);
    end if;
  end if;
  if pg_catalog.starts_with(node, prefix) then
    longer := case df._keys(node)
      when array['node_type', 'left_node', 'right_node'] then
        df._replace_end(node, '}}', '},"extra_nodes":[' || added || ']}')
      when array['node_type', 'left_node', 'right_node', 'extra_nodes'] then
        df._replace_end(node, '}]}', '},' || added || ']}')
    end;
  end if;
  return coalesce(longer, '{"node_type":"' || kind || '","left_node":' || node || ',"right_node":' || added || '}');
end $$;
comment on function df._append is 'What the operators ~> & | do';

create function df._check_name(name text) returns void language plpgsql immutable parallel safe as $$
begin
  if name is null or name !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
    raise exception '% is not a valid identifier', pg_catalog.quote_nullable(name) using errcode = 'invalid_name',
      hint = 'A name is made of letters, digits and _, and does not begin with a digit.';
  end if;
end $$;
comment on function df._check_name is 'Refuses what is not an identifier';

-- A duration as the text of a number of seconds: `value` is the text of an argument of type `type`; a string may hold a
-- number or an interval. `what` names the argument in errors; with `above`, zero is refused too.
create function df._seconds(value text, type regtype, what text, above boolean default false) returns text
language plpgsql stable parallel safe as $$
declare
  seconds numeric;
begin
  if type in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'real'::regtype,
              'double precision'::regtype)
     or type = 'text'::regtype and value ~ '^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?\s*$' then
    seconds := value::numeric;
  elsif type in ('interval'::regtype, 'text'::regtype) then
    seconds := extract(epoch from value::interval);
  else
    raise exception '% must be a number of seconds or an interval, not %', what, type using errcode = 'datatype_mismatch';
  end if;
  if seconds < 0 or above and seconds = 0 then
    raise exception '% must be %, not %', what, case when above then 'more than 0' else 'at least 0' end, value
      using errcode = 'invalid_parameter_value';
  elsif seconds > 3155760000 then  -- NaN and infinity too, which sort above every number
    raise exception '% must be at most 100 years, not %', what, value using errcode = 'invalid_parameter_value';
  end if;
  return pg_catalog.trim_scale(pg_catalog.round(seconds, 6))::text;
end $$;
comment on function df._seconds is 'A duration, from a number, an interval or text, as text of a number of seconds';

-- JSON text without the white space between its tokens; the order of keys and the spelling of numbers stay.
create function df._compact(value text, expected text, what text) returns text language plpgsql immutable parallel safe as $$
begin
  if pg_catalog.json_typeof(value::json) <> expected then
    raise exception '% must be a JSON %', what, expected using errcode = 'invalid_parameter_value';
  end if;
  return pg_catalog.regexp_replace(value, '("(?:[^"\\]|\\.)*")|\s+', '\1', 'g');
end $$;
comment on function df._compact is 'JSON text without white space; refuses another type of JSON';

create function df._http_config(what text, url text, method text, payload text, headers text, timeout_seconds numeric,
  expect text)
returns text language plpgsql stable parallel safe as $$
declare
  statuses constant text := nullif(df._words(pg_catalog.lower(expect)), '');
begin
  if coalesce(url, '') = '' then
    raise exception '%: url must not be empty', what using errcode = 'invalid_parameter_value';
  elsif pg_catalog.upper(method) <> all (array['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) then
    raise exception '%: method must be GET, POST, PUT, DELETE or PATCH, not %', what, method
      using errcode = 'invalid_parameter_value';
  elsif statuses !~ df._statuses_pattern() then
    raise exception '%: expect must list HTTP statuses (404) and classes of them (2xx), not %', what, statuses
      using errcode = 'invalid_parameter_value';
  end if;
  return '{"url":' || pg_catalog.to_json(url)::text || ',"method":"' || coalesce(pg_catalog.upper(method), 'POST') || '"'
    || coalesce(payload, '') || coalesce(',"headers":' || df._compact(headers, 'object', what || ': headers'), '')
    || ',"timeout_seconds":'
    || df._seconds(coalesce(timeout_seconds, 30)::text, 'numeric'::regtype, what || ': timeout_seconds', true)
    || coalesce(',"expect":"' || statuses || '"', '') || '}';
end $$;
comment on function df._http_config is 'The configuration of an HTTP step';

-- `config` of an HTTP step with the statements before and after its call.
create function df._with_statements(config text, request text, "into" text, rows text, columns text) returns text
language plpgsql stable parallel safe as $$
declare
  longer constant text := pg_catalog.rtrim(config, '}') || coalesce(',"request":' || pg_catalog.to_json(request)::text, '')
    || coalesce(',"into":' || pg_catalog.to_json("into")::text, '') || coalesce(',"rows":' || pg_catalog.to_json(rows)::text, '')
    || coalesce(',"columns":' || pg_catalog.to_json(columns)::text, '') || '}';
  problem constant text := df._statements_problem(longer::jsonb);
begin
  if problem is not null then
    raise exception 'df.http: %', problem using errcode = 'invalid_parameter_value';
  end if;
  return longer;
end $$;
comment on function df._with_statements is 'The configuration of an HTTP step with its statements';

-- ---- steps ---------------------------------------------------------------------------------------------------------

create function df.sql(query text) returns text language plpgsql immutable parallel safe as $$
begin
  if coalesce(pg_catalog.btrim(query, E' \t\r\n'), '') = '' then
    raise exception 'a SQL step is exactly one statement; this one is empty' using errcode = 'invalid_parameter_value';
  end if;
  return df._leaf('SQL', query);
end $$;
comment on function df.sql is
  'A step that runs one SQL statement; a plain string is the same';

-- anycompatible: a literal without a type is taken as text, so numbers, intervals and strings all resolve.
create function df.sleep(seconds anycompatible) returns text language plpgsql stable parallel safe as $$
begin
  if seconds is null then
    raise exception 'df.sleep: seconds must not be NULL' using errcode = 'null_value_not_allowed';
  elsif pg_catalog.pg_typeof(seconds) = 'text'::regtype and seconds::text ~ '[${]' then
    return df._leaf('SLEEP', seconds::text);
  end if;
  return df._leaf('SLEEP', df._seconds(seconds::text, pg_catalog.pg_typeof(seconds), 'df.sleep: seconds'));
end $$;
comment on function df.sleep is
  'A timer that survives restarts: a number of seconds, or an interval';

create function df.wait_for_schedule(cron text, timezone text default 'UTC') returns text
language plpgsql stable parallel unsafe as $$
declare
  zone constant text := coalesce(timezone, 'UTC');
  problem constant text := df._schedule_problem(cron, zone);
begin
  if problem is not null then
    raise exception 'df.wait_for_schedule: %', problem using errcode = 'invalid_parameter_value';
  elsif zone = 'UTC' then
    return df._leaf('WAIT_SCHEDULE', cron);
  end if;
  return df._leaf('WAIT_SCHEDULE',
    '{"cron":' || pg_catalog.to_json(cron)::text || ',"timezone":' || pg_catalog.to_json(zone)::text || '}');
end $$;
comment on function df.wait_for_schedule is
  'Waits for the next match of a cron expression, in UTC or the time zone that is given';

create function df.wait_for_signal(name text, timeout_seconds anycompatible default null) returns text
language plpgsql stable parallel safe as $$
begin
  if pg_catalog.btrim(coalesce(name, ''), E' \t\r\n') = '' then
    raise exception 'df.wait_for_signal: name must not be empty' using errcode = 'invalid_parameter_value';
  end if;
  return df._leaf('SIGNAL', '{"signal_name":' || pg_catalog.to_json(name)::text
    || coalesce(',"timeout_seconds":' || df._seconds(timeout_seconds::text, pg_catalog.pg_typeof(timeout_seconds),
         'df.wait_for_signal: timeout_seconds'), '') || '}');
end $$;
comment on function df.wait_for_signal is
  'Waits for a signal of this name, without limit or for at most timeout_seconds. The result has signal_name, timed_out and data';

create function df.http(url text, method text default 'POST', body text default null, headers anycompatible default null,
  timeout_seconds numeric default 30, expect text default null, request text default null, "into" text default null,
  rows text default null, columns text default null) returns text language plpgsql stable parallel safe as $$
begin
  return df._leaf('HTTP', df._with_statements(df._http_config('df.http', url, method, ',"body":' || pg_catalog.to_json(body)::text,
    headers::text, timeout_seconds, expect), request, "into", rows, columns));
end $$;
comment on function df.http(text, text, text, anycompatible, numeric, text, text, text, text, text) is
  'One HTTP call: GET POST PUT DELETE PATCH. request: a statement that makes the body; into: one that takes the answer, as $response '
  'and, where rows and columns say which, as $rows';

-- A body of type jsonb, with a method and without. The order of the second's arguments keeps literals without a type,
-- which mean text, from being ambiguous.
create function df.http(url text, method text, body jsonb, headers anycompatible default null, timeout_seconds numeric default 30,
  expect text default null, "into" text default null, rows text default null, columns text default null) returns text
language plpgsql stable parallel safe as $$
begin return df.http(url, method, body::text, headers, timeout_seconds, expect, null, "into", rows, columns); end $$;
comment on function df.http(text, text, jsonb, anycompatible, numeric, text, text, text, text) is 'One HTTP call with a body of type jsonb';
create function df.http(url text, body jsonb, timeout_seconds numeric default 30, headers anycompatible default null)
returns text language plpgsql stable parallel safe as $$
begin return df.http(url, 'POST', body::text, headers, timeout_seconds); end $$;
comment on function df.http(text, jsonb, numeric, anycompatible) is 'One HTTP POST with a body of type jsonb';

-- parts has a default only because method before it has one.
create function df.http_multipart(url text, method text default 'POST', parts anycompatible default null,
  headers anycompatible default null, timeout_seconds numeric default 30, expect text default null) returns text
language plpgsql stable parallel safe as $$
declare
  problem constant text := df._parts_problem(parts::text::jsonb);
begin
  if problem is not null then
    raise exception 'df.http_multipart: %', problem using errcode = 'invalid_parameter_value';
  end if;
  return df._leaf('HTTP_MULTIPART', df._http_config('df.http_multipart', url, method,
    ',"parts":' || df._compact(parts::text, 'array', 'df.http_multipart: parts'), headers::text, timeout_seconds,
    expect));
end $$;
comment on function df.http_multipart is 'Form upload; a part is {name, data_b64[, filename, content_type]}';

create function df.break(value anycompatible default null) returns text language plpgsql stable parallel safe as $$
begin
  if pg_catalog.pg_typeof(value) = 'interval'::regtype then
    raise exception 'df.break: value must not be an interval, which JSON has no form for' using errcode = 'datatype_mismatch',
      hint = 'Write it as a string: df.break(''90 seconds'').';
  end if;
  return case when value is null then '{"node_type":"BREAK"}' else df._leaf('BREAK', value::text) end;
end $$;
comment on function df.break is 
  'Leaves the nearest loop; the value is the loop''s result';

create function df.fail(message text, code text default null) returns text language plpgsql immutable parallel safe as $$
declare
  config constant text := '{"message":' || pg_catalog.to_json(coalesce(message, ''))::text
    || coalesce(',"code":' || pg_catalog.to_json(nullif(code, 'P0001'))::text, '') || '}';
  problem constant text := df._fail_problem(config::jsonb);
begin
  if problem is not null then
    raise exception 'df.fail: %', problem using errcode = 'invalid_parameter_value';
  end if;
  return df._leaf('FAIL', config);
end $$;
comment on function df.fail is 'Fails the step, which df.catch can handle; code is a SQLSTATE or a name, P0001 by default';

-- ---- combinators ---------------------------------------------------------------------------------------------------

create function df.seq(variadic steps text[]) returns text language plpgsql immutable parallel unsafe as $$
begin return df._group('THEN', 'df.seq', steps); end $$;
comment on function df.seq is 'Steps one after another; the result is that of the last. At most 100 arguments; variadic array[…] takes more';

create function df.join(variadic branches text[]) returns text language plpgsql immutable parallel unsafe as $$
begin return df._group('JOIN', 'df.join', branches); end $$;
comment on function df.join is 'Branches in parallel, waits for all; the result is the array of results';

create function df.join3(a text, b text, c text) returns text language plpgsql immutable parallel unsafe as $$
begin return df._group('JOIN', 'df.join3', array[a, b, c]); end $$;
comment on function df.join3 is 'Three branches in parallel, waits for all';

create function df.race(variadic branches text[]) returns text language plpgsql immutable parallel unsafe as $$
begin return df._group('RACE', 'df.race', branches); end $$;
comment on function df.race is 'Branches in parallel; the first to finish decides';

create function df.any(variadic branches text[]) returns text language plpgsql immutable parallel unsafe as $$
begin return df._group('ANY', 'df.any', branches); end $$;
comment on function df.any is 'Branches in parallel; the first to succeed decides';

create function df.as(step text, name text) returns text language plpgsql immutable parallel unsafe as $$
begin
  perform df._check_name(name);
  return df._canonical(df._node(step), name);
end $$;
comment on function df.as is 'Names the result of a step';

create function df.if(cond text, "then" text, "else" text default null) returns text
language plpgsql immutable parallel unsafe as $$
begin
  return '{"node_type":"IF","condition_node":' || df._node(cond) || ',"left_node":' || df._node("then")
    || case when "else" is null then '' else ',"right_node":' || df._node("else") end || '}';
end $$;
comment on function df.if is
  'Runs the second step when the result of the first is true, else the third';

create function df.if_rows(name text, "then" text, "else" text default null) returns text
language plpgsql immutable parallel unsafe as $$
begin
  perform df._check_name(name);
  return '{"node_type":"IF","query":' || pg_catalog.to_json('{"if_rows":"' || name || '"}')::text || ',"left_node":'
    || df._node("then") || case when "else" is null then '' else ',"right_node":' || df._node("else") end || '}';
end $$;
comment on function df.if_rows is
  'Runs one step when a named result has rows, else another';

create function df.loop(body text, condition text default null) returns text language plpgsql immutable parallel unsafe as $$
begin
  return '{"node_type":"LOOP"' || case when condition is null then '' else ',"condition_node":' || df._node(condition) end
    || ',"left_node":' || df._node(body) || '}';
end $$;
comment on function df.loop is
  'Repeats a step: without end, or while the condition, which runs after it, is true';

create function df.for_each(rows text, body text, max_parallel bigint default 10, name text default 'item') returns text
language plpgsql immutable parallel unsafe as $$
declare
  item constant text := coalesce(name, 'item');
begin
  perform df._check_name(item);
  if max_parallel not between 1 and 10000 then
    raise exception 'df.for_each: max_parallel must be between 1 and 10000, not %', max_parallel using errcode = 'invalid_parameter_value';
  end if;
  return '{"node_type":"FOR_EACH","query":'
    || pg_catalog.to_json('{"max_parallel":' || coalesce(max_parallel, 10) || ',"name":"' || item || '"}')::text
    || ',"left_node":' || df._node(rows) || ',"right_node":' || df._node(body) || '}';
end $$;
comment on function df.for_each is
  'Runs body once for each row of rows, at most max_parallel of them at once; in body the row is $item, or what the argument item says. The result is the array of the results, in the order of the rows';

-- NULL for delay and max_delay means the defaults 1 and 300: their type is that of the argument that is given.
create function df.retry(step text, max_attempts bigint, delay anycompatible default null, backoff numeric default 2,
  max_delay anycompatible default null, "on" text default null) returns text language plpgsql stable parallel unsafe as $$
declare
  codes constant text := nullif(df._words(pg_catalog.upper("on")), '');
  config text;
begin
  if max_attempts is null or max_attempts not between 1 and 1000000 then
    raise exception 'df.retry: max_attempts must be between 1 and 1000000, not %', max_attempts using errcode = 'invalid_parameter_value';
  elsif backoff not between 1 and 1000 then
    raise exception 'df.retry: backoff must be between 1 and 1000, not %', backoff using errcode = 'invalid_parameter_value';
  elsif codes !~ df._codes_pattern() then
    raise exception 'df.retry: "on" must list SQLSTATEs, their classes or HTTP codes, separated by spaces, not %', codes
      using errcode = 'invalid_parameter_value', hint = 'For example ''40001 53 503''.';
  end if;
  config := '{"max_attempts":' || max_attempts
    || ',"delay":' || coalesce(df._seconds(delay::text, pg_catalog.pg_typeof(delay), 'df.retry: delay'), '1')
    || ',"backoff":' || pg_catalog.trim_scale(coalesce(backoff, 2))
    || ',"max_delay":' || coalesce(df._seconds(max_delay::text, pg_catalog.pg_typeof(max_delay), 'df.retry: max_delay'), '300')
    || coalesce(',"on":"' || codes || '"', '') || '}';
  return '{"node_type":"RETRY","query":' || pg_catalog.to_json(config)::text || ',"left_node":' || df._node(step) || '}';
end $$;
comment on function df.retry is
  'How often, and after which pauses, a step that fails is tried again. "on" limits that to some failures: SQLSTATEs, their classes or HTTP codes, separated by spaces';

create function df.timeout(step text, seconds anycompatible) returns text language plpgsql stable parallel unsafe as $$
begin
  if seconds is null then
    raise exception 'df.timeout: seconds must not be NULL' using errcode = 'null_value_not_allowed';
  end if;
  return '{"node_type":"TIMEOUT","query":' || pg_catalog.to_json('{"seconds":'
      || df._seconds(seconds::text, pg_catalog.pg_typeof(seconds), 'df.timeout: seconds', true) || '}')::text
    || ',"left_node":' || df._node(step) || '}';
end $$;
comment on function df.timeout is
  'Fails a step that takes longer than that, and stops it';

create function df.catch(step text, handler text) returns text language plpgsql immutable parallel unsafe as $$
begin return '{"node_type":"CATCH","left_node":' || df._node(step) || ',"right_node":' || df._node(handler) || '}'; end $$;
comment on function df.catch is
  'Runs handler when step fails; in handler the error is $error';

create function df.limit(step text, name text, units anycompatible default 1) returns text language plpgsql immutable parallel unsafe as $$
declare
  amount text := coalesce(units::text, '1');
  problem text;
begin
  if amount !~ '[${]' then
    amount := df._units(amount);
  end if;
  problem := df._limit_problem(pg_catalog.jsonb_build_object('name', name, 'units', amount));
  if problem is not null then
    raise exception 'df.limit: %', problem using errcode = 'invalid_parameter_value';
  end if;
  return '{"node_type":"LIMIT","query":'
    || pg_catalog.to_json('{"name":' || pg_catalog.to_json(name) || ',"units":' || pg_catalog.to_json(amount) || '}')::text
    || ',"left_node":' || df._node(step) || '}';
end $$;
comment on function df.limit is
  'Takes units of a limit, set with df.set_limit, before step begins and before it is tried again; waits until they are there. units is a number, or a reference such as ''$q.tokens''';

-- ---- operators -----------------------------------------------------------------------------------------------------
-- A user-defined operator cannot set its precedence: all bind alike, from the left; the prefix form binds tighter.

create function df._op_seq(step text, next text) returns text language plpgsql immutable parallel unsafe as $$
begin return df._append('THEN', step, next); end $$;
comment on function df._op_seq is 'Operator ~>';

create function df._op_join(branch text, other text) returns text language plpgsql immutable parallel unsafe as $$
begin return df._append('JOIN', branch, other); end $$;
comment on function df._op_join is 'Operator &';

create function df._op_race(branch text, other text) returns text language plpgsql immutable parallel unsafe as $$
begin return df._append('RACE', branch, other); end $$;
comment on function df._op_race is 'Operator |';

create function df._op_then(cond text, "then" text) returns text language plpgsql immutable parallel unsafe as $$
begin return df.if(cond, "then"); end $$;
comment on function df._op_then is 'Operator ?>';

create function df._op_else(conditional text, "else" text) returns text language plpgsql immutable parallel unsafe as $$
declare
  node constant text := df._canonical(df._node(conditional));
  keys constant text[] := df._keys(node);
begin
  if not pg_catalog.starts_with(node, '{"node_type":"IF"') or 'right_node' = any (keys) or not 'left_node' = any (keys) then
    raise exception '!> needs an IF without an else on its left, found %', node::json ->> 'node_type'
      using errcode = 'invalid_parameter_value',
        hint = 'Operators bind alike, from the left: put a then-branch of several steps in parentheses, '
               'as in cond ?> (a ~> b) !> c.';
  end if;
  return pg_catalog.left(node, -1) || ',"right_node":' || df._node("else") || '}';
end $$;
comment on function df._op_else is 'Operator !>';

create function df._op_loop(body text) returns text language plpgsql immutable parallel unsafe as $$
begin return df.loop(body); end $$;
comment on function df._op_loop is 'Operator @>';

create operator @operator_schema@.~> (leftarg = text, rightarg = text, function = df._op_seq);
create operator @operator_schema@.|=> (leftarg = text, rightarg = text, function = df.as);
create operator @operator_schema@.& (leftarg = text, rightarg = text, function = df._op_join);
create operator @operator_schema@.| (leftarg = text, rightarg = text, function = df._op_race);
create operator @operator_schema@.?> (leftarg = text, rightarg = text, function = df._op_then);
create operator @operator_schema@.!> (leftarg = text, rightarg = text, function = df._op_else);
create operator @operator_schema@.@> (rightarg = text, function = df._op_loop);
comment on operator @operator_schema@.~> (text, text) is 'a ~> b: a, then b';
comment on operator @operator_schema@.|=> (text, text) is 'a |=> ''name'': names the result of a';
comment on operator @operator_schema@.& (text, text) is 'a & b: both in parallel, waits for all';
comment on operator @operator_schema@.| (text, text) is 'a | b: both in parallel, the first to finish decides';
comment on operator @operator_schema@.?> (text, text) is 'c ?> t: t when c is true';
comment on operator @operator_schema@.!> (text, text) is 'c ?> t !> e: otherwise e';
comment on operator @operator_schema@.@> (none, text) is '@> body: repeats for ever';

-- Nothing is for PUBLIC; df.grant_usage gives clients what they need.
-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_node_types'), ('_leaf'), ('_node'), ('_keys'), ('_canonical'), ('_group'), ('_replace_end'), ('_append'),
  ('_check_name'), ('_seconds'), ('_compact'), ('_http_config'), ('_with_statements'), ('sql'), ('sleep'), ('wait_for_schedule'),
  ('wait_for_signal'), ('break'), ('fail'), ('seq'), ('join'), ('join3'), ('race'), ('any'), ('as'), ('if'), ('if_rows'),
  ('loop'), ('for_each'), ('retry'), ('timeout'), ('catch'), ('limit'), ('_op_seq'), ('_op_join'), ('_op_race'),
  ('_op_then'), ('_op_else'), ('_op_loop');
insert into df._client_routines (name, http) values ('http', true), ('http_multipart', true);

revoke execute on all functions in schema df from public;
