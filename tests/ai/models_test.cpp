// Changing a pipeline, other kinds of steps, and other kinds of triggers.
#include <boost/json.hpp>

#include "tests/ai/ai_world.hpp"

using namespace durabled::test;

namespace {

// A chat model that answers with JSON where it is asked for JSON, and otherwise repeats what it was asked.
void add_chat(AiWorld& world) {
  world.http.route("/v1/chat/completions", [](const TestCall& call) {
    const boost::json::value request = boost::json::parse(call.body);
    const auto& messages = request.at("messages").as_array();
    std::string said(messages.back().at("content").as_string());
    if (request.as_object().contains("response_format"))
      said = boost::json::serialize(boost::json::object{{"length", said.size()}, {"extra", 1}});
    return TestAnswer{
        .body = boost::json::serialize(boost::json::object{
            {"choices", boost::json::array{boost::json::object{
                            {"message", boost::json::object{{"role", "assistant"}, {"content", said}}}}}},
            {"usage", boost::json::object{{"total_tokens", 7}}}})};
  });
  world.alice.exec("select ai.register_model('chat', '" + world.http.url("/v1/chat/completions") +
                   "', 'talker')");
}

constexpr const char* kOtherSteps = "array[ai.chunk('content'), ai.embed('other', 'chunk_text', 8)]";

}  // namespace

TEST_CASE("T8: a shadow takes the place of a sink, and each query sees the vectors of one model") {
  AiWorld world;
  world.make_documents(400);
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(400);
  world.await_idle();
  world.register_model("other", "large");
  world.server().create_role("reader");
  world.alice.exec("grant select on chunks to reader");
  CHECK_THAT(
      world.alice.expects_error(
          "0A000", std::string("select ai.alter_pipeline('p', ") + kOtherSteps + ", mode => 'in_place')"),
      ContainsSubstring("vectors of \"small\" and \"large\" cannot be compared; use mode => 'shadow'"));
  world.endpoint.hold();
  world.alice.exec(std::string("select ai.alter_pipeline('p', ") + kOtherSteps + ")");
  world.endpoint.await_held();
  CHECK_THAT(
      world.alice.expects_error("55000", std::string("select ai.alter_pipeline('p', ") + kOtherSteps + ")"),
      ContainsSubstring("is being changed already"));
  world.alice.exec(
      "update docs set content = 'changed meanwhile' where id = 5; delete from docs where id = 6");
  world.endpoint.release();
  wait_until(
      "the new model's vectors are there",
      [&] {
        const Row row = world.alice.exec(
            "select count(distinct metadata ->> 'model'), min(metadata ->> 'model'), count(*) filter (where "
            "embedding <> "
            "test_vector(case metadata ->> 'model' when 'other' then 'large' else 'small' end, chunk_text, "
            "8)) from chunks")[0];
        CHECK(row[0] == "1");
        CHECK(row[2] == "0");
        return row[1] == "other";
      },
      kLong);
  world.await_idle();
  CHECK(world.wrong_rows("large") == 0);
  CHECK(world.alice.exec("select name, revision, model from ai.status()") == Rows{{"p", "2", "other"}});
  CHECK(world.alice.number("select count(*) from pg_class where relname like 'chunks%' and relkind = 'r'") ==
        1);
  CHECK(world.alice.number("select count(*) from df.instances where status = 'running'") == 1);
  CHECK(world.alice.number("select sum(inputs) from ai.usage('p')") >= 800);
  CHECK(world.session("reader").number("select count(*) from chunks") == 399);
  // The triggers know the sink by its name of now.
  world.alice.exec("delete from docs where id = 7; insert into docs values (1000, 't', 'after the swap')");
  wait_until(
      "changes are published", [&] { return world.wrong_rows("large") == 0; }, kLong);
}

TEST_CASE("other chunks are made in place, and those that stay the same cost nothing") {
  AiWorld world;
  world.make_documents(50);
  world.alice.exec("update docs set content = repeat('Many words in it. ', 60) where id = 1");
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(50);
  world.await_idle();
  const int before = world.endpoint.inputs();
  world.alice.exec(
      "select ai.alter_pipeline('p', array[ai.chunk('content', 2000), ai.embed('default-embedding', "
      "'chunk_text', 8)], "
      "mode => 'in_place')");
  wait_until(
      "the long one is one chunk", [&] { return world.wrong_rows() == 0; }, kLong);
  CHECK(world.endpoint.inputs() == before + 1);
  CHECK(world.alice.number("select revision from ai.status('p')") == 2);
  CHECK(world.alice.text("select ai.alter_pipeline('p', options => '{\"take\": 10}')") ==
        "Pipeline \"p\" has new options");
  world.alice.exec("update docs set content = 'new' where id = 2");
  wait_until(
      "the change is published", [&] { return world.wrong_rows() == 0; }, kLong);
}

TEST_CASE("facts and texts of a chat model are in the metadata, beside the vectors") {
  AiWorld world;
  add_chat(world);
  world.make_documents(3);
  world.alice.exec(
      "select ai.create_pipeline('p', ai.table_source('docs'), array[ai.chunk('content'), "
      "ai.extract('chat', 'chunk_text', '{\"length\": \"how long it is\"}'), "
      "ai.generate('chat', 'chunk_text', 'What is {{input}}?'), ai.embed('default-embedding', 'chunk_text', "
      "8)], "
      "ai.table_sink('chunks'), 'on_change')");
  world.start_calling_daemon();
  world.await_published(3);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.alice.number("select count(*) from chunks where (metadata ->> 'length')::int = "
                           "length(chunk_text) and metadata ->> "
                           "'generated' = 'What is ' || chunk_text || '?' and not metadata ? 'extra'") == 3);
  CHECK(world.alice.exec("select model, requests from ai.usage('p')") ==
        Rows{{"chat", "6"}, {"default-embedding", "1"}});
}

TEST_CASE("what nobody approves is set aside, and what somebody approves is published") {
  AiWorld world;
  world.make_documents(2);
  world.alice.exec(
      "select ai.create_pipeline('p', ai.table_source('docs'), array[ai.embed('default-embedding', "
      "'content', 8), "
      "ai.request_approval('new texts')], ai.table_sink('chunks'), 'on_change')");
  world.start_calling_daemon();
  const auto waits = [&] {
    return world.alice.text("select state from ai.status('p')") ==
           "waiting: approval by the signal \"pipeline_p_approval\"";
  };
  wait_until("an approval is waited for", waits, kLong);
  CHECK(world.published() == 0);
  world.alice.exec(
      "select df.signal(instance_id, 'pipeline_p_approval', '{\"approved\": true}') from ai.pipelines");
  world.await_published(2);
  world.await_idle();
  world.alice.exec("update docs set content = 'doubtful' where id = 1");
  wait_until("an approval is waited for", waits, kLong);
  world.alice.exec(
      "select df.signal(instance_id, 'pipeline_p_approval', '{\"approved\": false}') from ai.pipelines");
  wait_until(
      "it is set aside", [&] { return world.alice.number("select count(*) from ai.failures('p')") == 1; },
      kLong);
  CHECK(world.alice.number("select count(*) from chunks where chunk_text = 'doubtful'") == 0);
}

TEST_CASE("a pipeline with a schedule runs at its times, and at ai.run") {
  AiWorld world;
  world.make_documents(5);
  world.create_pipeline("schedule", R"({"cron": "0 0 1 1 *"})");
  world.start_calling_daemon();
  CHECK(world.published() == 0);
  world.alice.exec("select ai.run('p')");
  world.await_published(5);
  world.alice.exec("update docs set content = 'changed' where id = 1; delete from docs where id = 2");
  world.alice.exec("select ai.run('p')");
  wait_until(
      "the changes are published", [&] { return world.wrong_rows() == 0; }, kLong);
  CHECK(world.endpoint.inputs() == 6);
}

TEST_CASE("a manual pipeline with an incremental column reads what is new, and everything with full") {
  AiWorld world;
  world.make_documents(10);
  world.alice.exec(
      "select ai.create_pipeline('p', ai.table_source('docs', incremental_column => 'views'), "
      "array[ai.embed('default-embedding', 'content', 8)], ai.table_sink('chunks'))");
  world.start_calling_daemon();
  const auto run = [&](const std::string& arguments) {
    completes(world.alice, world.alice.text("select ai.run('p'" + arguments + ")"), kLong);
  };
  run("");
  CHECK(world.published() == 10);
  world.alice.exec(
      "update docs set views = 5, content = 'seen' where id = 1; update docs set views = -1, content = "
      "'late' where id = 2");
  run("");
  CHECK(world.wrong_rows() == 1);  // the one that came late
  run(", full => true");
  CHECK(world.wrong_rows() == 0);
  CHECK(world.endpoint.inputs() == 12);
}

TEST_CASE("nearest and hybrid search find chunks by meaning and by words, with real[] too") {
  AiWorld world;
  world.make_documents(30);
  world.alice.exec("update docs set content = 'the zebra ' || id where id in (3, 4)");
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(30);
  CHECK(world.alice.text("select doc_id from ai.nearest('p', test_vector('small', 'the zebra 4', 8), 1)") ==
        "4");
  CHECK(world.alice.text("select round(distance::numeric, 5) from ai.nearest('p', test_vector('small', 'the "
                         "zebra 4', 8), 1)") == "0.00000");
  CHECK(world.alice.exec("select doc_id from ai.hybrid_search('p', 'zebra', test_vector('small', 'the zebra "
                         "4', 8), 2) order by doc_id") == Rows{{"3"}, {"4"}});
  CHECK_THAT(world.alice.expects_error("22023", "select ai.nearest('p', '{1,2}')"),
             ContainsSubstring("the vector has 2 numbers"));
  CHECK_THAT(world.alice.expects_error("0A000", "select ai.create_index('p')"),
             ContainsSubstring("has real[]"));
}

TEST_CASE("requests are paced by what the model allows a minute") {
  AiWorld world;
  world.make_documents(40);
  world.register_model("default-embedding", "small", ", max_inputs => 2, rpm => 3000, tpm => 1000000");
  world.create_pipeline("manual");
  world.start_calling_daemon();
  completes(world.alice, world.alice.text("select ai.run('p')"), kLong);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.alice.text("select next_request_at > now() - interval '1 minute' and next_tokens_at > "
                         "'-infinity' from ai.models") == "t");
}
