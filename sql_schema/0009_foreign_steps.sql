-- Steps that run in this database for instances that another one holds. A step and its row here commit in one
-- transaction; when the answer is lost, the row tells that it ran, and what it returned.
create table df._foreign_steps (
  role regrole not null default df._me(),
  instance_id text not null,
  node text not null,
  scope text not null,
  n bigint not null default 0,
  at timestamptz not null default df._now(),
  result json not null,
  primary key (role, instance_id, node, scope)
);
create index foreign_steps_by_age on df._foreign_steps (at);
create index foreign_steps_of_role on df._foreign_steps (role, n);
comment on column df._foreign_steps.instance_id is 'Installation and id, INSTALLATION/INSTANCE: two installations may have the same id';
comment on column df._foreign_steps.n is 'Counts the rows of a role';
alter table df._foreign_steps enable row level security;
comment on table df._foreign_steps is 'What steps returned that ran here for instances of another database';

create function df._foreign_steps_kept() returns int language sql immutable parallel safe return 1000000;
comment on function df._foreign_steps_kept() is 'How many rows of df._foreign_steps a role has at most';

-- Whose a row is, the policy says by the role that acts: a function with the owner's rights could only guess it.
create policy own on df._foreign_steps
  using (role = (select df._me())) with check (role = (select df._me()));

create function df._number_foreign_step() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.n := 1 + coalesce((select max(f.n) from df._foreign_steps f where f.role = new.role), 0);
  return new;
end $$;
comment on function df._number_foreign_step() is 'Trigger: counts the rows of a role';
create trigger number_foreign_step before insert on df._foreign_steps for each row execute function df._number_foreign_step();

-- Anybody who has usage may insert rows of its own. Each insert therefore removes what is no longer asked for, so that no
-- role fills the table: of each role the newest million rows stay, and for a week. A daemon asks again within minutes.
create function df._forget_foreign_steps() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._foreign_steps f using (
    select o.instance_id, o.node, o.scope from (
      select * from df._foreign_steps e where e.role = new.role order by e.n limit 3 for update skip locked) o
    where o.n <= new.n - df._foreign_steps_kept() or o.at < df._now() - interval '7 days') stale
  where f.role = new.role and (f.instance_id, f.node, f.scope) = (stale.instance_id, stale.node, stale.scope);
  return null;
end $$;
comment on function df._forget_foreign_steps() is 'Trigger: removes the oldest rows of a role that has too many, or too old ones';
create trigger forget_foreign_steps after insert on df._foreign_steps for each row execute function df._forget_foreign_steps();

create function df._foreign_step(p_instance text, p_node text, p_scope text) returns json language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return (select f.result from df._foreign_steps f
          where f.role = df._me() and f.instance_id = p_instance and f.node = p_node and f.scope = p_scope);
end $$;
comment on function df._foreign_step(text, text, text) is 'What a step returned that has run here already, or NULL';

create function df._commit_foreign(p_instance text, p_node text, p_scope text, p_result json) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into df._foreign_steps (instance_id, node, scope, result) values (p_instance, p_node, p_scope, p_result);
end $$;
comment on function df._commit_foreign(text, text, text, json) is 'The checkpoint of a step for an instance of another database';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_foreign_step'), ('_commit_foreign');
