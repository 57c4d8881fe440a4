// The example of the announcement, as it is there, and the trigger `manual`.
#include "tests/ai/ai_world.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;

TEST_CASE("T1: the announcement's example runs as it is written") {
  AiWorld world;
  world.endpoint.set_dimensions(1536);
  world.alice.exec("create table documents_ai_pipeline (id bigint primary key, content text)");
  world.alice.exec(
      "insert into documents_ai_pipeline select g, repeat('Words of document ' || g || '. ', 60) from "
      "generate_series(1, 30) g");
  world.start_calling_daemon();
  world.alice.exec(R"(
SELECT ai.create_pipeline(name => 'ai_pipeline', source => ai.table_source(table_name => 'documents_ai_pipeline'),
  steps => ARRAY[ai.chunk(input => 'content'), ai.embed(model => 'default-embedding', input => 'chunk_text', dimensions => 1536)],
  trigger => 'on_change', sink => ai.table_sink('documents_ai_pipeline_output'));
SELECT ai.run('ai_pipeline');)");
  const auto documents = [&] {
    return world.alice.number("select count(distinct doc_id) from documents_ai_pipeline_output");
  };
  wait_until(
      "all documents are published", [&] { return documents() == 30; }, kLong);
  CHECK(world.alice.number(
            "select count(*) from documents_ai_pipeline_output where embedding <> test_vector('small', "
            "chunk_text, 1536)") == 0);
  CHECK(world.alice.number("select count(*) from documents_ai_pipeline_output") > 60);
  CHECK(world.alice.number("select max(length(chunk_text)) from documents_ai_pipeline_output") <= 512);
  world.alice.exec("insert into documents_ai_pipeline values (31, 'a new one')");
  wait_until(
      "the new document is published", [&] { return documents() == 31; }, kLong);
  CHECK(world.endpoint.texts().back() == "a new one");
  CHECK(world.alice.text("select label from df.instances") == "ai-pipeline:ai_pipeline");
  // Neither a text nor a vector is in the history.
  CHECK(world.alice.number(
            "select count(*) from df.events where strpos(data::text, 'ords of document') > 0") == 0);
  CHECK(world.alice.number(
            "select max(octet_length(data::text)) from df.events where kind = 'StepCompleted'") < 2000);
  CHECK(world.alice.text("select requests > 0 and tokens = 10 * inputs from ai.usage") == "t");
}

TEST_CASE("a manual pipeline embeds at each run what has changed, and removes what is gone") {
  AiWorld world;
  world.make_documents(300);
  world.start_calling_daemon();
  world.create_pipeline("manual");
  CHECK(world.endpoint.requests() == 0);
  completes(world.alice, world.alice.text("select ai.run('p')"), kLong);
  CHECK(world.published() == 300);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.endpoint.requests() <= 4);
  const int before = world.endpoint.inputs();
  world.alice.exec("update docs set content = 'changed' where id = 7; delete from docs where id = 8");
  completes(world.alice, world.alice.text("select ai.run('p')"), kLong);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.endpoint.inputs() == before + 1);
}

TEST_CASE("the SQL of docs/pipelines.md works as it is written") {
  AiWorld world;
  world.http.add_example_routes();
  world.start_calling_daemon();
  const std::string document = read_file(kSourceDirectory + std::string("/docs/pipelines.md"));
  const std::string begin = "\n```sql\n", end = "\n```\n", service = "http://127.0.0.1:8099";
  int blocks = 0;
  for (std::size_t at = 0; (at = document.find(begin, at)) != std::string::npos; ++blocks) {
    at += begin.size();
    std::string block = document.substr(at, document.find(end, at) - at);
    if (const auto url = block.find(service); url != std::string::npos)
      block.replace(url, service.size(), world.http.url(""));
    const TemporaryDirectory directory("durabled-ai");
    write_file(directory.path() / "block.sql", block);
    run({.argv = {"/usr/bin/env", "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f",
                  directory.path() / "block.sql", world.database().conninfo("alice")},
         .output = directory.path() / "log",
         .directory = directory.path()});
    const std::string output = read_file(directory.path() / "log");
    CHECK_THAT(output, ContainsSubstring("idle\n"));
    CHECK_THAT(output, ContainsSubstring("\n2|Bread is flour, water, salt and time."));
  }
  CHECK(blocks == 2);
}
