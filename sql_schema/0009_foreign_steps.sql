-- Steps that run in this database for instances that another one holds. A step and its row here commit in one
-- transaction; when the answer is lost, the row tells that it ran, and what it returned.
create table df._foreign_steps (
  role text not null,
  instance_id text not null,
  node text not null,
  scope text not null,
  n bigint not null,
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

-- Whom the session acts for: what it was given by SET ROLE, else its login. Not to be claimed by an argument.
create function df._acting_role() returns text language sql stable set search_path = pg_catalog, pg_temp
  as $$ select coalesce(nullif(current_setting('role'), 'none'), session_user::text) $$;
comment on function df._acting_role() is 'The role that a definer''s function was called for';

create function df._foreign_step(p_instance text, p_node text, p_scope text) returns json language sql stable
  security definer set search_path = pg_catalog, pg_temp as $$
  select f.result from df._foreign_steps f
  where f.role = df._acting_role() and f.instance_id = p_instance and f.node = p_node and f.scope = p_scope
$$;
comment on function df._foreign_step(text, text, text) is 'What a step returned that has run here already, or NULL';

-- Anybody who has usage may call it, for itself. Each call therefore removes what is no longer asked for, so that no role
-- fills the table: of each role the newest million rows stay, and for a week. A daemon asks again within minutes.
create function df._commit_foreign(p_instance text, p_node text, p_scope text, p_result json) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  me constant text := df._acting_role();
  newest constant bigint := 1 + coalesce((select max(f.n) from df._foreign_steps f where f.role = me), 0);
begin
  insert into df._foreign_steps (role, instance_id, node, scope, n, result)
  values (me, p_instance, p_node, p_scope, newest, p_result);
  delete from df._foreign_steps f using (
    select o.instance_id, o.node, o.scope from (
      select * from df._foreign_steps e where e.role = me order by e.n limit 3 for update skip locked) o
    where o.n <= newest - df._foreign_steps_kept() or o.at < df._now() - interval '7 days') old
  where f.role = me and (f.instance_id, f.node, f.scope) = (old.instance_id, old.node, old.scope);
end $$;
comment on function df._commit_foreign(text, text, text, json) is 'The checkpoint of a step for an instance of another database';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_foreign_step'), ('_commit_foreign');
