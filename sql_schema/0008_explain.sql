-- df.explain: a workflow as a tree of lines. The rules of the lines are those of dsl/text/printer.hpp, byte for byte.

-- The planner thinks recursive queries over json dear, and would compile them (jit) for longer than they run.

create function df._one_line(value text) returns text language sql immutable parallel safe
  return pg_catalog.btrim(pg_catalog.regexp_replace(value, E'[ \t\n\r\f\x0B]+', ' ', 'g'), ' ');
comment on function df._one_line(text) is 'Text with its runs of white space as single spaces';

create function df._number(value text) returns text language sql immutable parallel safe
  return pg_catalog.trim_scale(pg_catalog.round(value::numeric, 6))::text;
comment on function df._number(text) is 'A number without trailing zeros';

-- The kind of a node with its arguments, as far as its name comes after them.
create function df._describe(p_node_type text, p_query text, p_children bigint) returns text language plpgsql immutable
  parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  config json;
begin
  if p_node_type in ('SIGNAL', 'HTTP', 'HTTP_MULTIPART', 'FOR_EACH', 'RETRY', 'TIMEOUT', 'IF', 'FAIL')
     or p_node_type = 'WAIT_SCHEDULE' and df._try_jsonb(p_query) ? 'cron' then
    config := p_query::json;
  end if;
  return case p_node_type
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
    when 'HTTP_MULTIPART' then
      'HTTP_MULTIPART ' || upper(coalesce(config ->> 'method', 'POST')) || ' ' || df._one_line(config ->> 'url')
    when 'FOR_EACH' then 'FOR EACH ' || coalesce(config ->> 'name', 'item') || ' (max '
      || coalesce(config ->> 'max_parallel', '10') || ')'
    when 'RETRY' then 'RETRY ' || (config ->> 'max_attempts') || 'x'
    when 'TIMEOUT' then 'TIMEOUT ' || df._number(config ->> 'seconds') || 's'
    when 'FAIL' then 'FAIL ''' || df._one_line(config ->> 'message') || ''''
      || coalesce(' (' || nullif(config ->> 'code', 'P0001') || ')', '')
    else p_node_type end;
end $$;
comment on function df._describe(text, text, bigint) is 'The kind of a node with its arguments, for df.explain';

-- What stands above a child; NULL for a child that stands right below its parent's line.
create function df._heading(p_parent_type text, p_rows boolean, p_slot int) returns text language sql immutable parallel safe
  return case
    when p_parent_type = 'IF' then (array['condition:', 'then:', 'else:'])[p_slot + 1 + p_rows::int]
    when p_parent_type in ('JOIN', 'RACE', 'ANY') then 'branch ' || p_slot + 1 || ':'
    when p_parent_type = 'LOOP' then (array['body:', 'while:'])[p_slot + 1]
    when p_parent_type = 'FOR_EACH' then (array['rows:', 'body:'])[p_slot + 1]
    when p_parent_type = 'CATCH' then (array['body:', 'handler:'])[p_slot + 1]
    when p_parent_type in ('RETRY', 'TIMEOUT') then 'body:' end;
comment on function df._heading(text, boolean, int) is 'What stands above a child in df.explain';

-- `p_marks` and `p_notes`, one for each node, stand before and after its line.
create function df._tree(p_graph json, p_marks text[] default '{}', p_notes text[] default '{}') returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  n record;
  lines text[] := '{}';
  indents int[] := '{}';
  above text;
  p int;
  inside int;
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
    if above is not null then
      lines := lines || (repeat(' ', indents[p] + 2) || above);
    end if;
    if n.has_line then
      lines := lines || (repeat(' ', inside) || coalesce(p_marks[n.idx + 1] || ' ', '')
        || df._describe(n.node_type, n.query, n.children) || coalesce(' |=> ''' || n.result_name || '''', '')
        || case when n.node_type in ('SQL', 'BREAK') and n.query is not null then ': ' || df._one_line(n.query) else '' end
        || coalesce(p_notes[n.idx + 1], ''));
    end if;
  end loop;
  return array_to_string(lines, E'\n');
end $$;
comment on function df._tree(json, text[], text[]) is 'A graph as lines';

-- Warnings --------------------------------------------------------------------------------------------------------

-- The names that text refers to. In a statement, comments and quoted identifiers hold no references; strings do.
create function df._references(p_text text, p_is_sql boolean) returns setof text language sql immutable parallel safe
begin atomic
  select distinct coalesce(nullif(code.parts[2], ''), string.parts[1])
  from pg_catalog.regexp_matches(p_text, case when p_is_sql
         then $re$([eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')|"[^"]*"|--[^\n]*|/\*(?:[^*]|\*[^/])*\*/$re$
           || $re$|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*|[0-9]+\$?|\$(?:[A-Za-z_]\w*)?\$|\$([A-Za-z_][A-Za-z0-9_]*)$re$
         else '(.+)()' end, 'g') code(parts)
    left join lateral pg_catalog.regexp_matches(
      code.parts[1], '\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$|\$([A-Za-z_][A-Za-z0-9_]*)', 'g') string(parts) on true
  where coalesce(nullif(code.parts[2], ''), string.parts[1]) <> '';
end;
comment on function df._references(text, boolean) is 'The names that text refers to by $name';

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
        select n - 1, r from (select own union select * from df._references(queries[n], kinds[n] = 'SQL')) u(r)
        where r is not null and r <> all (bound) and r <> all (implicit) and (own is null or r = own) order by 2;
    end if;
    if kinds[n] = 'LOOP' and n > 1 then
      bound := bound || array_remove(names[n + 1:ends[n]], null);
    end if;
    n := n + 1;
  end loop;
end $$;
comment on function df._unbound_names(json) is 'The names that nodes refer to and nothing before them binds';

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
      when kinds[n] in ('THEN', 'JOIN', 'RETRY', 'TIMEOUT') then ending[n] = counts[n]
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
      select u.idx + 1, 3, format('$%s is referenced, but nothing before binds that name', u.name)
      from df._unbound_names(p_graph) u) w(at, rank, what)
    order by w.at, w.rank, w.what;
end $$;
comment on function df._warnings(json) is 'What is likely not meant so in a graph';

-- Explaining ------------------------------------------------------------------------------------------------------

create function df._explain_expression(p_text text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  graph text;
  problem text;
begin
  if p_text is null then
    return 'Invalid durable function graph: root: is NULL';
  end if;
  problem := df._graph_problem(p_text, 256, 10000, 1048576);
  if problem is not null then
    return 'Invalid durable function graph: ' || problem;
  end if;
  graph := df._node(p_text);
  return df._tree(graph::json) || coalesce(E'\n\n' || (select string_agg('Warning: ' || w, E'\n') from df._warnings(graph::json) w), '');
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
    -- Why a text is none has its line with a caret under it.
    body := coalesce(nullif(output, split_part(output, E'\n', 1)) || E'\n\n', '')
      || 'Text: ' || df._one_line(left(instance.dsl, 1000));
    output := split_part(output, E'\n', 1);
  else
    select array_agg(df._mark(s.inferred_status) order by s.node_id),
           array_agg(case when s.inferred_status in ('completed', 'failed') and t.took is not null
                       then ' (' || df._duration(t.took) || ')' else '' end
                     || coalesce(' error: ' || df._one_line(s.error ->> 'message'), '') order by s.node_id)
    into marks, notes from df._node_states(p_id) s left join df._node_times(p_id) t on t.node_id = s.node_id;
    body := df._tree(graph, marks, notes);
  end if;
  return 'Instance: ' || instance.id || coalesce(' (' || df._one_line(instance.label) || ')', '')
    || E'\nStatus: ' || instance.status || E'\nOutput: ' || coalesce(df._one_line(output), '-')
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
  ('_one_line'), ('_number'), ('_describe'), ('_heading'), ('_tree'), ('_references'), ('_subtree_ends'),
  ('_unbound_names'), ('_warnings'), ('_explain_expression'), ('_mark'), ('_node_times'), ('_duration'),
  ('_explain_instance'), ('explain');

revoke all on all functions in schema df from public;
