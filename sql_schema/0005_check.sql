-- The checks of a graph (SURFACE, Functions): df.start calls df._check so that a bad graph is refused where it was written.
-- The daemon checks again, and more: cron expressions and statements are judged here only as far as it is cheap.
--
-- Functions that end in _problem return what is wrong, or NULL.

create function df._try_jsonb(value text) returns jsonb language plpgsql immutable parallel unsafe as $$
begin
  return value::jsonb;
exception when data_exception then
  return null;
end $$;
comment on function df._try_jsonb is 'Text as JSON; NULL when it is not';

create function df._codes(codes text) returns text language plpgsql immutable parallel safe as $$
begin
  return pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.upper(codes), '[\s,]+', ' ', 'g'));
end $$;
comment on function df._codes is 'Codes in upper case, separated by single spaces';

create function df._codes_pattern() returns text language sql immutable parallel safe
return '^(([0-9A-Z]{5}|[0-9A-Z]{2}|[1-5][0-9]{2})( |$))*$';
comment on function df._codes_pattern is 'What SQLSTATEs, their classes and HTTP codes look like in such a list';

create function df._parts_problem(parts jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  if pg_catalog.jsonb_typeof(parts) is distinct from 'array' then
    return 'parts must be a JSON array';
  elsif parts = '[]' then
    return 'parts must not be empty';
  elsif exists (select from pg_catalog.jsonb_array_elements(parts) p
                where coalesce(pg_catalog.jsonb_typeof(p -> 'name'), '') <> 'string'
                   or coalesce(pg_catalog.jsonb_typeof(p -> 'data_b64'), '') <> 'string') then
    return 'each of parts must be an object with name and data_b64';
  end if;
  return null;
end $$;
comment on function df._parts_problem is 'What is wrong with the parts of a form';

-- The shape and the ranges of the numbers; a template is judged when it runs.
create function df._schedule_problem(cron text, timezone text) returns text language plpgsql stable parallel unsafe as $$
declare
  fields constant text[] := pg_catalog.regexp_split_to_array(pg_catalog.btrim(pg_catalog.lower(cron), E' \t'), '[ \t]+');
  labels constant text[] := array['minute', 'hour', 'day of month', 'month', 'day of week'];
  lowest constant integer[] := array[0, 0, 1, 1, 0];
  highest constant integer[] := array[59, 23, 31, 12, 7];
  item text;
begin
  if cron is null or timezone is null then
    return 'cron and timezone must not be NULL';
  elsif timezone !~ '[${]' then
    begin
      perform pg_catalog.timezone(timezone, '2000-01-01 00:00:00+00'::timestamptz);
    exception when data_exception then
      return pg_catalog.format('time zone "%s" does not exist', timezone);
    end;
  end if;
  if cron ~ '[${]' or fields[1] = any (array['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'])
     and pg_catalog.cardinality(fields) = 1 then
    return null;
  elsif pg_catalog.cardinality(fields) <> 5 then
    return pg_catalog.format('"%s" is not a cron expression: it needs five fields, or a name like @hourly', cron);
  end if;
  for i in 1..5 loop
    foreach item in array pg_catalog.string_to_array(fields[i], ',') loop
      if item !~ '^(\*|([0-9]{1,2}|[a-z]{3})(-([0-9]{1,2}|[a-z]{3}))?)(/[0-9]{1,2})?$'
         or exists (select from pg_catalog.regexp_matches(pg_catalog.split_part(item, '/', 1), '[0-9]+', 'g') m
                    where m[1]::integer not between lowest[i] and highest[i]) then
        return pg_catalog.format('"%s" in the cron expression "%s" is no %s (%s to %s)', item, cron, labels[i], lowest[i], highest[i]);
      end if;
    end loop;
  end loop;
  return null;
end $$;
comment on function df._schedule_problem is 'What is wrong with a cron expression or its time zone';

-- Whether something follows a semicolon outside of quotes, comments and parentheses. In doubt (BEGIN ATOMIC) it says no.
create function df._has_second_statement(query text) returns boolean language plpgsql immutable parallel safe as $$
declare
  token text;
  before text := '';      -- the token before
  opened text := '';      -- what is being skipped: ' E' " -- /* or a dollar quote
  comments integer := 0;
  parentheses integer := 0;
  escaped boolean := false;
  ended boolean := false;
begin
  if pg_catalog.strpos(pg_catalog.rtrim(query, E'; \t\r\n'), ';') = 0 then
    return false;
  end if;
  for token in
    select m[1] from pg_catalog.regexp_matches(query,
      '(\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$|[A-Za-z0-9_\u0080-\uffff]+|--|/\*|\*/|[ \t\r]+|.)', 'g') m
  loop
    if opened = '/*' then
      comments := comments + case token when '/*' then 1 when '*/' then -1 else 0 end;
      opened := case when comments > 0 then opened else '' end;
    elsif opened = '--' then
      opened := case when token = E'\n' then '' else opened end;
    elsif opened <> '' then
      if escaped then
        escaped := false;
      elsif opened = 'E''' and token = '\' then
        escaped := true;
      elsif token = pg_catalog.ltrim(opened, 'E') then
        opened := '';
      end if;
    elsif token in ('--', '/*') then
      opened := token;
      comments := 1;
    elsif token ~ '^\s+$' or token = ';' then
      ended := ended or token = ';' and parentheses = 0;
    elsif ended then
      return true;
    elsif pg_catalog.lower(token) = 'atomic' then
      return false;
    elsif token = '''' and pg_catalog.lower(before) = 'e' then
      opened := 'E''';
    elsif token in ('''', '"') or token like '$%$' and pg_catalog.length(token) > 1 and before !~ '^\w' then
      opened := token;
    else
      parentheses := parentheses + case token when '(' then 1 when ')' then -1 else 0 end;
    end if;
    before := token;
  end loop;
  return false;
end $$;
comment on function df._has_second_statement is 'Whether text holds more than one SQL statement';

create function df._statement_problem(query text) returns text language plpgsql immutable parallel safe as $$
begin
  if pg_catalog.btrim(query, E'; \t\r\n') = '' then
    return 'a SQL step is exactly one statement; this one is empty';
  elsif query ~ '^[0-9a-hjkmnp-tv-z]{8}$' then  -- what df.start returns is no step
    return 'an instance id is no SQL statement; df.start stands outside the whole workflow';
  elsif df._has_second_statement(query) then
    return 'a SQL step is exactly one statement; this text has more than one (join them with ~>)';
  elsif query ~* '^\s*(begin|start\s+transaction|commit|end|abort|savepoint|release|rollback|prepare\s+transaction)\M' then
    return pg_catalog.upper(pg_catalog.substring(query, '\w+'))
      || ' cannot be a step: each SQL step runs in a transaction that is begun and committed for it';
  end if;
  return null;
end $$;
comment on function df._statement_problem is 'Why text cannot be a SQL step';

create function df._fail_problem(config jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  return case
    when pg_catalog.btrim(coalesce(config ->> 'message', ''), E' \t\r\n') = '' then 'message must not be empty'
    when config ->> 'code' !~ '^[A-Za-z0-9_]{1,64}$' then
      'code must be a SQLSTATE such as ''P0001'' or a name of letters, digits and _, found ' || pg_catalog.quote_literal(config ->> 'code')
  end;
end $$;
comment on function df._fail_problem is 'What is wrong with the arguments of df.fail';

create function df._unknown_key(object jsonb, known text[]) returns text language plpgsql immutable parallel safe as $$
begin
  return (select k.key from pg_catalog.jsonb_object_keys(object) k(key) where k.key <> all (known) limit 1);
end $$;
comment on function df._unknown_key is 'A key that is not one of the known ones, or NULL';

create function df._number_problem(config jsonb, key text, lowest numeric, highest numeric, required boolean default true)
returns text language plpgsql immutable parallel safe as $$
begin
  if coalesce(pg_catalog.jsonb_typeof(config -> key), 'null') = 'null' then
    return case when required then key || ' is missing' end;
  elsif pg_catalog.jsonb_typeof(config -> key) <> 'number' then
    return key || ' must be a number';
  elsif (config ->> key)::numeric not between lowest and highest then
    return pg_catalog.format('%s must be between %s and %s, not %s', key, lowest, highest, config ->> key);
  end if;
  return null;
end $$;
comment on function df._number_problem is 'What is wrong with a number in the configuration of a node';

-- What stands in `query`; kinds that have none do not come here.
create function df._config_problem(kind text, query text) returns text language plpgsql stable parallel unsafe as $$
declare
  config jsonb;
  unknown text;
begin
  if kind = 'SQL' then
    return df._statement_problem(query);
  elsif kind = 'BREAK' or kind = 'SLEEP' and query ~ '[${]' then
    return null;
  elsif kind = 'SLEEP' then
    return case when query !~ '^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*$' then 'query in SLEEP must be a number of seconds' end;
  end if;
  config := df._try_jsonb(query);
  if kind = 'WAIT_SCHEDULE' then
    return case when config ? 'cron' then df._schedule_problem(config ->> 'cron', coalesce(config ->> 'timezone', 'UTC'))
                else df._schedule_problem(query, 'UTC') end;
  elsif pg_catalog.jsonb_typeof(config) is distinct from 'object' then
    return pg_catalog.format('query in %s must be valid JSON config', kind);
  end if;
  unknown := df._unknown_key(config, case kind
    when 'SIGNAL' then array['signal_name', 'timeout_seconds']
    when 'HTTP' then array['url', 'method', 'body', 'headers', 'timeout_seconds']
    when 'HTTP_MULTIPART' then array['url', 'method', 'parts', 'headers', 'timeout_seconds']
    when 'FOR_EACH' then array['max_parallel', 'name']
    when 'RETRY' then array['max_attempts', 'delay', 'backoff', 'max_delay', 'on']
    when 'TIMEOUT' then array['seconds']
    when 'FAIL' then array['message', 'code'] end);
  if unknown is not null then
    return pg_catalog.format('%s has the unknown key ''%s''', kind, unknown);
  end if;
  return case kind
    when 'SIGNAL' then coalesce(
      case when pg_catalog.btrim(coalesce(config ->> 'signal_name', ''), E' \t\r\n') = '' then 'signal_name is missing' end,
      df._number_problem(config, 'timeout_seconds', 0, 3155760000, false))
    when 'HTTP' then df._http_problem(config)
    when 'HTTP_MULTIPART' then coalesce(df._http_problem(config), df._parts_problem(config -> 'parts'))
    when 'FOR_EACH' then coalesce(
      df._number_problem(config, 'max_parallel', 1, 10000, false),
      case when config ->> 'name' !~ '^[A-Za-z_][A-Za-z0-9_]*$'
        then pg_catalog.quote_literal(config ->> 'name') || ' is not a valid identifier' end)
    when 'RETRY' then coalesce(
      df._number_problem(config, 'max_attempts', 1, 1000000), df._number_problem(config, 'delay', 0, 3155760000, false),
      df._number_problem(config, 'backoff', 1, 1000, false), df._number_problem(config, 'max_delay', 0, 3155760000, false),
      case when df._codes(config ->> 'on') !~ df._codes_pattern() then 'on must list SQLSTATEs, their classes or HTTP codes' end)
    when 'FAIL' then df._fail_problem(config)
    when 'TIMEOUT' then coalesce(
      df._number_problem(config, 'seconds', 0, 3155760000),
      case when (config ->> 'seconds')::numeric = 0 then 'seconds must be greater than 0' end)
  end;
end $$;
comment on function df._config_problem is 'What is wrong with the query of a node';

create function df._http_problem(config jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  if coalesce(config ->> 'url', '') = '' then
    return 'url is missing';
  elsif pg_catalog.upper(coalesce(config ->> 'method', 'POST')) <> all (array['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) then
    return 'method must be GET, POST, PUT, DELETE or PATCH';
  elsif coalesce(pg_catalog.jsonb_typeof(config -> 'headers'), 'null') not in ('object', 'null') then
    return 'headers must be a JSON object';
  end if;
  return df._number_problem(config, 'timeout_seconds', 0, 3155760000, false);
end $$;
comment on function df._http_problem is 'What is wrong with the configuration of an HTTP step';

-- One node, without what is below it; `key` is where it hangs and `parent` the type of the node that holds it.
-- A shape says for condition_node, left_node, right_node, extra_nodes and query: ! required, ? allowed, - not allowed.
create function df._node_problem(node jsonb, key text, parent text) returns text language plpgsql stable parallel unsafe as $$
declare
  keys constant text[] := array['condition_node', 'left_node', 'right_node', 'extra_nodes', 'query'];
  kind constant text := node ->> 'node_type';
  shape text;
  type text;
  config jsonb;
begin
  if kind is null then
    return case key when 'extra_nodes' then 'extra_nodes entries must be Durofut JSON objects'
                    when 'condition_node' then pg_catalog.format('condition_node in %s must be a first-class Durofut field', parent)
                    else pg_catalog.format('%s in %s must be a Durofut JSON object', key, parent) end;
  end if;
  shape := case kind
    when 'SQL' then '----!' when 'SLEEP' then '----!' when 'WAIT_SCHEDULE' then '----!' when 'SIGNAL' then '----!'
    when 'HTTP' then '----!' when 'HTTP_MULTIPART' then '----!' when 'BREAK' then '----?' when 'FAIL' then '----!'
    when 'THEN' then '-!!?-' when 'JOIN' then '-!!?-' when 'RACE' then '-!!?-' when 'ANY' then '-!!?-'
    when 'IF' then '?!?-?' when 'LOOP' then '?!--?' when 'CATCH' then '-!!--'
    when 'FOR_EACH' then '-!!-?' when 'RETRY' then '-!--!' when 'TIMEOUT' then '-!--!' end;
  if shape is null then
    return pg_catalog.format('Unknown node_type ''%s''', kind);
  elsif df._unknown_key(node, keys || array['node_type', 'result_name']) is not null then
    return pg_catalog.format('unknown key ''%s''', df._unknown_key(node, keys || array['node_type', 'result_name']));
  elsif node ->> 'result_name' !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
    return pg_catalog.quote_literal(node ->> 'result_name') || ' is not a valid identifier';
  end if;
  for i in 1..5 loop
    type := coalesce(pg_catalog.jsonb_typeof(node -> keys[i]), 'null');
    if type = 'null' then
      if pg_catalog.substr(shape, i, 1) = '!' then
        return pg_catalog.format('%s in %s is missing', keys[i], kind);
      end if;
    elsif pg_catalog.substr(shape, i, 1) = '-' and node -> keys[i] <> '[]' then
      return pg_catalog.format('%s is not allowed in %s', keys[i], kind);
    elsif keys[i] = 'extra_nodes' and type <> 'array' or keys[i] = 'query' and type <> 'string' then
      return pg_catalog.format('%s in %s must not be of type %s', keys[i], kind, type);
    end if;
  end loop;
  if kind not in ('IF', 'LOOP') then
    return case when node ->> 'query' is not null then df._config_problem(kind, node ->> 'query') end;
  end if;
  config := case when node ->> 'query' is null then '{}' else df._try_jsonb(node ->> 'query') end;
  return case
    when pg_catalog.jsonb_typeof(config) is distinct from 'object' then pg_catalog.format('query in %s must be valid JSON config', kind)
    when config ? 'condition_node' then pg_catalog.format('condition_node in %s must be a first-class Durofut field', kind)
    when kind = 'LOOP' then 'LOOP has the unknown key ''' || df._unknown_key(config, '{}') || ''''
    when node ->> 'query' is null then
      case when coalesce(pg_catalog.jsonb_typeof(node -> 'condition_node'), 'null') = 'null' then 'condition_node in IF is missing' end
    when coalesce(pg_catalog.jsonb_typeof(node -> 'condition_node'), 'null') <> 'null' then 'IF has both condition_node and query'
    when coalesce(config ->> 'if_rows', '') !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
      pg_catalog.quote_nullable(config ->> 'if_rows') || ' is not a valid identifier'
    else 'IF has the unknown key ''' || df._unknown_key(config, '{if_rows}') || '''' end;
end $$;
comment on function df._node_problem is 'What is wrong with one node of a graph';

-- A statement is one step; anything else is walked level by level, and the highest fault is told.
create function df._graph_problem(graph text, max_depth integer, max_nodes integer, max_bytes integer) returns text
language plpgsql stable parallel unsafe as $$
declare
  root constant jsonb := case when graph ~ '^\s*\{' then df._try_jsonb(graph) end;
  deepest integer;
  total bigint;
  problem text;
begin
  if pg_catalog.octet_length(graph) > max_bytes then
    return pg_catalog.format('root: longer than %s bytes', max_bytes);
  elsif root is null and graph like '{"node_type":"%' then
    return 'root: not valid JSON, or it holds a character that text cannot hold';
  elsif root ->> 'node_type' is null then
    return 'root: ' || coalesce(df._statement_problem(graph), case when graph is null then 'is NULL' end);
  end if;
  with recursive walk(path, key, parent, node, depth) as (
    select 'root', 'root', '', root, 1
    union all
    select w.path || '.' || c.place, c.key, w.node ->> 'node_type', c.node, w.depth + 1
    from walk w cross join lateral (
      select e.key as place, e.key, e.value as node from pg_catalog.jsonb_each(w.node) e
      where e.key in ('condition_node', 'left_node', 'right_node') and e.value <> 'null'
      union all
      select 'extra_nodes[' || x.n - 1 || ']', 'extra_nodes', x.node
      from pg_catalog.jsonb_array_elements(
        case when pg_catalog.jsonb_typeof(w.node -> 'extra_nodes') = 'array' then w.node -> 'extra_nodes' end)
        with ordinality x(node, n)) c
    where pg_catalog.jsonb_typeof(w.node) = 'object' and w.depth <= max_depth
  ), checked as (
    select w.path, w.depth, df._node_problem(w.node, w.key, w.parent) as problem from walk w
  )
  select pg_catalog.max(c.depth), pg_catalog.count(*),
    (pg_catalog.array_agg(c.path || ': ' || c.problem order by c.depth, c.path) filter (where c.problem is not null))[1]
  into deepest, total, problem from checked c;
  return case
    when deepest > max_depth then pg_catalog.format('root: deeper than the maximum nesting depth of %s', max_depth)
    when problem is not null then problem
    when total > max_nodes then pg_catalog.format('root: has %s nodes, the maximum is %s', total, max_nodes) end;
end $$;
comment on function df._graph_problem is 'What is wrong with a graph, and where';

create function df._check(graph text, max_depth integer default 256, max_nodes integer default 10000,
  max_bytes integer default 1048576) returns void language plpgsql stable parallel unsafe as $$
declare
  problem constant text := df._graph_problem(graph, max_depth, max_nodes, max_bytes);
begin
  if problem is not null then
    raise exception 'Invalid durable function graph: %', problem using errcode = 'invalid_parameter_value';
  end if;
end $$;
comment on function df._check is 'Refuses a graph that no daemon would run';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_try_jsonb'), ('_codes'), ('_codes_pattern'), ('_parts_problem'), ('_schedule_problem'),
  ('_has_second_statement'), ('_statement_problem'), ('_unknown_key'), ('_number_problem'), ('_config_problem'),
  ('_http_problem'), ('_fail_problem'), ('_node_problem'), ('_graph_problem'), ('_check');

revoke execute on all functions in schema df from public;
