// Who may do and see what, and what is left in the end.
#include "tests/ai/ai_world.hpp"

using namespace durabled::test;

TEST_CASE("T14: another role sees no pipeline, no document in a queue, no model and no key") {
  AiWorld world;
  world.make_documents(3);
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(3);
  world.add_role("mallory");
  Sql mallory = world.session("mallory");
  for (const char* table : {"pipelines", "models", "usage", "failures"})
    CHECK(mallory.number(std::string("select count(*) from ai.") + table) == 0);
  CHECK(mallory.exec("select * from ai.status()").empty());
  CHECK(mallory.exec("select * from ai.list_pipelines()").empty());
  for (const char* table : {"ai_1_work", "ai_1_stage", "chunks"})
    mallory.expects_error("42501", std::string("select * from ") + table);
  for (const char* call :
       {"run('p')", "pause('p')", "drop_pipeline('p')", "status('p')", "failures('p')", "explain('p')"})
    CHECK_THAT(mallory.expects_error("P0002", std::string("select ai.") + call),
               ContainsSubstring("there is no pipeline \"p\" of role mallory"));
  // A trigger function of another's pipeline cannot be put on a table of one's own.
  mallory.exec("create table trap (id int)");
  mallory.expects_error("42501", "create trigger t after truncate on trap execute function ai_1_truncated()");
  CHECK(mallory.exec("update ai.pipelines set dropped = true returning id").empty());
  mallory.expects_error("42501", "insert into ai.pipelines (owner, name) values ('alice', 'x')");
  mallory.expects_error("42501", "delete from ai.pipelines");
  CHECK(world.alice.number("select count(*) from ai.list_pipelines()") == 1);
  mallory.expects_error("42501", "begin; lock table ai.pipelines");
}

TEST_CASE("a table of another role is no sink, and no source whose changes are followed") {
  AiWorld world;
  world.make_documents(1);
  world.add_role("mallory");
  Sql mallory = world.session("mallory");
  mallory.exec(
      "create table squatted (doc_id bigint, chunk_index int, chunk_text text not null, embedding real[], "
      "metadata jsonb "
      "not null default '{}', primary key (doc_id, chunk_index)); grant all on squatted to public; "
      "create table bait (id bigint primary key, content text); grant all on bait to public");
  const std::string steps = "array[ai.chunk('content'), ai.embed('default-embedding', 'chunk_text', 8)]";
  CHECK_THAT(world.alice.expects_error("42501", "select ai.create_pipeline('q', ai.table_source('docs'), " +
                                                    steps + ", ai.table_sink('squatted'))"),
             ContainsSubstring("the sink public.squatted is not a table of alice"));
  CHECK_THAT(
      world.alice.expects_error("42501", "select ai.create_pipeline('q', ai.table_source('bait'), " + steps +
                                             ", ai.table_sink('mine'), trigger => 'on_change')"),
      ContainsSubstring("the source public.bait is not a table of alice"));
  CHECK(world.alice.number("select count(*) from ai.list_pipelines()") == 0);
}

TEST_CASE("no row of one role refers to, or locks, a pipeline of another") {
  AiWorld world;
  world.make_documents(1);
  world.create_pipeline();
  world.add_role("mallory");
  Sql mallory = world.session("mallory");
  const std::string id = world.owner().text("select id from ai.pipelines");
  mallory.expects_error(
      "23503",
      "insert into ai.pipelines (name, source, steps, sink, trigger, options, plan, shadow_of) "
      "values ('ks', '{}', '{}', '{}', 'manual', '{}', '{}', " +
          id + ")");
  mallory.expects_error(
      "42501", "insert into ai.usage (pipeline, day, model, requests, inputs, tokens, cost) values (" + id +
                   ", now(), 'm', 1, 1, 1, 1)");
  mallory.expects_error(
      "42501", "insert into ai.failures (pipeline, key, attempts, error) values (" + id + ", 'k', 1, 'e')");
  mallory.expects_error("23514",
                        "insert into ai.pipelines (name, source, steps, sink, trigger, options, plan) "
                        "values ('ks', '{}', '{}', '{}', 'manual', '{}', '{\"calls\": 1}')");
}

TEST_CASE("a sink whose rows are protected is not swapped for one without the protection") {
  AiWorld world;
  world.make_documents(1);
  world.create_pipeline();
  world.alice.exec("alter table chunks enable row level security");
  CHECK_THAT(world.alice.expects_error("55000",
                                       "select ai.alter_pipeline('p', steps => array[ai.chunk('content'), "
                                       "ai.embed('default-embedding', 'chunk_text', 4)])"),
             ContainsSubstring("has row-level security"));
}

TEST_CASE("a role that may not use df can look at the schema and make nothing") {
  AiWorld world;
  world.server().create_role("stranger");
  Sql stranger = world.session("stranger");
  CHECK(stranger.exec("select * from ai.status()").empty());
  stranger.expects_error("42501", "select ai.register_model('m', 'http://localhost/v1', 'm')");
}

TEST_CASE("operators see everybody's pipelines, and run nothing that their owners made") {
  AiWorld world;
  world.make_documents(3);
  world.create_pipeline();
  world.server().create_role("df_operator", "nologin");
  world.owner().exec("select df.grant_usage('df_operator')");
  world.add_role("olga");
  Sql(world.server().conninfo()).exec("grant df_operator to olga");
  Sql olga = world.session("olga");
  CHECK(olga.exec("select name, owner, documents from ai.status()") == Rows{{"p", "alice", std::nullopt}});
  CHECK(olga.exec("update ai.pipelines set paused = true returning id").empty());
}

TEST_CASE("T17: a pipeline that is dropped leaves nothing but its sink") {
  AiWorld world;
  world.make_documents(3);
  const char* objects =
      "select string_agg(o, ' ' order by o) from (select relname::text as o from pg_class where relnamespace "
      "= "
      "'public'::regnamespace union all select proname from pg_proc where pronamespace = "
      "'public'::regnamespace union all "
      "select tgname from pg_trigger where not tgisinternal and tgrelid = 'docs'::regclass) x";
  const std::string before = world.alice.text(objects);
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(3);
  const std::string instance = world.alice.text("select instance_id from ai.pipelines");
  CHECK(world.alice.text("select ai.drop('p')") ==
        "Pipeline \"p\" was dropped; its sink public.chunks stays");
  CHECK(status_of(world.alice, instance) == "cancelled");
  CHECK(world.published() == 3);
  world.alice.exec("drop table chunks");
  CHECK(world.alice.text(objects) == before);
  CHECK(world.owner().number("select count(*) from ai.pipelines") == 0);
  world.alice.exec("insert into docs values (4, 't', 'c'); update docs set content = 'x'; truncate docs");
  // Made again with a sink that is there, only what is new costs.
  world.alice.exec("insert into docs values (1, 't', 'one')");
  world.create_pipeline();
  world.await_published(1);
  world.alice.exec("select ai.drop_pipeline('p', keep_sink => false)");
  CHECK(world.alice.text(objects) == before);
}

TEST_CASE("T19: a schema ai that durabled did not make is refused, and another name can be chosen") {
  const TestDatabase database = fresh_database();
  Sql owner(database.conninfo());
  owner.exec("create schema ai; create table ai.migration (name text)");
  const CliOutcome refused = cli({"init", "--with-ai", "--database", database.conninfo()});
  CHECK(refused.code != 0);
  CHECK_THAT(refused.err,
             ContainsSubstring(
                 "there is a schema ai already, of role durabled_owner, and durabled did not make it"));
  CHECK_THAT(refused.err, ContainsSubstring("--ai-schema"));
  const CliOutcome other = cli({"init", "--ai-schema", "pipelines", "--database", database.conninfo()});
  INFO(other.err);
  REQUIRE(other.code == 0);
  database.server().create_role("alice");
  owner.exec("select df.grant_usage('alice', true)");
  owner.exec("grant usage, create on schema public to alice");
  Sql alice(database.conninfo("alice"));
  alice.exec("set client_min_messages = warning; create table docs (id int primary key, content text)");
  alice.exec("select pipelines.register_model('m', 'https://example.com/v1/embeddings', 'm')");
  alice.exec(
      "select pipelines.create_pipeline('p', pipelines.table_source('docs'), array[pipelines.embed('m', "
      "'content', 8)], "
      "trigger => 'on_change'); insert into docs values (1, 'x')");
  CHECK(alice.text("select state from pipelines.status('p')") == "working");
  // A second installation changes nothing, and uninstall takes it along.
  CHECK(cli({"init", "--ai-schema", "pipelines", "--database", database.conninfo()}).out ==
        "The schema df is up to date.\nThe schema pipelines is ready for AI pipelines.\n");
  CHECK(cli({"upgrade", "--database", database.conninfo()}).code == 0);
  REQUIRE(cli({"uninstall", "--yes", "--database", database.conninfo()}).code == 0);
  CHECK(owner.text("select string_agg(nspname, ' ' order by nspname) from pg_namespace where nspname !~ "
                   "'^(pg_|info)'") == "ai public");
  alice.exec("insert into docs values (2, 'y')");  // its triggers are left, and harm nobody
}

TEST_CASE("init --with-ai --print prints the schema that it would install") {
  const TestDatabase printed = shared_server().empty_database(), installed = fresh_database();
  const CliOutcome script = cli({"init", "--with-ai", "--print", "--database", printed.conninfo()});
  REQUIRE(script.code == 0);
  Sql(printed.conninfo()).exec("grant create on schema public to durabled_owner");
  const TemporaryDirectory directory("durabled-ai");
  write_file(directory.path() / "ai.sql", script.out);
  run({.argv = {"/usr/bin/env", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f",
                directory.path() / "ai.sql", printed.conninfo()},
       .output = directory.path() / "log",
       .directory = directory.path()});
  REQUIRE(cli({"init", "--with-ai", "--database", installed.conninfo()}).code == 0);
  const auto functions = [](const TestDatabase& database) {
    return Sql(database.conninfo())
        .text(
            "select md5(string_agg(pg_get_functiondef(p.oid), '' order by p.oid::regprocedure::text)) from "
            "pg_proc p "
            "where p.pronamespace = 'ai'::regnamespace");
  };
  CHECK(functions(printed) == functions(installed));
}

TEST_CASE("every routine of the schema looks names up in PostgreSQL's own schemas alone") {
  AiWorld world;
  world.make_documents(1);
  world.create_pipeline();
  CHECK(world.owner().exec(
            "select p.oid::regprocedure from pg_proc p where (p.pronamespace = 'ai'::regnamespace or "
            "p.proname like "
            "'ai\\_1\\_%') and p.prosqlbody is null and not 'search_path=pg_catalog, pg_temp' = any "
            "(coalesce(p.proconfig, '{}'))") == Rows{});
  CHECK(
      world.owner().exec("select p.oid::regprocedure from pg_proc p where p.prosecdef and p.pronamespace in "
                         "('ai'::regnamespace, 'public'::regnamespace) and has_function_privilege('public', "
                         "p.oid, 'execute')") == Rows{});
}

TEST_CASE("durabled pipelines lists pipelines, and shows one and its failures") {
  AiWorld world;
  world.make_documents(2);
  world.alice.exec("update docs set content = 'POISON' where id = 2");
  world.create_pipeline("on_change", R"({"max_attempts": 1})");
  world.start_calling_daemon();
  world.await_published(1);
  world.await_idle();
  const auto pipelines = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "pipelines");
    arguments.insert(arguments.end(), {"--database", world.database().conninfo("alice")});
    return cli(arguments);
  };
  CHECK_THAT(pipelines({}).out,
             ContainsSubstring("p     alice  on_change  1 of 2     0        1       idle"));
  CHECK_THAT(pipelines({"status", "p"}).out, ContainsSubstring("published       1\n"));
  const CliOutcome failures = pipelines({"failures", "p", "--json"});
  CHECK(failures.json().at(0).at("key").as_string() == "2");
  CHECK(pipelines({"status"}).code == 2);
  CHECK_THAT(pipelines({"status", "q"}).err, ContainsSubstring("there is no pipeline \"q\" of role alice"));
  const TestDatabase without = fresh_database();
  CHECK_THAT(cli({"pipelines", "--database", without.conninfo()}).err,
             ContainsSubstring("durabled init --with-ai"));
}
