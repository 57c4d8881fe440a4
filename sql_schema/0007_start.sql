-- df.start, df.rerun and df.prune.

-- Starting --------------------------------------------------------------------------------------------------------

-- Through a session of its own, whatever becomes of the caller's transaction. Where that session comes from is the
-- administrator's choice: a foreign server df_loopback, whose user mapping holds the password, or a grant on
-- dblink_connect_u, or what dblink_connect lets the role do by itself. A server df_loopback of anybody else's could point
-- anywhere, so it must belong to the owner of this schema or to a superuser. dblink takes any string that is the name of a
-- foreign server for that server, hence the random beginning of the other one.
create function df._start_elsewhere(p_call text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  dblink constant name := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
                           where e.extname = 'dblink');
  session constant text := 'df_start';
  target text := format('application_name=''%s'' dbname=''%s'' user=''%s'' port=%s', gen_random_uuid(), replace(replace(current_database(), '\', '\\'), '''', '\'''),
                        replace(replace(current_user, '\', '\\'), '''', '\'''), current_setting('port'));
  connect text := 'dblink_connect';
  id text;
begin
  if dblink is null then
    raise feature_not_supported using
      message = 'transaction_mode ''new'' needs the extension dblink, which is not installed in this database',
      hint = 'CREATE EXTENSION dblink, or use transaction_mode => ''caller''.';
  end if;
  if exists (select from pg_foreign_server s join pg_roles o on o.oid = s.srvowner where s.srvname = 'df_loopback'
             and (o.rolsuper or o.oid = (select n.nspowner from pg_namespace n where n.nspname = 'df'))) then
    target := 'df_loopback';
  elsif exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                where n.nspname = dblink and p.proname = 'dblink_connect_u' and has_function_privilege(p.oid, 'execute')) then
    connect := 'dblink_connect_u';
  end if;
  begin
    execute format('select %I.%I($1, $2)', dblink, connect) using session, target;
  exception when sqlclient_unable_to_establish_sqlconnection or prohibited_sql_statement_attempted
              or insufficient_privilege or undefined_object then
    raise object_not_in_prerequisite_state using
      message = 'transaction_mode ''new'' needs a connection of its own, and dblink could not make one: ' || sqlerrm,
      hint = format('The owner of the schema df can make a foreign server df_loopback with a user mapping for %I, or a superuser can grant it execute on dblink_connect_u.',
                    current_user);
  end;
  begin
    execute format('select r.id from %I.dblink($1, $2) as r(id text)', dblink) into id using session, p_call;
  exception when others then
    execute format('select %I.dblink_disconnect($1)', dblink) using session;
    raise;
  end;
  execute format('select %I.dblink_disconnect($1)', dblink) using session;
  return id;
end $$;
comment on function df._start_elsewhere(text) is 'df.start in a session of its own';

create function df.start(fut text, label text default null, database text default null, transaction_mode text default 'caller',
                         priority int default 0, start_at timestamptz default null, idempotency_key text default null,
                         input anycompatible default null)
returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  problem text := case when fut is not null then df._graph_problem(fut, 256, 10000, 1048576) end;
  graph text;
  id text;
  given json;
begin
  graph := case when problem is null then df._node(fut) end;
  if octet_length(graph) > 1048576 then  -- a statement that is as long becomes more as a node
    problem := 'root: longer than 1048576 bytes';
  end if;
  if problem is not null then  -- raised here, so that its context is this function alone
    raise invalid_parameter_value using message = 'Invalid durable function graph: ' || problem;
  end if;
  if transaction_mode is null or transaction_mode not in ('caller', 'new') then
    raise invalid_parameter_value using
      message = format('invalid transaction_mode %s', quote_nullable(transaction_mode)),
      hint = 'It is ''caller'', a part of the caller''s transaction, or ''new'', which commits on its own.';
  elsif priority is null or priority not between -32768 and 32767 then
    raise invalid_parameter_value using message = format('priority must be between -32768 and 32767, not %s', priority);
  elsif database is not null and not exists (select from pg_database d where d.datname = database) then
    raise invalid_catalog_name using message = format('database "%s" does not exist', database);
  end if;
  begin
    given := input::text::json;
  exception when invalid_text_representation then
    raise invalid_parameter_value using message = format('df.start: input must be a JSON object, not %s', left(input::text, 100)),
      hint = 'Write input => ''{"name": value}'', or give an object of type json or jsonb.';
  end;
  if transaction_mode = 'new' then
    return df._start_elsewhere(format('select df.start(%L, %L, %L, ''caller'', %s, %L, %L, %L)', graph, label, database,
                                      priority, start_at, idempotency_key, given));
  end if;
  insert into df.submit (dsl, label, database, priority, start_at, idempotency_key, input)
  values (graph, label, database, priority, start_at, idempotency_key, given)
  returning submit.id into id;
  return id;
end $$;
comment on function df.start(text, text, text, text, int, timestamptz, text, anycompatible) is
  'Starts a workflow and returns the id of the new instance. input is a JSON object, $input in the workflow. transaction_mode ''caller'' makes it part of the caller''s transaction, ''new'' commits it on its own, through the extension dblink. A known idempotency_key returns the instance that has it. Errors: an invalid workflow or argument (22023), a database that does not exist (3D000), a role without LOGIN or a superuser (42501)';

-- Idempotency keys ------------------------------------------------------------------------------------------------

-- A client may give up a key of its own, and change keys in no other way.
create function df._key_changed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (new.idempotency_key is not null or old.submitted_by <> df._me())
     and not pg_has_role(current_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'member') then
    raise insufficient_privilege using message = 'an idempotency key can only be given up, and only by the role that submitted it',
      hint = 'Use df.release_key.';
  end if;
  return new;
end $$;
comment on function df._key_changed() is 'Trigger: what a client may do to an idempotency key';
create trigger key_changed before update of idempotency_key on df.instances
  for each row when (new.idempotency_key is distinct from old.idempotency_key) execute function df._key_changed();

create function df._free_key() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._idempotency_keys where owner = old.submitted_by and key = old.idempotency_key and instance_id = old.id;
  return null;
end $$;
comment on function df._free_key() is 'Trigger: frees the idempotency key of an instance that gave it up or is deleted';
create trigger key_given_up after update of idempotency_key on df.instances
  for each row when (new.idempotency_key is null and old.idempotency_key is not null) execute function df._free_key();
create trigger key_freed after delete on df.instances
  for each row when (old.idempotency_key is not null) execute function df._free_key();

create function df.release_key(idempotency_key text, cancel_reason text default null) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  holder constant text := (select k.instance_id from df._idempotency_keys k where k.owner = df._me() and k.key = $1);
begin
  if holder is not null then
    perform df.cancel(holder, $2);
    update df.instances i set idempotency_key = null where i.id = holder;
  end if;
  return holder;
end $$;
comment on function df.release_key(text, text) is
  'Frees an idempotency key of the caller for another workflow: the instance that has it is cancelled unless it has ended, and loses the key. Returns its id; NULL when no instance has the key';

-- Rerunning -------------------------------------------------------------------------------------------------------

-- A client cannot write history; what copies one is the trigger of this table, and who may ask is decided before it by
-- the policy of the insert, with the asker's own rights. The new instance belongs to whom the old one belonged to, also
-- when an operator asks: nobody's workflow ever runs as somebody else.
create table df.reruns (
  id text primary key default df._new_id(),
  source text not null,
  from_node text,
  requested_by regrole not null default df._me(),
  requested_at timestamptz not null default df._now()
);
comment on table df.reruns is 'Which instance is a rerun of which; an insert makes the new instance';
comment on column df.reruns.id is 'The new instance';
comment on column df.reruns.source is 'The instance that is run again';
comment on column df.reruns.from_node is 'The node that it begins at; null: the first one';
comment on column df.reruns.requested_by is 'The role that asked';
comment on column df.reruns.requested_at is 'When it asked';

alter table df.reruns enable row level security;
create policy ask on df.reruns for insert
  with check (requested_by = (select df._me()) and exists (select from df.instances i where i.id = source));
create policy visible on df.reruns for select
  using (requested_by = (select df._me()) or (select df._is_operator()));

-- Whether what came before a node is a fixed sequence that has been gone through: then its history is a history of the
-- new instance too. What encloses the node must therefore be no loop and no parallel branch, every step before it must
-- have completed, and the branch that it is in must be the one that was taken.
create function df._rerun_problem(p_source text, p_node text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  nodes jsonb;
  node jsonb;
  parent jsonb;
  other jsonb;
begin
  select jsonb_object_agg(g.idx, jsonb_build_object('id', g.id, 'idx', g.idx, 'parent', g.parent, 'slot', g.slot, 'type',
           g.node_type, 'rows', g.query is not null, 'status',
           case when s.error ->> 'code' = 'stopped' then 'stopped' else s.inferred_status end))
  into nodes from df._graph_nodes(df._graph(p_source)) g join df._node_states(p_source) s on s.node_id = g.id;
  if not exists (select from df.events e where e.instance_id = p_source and e.kind = 'InstanceStarted') then
    return 'it has not started, so there is nothing to keep; rerun it without a node';
  end if;
  select n.value into node from jsonb_each(nodes) n where n.value ->> 'id' = p_node;
  if node is null then
    return format('it has no node %s', quote_literal(p_node));
  end if;
  while node ->> 'parent' is not null loop
    parent := nodes -> (node ->> 'parent');
    if node ->> 'status' in ('pending', 'skipped') and parent ->> 'type' = 'IF' and parent ->> 'status' in ('failed', 'stopped') then
      return format('node %s was never reached: node %s around it failed', p_node, parent ->> 'id');
    end if;
    if parent ->> 'type' in ('LOOP', 'JOIN', 'RACE', 'ANY') or parent ->> 'type' = 'FOR_EACH' and node -> 'slot' = '1' then
      return format('node %s is inside the %s of node %s, where what came before it is no fixed sequence; rerun from node %s',
                    p_node, parent ->> 'type', parent ->> 'id', parent ->> 'id');
    end if;
    for other in select n.value from jsonb_each(nodes) n
                 where n.value -> 'parent' = parent -> 'idx' and n.value <> node order by (n.value -> 'slot')::int loop
      if parent ->> 'type' = 'IF' and ((parent -> 'rows')::boolean or other -> 'slot' <> '0') then
        if ((parent -> 'rows')::boolean or node -> 'slot' <> '0')
           and other ->> 'status' in ('completed', 'failed', 'running', 'stopped') then
          return format('node %s is in a branch that was not taken', p_node);
        end if;
      elsif (other -> 'slot')::int < (node -> 'slot')::int
            and other ->> 'status' <> (case parent ->> 'type' when 'CATCH' then 'failed' else 'completed' end) then
        return format('node %s was never reached: node %s before it is %s', p_node, other ->> 'id', other ->> 'status');
      end if;
    end loop;
    node := parent;
  end loop;
  return null;
end $$;
comment on function df._rerun_problem(text, text) is 'Why an instance cannot be rerun from a node, or NULL';

-- What happened at the nodes before `p_node`, in preorder, is a history up to it: nothing that follows has begun. The
-- timer of a timeout around it is left out and starts again.
create function df._copy_history(p_source text, p_node text, p_id text) returns void language sql
  set search_path = pg_catalog, pg_temp as $$
  with recursive nodes as materialized (
    select g.idx, g.id, g.parent, g.node_type from df._graph_nodes(df._graph(p_source)) g
  ), enclosing as (
    select n.idx, n.parent from nodes n where n.id = p_node
    union all
    select n.idx, n.parent from nodes n join enclosing e on n.idx = e.parent
  )
  insert into df.events (instance_id, seq, at, kind, node, scope, attempt, data, started_at)
  select p_id, e.seq, e.at, e.kind, e.node, e.scope, e.attempt, e.data, e.started_at
  from df.events e left join nodes n on n.id = e.node
  where e.instance_id = p_source
    and (e.kind = 'InstanceStarted' or n.idx < (select f.idx from nodes f where f.id = p_node)
         and not (n.node_type = 'TIMEOUT' and exists (select from enclosing a where a.idx = n.idx)))
$$;
comment on function df._copy_history(text, text, text) is 'Copies the history before a node';

-- An instance with a history looks like one that was begun and put down, so that a daemon reads what it finds.
create function df._rerun() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  problem constant text := case when new.from_node is not null then df._rerun_problem(new.source, new.from_node) end;
  with_history constant boolean := new.from_node is not null;
  t constant timestamptz := df._now();
begin
  if problem is not null then
    raise object_not_in_prerequisite_state using message = format('Instance %s cannot be rerun: %s', new.source, problem);
  end if;
  perform df._check_submitter(i.submitted_by) from df.instances i where i.id = new.source;
  insert into df.instances (id, dsl, label, database, vars, input, priority, submitted_by, status, fencing_token, created_at, started_at)
  select new.id, i.dsl, i.label, i.database, i.vars, i.input, i.priority, i.submitted_by,
         case when with_history then 'running' else 'pending' end,
         case when with_history then df._first_token() else 0 end, t, case when with_history then t end
  from df.instances i where i.id = new.source;
  if not found then
    raise no_data_found using message = 'Instance not found or access denied: ' || new.source;
  end if;
  if with_history then
    perform df._copy_history(new.source, new.from_node, new.id);
  end if;
  return null;
end $$;
comment on function df._rerun() is 'Trigger: makes the new instance of a rerun';

create trigger rerun after insert on df.reruns for each row execute function df._rerun();
create trigger ring after insert on df.reruns for each statement execute function df._ring();

create function df.rerun(instance_id text, from_node text default null) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  new_id text;
begin
  perform df._instance_status($1);
  insert into df.reruns (source, from_node) values ($1, $2) returning id into new_id;
  return new_id;
exception when object_not_in_prerequisite_state then  -- told without what happens inside
  raise object_not_in_prerequisite_state using message = sqlerrm;
end $$;
comment on function df.rerun(text, text) is
  'Starts the workflow of an instance again and returns the id of the new one, which belongs to the same role. With from_node it keeps the results of everything before that node. Error (55000): what came before the node is not a fixed sequence that has completed';

-- Pruning ---------------------------------------------------------------------------------------------------------

create function df.prune(older_than interval) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pruned int;
  total bigint := 0;
  looked int := 0;
begin
  if older_than is null or older_than < interval '0' then
    raise invalid_parameter_value using message = 'older_than must be an interval that is not negative';
  end if;
  loop
    pruned := df._prune_batch(older_than, 1000);
    total := total + pruned;
    continue when pruned = 1000;
    -- A batch passes over what others have locked. A daemon lets go within milliseconds; a client may not.
    exit when looked = 10 or not exists (select from df.instances i where i.completed_at < df._now() - older_than);
    looked := looked + 1;
    perform pg_sleep(0.02);
  end loop;
  return total;
end $$;
comment on function df.prune(interval) is
  'Deletes instances that ended longer ago than that, with their history and signals, in batches; returns how many. For the owner of the schema';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_start_elsewhere'), ('start'), ('_rerun_problem'), ('rerun'), ('release_key');

revoke all on all functions in schema df from public;
revoke all on df.reruns from public;
