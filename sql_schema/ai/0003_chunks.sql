-- Cutting a text into chunks. Each function goes through its text once: `rest` is read in blocks, because taking a piece
-- out of the middle of a long text costs as much as all that is before it.

-- The length of the first chunk of t, which is longer than size: up to the last paragraph, line, sentence or word that
-- ends in its second half.
create function ai._cut(t text, size int) returns int language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  tail constant text := substr(left(t, size), size / 2 + 1);
  separator text;
  at int;
begin
  foreach separator in array array[E'\n\n', E'\n', '. ', '? ', '! ', ' '] loop
    at := strpos(reverse(tail), reverse(separator));
    if at > 0 then
      return size / 2 + length(tail) - at + 1;
    end if;
  end loop;
  return size;
end $$;
comment on function ai._cut(text, int) is 'Where the first chunk of a text ends';

-- The overlap begins at a word where there is one.
create function ai._overlapping(t text, cut int, overlap int) returns int language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  at constant int := strpos(substr(t, cut - overlap, overlap), ' ');
begin
  return case when overlap = 0 then cut when at > 0 then cut - overlap + at - 1 else cut - overlap end;
end $$;
comment on function ai._overlapping(text, int, int) is 'How much of a text the next chunk leaves out';

create function ai._split(t text, size int, overlap int, at_words boolean) returns setof text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare
  block constant int := greatest(16384, 4 * size);
  rest text := t;
  piece text := '';
  cut int;
  gone int;
begin
  loop
    if length(piece) <= size and rest <> '' then
      piece := piece || left(rest, block);
      rest := substr(rest, block + 1);
    end if;
    exit when length(piece) <= size;
    cut := case when at_words then ai._cut(piece, size) else size end;
    return next left(piece, cut);
    gone := case when at_words then ai._overlapping(piece, cut, overlap) else cut - overlap end;
    piece := substr(piece, greatest(gone, 1) + 1);
  end loop;
  return next piece;
end $$;
comment on function ai._split(text, int, int, boolean) is 'The chunks of a text, at most size characters each';

-- The sections of a text in Markdown, each with the headings above it. What looks like a heading in a block of code is not.
create function ai._sections(t text) returns table (path text, body text) language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare
  line text;
  headings text[] := '{}';
  lines text[] := '{}';
  mark text[];
  fenced boolean := false;
begin
  foreach line in array string_to_array(t, E'\n') loop
    if line ~ '^\s*(```|~~~)' then fenced := not fenced; end if;
    mark := case when not fenced then regexp_match(line, '^(#{1,6})\s+(.*?)\s*#*\s*$') end;
    if mark is not null then
      if cardinality(lines) > 0 then
        path := array_to_string(headings, ' > ');
        body := array_to_string(lines, E'\n');
        return next;
      end if;
      headings := headings[1:length(mark[1]) - 1] || mark[2];
      lines := '{}';
    end if;
    lines := lines || line;
  end loop;
  path := array_to_string(headings, ' > ');
  body := array_to_string(lines, E'\n');
  return next;
end $$;
comment on function ai._sections(text) is 'The sections of a Markdown text with their headings';

create function ai._pieces(t text, p_chunk jsonb, p_size int, p_overlap int) returns table (path text, piece text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  case p_chunk ->> 'method'
    when 'none' then return query select null, t;
    when 'fixed' then return query select null, s from ai._split(t, p_size, p_overlap, false) s;
    when 'markdown' then
      return query select nullif(x.path, ''), s from ai._sections(t) x, ai._split(x.body, p_size, p_overlap, true) s;
    when 'sql' then return query execute format('select null, c::text from %s($1) c', (p_chunk ->> 'function_oid')::oid::regproc) using t;
    else return query select null, s from ai._split(t, p_size, p_overlap, true) s;
  end case;
end $$;
comment on function ai._pieces(text, jsonb, int, int) is 'The chunks of a text, by method';

-- No chunk is longer than what the model takes: such a one is cut again, and nothing is left out.
create function ai._chunks(t text, p_chunk jsonb, p_max_bytes int) returns table (chunk_index int, chunk_text text, path text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  per_unit constant numeric := case when p_chunk ->> 'unit' = 'tokens'
    then 4.0 * length(t) / greatest(octet_length(t), 1) else 1 end;
begin
  if t is null or t !~ '\S' then return; end if;
  return query
    select (row_number() over ())::int - 1, c.piece, c.path from (
      select p.path, s as piece
      from ai._pieces(t, p_chunk, greatest(1, ((p_chunk ->> 'chunk_size')::int * per_unit)::int),
                      ((p_chunk ->> 'overlap')::int * per_unit)::int) p
      cross join lateral (
        select p.piece where octet_length(p.piece) <= p_max_bytes
        union all
        select x from ai._split(p.piece, greatest(1, p_max_bytes / 4), 0, true) x where octet_length(p.piece) > p_max_bytes) s (s)
      where s ~ '\S') c;
end $$;
comment on function ai._chunks(text, jsonb, int) is 'The chunks of a document, numbered from 0';
