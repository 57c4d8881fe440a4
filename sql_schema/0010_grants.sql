-- Who may use the schema. Nothing is granted to PUBLIC; df.grant_usage gives a role what a client needs.
--
-- Every grant is made by the owner, also when a delegate asks for it: a grant that a delegate had made itself could be
-- taken back by nobody but that delegate.

create function df._client_functions(p_http boolean) returns setof regprocedure language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select p.oid::regprocedure from pg_proc p join df._client_routines c on c.name = p.proname
  where p.pronamespace = 'df'::regnamespace and (p_http or not c.http)
$$;
comment on function df._client_functions(boolean) is 'What df.grant_usage lets a role execute';

create table df._usage (
  grantee regrole primary key,
  granted_by regrole not null
);
alter table df._usage enable row level security;
comment on table df._usage is 'Who was given usage, and by whom: a delegate takes back only what it gave';

create function df._grant_or_revoke(p_grant boolean, p_role text, p_http boolean, p_delegate boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  f regprocedure;
begin
  if not exists (select from pg_roles where rolname = p_role) then
    raise undefined_object using message = format('role "%s" does not exist', p_role);
  end if;
  if not p_grant then
    execute format('revoke all on all tables in schema df from %I', p_role);
    execute format('revoke all on all sequences in schema df from %I', p_role);
    execute format('revoke all on all routines in schema df from %I cascade', p_role);  -- df.metrics it may have passed on
    execute format('revoke all on schema df from %I', p_role);
    return;
  end if;
  execute format('grant usage on schema df to %I', p_role);
  execute format('grant select on df.instances, df.events, df.signals, df.reruns, df.workers, df.settings, df.schema_migrations, '
                 'df.nodes, df._worker_epoch, df._operator, df._login_problems, df._idempotency_keys, df._limits, df.limits to %I', p_role);
  execute format('grant select, insert on df.submit to %I', p_role);
  execute format('grant update (request, request_reason, idempotency_key) on df.instances to %I', p_role);
  execute format('grant insert (instance_id, name, data) on df.signals to %I', p_role);
  execute format('grant insert (source, from_node) on df.reruns to %I', p_role);
  execute format('grant select, insert (instance_id, node, scope, result) on df._foreign_steps to %I', p_role);
  execute format('grant select, insert (grantee, label, name), update (revoked) on df._signal_grants to %I', p_role);
  execute format('grant insert (owner) on df._signal_refusals to %I', p_role);
  execute format('grant select, insert (name, value), update (value) on df.vars to %I', p_role);
  execute format('grant insert (name, rate, per, burst), update (rate, per, burst, full_at) on df._limits to %I', p_role);
  for f in select df._client_functions(p_http) loop
    execute format('grant execute on routine %s to %I', f, p_role);
  end loop;
  if p_delegate then
    execute format('grant execute on function df.grant_usage(text, boolean, boolean), df.revoke_usage(text) to %I', p_role);
    execute format('grant insert (gives, role_name, include_http, with_grant), select (answer) on df._usage_requests to %I', p_role);
    execute format('grant execute on function df.metrics() to %I with grant option', p_role);
  end if;
end $$;
comment on function df._grant_or_revoke(boolean, text, boolean, boolean) is 'The grants behind df.grant_usage and df.revoke_usage';

-- Who asks is the role that makes the row of a request, and no role can make one in another's name: the column that says
-- who asked cannot be given. The role of the session decides nothing, because PostgreSQL runs one role's functions in
-- another's session: when a materialized view is refreshed, when a table is analyzed, for a foreign key.
create table df._usage_requests (
  id bigint generated always as identity primary key,
  gives boolean not null,
  role_name text,
  include_http boolean,
  with_grant boolean,
  requested_by regrole not null default df._me(),
  answer text
);
comment on table df._usage_requests is 'What df.grant_usage and df.revoke_usage ask for; a row is answered and removed at once';

alter table df._usage_requests enable row level security;
create policy ask on df._usage_requests for insert with check (requested_by = (select df._me()));
create policy answered on df._usage_requests for select using (requested_by = (select df._me()));

create function df._give_usage(p_by regrole, p_role text, p_http boolean, p_delegate boolean) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  by_owner constant boolean := pg_has_role(p_by::oid, current_user, 'member');
begin
  if p_http and not df._may_http(p_by) then
    raise insufficient_privilege using message = 'a role that may not use df.http cannot grant it';
  end if;
  -- What a role had before, from the owner or by hand, no delegate may take away by giving it again.
  delete from df._usage u where not exists (select from pg_roles r where r.oid = u.grantee);
  if by_owner or not exists (select from pg_namespace n, aclexplode(n.nspacl) a
                             where n.nspname = 'df' and a.grantee = to_regrole(quote_ident(p_role))) then
    insert into df._usage values (quote_ident(p_role)::regrole, p_by)
    on conflict (grantee) do update set granted_by = excluded.granted_by;
  end if;
  perform df._grant_or_revoke(true, p_role, p_http, p_delegate);
  -- The owner makes a role df_operator the operators' by letting it in; nobody else can.
  if p_role = 'df_operator' and by_owner then
    delete from df._operator;
    insert into df._operator values (quote_ident(p_role)::regrole);
  end if;
  return format('Role %I may use durable workflows%s', p_role, case when p_http then ', HTTP included' else '' end)
    || case when (select r.rolsuper from pg_roles r where r.rolname = p_role)
                 and not exists (select from df.settings s where s.name = 'enable_superuser_instances' and s.value = 'true')
         then '; but it is a superuser, and workflows of superusers are refused: grant usage to a role of its own for them, '
           || 'or set enable_superuser_instances in df.settings'
         else '' end;
end $$;
comment on function df._give_usage(regrole, text, boolean, boolean) is 'What df.grant_usage does when the role p_by calls it';

create function df._take_usage(p_by regrole, p_role text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  let_in text;
begin
  if p_role = current_user then
    raise invalid_parameter_value using message = format('role %I owns the schema', p_role);
  elsif not pg_has_role(p_by::oid, current_user, 'member')
        and not exists (select from df._usage u where u.grantee = to_regrole(quote_ident(p_role)) and u.granted_by = p_by) then
    raise insufficient_privilege using message = format('role %I was not given usage by %s', p_role, p_by);
  end if;
  perform df._grant_or_revoke(false, p_role, true, false);
  delete from df._usage where grantee = quote_ident(p_role)::regrole;
  let_in := (select string_agg(u.grantee::text, ', ' order by u.grantee::text) from df._usage u
             where u.granted_by = to_regrole(quote_ident(p_role)) and exists (select from pg_roles r where r.oid = u.grantee));
  return format('Role %I may no longer use durable workflows', p_role)
    || coalesce('; the roles that it let in still may: ' || let_in, '');
end $$;
comment on function df._take_usage(regrole, text) is 'What df.revoke_usage does when the role p_by calls it';

-- Before the row is there, so that the insert can return the answer. A row that the policy refuses takes it all back.
create function df._answer_usage() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  new.answer := case when new.gives then df._give_usage(new.requested_by, new.role_name, new.include_http, new.with_grant)
                else df._take_usage(new.requested_by, new.role_name) end;
  return new;
end $$;
comment on function df._answer_usage() is 'Trigger: grants or revokes with the rights of the owner';
create trigger answer before insert on df._usage_requests for each row execute function df._answer_usage();

create function df._forget_usage_request() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._usage_requests r where r.id = new.id;
  return null;
end $$;
comment on function df._forget_usage_request() is 'Trigger: removes a request that has been answered';
create trigger forget after insert on df._usage_requests for each row execute function df._forget_usage_request();

create function df.grant_usage(role_name text, include_http boolean default false, with_grant boolean default false)
returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  said text;
begin
  insert into df._usage_requests (gives, role_name, include_http, with_grant) values (true, $1, $2, $3)
  returning answer into said;
  return said;
end $$;
comment on function df.grant_usage(text, boolean, boolean) is
  'Lets a role submit workflows and manage its own; additive. include_http: also df.http; with_grant: it may pass this on, '
  'and df.metrics() too';

create function df.revoke_usage(role_name text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  said text;
begin
  insert into df._usage_requests (gives, role_name) values (false, $1) returning answer into said;
  return said;
end $$;
comment on function df.revoke_usage(text) is 'Takes back what df.grant_usage gave';

-- Names -----------------------------------------------------------------------------------------------------------

-- No function looks names up in its caller's search_path, where whoever may create functions, operators or types could
-- answer. Those whose bodies were parsed when they were created look nothing up; the others get a path of their own here.
-- Some cannot afford one: see df._commit_turn. They qualify every name instead, and tests/attack holds them to it.
do $$
declare
  f regprocedure;
begin
  for f in select p.oid from pg_proc p
           where p.pronamespace = 'df'::regnamespace and p.prosqlbody is null
             and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
             and p.proname not in ('_begin_step', '_next_step', '_commit_turn', '_commit_group', '_end_step', '_apply_turn', '_apply_start', '_new_id', '_submitter', '_ring_doorbell', '_check_submission')
  loop
    execute format('alter routine %s set search_path = pg_catalog, pg_temp', f);
  end loop;
end $$;

-- Nobody else's tables and functions depend on the row types of these tables, which an upgrade may have to change.
do $$
declare
  t regtype;
begin
  for t in select y.oid from pg_type y join pg_class c on c.oid = y.typrelid
           where y.typnamespace = 'df'::regnamespace and y.typtype = 'c' and c.relkind in ('r', 'v', 'c')
  loop
    execute format('revoke usage on type %s from public', t);
  end loop;
end $$;

revoke all on all routines in schema df from public;
revoke all on all tables in schema df from public;
revoke all on all sequences in schema df from public;

-- Where this script has created the role; df.grant_usage('df_operator') does the same later.
do $$
begin
  if exists (select from df._operator) then
    perform df._grant_or_revoke(true, 'df_operator', false, false);
  end if;
end $$;
