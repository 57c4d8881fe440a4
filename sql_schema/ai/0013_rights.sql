-- Who may use the schema: everybody who may use df, on rows of their own. The policies see to that, and a pipeline is an
-- instance of df. Rights on tables are given by column: a right to all of a table would be one to lock it.

do $$
declare
  t regclass;
  f regprocedure;
begin
  for t in select c.oid from pg_class c where c.relnamespace = 'ai'::regnamespace and c.relkind = 'r' loop
    execute format('revoke all on %s from public', t);
    execute format('grant select on %s to public', t);
    if t <> 'ai._durabled_ai'::regclass then
      execute format('grant insert (%1$s), update (%1$s) on %2$s to public',
        (select string_agg(quote_ident(a.attname), ', ') from pg_attribute a where a.attrelid = t and a.attnum > 0 and not a.attisdropped
         and a.attidentity = '' and a.attname <> 'owner'), t);
    end if;
  end loop;
  -- No name is looked up in a caller's search_path: a body was parsed when it was created, or has a path of its own.
  for f in select p.oid from pg_proc p where p.pronamespace = 'ai'::regnamespace and p.prosqlbody is null
             and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false) loop
    raise exception 'function % has no search_path', f;
  end loop;
  for f in select p.oid from pg_proc p where p.pronamespace = 'ai'::regnamespace and p.prorettype = 'trigger'::regtype loop
    execute format('revoke all on function %s from public', f);
  end loop;
  execute format('grant usage on schema %I to public', 'ai');
end $$;
