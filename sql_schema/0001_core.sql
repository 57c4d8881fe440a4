-- The tables of durable workflows and who may see them. Everything in this schema is plain SQL and PL/pgSQL, installed
-- by an ordinary role that then owns it; the daemon logs in as that role.
--
-- Who may do what is decided by grants and row-level security alone: a client's function runs with the client's own
-- rights, so there is no privileged code to talk into something. What a client may not write has no grant, and what
-- the rules fill in is filled in by defaults and triggers.
--
-- A function's names are never looked up in a caller's search_path: SQL functions have bodies that are parsed when they
-- are created (RETURN, BEGIN ATOMIC), the others set search_path. A policy that calls a function whose body is read anew
-- would let a caller decide, by a type or an operator of its own, who it is.

create table df.schema_migrations (
  number int primary key,
  name text not null,
  applied_at timestamptz not null default now(),
  applied_by name not null default current_user,
  checksum text
);
comment on table df.schema_migrations is 'One row for each migration of this schema that has been applied';
comment on column df.schema_migrations.number is 'Of the file in sql_schema/';
comment on column df.schema_migrations.name is 'The file''s name';
comment on column df.schema_migrations.applied_at is 'When it was applied';
comment on column df.schema_migrations.applied_by is 'The role that applied it';
comment on column df.schema_migrations.checksum is 'Of the file, by which a durabled of another build finds that it differs';

create table df.settings (
  name text primary key,
  value text not null
);
comment on table df.settings is 'Settings of the schema that the database enforces, e.g. enable_superuser_instances';
comment on column df.settings.name is 'enable_superuser_instances (true: superusers may submit) or list_limit (the most rows of df.list_instances)';
comment on column df.settings.value is 'As text';

-- Rights on routines are given by name, and to nobody by default: each file ends with those that clients need, which are
-- the documented ones and what these call with the caller's own rights.
create table df._client_routines (
  name text primary key,
  http boolean not null default false
);
comment on table df._client_routines is 'The routines that df.grant_usage lets a role execute; http: only with include_http';

-- The one clock of the schema; tests replace it.
create function df._now() returns timestamptz language sql volatile parallel safe
  return pg_catalog.clock_timestamp();
comment on function df._now() is 'The time that every scheduling decision of the schema uses';

create function df._me() returns regrole language sql stable parallel safe
  return pg_catalog.quote_ident(current_user)::regrole;
comment on function df._me() is 'The current role';

-- The operators' role is known by its oid. A name would let whoever may create roles make that role, or make it again
-- after it was dropped, and so see everybody's instances. A role df_operator that this script did not create becomes the
-- operators' role when the owner of the schema says so: select df.grant_usage('df_operator').
create table df._operator (role regrole primary key);
comment on table df._operator is 'The role whose members see and manage the instances of all roles';

do $$
begin
  if not exists (select from pg_roles where rolname = 'df_operator') then
    create role df_operator nologin;
    insert into df._operator values ('df_operator');
  end if;
exception when insufficient_privilege then
  raise notice 'role df_operator was not created: the installing role may not create roles';
end $$;

create function df._is_operator() returns boolean language sql stable parallel safe
  return coalesce((select pg_catalog.bool_or(pg_catalog.pg_has_role(current_user, r.oid, 'usage'))
                   from df._operator o join pg_catalog.pg_roles r on r.oid = o.role), false);
comment on function df._is_operator() is 'Whether the current role sees and manages the instances of all roles';

-- Ids -------------------------------------------------------------------------------------------------------------

create sequence df._instance_numbers maxvalue 1099511627775 cycle;  -- 40 bits
comment on sequence df._instance_numbers is 'What instance ids are scrambled from';

-- The secret that scrambles them, of this installation only: with the same ids in two databases, the calls and the
-- foreign steps of the one would pass for those of the other. Kept as the values of two sequences, because reading a
-- sequence costs a tenth of reading a table, and clients can read neither.
create sequence df._id_key_1;
create sequence df._id_key_2;
comment on sequence df._id_key_1 is 'Its value is one half of the secret that instance ids are made with';
comment on sequence df._id_key_2 is 'Its value is the other half';

create function df._make_id_key() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  half regclass;
  random_bytes bytea;
begin
  foreach half in array array['df._id_key_1', 'df._id_key_2']::regclass[] loop
    random_bytes := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    perform setval(half, greatest(1, ('x' || encode(substr(random_bytes, 1, 8), 'hex'))::bit(64)::bigint & 9223372036854775807));
  end loop;
end $$;
comment on function df._make_id_key() is 'A new secret for instance ids. Only for an empty schema: new ids could be those of old ones';
do $$ begin perform df._make_id_key(); end $$;

-- A permutation of 40 bits (a Feistel network of four rounds over SHA-256), written in 8 characters of 5 bits: unique as
-- the sequence is, and no two say anything about a third. Runs as the owner, so that clients need no right to the sequences.
-- Called for each row, so it qualifies every name instead of setting a search_path: see df._commit_turn.
create function df._new_id() returns text language plpgsql volatile security definer as $$
declare
  key constant pg_catalog.bytea :=
    pg_catalog.int8send(pg_catalog.pg_sequence_last_value('df._id_key_1'))
    operator(pg_catalog.||) pg_catalog.int8send(pg_catalog.pg_sequence_last_value('df._id_key_2'));
  x bigint := pg_catalog.nextval('df._instance_numbers');
  a int := x operator(pg_catalog.>>) 20;       -- two halves of 20 bits
  b int := x operator(pg_catalog.&) 1048575;
  hash pg_catalog.bytea;
begin
  hash := pg_catalog.sha256(key operator(pg_catalog.||) pg_catalog.int8send(b));
  a := a operator(pg_catalog.#) pg_catalog.get_byte(hash, 0) operator(pg_catalog.#) (pg_catalog.get_byte(hash, 1) operator(pg_catalog.<<) 8)
    operator(pg_catalog.#) ((pg_catalog.get_byte(hash, 2) operator(pg_catalog.&) 15) operator(pg_catalog.<<) 16);
  hash := pg_catalog.sha256(key operator(pg_catalog.||) pg_catalog.int8send(a operator(pg_catalog.|) 1048576));
  b := b operator(pg_catalog.#) pg_catalog.get_byte(hash, 0) operator(pg_catalog.#) (pg_catalog.get_byte(hash, 1) operator(pg_catalog.<<) 8)
    operator(pg_catalog.#) ((pg_catalog.get_byte(hash, 2) operator(pg_catalog.&) 15) operator(pg_catalog.<<) 16);
  hash := pg_catalog.sha256(key operator(pg_catalog.||) pg_catalog.int8send(b operator(pg_catalog.|) 2097152));
  a := a operator(pg_catalog.#) pg_catalog.get_byte(hash, 0) operator(pg_catalog.#) (pg_catalog.get_byte(hash, 1) operator(pg_catalog.<<) 8)
    operator(pg_catalog.#) ((pg_catalog.get_byte(hash, 2) operator(pg_catalog.&) 15) operator(pg_catalog.<<) 16);
  hash := pg_catalog.sha256(key operator(pg_catalog.||) pg_catalog.int8send(a operator(pg_catalog.|) 3145728));
  b := b operator(pg_catalog.#) pg_catalog.get_byte(hash, 0) operator(pg_catalog.#) (pg_catalog.get_byte(hash, 1) operator(pg_catalog.<<) 8)
    operator(pg_catalog.#) ((pg_catalog.get_byte(hash, 2) operator(pg_catalog.&) 15) operator(pg_catalog.<<) 16);
  -- Each 5 bits go to a byte of their own, and each byte becomes a character.
  x := (a::bigint operator(pg_catalog.<<) 32) operator(pg_catalog.|) b;
  x := ((x operator(pg_catalog.<<) 6) operator(pg_catalog.&) 287948901242044416) operator(pg_catalog.|) (x operator(pg_catalog.&) 4393751544831);
  x := ((x operator(pg_catalog.<<) 3) operator(pg_catalog.&) 2233819500556328704) operator(pg_catalog.|) (x operator(pg_catalog.&) 8725857424048159);
  return pg_catalog.translate(pg_catalog.encode(pg_catalog.int8send(x operator(pg_catalog.+) 2314885530818453536), 'escape'),
                              ' !"#$%&''()*+,-./0123456789:;<=>?', '0123456789abcdefghjkmnpqrstvwxyz');
end $$;
comment on function df._new_id() is 'A new instance id: 8 lower-case characters';

create table df._installation (
  id uuid not null default gen_random_uuid(),
  made_at timestamptz not null default df._now(),
  only_row boolean primary key default true check (only_row)
);
comment on table df._installation is
  'What tells this installation from every other: it goes into the Idempotency-Key of HTTP calls and the keys of foreign steps';
insert into df._installation default values;

-- The first token of an instance, which each further claim raises by one: its lower half counts the claims, the upper
-- half is random, so that who knows an instance's id does not know its token.
create function df._first_token() returns bigint language sql volatile
  return ((pg_catalog.uuid_hash_extended(pg_catalog.gen_random_uuid(), 0) & 1073741823) << 32) + 1;
comment on function df._first_token() is 'The fencing token of an instance''s first claim';

-- Daemons ---------------------------------------------------------------------------------------------------------

create table df.workers (
  id int primary key generated always as identity,
  name text not null,
  host text not null,
  pid int not null,
  version text not null,
  started_at timestamptz not null default df._now(),
  last_seen_at timestamptz not null default df._now(),
  waiting boolean not null default false,
  session_lock boolean not null default false
) with (fillfactor = 50);
comment on table df.workers is 'One row for each daemon that is registered';
comment on column df.workers.id is 'The number of the daemon';
comment on column df.workers.name is 'worker.name of its configuration';
comment on column df.workers.host is 'Where it runs';
comment on column df.workers.pid is 'Its process there';
comment on column df.workers.version is 'Of durabled';
comment on column df.workers.started_at is 'When it registered';
comment on column df.workers.last_seen_at is 'Its last heartbeat; after worker.lease_ttl without one others take over what it held';
comment on column df.workers.waiting is 'It wants to be notified of new work';
comment on column df.workers.session_lock is 'It holds an advisory lock while it lives, so that its death shows at once';

-- Written by daemons, one row a login and not one an instance; gone with the daemon.
create table df._login_problems (
  worker_id int not null references df.workers on delete cascade,
  login text not null,
  database text not null,
  role text not null,
  since timestamptz not null default df._now(),
  next_try_at timestamptz not null,
  sqlstate text not null,
  message text not null,
  primary key (worker_id, login, database)
);
comment on table df._login_problems is 'Logins for steps that fail at present, and whose steps wait for that';
comment on column df._login_problems.role is 'Whose steps wait; empty: everybody''s, because all run over this login';

-- Instances -------------------------------------------------------------------------------------------------------

create table df.instances (
  id text primary key default df._new_id(),
  label text,
  status text not null default 'pending',
  submitted_by regrole not null default df._me(),
  database text not null default current_database(),
  priority smallint not null default 0,
  created_at timestamptz not null default df._now(),
  started_at timestamptz,
  updated_at timestamptz not null default df._now(),
  completed_at timestamptz,
  wake_at timestamptz default df._now(),
  error json,
  result_seq bigint,
  node_states json,
  dsl text not null,
  vars jsonb not null default '{}',
  input json,
  idempotency_key text,
  request text,
  request_reason text,
  attention boolean not null default false,
  unread_signal bigint,
  worker_id int,
  fencing_token bigint not null default 0,
  claim_hash bytea,
  lost_claims smallint not null default 0,
  lost_seq bigint not null default 0
) with (fillfactor = 80);
comment on table df.instances is 'One row an instance (one run of a workflow)';
comment on column df.instances.id is 'Eight lower-case letters and digits';
comment on column df.instances.label is 'A name for people; need not be unique';
comment on column df.instances.status is 'pending, running, completed, failed, cancelled or paused';
comment on column df.instances.submitted_by is 'The role that submitted it; its steps run as that role';
comment on column df.instances.database is 'The database that its SQL steps run in';
comment on column df.instances.priority is 'Of several instances that are due the one with the highest goes first';
comment on column df.instances.created_at is 'When it was submitted';
comment on column df.instances.started_at is 'When a daemon began it';
comment on column df.instances.updated_at is 'When anything of it changed last';
comment on column df.instances.completed_at is 'When it completed, failed or was cancelled';
comment on column df.instances.error is 'Why it failed or was cancelled: message, code, sqlstate, node, attempts and more';
comment on column df.instances.dsl is 'The workflow, as it was submitted';
comment on column df.instances.vars is 'The values of its {name} variables';
comment on column df.instances.input is 'The JSON object that it was given, $input in the workflow';
comment on column df.instances.idempotency_key is 'A second submission of the same role with this key returns this instance and starts nothing';
comment on column df.instances.request_reason is 'The reason that was given with the request';
comment on column df.instances.wake_at is 'When a daemon shall take it up next; null: held by one, ended, or waiting for a signal only';
comment on column df.instances.result_seq is 'The event that holds the result';
comment on column df.instances.node_states is 'What each node has come to, as of the event `seq` (docs/events.md, "Node states")';
comment on column df.instances.request is 'What its owner or an operator asked for last';
comment on column df.instances.attention is 'A signal or request came, or its end, that no daemon has read yet';
comment on column df.instances.unread_signal is
  'The first signal that the daemon that holds it may not have read; null: it has read all that came';
comment on column df.instances.worker_id is 'The daemon that holds it; of a cancelled one, until that daemon has learned of it';
comment on column df.instances.lost_claims is
  'How many claims in a row ended without any event, because the daemon died; after three it is parked';
comment on column df.instances.lost_seq is 'The last event when its daemon died last';
comment on column df.instances.fencing_token is 'Raised by each claim: a daemon with an older one commits nothing';
comment on column df.instances.claim_hash is 'SHA-256 of the key that the present claim commits with';

-- What a statement pays for is the number of indexes, and of their predicates. wake_at is null while a daemon holds the instance
-- and once it has ended.
--
-- Whether anything is due, and when the next will be.
create index instances_due on df.instances (wake_at) where wake_at is not null and status <> 'paused';
-- What a claim takes: role by role, of each what has the highest priority, then what is due first.
create index instances_runnable on df.instances (submitted_by, priority desc, wake_at)
  where wake_at is not null and status <> 'paused';
-- What a daemon holds, when it starts again or has died.
create index instances_held on df.instances (worker_id) where worker_id is not null;
-- What a poll has to read: of the instances that a daemon holds, and of those that ended without one.
create index instances_attention on df.instances (worker_id) where attention;
-- What is old enough to be pruned.
create index instances_ended on df.instances (completed_at) where completed_at is not null;
-- Lists, newest first: all, a role's, a label's, a role's unfinished ones, and those that somebody may have to see to.
create index instances_newest on df.instances (created_at desc, id desc);
create index instances_by_role on df.instances (submitted_by, created_at desc, id desc);
create index instances_by_label on df.instances (label, created_at desc, id desc) where label is not null;
create index instances_unfinished on df.instances (submitted_by, created_at desc, id desc) where completed_at is null;
create index instances_by_status on df.instances (status, created_at desc, id desc)
  where status in ('failed', 'cancelled', 'paused');

-- In a table of their own, so that instances without a key pay nothing for them.
create table df._idempotency_keys (
  owner regrole,
  key text,
  instance_id text not null,
  primary key (owner, key)
);
comment on table df._idempotency_keys is 'Which instance has which idempotency key; each role has keys of its own';

-- History ---------------------------------------------------------------------------------------------------------

-- json, not jsonb: a result keeps the order of its columns. No foreign key: the commit function has the instance's row
-- locked, and a check for each row would cost more than the insert.
create table df.events (
  instance_id text not null,
  seq bigint not null,
  at timestamptz not null,
  kind text not null,
  node text,
  scope text,
  attempt int,
  data json,
  started_at timestamptz,
  primary key (instance_id, seq)
);
comment on table df.events is 'The append-only history, one row an event; written by daemons only (docs/events.md)';
comment on column df.events.instance_id is 'The instance';
comment on column df.events.seq is 'Strictly increasing within an instance; there may be gaps';
comment on column df.events.kind is 'What happened: InstanceStarted, StepCompleted and others, see docs/events.md';
comment on column df.events.node is 'The node of the graph, 8 hexadecimal digits; null: the instance as a whole';
comment on column df.events.scope is 'In which iteration of each enclosing loop or row of each df.for_each, outermost first, from 0, joined by dots';
comment on column df.events.attempt is 'Of a step, from 1';
comment on column df.events.data is 'The result of a step, its error, or what else docs/events.md lists for the kind';
comment on column df.events.at is 'When it happened, by the database''s clock';
comment on column df.events.started_at is 'Of a step''s end: when the attempt began, where that is known';

create table df.signals (
  id bigint generated always as identity,
  instance_id text not null,
  name text not null constraint "a signal has a name of 1 to 1000 characters" check (length(name) between 1 and 1000),
  data json not null default '{}' constraint "a signal's data has at most 16 MiB" check (octet_length(data::text) <= 16777216),
  sent_at timestamptz not null default df._now(),
  sent_by regrole not null default df._me(),
  delivered boolean not null default false,
  taken_at timestamptz,
  primary key (instance_id, id)
);
comment on table df.signals is 'Signals, kept until a wait for that name takes them, oldest first';
comment on column df.signals.id is 'In the order in which they were sent';
comment on column df.signals.instance_id is 'The instance that it was sent to';
comment on column df.signals.name is 'What a wait for it names';
comment on column df.signals.data is 'What the wait returns';
comment on column df.signals.sent_at is 'When it was sent';
comment on column df.signals.sent_by is 'The role that sent it';
comment on column df.signals.taken_at is 'When a wait took it; null: none has';
comment on column df.signals.delivered is 'Its instance was woken. A daemon does that after the sender''s commit, so that a sender never locks the instance';
-- What the json type takes and no json function can read would fail the instance that takes the signal. So would JSON nested
-- nearly as deeply as the server can parse, once it is within a turn.
create function df._check_signal() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  room constant int := 1000;
  t constant text := new.data::text;
begin
  if strpos(t, '\u') = 0 and octet_length(t) - octet_length(replace(replace(t, '[', ''), '{', '')) < room then
    return new;
  end if;
  perform (repeat('[', room) || t || repeat(']', room))::json #>> '{}';
  return new;
exception
  when untranslatable_character or invalid_text_representation then
    raise untranslatable_character using
      message = 'a signal''s data cannot hold \u0000 or half of a surrogate pair (\ud800 to \udfff)',
      hint = 'No text in PostgreSQL can hold them. Leave them out, or send the data encoded, for example as base64.';
  when statement_too_complex then
    raise statement_too_complex using message = 'a signal''s data is nested too deeply';
end $$;
comment on function df._check_signal() is 'Trigger: refuses data that could not be handed on';
create trigger check_signal before insert on df.signals for each row
  when (pg_catalog.strpos(new.data::pg_catalog.text, '\u') operator(pg_catalog.>) 0
        or pg_catalog.octet_length(new.data::pg_catalog.text) operator(pg_catalog.>) 2000)
  execute function df._check_signal();
create index signals_undelivered on df.signals (sent_by, instance_id) where not delivered;
create index signals_untaken on df.signals (instance_id, id) where taken_at is null;

create table df.vars (
  owner regrole not null default df._me(),
  name text not null constraint "the name of a variable is an identifier" check (name ~ '^[A-Za-z_][A-Za-z0-9_]*$'),
  value text,
  primary key (owner, name)
);
-- Clients have no right to DELETE: whoever has it on a table may LOCK it, and others' submissions with it. An update to NULL
-- removes a row instead.
create function df._remove_var() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from df.vars where owner = new.owner and name = new.name and value is null;
  return null;
end $$;
comment on function df._remove_var() is 'Removes a variable that was set to NULL';
create trigger remove_var after insert or update on df.vars for each row when (new.value is null) execute function df._remove_var();
comment on table df.vars is 'Variables: {name} in a workflow; an instance gets a copy when it is submitted';
comment on column df.vars.owner is 'The role whose workflows get it';
comment on column df.vars.name is 'The identifier between the braces';
comment on column df.vars.value is 'The text that replaces it';

-- Who else may send signals to whose instances: df.grant_signal. A null pattern fits every label, or every name. An owner
-- writes its own rows, and a grantee sees those that are for it: who asks is decided by the policies alone, because a
-- function with the owner's rights cannot know who called it. The id is a secret of these two.
create table df._signal_grants (
  id uuid primary key default pg_catalog.gen_random_uuid(),
  owner regrole not null default df._me(),
  grantee regrole not null,
  label text,
  name text,
  revoked boolean not null default false,
  unique nulls not distinct (owner, grantee, label, name)
);
comment on table df._signal_grants is 'Which role may see that instances of another wait for signals, and send them';

create function df._check_signal_grant() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 100;
begin
  if greatest(length(new.label), length(new.name)) > 1000 then
    raise string_data_right_truncation using message = 'a pattern has at most 1000 characters';
  elsif new.label ~ '(^|[^\\])(\\\\)*\\$' or new.name ~ '(^|[^\\])(\\\\)*\\$' then
    raise invalid_escape_sequence using message = 'a LIKE pattern must not end with its escape character';
  elsif not exists (select from pg_roles r where r.oid = new.grantee) then
    raise undefined_object using message = format('role %s does not exist', new.grantee);
  elsif (select count(*) from df._signal_grants g where g.owner = new.owner) >= most then
    raise program_limit_exceeded using message = format('a role makes at most %s grants of signals', most),
      hint = 'Grant to a role whose members approve, or use patterns.';
  end if;
  return new;
end $$;
comment on function df._check_signal_grant() is 'Trigger: refuses grants of signals that could not be used';
create trigger check_signal_grant before insert on df._signal_grants for each row execute function df._check_signal_grant();

-- A right to delete from a table is one to lock it, too: a grant is marked as revoked, and this removes it.
create function df._remove_signal_grant() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._signal_grants where id = new.id and revoked;
  return null;
end $$;
comment on function df._remove_signal_grant() is 'Trigger: removes a grant of signals that was revoked';
create trigger remove_signal_grant after update on df._signal_grants for each row when (new.revoked)
  execute function df._remove_signal_grant();

-- What a grantee asks for with a row that does not stay. A right to change the grants themselves would be one to keep them
-- locked, and so to hold up the owner that revokes them.
create table df._signal_refusals (
  grantee regrole not null default df._me(),
  owner regrole not null
);
comment on table df._signal_refusals is 'Always empty: a row that a grantee inserts removes the owner''s grants to it';

create function df._refuse_signals() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df._signal_grants g where g.grantee = new.grantee and g.owner = new.owner;
  delete from df._signal_refusals r where r.grantee = new.grantee and r.owner = new.owner;
  return null;
end $$;
comment on function df._refuse_signals() is 'Trigger: removes the grants of signals that a grantee refuses';
create trigger refuse_signals after insert on df._signal_refusals for each row execute function df._refuse_signals();

create function df._grant_fits(p_grant uuid, p_instance text, p_name text) returns boolean language plpgsql stable
  security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return exists (
    select from df._signal_grants g join df.instances i on i.submitted_by = g.owner
    where g.id = p_grant and i.id = p_instance and i.status in ('pending', 'running', 'paused')
      and (g.label is null or i.label like g.label) and (g.name is null or p_name like g.name));
end $$;
comment on function df._grant_fits(uuid, text, text) is 'Whether a grant of signals is for that signal of that unfinished instance';

create function df._may_signal(p_instance text, p_name text) returns boolean language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from df._signal_grants g
                 where pg_has_role(current_user, g.grantee::oid, 'usage') and df._grant_fits(g.id, p_instance, p_name));
end $$;
comment on function df._may_signal(text, text) is 'Whether the owner of an unfinished instance lets the caller send it that signal';

-- Row-level security ----------------------------------------------------------------------------------------------

alter table df.instances enable row level security;
alter table df.events enable row level security;
alter table df.signals enable row level security;
alter table df.vars enable row level security;
alter table df._signal_grants enable row level security;
alter table df._signal_refusals enable row level security;
alter table df.workers enable row level security;
alter table df.settings enable row level security;
alter table df.schema_migrations enable row level security;
alter table df._client_routines enable row level security;
alter table df._installation enable row level security;
alter table df._operator enable row level security;
alter table df._login_problems enable row level security;
alter table df._idempotency_keys enable row level security;

-- The subselects are evaluated once a statement, not once a row.
create policy visible on df.instances for select
  using (submitted_by = (select df._me()) or (select df._is_operator()));
create policy request on df.instances for update
  using (submitted_by = (select df._me()) or (select df._is_operator()));
create policy visible on df.events for select
  using (exists (select from df.instances i where i.id = instance_id));
create policy visible on df.signals for select
  using (exists (select from df.instances i where i.id = instance_id));
create policy send on df.signals for insert
  with check (sent_by = (select df._me()) and (
    exists (select from df.instances i where i.id = instance_id and i.submitted_by = (select df._me()))
    or df._may_signal(instance_id, name)));
create policy own on df._signal_grants
  using (owner = (select df._me())) with check (owner = (select df._me()));
create policy own on df._signal_refusals for insert with check (grantee = (select df._me()));
create policy given on df._signal_grants for select
  using (pg_catalog.pg_has_role(current_user, grantee::oid, 'usage'));
create policy own on df.vars
  using (owner = (select df._me())) with check (owner = (select df._me()));
create policy everybody on df.workers for select using (true);
create policy own on df._idempotency_keys for select using (owner = (select df._me()));
create policy own on df._login_problems for select
  using (role = '' or role = current_user::text or (select df._is_operator()));
create policy everybody on df.settings for select using (true);
create policy everybody on df.schema_migrations for select using (true);
create policy everybody on df._operator for select using (true);

-- The inbox -------------------------------------------------------------------------------------------------------

create view df.submit with (security_invoker = true) as
  select id, dsl, label, database, vars, priority, wake_at as start_at, idempotency_key, input from df.instances
  where status = 'pending';
comment on view df.submit is 'The inbox: INSERT INTO df.submit (dsl, label) VALUES (…) RETURNING id';
comment on column df.submit.id is 'The id of the new instance, for RETURNING';
comment on column df.submit.dsl is 'The workflow: text of the language, or the JSON that the functions of df build. Required';
comment on column df.submit.label is 'A name for people; need not be unique';
comment on column df.submit.database is 'The database that its SQL steps run in; by default this one';
comment on column df.submit.vars is 'A JSON object of variables; by default those that the role has set with df.setvar';
comment on column df.submit.priority is 'From -32768 to 32767, by default 0; higher goes first';
comment on column df.submit.start_at is 'Not before this time; by default now';
comment on column df.submit.idempotency_key is 'When an instance of the same role has this key, its id is returned and nothing starts';
comment on column df.submit.input is 'A JSON object, of at most 1 MiB: $input in the workflow';

-- The doorbell: rings only for a daemon that waits for it, because NOTIFY serialises commits; and only while the queue of the
-- server's notifications has room, because a full one makes the commit fail, and anybody can fill it. Qualifies every name:
-- see df._submitter.
create function df._ring_doorbell() returns void language plpgsql as $$
begin
  if exists (select from df.workers where waiting)
     and pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then
    perform pg_catalog.pg_notify('df_doorbell', '');
  end if;
end $$;
comment on function df._ring_doorbell() is 'Wakes a waiting daemon; never in a step''s transaction';

create function df._ring() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform df._ring_doorbell();
  return null;
end $$;
comment on function df._ring() is 'Trigger: wakes a waiting daemon, once a statement';

create function df._check_submitter(p_role regrole) returns void language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  who record;
begin
  select rolsuper, rolcanlogin, rolname into who from pg_roles where oid = p_role;
  if not found then
    raise undefined_object using message = 'the role that submits this workflow does not exist';
  elsif who.rolsuper and not exists (select from df.settings where name = 'enable_superuser_instances' and value = 'true') then
    raise insufficient_privilege using
      message = format('role %I is a superuser; workflows of superusers are refused unless enable_superuser_instances is '
                       '''true'' in df.settings', who.rolname),
      hint = 'Submit as an ordinary role.';
  elsif not who.rolcanlogin then
    raise insufficient_privilege using
      message = format('role %I has no LOGIN attribute, so its steps could not connect', who.rolname),
      hint = format('ALTER ROLE %I LOGIN, or submit as a role that may log in.', who.rolname);
  end if;
end $$;
comment on function df._check_submitter(regrole) is 'Refuses a role whose workflows could never run';

-- What a submission needs once a statement and not once a row. Every statement that submits calls it, so it qualifies each
-- name instead of setting a search_path: see df._commit_turn.
create function df._submitter() returns regrole language plpgsql as $$
declare
  me constant pg_catalog.regrole := df._me();
begin
  if (select r.rolcanlogin and not r.rolsuper from pg_catalog.pg_roles r
      where r.oid operator(pg_catalog.=) me::pg_catalog.oid) is not true then
    perform df._check_submitter(me);
  end if;
  perform df._ring_doorbell();
  return me;
end $$;
comment on function df._submitter() is
  'The current role, which submits; an error where its workflows could never run. Rings the doorbell';

-- Refuses what could never run, and puts a start in the past right. Runs with the submitter's rights and looks only at
-- catalogs that everybody may read.
create function df._checked_submission(submission df.instances) returns df.instances language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if submission.dsl is null then
    raise not_null_violation using message = 'df.submit: dsl is missing: it holds the workflow';
  elsif octet_length(submission.dsl) > 16777216 then
    raise program_limit_exceeded using message = 'the workflow''s text is longer than 16 MiB';
  elsif jsonb_typeof(submission.vars) <> 'object' then
    raise invalid_parameter_value using
      message = format('df.submit: vars must be a JSON object, not %s', left(submission.vars::text, 100)),
      hint = 'Write {"name": "value"}: {name} in the workflow stands for the value. NULL takes those of df.setvar.';
  elsif octet_length(submission.vars::text) > 1048576 then
    raise program_limit_exceeded using message = 'the variables are longer than 1 MiB';
  elsif json_typeof(submission.input) <> 'object' then
    raise invalid_parameter_value using
      message = format('df.submit: input must be a JSON object, not %s', left(submission.input::text, 100)),
      hint = 'Write {"name": value}: $input.name in the workflow is the value.';
  elsif octet_length(submission.input::text) > 1048576 then
    raise program_limit_exceeded using message = 'df.submit: input is longer than 1 MiB',
      hint = 'Put what is large into a table, and what finds it there into the input.';
  elsif not exists (select from pg_database where datname = submission.database) then
    raise invalid_catalog_name using message = format('database "%s" does not exist', submission.database);
  elsif not exists (select from pg_database where datname = submission.database and datallowconn) then
    raise invalid_catalog_name using message = format('database "%s" does not accept connections', submission.database);
  elsif not isfinite(submission.wake_at) then
    raise datetime_field_overflow using message = 'start_at must be a finite time';
  elsif length(submission.idempotency_key) > 1000 then
    raise string_data_right_truncation using message = 'an idempotency key has at most 1000 characters';
  elsif length(submission.label) > 1000 then
    raise string_data_right_truncation using message = 'a label has at most 1000 characters';
  end if;
  begin
    perform submission.input::jsonb;
  exception when data_exception or statement_too_complex then
    raise invalid_parameter_value using message = 'df.submit: input is no JSON that a step could use: ' || sqlerrm,
      hint = 'No text in PostgreSQL can hold \u0000 or half of a surrogate pair.';
  end;
  -- A time in the past is now: it gives no precedence.
  submission.wake_at := greatest(submission.wake_at, df._now());
  return submission;
end $$;
comment on function df._checked_submission(df.instances) is 'Refuses what could never run';

-- In place of CHECK constraints, which a statement parses each time that it runs, and each update of the row evaluates.
-- Called for each row, so it qualifies every name: see df._commit_turn.
create function df._check_submission() returns trigger language plpgsql as $$
begin
  if new.dsl is null or pg_catalog.octet_length(new.dsl) operator(pg_catalog.>) 16777216
     or pg_catalog.jsonb_typeof(new.vars) operator(pg_catalog.<>) 'object'
     or pg_catalog.octet_length(new.vars::pg_catalog.text) operator(pg_catalog.>) 1048576
     or new.input is not null and (
          pg_catalog.json_typeof(new.input) operator(pg_catalog.<>) 'object'
          or pg_catalog.octet_length(new.input::pg_catalog.text) operator(pg_catalog.>) 8192
          or pg_catalog.strpos(new.input::pg_catalog.text, '\u') operator(pg_catalog.>) 0)
     or new.database operator(pg_catalog.<>) pg_catalog.current_database()
     or new.wake_at operator(pg_catalog.<) new.created_at or not pg_catalog.isfinite(new.wake_at)
     or pg_catalog.length(new.idempotency_key) operator(pg_catalog.>) 1000
     or pg_catalog.length(new.label) operator(pg_catalog.>) 1000 then
    return df._checked_submission(new);
  end if;
  return new;
end $$;
comment on function df._check_submission() is 'Trigger: looks closer at a submission that is out of the ordinary';

create trigger check_submission before insert on df.instances for each row execute function df._check_submission();

-- The row of a submission whose key is taken carries the id of the instance that has it as far as RETURNING, and is removed
-- at the end of the statement. ON CONFLICT waits for a transaction that uses the same key.
create function df._claim_key() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  earlier text;
begin
  insert into df._idempotency_keys values (new.submitted_by, new.idempotency_key, new.id) on conflict do nothing;
  if found then return new; end if;
  select i.id, i.database, i.vars, i.priority into earlier, new.database, new.vars, new.priority
  from df._idempotency_keys k join df.instances i on i.id = k.instance_id
  where k.owner = new.submitted_by and k.key = new.idempotency_key;
  if not found then  -- committed by somebody else after this transaction's snapshot
    raise serialization_failure using message = 'the idempotency key was used by a transaction at the same time';
  end if;
  new.status := 'cancelled';
  new.error := json_build_object('instance', earlier);
  return new;
end $$;
comment on function df._claim_key() is 'Trigger: gives a new instance its idempotency key, or finds who has it';
create trigger claim_key before insert on df.instances for each row when (new.idempotency_key is not null)
  execute function df._claim_key();

create function df._remove_duplicate() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from df.instances where id = new.id;
  return null;
end $$;
comment on function df._remove_duplicate() is 'Trigger: removes the row of a submission whose idempotency key was taken';
create trigger remove_duplicate after insert on df.instances for each row
  when (new.status = 'cancelled' and new.completed_at is null)
  execute function df._remove_duplicate();

-- An INSERT of any number of rows becomes one into df.instances; the subselects run once a statement. A rule has the rights
-- of its owner, and the columns of df.submit are all that it fills in, so clients need no right to insert into df.instances.
create rule submit as on insert to df.submit do instead
  insert into df.instances (submitted_by, dsl, label, database, vars, priority, wake_at, idempotency_key, input)
  values ((select df._submitter()), new.dsl, new.label, coalesce(new.database, current_database()),
          coalesce(new.vars, (select jsonb_object_agg(v.name, v.value) from df.vars v where v.owner = df._me()), '{}'),
          coalesce(new.priority, 0), coalesce(new.start_at, df._now()), new.idempotency_key, new.input)
  returning coalesce(instances.error ->> 'instance', instances.id), instances.dsl, instances.label, instances.database,
            instances.vars, instances.priority, instances.wake_at, instances.idempotency_key, instances.input;

-- COPY knows no rules, but triggers.
create function df._submit_copied() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into df.submit (dsl, label, database, vars, priority, start_at, idempotency_key, input)
  values (new.dsl, new.label, new.database, new.vars, new.priority, new.start_at, new.idempotency_key, new.input);
  return new;
end $$;
comment on function df._submit_copied() is 'Trigger: a row that COPY writes to df.submit becomes an instance';
create trigger submit_copied instead of insert on df.submit for each row execute function df._submit_copied();

-- Signals and requests --------------------------------------------------------------------------------------------

create trigger ring after insert on df.signals for each statement execute function df._ring();

-- What an owner may ask for is one column; what follows from it is decided here. A cancel ends the instance at once:
-- worker_id stays, so that the daemon's next poll learns of it, but the higher token keeps that daemon from committing
-- anything. A step's checkpoint locks the row FOR KEY SHARE, so the cancel locks it FOR UPDATE: it waits for checkpoints
-- that are already written, and later ones wait for it and then fail.
create function df._request_made() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := df._now();
  if old.status not in ('pending', 'running', 'paused') or new.request is null then
    new.request := old.request;
    new.request_reason := old.request_reason;
    return new;
  end if;
  if length(new.request_reason) > 10000 then
    raise string_data_right_truncation using message = 'a reason has at most 10000 characters';
  end if;
  if new.request not in ('cancel', 'pause', 'resume') then
    raise invalid_parameter_value using message = format('"%s" is not a request', new.request),
      hint = 'The requests are cancel, pause and resume.';
  end if;
  new.attention := true;
  if new.request = 'cancel' then
    if current_setting('df.instance_id', true) = old.id then
      raise object_not_in_prerequisite_state using
        message = format('a step cannot cancel its own instance, %s', old.id),
        detail = 'A cancelled instance commits nothing, so this step would be rolled back and its cancel with it.',
        hint = 'End the workflow by its own means: df.if or df.break to leave out what follows, an error to fail.';
    end if;
    perform from df.instances i where i.id = old.id for update;
    new.status := 'cancelled';
    new.completed_at := new.updated_at;
    new.error := json_build_object('message', coalesce(nullif(new.request_reason, ''), 'cancelled'), 'code', 'cancelled');
    new.wake_at := null;
    new.fencing_token := old.fencing_token + 1;
  elsif new.worker_id is not null then
    return new;                                           -- the daemon that holds it will see to it
  elsif new.request = 'pause' then
    new.status := 'paused';                               -- wake_at stays: a start that was set for later is kept
  elsif new.request = 'resume' and old.status = 'paused' then
    new.status := case when old.started_at is null then 'pending' else 'running' end;
    new.wake_at := coalesce(old.wake_at, df._now());
    new.error := null;                                    -- parked ones have one
    new.lost_claims := 0;
  end if;
  return new;
end $$;
comment on function df._request_made() is 'Trigger: cancel, pause and resume';

create trigger request_made before update of request on df.instances
  for each row execute function df._request_made();

-- The last event of a cancelled instance. Clients may not write events, so this runs with the owner's rights. The row is
-- locked FOR UPDATE: no event of a daemon is on its way any more.
create function df._record_cancel() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  insert into df.events (instance_id, seq, at, kind, data)
  select new.id, coalesce(max(e.seq), 0) + 1, new.completed_at, 'InstanceCancelled', json_build_object('error', new.error)
  from df.events e where e.instance_id = new.id;
  return null;
exception when unique_violation then
  -- Only in a repeatable read or serializable transaction, which does not see events that were committed after it began.
  raise serialization_failure using
    message = format('could not serialize access: instance %s has gone on since this transaction began', new.id);
end $$;
comment on function df._record_cancel() is 'Trigger: writes the event InstanceCancelled';

create trigger record_cancel after update of request on df.instances
  for each row when (new.status = 'cancelled' and old.status <> 'cancelled') execute function df._record_cancel();
create trigger ring after update of request on df.instances for each statement execute function df._ring();

-- Rights -----------------------------------------------------------------------------------------------------------

insert into df._client_routines (name) values
  ('_now'), ('_me'), ('_is_operator'), ('_new_id'), ('_submitter'), ('_check_submitter'), ('_checked_submission'), ('_ring_doorbell');
