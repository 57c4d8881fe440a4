-- df.explain: a workflow as a tree of lines. The rules of the lines are those of dsl/text/printer.hpp, byte for byte.

-- The planner thinks recursive queries over json dear, and would compile them (jit) for longer than they run.

create function df._one_line(value text) returns text language sql immutable parallel safe
  return pg_catalog.btrim(pg_catalog.regexp_replace(value, E'[ \t\n\r\f\x0B]+', ' ', 'g'), ' ');
comment on function df._one_line(text) is 'Text with its runs of white space as single spaces';

-- Of a node that nobody has checked, it may be any text.
create function df._number(value text) returns text language sql immutable parallel safe
  return case when value ~ '^[-+]?([0-9]{1,99}(\.[0-9]{0,99})?|\.[0-9]{1,99})([eE][-+]?[0-9]{1,2})?$'
              then pg_catalog.trim_scale(pg_catalog.round(value::numeric, 6))::text else df._one_line(value) end;
comment on function df._number(text) is 'A number without trailing zeros; any other text on one line';

-- The kind of a node with its arguments, as far as its name comes after them. Of a node that nobody has checked, the kind alone
-- where its arguments cannot be read.
create function df._describe(p_node_type text, p_query text, p_children bigint) returns text language plpgsql immutable
  parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  config jsonb;
begin
  if p_node_type in ('SIGNAL', 'HTTP', 'HTTP_MULTIPART', 'FOR_EACH', 'RETRY', 'TIMEOUT', 'IF', 'FAIL', 'LIMIT')
     or p_node_type = 'WAIT_SCHEDULE' and df._try_jsonb(p_query) ? 'cron' then
    config := df._try_jsonb(p_query);
  end if;
  return coalesce(case p_node_type
    when 'THEN' then 'THEN'
    when 'IF' then case when config is null then 'IF' else 'IF ROWS ''' || df._one_line(config ->> 'if_rows') || '''' end
    when 'JOIN' then 'JOIN (' || p_children || ')'
    when 'ANY' then 'ANY (' || p_children || ')'
    when 'SLEEP' then 'SLEEP ' || case when p_query ~ '[${]' then df._one_line(p_query) else df._number(p_query) || 's' end
    when 'WAIT_SCHEDULE' then 'WAIT ''' || df._one_line(coalesce(config ->> 'cron', p_query)) || ''''
      || coalesce(' (' || nullif(df._one_line(config ->> 'timezone'), 'UTC') || ')', '')
    when 'SIGNAL' then 'SIGNAL ''' || df._one_line(config ->> 'signal_name') || ''''
      || coalesce(' (' || df._number(config ->> 'timeout_seconds') || 's)', '')
    when 'HTTP' then 'HTTP ' || upper(coalesce(config ->> 'method', 'POST')) || ' ' || df._one_line(config ->> 'url')
      || coalesce(' request ''' || df._one_line(config ->> 'request') || '''', '')
      || coalesce(' into ''' || df._one_line(config ->> 'into') || '''', '')
    when 'HTTP_MULTIPART' then
      'HTTP_MULTIPART ' || upper(coalesce(config ->> 'method', 'POST')) || ' ' || df._one_line(config ->> 'url')
    when 'FOR_EACH' then 'FOR EACH ' || coalesce(config ->> 'name', 'item') || ' (max '
      || coalesce(config ->> 'max_parallel', '10') || ')'
    when 'RETRY' then 'RETRY ' || (config ->> 'max_attempts') || 'x'
    when 'TIMEOUT' then 'TIMEOUT ' || df._number(config ->> 'seconds') || 's'
    when 'LIMIT' then 'LIMIT ' || (config ->> 'name') || coalesce(' (' || nullif(df._one_line(config ->> 'units'), '1') || ')', '')
    when 'FAIL' then 'FAIL ''' || df._one_line(config ->> 'message') || ''''
      || coalesce(' (' || nullif(config ->> 'code', 'P0001') || ')', '')
    end, p_node_type);
end $$;
comment on function df._describe(text, text, bigint) is 'The kind of a node with its arguments, for df.explain';

-- The line above a child; NULL for a child right below its parent's line.
create function df._heading(p_parent_type text, p_rows boolean, p_slot int) returns text language sql immutable parallel safe
  return case
    when p_parent_type = 'IF' then (array['condition:', 'then:', 'else:'])[p_slot + 1 + p_rows::int]
    when p_parent_type in ('JOIN', 'RACE', 'ANY') then 'branch ' || p_slot + 1 || ':'
    when p_parent_type = 'LOOP' then (array['body:', 'while:'])[p_slot + 1]
    when p_parent_type = 'FOR_EACH' then (array['rows:', 'body:'])[p_slot + 1]
    when p_parent_type = 'CATCH' then (array['body:', 'handler:'])[p_slot + 1]
    when p_parent_type in ('RETRY', 'TIMEOUT', 'LIMIT') then 'body:' end;
comment on function df._heading(text, boolean, int) is 'The line above a child in df.explain';

-- `p_marks` and `p_notes`, one for each node, are put before and after its line.
create function df._tree(p_graph json, p_marks text[] default '{}', p_notes text[] default '{}') returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  n record;
  lines text[] := '{}';
  indents int[] := '{}';
  above text;
  p int;
  inside int;
  follows boolean[] := '{}';  -- a step that comes after another one in a chain, which an arrow shows
begin
  for n in
    with nodes as materialized (select g.* from df._graph_nodes(p_graph) g)
    select g.*, coalesce(c.children, 0) as children, g.node_type <> 'THEN' or g.result_name is not null as has_line,
           u.node_type as parent_type, u.query is not null as parent_rows,
           u.node_type <> 'THEN' or u.result_name is not null as parent_line
    from nodes g left join nodes u on u.idx = g.parent
      left join (select k.parent, count(*) as children from nodes k group by k.parent) c on c.parent = g.idx
    order by g.idx
  loop
    p := n.parent + 1;
    above := df._heading(n.parent_type, n.parent_rows, n.slot);
    inside := coalesce(indents[p] + case when above is not null then 4 when n.parent_line then 2 else 0 end, 0);
    indents[n.idx + 1] := inside;
    follows[n.idx + 1] := n.parent_type = 'THEN' and (n.slot > 0 or not n.parent_line and follows[p]);
    if above is not null then
      lines := lines || (repeat(' ', indents[p] + 2) || above);
    end if;
    if n.has_line then
      lines := lines || (repeat(' ', inside) || case when follows[n.idx + 1] then '→ ' else '' end || coalesce(p_marks[n.idx + 1] || ' ', '')
        || df._describe(n.node_type, n.query, n.children) || coalesce(' |=> ''' || n.result_name || '''', '')
        || case when n.node_type in ('SQL', 'BREAK') and n.query is not null then ': ' || df._one_line(n.query) else '' end
        || coalesce(p_notes[n.idx + 1], ''));
    end if;
  end loop;
  return array_to_string(lines, E'\n');
end $$;
comment on function df._tree(json, text[], text[]) is 'A graph as lines';

-- Tokens ----------------------------------------------------------------------------------------------------------

-- The tokens of text by PostgreSQL's lexical rules: of kind string (its value is the text between the quotes, still
-- with escapes for the prefixes E and U&), word (folded to lower case), identifier (in double quotes), number, parameter
-- ($1, $name), operator, or mark (one character, or :: := =>). `at` is its place, in characters from 1. A string, an
-- identifier or a comment that is not closed comes last, with a prefix that begins with !.
--
-- A piece at a time, so that cutting off what was read costs the length of a piece and not of the whole text.
create function df._tokens(p_text text) returns table (kind text, value text, prefix text, at int)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rest text := p_text;
  line text := '';     -- what comes next, taken off the rest
  opened text := '';   -- what is being read: ' E' " or a dollar quote; /* or -- inside a comment
  pending text := '';  -- the string that was read last, which the next line may continue, had this in `opened`
  broken boolean;      -- a line has ended since
  depth int;
  start int := 1;      -- where `line` begins in the text
  more int;            -- 1 while there is a rest: the token at the end of `line` may go on
  piece text;
begin
  while line <> '' or rest <> '' loop
    if length(line) < 300 and rest <> '' then
      line := line || left(rest, 2000);
      rest := substr(rest, 2001);
    end if;
    more := (rest <> '')::int;
    if opened = '/*' then
      piece := substring(line, '^.*?(?:/\*|\*/)');
      depth := depth + case right(piece, 2) when '/*' then 1 when '*/' then -1 else 0 end;
      opened := case when depth = 0 then '' else opened end;
      piece := coalesce(piece, left(line, length(line) - more));
    elsif opened = '--' then
      piece := substring(line, '^[^\n\r]*');
      opened := case when length(piece) < length(line) then '' else opened end;
    elsif opened like '$%' then
      piece := case strpos(line, opened) when 0 then left(line, length(line) - more * length(opened)) else left(line, strpos(line, opened) - 1) end;
      value := value || piece;
      if strpos(line, opened) > 0 then
        piece := piece || opened;
        opened := '';
        return next;
      end if;
    elsif opened <> '' then
      piece := substring(line, case opened when 'E''' then '^(?:[^''\\]|''''|\\.)*' when '"' then '^(?:[^"]|"")*'
                                           else '^(?:[^'']|'''')*' end);
      value := value || piece;
      if length(piece) = length(line) - 1 and more = 1 then
        null;  -- a quote or a backslash, and what follows decides what it means
      elsif substr(line, length(piece) + 1, 1) = '\' then
        exit;  -- at the very end
      elsif length(piece) < length(line) then
        piece := piece || right(opened, 1);
        if opened = '"' then
          return next;
        else
          pending := opened;
          broken := false;
        end if;
        opened := '';
      end if;
    elsif line ~ '^[ \t\n\r\f\x0B]' then
      piece := substring(line, '^[ \t\n\r\f\x0B]+');
      broken := broken or piece ~ '[\n\r]';
    elsif starts_with(line, '--') then
      piece := '--';
      opened := '--';
    elsif starts_with(line, '''') and pending <> '' and broken then
      piece := '''';
      opened := pending;
    else
      if pending <> '' then
        return next;
        pending := '';
      end if;
      at := start;
      if starts_with(line, '/*') then
        piece := '/*'; opened := '/*'; depth := 1;
      elsif line ~ '^([eE]|[uU]&)?''' or line ~ '^([uU]&)?"' or line ~ '^\$(([A-Za-z_]|[^\x01-\x7f])([A-Za-z0-9_]|[^\x01-\x7f])*)?\$' then
        piece := substring(line, '^(?:[eE]''|[uU]&''|''|[uU]&"|"|\$[^$]*\$)');
        kind := case when piece like '%"' then 'identifier' else 'string' end;
        prefix := case when piece like '$%' then '$' else upper(left(piece, -1)) end;
        opened := case upper(piece) when 'E''' then 'E''' else case when piece like '$%' then piece else right(piece, 1) end end;
        value := '';
      else
        piece := coalesce(
          substring(line, '^(?:[A-Za-z_]|[^\x01-\x7f])(?:[A-Za-z0-9_$]|[^\x01-\x7f])*'),
          substring(line, '^(?:0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)'),
          substring(line, '^(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][-+]?[0-9](?:_?[0-9])*)?'),
          substring(line, '^\$(?:[A-Za-z0-9_]|[^\x01-\x7f])+'),
          substring(line, '^(?:::|:=)'),
          substring(substring(line, '^[-~!@#^&|`?+*/%<>=]+'), '^(?:(?!--|/\*).)+'),
          left(line, 1));
        kind := case
          when piece ~ '^([A-Za-z_]|[^\x01-\x7f])' then 'word'
          when piece ~ '^\.?[0-9]' then 'number'
          when piece ~ '^\$.' then 'parameter'
          when piece in ('::', ':=', '=>') or piece !~ '[-~!@#^&|`?+*/%<>=]' then 'mark'
          else 'operator' end;
        if kind = 'operator' and piece !~ '[~!@#%^&|`?]' and length(piece) > 1 then
          piece := coalesce(nullif(rtrim(piece, '+-'), ''), left(piece, 1));
        end if;
        value := case kind when 'word' then lower(piece) else piece end;
        prefix := '';
        return next;
      end if;
    end if;
    start := start + length(piece);
    line := substr(line, length(piece) + 1);
  end loop;
  if pending <> '' then
    return next;
  elsif opened not in ('', '--') then
    kind := 'string';
    prefix := '!' || opened;
    return next;
  end if;
end $$;
comment on function df._tokens(text) is 'The tokens of text, by PostgreSQL''s lexical rules';

-- Texts -----------------------------------------------------------------------------------------------------------
-- df.explain draws a text of the language as well as its graph. The text is read token by token, and what it means is
-- built by the constructors of the SQL door. Nothing of it is executed: the only dynamic SQL is a call of a function of
-- the list below with arguments that are literals, and a string literal with escapes, which is checked to be one.

-- The value of a string token.
create function df._string_value(p_prefix text, p_value text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  result text;
begin
  if p_prefix = '' then
    return replace(p_value, '''''', '''');
  elsif p_prefix = '$' then
    return p_value;
  elsif p_prefix = 'E' and p_value ~ '^([^''\\]|''''|\\.)*$' or p_prefix = 'U&' and p_value ~ '^([^'']|'''')*$' then
    execute 'select ' || p_prefix || '''' || p_value || '''' into result;
    return result;
  end if;
  raise exception 'this string is not closed' using errcode = 'syntax_error';
end $$;
comment on function df._string_value(text, text) is 'The value of a string literal';

-- Operands are JSON: {"kind": node, string, number, bool, null or interval, "value": text}; "bare" marks the result of an
-- infix operator without parentheses, and "warning" is about the name that was put on such a result.
create function df._operand_step(p_operand jsonb) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if p_operand ->> 'kind' not in ('node', 'string') then
    raise exception 'expected a step, found %', coalesce(p_operand ->> 'value', 'NULL') using errcode = 'syntax_error',
      hint = 'A step is SQL in a string (''SELECT 1'') or a function such as df.sleep(30).';
  end if;
  return df._node(p_operand ->> 'value');
end $$;
comment on function df._operand_step(jsonb) is 'An operand as a step';

create function df._apply_operator(p_operator text, p_left jsonb, p_right jsonb) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  earlier text;
  node text;
begin
  if p_operator = '|=>' then
    if p_right ->> 'kind' <> 'string' then
      raise exception 'expected a name in quotes after |=>' using errcode = 'syntax_error', hint = 'Write |=> ''name''.';
    end if;
    earlier := df._try_jsonb(df._operand_step(p_left)) ->> 'result_name';
    node := df.as(df._operand_step(p_left), p_right ->> 'value');
    return p_left || jsonb_build_object('kind', 'node', 'value', node, 'warning', case
      when earlier <> p_right ->> 'value' then
        format('the step is named twice: only ''%s'' is bound, not ''%s''', p_right ->> 'value', earlier)
      when p_left ? 'bare' and df._try_jsonb(node) ->> 'node_type' in ('JOIN', 'RACE', 'IF') and not df._try_jsonb(node) ? 'query' then
        format('the name ''%s'' is bound to the whole %s, not to its last branch', p_right ->> 'value',
               lower(df._try_jsonb(node) ->> 'node_type')) end);
  end if;
  node := case p_operator
    when '~>' then df._op_seq(df._operand_step(p_left), df._operand_step(p_right))
    when '&' then df._op_join(df._operand_step(p_left), df._operand_step(p_right))
    when '|' then df._op_race(df._operand_step(p_left), df._operand_step(p_right))
    when '?>' then df._op_then(df._operand_step(p_left), df._operand_step(p_right))
    when '!>' then df._op_else(df._operand_step(p_left), df._operand_step(p_right)) end;
  if node is null then
    raise exception 'unknown operator %', p_operator using errcode = 'syntax_error',
      hint = 'The operators are ~> |=> & | ?> !> and @>.';
  end if;
  return jsonb_build_object('kind', 'node', 'value', node, 'bare', true);
end $$;
comment on function df._apply_operator(text, jsonb, jsonb) is 'What an infix operator makes of two operands';

create function df._apply_cast(p_operand jsonb, p_type text) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  given constant text := p_operand ->> 'value';
begin
  if p_operand ->> 'kind' = 'node' then
    raise exception 'only a literal can be cast, found a step' using errcode = 'syntax_error';
  elsif p_operand ->> 'kind' = 'null' then
    return p_operand;
  end if;
  return case
    when p_type in ('text', 'varchar', 'character varying', 'name', 'timestamptz', 'timestamp with time zone', 'timestamp',
                    'timestamp without time zone', 'date') then
      jsonb_build_object('kind', 'string', 'value', case p_operand ->> 'kind' when 'number' then given::numeric::text else given end)
    when p_type in ('json', 'jsonb') then jsonb_build_object('kind', 'string', 'value', given::json::text)
    when p_type = 'interval' then jsonb_build_object('kind', 'interval', 'value', given::interval::text)
    when p_type in ('numeric', 'decimal', 'real', 'float', 'float4', 'float8', 'double precision') then
      jsonb_build_object('kind', 'number', 'value', given::numeric::text)
    when p_type in ('int', 'integer', 'int2', 'int4', 'int8', 'bigint', 'smallint') then
      jsonb_build_object('kind', 'number', 'value', case p_operand ->> 'kind' when 'number' then given::numeric::bigint::text
                                                                             else given::bigint::text end)
    when p_type in ('bool', 'boolean') then jsonb_build_object('kind', 'bool', 'value', given::boolean::text) end;
end $$;
comment on function df._apply_cast(jsonb, text) is 'A literal as another type; NULL where the language has no such type';

-- What people call a function elsewhere, and how it is written here; the reader of df.submit has the same list.
create function df._synonyms() returns jsonb language sql immutable parallel safe return '{
  "try": "df.catch(step, handler)", "rescue": "df.catch(step, handler)", "finally": "df.catch(step, handler)",
  "compensate": "df.catch(step, handler)", "on_error": "df.catch(step, handler)", "wait": "df.sleep(seconds)",
  "delay": "df.sleep(seconds)", "pause_for": "df.sleep(seconds)", "raise": "df.fail(''message'')",
  "throw": "df.fail(''message'')", "abort": "df.fail(''message'')",
  "assert": "df.if(''SELECT …'', ''SELECT …'', df.fail(''message''))", "parallel": "df.join(a, b)", "all": "df.join(a, b)",
  "concurrently": "df.join(a, b)", "first": "df.race(a, b)", "map": "df.for_each(rows, body)",
  "foreach": "df.for_each(rows, body)", "each": "df.for_each(rows, body)", "fan_out": "df.for_each(rows, body)",
  "for": "df.for_each(rows, body) or df.loop(body, condition)", "while": "df.loop(body, condition)",
  "until": "df.loop(body, condition)", "repeat": "df.loop(body, condition)", "do": "df.loop(body, condition)",
  "exit": "df.break(value)", "leave": "df.break(value)", "return": "df.break(value)",
  "cron": "df.wait_for_schedule(''0 9 * * *'')", "schedule": "df.wait_for_schedule(''0 9 * * *'')",
  "every": "df.wait_for_schedule(''*/5 * * * *'')", "at": "df.wait_for_schedule(''0 9 * * *'')",
  "await": "df.wait_for_signal(''name'')", "wait_signal": "df.wait_for_signal(''name'')",
  "receive": "df.wait_for_signal(''name'')", "http_get": "df.http(url, ''GET'')",
  "http_post": "df.http(url, ''POST'', body)", "get": "df.http(url, ''GET'')", "post": "df.http(url, ''POST'', body)",
  "fetch": "df.http(url, ''GET'')", "request": "df.http(url, ''GET'')",
  "upload": "df.http_multipart(url, parts => ''[…]'')", "call": "df.sql(''CALL …'') or df.http(url)",
  "query": "df.sql(''SELECT …''), or the string alone", "exec": "df.sql(''SELECT …''), or the string alone",
  "execute": "df.sql(''SELECT …''), or the string alone", "run": "df.sql(''SELECT …''), or the string alone",
  "step": "df.sql(''SELECT …''), or the string alone",
  "log": "a SQL step that writes into a table of yours: ''INSERT INTO …''",
  "print": "a SQL step that writes into a table of yours: ''INSERT INTO …''", "then": "a ~> b",
  "sequence": "df.seq(a, b)", "chain": "df.seq(a, b)", "case": "df.if(condition, then, else)",
  "when": "df.if(condition, then, else)", "switch": "df.if(condition, then, else)", "name": "step |=> ''name''",
  "alias": "step |=> ''name''", "let": "step |=> ''name''", "attempts": "df.retry(step, max_attempts)",
  "deadline": "df.timeout(step, seconds)"
}'::jsonb;
comment on function df._synonyms() is 'Names of functions that the language has under others';

-- A call of a constructor. Arguments are [{"name", "value": operand}].
create function df._apply_call(p_function text, p_arguments jsonb) returns jsonb language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  names constant text[] := array['sql', 'sleep', 'wait_for_schedule', 'wait_for_signal', 'http', 'http_multipart', 'if',
    'if_rows', 'loop', 'break', 'as', 'join3', 'for_each', 'retry', 'timeout', 'catch', 'fail', 'limit'];
  given record;
  what text;
  list text := '';
  node text;
begin
  if p_function in ('seq', 'join', 'race', 'any') then
    if exists (select from jsonb_array_elements(p_arguments) a where a ->> 'name' is not null) then
      raise exception 'df.% takes no named arguments', p_function using errcode = 'syntax_error';
    end if;
    node := df._group(case p_function when 'seq' then 'THEN' else upper(p_function) end, 'df.' || p_function,
      array(select df._operand_step(a.v -> 'value') from jsonb_array_elements(p_arguments) with ordinality a(v, n) order by n));
    return jsonb_build_object('kind', 'node', 'value', node);
  elsif p_function = 'start' then
    raise exception 'df.start() is allowed only around the whole workflow' using errcode = 'syntax_error', hint = 'Leave it out.';
  elsif p_function <> all (names) then
    raise exception 'unknown function df.%', p_function using errcode = 'undefined_function',
      hint = coalesce('Did you mean ' || (df._synonyms() ->> p_function) || '?', 'The functions are ' || array_to_string(array['seq', 'join', 'race', 'any'] || names, ', ') || '.');
  end if;
  for given in select a.v ->> 'name' as name, a.v -> 'value' ->> 'kind' as kind, a.v -> 'value' ->> 'value' as value, a.n
               from jsonb_array_elements(p_arguments) with ordinality a(v, n) order by a.n loop
    -- Which argument it is, of those whose type is not the same in both doors.
    what := coalesce(given.name, case p_function || given.n when 'retry3' then 'delay' when 'retry5' then 'max_delay'
      when 'retry6' then 'on' when 'http5' then 'timeout_seconds' when 'http_multipart5' then 'timeout_seconds' end);
    if given.kind = 'interval' and p_function <> 'break'
       or given.kind = 'string' and (what in ('delay', 'max_delay') or what = 'timeout_seconds' and p_function like 'http%') then
      given.value := df._seconds(given.value, case given.kind when 'interval' then 'interval' else 'text' end::regtype, what);
      given.kind := 'number';
    end if;
    list := list || case when list = '' then '' else ', ' end || coalesce(quote_ident(given.name) || ' => ', '') || case
      when given.kind = 'null' then 'null'
      when given.kind = 'node' then quote_literal(given.value) || '::pg_catalog.text'
      when given.kind = 'bool' then given.value::boolean::text
      when given.kind = 'interval' then quote_literal(given.value) || '::pg_catalog.interval'
      when given.kind = 'number' and what is distinct from 'on' then case
        when given.value::numeric::text ~ '[0-9]' then '(' || given.value::numeric || ')'
        else quote_literal(given.value::numeric) || '::pg_catalog.numeric' end  -- NaN and the infinities are not literals
      else quote_literal(given.value) end;
  end loop;
  execute format('select df.%I(%s)', p_function, list) into node;
  return jsonb_build_object('kind', 'node', 'value', node);
end $$;
comment on function df._apply_call(text, jsonb) is 'What a constructor makes of its arguments';

-- A text in postfix order, so that reading and evaluating it need no recursion. Instructions: string, number, bool and null
-- push a literal; cast, cut (to a number of characters), loop (@>), parenthesis, operator and call work on what is on top.
-- All infix operators bind alike, from the left, and @> binds tighter: for each parenthesis and call that is open, one
-- operator and a count of @> wait for their operand. Raises what is wrong with the text.
create function df._postfix(p_text text) returns table (instruction text, value text, names text, arguments int)
language plpgsql stable set search_path = pg_catalog, pg_temp as $body$
declare
  kinds text[]; vals text[]; prefixes text[]; places int[];
  n int;                     -- tokens
  i int := 1;
  opened text[] := '{}';     -- ( or the function, of what is open; for each what waits around it:
  operators text[] := '{}'; loops int[] := '{}'; lists text[] := '{}';
  depth int := 0;
  op text; looped int := 0;
  list text := '';           -- the names of the arguments so far, each empty or a name, separated by commas
  fresh boolean := false;    -- an argument begins here
  complete boolean := false; -- an operand has just ended
begin
  select array_agg(t.kind), array_agg(t.value), array_agg(t.prefix), array_agg(t.at)
  into kinds, vals, prefixes, places from df._tokens(p_text) t;
  n := coalesce(cardinality(kinds), 0);
  n := n - coalesce(n > 0 and kinds[n] = 'mark' and vals[n] = ';', false)::int;
  i := i + coalesce(kinds[1] = 'word' and vals[1:4] = array['select', 'df', '.', 'start'], false)::int;
  while i <= n loop
    instruction := null; names := null; arguments := null;
    if prefixes[i] like '!%' then
      raise syntax_error using message = format('this %s is not closed (%s)', case prefixes[i] when '!/*' then 'comment' else 'quote' end,
        df._place(p_text, places[i]));
    elsif complete and kinds[i] = 'operator' and vals[i] = any (array['~>', '|=>', '&', '|', '?>', '!>']) then
      op := vals[i]; complete := false; i := i + 1;
      continue;
    elsif complete and kinds[i] = 'mark' and vals[i] = ',' and opened[depth] <> '(' then
      list := list || ','; fresh := true; complete := false; op := null; i := i + 1;
      continue;
    elsif kinds[i] = 'mark' and vals[i] = ')' and (complete and depth > 0 or fresh and list = '' and opened[depth] <> '(') then
      if opened[depth] = 'start' and (depth > 1 or i < n) then
        raise syntax_error using message = 'df.start() is allowed only around the whole workflow', hint = 'Leave it out.';
      end if;
      instruction := case opened[depth] when '(' then 'parenthesis' else 'call' end;
      value := opened[depth]; names := list; arguments := case when complete then length(list) - length(replace(list, ',', '')) + 1 else 0 end;
      op := operators[depth]; looped := loops[depth]; list := lists[depth]; fresh := false;
      depth := depth - 1;
    elsif complete then
      raise syntax_error using message = format('expected an operator, found %s (%s)', df._shown(kinds[i], vals[i]), df._place(p_text, places[i])),
        hint = 'The operators are ~> |=> & | ?> !> and @>; for "and then" write ~>.';
    elsif kinds[i] = 'string' then
      instruction := 'string'; value := df._string_value(prefixes[i], vals[i]);
    elsif kinds[i] = 'operator' and vals[i] = '@>' then
      looped := looped + 1; fresh := false; i := i + 1;
      continue;
    elsif kinds[i] = 'number' or kinds[i] = 'operator' and vals[i] in ('-', '+') and kinds[i + 1] = 'number' then
      value := case kinds[i] when 'number' then '' else vals[i] end;
      i := i + (kinds[i] = 'operator')::int;
      if kinds[i + 1] = 'word' and places[i + 1] = places[i] + length(vals[i]) then
        raise syntax_error using message = format('found letters right after the number %s (%s)', vals[i], df._place(p_text, places[i + 1]));
      end if;
      instruction := 'number'; value := value || vals[i];
    elsif kinds[i] = 'mark' and vals[i] = '('
          or kinds[i] in ('word', 'identifier') and vals[i:i + 1] = array['df', '.'] and vals[i + 3] = '(' and kinds[i + 2] in ('word', 'identifier') then
      depth := depth + 1;
      if depth > 256 then
        raise program_limit_exceeded using message = 'maximum nesting depth of 256 exceeded';
      end if;
      opened[depth] := case vals[i] when '(' then '(' else vals[i + 2] end;
      operators[depth] := op; loops[depth] := looped; lists[depth] := list;
      op := null; looped := 0; list := ''; fresh := vals[i] <> '(';
      i := i + case vals[i] when '(' then 1 else 4 end;
      continue;
    elsif fresh and kinds[i] in ('word', 'identifier') and kinds[i + 1] = 'mark' and vals[i + 1] in ('=>', ':=') and vals[i] ~ '^[a-z_]+$' then
      list := list || vals[i]; fresh := false; i := i + 2;
      continue;
    elsif kinds[i] = 'word' and vals[i] in ('true', 'false', 'null') then
      instruction := case vals[i] when 'null' then 'null' else 'bool' end; value := vals[i];
    elsif kinds[i] = 'word' and df._type_words(kinds, vals, i) > 0 and kinds[i + df._type_words(kinds, vals, i)] = 'string' then
      -- interval '5' minute, json '{}': a cast written before its string
      names := array_to_string(vals[i:i + df._type_words(kinds, vals, i) - 1], ' ');
      i := i + df._type_words(kinds, vals, i);
      instruction := 'string'; value := df._string_value(prefixes[i], vals[i]);
      if names = 'interval' and kinds[i + 1] = 'word' then
        value := value || ' ' || vals[i + 1];
        i := i + 1;
      end if;
      return next;
      instruction := 'cast'; value := names; names := null;
    else
      raise syntax_error using message = format('expected a step, found %s (%s)%s', df._shown(kinds[i], vals[i]), df._place(p_text, places[i]),
          case when kinds[i] in ('word', 'identifier') then '; there is no SQL outside of quotes' else '' end),
        hint = 'A SQL step is a string: ''SELECT …'' or $$ SELECT … $$; functions are written df.name(…).';
    end if;
    return next;
    fresh := false;
    i := i + 1;
    while kinds[i] = 'mark' and vals[i] = '::' loop
      instruction := 'cast'; value := array_to_string(vals[i + 1:i + df._type_words(kinds, vals, i + 1)], ' ');
      if value = '' then
        raise syntax_error using message = format('cannot cast to %s (%s)', coalesce(vals[i + 1], 'nothing'), df._place(p_text, places[i])),
          hint = 'A literal may be cast to json, jsonb, text, interval, numeric, int or bool.';
      end if;
      return next;
      i := i + 1 + df._type_words(kinds, vals, i + 1);
      if value like '%char%' and vals[i] = '(' and kinds[i + 1] = 'number' and vals[i + 2] = ')' then
        instruction := 'cut'; value := vals[i + 1];
        return next;
        i := i + 3;
      end if;
    end loop;
    instruction := 'loop';
    for k in 1..looped loop
      return next;
    end loop;
    looped := 0;
    if op is not null then
      instruction := 'operator'; value := op; op := null;
      return next;
    end if;
    complete := true;
  end loop;
  if depth > 0 then
    raise syntax_error using message = 'a parenthesis is not closed';
  elsif not complete then
    raise syntax_error using message = 'expected a step, found the end of the text';
  end if;
end $body$;
comment on function df._postfix(text) is 'A text of the language in postfix order';

create function df._place(p_text text, p_at int) returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  lines constant text[] := string_to_array(left(p_text, p_at - 1), E'\n');
begin
  return format('line %s, column %s', greatest(cardinality(lines), 1), length(coalesce(lines[cardinality(lines)], '')) + 1);
end $$;
comment on function df._place(text, int) is 'A place in a text, as line and column';

create function df._shown(p_kind text, p_value text) returns text language sql immutable parallel safe
  return case p_kind when 'string' then '''' || pg_catalog.left(p_value, 40) || '''' else pg_catalog.left(p_value, 40) end;
comment on function df._shown(text, text) is 'A token in a message';

-- How many of the words from p_at on name a type that literals may have; 0 where they name none.
create function df._type_words(p_kinds text[], p_vals text[], p_at int) returns int language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  if p_kinds[p_at] <> 'word' then
    return 0;
  end if;
  for words in reverse 4..1 loop
    if array_to_string(p_vals[p_at:p_at + words - 1], ' ') = any (df._literal_types()) then
      return words;
    end if;
  end loop;
  return 0;
end $$;
comment on function df._type_words(text[], text[], int) is 'The length of the name of a type';

create function df._literal_types() returns text[] language sql immutable parallel safe
return array['text', 'varchar', 'character varying', 'name', 'timestamptz', 'timestamp with time zone', 'timestamp',
  'timestamp without time zone', 'date', 'json', 'jsonb', 'interval', 'numeric', 'decimal', 'real', 'float', 'float4', 'float8',
  'double precision', 'int', 'integer', 'int2', 'int4', 'int8', 'bigint', 'smallint', 'bool', 'boolean'];
comment on function df._literal_types() is 'The types of literals in a text';

-- The graph that a text means, and the warnings that only the text shows; raises what is wrong with it.
create function df._read_text(p_text text, out graph text, out warnings text[]) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  next record;
  stack jsonb[] := '{}';
  top int := 0;
  operand jsonb;
  place int;  -- in `warnings`, of the one about the operand
begin
  warnings := '{}';
  for next in select p.* from df._postfix(p_text) p loop
    operand := stack[top];
    case next.instruction
      when 'string', 'number', 'bool', 'null' then
        top := top + 1;
        operand := jsonb_build_object('kind', next.instruction, 'value', next.value);
      when 'cast' then operand := df._apply_cast(operand, next.value);
      when 'cut' then operand := jsonb_set(operand, '{value}', to_jsonb(left(operand ->> 'value', next.value::int)));
      when 'loop' then operand := jsonb_build_object('kind', 'node', 'value', df._op_loop(df._operand_step(operand)));
      when 'parenthesis' then operand := operand - 'bare';
      when 'operator' then
        top := top - 1;
        place := (stack[top] ->> 'place')::int;
        operand := df._apply_operator(next.value, stack[top], operand);
        if next.value = '|=>' and (place is not null or operand ->> 'warning' is not null) then
          place := coalesce(place, cardinality(warnings) + 1);
          warnings[place] := operand ->> 'warning';
          operand := operand || jsonb_build_object('place', place);
        end if;
      when 'call' then
        top := top - next.arguments + 1;
        operand := (select jsonb_agg(jsonb_build_object('name', nullif(a.name, ''), 'value', a.value) order by a.n)
                    from unnest(string_to_array(next.names || ',', ','), stack[top:top + next.arguments - 1]) with ordinality a(name, value, n)
                    where a.n <= next.arguments);
        operand := case next.value
          when 'start' then (select a -> 'value' from jsonb_array_elements(operand) a where coalesce(a ->> 'name', 'fut') = 'fut' limit 1)
          else df._apply_call(next.value, coalesce(operand, '[]')) end;
    end case;
    stack[top] := operand;
  end loop;
  graph := df._operand_step(stack[1]);
  warnings := array_remove(warnings, null);
end $$;
comment on function df._read_text(text) is 'The graph of a text of the language';

-- How text begins: as a text of the language ('text', or 'start' for SELECT df.start), as a SQL statement, or 'other'.
create function df._beginning(p_text text) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare
  kinds text[]; vals text[];
begin
  select array_agg(t.kind), array_agg(t.value) into kinds, vals
  from (select * from df._tokens(p_text) t where t.prefix <> '!/*' and (t.kind <> 'mark' or t.value <> '(') limit 4) t;
  return case
    when kinds[1] = 'string' or kinds[1] = 'operator' and vals[1] = '@>' or vals[1:2] = array['df', '.'] then 'text'
    when vals = array['select', 'df', '.', 'start'] then 'start'
    when kinds[1] in ('operator', 'number') then 'other'
    else 'statement' end;
end $$;
comment on function df._beginning(text) is 'Whether text is one of the language or a SQL statement, by how it begins';

-- Explaining ------------------------------------------------------------------------------------------------------

create function df._explain_expression(p_text text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  beginning constant text := df._beginning(p_text);
  read record;
  graph text := p_text;
  problem text;
  hint text;
  warnings text[];
begin
  if p_text is null then
    return 'Invalid durable function graph: root: is NULL';
  elsif octet_length(p_text) > 1048576 then
    return 'Invalid durable function graph: root: longer than 1048576 bytes';
  elsif p_text !~ '^\s*\{' and beginning <> 'statement' then
    begin
      read := df._read_text(p_text);
      graph := read.graph;
    exception when others then
      get stacked diagnostics problem = message_text, hint = pg_exception_hint;
    end;
    if problem is not null and beginning <> 'start' then  -- SELECT df.start(…) FROM … is a statement
      return 'Invalid durable function graph: ' || problem || coalesce(E'\nHint: ' || nullif(hint, ''), '');
    end if;
  end if;
  problem := df._graph_problem(graph, 256, 10000, 1048576);
  if problem is not null then
    return 'Invalid durable function graph: ' || problem;
  end if;
  graph := df._node(graph);
  warnings := array(select w from df._warnings(graph::json) w);
  if read is not null then  -- the text shows which names were put on the bare result of an operator
    warnings := read.warnings || array(select w from unnest(warnings) w where w not like '%is bound to the whole%');
  end if;
  return df._tree(graph::json) || coalesce(E'\n\nInput: ' || df._input_reads(graph::json), '')
    || coalesce(E'\n\n' || (select string_agg('Warning: ' || w, E'\n' order by n)
                                                       from unnest(warnings) with ordinality u(w, n)), '');
end $$;
comment on function df._explain_expression(text) is 'The plan of a workflow that has not been started';

create function df._mark(p_status text) returns text language sql immutable parallel safe
  return case p_status when 'completed' then '✓' when 'failed' then '✗' when 'running' then '⏳'
                       when 'skipped' then '⊘' else '○' end;
comment on function df._mark(text) is 'The mark of a node''s status';

-- Of a step from the start of its first attempt, of a wait from its own, to its end; in a loop or a df.for_each its last
-- time. Null where it is not known, as of nodes that enclose others.
create function df._node_times(p_id text) returns table (node_id text, took interval) language sql stable
begin atomic
  select e.node,
         case when not bool_or(e.kind = 'IterationCompleted' or e.kind = 'TimerStarted' and e.data ->> 'kind' = 'pace')
                and bool_or(e.is_end or e.kind in ('SignalReceived', 'TimerFired'))
                and bool_and(e.started_at is not null or not e.is_end)
              then greatest(max(e.at) - coalesce(min(e.started_at), min(e.at)), interval '0') end
  from (select l.*, l.kind in ('StepCompleted', 'StepFailed') as is_end,
               first_value(l.scope) over (partition by l.node order by l.seq desc) as last_scope
        from df.events l where l.instance_id = p_id and l.node is not null) e
  where e.scope = e.last_scope group by e.node;
end;
comment on function df._node_times(text) is 'How long the steps and waits of an instance took';

create function df._duration(p_time interval) returns text language sql immutable parallel safe
  return case when extract(epoch from p_time) < 1 then pg_catalog.round(extract(epoch from p_time) * 1000)::text || ' ms'
    when extract(epoch from p_time) < 120 then pg_catalog.trim_scale(pg_catalog.round(extract(epoch from p_time), 2))::text || ' s'
    else pg_catalog.justify_interval(pg_catalog.date_trunc('second', p_time))::text end;
comment on function df._duration(interval) is 'A duration for people';

-- psql gives a column the width of its longest line, so one long line would wrap all the others.
create function df._shortened(p_text text) returns text language sql immutable parallel safe
  return case when pg_catalog.length(p_text) > 100 then pg_catalog."left"(p_text, 99) || '…' else p_text end;
comment on function df._shortened(text) is 'At most 100 characters of a text';

create function df._no_graph() returns text language sql immutable parallel safe
  return 'the nodes are not shown: the text is not JSON that can be read, or the graph has more than 256 levels, 10000 nodes '
         || 'or 1048576 bytes';
comment on function df._no_graph() is 'What df.explain says of a graph that is not drawn';

create function df._explain_instance(p_id text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  instance record;
  graph constant json := df._graph(p_id);
  output text := df._output(p_id);
  marks text[];
  notes text[];
  body text;
begin
  select i.id, i.label, i.status, i.dsl into instance from df.instances i where i.id = p_id;
  if graph is null then
    -- The error of a text that cannot be read ends with its line and a caret.
    body := coalesce(nullif(output, split_part(output, E'\n', 1)) || E'\n\n', '')
      || case when instance.dsl like '{"node_type":"%' then 'Remark: ' || df._no_graph() || E'\n' else '' end || 'Text: ' || df._one_line(left(instance.dsl, 1000));
    output := split_part(output, E'\n', 1);
  else
    select array_agg(df._mark(s.inferred_status) order by s.node_id),
           array_agg(case when s.inferred_status in ('completed', 'failed') and t.took is not null
                       then ' (' || case when s.node_type in ('HTTP', 'HTTP_MULTIPART') then coalesce(coalesce(s.result -> 'http' ->> 'status', s.result ->> 'status') || ', ', '')
                                         else '' end || df._duration(t.took) || ')' else '' end
                     || coalesce(' ' || (s.progress ->> 'done') || '/' || (s.progress ->> 'total')
                                 || case when s.progress ->> 'failed' <> '0' then ', ' || (s.progress ->> 'failed') || ' failed '
                                           || (s.progress ->> 'first_failed') else '' end, '')
                     || case when s.error ->> 'code' = 'stopped' then ' (' || (s.error ->> 'message') || ')'
                             else coalesce(' error: ' || df._one_line(s.error ->> 'message'), '') end order by s.node_id)
    into marks, notes from df._node_states(p_id) s left join df._node_times(p_id) t on t.node_id = s.node_id;
    body := df._tree(graph, marks, notes);
  end if;
  return 'Instance: ' || instance.id || coalesce(' (' || df._one_line(instance.label) || ')', '')
    || E'\nStatus: ' || instance.status || E'\nOutput: ' || coalesce(df._shortened(df._one_line(output)), '-')
    || coalesce((select string_agg(E'\nWarning: ' || w.value, '' order by w.n)
                 from df.events e, json_array_elements_text(e.data -> 'warnings') with ordinality w(value, n)
                 where e.instance_id = p_id and e.kind = 'InstanceStarted'), '')
    || E'\n\n' || body;
end $$;
comment on function df._explain_instance(text) is 'An instance as a tree with the state of each node';

create function df.explain(instance_or_expression text) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp set jit = off as $$
begin
  if instance_or_expression ~ '^[0-9a-z]{8}$' then
    perform df._instance_status(instance_or_expression);
    return df._explain_instance(instance_or_expression);
  end if;
  return df._explain_expression(instance_or_expression);
end $$;
comment on function df.explain(text) is
  'A workflow as a tree: of an instance with marks, times and errors; of an expression the plan and its warnings';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_one_line'), ('_number'), ('_describe'), ('_heading'), ('_tree'), ('_tokens'), ('_string_value'),
  ('_operand_step'), ('_apply_operator'), ('_apply_cast'), ('_apply_call'), ('_postfix'), ('_place'),
  ('_shown'), ('_type_words'), ('_literal_types'), ('_read_text'), ('_beginning'), ('_explain_expression'), ('_synonyms'),
  ('_mark'), ('_node_times'), ('_duration'), ('_shortened'), ('_no_graph'), ('_explain_instance'), ('explain');

revoke all on all functions in schema df from public;
