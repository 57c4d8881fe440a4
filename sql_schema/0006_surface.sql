-- What people and monitoring read: lists of instances, the state of each node, what is being waited for.
-- All of it is derived from df.instances and df.events, with the reader's own rights.

-- Instances -------------------------------------------------------------------------------------------------------

-- A loop that is the whole workflow is one execution an iteration; any other workflow is one execution.
create function df._execution_count(p_id text) returns bigint language sql stable
  return 1 + coalesce((select (e.data ->> 'iteration')::bigint from df.events e
                       where e.instance_id = p_id and e.kind = 'IterationCompleted' and e.node = '00000000' and e.scope = ''
                       order by e.seq desc limit 1), 0);
comment on function df._execution_count(text) is 'How many executions an instance has had: iterations of a loop at the root, else 1';

create function df._output(p_id text) returns text language sql stable
  return (select case i.status
    when 'completed' then (select coalesce(case when e.kind = 'InstanceCompleted' then e.data -> 'result' else e.data end, 'null')::text
                           from df.events e where e.instance_id = i.id and e.seq = i.result_seq)
    else i.error ->> 'message' end
  from df.instances i where i.id = p_id);
comment on function df._output(text) is 'The result of a completed instance, the message of one that failed';

create type df.instance_summary as (instance_id text, label text, function_name text, status text, execution_count bigint,
  output text);
comment on type df.instance_summary is 'A row of df.list_instances';
create type df.instance_page_row as (instance_id text, label text, function_name text, status text, execution_count bigint,
  output text, created_at timestamptz, completed_at timestamptz, next_cursor text);
comment on type df.instance_page_row is 'A row of df.list_instances with a cursor';

create function df._list_limit(p_limit int) returns int language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := coalesce((select value from df.settings where name = 'list_limit')::int, 1000);
begin
  if p_limit is null or p_limit < 1 then
    raise invalid_parameter_value using message = 'limit must be at least 1';
  elsif p_limit > most then
    raise invalid_parameter_value using message = format('limit %s is over the cap of %s', p_limit, most),
      hint = 'The cap is list_limit in df.settings; use the cursor to read on.';
  end if;
  return p_limit;
end $$;
comment on function df._list_limit(int) is 'The limit of a list, refused when it is over the cap';

create function df._cursor(p_created_at timestamptz, p_id text) returns text language sql immutable parallel safe
  return pg_catalog.to_hex((extract(epoch from p_created_at) * 1000000)::bigint) || '.' || p_id;
comment on function df._cursor(timestamptz, text) is 'Where a page of a list ends';

-- Newest first. The cursor names the last row of a page; the next page begins behind it, whatever was added meanwhile. Planned
-- for its arguments each time, so that each of them finds its index: what is null below is no condition then. The policy of
-- df.instances decides who sees what; naming the role lets its index be used.
create function df.list_instances(status text, "limit" int, label text, after_cursor text default null)
returns setof df.instance_page_row language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan set jit = off as $$
#variable_conflict use_column
declare
  own constant regrole := case when not df._is_operator() and row_security_active('df.instances') then df._me() end;
  unfinished constant boolean := lower($1) in ('pending', 'running', 'paused');
  p_status constant text := lower($1);
  p_limit constant int := df._list_limit($2);
  p_label constant text := $3;
  after_at timestamptz := 'infinity';
  after_id text := '';
begin
  if p_status <> all (array['pending', 'running', 'completed', 'failed', 'cancelled', 'paused']) then
    raise invalid_parameter_value using message = format('"%s" is not a status', $1),
      hint = 'The statuses are pending, running, completed, failed, cancelled and paused.';
  elsif $4 !~ '^[0-9a-f]{1,15}\.[0-9a-z]+$' then
    raise invalid_parameter_value using message = 'malformed cursor', hint = 'Give next_cursor of the page before.';
  elsif $4 is not null then
    after_at := timestamptz 'epoch' + ('x' || lpad(split_part($4, '.', 1), 16, '0'))::bit(64)::bigint * interval '1 microsecond';
    after_id := split_part($4, '.', 2);
  end if;
  return query
    with page as (
      select i.id, i.label, i.status, i.created_at, i.completed_at from df.instances i
      where (i.created_at, i.id) < (after_at, after_id) and (p_status is null or i.status = p_status)
        and (p_label is null or i.label = p_label)
        and (own is null or i.submitted_by = own) and (unfinished is not true or i.completed_at is null)
      order by i.created_at desc, i.id desc limit p_limit + 1
    ), ranked as (
      select p.*, row_number() over (order by p.created_at desc, p.id desc) as n, count(*) over () as total from page p
    )
    select r.id, r.label, 'workflow', r.status, df._execution_count(r.id), df._output(r.id), r.created_at, r.completed_at,
           case when r.total > p_limit then (select df._cursor(l.created_at, l.id) from ranked l where l.n = p_limit) end
    from ranked r where r.n <= p_limit order by r.n;
end $$;
comment on function df.list_instances(text, int, text, text) is
  'Instances that the caller may see, newest first, a page at a time: give next_cursor of one page as after_cursor for the next; it is NULL on the last page. Errors (22023): a status that does not exist, a malformed cursor, a limit above list_limit of df.settings (1000)';

create function df.list_instances(status text default null, "limit" int default 100) returns setof df.instance_summary
language sql stable begin atomic
  select l.instance_id, l.label, l.function_name, l.status, l.execution_count, l.output
  from df.list_instances($1, $2, null, null) l;
end;
comment on function df.list_instances(text, int) is
  'Instances that the caller may see, newest first; of one status, or NULL for all';

create function df.instance_info(p_instance_id text)
returns table (instance_id text, label text, function_name text, function_version text, current_execution_id bigint,
               status text, output text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select i.id, i.label, 'workflow', df.version(), df._execution_count(i.id), i.status, df._output(i.id)
               from df.instances i where i.id = p_instance_id;
end $$;
comment on function df.instance_info(text) is
  'One instance: its label, status, output, and the number of its current execution; no row for one that is not there or that the caller may not see';

create function df.instance_executions(p_instance_id text, "limit" int default 5)
returns table (execution_id bigint, status text, event_count bigint, duration_ms bigint, output text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  last constant bigint := df._execution_count(p_instance_id);
  now_status constant text := (select i.status from df.instances i where i.id = p_instance_id);
  p_limit constant int := df._list_limit($2);
begin
  return query
    with numbered as (
      select e.seq, e.at, e.data, 1 + coalesce(max(case when e.kind = 'IterationCompleted' and e.node = '00000000' and e.scope = ''
               then (e.data ->> 'iteration')::bigint end) over (order by e.seq), 0) as execution
      from df.events e where e.instance_id = p_instance_id
    ), grouped as (
      select n.execution, count(*) as events, min(n.at) as began, max(n.at) as ended from numbered n group by n.execution
    )
    select g.execution, case when g.execution < last then 'completed' else now_status end, g.events,
           (extract(epoch from coalesce((select h.began from grouped h where h.execution = g.execution + 1), g.ended) - g.began)
             * 1000)::bigint,
           case when g.execution = last then df._output(p_instance_id) end
    from grouped g order by g.execution desc limit p_limit;
end $$;
comment on function df.instance_executions(text, int) is
  'The executions of an instance, the last one first. A loop that is the whole workflow has one for each iteration whose events are kept; any other workflow has one';

-- Nodes -----------------------------------------------------------------------------------------------------------

-- Whether a graph has no more levels and nodes than one that df.start takes. What comes through df.submit was not checked, and
-- costs whoever looks at it.
create function df._is_drawable(p_graph jsonb, max_depth int default 256, max_nodes int default 10000) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with recursive walk as (
    select p_graph as node, 1 as depth
    union all
    select c.node, w.depth + 1
    from walk w cross join lateral (
      select e.value as node from jsonb_each(case when jsonb_typeof(w.node) = 'object' then w.node end) e
      where e.key in ('condition_node', 'left_node', 'right_node')
      union all
      select x.node from jsonb_array_elements(
        case when jsonb_typeof(w.node -> 'extra_nodes') = 'array' then w.node -> 'extra_nodes' end) x(node)) c
    where w.depth <= max_depth)
  select count(*) <= max_nodes and max(l.depth) <= max_depth from (select w.depth from walk w limit max_nodes + 1) l
$$;
comment on function df._is_drawable(jsonb, int, int) is 'Whether a graph that nobody has checked is within the limits of one that is run';

-- The graph as the daemon took it, or as the SQL door built it while none has; null for text that nobody has parsed, and for
-- a graph that is too large for a daemon.
create function df._graph(p_id text) returns json language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  graph json := (select e.data -> 'graph' from df.events e
                 where e.instance_id = p_id and e.kind = 'InstanceStarted' order by e.seq limit 1);
  source constant text := case when graph is null then (select i.dsl from df.instances i where i.id = p_id) end;
  parsed jsonb;
begin
  if source like '{"node_type":"%' and octet_length(source) <= 1048576 then
    parsed := df._try_jsonb(source);
    graph := case when df._is_drawable(parsed) then parsed end::json;
  end if;
  return graph;
end $$;
comment on function df._graph(text) is 'The graph of an instance, or null when it is not known yet';

-- The nodes in preorder, with what encloses them: the engine's numbering. `slot` is 0 for the first child in the order of
-- execution; `loops` counts the enclosing loops and for_eachs, which is how many numbers a scope at the node has.
create function df._graph_nodes(p_graph json)
returns table (idx int, id text, parent int, slot int, node_type text, query text, result_name text, left_idx int,
               right_idx int, loops int)
language sql stable set search_path = pg_catalog, pg_temp set enable_nestloop = off as $$  -- the planner cannot know how many rows a recursion gives
  with recursive walk as (
    select p_graph as node, p_graph ->> 'node_type' as kind, array[]::int[] as path, 0 as loops, '' as key
    union all
    select c.node, c.node ->> 'node_type', w.path || c.slot::int,
           w.loops + case when w.kind = 'LOOP' or w.kind = 'FOR_EACH' and c.key = 'right_node' then 1 else 0 end, c.key
    from walk w cross join lateral (
      select k.key, w.node -> k.key as node, pg_catalog.row_number() over (order by k.place) - 1 as slot
      from (values ('left_node', 1), ('right_node', 2),
                   ('condition_node', case w.kind when 'IF' then 0 else 3 end)) k(key, place)
      where pg_catalog.json_typeof(w.node -> k.key) = 'object'
      union all
      select 'extra_nodes', x.node, x.n + 1
      from pg_catalog.json_array_elements(case when pg_catalog.json_typeof(w.node -> 'extra_nodes') = 'array'
                                            then w.node -> 'extra_nodes' end) with ordinality x(node, n)) c
  ), numbered as (
    select w.*, (pg_catalog.row_number() over (order by w.path) - 1)::int as idx from walk w
  ), nested as (
    select n.*, p.idx as parent
    from numbered n left join numbered p on pg_catalog.cardinality(n.path) > 0 and p.path = n.path[:pg_catalog.cardinality(n.path) - 1]
  )
  select n.idx, pg_catalog.lpad(pg_catalog.to_hex(n.idx), 8, '0'), n.parent, n.path[pg_catalog.cardinality(n.path)],
         n.kind, n.node ->> 'query', n.node ->> 'result_name', l.idx, r.idx, n.loops
  from nested n left join nested l on l.parent = n.idx and l.key = 'left_node'
       left join nested r on r.parent = n.idx and r.key = 'right_node'
  order by n.idx
$$;
comment on function df._graph_nodes(json) is 'The nodes of a graph in preorder, numbered as the engine numbers them';

-- What a leaf's last event says about it; null where it says nothing (the pace of a loop, a timeout that runs).
create function df._event_status(p_kind text, p_node_type text, p_data json) returns text
language sql immutable parallel safe
  return case p_kind
    when 'StepCompleted' then 'completed'
    when 'SignalReceived' then 'completed'
    when 'StepStarted' then 'running'
    when 'SignalAwaited' then 'running'
    when 'StepFailed' then case when p_data ->> 'retry_at' is null then 'failed' else 'running' end
    when 'IterationCompleted' then 'running'
    when 'TimerStarted' then case when p_node_type not in ('LOOP', 'TIMEOUT') then 'running' end
    when 'TimerFired' then case p_node_type when 'SLEEP' then 'completed' when 'WAIT_SCHEDULE' then 'completed'
      when 'SIGNAL' then 'completed' when 'TIMEOUT' then 'failed' else 'running' end end;
comment on function df._event_status(text, text, json) is 'The status of a node that its last event shows';

create function df._stored_states(p_id text) returns json language plpgsql stable
  set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return (select i.node_states from df.instances i where i.id = p_id);
end $$;
comment on function df._stored_states(text) is 'What the engine wrote of an instance''s nodes';

-- The engine writes what each node has come to into df.instances.node_states, with the turns that end an instance or put
-- it down and, while a daemon runs it, about twice a second (docs/events.md, "Node states"). A leaf's later events are
-- newer than that. One letter a node, in preorder:
--   p pending   r running   c completed   f failed   s skipped: it has not begun and never will
--   l, t, x stopped: another branch of its race ended first, its df.timeout ran out, or the instance ended
create function df._node_letters(p_id text, p_status text, p_ids text[], p_parents int[], p_events text[], p_seqs bigint[])
returns text[] language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  states constant json := df._stored_states(p_id);
  counted constant bigint := coalesce((states ->> 'seq')::bigint, 0);
  letters text[] := coalesce(string_to_array(states ->> 'nodes', null), array_fill('p'::text, array[cardinality(p_ids)]));
  p int;
begin
  for n in 1..cardinality(p_ids) loop
    if p_events[n] is not null and p_seqs[n] > counted then
      letters[n] := left(p_events[n], 1);
      if states is null then  -- an instance that has just begun: what encloses an event runs
        p := p_parents[n] + 1;
        while p is not null and letters[p] = 'p' loop
          letters[p] := 'r';
          p := p_parents[p] + 1;
        end loop;
      end if;
    end if;
  end loop;
  if p_status in ('completed', 'failed', 'cancelled') then
    -- One that was cancelled, or that failed outside of its graph, ended without a word of the engine.
    letters[1] := case when p_status = 'completed' then 'c' when p_status = 'failed' then 'f'
                       when letters[1] = 'r' then 'x' else letters[1] end;
    letters := array(select case l when 'r' then 'x' when 'p' then 's' else l end
                     from unnest(letters) with ordinality u(l, n) order by n);
  end if;
  return letters;
end $$;
comment on function df._node_letters(text, text, text[], int[], text[], bigint[]) is
  'What each node of an instance has come to, one letter a node';

create function df._stop_message(p_letter text, p_instance_status text) returns text language sql immutable parallel safe
  return case p_letter when 'l' then 'stopped: another branch ended first'
                       when 't' then 'stopped: the df.timeout around it ran out'
                       when 'x' then 'stopped: the instance '
                         || case p_instance_status when 'cancelled' then 'was cancelled' else 'failed' end end;
comment on function df._stop_message(text, text) is 'Why a node that had begun was stopped, or NULL';

-- Every node with its last event.
create function df._node_states(p_id text)
returns table (node_id text, node_type text, query text, result_name text, left_node text, right_node text, status text,
               result json, error json, execution_id text, updated_at timestamptz, inferred_status text, inferred_from text,
               progress json)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_nestloop = off as $$
#variable_conflict use_column
declare
  nodes record;
  ids text[]; types text[]; parents int[]; slots int[]; depths int[];
  letters text[]; origins text[]; scopes text[]; executions text[];
  iterations jsonb;
  p int;
  instance_status constant text := (select i.status from df.instances i where i.id = p_id);
  states constant json := df._stored_states(p_id);
begin
  if instance_status is null then
    return;  -- the caller may not see it, or it does not exist
  end if;
  select coalesce(jsonb_object_agg(x.node || ':' || x.scope, x.iteration), '{}') into iterations
  from (select e.node, e.scope, max((e.data ->> 'iteration')::bigint) as iteration from df.events e
        where e.instance_id = p_id and e.kind = 'IterationCompleted' group by e.node, e.scope) x;
  select array_agg(g.id order by g.idx) as ids, array_agg(g.node_type order by g.idx) as types,
         array_agg(g.parent order by g.idx) as parents, array_agg(g.slot order by g.idx) as slots,
         array_agg(g.loops order by g.idx) as depths,
         df._node_letters(p_id, instance_status, array_agg(g.id order by g.idx), array_agg(g.parent order by g.idx),
                          array_agg(df._event_status(l.kind, g.node_type, l.data) order by g.idx),
                          array_agg(l.seq order by g.idx)) as letters,
         array_agg(l.scope order by g.idx) as scopes into nodes
  from df._graph_nodes(df._graph(p_id)) g
  left join (select distinct on (e.node) e.node, e.seq, e.kind, e.data, e.scope from df.events e
             where e.instance_id = p_id and e.node is not null order by e.node, e.seq desc) l on l.node = g.id;
  if nodes.ids is null then return; end if;
  ids := nodes.ids; types := nodes.types; parents := nodes.parents; slots := nodes.slots; depths := nodes.depths;
  letters := nodes.letters; scopes := nodes.scopes; origins := scopes; executions := scopes;
  -- Assigning to an element makes PL/pgSQL keep an array unpacked, so that reading one does not walk those before it.
  ids[1] := ids[1]; types[1] := types[1]; scopes[1] := scopes[1]; slots[1] := slots[1]; parents[1] := parents[1];
  letters[1] := letters[1]; depths[1] := depths[1];
  for n in 1..cardinality(ids) loop
    p := parents[n] + 1;
    executions[n] := case
      when p is null then p_id || '::' || df._execution_count(p_id)
      else executions[p] || case
        when types[p] in ('JOIN', 'RACE', 'ANY') then '::' || ids[n] || '::1'
        when types[p] = 'LOOP' and p > 1 or types[p] = 'FOR_EACH' and slots[n] = 1 then
          '::' || ids[p] || '::' || 1 + coalesce((string_to_array(scopes[n], '.'))[depths[n]], iterations ->> (ids[p] || ':'), '0')::bigint
        else '' end end;
    -- Where a node was skipped or stopped, because of which node around it.
    origins[n] := case when letters[n] in ('s', 'l', 't', 'x') then coalesce(origins[p], ids[p], ids[n]) end;
  end loop;
  return query
    select g.id, g.node_type, g.query, g.result_name, ids[g.left_idx + 1], ids[g.right_idx + 1],
           case letters[g.idx + 1] when 'c' then 'completed' when 'r' then 'running' when 'p' then 'pending'
                                   when 's' then 'pending' else 'failed' end,
           case when letters[g.idx + 1] = 'c' then coalesce(
             case when l.kind in ('StepCompleted', 'SignalReceived') then l.data end, states -> 'results' -> g.id) end,
           case when l.kind = 'StepFailed' and letters[g.idx + 1] in ('r', 'f') then l.data -> 'error'
                when letters[g.idx + 1] in ('l', 't', 'x') then
                  json_build_object('message', df._stop_message(letters[g.idx + 1], instance_status), 'code', 'stopped') end,
           executions[g.idx + 1], l.at,
           case letters[g.idx + 1] when 'c' then 'completed' when 'r' then 'running' when 'p' then 'pending'
                                   when 's' then 'skipped' else 'failed' end,
           origins[g.idx + 1], states -> 'rows' -> g.id
    from df._graph_nodes(df._graph(p_id)) g
    left join (select distinct on (e.node) e.node, e.kind, e.data, e.scope, e.at from df.events e
               where e.instance_id = p_id and e.node is not null order by e.node, e.seq desc) l on l.node = g.id
    order by g.idx;
end $$;
comment on function df._node_states(text) is
  'Each node of an instance: its status, its last result or error, and how far a df.for_each has come';

-- The letters of all nodes, for the page: a fraction of df._node_states, and without the graph while no event is newer than
-- what the engine wrote. NULL while there is no graph.
create function df._letters(p_id text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp set enable_nestloop = off as $$
declare
  instance_status constant text := (select i.status from df.instances i where i.id = p_id);
  states constant json := df._stored_states(p_id);
  n constant int := length(states ->> 'nodes');
begin
  if n > 0 and not exists (select from df.events e where e.instance_id = p_id and e.seq > (states ->> 'seq')::bigint
                                                     and e.node is not null) then
    return array_to_string(df._node_letters(p_id, instance_status, array_fill(''::text, array[n]), null, null, null), '');
  end if;
  return (
    select array_to_string(df._node_letters(p_id, instance_status, array_agg(g.id order by g.idx), array_agg(g.parent order by g.idx),
                             array_agg(df._event_status(l.kind, g.node_type, l.data) order by g.idx),
                             array_agg(l.seq order by g.idx)), '')
    from df._graph_nodes(df._graph(p_id)) g
    left join (select distinct on (e.node) e.node, e.seq, e.kind, e.data from df.events e
               where e.instance_id = p_id and e.node is not null order by e.node, e.seq desc) l on l.node = g.id
    having count(*) > 0);
end $$;
comment on function df._letters(text) is 'What each node of an instance has come to, one letter a node in preorder; NULL while there is no graph';

create function df.instance_nodes(p_instance_id text)
returns table (node_id text, node_type text, query text, result_name text, left_node text, right_node text, status text,
               result jsonb, status_details jsonb, inferred_status text, inferred_status_from_ancestor_id text,
               updated_at timestamptz)
language sql stable begin atomic
  select s.node_id, s.node_type, s.query, s.result_name, s.left_node, s.right_node, s.status, df._try_jsonb(s.result::text),
         pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
           'execution_id', s.execution_id, 'error', df._try_jsonb(s.error::text), 'rows', s.progress::jsonb)),
         s.inferred_status, s.inferred_from, s.updated_at
  from df._node_states($1) s;
end;
comment on function df.instance_nodes(text) is
  'The nodes of an instance. A node that had begun and was stopped is failed, with an error that says why; inferred_status '
  'is skipped where a node has not begun and never will (its status is pending then)';

create view df.nodes with (security_invoker = true) as
  select s.node_id as id, i.id as instance_id, s.node_type, s.query, s.result_name, s.left_node, s.right_node, s.status,
         df._try_jsonb(s.result::text) as result, s.error, i.submitted_by, i.database, i.created_at,
         coalesce(s.updated_at, i.updated_at) as updated_at,
         pg_catalog.jsonb_build_object('execution_id', s.execution_id) as status_details
  from df.instances i cross join lateral df._node_states(i.id) s;
comment on view df.nodes is 'The nodes of all instances; ask for one instance_id, or it computes them all';
comment on column df.nodes.id is '8 hexadecimal digits, stable for a given graph';
comment on column df.nodes.instance_id is 'The instance';
comment on column df.nodes.node_type is 'SQL, THEN, IF and the others of docs/language.md';
comment on column df.nodes.query is 'The statement, or the settings of another kind as JSON';
comment on column df.nodes.result_name is 'From |=> or df.as';
comment on column df.nodes.left_node is 'Its first child';
comment on column df.nodes.right_node is 'Its second child';
comment on column df.nodes.status is 'pending, running, completed or failed';
comment on column df.nodes.result is 'Of a step that has completed';
comment on column df.nodes.error is 'Of a step that has failed';
comment on column df.nodes.submitted_by is 'The role that submitted the instance';
comment on column df.nodes.database is 'Where SQL steps run';
comment on column df.nodes.created_at is 'When the instance was submitted';
comment on column df.nodes.updated_at is 'The time of its last event';
comment on column df.nodes.status_details is 'execution_id: the instance and its generation, and a pair more for each enclosing parallel branch or nested loop';

create view df._worker_epoch with (security_invoker = true) as
  select min(w.started_at) as started_at, max(w.last_seen_at) as last_seen_at from df.workers w having count(*) > 0;
comment on view df._worker_epoch is 'Since when a daemon serves this database, and when one was last heard of';
comment on column df._worker_epoch.started_at is 'When the first of the daemons that run now was started';
comment on column df._worker_epoch.last_seen_at is 'The latest heartbeat';

-- Waiting ---------------------------------------------------------------------------------------------------------

-- A wait is the last event of its node and scope: whatever ends it is an event, too.
create function df._last_waits(p_id text)
returns table (seq bigint, node text, scope text, kind text, at timestamptz, data json)
language sql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  select e.seq, e.node, e.scope, e.kind, e.at, e.data
  from (select distinct on (l.node, l.scope) l.* from df.events l
        where l.instance_id = p_id and l.node is not null order by l.node, l.scope, l.seq desc) e
  where e.kind = 'SignalAwaited' or e.kind = 'TimerStarted' and e.data ->> 'kind' in ('timer', 'schedule', 'limit')
     or e.kind = 'StepFailed' and e.data ->> 'retry_at' is not null
$$;
comment on function df._last_waits(text) is 'The waits of an instance that no event has ended';

-- A race, an any or a timeout that has ended ends waits without an event: where there is one, node_states lists the
-- events of the waits that go on, and what is newer than it goes on too.
create function df._waits(p_id text)
returns table (node_id text, kind text, name text, since timestamptz, until timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  states constant json := df._stored_states(p_id);
  waits constant bigint[] := case when states -> 'waits' is not null
    then array(select value::bigint from json_array_elements_text(states -> 'waits')) end;
begin
  return query
    select w.node, case w.kind when 'SignalAwaited' then 'signal' when 'StepFailed' then 'retry' else w.data ->> 'kind' end,
           coalesce(w.data ->> 'name', w.data ->> 'cron'), w.at,
           coalesce(w.data ->> 'fire_at', w.data ->> 'until', w.data ->> 'retry_at')::timestamptz
    from df._last_waits(p_id) w
    where waits is null or w.seq > (states ->> 'seq')::bigint or w.seq = any (waits) order by w.seq;
end $$;
comment on function df._waits(text) is 'What one instance waits for';

-- Those that may wait: what was put down (index instances_unfinished) and what a daemon holds (instances_held). The policy
-- of df.instances decides anyway who sees what; naming the role lets the index find its instances among those of all.
create function df._waiting_instances(p_id text) returns setof text language plpgsql stable
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
begin
  if p_id is not null then
    return query select i.id from df.instances i where i.id = p_id and i.status in ('running', 'paused');
    return;
  end if;
  return query select i.id from df.instances i where i.worker_id is not null and i.status in ('running', 'paused');
  if df._is_operator() or not row_security_active('df.instances') then
    return query select i.id from df.instances i
                 where i.completed_at is null and i.worker_id is null and i.status in ('running', 'paused');
  else
    return query select i.id from df.instances i
                 where i.submitted_by = df._me() and i.completed_at is null and i.worker_id is null
                   and i.status in ('running', 'paused');
  end if;
end $$;
comment on function df._waiting_instances(text) is 'The instances that may wait for something, of those that the caller may see';

-- The waits for signals that these grants are for. Who knows a grant's id is its owner or its grantee. A role that is given a
-- right did not ask for it, and must not pay for what an owner has: of all owners together at most 1000 waits are found, in
-- histories of 100000 events, an equal share of each owner's, the newest instances first. Of one instance that is asked for
-- by its id all its history is read.
create function df._granted_waits(p_grants uuid[], p_id text)
returns table (instance_id text, node_id text, kind text, name text, since timestamptz, until timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  most_waits constant int := 1000;
  most_events constant int := 100000;
  owners constant regrole[] := array(select distinct g.owner from df._signal_grants g where g.id = any (p_grants));
  granting regrole;
  one record;
  waits int;   -- that may still be found
  events int;  -- that may still be read
  longest int;
  n int;
begin
  foreach granting in array owners loop
    waits := greatest(most_waits / cardinality(owners), 1);
    events := greatest(most_events / cardinality(owners), 1);
    for one in
      select i.id, i.label from (
        select x.id, x.label from df.instances x
        where x.submitted_by = granting and x.completed_at is null and x.status in ('running', 'paused')
          and (p_id is null or x.id = p_id)
        order by x.created_at desc limit 1000) i
      where exists (select from df._signal_grants g
                    where g.id = any (p_grants) and g.owner = granting and (g.label is null or i.label like g.label))
    loop
      if p_id is null then
        -- A long history is left out, so that it does not hide the waits of older instances.
        longest := least(events, most_events / 10);
        n := (select count(*) from (select from df.events e where e.instance_id = one.id limit longest + 1) e);
        events := events - n;
        exit when events < 0;
        continue when n > longest;
      end if;
      return query
        select one.id, w.node_id, w.kind, w.name, w.since, w.until from df._waits(one.id) w
        where w.kind = 'signal' and exists (
          select from df._signal_grants g
          where g.id = any (p_grants) and g.owner = granting and (g.label is null or one.label like g.label)
            and (g.name is null or w.name like g.name))
        limit waits;
      get diagnostics n = row_count;
      waits := waits - n;
      exit when waits = 0;
    end loop;
  end loop;
end $$;
comment on function df._granted_waits(uuid[], text) is 'The waits of others for signals that grants are for';

create function df._login_waits(p_id text)
returns table (instance_id text, name text, since timestamptz, until timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off
  set enable_mergejoin = off set jit = off as $$
begin
  if not exists (select from df._login_problems) then return; end if;
  return query
  select i.id, format('cannot log in as %s (%s)', p.login, p.sqlstate), p.since, p.next_try_at
  from df._login_problems p
  join df.instances i on i.worker_id = p.worker_id and i.database = p.database
  where i.status = 'running' and ($1 is null or i.id = $1)
    and (p.role = '' or i.submitted_by::oid = (select r.oid from pg_catalog.pg_roles r where r.rolname::text = p.role));
end $$;
comment on function df._login_waits(text) is 'The instances whose steps wait because nobody can log in for them: why, and until when';

-- Plain SQL that becomes a part of the query, so that a LIMIT looks at no more instances than it needs.
create function df.waiting(p_instance_id text default null)
returns table (instance_id text, node_id text, kind text, name text, since timestamptz, until timestamptz)
language sql stable begin atomic
  select i.id, w.node_id, w.kind, w.name, w.since, w.until
  from df._waiting_instances($1) i(id) cross join lateral df._waits(i.id) w
  union all
  select w.instance_id, w.node_id, w.kind, w.name, w.since, w.until
  from df._granted_waits(array(select g.id from df._signal_grants g where g.owner <> df._me()
                               and pg_catalog.pg_has_role(current_user, g.grantee::oid, 'usage')), $1) w
  where not df._is_operator() and pg_catalog.row_security_active('df._signal_grants')
  union all
  select l.instance_id, null, 'login', l.name, l.since, l.until from df._login_waits($1) l;
end;
comment on function df.waiting(text) is
  'What instances wait for: timer, schedule, signal, retry, limit or login; since and until when. Without an id: all that the caller sees';

create function df.metrics()
returns table (total_instances bigint, running_instances bigint, completed_instances bigint, failed_instances bigint,
               total_executions bigint, total_events bigint)
language sql stable begin atomic
  select count(*), count(*) filter (where i.status = 'running'), count(*) filter (where i.status = 'completed'),
         count(*) filter (where i.status = 'failed'),
         count(*) + coalesce((select sum(x.iteration) from (
           select max((e.data ->> 'iteration')::bigint) as iteration from df.events e
           where e.kind = 'IterationCompleted' and e.node = '00000000' and e.scope = '' group by e.instance_id) x), 0)::bigint,
         (select count(*) from df.events)
  from df.instances i;
end;
comment on function df.metrics() is
  'Counts over all instances that the caller may see. Reads whole tables. Needs a grant of its own: GRANT EXECUTE ON FUNCTION df.metrics() TO role';

-- What /metrics says of the database. Every count is bounded, and read from an index that holds only unfinished instances.
create function df._statistics(p_labels text[]) returns json language sql stable
  set search_path = pg_catalog, pg_temp set jit = off as $$
  with unfinished as (
    (select i.status from df.instances i where i.worker_id is not null limit 10000)
    union all
    (select i.status from df.instances i where i.wake_at is not null and i.status <> 'paused' order by i.wake_at limit 10000)
    union all
    (select i.status from df.instances i where i.status = 'paused' limit 10000)
    union all  -- those that wait for a signal only
    (select i.status from (select u.status, u.wake_at, u.worker_id from df.instances u where u.completed_at is null
                           order by u.submitted_by, u.created_at desc, u.id desc limit 10000) i
     where i.wake_at is null and i.worker_id is null and i.status <> 'paused')),
  overdue as (
    select i.wake_at from df.instances i
    where i.wake_at is not null and i.status <> 'paused' and i.wake_at < df._now() - interval '10 seconds'
    order by i.wake_at limit 10000)
  select json_build_object(
    'unfinished', (select coalesce(json_object_agg(u.status, u.n), '{}')
                   from (select status, least(count(*), 10000) as n from unfinished group by status) u),
    'overdue', (select count(*) from overdue),
    'oldest_overdue', coalesce((select extract(epoch from df._now() - min(o.wake_at)) from overdue o), 0),
    'parked', (select count(*) from (select from df.instances i where i.status = 'paused' and i.error is not null limit 10000) p),
    'workers', (select count(*) from df.workers),
    'relation_bytes', (select json_object_agg(c.relname, pg_total_relation_size(c.oid)) from pg_class c
                       where c.relnamespace = 'df'::regnamespace and c.relkind = 'r'
                         and c.relname in ('instances', 'events', 'signals')),
    'xmin_age', coalesce((select max(age(h.xmin)) from (
                            select a.backend_xmin as xmin from pg_stat_activity a
                            union all select p.transaction from pg_prepared_xacts p
                            union all select s.xmin from pg_replication_slots s) h), 0),
    'labels', (select coalesce(json_object_agg(l.label, l.at), '{}') from (
                 select w.label, (select extract(epoch from i.completed_at) from df.instances i
                                  where i.label = w.label and i.status = 'completed'
                                  order by i.created_at desc limit 1) as at
                 from unnest(p_labels) w(label)) l
               where l.at is not null))
$$;
comment on function df._statistics(text[]) is 'What the daemon''s /metrics says of the database';

-- For a signal whose name is misspelt. Only while no daemon has the instance is it certain what it waits for; a signal that
-- comes before its wait is kept, so that this is a remark and no error.
create function df._other_waits(p_instance text, p_name text) returns text language sql volatile
  return (
    select '; kept for later: the instance waits for ' || string_agg(format('"%s"', w.name), ', ' order by w.name)
    from df.waiting(p_instance) w
    where w.kind = 'signal' and exists (select from df.instances i where i.id = p_instance and i.worker_id is null)
    having count(*) > 0 and not bool_or(w.name = p_name));
comment on function df._other_waits(text, text) is 'What df.signal says when the instance waits for other signals';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_execution_count'), ('_output'), ('_list_limit'), ('_cursor'), ('list_instances'), ('instance_info'),
  ('instance_executions'), ('_is_drawable'), ('_graph'), ('_graph_nodes'), ('_event_status'), ('_stored_states'), ('_node_letters'),
  ('_stop_message'), ('_node_states'), ('_letters'), ('instance_nodes'), ('_last_waits'), ('_waits'),
  ('_waiting_instances'), ('_granted_waits'), ('_login_waits'), ('waiting'), ('_other_waits');

revoke all on all functions in schema df from public;
revoke all on df.nodes, df._worker_epoch from public;
revoke usage on type df.instance_summary, df.instance_page_row from public;
