-- Who may use the schema. Nothing is granted to PUBLIC; df.grant_usage gives a role what a client needs.

-- The functions that clients call, and those that these call with the client's rights.
create function df._client_functions(p_http boolean) returns setof regprocedure language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select p.oid::regprocedure from pg_proc p
  where p.pronamespace = 'df'::regnamespace
    and p.proname not in ('grant_usage', 'revoke_usage', 'metrics', 'prune',
                          '_client_functions', '_register', '_heartbeat', '_release', '_release_dead', '_deliver_signals', '_poll', '_reclaim',
                          '_apply_turn', '_commit_turns', '_grant_or_revoke')
    and (p_http or p.proname not in ('http', 'http_multipart'))
$$;
comment on function df._client_functions(boolean) is 'What df.grant_usage lets a role execute';

create function df._grant_or_revoke(p_grant boolean, p_role text, p_http boolean, p_option boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  verb constant text := case when p_grant then 'grant' else 'revoke' end;
  tail constant text := format(case when p_grant then ' to %I' else ' from %I' end, p_role)
                        || case when p_grant and p_option then ' with grant option'
                                when not p_grant then ' cascade' else '' end;
  f regprocedure;
begin
  if not exists (select from pg_roles where rolname = p_role) then
    raise undefined_object using message = format('role "%s" does not exist', p_role);
  end if;
  execute verb || ' usage on schema df' || tail;
  execute verb || ' select on df.instances, df.events, df.signals, df.workers, df.settings, df.schema_migrations' || tail;
  execute verb || ' select, insert on df.submit' || tail;
  execute verb || ' insert (dsl, label, database, vars, priority, wake_at, idempotency_key),'
                  ' update (request, request_reason) on df.instances' || tail;
  execute verb || ' insert (instance_id, name, data) on df.signals' || tail;
  execute verb || ' select, insert, update, delete on df.vars' || tail;
  execute verb || ' usage on sequence df._instance_numbers' || tail;
  for f in select df._client_functions(p_http) loop
    execute format('%s execute on function %s', verb, f) || tail;
  end loop;
end $$;
comment on function df._grant_or_revoke(boolean, text, boolean, boolean) is 'The grants behind df.grant_usage and df.revoke_usage';

create function df.grant_usage(role_name text, include_http boolean default false, with_grant boolean default false)
returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform df._grant_or_revoke(true, role_name, include_http, with_grant);
  return format('Role %I may use durable workflows%s', role_name, case when include_http then ', HTTP included' else '' end);
end $$;
comment on function df.grant_usage(text, boolean, boolean) is
  'Lets a role submit workflows and manage its own; additive. include_http: also df.http; with_grant: it may pass this on';

create function df.revoke_usage(role_name text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  perform df._grant_or_revoke(false, role_name, true, false);
  return format('Role %I may no longer use durable workflows', role_name);
end $$;
comment on function df.revoke_usage(text) is 'Takes back what df.grant_usage gave';

revoke all on all functions in schema df from public;
revoke all on all tables in schema df from public;
revoke all on all sequences in schema df from public;
