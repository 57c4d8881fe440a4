-- Steps that run in this database for instances that another one holds. A step and its row here commit in one
-- transaction; when the answer is lost, the row tells that it ran, and what it returned.
create table df._foreign_steps (
  role text not null,
  instance_id text not null,
  node text not null,
  scope text not null,
  at timestamptz not null default df._now(),
  result json not null,
  primary key (role, instance_id, node, scope)
);
create index foreign_steps_by_age on df._foreign_steps (at);
alter table df._foreign_steps enable row level security;
comment on table df._foreign_steps is 'What steps returned that ran here for instances of another database';

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

create function df._commit_foreign(p_instance text, p_node text, p_scope text, p_result json) returns void
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into df._foreign_steps (role, instance_id, node, scope, result)
  values (df._acting_role(), p_instance, p_node, p_scope, p_result)
$$;
comment on function df._commit_foreign(text, text, text, json) is 'The checkpoint of a step for an instance of another database';

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_foreign_step'), ('_commit_foreign');
