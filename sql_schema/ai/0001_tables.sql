-- AI pipelines: a table of documents is kept as a table of chunks with embeddings. Everything here is SQL over df: a
-- pipeline is a workflow that ai.create_pipeline submits, and its steps call the functions of this schema.
--
-- Every function runs with its caller's rights. What belongs to one pipeline (its queue, its stage, its triggers) is made
-- by its creator in the schema of its sink. Only the trigger functions run with somebody else's rights: the creator's.
-- No stored text is ever run with the rights of another role than the one that stored it: whoever looks at a pipeline of
-- another role (operators, superusers) sees its row and nothing that would take a query of its tables.
--
-- This file and those after it are written for a schema called ai. The installer replaces the name.

create table ai._durabled_ai (
  number int primary key,
  name text not null,
  applied_at timestamptz not null default now(),
  checksum text
);
comment on table ai._durabled_ai is 'One row for each file of this schema that has been applied. The schema is durabled''s own if it has this table';

create function ai._me() returns regrole language sql stable parallel safe
  return pg_catalog.quote_ident(current_user)::regrole;
comment on function ai._me() is 'The current role';

create function ai._is_operator() returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return has_schema_privilege('df', 'usage') and df._is_operator();
end $$;
comment on function ai._is_operator() is 'Whether the current role sees the pipelines of all roles';

create table ai.models (
  owner regrole not null default ai._me(),
  alias text not null check (length(alias) between 1 and 200),
  url text not null,
  model text not null,
  secret text,
  api text not null,
  dimensions int,
  max_inputs int not null,
  max_input_tokens int not null,
  max_request_tokens int not null,
  rpm int,
  tpm int,
  price_per_mtok numeric,
  headers jsonb not null,
  send_dimensions boolean not null,
  next_request_at timestamptz not null default '-infinity',
  next_tokens_at timestamptz not null default '-infinity',
  primary key (owner, alias)
);
comment on table ai.models is 'Models that pipelines of a role can use. An API key is never here: secret is the name that the daemon knows it by';
comment on column ai.models.url is 'The whole URL that requests go to, e.g. https://api.openai.com/v1/embeddings';
comment on column ai.models.next_request_at is 'When the next request may begin, by rpm';
comment on column ai.models.next_tokens_at is 'When the next request may begin, by tpm';

create table ai.pipelines (
  id int primary key generated always as identity,
  owner regrole not null default ai._me(),
  name text not null check (length(name) between 1 and 200),
  source jsonb not null,
  steps jsonb not null,
  sink jsonb not null,
  trigger text not null check (trigger in ('manual', 'on_change', 'schedule')),
  options jsonb not null,
  plan jsonb not null,
  revision int not null default 1,
  instance_id text,
  cursor text,
  cursor_done boolean not null default true,
  full_pass boolean not null default false,
  seen text,
  seen_next text,
  idle boolean not null default false,
  idle_xid xid8,
  paused boolean not null default false,
  stopped text,
  problem text,
  problem_since timestamptz,
  work_since timestamptz,
  work_last timestamptz,
  work_chunks bigint not null default 0,
  work_documents bigint not null default 0,
  created_at timestamptz not null default now(),
  shadow_of int,
  dropped boolean not null default false,
  unique (owner, name),
  unique (owner, id),
  -- By owner too: a reference to another role's row would lock that row, and go with it.
  foreign key (owner, shadow_of) references ai.pipelines (owner, id) on delete cascade,
  check (jsonb_typeof(plan) = 'object' and coalesce(jsonb_typeof(plan -> 'calls'), 'array') = 'array'),
  check (jsonb_typeof(options) = 'object')
) with (fillfactor = 70);
comment on table ai.pipelines is 'One row a pipeline';
comment on column ai.pipelines.plan is 'What follows from source, steps and sink: quoted names, types, and the steps that call a model';
comment on column ai.pipelines.instance_id is 'The instance of df that runs it, or ran it last';
comment on column ai.pipelines.cursor is 'The last key that the backfill has taken';
comment on column ai.pipelines.cursor_done is 'The backfill has come to the end of the source';
comment on column ai.pipelines.full_pass is 'The running pass reads the whole source, and documents that are gone are removed at its end';
comment on column ai.pipelines.seen is 'The greatest value of the incremental column when the last complete run began';
comment on column ai.pipelines.seen_next is 'The same of the run that is under way';
comment on column ai.pipelines.shadow_of is 'The pipeline whose place it will take';
comment on column ai.pipelines.idle is 'The workflow waits for a signal, which the next change sends';
comment on column ai.pipelines.idle_xid is 'The transaction in which it became idle. A writer that began before that may not have seen it';
comment on column ai.pipelines.stopped is 'Why it does nothing until ai.resume';
comment on column ai.pipelines.work_since is 'When it had work last after it had none; work_last, work_chunks and work_documents tell what has been published since';
comment on column ai.pipelines.problem is 'What requests fail with at present, and are repeated for';

create table ai.usage (
  pipeline int not null,
  owner regrole not null default ai._me(),
  day date not null,
  model text not null,
  requests bigint not null,
  inputs bigint not null,
  tokens bigint not null,
  cost numeric not null,
  primary key (pipeline, day, model),
  foreign key (owner, pipeline) references ai.pipelines (owner, id) on delete cascade
) with (fillfactor = 50);
comment on table ai.usage is 'What each pipeline has used of each model, by day (UTC)';

create table ai.failures (
  pipeline int not null,
  owner regrole not null default ai._me(),
  key text not null,
  attempts int not null,
  error text not null,
  failed_at timestamptz not null default now(),
  over boolean not null default false,
  primary key (pipeline, key),
  foreign key (owner, pipeline) references ai.pipelines (owner, id) on delete cascade
);
comment on table ai.failures is 'Documents that were set aside until they change or ai.retry';
comment on column ai.failures.key is 'Of the document, as text';

-- A right to delete from a table, or to update all of it, is one to lock it against everybody. So rights are given by
-- column, and a row that has served its purpose is marked; these triggers remove it.
create function ai._remove_pipeline() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from ai.pipelines where id = new.id and dropped;
  return null;
end $$;
comment on function ai._remove_pipeline() is 'Trigger: removes a pipeline that was dropped';
create trigger remove after update of dropped on ai.pipelines for each row when (new.dropped) execute function ai._remove_pipeline();

create function ai._remove_failure() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from ai.failures where pipeline = new.pipeline and key = new.key and over;
  return null;
end $$;
comment on function ai._remove_failure() is 'Trigger: removes a failure that is over';
create trigger remove after update of over on ai.failures for each row when (new.over) execute function ai._remove_failure();

alter table ai._durabled_ai enable row level security;
alter table ai.models enable row level security;
alter table ai.pipelines enable row level security;
alter table ai.usage enable row level security;
alter table ai.failures enable row level security;

create policy everybody on ai._durabled_ai for select using (true);
create policy own on ai.models using (owner = (select ai._me())) with check (owner = (select ai._me()) and has_schema_privilege('df', 'usage'));
create policy own on ai.pipelines using (owner = (select ai._me())) with check (owner = (select ai._me()) and has_schema_privilege('df', 'usage'));
create policy own on ai.usage using (owner = (select ai._me())) with check (owner = (select ai._me())
  and exists (select from ai.pipelines p where p.id = pipeline and p.owner = (select ai._me())));
create policy own on ai.failures using (owner = (select ai._me())) with check (owner = (select ai._me())
  and exists (select from ai.pipelines p where p.id = pipeline and p.owner = (select ai._me())));
create policy operators on ai.models for select using ((select ai._is_operator()));
create policy operators on ai.pipelines for select using ((select ai._is_operator()));
create policy operators on ai.usage for select using ((select ai._is_operator()));
create policy operators on ai.failures for select using ((select ai._is_operator()));
