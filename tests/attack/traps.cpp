#include "tests/attack/traps.hpp"
#include "tests/support/paths.hpp"

#include <algorithm>
#include <filesystem>
#include <regex>

#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

// Each as PostgreSQL keeps it, so that nothing of the schema is left out because of how a file writes it.
constexpr const char* kCode =
    "select concat_ws(' ', p.prosrc, pg_get_function_sqlbody(p.oid), pg_get_function_arguments(p.oid)) from "
    "pg_proc p "
    "where p.pronamespace = 'df'::regnamespace "
    "union all select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid "
    "where c.relnamespace = 'df'::regnamespace and not t.tgisinternal "
    "union all select concat_ws(' ', qual, with_check) from pg_policies where schemaname = 'df' "
    "union all select pg_get_constraintdef(oid) from pg_constraint where connamespace = 'df'::regnamespace "
    "union all select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_class c on c.oid = d.adrelid "
    "where c.relnamespace = 'df'::regnamespace "
    "union all select definition from pg_views where schemaname = 'df' "
    "union all select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid "
    "where c.relnamespace = 'df'::regnamespace";

constexpr const char* kPlant = R"sql(
create schema lair; grant usage on schema lair to public;
create table lair.evidence (login text, name text, what text); grant insert, select on lair.evidence to public;
create function lair.spring(what text) returns boolean language plpgsql set search_path = pg_catalog as $f$ begin
  insert into lair.evidence values (session_user, current_user, what); return true; end $f$;
create table lair.words (word text);
create procedure lair.plant(target text) language plpgsql as $p$
declare
  r pg_catalog.record; s text; n int := 0;
  kinds constant text[] := array['text','name','regrole','regclass','oid','bigint','integer','smallint','numeric','boolean','timestamptz','interval','json','jsonb','uuid','text[]','oid[]'];
begin
  if target <> 'pg_temp' then
  for r in select distinct p.proname, p.proretset, case when t.typtype = 'p' then 'text' else p.prorettype::regtype::text end as result,
             (select string_agg(case when y.typname in ('any','anyelement','anynonarray','anycompatible','anyenum') then 'text' when y.typname in ('anyarray','anycompatiblearray') then 'text[]' else a.oid::regtype::text end, ', ' order by a.n)
              from unnest(p.proargtypes) with ordinality a(oid, n) join pg_type y on y.oid = a.oid) as args
           from pg_proc p join pg_type t on t.oid = p.prorettype
           where p.pronamespace = 'pg_catalog'::regnamespace and p.proname in (select word from lair.words)
  loop
    begin
      execute format('create function %s.%I(%s) returns %s language plpgsql as $f$ begin perform lair.spring(%L); return%s; end $f$',
        target, r.proname, r.args, case when r.proretset then 'setof ' else '' end || r.result, 'function ' || r.proname, case when r.proretset then '' else ' null' end);
      n := n + 1;
    exception when others then null;
    end;
  end loop;
  for r in select a, b from unnest(kinds) a, unnest(kinds) b loop
    s := format('%s.%I', target, 'op ' || r.a || r.b);
    execute format('create function %s(%s, %s) returns boolean language plpgsql as $f$ begin perform lair.spring(''operator''); return true; end $f$', s, r.a, r.b);
    execute (select string_agg(format('create operator %s.%s (leftarg = %s, rightarg = %s, function = %s)', target, w.word, r.a, r.b, s), ';')
             from lair.words w where w.word in (select o.oprname from pg_catalog.pg_operator o)
               and (target <> 'public' or w.word not in ('&', '|', '@>')));
  end loop;
  end if;
  for r in select t.typname, t.typtype from pg_type t where t.typnamespace = 'pg_catalog'::regnamespace and t.typname in (select word from lair.words) and (t.typtype = 'b' or t.typname = 'record')
     and not exists (select from pg_class c where c.relname = t.typname and c.relnamespace = 'pg_catalog'::regnamespace)
  loop
   begin
    if r.typname = 'record' then
      execute format('create type %s.columns as (a text, b text)', target);
      execute format('create domain %s.record as %s.columns check (lair.spring(''type record''))', target, target);
    else
      execute format('create domain %s.%I as pg_catalog.%I check (lair.spring(%L))', target, r.typname, r.typname, 'type ' || r.typname);
    end if;
   exception when others then null; end;
  end loop;
  for r in select c.relname from pg_class c where c.relnamespace = 'pg_catalog'::regnamespace and c.relname in (select word from lair.words) and c.relkind in ('r','v') loop
    begin
    execute format('create %s view %s.%I as select * from pg_catalog.%I where lair.spring(%L)', case when target = 'pg_temp' then 'temporary' else '' end, target, r.relname, r.relname, 'relation ' || r.relname);
    exception when others then null; end;
  end loop;
end $p$;
)sql";

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_operator(char c) {
  return std::string_view("+-*/<>=~!@#%^&|`?").find(c) != std::string_view::npos;
}

void add_words(const std::string& text, std::set<std::string>& words) {
  for (std::size_t i = 0; i < text.size();) {
    const auto kind = is_word(text[i]) ? is_word : is_operator(text[i]) ? is_operator : nullptr;
    std::size_t end = i + 1;
    while (kind != nullptr && end < text.size() && kind(text[end])) ++end;
    // The longest name of an operator of PostgreSQL has four characters; a rule in a comment is longer.
    if (kind == is_word || (kind == is_operator && end - i <= 4)) words.insert(text.substr(i, end - i));
    i = end;
  }
}

std::string without(const std::string& text, const std::string& pattern) {
  return std::regex_replace(text, std::regex(pattern), " ");
}

}  // namespace

std::set<std::string> words_of_privileged_code(Sql& owner) {
  std::set<std::string> words;
  for (const Row& row : owner.exec(kCode)) add_words(row[0].value_or(""), words);
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(kSourceDirectory) / "store")) {
    if (file.is_regular_file()) add_words(read_file(file.path()), words);
  }
  return words;
}

void plant_traps(Sql& mallory, const std::set<std::string>& words) {
  mallory.exec(kPlant);
  std::string list = "{";
  for (const std::string& word : words) {
    std::string quoted;
    for (const char c : word) quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    list += (list.size() > 1 ? ",\"" : "\"") + quoted + '"';
  }
  mallory.exec("insert into lair.words select unnest($1::text[])", list + "}");
  mallory.exec("set search_path = pg_catalog");
  mallory.exec("call lair.plant('lair')");
  mallory.exec("call lair.plant('public')");
  mallory.exec("reset search_path");
}

std::set<std::string> unqualified_names(const std::string& body) {
  std::string text = without(body, "--[^\n]*");
  text = without(text, "'[^']*'");
  // What is given a value, in RAISE and UPDATE.
  text = without(text, "using +errcode *=|(?:\\bset\\s+|,\\s*)[a-z_]+ *=");
  std::set<std::string> found;
  const auto collect = [&](const std::string& pattern, const std::set<std::string>& allowed) {
    const std::regex regex(pattern);
    for (auto i = std::sregex_iterator(text.begin(), text.end(), regex); i != std::sregex_iterator(); ++i) {
      if (!allowed.contains((*i)[1].str())) found.insert((*i)[1].str());
    }
  };
  // A function's name, or a keyword, before a parenthesis. Columns of an alias follow a parenthesis, too.
  const std::string bare = "(?:^|[^A-Za-z0-9_.])";
  std::set<std::string> keywords{"as",      "using", "coalesce", "exists", "any",   "array",
                                 "values",  "and",   "or",       "not",    "if",    "when",
                                 "lateral", "from",  "then",     "else",   "least", "greatest"};
  const std::regex alias("\\bas +([a-z]+) *\\(");
  for (auto i = std::sregex_iterator(text.begin(), text.end(), alias); i != std::sregex_iterator(); ++i)
    keywords.insert((*i)[1].str());
  keywords.insert("operator");
  collect(bare + "([A-Za-z_]+) *\\(", keywords);
  // Syntax behind which there is an operator that is looked up by its name.
  collect(
      "\\b(between|like|ilike|similar|nullif|using|in +\\(|is +(?:not +)?distinct|case +[a-z_.]+ +when)\\b",
      {});
  // Types that are not keywords of SQL.
  collect(bare +
              "(text|json|jsonb|uuid|timestamptz|record|bytea|xid8|regrole|regclass|oid|int4|int8|bool|"
              "float8)\\b",
          {});
  text = without(text, "operator\\(pg_catalog\\.[^)]*\\)");
  text = without(text, ":=|::|=>");
  text = without(text, "select +\\*|count\\(\\*\\)");
  collect("([-+*/<>=~!@#%^&|`?]+)", {});
  return found;
}

}  // namespace durabled::test
