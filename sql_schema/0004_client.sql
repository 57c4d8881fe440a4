-- What clients call to start, follow and steer their instances. Each runs with the caller's own rights: what it may see
-- and change is decided by the policies of the tables. Those that read an instance's state are volatile on purpose: each
-- call looks again, so that `select df.await_instance(id), df.result(id)` gives what a reader expects.

create function df._instance_status(p_id text) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare
  found_status text;
begin
  select i.status into found_status from df.instances i where i.id = p_id;
  if found_status is null then
    raise no_data_found using message = 'Instance not found or access denied: ' || coalesce(p_id, 'NULL');
  end if;
  return found_status;
end $$;
comment on function df._instance_status(text) is 'An instance''s status; an error where the caller may not see it';

create function df.status(instance_id text) returns text language sql volatile
  return df._instance_status($1);
comment on function df.status(text) is
  'The status of an instance: pending, running, completed, failed, cancelled or paused';

create function df.result(instance_id text) returns json language sql volatile
  return case
    when df._instance_status($1) <> 'completed' then null
    else (select case when e.kind = 'InstanceCompleted' then e.data -> 'result' else e.data end
          from df.instances i join df.events e on e.instance_id = i.id and e.seq = i.result_seq where i.id = $1)
  end;
comment on function df.result(text) is
  'The result of a completed instance; NULL for any other';

create function df.error(instance_id text) returns json language sql volatile
  return case when df._instance_status($1) is not null then (select i.error from df.instances i where i.id = $1) end;
comment on function df.error(text) is
  'Why an instance failed or was cancelled: an object with message, code, node and attempts, and where they are known sqlstate, detail, hint and position; NULL for any other instance';

-- Locked before it is read. For a cancel at once with the lock that the trigger needs: a weaker lock first could deadlock with a
-- step's checkpoint, which goes from FOR KEY SHARE to an update of the row.
create function df._request(p_id text, p_request text, p_reason text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  current_status text := df._instance_status(p_id);
begin
  if p_request = 'cancel' and current_status in ('pending', 'running', 'paused')
     and current_setting('df.instance_id', true) is distinct from p_id then
    select i.status into current_status from df.instances i where i.id = p_id for update;
  elsif current_status in ('pending', 'running', 'paused') then
    select i.status into current_status from df.instances i where i.id = p_id for no key update;
  end if;
  if current_status not in ('pending', 'running', 'paused') then
    return format('Instance %s is already %s', p_id, current_status);
  end if;
  update df.instances set request = p_request, request_reason = p_reason where id = p_id;
  return case when p_request = 'cancel' then format('Instance %s cancelled', p_id)
              else format('Instance %s: %s requested', p_id, p_request) end;
end $$;
comment on function df._request(text, text, text) is 'Cancels, or asks for pause or resume';

create function df.cancel(instance_id text, reason text default null) returns text language sql
  return df._request($1, 'cancel', $2);
comment on function df.cancel(text, text) is
  'Cancels an instance, at once and for good: what runs is stopped and rolled back. The reason becomes the message of its error. Returns a text that says what was done; an instance that has ended is not changed, and the text says so';
create function df.pause(instance_id text) returns text language sql
  return df._request($1, 'pause', null);
comment on function df.pause(text) is
  'Pauses an instance: steps that run come to their end, and nothing new begins until df.resume. Returns a text as df.cancel does';
create function df.resume(instance_id text) returns text language sql
  return df._request($1, 'resume', null);
comment on function df.resume(text) is
  'Lets a paused instance go on. Returns a text as df.cancel does';

create function df.signal(instance_id text, name text, data text default '{}') returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  current_status text := (select i.status from df.instances i where i.id = $1 and i.submitted_by = df._me());
  payload json;
begin
  if current_status is null and not df._may_signal($1, $2) then
    perform df._instance_status($1);  -- raises where the caller may not even see it
    raise insufficient_privilege using
      message = format('role %I may not send signal "%s" to instance %s, which belongs to another role', current_user, $2, $1),
      hint = format('Its owner can allow it: SELECT df.grant_signal(%L);', current_user);
  elsif current_status not in ('pending', 'running', 'paused') then
    return format('Instance %s is already %s; the signal was not sent', instance_id, current_status);
  end if;
  begin
    payload := coalesce(data, 'null')::json;
  exception when invalid_text_representation then
    payload := to_json(data);
  end;
  insert into df.signals (instance_id, name, data) values ($1, $2, payload);
  return format('Signal "%s" sent to instance %s', $2, $1) || coalesce(df._other_waits($1, $2), '');
end $$;
comment on function df.signal(text, text, text) is
  'Sends a signal, as part of the caller''s transaction. The payload is JSON; other text becomes a JSON string. It is kept until a df.wait_for_signal of that name takes it. Only the role that submitted the instance may send one';
create function df.signal(instance_id text, name text, data json) returns text language sql
  return df.signal($1, $2, $3::text);
comment on function df.signal(text, text, json) is
  'Sends a signal with a payload of type json';
create function df.signal(instance_id text, name text, data jsonb) returns text language sql
  return df.signal($1, $2, $3::text);
comment on function df.signal(text, text, jsonb) is
  'Sends a signal with a payload of type jsonb';

-- Approvals by others -----------------------------------------------------------------------------------------------

create function df._role_named(p_role text) returns regrole language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_role constant regrole := (select r.oid::regrole from pg_roles r where r.rolname = p_role);
begin
  if found_role is null then
    raise undefined_object using message = format('role "%s" does not exist', p_role);
  end if;
  return found_role;
end $$;
comment on function df._role_named(text) is 'A role by its name; raises an error for an unknown role';

create function df.grant_signal(grantee text, label text default null, name text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  role constant regrole := df._role_named($1);
begin
  insert into df._signal_grants (grantee, label, name) values (role, $2, $3) on conflict do nothing;
  return format('Role %I may send signals%s to instances of %I%s', $1, coalesce(' like ' || quote_literal($3), ''), current_user,
                coalesce(' with labels like ' || quote_literal($2), ''))
    || case when has_schema_privilege(role::oid, 'df', 'usage') then ''
         else format('; but it may not use the schema df yet, which the owner allows: SELECT %s(%L)', 'df.grant_usage', $1) end;
end $$;
comment on function df.grant_signal(text, text, text) is
  'Lets another role see in df.waiting that your instances wait for signals, and send them. label and name are LIKE patterns; '
  'NULL fits all. Nothing else of your instances becomes visible';

create function df.revoke_signal(grantee text, label text default null, name text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  role constant regrole := df._role_named($1);
begin
  update df._signal_grants g set revoked = true
  where g.owner = df._me() and g.grantee = role
    and ($2 is null and $3 is null or g.label is not distinct from $2 and g.name is not distinct from $3);
  if not found then
    return format('Role %I had no such right', $1);
  end if;
  return format('Role %I may no longer send %s signals to instances of %I', $1, case when $2 is null and $3 is null
                then 'any' else 'these' end, current_user);
end $$;
comment on function df.revoke_signal(text, text, text) is
  'Takes back what df.grant_signal gave: all of it, or the one grant with these patterns';

-- The owner may grant again; what that costs the grantee is bounded: see df._granted_waits.
create function df.refuse_signals(owner text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  granting constant regrole := df._role_named($1);
begin
  if not exists (select from df._signal_grants g where g.owner = granting and g.grantee = df._me()) then
    return format('Role %I has granted no signals to %I', $1, current_user);
  end if;
  insert into df._signal_refusals (owner) values (granting);
  return format('What role %I granted to %I is removed', $1, current_user);
end $$;
comment on function df.refuse_signals(text) is
  'Removes what a role has granted to the caller by df.grant_signal, so that its waits are no longer among those of the caller';

-- Looks again every 2 ms at first, every 30 ms later. What the caller's own transaction has submitted cannot end while it
-- waits: no daemon sees it before the commit.
create function df.await_instance(instance_id text, timeout_seconds double precision default 30) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  deadline constant timestamptz := clock_timestamp() + make_interval(secs => greatest(timeout_seconds, 0));
  current_status text := df._instance_status($1);
  pause double precision := 0.002;
begin
  if timeout_seconds > 0 and current_status = 'pending' then
    if exists (select from df.instances i where i.id = $1 and i.xmin = pg_current_xact_id_if_assigned()::xid) then
      raise warning using message = format('Instance %s cannot run before the transaction that submitted it is committed', $1),
        hint = 'COMMIT first, then wait for it.';
      return current_status;
    elsif not exists (select from df.workers w where w.last_seen_at > clock_timestamp() - interval '30 s') then
      raise notice using message = format('No daemon serves this database, so instance %s does not begin', $1),
        hint = 'Start one: durabled run, or look with durabled doctor.';
    end if;
  end if;
  loop
    current_status := df._instance_status($1);
    exit when current_status in ('completed', 'failed', 'cancelled') or clock_timestamp() >= deadline;
    perform pg_sleep(least(pause, greatest(extract(epoch from deadline - clock_timestamp()), 0)));
    pause := least(pause * 1.5, 0.03);
  end loop;
  return current_status;
end $$;
comment on function df.await_instance(text, double precision) is
  'Waits until an instance has ended, for at most that many seconds, and returns the status that it has then. Returns at once, with a warning, for an instance that the caller''s own transaction has submitted: commit first. Says in a notice when no daemon serves the database';

-- Variables -------------------------------------------------------------------------------------------------------

create function df._outside_workflow(p_function text) returns void language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('df.in_workflow', true) = 'true' then
    raise object_not_in_prerequisite_state using
      message = format('%s() cannot be called inside a workflow', p_function),
      hint = 'An instance gets its variables when it is submitted; set them before.';
  end if;
end $$;
comment on function df._outside_workflow(text) is 'Refuses inside a step what would only confuse there';

create function df.setvar(name text, value text) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform df._outside_workflow('df.setvar');
  if $1 is null or $1 !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
    raise invalid_name using message = format('df.setvar: %s is not a valid identifier', quote_nullable($1)),
      hint = 'A name is made of letters, digits and _, and does not begin with a digit.';
  elsif $2 is null then
    raise null_value_not_allowed using message = 'df.setvar: the value must not be NULL', hint = 'df.unsetvar removes a variable.';
  end if;
  insert into df.vars (name, value) values ($1, $2) on conflict (owner, name) do update set value = excluded.value;
  return $2;
end $$;
comment on function df.setvar(text, text) is
  'Sets a variable of the caller, for workflows that are submitted later, and returns its value. Errors: an invalid name (42602), NULL (22004), a call within a workflow (55000)';
create function df.setvar(name text, value anyelement) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin return df.setvar($1, $2::text); end $$;
comment on function df.setvar(text, anyelement) is 'Sets a variable of the caller to the text of a value of any type';

create function df.getvar(name text) returns text language sql stable
  return (select v.value from df.vars v where v.owner = df._me() and v.name = $1);
comment on function df.getvar(text) is
  'The value of a variable of the caller; NULL when it is not set';

create function df.unsetvar(name text) returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform df._outside_workflow('df.unsetvar');
  update df.vars v set value = null where v.owner = df._me() and v.name = $1;
  return found;
end $$;
comment on function df.unsetvar(text) is
  'Removes a variable of the caller; returns whether it was set';

create function df.clearvars() returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  perform df._outside_workflow('df.clearvars');
  update df.vars v set value = null where v.owner = df._me();
  get diagnostics removed = row_count;
  return removed;
end $$;
comment on function df.clearvars() is
  'Removes all variables of the caller; returns how many there were';

-- Limits ----------------------------------------------------------------------------------------------------------

-- How many units of something a role's workflows use in a time, counted for all of them and all daemons.
--
-- A limit is a token bucket, kept as the time at which it will be full again: taking units moves that time on, and who
-- takes more than there are is told when they will be there, and keeps its place (docs/decisions/0022). A limit belongs to
-- the role that set it. df._take_units runs as that role, in a step's transaction of its own, so that policies decide who
-- takes what, units are taken exactly once, and a row is locked for no longer than that transaction.

create table df._limits (
  owner regrole default df._me(),
  name text,
  rate numeric,
  per interval not null,
  burst numeric not null,
  full_at timestamptz not null default df._now(),
  primary key (owner, name)
) with (fillfactor = 50);
comment on table df._limits is 'The limits of roles: docs/language.md, df.limit';
comment on column df._limits.rate is 'How many units come back within `per`; null: the row is being removed';
comment on column df._limits.burst is 'How many units there are at most';
comment on column df._limits.full_at is 'When all units are back; past: they are';
alter table df._limits enable row level security;
create policy own on df._limits using (owner = (select df._me())) with check (owner = (select df._me()));
create policy operators on df._limits for select using ((select df._is_operator()));

create function df._unit_seconds(p_rate numeric, p_per interval) returns numeric language sql immutable parallel safe
  return extract(epoch from p_per) / p_rate;
comment on function df._unit_seconds(numeric, interval) is 'How long a unit takes to come back';

create function df._check_limit() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 1000;
  problem constant text := df._limit_problem(jsonb_build_object('name', new.name));
begin
  if problem is not null then
    raise invalid_parameter_value using message = 'df.set_limit: ' || problem;
  elsif new.rate is not null and (new.rate <= 0 or new.rate > 1e9 or new.rate = 'NaN') then
    raise invalid_parameter_value using message = format('df.set_limit: rate must be more than 0 and at most 1000000000, not %s', new.rate),
      hint = 'NULL removes the limit.';
  elsif new.per < interval '1 ms' or new.per > interval '100 years' then
    raise invalid_parameter_value using message = format('df.set_limit: per must be between 1 ms and 100 years, not %s', new.per);
  elsif new.burst <= 0 or new.burst > 1e9 or new.burst = 'NaN' then
    raise invalid_parameter_value using message = format('df.set_limit: burst must be more than 0 and at most 1000000000, not %s', new.burst);
  elsif df._unit_seconds(new.rate, new.per) * new.burst > 3155760000 then
    raise invalid_parameter_value using message = 'df.set_limit: the burst would take more than 100 years to come back';
  elsif tg_op = 'INSERT' and (select count(*) from df._limits l where l.owner = new.owner) >= most then
    raise program_limit_exceeded using message = format('a role has at most %s limits', most);
  end if;
  return new;
end $$;
comment on function df._check_limit() is 'Trigger: refuses limits that could not be kept';
create trigger check_limit before insert or update of rate, per, burst on df._limits
  for each row execute function df._check_limit();

-- A right to delete from a table is one to lock it: see df._remove_var.
create function df._remove_limit() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._limits where owner = new.owner and name = new.name and rate is null;
  return null;
end $$;
comment on function df._remove_limit() is 'Trigger: removes a limit whose rate was set to NULL';
create trigger remove_limit after insert or update of rate on df._limits for each row when (new.rate is null)
  execute function df._remove_limit();

create function df.set_limit(name text, rate numeric, per interval default '1 second', burst numeric default null)
returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  every constant interval := coalesce($3, '1 second');
  room constant numeric := coalesce($4, greatest($2, 1), 1);
begin
  if $2 is null then
    update df._limits l set rate = null where l.owner = df._me() and l.name = $1;
    return format(case when found then 'Limit "%s" removed' else 'There was no limit "%s"' end, $1);
  end if;
  -- What was taken and is not back yet stays as many units, so that it comes back at the new rate.
  insert into df._limits as l (name, rate, per, burst) values ($1, $2, every, room)
  on conflict (owner, name) do update
  set rate = excluded.rate, per = excluded.per, burst = excluded.burst,
      full_at = df._now() + greatest(extract(epoch from l.full_at - df._now()), 0)
        / df._unit_seconds(l.rate, l.per) * df._unit_seconds(excluded.rate, excluded.per) * interval '1 second';
  return format('Limit "%s": %s every %s, at most %s at once', $1, trim_scale($2), every, trim_scale(room));
end $$;
comment on function df.set_limit(text, numeric, interval, numeric) is
  'Sets a limit of the caller for df.limit: rate units every per; burst is how many there are at most, by default rate. A rate of NULL removes it';

-- Null: the units are there now. Else when they will be, as events have their times; they are taken already, and the caller
-- waits until then.
-- p_not_before: a server wants no call before that, so that nothing is left until then.
create function df._take_units(p_name text, p_units text, p_not_before timestamptz default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  taken constant numeric := p_units::numeric;
  t constant timestamptz := df._now();
  most numeric;
  start timestamptz;
begin
  update df._limits l
  set full_at = greatest(l.full_at, t, p_not_before + df._unit_seconds(l.rate, l.per) * l.burst * interval '1 second')
    + df._unit_seconds(l.rate, l.per) * taken * interval '1 second'
  where l.owner = df._me() and l.name = p_name and l.burst >= taken
  returning l.full_at - df._unit_seconds(l.rate, l.per) * l.burst * interval '1 second' into start;
  if start > t + interval '100 years' then
    raise program_limit_exceeded using message = format('limit "%s" is used up for more than 100 years', p_name);
  elsif found then
    return case when start > t then to_char(start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end;
  end if;
  most := (select l.burst from df._limits l where l.owner = df._me() and l.name = p_name);
  if most is null then
    raise undefined_object using
      message = format('role %I has no limit "%s"; set it: SELECT df.set_limit(%L, 60, ''1 minute'')', current_user, p_name, p_name);
  end if;
  raise program_limit_exceeded using
    message = format('%s units are more than limit "%s" ever has at once, which is %s', trim_scale(taken), p_name, trim_scale(most)),
    hint = format('Ask for less, or set it again with df.set_limit and burst => %s.', trim_scale(taken));
end $$;
comment on function df._take_units(text, text, timestamptz) is 'Takes units of a limit of the caller: when they are there';

create view df.limits with (security_invoker = true) as
  select l.owner, l.name, l.rate, l.per, l.burst,
         greatest(0, trim_scale(round(l.burst - greatest(extract(epoch from l.full_at - df._now()), 0)
                                                / df._unit_seconds(l.rate, l.per), 6))) as available,
         case when l.full_at > df._now() then l.full_at end as full_at
  from df._limits l;
comment on view df.limits is 'The limits that the caller has set, and what is left of them; operators see all';
comment on column df.limits.owner is 'The role whose workflows it limits';
comment on column df.limits.name is 'What df.limit names';
comment on column df.limits.rate is 'How many units come back within per';
comment on column df.limits.per is 'The time for rate';
comment on column df.limits.burst is 'How many units there are at most';
comment on column df.limits.available is 'How many units are there now';
comment on column df.limits.full_at is 'When all are there again, if nothing takes any; null: they are. What steps that wait have taken counts';

-- History ---------------------------------------------------------------------------------------------------------

create function df.history(instance_id text)
returns table (seq bigint, at timestamptz, kind text, node text, scope text, attempt int, data json)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return query select e.seq, e.at, e.kind, e.node, e.scope, e.attempt, e.data
               from df.events e where e.instance_id = $1 order by e.seq;
end $$;
comment on function df.history(text) is
  'The events of an instance in the order of seq, as docs/events.md describes them; no row for an instance that is not there or that the caller may not see';

create function df.version() returns text language sql stable
  return (select max(number)::text from df.schema_migrations);
comment on function df.version() is
  'The version of the schema: the number of its last migration';

create function df.target_database() returns text language sql stable
  return current_database()::text;
comment on function df.target_database() is
  'The database that daemons serve: the one that holds the schema';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_instance_status'), ('status'), ('result'), ('error'), ('_request'), ('cancel'), ('pause'), ('resume'),
  ('signal'), ('_may_signal'), ('_grant_fits'), ('_role_named'), ('grant_signal'), ('revoke_signal'), ('refuse_signals'), ('await_instance'), ('_outside_workflow'), ('setvar'), ('getvar'), ('unsetvar'), ('clearvars'),
  ('_unit_seconds'), ('_take_units'), ('set_limit'), ('history'), ('version'), ('target_database');
