-- Finding chunks: an index, the nearest vectors, and these together with full text search.

create function ai._create_index(p ai.pipelines, p_method text, p_opclass text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  kind constant text := case when p.plan ->> 'vector' ~ 'halfvec' then 'halfvec' else 'vector' end;
  extension_schema constant text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector');
  opclass constant text := coalesce(p_opclass, kind || '_cosine_ops');
begin
  if p.plan ->> 'vector' is null or p.plan ->> 'vector' = 'real[]' then
    raise feature_not_supported using message = format('the sink of pipeline "%s" has %s, for which there is no index', p.name, coalesce(p.plan ->> 'vector', 'no vectors')),
      hint = 'CREATE EXTENSION vector, then ai.alter_pipeline with the same steps makes a sink of type vector.';
  elsif p_method not in ('hnsw', 'ivfflat', 'diskann') or not exists (select from pg_am a where a.amname = p_method) then
    raise undefined_object using message = format('there is no index method %s here', p_method),
      hint = 'hnsw and ivfflat are of the extension vector, diskann of vectorscale.';
  end if;
  execute format('create index on %s using %I (%I %I.%I)', p.plan ->> 'sink', p_method, p.plan -> 'names' ->> 'embedding', extension_schema, opclass);
  execute format('create index on %s using gin (to_tsvector(%L::regconfig, %I))', p.plan ->> 'sink', 'pg_catalog.english',
                 p.plan -> 'names' ->> 'chunk_text');
end $$;
comment on function ai._create_index(ai.pipelines, text, text) is 'Makes the indexes of a sink';

create function ai.create_index(name text, method text default 'hnsw', opclass text default null) returns text language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  perform ai._create_index(p, $2, $3);
  update ai.pipelines set options = options || jsonb_build_object('index', jsonb_build_object('method', $2, 'opclass', $3)) where id = p.id;
  return format('%s has an index %s for vectors and one for text', p.plan ->> 'sink', $2);
end $$;
comment on function ai.create_index(text, text, text) is
  'Makes an index for ai.nearest and one for the text of ai.hybrid_search. method: hnsw, ivfflat or diskann, as far as installed; a shadow gets the same. Writers of the sink wait meanwhile';

-- The distance of cosine as an expression over k, with the vector as $1.
create function ai._distance(p ai.pipelines) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  extension_schema constant text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector');
begin
  if p.plan ->> 'vector' is null then
    raise feature_not_supported using message = format('pipeline "%s" makes no vectors', p.name);
  elsif p.plan ->> 'vector' <> 'real[]' then
    return format('k.%I operator(%I.<=>) $1::%s', p.plan -> 'names' ->> 'embedding', extension_schema, p.plan ->> 'vector');
  end if;
  return format('(select 1 - sum(x.a::float8 * x.b) / nullif(sqrt(sum(x.a::float8 * x.a) * sum(x.b::float8 * x.b)), 0) from unnest(k.%I, $1) x (a, b))',
                p.plan -> 'names' ->> 'embedding');
end $$;
comment on function ai._distance(ai.pipelines) is 'The cosine distance of a chunk';

create function ai._check_vector(p ai.pipelines, p_vector real[]) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if cardinality(p_vector) is distinct from (p.plan ->> 'dimensions')::int then
    raise invalid_parameter_value using message = format('the vector has %s numbers, and those of pipeline "%s" have %s',
      coalesce(cardinality(p_vector), 0), p.name, coalesce(p.plan ->> 'dimensions', '0'));
  end if;
end $$;
comment on function ai._check_vector(ai.pipelines, real[]) is 'Refuses a vector of another width';

create function ai.nearest(name text, vector real[], k int default 10)
returns table (doc_id text, chunk_index int, chunk_text text, distance float8, metadata jsonb) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  perform ai._check_vector(p, $2);
  return query execute format('select k.%I::text, k.%I, k.%I, %s, k.%I from %s k order by %4$s limit $2',
    p.plan -> 'names' ->> 'doc_id', p.plan -> 'names' ->> 'chunk_index', p.plan -> 'names' ->> 'chunk_text', ai._distance(p),
    p.plan -> 'names' ->> 'metadata', p.plan ->> 'sink') using $2, $3;
end $$;
comment on function ai.nearest(text, real[], int) is 'The k chunks whose vectors are nearest to this one, by cosine distance';

create function ai.hybrid_search(name text, query text, vector real[], k int default 10, candidates int default 50, rrf_k int default 60)
returns table (doc_id text, chunk_index int, chunk_text text, score float8, metadata jsonb) language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare
  p constant ai.pipelines := ai._own($1);
begin
  perform ai._check_vector(p, $3);
  return query execute format($sql$
    with near as (select k.%1$I as d, k.%2$I as i, row_number() over (order by %5$s) as place from %6$s k order by %5$s limit $2),
    worded as (select k.%1$I as d, k.%2$I as i, row_number() over (order by ts_rank_cd(to_tsvector(%7$L::regconfig, k.%3$I), q) desc, k.%1$I, k.%2$I) as place
               from %6$s k, websearch_to_tsquery(%7$L::regconfig, $3) q where to_tsvector(%7$L::regconfig, k.%3$I) @@ q order by 3 limit $2),
    merged as (select d, i, sum(1.0 / ($4 + place))::float8 as score from (select * from near union all select * from worded) x group by d, i)
    select k.%1$I::text, k.%2$I, k.%3$I, b.score, k.%4$I from merged b join %6$s k on k.%1$I = b.d and k.%2$I = b.i
    order by b.score desc, b.d, b.i limit $5$sql$,
    p.plan -> 'names' ->> 'doc_id', p.plan -> 'names' ->> 'chunk_index', p.plan -> 'names' ->> 'chunk_text', p.plan -> 'names' ->> 'metadata',
    ai._distance(p), p.plan ->> 'sink', 'pg_catalog.english') using $3, $5, $2, $6, $4;
end $$;
comment on function ai.hybrid_search(text, text, real[], int, int, int) is
  'Chunks by meaning and by words: the nearest vectors and the best matches of full text search (English), candidates of each, put together by their places (reciprocal rank fusion)';
