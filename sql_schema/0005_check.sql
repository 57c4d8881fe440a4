-- The checks of a graph: df.start calls df._check so that a bad graph is refused where it was written.
-- The daemon checks again, and more: cron expressions and statements are judged here only as far as it is cheap.
--
-- Functions that end in _problem return what is wrong, or NULL.

create function df._try_jsonb(value text) returns jsonb language plpgsql immutable parallel unsafe as $$
begin
  return value::jsonb;
exception when data_exception or statement_too_complex then
  return null;
end $$;
comment on function df._try_jsonb is 'Text as JSON; NULL when it is not';

create function df._words(list text) returns text language plpgsql immutable parallel safe as $$
begin
  return pg_catalog.btrim(pg_catalog.regexp_replace(list, '[\s,]+', ' ', 'g'));
end $$;
comment on function df._words is 'The words of a list, separated by single spaces instead of spaces and commas';

create function df._codes_pattern() returns text language sql immutable parallel safe
return '^(([0-9A-Z]{5}|[0-9A-Z]{2}|[1-5][0-9]{2})( |$))*$';
comment on function df._codes_pattern is 'What SQLSTATEs, their classes and HTTP codes look like in such a list';

create function df._statuses_pattern() returns text language sql immutable parallel safe
return '^([1-5]([0-9][0-9]|xx)( |$))*$';
comment on function df._statuses_pattern is 'What HTTP statuses and their classes look like in such a list';

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

-- A value of a field of a cron expression as a number; NULL where the field has no such value.
create function df._cron_value(value text, field integer) returns integer language plpgsql immutable parallel safe as $$
declare
  lowest constant integer := (array[0, 0, 1, 1, 0])[field];
  highest constant integer := (array[59, 23, 31, 12, 7])[field];
  named constant integer := case field
    when 4 then pg_catalog.array_position(array['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'], value)
    when 5 then pg_catalog.array_position(array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'], value) - 1 end;
begin
  return coalesce(named, case when value ~ '^[0-9]{1,4}$' and value::integer between lowest and highest then value::integer end);
end $$;
comment on function df._cron_value is 'A value in a cron expression';

-- The values of a field, which is written in lower case; NULL where it is not one. A step needs * or a range.
create function df._cron_values(value text, field integer) returns integer[] language plpgsql immutable parallel safe as $$
declare
  item text;
  part text[];
  first integer;
  last integer;
  step integer;
  result integer[] := '{}';
begin
  foreach item in array pg_catalog.string_to_array(value, ',') loop
    part := pg_catalog.regexp_match(item, '^(?:\*|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]{1,4}))?$');
    step := coalesce(part[3], '1')::integer;
    first := case when part[1] is null then (array[0, 0, 1, 1, 0])[field] else df._cron_value(part[1], field) end;
    last := case when part[1] is null then (array[59, 23, 31, 12, 7])[field] when part[2] is null then first
                 else df._cron_value(part[2], field) end;
    if part is null or first is null or last is null or last < first or step = 0
       or part[1] is not null and part[2] is null and part[3] is not null then
      return null;
    end if;
    result := result || array(select pg_catalog.generate_series(first, last, step));
  end loop;
  return result;
end $$;
comment on function df._cron_values is 'The values that a field of a cron expression matches';

-- A zone that PostgreSQL and the daemon both know by its name: no abbreviation such as MSK, and no offset such as +02.
create function df._zone_problem(timezone text) returns text language plpgsql stable parallel unsafe as $$
begin
  if timezone = 'UTC' then
    return null;
  end if;
  perform pg_catalog.timezone(timezone, '2000-01-01 00:00:00+00'::timestamptz);
  -- The list of names takes long to read. Letters around a slash are neither an abbreviation nor an offset.
  if timezone ~ '^[A-Za-z_]+(/[A-Za-z_]+){1,2}$' or exists (
       select from pg_catalog.pg_timezone_names z where pg_catalog.lower(z.name) = pg_catalog.lower(timezone)) then
    return null;
  end if;
  return pg_catalog.format('time zone "%s" is not the name of a zone; write one such as Europe/Berlin or Etc/GMT-2', timezone);
exception when data_exception then
  return pg_catalog.format('time zone "%s" does not exist', timezone);
end $$;
comment on function df._zone_problem is 'Why text is not the name of a time zone';

-- What the daemon would refuse, and a date that never comes; a template is judged when it runs.
create function df._schedule_problem(cron text, timezone text) returns text language plpgsql stable parallel unsafe as $$
declare
  fields text[] := pg_catalog.regexp_split_to_array(pg_catalog.btrim(pg_catalog.lower(cron), E' \t\r\n'), '[ \t\r\n]+');
  labels constant text[] := array['minute', 'hour', 'day of month', 'month', 'day of week'];
  lowest constant integer[] := array[0, 0, 1, 1, 0];
  highest constant integer[] := array[59, 23, 31, 12, 7];
begin
  if cron is null then
    return 'cron must not be NULL';
  elsif timezone !~ '[${]' and df._zone_problem(timezone) is not null then
    return df._zone_problem(timezone);
  elsif cron ~ '[${]' or pg_catalog.cardinality(fields) = 1
        and fields[1] = any (array['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']) then
    return null;
  elsif pg_catalog.cardinality(fields) <> 5 then
    return pg_catalog.format('"%s" is not a cron expression: it needs five fields, or a name like @hourly', cron);
  end if;
  for i in 1..5 loop
    if df._cron_values(fields[i], i) is null then
      return pg_catalog.format('"%s" in the cron expression "%s" is not a valid %s (%s to %s, *, lists a,b, ranges a-b, steps */n and a-b/n)',
        fields[i], cron, labels[i], lowest[i], highest[i]);
    end if;
  end loop;
  -- Where only the day of the month is restricted, one of the months must have such a day.
  if fields[3] !~ '^\*' and fields[5] ~ '^\*' and not exists (
       select from pg_catalog.unnest(df._cron_values(fields[3], 3)) d(day), pg_catalog.unnest(df._cron_values(fields[4], 4)) m(month)
       where d.day <= (array[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[m.month]) then
    return pg_catalog.format('the schedule "%s" never comes: no month of it has such a day', cron);
  end if;
  return null;
end $$;
comment on function df._schedule_problem is 'What is wrong with a cron expression or its time zone';

-- The statements in text: how many there are, the first two words of the first (but for parentheses around it), whether
-- it copies from or to a client, and whether it begins with a semicolon.
create function df._statements(query text, out statements integer, out first_word text, out second_word text,
  out client_copy boolean, out leading_semicolon boolean, out parameter text) language plpgsql immutable parallel safe as $$
declare
  token record;
  words text[] := '{}';  -- the first four
  before text := '';     -- the token before, when it was a word
  parentheses integer := 0;
  bodies integer := 0;   -- BEGIN ATOMIC … END of a routine, and CASE … END in one
  filled boolean := false;
  kind integer;
begin
  statements := 0; client_copy := false; leading_semicolon := false;
  for token in select t.kind, t.value, t.prefix from df._tokens(query || E'\n;') t loop
    continue when token.prefix = '!/*';
    if token.kind = 'mark' and token.value = ';' and parentheses = 0 and bodies = 0 then
      if filled then
        statements := statements + 1;
        first_word := case when statements = 1 then words[1] else first_word end;
        second_word := case when statements = 1 then words[2] else second_word end;
      elsif statements = 0 then
        leading_semicolon := true;
      end if;
      filled := false; words := '{}'; before := ''; parentheses := 0; bodies := 0;
      continue;
    end if;
    filled := true;
    if token.kind = 'word' then
      if pg_catalog.cardinality(words) < 4 then
        words := words || token.value;
      end if;
      kind := case when words[2:3] = array['or', 'replace'] then 4 else 2 end;
      if parentheses = 0 and words[1] = 'create' and words[kind] in ('function', 'procedure') then
        bodies := bodies + case when token.value = 'begin' or token.value = 'case' and bodies > 0 then 1
                                when token.value = 'end' and bodies > 0 then -1 else 0 end;
      end if;
      client_copy := client_copy or statements = 0 and parentheses = 0 and words[1] = 'copy'
        and token.value in ('stdin', 'stdout') and before in ('from', 'to');
      before := token.value;
    elsif token.kind = 'mark' and token.value = '(' then
      parentheses := parentheses + 1;
    else
      if token.kind = 'parameter' and token.value ~ '^\$[0-9]' then
        parameter := coalesce(parameter, token.value);
      end if;
      if token.kind = 'mark' and token.value = ')' then
        parentheses := greatest(0, parentheses - 1);
      end if;
      before := '';
      if words = '{}' then
        words := array[''];
      end if;
    end if;
  end loop;
  if filled then  -- something is not closed, and has swallowed the semicolon
    statements := statements + 1;
    first_word := case when statements = 1 then words[1] else first_word end;
    second_word := case when statements = 1 then words[2] else second_word end;
  end if;
end $$;
comment on function df._statements is 'How many statements text holds, and what kind the first one is';

create function df._statement_problem(query text) returns text language plpgsql immutable parallel safe as $$
declare
  seen record;
  plain constant text := pg_catalog.rtrim(query, E'; \t\r\n');
begin
  if pg_catalog.btrim(plain, E' \t\r\n') = '' then
    return 'a SQL step is exactly one statement; this one is empty';
  elsif query ~ '^[0-9a-hjkmnp-tv-z]{8}$' then  -- what df.start returns is no step
    return 'an instance id is no SQL statement; df.start stands outside the whole workflow';
  elsif pg_catalog.strpos(plain, ';') = 0 and plain ~* '^\s*(select|insert|update|delete|with|merge|values|call|create|refresh)\M' then
    return null;  -- most are like this
  elsif plain ~* '^\s*(select|insert|update|delete|with|merge|values)\M' and plain !~ '[$\\]|/\*' and pg_catalog.strpos(
          pg_catalog.regexp_replace(plain, '''(?:[^'']|'''')*''|"[^"]*"|--[^\n]*', '', 'g'), ';') = 0 then
    return null;  -- semicolons in strings and comments alone
  end if;
  seen := df._statements(query);
  if seen.statements = 0 then
    return 'a SQL step is exactly one statement; this one is empty';
  elsif df._beginning(query) = 'text' then
    return 'a SQL step is a statement, and this is the text of a workflow: INSERT INTO df.submit (dsl) VALUES (…), or '
      || 'write it without the outer quotes';
  elsif seen.statements > 1 then
    return pg_catalog.format('a SQL step is exactly one statement; this text has %s (join them with ~>)', seen.statements);
  elsif seen.leading_semicolon then
    return 'a SQL step is exactly one statement; a semicolon stands before this one';
  elsif seen.first_word in ('begin', 'start', 'commit', 'end', 'abort', 'savepoint', 'release', 'rollback')
        or seen.first_word = 'prepare' and seen.second_word = 'transaction' then
    return pg_catalog.upper(seen.first_word)
      || ' cannot be a step: each SQL step runs in a transaction that is begun and committed for it';
  elsif seen.client_copy then
    return 'COPY FROM STDIN or TO STDOUT cannot be a step: there is no client to copy from or to';
  end if;
  return null;
end $$;
comment on function df._statement_problem is 'Why text cannot be a SQL step';

-- Of a text that is not a graph and does not begin as a workflow's text: why it is not a single statement either. Both
-- df.explain and df.start ask, and say what the reader of df.submit says. Names and operators of the language outside of
-- quotes and parentheses are what a forgotten quote leaves.
create function df._plain_problem(p_text text) returns text language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp as $body$
declare
  commands constant text[] := array['abort', 'alter', 'analyse', 'analyze', 'begin', 'call', 'checkpoint', 'close', 'cluster',
    'comment', 'commit', 'copy', 'create', 'deallocate', 'declare', 'delete', 'discard', 'do', 'drop', 'end', 'execute',
    'explain', 'fetch', 'grant', 'import', 'insert', 'listen', 'load', 'lock', 'merge', 'move', 'notify', 'prepare',
    'reassign', 'refresh', 'reindex', 'release', 'reset', 'revoke', 'rollback', 'savepoint', 'security', 'select', 'set',
    'show', 'start', 'table', 'truncate', 'unlisten', 'update', 'vacuum', 'values', 'with'];
  quoted constant text := '; there is no SQL outside of quotes. A SQL step is a string: ''SELECT …'' or $$ SELECT … $$';
  token record;
  first text;
  depth int := 0;
begin
  if p_text !~ '~>|\|=>|\?>|!>' and p_text ~* '^[ \t\r\n]*(select|insert|update|delete|with|merge|values|call|create|refresh)\M' then
    return null;  -- most are like this
  end if;
  for token in select t.kind, t.value from df._tokens(p_text) t where t.prefix <> '!/*' loop
    if token.kind = 'mark' and token.value in ('(', ')') then
      depth := depth + case token.value when '(' then 1 else -1 end;
      continue;
    elsif first is null and (token.kind <> 'word' or token.value = 'df') then
      return null;  -- a workflow's text, or a template of a statement
    elsif first is null and token.value <> all (commands) then
      return format('found %s', token.value) || quoted;
    elsif token.kind = 'operator' and depth = 0 and token.value in ('~>', '|=>', '?>', '!>') then
      return format('found %s and %s', first, token.value) || quoted;
    end if;
    first := coalesce(first, token.value);
  end loop;
  return null;
end $body$;
comment on function df._plain_problem(text) is 'Why text is neither a statement nor a workflow';

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

-- The rules of `query` for kinds that have one.
-- Units of a limit as a node has them; what is no number stays.
create function df._units(amount text) returns text language plpgsql immutable parallel safe as $$
begin
  return case when amount ~ '^ *[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})? *$'
              then pg_catalog.trim_scale(pg_catalog.round(amount::numeric, 6))::text else amount end;
end $$;
comment on function df._units(text) is 'The canonical form of a number of units';

create function df._limit_problem(config jsonb) returns text language plpgsql immutable parallel safe as $$
declare
  amount constant text := df._units(coalesce(config ->> 'units', '1'));
begin
  if coalesce(config ->> 'name', '') !~ '^[A-Za-z0-9_.:/-]{1,200}$' then
    return 'the limit''s name must have 1 to 200 letters, digits and _ . : / -, found '
      || pg_catalog.quote_literal(coalesce(config ->> 'name', ''));
  elsif amount !~ '[${]' and (amount !~ '^([0-9]+\.?[0-9]*|\.[0-9]+)$' or amount::numeric > 1000000000) then
    return 'units must be a number from 0 to 1000000000, found ' || pg_catalog.quote_literal(amount);
  end if;
  return null;
end $$;
comment on function df._limit_problem(jsonb) is 'What is wrong with the configuration of a df.limit';

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
    when 'HTTP' then array['url', 'method', 'body', 'headers', 'timeout_seconds', 'expect', 'request', 'into', 'rows', 'columns']
    when 'HTTP_MULTIPART' then array['url', 'method', 'parts', 'headers', 'timeout_seconds', 'expect']
    when 'FOR_EACH' then array['max_parallel', 'name']
    when 'RETRY' then array['max_attempts', 'delay', 'backoff', 'max_delay', 'on']
    when 'TIMEOUT' then array['seconds']
    when 'FAIL' then array['message', 'code'] when 'LIMIT' then array['name', 'units'] end);
  if unknown is not null then
    return pg_catalog.format('%s has the unknown key ''%s''', kind, unknown);
  end if;
  return case kind
    when 'SIGNAL' then coalesce(
      case when pg_catalog.btrim(coalesce(config ->> 'signal_name', ''), E' \t\r\n') = '' then 'signal_name is missing' end,
      df._number_problem(config, 'timeout_seconds', 0, 3155760000, false))
    when 'HTTP' then coalesce(df._http_problem(config), df._statements_problem(config))
    when 'HTTP_MULTIPART' then coalesce(df._http_problem(config), df._parts_problem(config -> 'parts'))
    when 'FOR_EACH' then coalesce(
      df._number_problem(config, 'max_parallel', 1, 10000, false),
      case when config ->> 'name' !~ '^[A-Za-z_][A-Za-z0-9_]*$'
        then pg_catalog.quote_literal(config ->> 'name') || ' is not a valid identifier' end)
    when 'RETRY' then coalesce(
      df._number_problem(config, 'max_attempts', 1, 1000000), df._number_problem(config, 'delay', 0, 3155760000, false),
      df._number_problem(config, 'backoff', 1, 1000, false), df._number_problem(config, 'max_delay', 0, 3155760000, false),
      case when df._words(pg_catalog.upper(config ->> 'on')) !~ df._codes_pattern() then 'on must list SQLSTATEs, their classes or HTTP codes' end)
    when 'FAIL' then df._fail_problem(config)
    when 'LIMIT' then df._limit_problem(config)
    when 'TIMEOUT' then coalesce(
      df._number_problem(config, 'seconds', 0, 3155760000),
      case when (config ->> 'seconds')::numeric = 0 then 'seconds must be greater than 0' end)
  end;
end $$;
comment on function df._config_problem is 'What is wrong with the query of a node';

create function df._headers_problem(headers jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  return (
    select case
      when h.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' then 'headers: ' || pg_catalog.quote_literal(h.key) || ' is not a header name'
      when pg_catalog.jsonb_typeof(h.value) not in ('string', 'number', 'boolean') then
        'headers: the value of ' || pg_catalog.quote_literal(h.key) || ' must be a string, found ' || pg_catalog.jsonb_typeof(h.value)
      else 'headers: the value of ' || pg_catalog.quote_literal(h.key) || ' holds a line break' end
    from pg_catalog.jsonb_each(headers) h(key, value)
    where h.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' or pg_catalog.jsonb_typeof(h.value) not in ('string', 'number', 'boolean')
       or (h.value #>> '{}') ~ '[\r\n]'
    limit 1);
end $$;
comment on function df._headers_problem is 'What is wrong with the headers of an HTTP step';

-- A body that cannot be JSON although the header content-type says that it is. References are taken for strings, or for a part
-- of one; a variable may hold anything.
create function df._body_problem(config jsonb) returns text language plpgsql immutable parallel unsafe as $$
declare
  body constant text := config ->> 'body';
begin
  if pg_catalog.btrim(coalesce(body, ''), E' \t\r\n') = '' or body ~ '\{([A-Za-z_][A-Za-z0-9_]*|secret\.[^}]*)\}'
     or pg_catalog.jsonb_typeof(config -> 'headers') is distinct from 'object'
     or not exists (select from pg_catalog.jsonb_each_text(config -> 'headers') h
                    where pg_catalog.lower(h.key) = 'content-type' and h.value ~* 'json' and h.value !~ '[${]') then
    return null;
  elsif df._try_jsonb((
      select pg_catalog.string_agg(case when m.part[2] <> '' then '""' else m.part[1] end, '' order by m.n)
      from pg_catalog.regexp_matches(body, '("(?:[^"\\]|\\.)*"|[^"$]+|\$(?![A-Za-z_{])|")'
        || '|(\$(?:\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*(?:\.(?:[A-Za-z0-9_]+|\*)|\[\])*)\??)', 'g') with ordinality m(part, n))) is null then
    return 'body is not JSON, although the header content-type says so';
  end if;
  return null;
end $$;
comment on function df._body_problem is 'What is wrong with a body that is to be JSON';

create function df._http_problem(config jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  if coalesce(config ->> 'url', '') = '' then
    return 'url is missing';
  elsif pg_catalog.upper(coalesce(config ->> 'method', 'POST')) <> all (array['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) then
    return 'method must be GET, POST, PUT, DELETE or PATCH';
  elsif coalesce(pg_catalog.jsonb_typeof(config -> 'headers'), 'null') not in ('object', 'null') then
    return 'headers must be a JSON object';
  elsif pg_catalog.jsonb_typeof(config -> 'headers') = 'object' and df._headers_problem(config -> 'headers') is not null then
    return df._headers_problem(config -> 'headers');
  elsif df._body_problem(config) is not null then
    return df._body_problem(config);
  elsif df._words(pg_catalog.lower(config ->> 'expect')) !~ df._statuses_pattern() then
    return 'expect must list HTTP statuses (404) and classes of them (2xx)';
  end if;
  return df._number_problem(config, 'timeout_seconds', 0, 3155760000, false);
end $$;
comment on function df._http_problem is 'What is wrong with the configuration of an HTTP step';

create function df._statements_problem(config jsonb) returns text language plpgsql immutable parallel safe as $$
begin
  return case
    when pg_catalog.jsonb_typeof(config -> 'request') not in ('string', 'null') then 'request must be a string'
    when pg_catalog.jsonb_typeof(config -> 'into') not in ('string', 'null') then 'into must be a string'
    when config ->> 'request' is not null and config ->> 'body' is not null then
      'request makes the body: body cannot be given as well'
    else coalesce('request: ' || case when config ->> 'request' is not null then df._statement_problem(config ->> 'request') end,
                  'into: ' || case when config ->> 'into' is not null then df._statement_problem(config ->> 'into') end,
                  df._rows_problem(config)) end;
end $$;
comment on function df._statements_problem is 'What is wrong with the statements of an HTTP step';

-- dsl/graph/answer_columns.hpp has the grammar.
create function df._rows_problem(config jsonb) returns text language plpgsql immutable parallel safe as $body$
declare
  path constant text := config ->> 'rows';
  columns constant text := config ->> 'columns';
  member constant text := $re$\.(?:[A-Za-z_][A-Za-z0-9_]*|"[^"'\\(),]+")$re$;
  a_column constant text := $re$^\s*([A-Za-z_][A-Za-z0-9_]{0,62})(\?)?\s+(?:(for\s+ordinality)|$re$
    || $re$((?:double\s+precision|(?:character|bit)\s+varying|time(?:stamp)?\s+with(?:out)?\s+time\s+zone|$re$
    || $re$[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)(?:\(\s*[0-9]+(?:\s*,\s*[0-9]+)?\s*\))?(?:\[\])?)$re$
    || $re$(?:\s+path\s+'(\$(?:$re$ || member || $re$|\[[0-9]{1,9}\])*)')?)\s*$$re$;
begin
  if path is null and columns is null then
    return null;
  elsif columns is null then
    return 'rows needs columns: the names and types of the columns';
  elsif path is null then
    return 'columns needs rows: the path of the rows, such as $.data[*]';
  elsif config ->> 'into' is null then
    return 'rows needs into: the statement that takes them, as $rows';
  elsif pg_catalog.octet_length(path) > 500 or path !~ ('^\$(?:' || member || '|\[(?:\*|[0-9]{1,9})\])*$') then
    return 'rows must be a path such as $.data[*], of .member, ."member", [*] and [0]';
  end if;
  return (
    with pieces as (select p from pg_catalog.regexp_split_to_table(columns, $re$,(?=(?:[^']*'[^']*')*[^']*$)(?![^()]*\))$re$) p)
    select coalesce(
      (select 'columns must list columns such as index int, embedding real[], note? text, id text path ''$.meta.id'' and n for ordinality'
       from pieces where p !~* a_column or pg_catalog.octet_length(p) > 500 limit 1),
      (select 'columns must be at most 100 columns' from pieces having pg_catalog.count(*) > 100),
      (select 'columns has two columns named ' || pg_catalog.substring(p, '[A-Za-z_][A-Za-z0-9_]*') from pieces
       group by pg_catalog.substring(p, '[A-Za-z_][A-Za-z0-9_]*') having pg_catalog.count(*) > 1 limit 1)));
end $body$;
comment on function df._rows_problem is 'What is wrong with the rows and columns of an HTTP step';

-- What a node of a kind has: for condition_node, left_node, right_node, extra_nodes and query ! required, ? allowed,
-- - not allowed; NULL for an unknown kind. As in dsl/graph/kinds.cpp, but for IF, which has a condition or a query.
create function df._node_shape(kind text) returns text language sql immutable parallel safe
  return case kind
    when 'SQL' then '----!' when 'SLEEP' then '----!' when 'WAIT_SCHEDULE' then '----!' when 'SIGNAL' then '----!'
    when 'HTTP' then '----!' when 'HTTP_MULTIPART' then '----!' when 'BREAK' then '----?' when 'FAIL' then '----!'
    when 'THEN' then '-!!?-' when 'JOIN' then '-!!?-' when 'RACE' then '-!!?-' when 'ANY' then '-!!?-'
    when 'IF' then '?!?-?' when 'LOOP' then '?!--?' when 'CATCH' then '-!!--'
    when 'FOR_EACH' then '-!!-?' when 'RETRY' then '-!--!' when 'TIMEOUT' then '-!--!'
    when 'LIMIT' then '-!--!' end;
comment on function df._node_shape is 'Which children and whether a query a node of a kind has';

-- One node, without what is below it; `key` is where it hangs and `parent` the type of the node that holds it.
create function df._node_problem(node jsonb, key text, parent text) returns text language plpgsql stable parallel unsafe as $$
declare
  keys constant text[] := array['condition_node', 'left_node', 'right_node', 'extra_nodes', 'query'];
  kind constant text := node ->> 'node_type';
  shape constant text := df._node_shape(kind);
  type text;
  config jsonb;
begin
  if kind is null then
    return case key when 'extra_nodes' then 'extra_nodes entries must be Durofut JSON objects'
                    when 'condition_node' then pg_catalog.format('condition_node in %s must be a first-class Durofut field', parent)
                    else pg_catalog.format('%s in %s must be a Durofut JSON object', key, parent) end;
  end if;
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

-- A statement is one step; anything else is walked level by level, and the fault nearest to the root is reported.
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
    return 'root: ' || coalesce(df._plain_problem(graph), df._statement_problem(graph), case when graph is null then 'is NULL' end,
                                df._unbound_problem(df._leaf('SQL', graph)::json));
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
    when total > max_nodes then pg_catalog.format('root: has %s nodes, the maximum is %s', total, max_nodes)
    else df._unbound_problem(graph::json) end;
end $$;
comment on function df._graph_problem is 'What is wrong with a graph, and where';

create function df._check(graph text, max_depth integer default 256, max_nodes integer default 10000,
  max_bytes integer default 1048576) returns void language plpgsql stable parallel unsafe set jit = off as $$
declare
  problem constant text := df._graph_problem(graph, max_depth, max_nodes, max_bytes);
begin
  if problem is not null then
    raise exception 'Invalid durable function graph: %', problem using errcode = 'invalid_parameter_value';
  end if;
end $$;
comment on function df._check is 'Refuses a graph that no daemon would run';

-- Rights -----------------------------------------------------------------------------------------------------------

-- Warnings --------------------------------------------------------------------------------------------------------

-- The names that text refers to, by $name or ${name}. In a statement, comments hold no references; strings do, and so does
-- a quoted identifier that is one as a whole.
create function df._references(p_text text, p_is_sql boolean, p_code_only boolean default false) returns setof text
language sql immutable parallel safe begin atomic
  select distinct coalesce(nullif(code.parts[2], ''), string.parts[1], nullif(code.parts[3], ''))
  from pg_catalog.regexp_matches(p_text, case when p_is_sql
         then $re$([eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')|"\$\{?([A-Za-z_][A-Za-z0-9_]*)(?:\.[A-Za-z0-9_]+)*\??\}?"|"[^"]*"$re$
           || $re$|--[^\n]*|/\*(?:[^*]|\*[^/])*\*/|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*|[0-9]+\$?$re$
           || $re$|\$(?:[A-Za-z_]\w*)?\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)$re$
         else '(.+)()()' end, 'g') c(found)
    cross join lateral (select array[c.found[1], c.found[3], c.found[2]]) code(parts)
    left join lateral pg_catalog.regexp_matches(
      code.parts[1], '\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)', 'g') string(parts) on true
  where coalesce(nullif(code.parts[2], ''), string.parts[1], nullif(code.parts[3], '')) <> ''
    and (not p_code_only or code.parts[2] <> '');
end;
comment on function df._references(text, boolean, boolean) is 'The names that text refers to by $name';

-- The statements among the templates of a node.
create function df._node_statements(p_kind text, p_query text) returns setof text language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp as $$
  select p_query where p_kind = 'SQL'
  union all
  select df._try_jsonb(p_query) ->> k from unnest(array['request', 'into']) k where p_kind = 'HTTP'
$$;
comment on function df._node_statements(text, text) is 'The statements of a node';

-- The names that a node refers to. What `into` calls the answer is bound for it.
create function df._node_references(p_kind text, p_query text, p_code_only boolean default false) returns setof text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select r from df._references(case p_kind when 'HTTP' then (df._try_jsonb(p_query) - '{request,into,rows,columns}'::text[])::text else p_query end,
                               p_kind = 'SQL', p_code_only) r where p_kind = 'SQL' or not p_code_only
  union
  select r from unnest(array['request', 'into']) k,
                df._references(df._try_jsonb(case p_kind when 'HTTP' then p_query end) ->> k, true, p_code_only) r
  where k = 'request' or r <> 'response' and (r <> 'rows' or df._try_jsonb(p_query) ->> 'rows' is null)
$$;
comment on function df._node_references(text, text, boolean) is 'The names that a node refers to by $name';

-- For each node, from 1 in preorder, the last one below it.
create function df._subtree_ends(p_parents int[]) returns int[] language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare
  ends int[] := array(select generate_series(1, cardinality(p_parents)));
begin
  for n in reverse cardinality(p_parents)..2 loop
    ends[p_parents[n]] := greatest(ends[p_parents[n]], ends[n]);
  end loop;
  return ends;
end $$;
comment on function df._subtree_ends(int[]) is 'Where the part of a graph below each node ends';

-- Walks the graph in the order of execution with the names that may be bound at each place. Branches do not see each
-- other's names; what comes after them may see any. A loop within a workflow sees those of its earlier iterations.
create function df._unbound_names(p_graph json) returns table (idx int, name text) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  kinds text[]; names text[]; queries text[]; parents int[]; slots int[]; ends int[];
  bound text[] := '{}';     -- on the way here
  merging text[] := '{}';   -- by branches that have ended of what has not
  implicit text[] := '{}';  -- $item and $error
  bound_before int[] := '{}'; merging_before int[] := '{}';  -- how many of each when a node began
  opened int[] := '{}';     -- the nodes around this place
  n int := 1;
  m int;
  own text;
begin
  select array_agg(g.node_type order by g.idx), array_agg(g.result_name order by g.idx), array_agg(g.query order by g.idx),
         array_agg(g.parent + 1 order by g.idx), array_agg(g.slot order by g.idx)
  into kinds, names, queries, parents, slots from df._graph_nodes(p_graph) g;
  ends := df._subtree_ends(parents);
  loop
    m := opened[cardinality(opened)];
    if n > ends[m] then
      opened := opened[:cardinality(opened) - 1];
      bound := bound || merging[merging_before[m] + 1:];
      merging := merging[:merging_before[m]];
      if names[m] is not null then
        bound := bound || names[m];
      end if;
      if kinds[parents[m]] in ('JOIN', 'RACE', 'ANY')
         or kinds[parents[m]] = 'IF' and (slots[m] > 0 or queries[parents[m]] is not null) then
        merging := merging || bound[bound_before[m] + 1:];
        bound := bound[:bound_before[m]];
      elsif kinds[parents[m]] in ('CATCH', 'FOR_EACH') and slots[m] = 1 then
        implicit := implicit[:cardinality(implicit) - 1];
      end if;
      continue;
    end if;
    exit when n > cardinality(kinds);
    bound_before[n] := cardinality(bound);
    merging_before[n] := cardinality(merging);
    opened := opened || n;
    if kinds[parents[n]] in ('CATCH', 'FOR_EACH') and slots[n] = 1 then
      implicit := implicit || case kinds[parents[n]] when 'CATCH' then 'error'
                                else coalesce(df._try_jsonb(queries[parents[n]]) ->> 'name', 'item') end;
    end if;
    if queries[n] is not null then
      own := case when kinds[n] = 'IF' then df._try_jsonb(queries[n]) ->> 'if_rows' end;
      return query
        select n - 1, r from (select own union select * from df._node_references(kinds[n], queries[n])) u(r)
        where r is not null and r <> all (bound) and r <> all (implicit) and (own is null or r = own) order by 2;
    end if;
    if kinds[n] = 'LOOP' and n > 1 then
      bound := bound || array_remove(names[n + 1:ends[n]], null);
    end if;
    n := n + 1;
  end loop;
end $$;
comment on function df._unbound_names(json) is
  'The names that nodes refer to and nothing before them binds; "input" is among them, which is what the instance is given';

-- "?" behind a field that may be missing wherever it is read.
create function df._input_reads(p_graph json) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_graph::text !~ '\$\{?input' then
    return null;
  end if;
  return (
    select string_agg(f.field || case when f.is_optional then '?' else '' end, ', '
                      order by f.field <> 'all of it', f.is_optional, f.field collate "C")
    from (
      select coalesce(m.part[1], 'all of it') as field, bool_and(m.part[2] = '?' and m.part[1] is not null) as is_optional
      from df._unbound_names(p_graph) u join df._graph_nodes(p_graph) g on g.idx = u.idx
      cross join lateral regexp_matches(
        g.query, '\$\{?input(?![A-Za-z0-9_])(?:\."?([A-Za-z_][A-Za-z0-9_]*)"?(?:\.[A-Za-z0-9_]+)*)?(\??)', 'g') m(part)
      where u.name = 'input' group by 1) f);
end $$;
comment on function df._input_reads(json) is 'The fields of its input that a workflow reads, for people; null: none';

-- The traps that the text door warns of, as far as a graph shows them: a break in no loop, a step behind what
-- never ends, a name on a whole join or race where its last branch seems to be meant, a name that nothing binds.
create function df._warnings(p_graph json) returns setof text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  kinds text[]; names text[]; queries text[]; parents int[]; slots int[]; ends_at int[];
  -- Of the children of each node: how many there are and how many end, whether one breaks or is named, which one before
  -- the last does not end, whether the condition of an if ends, whether the last has a name.
  counts int[]; ending int[]; breaking boolean[]; named boolean[]; stuck int[]; conditional boolean[]; last_named boolean[];
  breaks boolean[];
  repeats boolean[];  -- an endless loop, or what one holds up
  repeating boolean[];  -- whether a child repeats
  looped boolean[];  -- whether a loop is around each node
  ends boolean;
  p int;
  found_at int[] := '{}'; found text[] := '{}';
begin
  select array_agg(g.node_type order by g.idx), array_agg(g.result_name order by g.idx), array_agg(g.query order by g.idx),
         array_agg(g.parent order by g.idx), array_agg(g.slot order by g.idx)
  into kinds, names, queries, parents, slots from df._graph_nodes(p_graph) g;
  ends_at := df._subtree_ends(array(select p1 + 1 from unnest(parents) p1));
  counts := array_fill(0, array[cardinality(kinds)]);
  ending := counts; stuck := counts;
  breaking := array_fill(false, array[cardinality(kinds)]);
  named := breaking; conditional := breaking; last_named := breaking; breaks := breaking; repeats := breaking;
  repeating := breaking;
  looped := breaking;
  for n in reverse cardinality(kinds)..1 loop
    breaks[n] := kinds[n] = 'BREAK' or kinds[n] <> 'LOOP' and breaking[n];
    ends := case
      when kinds[n] in ('BREAK', 'FAIL') then false
      when kinds[n] in ('THEN', 'JOIN', 'RETRY', 'TIMEOUT', 'LIMIT') then ending[n] = counts[n]
      when kinds[n] in ('RACE', 'ANY', 'CATCH') then ending[n] > 0
      when kinds[n] = 'IF' and queries[n] is not null then counts[n] < 2 or ending[n] > 0
      when kinds[n] = 'IF' then conditional[n] and (counts[n] < 3 or ending[n] > 1)
      when kinds[n] = 'LOOP' then breaking[n] or counts[n] > 1 and ending[n] = counts[n]
      when kinds[n] = 'FOR_EACH' then conditional[n]
      else true end;
    repeats[n] := not ends and (kinds[n] = 'LOOP' or repeating[n]);
    p := parents[n] + 1;
    continue when p is null;
    repeating[p] := repeating[p] or repeats[n];
    if counts[p] = 0 then
      last_named[p] := names[n] is not null;
    elsif not ends then
      stuck[p] := n;
    end if;
    counts[p] := counts[p] + 1;
    ending[p] := ending[p] + ends::int;
    breaking[p] := breaking[p] or breaks[n];
    named[p] := named[p] or names[n] is not null;
    conditional[p] := conditional[p] or slots[n] = 0 and ends;
  end loop;
  for n in 1..cardinality(kinds) loop
    p := parents[n] + 1;
    looped[n] := coalesce(looped[p] or kinds[p] = 'LOOP', false);
    if kinds[n] = 'BREAK' and not looped[n] then
      found_at := found_at || n;
      found := found || 'this df.break is in no loop, so that it can only fail'::text;
    elsif kinds[n] = 'THEN' and stuck[n] > 0 then
      found_at := found_at || (ends_at[stuck[n]] + 1);
      found := found || ('this step is never reached: ' || case when breaks[stuck[n]] then 'a df.break leaves the loop before it'
                           when repeats[stuck[n]] then 'the loop before it repeats for ever'
                           else 'the df.fail before it ends what is around it' end);
    elsif kinds[n] in ('JOIN', 'RACE') and names[n] is not null and named[n] and not last_named[n] then
      found_at := found_at || n;
      found := found || format('the name ''%s'' is bound to the whole %s, not to its last branch', names[n], lower(kinds[n]));
    end if;
  end loop;
  return query
    select w.what from (
      select f.at, case when f.what like 'this df.break%' then 0 when f.what like 'this step%' then 1 else 2 end, f.what
      from unnest(found_at, found) f(at, what)
      union all
      select h.* from df._habits(p_graph) h  -- a loop that a step was meant to be in looks as if it spun
      where h.rank not in (3, 4) or not exists (select from unnest(found) f where f like 'this %')
      union all
      select r.* from df._result_uses(p_graph) r
      union all
      select u.idx + 1, 8, format('$%s is referenced, but nothing before binds that name', u.name)
      from df._unbound_names(p_graph) u where u.name <> 'input') w(at, rank, what)
    order by w.at, w.rank, w.what;
end $$;
comment on function df._warnings(json) is 'Likely mistakes in a graph';

-- What may well be meant, but is more often an oversight: dsl/graph/habits.hpp has the list. `rank` is the order of the
-- warnings of one node.
create function df._habits(p_graph json) returns table (at int, rank int, what text) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  kinds text[]; names text[]; queries text[]; parents int[];
  counts int[]; breaks boolean[]; fails boolean[]; waits boolean[]; body int[];  -- of loops: the node of the body
  used text[];
  p int;
begin
  select array_agg(g.node_type order by g.idx), array_agg(g.result_name order by g.idx), array_agg(g.query order by g.idx),
         array_agg(g.parent + 1 order by g.idx)
  into kinds, names, queries, parents from df._graph_nodes(p_graph) g;
  counts := array_fill(0, array[cardinality(kinds)]);
  body := counts;
  select array_agg(k = 'BREAK' order by n), array_agg(k in ('SQL', 'HTTP', 'HTTP_MULTIPART', 'FAIL', 'TIMEOUT', 'LIMIT') order by n),
         array_agg(k in ('SLEEP', 'WAIT_SCHEDULE', 'SIGNAL') order by n)
  into breaks, fails, waits from unnest(kinds) with ordinality u(k, n);
  for n in reverse cardinality(kinds)..2 loop
    p := parents[n];
    counts[p] := counts[p] + 1;
    body[p] := n;
    breaks[p] := breaks[p] or breaks[n] and kinds[p] <> 'LOOP';
    fails[p] := fails[p] or fails[n] and kinds[p] <> 'CATCH';
    waits[p] := waits[p] or waits[n];
  end loop;
  return query
    select n::int, 3, 'this loop repeats for ever, but the first step in it that fails ends the workflow'
    from unnest(kinds) with ordinality u(k, n) where k = 'LOOP' and counts[n] = 1 and not breaks[body[n]] and fails[body[n]]
    union all
    select n::int, 4, 'nothing in this loop waits, so that it repeats every second'
    from unnest(kinds) with ordinality u(k, n) where k = 'LOOP' and counts[n] = 1 and not waits[body[n]]
    union all
    select n::int, 5, df._odd_schedule(coalesce(df._try_jsonb(queries[n]) ->> 'cron', queries[n]))
    from unnest(kinds) with ordinality u(k, n)
    where k = 'WAIT_SCHEDULE' and df._odd_schedule(coalesce(df._try_jsonb(queries[n]) ->> 'cron', queries[n])) is not null;
  return query
    select n::int, 5, 'COPY TO a file or a program writes on the database server''s host, where no rollback takes it back'
    from unnest(kinds, queries) with ordinality u(k, q, n) where k = 'SQL' and q ~* '\mcopy\M' and df._copies_to_server(q)
    union all
    select n::int, 5, format('the header %s holds a variable, whose value is stored with the instance for all who may see it', h.key)
    from unnest(kinds, queries) with ordinality u(k, q, n)
      cross join lateral (select c.key from json_each_text(df._try_jsonb(df._try_jsonb(q) ->> 'headers')::json) c
                          where df._is_open_credential(c.key, c.value) order by c.key limit 1) h
    where k in ('HTTP', 'HTTP_MULTIPART');
  return query
    select distinct on (n) n::int, 5, left(s.parameter, 20) || ' is a parameter, and a SQL step has no parameters'
    from unnest(kinds, queries) with ordinality u(k, q, n), df._node_statements(k, case when q ~ '\$[0-9]' then q end) t, df._statements(t) s
    where s.parameter is not null and s.first_word not in ('prepare', 'create') order by n;
  return query
    select n::int, 6, 'the name ''input'' hides the input that the instance is given'
    from unnest(kinds, names, queries) with ordinality u(kind, name, query, n)
    where name = 'input' or kind = 'FOR_EACH' and df._try_jsonb(query) ->> 'name' = 'input';
  if df._variables(array_to_string(queries, ' ')) = '{}' then
    used := array(select r.name from unnest(kinds, queries) q(kind, query)
                    cross join lateral df._node_references(q.kind, q.query) r(name) where q.query is not null
                  union
                  select df._try_jsonb(q.query) ->> 'if_rows' from unnest(kinds, queries) q(kind, query) where q.kind = 'IF');
    return query
      select n::int, 6, format('the name ''%s'' is never used', u.name)
      from unnest(names) with ordinality u(name, n)
      where u.name is not null and n > 1 and u.name <> all (array_remove(used, null))
        and (kinds[1] <> 'THEN' or n <> (select max(l.n) from unnest(parents) with ordinality l(parent, n) where l.parent = 1));
  end if;
end $$;
comment on function df._habits(json) is 'What is more often an oversight than meant in a graph';

create function df._copies_to_server(p_query text) returns boolean language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp as $$
declare
  token record;
  before text := '';
  depth int := 0;
begin
  for token in select t.kind, t.value from df._tokens(p_query) t where t.prefix <> '!/*' loop
    if before = '' and token.value <> 'copy' then
      return false;
    elsif before = 'to' and depth = 0 then
      return token.kind = 'string' or token.value = 'program';
    end if;
    depth := depth + case token.value when '(' then 1 when ')' then -1 else 0 end;
    before := case token.kind when 'word' then token.value else '.' end;
  end loop;
  return false;
end $$;
comment on function df._copies_to_server(text) is 'Whether a statement copies to a file or a program of the server''s host';

-- Which names the result of each step may have: its own, and those of what is around it as far as that hands the result
-- on. Nodes whose result is made of others', and an if without an else, count as steps of the kind 'OTHER'.
create function df._result_names(p_graph json) returns table (idx int, kind text, name text) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  passing constant text[] := array['THEN', 'IF', 'RACE', 'ANY', 'RETRY', 'TIMEOUT', 'CATCH', 'LIMIT'];
  kinds text[]; names text[]; queries text[]; parents int[]; slots int[]; ends int[]; highest int[];
  m int;
  p int;
begin
  select array_agg(g.node_type order by g.idx), array_agg(g.result_name order by g.idx), array_agg(g.query order by g.idx),
         array_agg(g.parent + 1 order by g.idx), array_agg(g.slot order by g.idx)
  into kinds, names, queries, parents, slots from df._graph_nodes(p_graph) g;
  ends := df._subtree_ends(parents);
  highest := array_fill(0, array[cardinality(kinds)]);
  for n in 2..cardinality(kinds) loop
    highest[parents[n]] := greatest(highest[parents[n]], slots[n]);
  end loop;
  for n in 1..cardinality(kinds) loop
    idx := n - 1;
    kind := 'OTHER';
    if kinds[n] in ('FOR_EACH', 'CATCH') then
      name := case kinds[n] when 'CATCH' then 'error' else coalesce(df._try_jsonb(queries[n]) ->> 'name', 'item') end;
      return next;
    end if;
    continue when kinds[n] = any (passing)
      and not (kinds[n] = 'IF' and highest[n] < case when queries[n] is null then 2 else 1 end);
    if kinds[n] in ('SQL', 'SIGNAL', 'HTTP', 'HTTP_MULTIPART', 'SLEEP', 'WAIT_SCHEDULE') then
      kind := case when kinds[n] = 'HTTP' and df._try_jsonb(queries[n]) ->> 'into' is not null then kind else kinds[n] end;
    end if;
    m := n;
    loop
      if names[m] is not null then
        name := names[m];
        return next;
      end if;
      p := parents[m];
      exit when p is null or kinds[p] <> all (passing) or kinds[p] = 'THEN' and ends[m] <> ends[p]
        or kinds[p] = 'IF' and slots[m] = 0 and queries[p] is null;
      m := p;
    end loop;
  end loop;
end $$;
comment on function df._result_names(json) is 'The names that the results of steps may have';

-- How results are read, where that is more often a mistake than meant: of dsl/graph/result_uses.hpp what needs no columns
-- of statements.
create function df._result_uses(p_graph json) returns table (at int, rank int, what text) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  reference constant text := '\$\{?([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+)*))?\??\}?';
  key_behind constant text := '(?:(?:[ \t\n\r)]|::jsonb?)*->>?[ \t\n\r]*''([^'']*)'')?';
begin
  if p_graph::text !~ '\$[A-Za-z_{]' or p_graph::text !~ '"(SIGNAL|HTTP|HTTP_MULTIPART)"' then
    return;
  end if;
  return query
    with names as materialized (select * from df._result_names(p_graph)),
    nodes as materialized (select g.idx, g.node_type, g.query from df._graph_nodes(p_graph) g where g.query is not null),
    reads as materialized (
      select g.idx, g.node_type, m.found[1] as name, m.found[2] as field, m.found[3] as path, m.found[4] as key, m.n
      from nodes g cross join lateral regexp_matches(g.query, reference || key_behind, 'g') with ordinality m(found, n)
      union all
      select g.idx, g.node_type, df._try_jsonb(g.query) ->> 'if_rows', null, null, null, 0 from nodes g where g.node_type = 'IF'),
    fields as (  -- of signals, that they do not have
      select distinct on (r.idx) r.idx, r.name || case when r.field is null then format(' ->> ''%s''', r.key)
                                                       else '.' || r.field || coalesce(r.path, '') end as spelling
      from reads r
      where (r.field is not null or r.node_type = 'SQL')
        and coalesce(r.field, r.key) not in ('signal_name', 'timed_out', 'data', '')
        and r.name in (select s.name from names s group by s.name having bool_and(s.kind = 'SIGNAL'))
      order by r.idx, r.n)
    select f.idx + 1, 7, format('$%s is no field of a signal''s result: that has signal_name, timed_out and data', f.spelling)
    from fields f
    union all
    select h.idx + 1, 7, 'the answer of this call is used whatever its status is, 404 included'
    from nodes h
    where h.node_type in ('HTTP', 'HTTP_MULTIPART') and coalesce(df._try_jsonb(h.query) ->> 'expect', '') = ''
      and not exists (select from nodes v cross join lateral df._node_statements(v.node_type, v.query) s where df._variables(s) <> '{}')
      and case when df._try_jsonb(h.query) ->> 'into' is not null
        then df._try_jsonb(h.query) ->> 'into' ~ '\$\{?response\.'
          and df._try_jsonb(h.query) ->> 'rows' is null and df._try_jsonb(h.query) ->> 'into' !~ '\$\{?response(\.(ok|status)\M|\.\*|[^A-Za-z0-9_.])'
        else exists (select from reads r join names a on a.name = r.name and a.idx = h.idx where r.field is not null)
      and not exists (select from reads r join names a on a.name = r.name and a.idx = h.idx
                      where r.field is null or r.field in ('ok', 'status')) end;
end $$;
comment on function df._result_uses(json) is 'Results that are read in a way that is more often a mistake';

-- The variables {name} that text may have, but for those that are always there.
create function df._variables(p_text text) returns text[] language sql immutable parallel safe
begin atomic
  select coalesce(pg_catalog.array_agg(distinct m.found[1]), '{}')
  from pg_catalog.regexp_matches(p_text, '\{([A-Za-z_][A-Za-z0-9_]*)\}', 'g') m(found)
  where m.found[1] not in ('sys_instance_id', 'sys_label');
end;
comment on function df._variables(text) is 'The variables that text may have';

create function df._is_open_credential(p_header text, p_value text) returns boolean language sql immutable parallel safe
return pg_catalog.lower(p_header) in ('authorization', 'proxy-authorization', 'x-api-key', 'api-key')
  and df._variables(p_value) <> '{}';
comment on function df._is_open_credential(text, text) is 'Whether a header for credentials holds a variable';

create function df._odd_schedule(p_cron text) returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  fields constant text[] := regexp_split_to_array(btrim(p_cron, E' \t\r\n'), '[ \t\r\n]+');
  item text;
  part text[];
  first int;
  last int;
begin
  if p_cron ~ '[${]' or cardinality(fields) <> 5 then
    return null;
  end if;
  for i in 1..5 loop
    foreach item in array string_to_array(fields[i], ',') loop
      part := regexp_match(lower(item), '^(?:\*|([0-9a-z]+)-([0-9a-z]+))/([0-9]{1,4})$');
      first := coalesce(df._cron_value(part[1], i), (array[0, 0, 1, 1, 0])[i]);
      last := coalesce(df._cron_value(part[2], i), (array[59, 23, 31, 12, 7])[i]);
      if part[3]::int > last - first then
        return format('the step of "%s" in the schedule "%s" is longer than its range, so that only %s matches', item, p_cron, first);
      end if;
    end loop;
  end loop;
  return null;
end $$;
comment on function df._odd_schedule(text) is 'A cron expression with a step that is never reached';

-- The names that a body references outside of its strings, where it is JSON apart from its references.
create function df._json_names(p_body text) returns setof text language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp as $$
  with pieces as materialized (
    select m.part[1] as plain, m.part[2] as reference, m.n
    from regexp_matches(p_body, '("(?:[^"\\]|\\.)*"|[^"$]+|\$(?![A-Za-z_{])|")'
      || '|(\$(?:\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*(?:\.(?:[A-Za-z0-9_]+|\*)|\[\])*)\??)', 'g') with ordinality m(part, n))
  select substring(p.reference, '^\$\{?([A-Za-z_][A-Za-z0-9_]*)') from pieces p
  where p.reference <> '' and btrim(p_body, E' \t\r\n') <> p.reference and exists (
    select from (select string_agg(case when q.reference <> '' then 'null' else q.plain end, '' order by q.n) as json from pieces q) j
    where df._try_jsonb(j.json) is not null)
$$;
comment on function df._json_names(text) is 'The names that a JSON body refers to outside of its strings';

-- A name that nothing binds, in the code of a statement or outside of strings in a JSON body: that step can only fail. In
-- a string it is text, and a variable may hold anything.
create function df._unbound_problem(p_graph json) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_graph::text !~ '\$[A-Za-z_{]' then
    return null;
  end if;
  return (
    select format('node %s: $%s is referenced, but nothing before binds that name', g.id, u.name)
    from df._unbound_names(p_graph) u join df._graph_nodes(p_graph) g on g.idx = u.idx
    where u.name <> 'input' and case g.node_type
      when 'SQL' then df._variables(g.query) = '{}' and u.name in (select * from df._references(g.query, true, true))
      when 'HTTP' then df._variables(df._try_jsonb(g.query) ->> 'body') = '{}'
        and u.name in (select * from df._json_names(df._try_jsonb(g.query) ->> 'body'))
        or u.name in (select * from df._node_references('HTTP', g.query, true))
           and df._variables(coalesce(df._try_jsonb(g.query) ->> 'request', '') || coalesce(df._try_jsonb(g.query) ->> 'into', '')) = '{}' end
    order by g.idx, u.name limit 1);
end $$;
comment on function df._unbound_problem(json) is 'A step of a graph that can only fail, because nothing binds a name';

insert into df._client_routines (name) values
  ('_try_jsonb'), ('_words'), ('_codes_pattern'), ('_statuses_pattern'), ('_parts_problem'),
  ('_cron_value'), ('_cron_values'),
  ('_zone_problem'), ('_schedule_problem'), ('_statements'), ('_statement_problem'), ('_plain_problem'), ('_fail_problem'),
  ('_unknown_key'), ('_number_problem'), ('_config_problem'), ('_units'), ('_limit_problem'), ('_headers_problem'), ('_body_problem'),
  ('_http_problem'), ('_statements_problem'), ('_rows_problem'), ('_node_statements'), ('_node_references'), ('_node_shape'), ('_node_problem'), ('_graph_problem'), ('_check'), ('_references'), ('_subtree_ends'),
  ('_unbound_names'), ('_input_reads'), ('_warnings'), ('_habits'), ('_variables'), ('_odd_schedule'), ('_json_names'), ('_copies_to_server'), ('_is_open_credential'),
  ('_result_names'), ('_result_uses'), ('_unbound_problem');

revoke execute on all functions in schema df from public;
